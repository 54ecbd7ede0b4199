"""What handlers return, on its way out."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

_encoder = msgspec.json.Encoder()


class JsonAnswer(Response[Any]):
    """JSON without headers of its own, which all but a few answers are: for those Litestar's way, with its
    copies of headers that are not there, takes as long as all else that it does."""

    def to_asgi_response(self, app: Any, request: Any, **extras: Any) -> ASGIResponse:
        if self.headers or self.cookies or any(extras.values()):
            return super().to_asgi_response(app, request, **extras)
        return _Encoded(_encoder.encode(self.content), self.status_code or 200)


class _Encoded(ASGIResponse):
    __slots__ = ()

    def __init__(self, body: bytes, status_code: int) -> None:
        self.body = body
        self.status_code = status_code

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self.body)).encode()),
        ]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})
