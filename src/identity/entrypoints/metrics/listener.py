"""The address at which Prometheus asks: GET /metrics, and nothing else.

It shares the event loop with the service, so whoever can reach it is held to little: few connections, heads
that are short and come soon, answers that are read soon, and only so many in a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from identity.entrypoints.http.headers import ALWAYS

log = logging.getLogger("identity")

PATH = "/metrics"
MOST_CONNECTIONS = 8
HEAD_SIZE_LIMIT = 8 * 1024  # octets
TIME_LIMIT = 10.0  # seconds for all of a request; Prometheus by itself waits for no longer
PAUSE = 0.1  # seconds between one look at the figures and the next

Exposed = Callable[[str], Awaitable[tuple[bytes, str]]]
"""The figures in the form that an `Accept` header asks for, and their media type."""


def listen(host: str, ports: Sequence[int]) -> socket.socket:
    """Takes the first of the ports that is free. Raises `OSError` where none is."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in ports[:-1]:
        with contextlib.suppress(OSError):
            return socket.create_server((host, port), family=family)
    return socket.create_server((host, ports[-1]), family=family)


@contextlib.asynccontextmanager
async def answering(exposed: Exposed, listener: socket.socket) -> AsyncIterator[None]:
    """Answers on this socket until the block ends."""
    answerer = _Answerer(exposed)
    server = await asyncio.start_server(answerer.answer, sock=listener, limit=HEAD_SIZE_LIMIT)
    host, port = listener.getsockname()[:2]
    log.info("metrics on http://%s:%d%s", f"[{host}]" if ":" in host else host, port, PATH)
    try:
        yield
    finally:
        server.close()
        await answerer.stop()


class _Answerer:
    def __init__(self, exposed: Exposed) -> None:
        self._exposed = exposed
        self._one_at_a_time = asyncio.Lock()
        self._next_at = 0.0
        self._running: set[asyncio.Task[None]] = set()

    def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._running) >= MOST_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._answer_in_time(reader, writer))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def stop(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _answer_in_time(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(TIME_LIMIT):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(await self._answer_to(head))
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            """Whoever it was is cut off, and may try again."""
        except Exception:
            log.exception("a request for the metrics failed")
        finally:
            writer.transport.abort()

    async def _answer_to(self, head: bytes) -> bytes:
        first, *lines = head.decode("latin-1").split("\r\n")
        match first.split(" "):
            case [method, target, "HTTP/1.0" | "HTTP/1.1"]:
                path, _, _ = target.partition("?")
            case _:
                return _response("400 Bad Request")
        if path != PATH:
            return _response("404 Not Found")
        if method != "GET":
            return _response("405 Method Not Allowed", {"Allow": "GET"})
        headers = (line.partition(":") for line in lines)
        accept = ",".join(value for name, _, value in headers if name.lower() == "accept")
        body, media_type = await self._figures(accept)
        return _response("200 OK", {"Content-Type": media_type}, body)

    async def _figures(self, accept: str) -> tuple[bytes, str]:
        loop = asyncio.get_running_loop()
        async with self._one_at_a_time:
            await asyncio.sleep(self._next_at - loop.time())
            try:
                return await self._exposed(accept)
            finally:
                self._next_at = loop.time() + PAUSE


def _response(status: str, headers: dict[str, str] | None = None, body: bytes = b"") -> bytes:
    all_headers = {
        **ALWAYS,
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **(headers or {}),
    }
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in all_headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body
