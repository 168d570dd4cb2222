"""Clients as nobody wants them. usage: hostile_clients.py MODE COUNT HOST PORT

  silent   asks for everything, and never reads
  slow     asks for everything, and reads one byte a second
  garbage  sends random bytes: before the upgrade, instead of a frame, inside a frame, after a hello

Prints "ready" once all are at it; ends when standard input does.
"""
import asyncio
import os
import random
import struct
import sys

UPGRADE = ("GET / HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Protocol: kuilt.v1.json\r\n\r\n")


def frame(payload, opcode=1):
    """A masked frame (RFC 6455, 5.2) with a mask of zeros."""
    size = len(payload)
    head = bytes([0x80 | opcode])
    head += bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
    return head + b"\0\0\0\0" + payload


async def connect(host, port):
    reader, writer = await asyncio.open_connection(host, port, limit=1024)
    writer.write(UPGRADE.format(host=host, port=port).encode())
    await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def ask(host, port):
    reader, writer = await connect(host, port)
    writer.write(frame(b'{"hello":{"name":"hostile"}}'))
    writer.write(frame(b'{"observe":{"from":"start"}}'))
    await writer.drain()
    return reader, writer


async def silent(host, port, ready):
    _, writer = await ask(host, port)
    writer.transport.pause_reading()
    ready()
    await asyncio.sleep(3600)


async def slow(host, port, ready):
    reader, _ = await ask(host, port)
    ready()
    while await reader.read(1):
        await asyncio.sleep(1)
    await asyncio.sleep(3600)


async def garbage(host, port, ready):
    first = True
    while True:
        try:
            kind = random.randrange(4)
            if kind == 0:
                _, writer = await asyncio.open_connection(host, port)
                writer.write(os.urandom(2000))
            elif kind == 1:
                _, writer = await connect(host, port)
                writer.write(os.urandom(2000))
            elif kind == 2:
                _, writer = await connect(host, port)
                writer.write(frame(os.urandom(100), opcode=random.choice([1, 2])))
            else:
                _, writer = await ask(host, port)
                writer.write(frame(b'{"propose":' + b"[" * 500))
            await writer.drain()
            await asyncio.sleep(0.02)
            writer.close()
        except (OSError, asyncio.IncompleteReadError):
            pass
        if first:
            first = False
            ready()


async def main(mode, count, host, port):
    waiting = count

    def ready():
        nonlocal waiting
        waiting -= 1
        if waiting == 0:
            print("ready", flush=True)

    tasks = [asyncio.create_task({"silent": silent, "slow": slow, "garbage": garbage}[mode](
        host, port, ready)) for _ in range(count)]
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for task in tasks:
        task.cancel()


asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
