"""Headers that every answer carries, refusals and failures included."""

from __future__ import annotations

import secrets

from litestar.types import Message, Scope

ALWAYS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_ALWAYS = [(name.lower().encode(), value.encode()) for name, value in ALWAYS.items()]


def request_id(scope: Scope) -> str:
    """The number of this request, made when first asked for; in the log and in the answer it is the same."""
    state: dict[str, str] = scope.setdefault("state", {})
    return state.setdefault("request_id", secrets.token_hex(8))


async def add_headers(message: Message, scope: Scope) -> None:
    """Leaves alone what a route has set itself."""
    if message["type"] == "http.response.start":
        headers = list(message.get("headers", ()))
        named = {name.lower() for name, _ in headers}
        ours = [*_ALWAYS, (b"x-request-id", request_id(scope).encode())]
        message["headers"] = headers + [header for header in ours if header[0] not in named]
