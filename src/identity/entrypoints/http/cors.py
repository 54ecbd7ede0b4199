"""Which pages of other origins may call the API, and a word to the developer whose page may not."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from litestar.config.cors import CORSConfig
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.types import Message, Scope

log = logging.getLogger(__name__)

REFUSED = b'{"detail":"Cross-origin request not allowed."}'

ORIGIN_REFUSED = "origin_refused"
"""In the state of a request that was refused for its origin."""

_MOST_TOLD = 20  # reasons; whoever sends made-up origins does not fill the log
# The last two mean nothing here, but apps that talked to Django send them.
_ALLOWED_HEADERS = ("authorization", "content-type", "x-csrftoken", "x-requested-with")
_ALWAYS = frozenset({"accept", "accept-language", "content-language"})  # the Fetch standard, 2.2.2


def cors_config(origins: Sequence[str], *, credentials: bool) -> CORSConfig:
    """`credentials`: pages of these origins may send their cookies along."""
    return CORSConfig(
        allow_origins=list(origins),
        allow_credentials=credentials,
        allow_methods=["GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=list(_ALLOWED_HEADERS),
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
    if message["type"] == "http.response.start" and message["status"] == 400:
        headers = MutableScopeHeaders.from_message(message)
        if headers.get("content-type", "").startswith("text/plain"):
            headers["Content-Type"] = "application/json"
            headers["Content-Length"] = str(len(REFUSED))
            scope.setdefault("state", {})["preflight_refused"] = True
    elif message["type"] == "http.response.body" and "preflight_refused" in scope.get("state", {}):
        message["body"] = REFUSED


class RefusedPages:
    """Logs why a page is refused, once for each reason: the browser tells its developer little.

    A preflight of another origin, or for a header or method that is not allowed; and where a cookie vouches
    for a page, a request of another origin, for which no browser asks first.
    """

    def __init__(self, config: CORSConfig) -> None:
        self._config = config
        self._told: set[str] = set()

    async def __call__(self, message: Message, scope: Scope) -> None:
        if message["type"] != "http.response.start" or message["status"] not in {400, 403}:
            return
        reason = self._reason(message["status"], scope)
        if reason is not None and reason not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(reason)
            log.warning("%s", reason)

    def _reason(self, status: int, scope: Scope) -> str | None:
        method, headers = str(scope.get("method")), Headers.from_scope(scope)
        origin = headers.get("origin")
        if ORIGIN_REFUSED in scope.get("state", {}):
            if origin is None:
                return "a request without an Origin was refused: the refresh cookie is for pages in a browser"
            return f"a request of {origin!a:.100} was refused: its origin is not in IDENTITY_CORS_ORIGINS"
        if method != "OPTIONS" or origin is None or status != 400:
            return None
        if not self._config.is_origin_allowed(origin):
            return f"a page of {origin!a:.100} was refused: its origin is not in IDENTITY_CORS_ORIGINS"
        asked = headers.get("access-control-request-headers", "").lower().split(",")
        names = [name.strip() for name in asked if name.strip() not in {"", *_ALWAYS, *_ALLOWED_HEADERS}]
        if names:
            return f"a page of {origin!a:.100} was refused: it sends the header {', '.join(names)!a:.100}"
        wanted = headers.get("access-control-request-method", "")
        return f"a page of {origin!a:.100} was refused: it uses the method {wanted!a:.40}"
