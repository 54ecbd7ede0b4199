"""GET /.well-known/jwks.json"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import HttpMethod, Response, route
from litestar.di import NamedDependency

from identity.application.signing_keys import PublishKeys
from identity.entrypoints.http.body import JSON, AnyRequest
from identity.entrypoints.http.openapi import SESSIONS, named, operation

CACHE_CONTROL = "public, max-age=300"
"""A new key is published a day before it signs; a retired one is forgotten everywhere after this long."""


class KeySet(msgspec.Struct):
    keys: list[Mapping[str, str]]


_EXAMPLE = KeySet(
    [
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "kid": "5f0c1e6b9a3d42785f0c1e6b9a3d4278",
            "alg": "ES256",
            "use": "sig",
        }
    ]
)


@route(
    "/.well-known/jwks.json",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    operation_id=named("getKeys"),
    tags=[SESSIONS],
    summary="The keys that verify access tokens",
    description="A JSON Web Key Set (RFC 7517). Fetch it again when a token names a key that is not in it.",
    response_description="The public keys, also of the next one to sign and of those that still verify.",
    operation_class=operation(_EXAMPLE),
)
async def show(request: AnyRequest, publish_keys: NamedDependency[PublishKeys]) -> Response[KeySet]:
    answer = KeySet(list(await publish_keys()))
    tag = f'"{hashlib.sha256(msgspec.json.encode(answer)).hexdigest()[:32]}"'
    headers = {"Cache-Control": CACHE_CONTROL, "ETag": tag, "Access-Control-Allow-Origin": "*"}
    if _has(request.headers.get("if-none-match", ""), tag):
        not_modified: Response[Any] = Response(None, status_code=304, headers=headers)
        return not_modified
    return Response(answer, headers=headers, media_type=JSON)


def _has(if_none_match: str, tag: str) -> bool:
    """Whether the client has what it would get (RFC 9110, 13.1.2). Weak tags, `W/"..."`, are as good here."""
    return if_none_match.strip() == "*" or tag in if_none_match
