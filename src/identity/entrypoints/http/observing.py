"""Who is told of each request once it is answered: the log of requests, and the metrics.

The path is that of the route, without what stands in its place holders; a query is left out. Neither bodies
nor headers are looked at, so that no password, token or address gets in.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Send

UNKNOWN_ROUTE = "-"


class Observer(Protocol):
    def __call__(self, method: str, route: str, status: int, seconds: float) -> None:
        """Where there was no answer, since the client went away, the status is 0. The method is as the client
        sent it: any text, and of any length."""


async def observed(
    app: ASGIApp, scope: HTTPScope, receive: Receive, send: Send, *, observers: Sequence[Observer]
) -> None:
    """Answers the request by `app`, and tells the observers."""
    began, status = time.perf_counter(), 0

    async def noting(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        await send(message)

    method = scope.get("state", {}).get("method", scope["method"])
    try:
        await app(scope, receive, noting)
    finally:
        route = str(scope.get("path_template") or UNKNOWN_ROUTE)
        seconds = time.perf_counter() - began
        for observe in observers:
            observe(method, route, status, seconds)
