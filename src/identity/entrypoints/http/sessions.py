"""POST /api/auth/token/refresh/, /api/auth/token/verify/ and /api/auth/logout/"""

from __future__ import annotations

import msgspec
from litestar import post
from litestar.di import NamedDependency

from identity.application.sessions import LogOut, RefreshSession, VerifyToken
from identity.domain.session import Client
from identity.entrypoints.http.body import AnyRequest, read_body
from identity.entrypoints.http.openapi import FieldErrors, Nothing, refuses, takes


class Tokens(msgspec.Struct):
    access: str
    refresh: str


class RefreshToken(msgspec.Struct):
    refresh: str


class AnyToken(msgspec.Struct):
    token: str


@post(
    "/api/auth/token/refresh/",
    status_code=200,
    summary="Get a new access token",
    operation_class=takes(RefreshToken),
    responses=refuses(invalid=FieldErrors, unauthorized=True),
)
async def refresh(
    request: AnyRequest, refresh_session: NamedDependency[RefreshSession], client: NamedDependency[Client]
) -> Tokens:
    body = await read_body(request, RefreshToken)
    pair = await refresh_session(refresh=body.refresh, client=client)
    return Tokens(access=pair.access, refresh=pair.refresh)


@post(
    "/api/auth/token/verify/",
    status_code=200,
    summary="Ask whether a token is good",
    operation_class=takes(AnyToken),
    responses=refuses(invalid=FieldErrors, unauthorized=True),
)
async def verify(request: AnyRequest, verify_token: NamedDependency[VerifyToken]) -> Nothing:
    body = await read_body(request, AnyToken)
    await verify_token(token=body.token)
    return Nothing()


@post(
    ["/api/auth/logout/", "/api/auth/token/blacklist/"],
    status_code=200,
    summary="End the session",
    operation_class=takes(RefreshToken),
    responses=refuses(invalid=FieldErrors, unauthorized=True),
)
async def log_out(
    request: AnyRequest, log_out: NamedDependency[LogOut], client: NamedDependency[Client]
) -> Nothing:
    body = await read_body(request, RefreshToken)
    await log_out(refresh=body.refresh, client=client)
    return Nothing()
