"""`python -m benchmarks.probe PORT PATH SECONDS`: the times of a profile asked for 20 times a second.

Each is counted from when it was due, so that a request that waited for the one before is not a quick one. The
access token comes by standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from typing import Any

import httptools

PROBERS = 4
"""Connections, so that a slow answer does not hold up the next request."""
RATE = 20  # in a second, of all of them
PATIENCE = 30.0  # seconds


class Connection(asyncio.Protocol):
    """One request after the other; opened again where the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None

    async def ask(self, request: bytes) -> int:
        """The status, or 0 where there is no answer."""
        for _ in range(2):  # it may have been closed as idle at the same moment
            with suppress(OSError, TimeoutError):
                return await asyncio.wait_for(self._ask(request), PATIENCE)
            self.close()
        return 0

    async def _ask(self, request: bytes) -> int:
        loop = asyncio.get_running_loop()
        if self._transport is None or self._transport.is_closing():
            await loop.create_connection(lambda: self, "127.0.0.1", self._port)
        self._answer, self._parser = loop.create_future(), httptools.HttpResponseParser(self)
        if self._transport is None:
            raise ConnectionResetError
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
            self._transport = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error or ConnectionResetError())

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self._parser.get_status_code())
        if not self._parser.should_keep_alive():
            self.close()


async def probe(port: int, request: bytes, seconds: float) -> dict[str, Any]:
    """The `times` of answers with 200, and how many were `refused` (another status) or `broken` (none)."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    times: list[float] = []
    statuses: list[int] = []

    async def prober(number: int) -> None:
        connection = Connection(port)
        due = began + number / RATE
        while due < began + seconds:
            await asyncio.sleep(due - loop.time())
            statuses.append(await connection.ask(request))
            if statuses[-1] == 200:
                times.append(round(loop.time() - due, 6))
            due += PROBERS / RATE
        connection.close()

    await asyncio.gather(*map(prober, range(PROBERS)))
    broken = statuses.count(0)
    return {"times": times, "refused": len(statuses) - len(times) - broken, "broken": broken}


def main(port: int, path: str, seconds: float) -> None:
    token = sys.stdin.read().strip()
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
    # Not on uvloop, whose clock counts whole milliseconds.
    print(json.dumps(asyncio.run(probe(port, head.encode(), seconds))))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
