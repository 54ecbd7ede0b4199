"""POST /api/auth/token/refresh/, /api/auth/token/verify/ and /api/auth/logout/"""

from __future__ import annotations

import msgspec
from litestar import post
from litestar.di import NamedDependency

from identity.application.sessions import LogOut, RefreshSession, VerifyToken
from identity.domain.session import Client
from identity.entrypoints.http.body import AnyRequest, read_body
from identity.entrypoints.http.openapi import SESSIONS, Nothing, named, operation, request_body, text
from identity.entrypoints.http.openapi_refusals import TOKEN_REFUSED


class Tokens(msgspec.Struct):
    access: str
    refresh: str


class RefreshToken(msgspec.Struct):
    refresh: str


class AnyToken(msgspec.Struct):
    token: str


EXAMPLE_TOKENS = Tokens(access="jwt_access_token", refresh="jwt_refresh_token")
REFRESH_TOKEN = request_body(
    RefreshToken, {"refresh": "jwt_refresh_token"}, refresh=text("A refresh token of the session.")
)


@post(
    "/api/auth/token/refresh/",
    status_code=200,
    operation_id=named("refreshSession"),
    tags=[SESSIONS],
    summary="Get a new access token",
    description="Keep both tokens of the answer: soon after the new refresh token is first used, the old one "
    "is no longer good, and whoever sends it all the same ends the session.",
    response_description="A new access token, and the refresh token to use next.",
    operation_class=operation(
        EXAMPLE_TOKENS,
        takes=REFRESH_TOKEN,
        is_throttled=True,
        refuses={401: TOKEN_REFUSED},
    ),
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
    operation_id=named("verifyToken"),
    tags=[SESSIONS],
    summary="Ask whether a token is good",
    description="Asks the session too: no token is good once its session is over. Changes nothing.",
    response_description="It is good.",
    operation_class=operation(
        Nothing(),
        takes=request_body(
            AnyToken,
            {"token": "jwt_access_token"},
            token=text("An access token or a refresh token."),
        ),
        refuses={401: TOKEN_REFUSED},
    ),
)
async def verify(request: AnyRequest, verify_token: NamedDependency[VerifyToken]) -> Nothing:
    body = await read_body(request, AnyToken)
    await verify_token(token=body.token)
    return Nothing()


@post(
    ["/api/auth/logout/", "/api/auth/token/blacklist/"],
    status_code=200,
    operation_id=named("logOut", blacklist="blacklistToken"),
    tags=[SESSIONS],
    summary="End the session",
    description="Any refresh token of the session will do, superseded ones included. All its tokens are "
    "refused from now on, access tokens too. `/api/auth/token/blacklist/` is another name of "
    "`/api/auth/logout/`.",
    response_description="The session is over.",
    operation_class=operation(
        Nothing(),
        takes=REFRESH_TOKEN,
        refuses={401: TOKEN_REFUSED},
    ),
)
async def log_out(
    request: AnyRequest, log_out: NamedDependency[LogOut], client: NamedDependency[Client]
) -> Nothing:
    body = await read_body(request, RefreshToken)
    await log_out(refresh=body.refresh, client=client)
    return Nothing()
