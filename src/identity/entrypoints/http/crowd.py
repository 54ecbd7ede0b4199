"""A crowd that logs in at once: whom the hashing lane cannot serve in time is refused before all else.

The lane would refuse them as well, but by then a request has cost several times as much, and two thousand of
them would keep the event loop from everybody else for seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send

from identity.application.ports import HashingLane
from identity.entrypoints.http.connection import has_all_of_its_body
from identity.entrypoints.http.errors import UNAVAILABLE

WINDOW = 2  # seconds in which a full lane is served to its end
LONGEST = 60  # seconds; who is told to wait for longer does not come back
_BODY = msgspec.json.encode({"detail": UNAVAILABLE})


class LimitedCrowd:
    """Lets as many requests in as the lane has places for. Only those count that have sent their bodies: who
    holds a body back must not hold a place. `on_refusal` is told of each that is refused."""

    def __init__(
        self, app: ASGIApp, lane: HashingLane, *, on_refusal: Callable[[], None] | None = None
    ) -> None:
        self._app = app
        self._lane = lane
        self._on_refusal = on_refusal
        self._inside = 0
        self._refused = 0
        self._forgets_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not has_all_of_its_body(scope):
            await self._app(scope, receive, send)
            return
        if self._inside >= self._lane.capacity():
            if self._on_refusal is not None:
                self._on_refusal()
            await _refuse(send, retry_after=self._another_time())
            return
        self._inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1

    def _another_time(self) -> int:
        """In how many seconds there is a place, with those who were refused lately before this one."""
        now = asyncio.get_running_loop().time()
        if now >= self._forgets_at:
            self._refused, self._forgets_at = 0, now + WINDOW
        windows = 1 + self._refused // self._lane.capacity()
        self._refused += 1
        return min(windows * WINDOW, LONGEST)


async def _refuse(send: Send, *, retry_after: int) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(_BODY)).encode()),
        (b"retry-after", str(retry_after).encode()),
    ]
    await send({"type": "http.response.start", "status": 503, "headers": headers})
    await send({"type": "http.response.body", "body": _BODY, "more_body": False})


def limiting_crowd(
    lane: HashingLane, *, on_refusal: Callable[[], None] | None = None
) -> Callable[[ASGIApp], ASGIApp]:
    def limit(app: ASGIApp) -> ASGIApp:
        return LimitedCrowd(app, lane, on_refusal=on_refusal)

    return limit
