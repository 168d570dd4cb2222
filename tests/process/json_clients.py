"""Clients over kuilt.v1.json that survive failovers: they propose under sessions of their own and
resume where they were. One line of JSON per fact goes to standard output:

  {"proposed": TEXT} {"acknowledged": TEXT, "index": I, "term": T, "duplicate": B}
  {"refused": TEXT, "code": CODE} {"observed": TEXT, "client": N, "index": I, "term": T}

Proposes until standard input is closed; then answers what is left, goes on observing until the
line "through INDEX" has been reached by all, and ends. usage: json_clients.py LABEL COUNT URL...
"""
import asyncio
import json
import random
import secrets
import sys

import websockets

IN_FLIGHT = 8
LABEL = sys.argv[1]


def say(**fact):
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


class Client:
    def __init__(self, number, urls):
        self.number, self.urls, self.at = number, urls, number % len(urls)
        self.session, self.birth = secrets.token_hex(16), None
        self.next, self.floor = 1, 0
        self.waiting = {}  # request id -> command
        self.done = set()
        self.place = None  # resume point
        self.ids = None    # cluster and history
        self.through = 0

    async def run(self, state):
        while not self.finished(state):
            try:
                url = self.urls[self.at % len(self.urls)]
                async with websockets.connect(url, subprotocols=["kuilt.v1.json"], open_timeout=3,
                                              ping_interval=1, ping_timeout=2,
                                              close_timeout=1) as link:
                    await self.converse(link, state)
            except (OSError, asyncio.TimeoutError, websockets.WebSocketException):
                pass
            self.at += 1
            await asyncio.sleep(random.uniform(0.02, 0.2))

    def finished(self, state):
        return state.closing and not self.waiting and self.through >= state.through

    async def converse(self, link, state):
        await link.send(json.dumps({"hello": {"name": f"json-{self.number}"}}))
        welcome = json.loads(await asyncio.wait_for(link.recv(), 3))["welcome"]
        self.ids = {"cluster": welcome["cluster"], "history": welcome["history"]}
        if self.birth is None:
            self.birth = welcome["commit"]["index"]
        start = {**self.ids, **self.place} if self.place else "start"
        await link.send(json.dumps({"observe": {"from": start}}))
        if self.waiting:
            await self.send(link, sorted(self.waiting))
        leaderless = 0
        while not self.finished(state):
            while not state.closing and len(self.waiting) < IN_FLIGHT:
                await self.propose(link)
            try:
                frame = json.loads(await asyncio.wait_for(link.recv(), 3))
            except asyncio.TimeoutError:
                return
            leaderless = leaderless + 1 if frame.get("heartbeat", {}).get("leader") == "" else 0
            if leaderless > 2 or "goodbye" in frame or not self.take(frame):
                return

    async def propose(self, link):
        text = f"{LABEL} json {self.number} move {self.next}"
        self.waiting[self.next] = text
        self.next += 1
        say(proposed=text)
        await self.send(link, [self.next - 1])

    async def send(self, link, ids):
        proposals = [{"number": i, "session": self.session, "birth": self.birth, "request_id": i,
                      "floor": self.floor, "command": self.waiting[i]} for i in ids]
        await link.send(json.dumps({"propose": {"proposals": proposals}}))

    def take(self, frame):
        for answer in frame.get("answers", {}).get("answers", []):
            if not self.settle(answer):
                return False
        reply = frame.get("observe_reply")
        if reply and reply["verdict"] != "resumed":
            return False
        feed = frame.get("feed")
        if feed:
            if self.place and feed["prev"]["index"] != self.place["index"]:
                say(broken=f"gap: feed begins at {feed['prev']}, we are at {self.place}")
                sys.exit(1)
            for entry in feed["entries"]:
                say(observed=entry["command"], client=self.number, index=entry["index"],
                    term=entry["term"])
            self.place = {**feed["through"], "digest": feed["digest"]}
            self.through = feed["through"]["index"]
        return True

    def settle(self, answer):
        request = answer["number"]
        text = self.waiting.get(request)
        if text is None:
            return True
        if "refused" in answer:  # Again, later and elsewhere, under the same id.
            say(refused=text, code=answer["refused"]["code"])
            return False
        del self.waiting[request]
        at = answer["committed"]["at"]
        say(acknowledged=text, index=at["index"], term=at["term"],
            duplicate=answer["committed"]["duplicate"])
        self.done.add(request)
        while self.floor + 1 in self.done:
            self.floor += 1
            self.done.remove(self.floor)
        return True


class State:
    closing = False
    through = 1 << 62


async def read_orders(state):
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not state.closing:
            state.closing = True
            say(stopped=True)
        if not line:
            return
        if line.startswith("through"):
            state.through = int(line.split()[1])
            return


async def main(count, urls):
    state = State()
    orders = asyncio.create_task(read_orders(state))
    await asyncio.gather(*(Client(n, urls).run(state) for n in range(count)))
    orders.cancel()


asyncio.run(main(int(sys.argv[2]), sys.argv[3:]))
