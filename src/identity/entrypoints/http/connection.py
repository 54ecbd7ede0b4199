"""How much time and how many octets one connection gets, before the application sees its requests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from identity.entrypoints.http.body import TIME_LIMIT as BODY_TIME_LIMIT
from identity.entrypoints.http.headers import ALWAYS

HEAD_TIME_LIMIT = 30.0  # seconds, from the start of a connection or of a further request on it
HEAD_SIZE_LIMIT = 32 * 1024  # octets
_WHOLE = "whole"
READING_TIME_LIMIT = 30.0  # seconds that a client may leave an answer unread
PIPELINE_LIMIT = 16  # requests that wait on one connection for the answers before theirs

_FRAMING = frozenset([b"content-length", b"transfer-encoding"])  # what announces a body (RFC 9112, 6.3)


def has_all_of_its_body(scope: Mapping[str, Any]) -> bool:
    """Whether the request had arrived as a whole when the application was given it."""
    return _WHOLE in scope.get("state", {})


class LimitedProtocol(HttpToolsProtocol):
    """Cuts connections where uvicorn would wait: for heads that are slow or endless, for bodies that nobody
    reads, and for clients that do not read. What is not HTTP is refused in the contract's words."""

    _deadline: asyncio.TimerHandle | None = None
    _reading_deadline: asyncio.TimerHandle | None = None
    _running: RequestResponseCycle | None = None
    _head_size = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._cut_after(HEAD_TIME_LIMIT)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._running is not None:  # uvicorn tells the last of several pipelined requests only
            self._running.disconnected = True
        self._cut_after(None)
        if self._reading_deadline is not None:
            self._reading_deadline.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head_size += len(data)
        super().data_received(data)
        if self._deadline is None:  # most requests come whole, and need none
            if not self._in_head:
                # The application answers a slow body with 408 by itself; this is for bodies it does not read.
                self._cut_after(BODY_TIME_LIMIT + 1)
            elif self._head_size:
                self._cut_after(HEAD_TIME_LIMIT)
        if self._in_head and self._head_size > HEAD_SIZE_LIMIT and not self.transport.is_closing():
            self._refuse(b"431 Request Header Fields Too Large", "Request head exceeds the limit.")

    def send_400_response(self, msg: str) -> None:
        self._refuse(b"400 Bad Request", msg)

    def on_header(self, name: bytes, value: bytes) -> None:
        # uvicorn would add trailers to the request's headers, without end. We need none (RFC 9110, 6.5.1).
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self.parser.get_http_version() not in {"1.0", "1.1"}:
            raise ValueError("another version of HTTP")
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            raise ValueError("not one Host header")  # RFC 9112, 3.2; the parser turns it into a 400
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_SIZE_LIMIT:
            raise ValueError("head too large")
        if len(self.pipeline) >= PIPELINE_LIMIT:
            raise ValueError("too many requests at once")
        wants_upgrade = self.parser.should_upgrade()
        if wants_upgrade and any(name in _FRAMING for name, _ in self.headers):
            raise ValueError("body beside an upgrade")  # the parser would take the body for the next request
        self._in_head = False
        self._cut_after(None)
        super().on_headers_complete()
        if wants_upgrade:
            self.cycle.keep_alive = False  # of what follows, the parser loses a part

    def on_message_complete(self) -> None:
        self.scope["state"][_WHOLE] = True
        self._cut_after(None)
        self._in_head = True
        self._head_size = 0
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading_deadline = self.loop.call_later(READING_TIME_LIMIT, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reading_deadline is not None:
            self._reading_deadline.cancel()

    def _unsupported_upgrade_warning(self) -> None:
        """Says nothing: it would be two lines in the log whenever any client likes."""

    def _refuse(self, status: bytes, detail: str) -> None:
        body = msgspec.json.encode({"detail": detail})
        headers = {
            **ALWAYS,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        lines = [b"HTTP/1.1 " + status, *(f"{name}: {value}".encode() for name, value in headers.items())]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()

    def _cut_after(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self.transport.abort)
