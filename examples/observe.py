# Observe the log of a kuilt cluster over JSON. Needs Debian's python3-websockets.
import asyncio, json, sys, websockets

async def main(url="ws://127.0.0.1:7400", start="start"):
    async with websockets.connect(url, subprotocols=["kuilt.v1.json"]) as link:
        await link.send(json.dumps({"hello": {"name": "observer"}}))
        await link.send(json.dumps({"observe": {"from": start}}))
        async for text in link:
            for entry in json.loads(text).get("feed", {}).get("entries", []):
                print(entry["index"], entry["author"], entry.get("command"), flush=True)

asyncio.run(main(*sys.argv[1:]))
