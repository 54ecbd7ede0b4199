"""POST /api/auth/login/"""

from __future__ import annotations

import msgspec
from litestar import post
from litestar.di import NamedDependency

from identity.application.login import LogIn
from identity.domain.secrets import Secret
from identity.domain.session import Client
from identity.entrypoints.http.body import AnyRequest, read_body
from identity.entrypoints.http.departure import WhileConnected
from identity.entrypoints.http.openapi import PASSWORD, SESSIONS, named, operation, request_body, text
from identity.entrypoints.http.openapi_refusals import CHALLENGE, refusal
from identity.entrypoints.http.sessions import EXAMPLE_TOKENS, Tokens


class Credentials(msgspec.Struct):
    username: str
    password: Secret


CREDENTIALS = request_body(
    Credentials,
    {"username": "john_doe", "password": "yourpassword123"},
    username=text("The account's username or e-mail address, in any case."),
    password=PASSWORD,
)
LOGIN_REFUSED = refusal(
    "Unknown, wrong or disabled: one answer for all of them.",
    "Detail",
    headers=CHALLENGE,
    examples={
        "refused": {"detail": "No active account found with the given credentials"},
    },
)


@post(
    "/api/auth/login/",
    status_code=200,
    operation_id=named("logIn"),
    tags=[SESSIONS],
    summary="Log in with a username or an e-mail address",
    description="Begins a session: an access token for requests, a refresh token for the next access token.",
    response_description="The session's tokens.",
    operation_class=operation(
        EXAMPLE_TOKENS,
        takes=CREDENTIALS,
        is_throttled=True,
        refuses={401: LOGIN_REFUSED},
    ),
)
async def log_in(
    request: AnyRequest,
    log_in: NamedDependency[LogIn],
    client: NamedDependency[Client],
    while_connected: NamedDependency[WhileConnected],
) -> Tokens:
    body = await read_body(request, Credentials)
    pair = await while_connected(log_in(username=body.username, password=body.password, client=client))
    return Tokens(refresh=pair.refresh, access=pair.access)
