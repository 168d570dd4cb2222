# Propose commands to a kuilt cluster over JSON. Needs Debian's python3-websockets.
import asyncio, json, sys, websockets

async def main(url, *commands):
    async with websockets.connect(url, subprotocols=["kuilt.v1.json"]) as link:
        await link.send(json.dumps({"hello": {"name": "proposer"}}))
        proposals = [{"number": n, "command": c} for n, c in enumerate(commands)]
        await link.send(json.dumps({"propose": {"proposals": proposals}}))
        while proposals:
            for answer in json.loads(await link.recv()).get("answers", {}).get("answers", []):
                print(proposals.pop(0)["command"], answer.get("committed") or answer["refused"])

asyncio.run(main(*(sys.argv[1:] or ["ws://127.0.0.1:7400", "hello"])))
