"""POST /api/auth/register/"""

from __future__ import annotations

import msgspec
from litestar import post
from litestar.di import NamedDependency

from identity.application.registration import RegisterUser
from identity.domain.errors import InvalidInput
from identity.domain.secrets import Secret
from identity.domain.session import Client
from identity.entrypoints.http.body import AnyRequest, Unreadable, read_body
from identity.entrypoints.http.openapi import FieldErrors, Message, refuses, takes


class Registration(msgspec.Struct):
    username: str
    email: str
    password: Secret


@post(
    "/api/auth/register/",
    summary="Open an account",
    operation_class=takes(Registration),
    responses=refuses(invalid=FieldErrors),
)
async def register(
    request: AnyRequest, register_user: NamedDependency[RegisterUser], client: NamedDependency[Client]
) -> Message:
    try:
        body = await read_body(request, Registration)
    except Unreadable as unreadable:
        others = await register_user.problems(**unreadable.readable)
        raise InvalidInput({**others, **unreadable.fields}) from None
    await register_user(username=body.username, email=body.email, password=body.password, client=client)
    return Message("User created successfully")
