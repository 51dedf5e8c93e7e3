"""Clients that are slow on purpose: `python -m tests.bench.inference.slow URL COUNT`, until
standard input closes.

Every socket sends one byte of a request a second, half of them in the headers, half in the body;
one that is closed comes back.
"""

import asyncio
import sys
from urllib.parse import urlsplit

HEADERS = b"POST /predict/ HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 1000
BODY = b"POST /predict/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"


async def _slow(host: str, port: int, number: int, connected: asyncio.Semaphore) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
            connected.release()
            if number % 2:
                writer.write(BODY)
            for byte in HEADERS:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(1)
        except OSError:
            await asyncio.sleep(0.1)


async def main(url: str, count: int) -> None:
    """Until nobody wants it any more."""
    at, connected = urlsplit(url), asyncio.Semaphore(0)
    assert at.hostname is not None
    assert at.port is not None
    tasks = [asyncio.create_task(_slow(at.hostname, at.port, n, connected)) for n in range(count)]
    for _ in range(count):
        await connected.acquire()
    print("connected", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    for task in tasks:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
