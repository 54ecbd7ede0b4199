"""POST /api/auth/login/"""

from __future__ import annotations

import msgspec
from litestar import post
from litestar.di import NamedDependency

from identity.application.login import LogIn
from identity.domain.secrets import Secret
from identity.domain.session import Client
from identity.entrypoints.http.body import AnyRequest, read_body
from identity.entrypoints.http.openapi import FieldErrors, refuses, takes
from identity.entrypoints.http.sessions import Tokens


class Credentials(msgspec.Struct):
    username: str
    password: Secret


@post(
    "/api/auth/login/",
    status_code=200,
    summary="Log in with a username or an e-mail address",
    operation_class=takes(Credentials),
    responses=refuses(invalid=FieldErrors, unauthorized=True),
)
async def log_in(
    request: AnyRequest, log_in: NamedDependency[LogIn], client: NamedDependency[Client]
) -> Tokens:
    body = await read_body(request, Credentials)
    pair = await log_in(username=body.username, password=body.password, client=client)
    return Tokens(refresh=pair.refresh, access=pair.access)
