"""A line in the log for each request: what was asked, what was answered, and how long it took.

The path is that of the route, without what stands in its place holders; a query is left out. Neither bodies
nor headers are looked at, so that no password, token or address gets in.
"""

from __future__ import annotations

import logging
import time

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Send

from identity.entrypoints.logs import FIELDS

log = logging.getLogger("identity.access")

UNKNOWN_ROUTE = "-"


async def logged(app: ASGIApp, scope: HTTPScope, receive: Receive, send: Send) -> None:
    """Answers the request by `app`. Where there is no answer, since the client went away, the status is 0."""
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
        milliseconds = round((time.perf_counter() - began) * 1000, 1)
        fields = {"method": method, "route": route, "status": status, "milliseconds": milliseconds}
        log.info("%s %s %d in %s ms", method, route, status, milliseconds, extra={FIELDS: fields})
