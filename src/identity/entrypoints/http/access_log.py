"""A line in the log for each request: what was asked, what was answered, and how long it took."""

from __future__ import annotations

import logging

from identity.entrypoints.logs import FIELDS

log = logging.getLogger("identity.access")


def log_request(method: str, route: str, status: int, seconds: float) -> None:
    milliseconds = round(seconds * 1000, 1)
    fields = {"method": method, "route": route, "status": status, "milliseconds": milliseconds}
    log.info("%s %s %d in %s ms", method, route, status, milliseconds, extra={FIELDS: fields})
