# SPDX-License-Identifier: BSD-3-Clause
"""Many clients at the same time, each of which sends messages and compares what comes back.
usage: ADDRESS PORT CLIENTS MESSAGES"""
import asyncio
import random
import sys


async def client(number, address, port, messages, everybody):
    reader, writer = await asyncio.open_connection(address, port)
    # No message before all are connected: so many connections are open at the same time.
    everybody["missing"] -= 1
    if everybody["missing"] == 0:
        everybody["there"].set()
    await everybody["there"].wait()
    source = random.Random(number)
    echoes = 0
    for _ in range(messages):
        message = source.randbytes(source.choice((1, 10, 100, 1460, 1461, 5000, 30000)))
        writer.write(message)
        await writer.drain()
        if await reader.readexactly(len(message)) != message:
            raise SystemExit(f"client {number}: the echo is not what was sent")
        echoes += 1
    writer.write_eof()
    if await reader.read():
        raise SystemExit(f"client {number}: more came back than was sent")
    writer.close()
    await writer.wait_closed()
    return echoes


async def main():
    address, port, clients, messages = sys.argv[1], *map(int, sys.argv[2:5])
    everybody = {"missing": clients, "there": asyncio.Event()}
    echoes = await asyncio.wait_for(
        asyncio.gather(*(client(n, address, port, messages, everybody) for n in range(clients))),
        90)
    print(f"{clients} clients, {sum(echoes)} echoes")


asyncio.run(main())
