"""Which pages of other origins may call the API, and a word to the developer whose page may not."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from litestar.config.cors import CORSConfig
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.types import Message, Scope

log = logging.getLogger(__name__)

REFUSED = b'{"detail":"Cross-origin request not allowed."}'

_MOST_TOLD = 20  # origins; whoever sends made-up ones does not fill the log


def cors_config(origins: Sequence[str], *, credentials: bool) -> CORSConfig:
    """`credentials`: pages of these origins may send their cookies along."""
    return CORSConfig(
        allow_origins=list(origins),
        allow_credentials=credentials,
        allow_methods=["GET", "HEAD", "POST", "DELETE", "OPTIONS"],
        allow_headers=["authorization", "content-type"],
        expose_headers=["Retry-After", "X-Request-ID"],
    )


async def withhold_credentials(message: Message, scope: Scope) -> None:
    """Litestar allows them to any origin; without the other header it means nothing, but it reads badly."""
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        if "access-control-allow-origin" not in headers and "access-control-allow-credentials" in headers:
            del headers["access-control-allow-credentials"]


async def refuse_in_json(message: Message, scope: Scope) -> None:
    """Litestar refuses a preflight in plain text; here it gets the body that every refusal has."""
    state = scope.setdefault("state", {})
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        if message["status"] == 400 and headers.get("content-type", "").startswith("text/plain"):
            headers["Content-Type"] = "application/json"
            headers["Content-Length"] = str(len(REFUSED))
            state["preflight_refused"] = True
    elif message["type"] == "http.response.body" and state.get("preflight_refused"):
        message["body"] = REFUSED


class RefusedOrigins:
    """Logs each origin whose preflight is refused, once: the browser tells its developer little."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    async def __call__(self, message: Message, scope: Scope) -> None:
        if message["type"] != "http.response.start" or scope.get("method") != "OPTIONS":
            return
        origin = Headers.from_scope(scope).get("origin")
        allowed = any(name.lower() == b"access-control-allow-origin" for name, _ in message["headers"])
        if origin is None or allowed or origin in self._told or len(self._told) >= _MOST_TOLD:
            return
        self._told.add(origin)
        log.warning("a page of %.100r was refused: its origin is not in IDENTITY_CORS_ORIGINS", origin)
