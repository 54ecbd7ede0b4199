"""Login, refresh and logout where `IDENTITY_REFRESH_COOKIE` keeps the refresh token in a cookie."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency

from identity.application.login import LogIn
from identity.application.sessions import LogOut, RefreshSession
from identity.domain.errors import TokenFault, TokenRefused
from identity.domain.session import Client
from identity.entrypoints.http.body import AnyRequest, read_body
from identity.entrypoints.http.departure import WhileConnected
from identity.entrypoints.http.errors import answer_refusal
from identity.entrypoints.http.login import CREDENTIALS, LOGIN_REFUSED, Credentials
from identity.entrypoints.http.openapi import SESSIONS, Nothing, named, operation, request_body
from identity.entrypoints.http.openapi_refusals import NOT_JSON, ORIGIN_REFUSED, TOKEN_REFUSED
from identity.entrypoints.http.refresh_cookie import RefreshCookie


class AccessToken(msgspec.Struct):
    access: str


class NoFields(msgspec.Struct):
    """A body of which nothing is read."""


EXAMPLE = AccessToken(access="jwt_access_token")
NO_FIELDS = request_body(NoFields, {})
NOT_OURS = {403: ORIGIN_REFUSED, 415: NOT_JSON}
HOW = "The request has to be `application/json` from a page of an allowed origin, sent with credentials."


@post(
    "/api/auth/login/",
    status_code=200,
    operation_id=named("logIn"),
    tags=[SESSIONS],
    summary="Log in with a username or an e-mail address",
    description="Begins a session: an access token for requests, and in a cookie that scripts cannot read a "
    f"refresh token for the next access token. {HOW}",
    response_description="The session's access token.",
    operation_class=operation(
        EXAMPLE, is_throttled=True, takes=CREDENTIALS, forms=False, refuses={401: LOGIN_REFUSED, **NOT_OURS}
    ),
)
async def log_in(
    request: AnyRequest,
    log_in: NamedDependency[LogIn],
    client: NamedDependency[Client],
    while_connected: NamedDependency[WhileConnected],
    refresh_cookie: NamedDependency[RefreshCookie],
) -> Response[AccessToken]:
    refresh_cookie.check(request)
    body = await read_body(request, Credentials)
    pair = await while_connected(log_in(username=body.username, password=body.password, client=client))
    return Response(AccessToken(pair.access), cookies=[refresh_cookie.holding(pair.refresh)])


@post(
    "/api/auth/token/refresh/",
    status_code=200,
    operation_id=named("refreshSession"),
    tags=[SESSIONS],
    summary="Get a new access token",
    description=f"For the refresh token in the cookie, which is replaced. {HOW}",
    response_description="A new access token.",
    operation_class=operation(
        EXAMPLE, is_throttled=True, takes=NO_FIELDS, forms=False, refuses={401: TOKEN_REFUSED, **NOT_OURS}
    ),
)
async def refresh(
    request: AnyRequest,
    refresh_session: NamedDependency[RefreshSession],
    client: NamedDependency[Client],
    refresh_cookie: NamedDependency[RefreshCookie],
) -> Response[AccessToken]:
    refresh_cookie.check(request)
    await read_body(request, NoFields)
    token = refresh_cookie.token(request)
    try:
        pair = await refresh_session(refresh=token, client=client)
    except TokenRefused as refusal:
        return _refused(request, refusal, refresh_cookie)
    return Response(AccessToken(pair.access), cookies=[refresh_cookie.holding(pair.refresh)])


@post(
    ["/api/auth/logout/", "/api/auth/token/blacklist/"],
    status_code=200,
    operation_id=named("logOut", blacklist="blacklistToken"),
    tags=[SESSIONS],
    summary="End the session",
    description="Of the refresh token in the cookie, which is deleted. All tokens of the session are refused "
    f"from now on, access tokens too. {HOW}",
    response_description="The session is over.",
    operation_class=operation(
        Nothing(), takes=NO_FIELDS, forms=False, refuses={401: TOKEN_REFUSED, **NOT_OURS}
    ),
)
async def log_out(
    request: AnyRequest,
    log_out: NamedDependency[LogOut],
    client: NamedDependency[Client],
    refresh_cookie: NamedDependency[RefreshCookie],
) -> Response[Nothing]:
    refresh_cookie.check(request)
    await read_body(request, NoFields)
    token = refresh_cookie.token(request)
    try:
        await log_out(refresh=token, client=client)
    except TokenRefused as refusal:
        return _refused(request, refusal, refresh_cookie)
    return Response(Nothing(), cookies=[refresh_cookie.emptied()])


def _refused(request: AnyRequest, refusal: TokenRefused, refresh_cookie: RefreshCookie) -> Response[Any]:
    """As everywhere; but a cookie whose session is over is deleted, or the browser would send it for a month.

    One that is merely not genuine stays: it may be so to this process only, for want of the right secret.
    """
    answer = answer_refusal(request, refusal)
    if refusal.reason in {TokenFault.BLACKLISTED, TokenFault.EXPIRED}:
        answer.set_cookie(refresh_cookie.emptied())
    return answer
