"""A real HTTP server that takes webhooks, and answers them as it is told: well, badly, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from identity.testing.webhooks import ANSWER, Received

HOST = "127.0.0.1"

Respond = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Receiver:
    """Answers 204, or what stands in the path: `/status/503`. `respond` does something else."""

    respond: Respond | None = None
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    scheme: str = "http"
    serving: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def endpoint(self) -> str:
        return f"{self.scheme}://{HOST}:{self.port}/hooks?token=canary"

    def answering(self, status: int) -> str:
        return f"{self.scheme}://{HOST}:{self.port}/status/{status}/canary"

    async def requests(self) -> list[Received]:
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        if task := asyncio.current_task():
            self.serving.add(task)
            task.add_done_callback(self.serving.discard)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                request = await self._request(reader)
                self.received.append(request)
                await (self.respond or self._respond)(request, writer)
                await writer.drain()
        finally:
            writer.close()

    async def _request(self, reader: asyncio.StreamReader) -> Received:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        url = f"{self.scheme}://{headers['host']}{target}"
        return Received(url=url, method=method, headers=headers, body=body)

    async def _respond(self, request: Received, writer: asyncio.StreamWriter) -> None:
        _, _, path = request.url.partition("/status/")
        status = int(path.split("/")[0]) if path else 204
        body = b"" if status in {204, 304} else ANSWER.encode()
        lines = [
            f"HTTP/1.1 {status} {ANSWER}",
            f"X-Answer: {ANSWER}",
            f"Content-Length: {len(body)}",
            *([f"Location: {self.endpoint}"] if 300 <= status < 400 else []),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)


@contextlib.asynccontextmanager
async def receiving(
    respond: Respond | None = None, *, tls: ssl.SSLContext | None = None, host: str = HOST
) -> AsyncIterator[Receiver]:
    receiver = Receiver(respond, scheme="https" if tls else "http")
    server = await asyncio.start_server(receiver.serve, host, 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await stop(receiver.serving)


async def stop(serving: set[asyncio.Task[Any]]) -> None:
    """So that no connection outlives its test."""
    for task in serving:
        task.cancel()
    await asyncio.gather(*serving, return_exceptions=True)
