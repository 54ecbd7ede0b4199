"""POST /api/auth/login-code/ and /api/auth/login-code/confirm/, where `IDENTITY_LOGIN_CODE` is set."""

from __future__ import annotations

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency

from identity.application.login_code import ConfirmLoginCode, RequestLoginCode
from identity.domain.secrets import Secret
from identity.domain.session import Client
from identity.entrypoints.http.body import AnyRequest, read_body
from identity.entrypoints.http.cookie_sessions import EXAMPLE, HOW, NOT_OURS, AccessToken
from identity.entrypoints.http.login import LOGIN_REFUSED
from identity.entrypoints.http.openapi import EMAIL, SESSIONS, named, operation, request_body, text
from identity.entrypoints.http.refresh_cookie import RefreshCookie
from identity.entrypoints.http.sessions import EXAMPLE_TOKENS, Tokens

PATH, CONFIRMATION = "/api/auth/login-code/", "/api/auth/login-code/confirm/"


class LoginCodeRequest(msgspec.Struct):
    email: str


class LoginCodeConfirmation(msgspec.Struct):
    request: Secret
    code: Secret


class Requested(msgspec.Struct):
    message: str
    request: str


EXAMPLE_REQUEST = "mYy0hQfyB3r0JXH6sJ6vSPpzQy5Oa3wJrM1u0yUoYkE"
MESSAGE = "Login code sent to your email"
CONFIRMS = request_body(
    LoginCodeConfirmation,
    {"request": EXAMPLE_REQUEST, "code": "4815 1623"},
    request=text("What the request for the code was answered with."),
    code=text("The code in the mail, with or without a space or a dash in it."),
)


@post(
    PATH,
    status_code=200,
    operation_id=named("requestLoginCode"),
    tags=[SESSIONS],
    summary="Ask for a mail with a code to log in with",
    description="Answers the same, and as quickly, whether or not the address belongs to an account. The "
    "code is good for ten minutes, and with the `request` of this answer alone: keep that until the code is "
    "typed in. The mail is in the language that `Accept-Language` asks for, where there is one in it.",
    response_description="If the address belongs to an account, a mail is on its way.",
    operation_class=operation(
        Requested(message=MESSAGE, request=EXAMPLE_REQUEST),
        takes=request_body(LoginCodeRequest, {"email": "john@example.com"}, email=EMAIL),
        invalid={"not an address": {"email": ["Enter a valid email address."]}},
    ),
)
async def request_code(
    request: AnyRequest,
    request_login_code: NamedDependency[RequestLoginCode],
    client: NamedDependency[Client],
    language: NamedDependency[str],
) -> Requested:
    body = await read_body(request, LoginCodeRequest)
    secret = await request_login_code(email=body.email, client=client, language=language)
    return Requested(message=MESSAGE, request=secret.reveal())


@post(
    CONFIRMATION,
    status_code=200,
    operation_id=named("confirmLoginCode"),
    tags=[SESSIONS],
    summary="Log in with a mailed code",
    description="Begins a session as a login with a password does. A request has five tries.",
    response_description="The session's tokens.",
    operation_class=operation(
        EXAMPLE_TOKENS, takes=CONFIRMS, is_throttled=True, refuses={401: LOGIN_REFUSED}
    ),
)
async def confirm(
    request: AnyRequest,
    confirm_login_code: NamedDependency[ConfirmLoginCode],
    client: NamedDependency[Client],
) -> Tokens:
    body = await read_body(request, LoginCodeConfirmation)
    pair = await confirm_login_code(request=body.request, code=body.code, client=client)
    return Tokens(refresh=pair.refresh, access=pair.access)


@post(
    CONFIRMATION,
    status_code=200,
    operation_id=named("confirmLoginCode"),
    tags=[SESSIONS],
    summary="Log in with a mailed code",
    description=f"Begins a session as a login with a password does. A request has five tries. {HOW}",
    response_description="The session's access token.",
    operation_class=operation(
        EXAMPLE, is_throttled=True, takes=CONFIRMS, forms=False, refuses={401: LOGIN_REFUSED, **NOT_OURS}
    ),
)
async def confirm_with_cookie(
    request: AnyRequest,
    confirm_login_code: NamedDependency[ConfirmLoginCode],
    client: NamedDependency[Client],
    refresh_cookie: NamedDependency[RefreshCookie],
) -> Response[AccessToken]:
    refresh_cookie.check(request)
    body = await read_body(request, LoginCodeConfirmation)
    pair = await confirm_login_code(request=body.request, code=body.code, client=client)
    return Response(AccessToken(pair.access), cookies=[refresh_cookie.holding(pair.refresh)])
