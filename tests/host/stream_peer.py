"""A server in a process of its own that sends and takes long bodies: `python -m tests.host.stream_peer BYTES`.

GET is answered with so many bytes, and a POST with 200 after all of its body has come. It prints its port, serves until
its input ends, and writes the number of bytes that each POST brought.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

PIECE = bytes(64 << 10)


@asynccontextmanager
async def stream_peer(size: int) -> AsyncGenerator[tuple[str, asyncio.StreamReader]]:
    """The process: its authority, and the lines that it writes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.host.stream_peer",
        str(size),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield f"127.0.0.1:{int(await process.stdout.readline())}", process.stdout
    finally:
        process.stdin.close()
        await process.wait()


async def _serve(size: int) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await (_take(reader, writer) if head.startswith(b"POST") else _send(writer, size))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client is gone, or the test over
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


async def _send(writer: asyncio.StreamWriter, size: int) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
    while size:
        piece = PIECE[:size]
        size -= len(piece)
        writer.write(piece)
        await writer.drain()


async def _take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    taken = 0
    while length := int(await reader.readuntil(b"\r\n"), 16):
        await reader.readexactly(length + 2)
        taken += length
    await reader.readuntil(b"\r\n")
    print(taken, flush=True)
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    await writer.drain()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
