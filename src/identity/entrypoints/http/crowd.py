"""A crowd that logs in at once: whom the hashing lane cannot serve in time is refused before anything is done.

The lane would refuse them as well, but by then a request has cost several times as much, and two thousand of
them would keep the event loop from everybody else for seconds.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from litestar.types import ASGIApp, Receive, Scope, Send

from identity.application.ports import HashingLane
from identity.entrypoints.http.connection import has_all_of_its_body
from identity.entrypoints.http.errors import UNAVAILABLE

_BODY = msgspec.json.encode({"detail": UNAVAILABLE})


class LimitedCrowd:
    """Lets as many requests in as the lane has places for. Only those count that have sent their bodies: who
    holds a body back must not hold a place."""

    def __init__(self, app: ASGIApp, lane: HashingLane) -> None:
        self._app = app
        self._lane = lane
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not has_all_of_its_body(scope):
            await self._app(scope, receive, send)
            return
        if self._inside >= self._lane.capacity():
            await self._refuse(send)
            return
        self._inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1

    async def _refuse(self, send: Send) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(_BODY)).encode()),
            (b"retry-after", b"2"),
        ]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": _BODY, "more_body": False})


def limiting_crowd(lane: HashingLane) -> Callable[[ASGIApp], ASGIApp]:
    def limit(app: ASGIApp) -> ASGIApp:
        return LimitedCrowd(app, lane)

    return limit
