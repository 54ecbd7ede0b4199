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
from identity.entrypoints.http.departure import WhileConnected
from identity.entrypoints.http.openapi import (
    ACCOUNTS,
    EMAIL,
    NEW_PASSWORD,
    USERNAME,
    Message,
    named,
    operation,
    request_body,
)


class Registration(msgspec.Struct):
    username: str
    email: str
    password: Secret


@post(
    "/api/auth/register/",
    operation_id=named("register"),
    tags=[ACCOUNTS],
    summary="Open an account",
    description="A username and an e-mail address each belong to one account, whatever their case. What is "
    "wrong with any field comes back in one answer.",
    response_description="The account is open, and its owner may log in.",
    operation_class=operation(
        Message("User created successfully"),
        is_throttled=True,
        takes=request_body(
            Registration,
            {"username": "john_doe", "email": "john@example.com", "password": "yourpassword123"},
            username=USERNAME,
            email=EMAIL,
            password=NEW_PASSWORD,
        ),
        invalid={
            "taken": {
                "username": ["A user with that username already exists."],
                "email": ["A user with that email already exists."],
            },
            "weak password": {
                "password": [
                    "This password is too short. It must contain at least 8 characters.",
                    "This password is too common.",
                    "This password is entirely numeric.",
                ]
            },
        },
    ),
)
async def register(
    request: AnyRequest,
    register_user: NamedDependency[RegisterUser],
    client: NamedDependency[Client],
    while_connected: NamedDependency[WhileConnected],
) -> Message:
    try:
        body = await read_body(request, Registration)
    except Unreadable as unreadable:
        others = await register_user.problems(**unreadable.readable, client=client)
        raise InvalidInput({**others, **unreadable.fields}) from None
    registration = register_user(
        username=body.username, email=body.email, password=body.password, client=client
    )
    await while_connected(registration)
    return Message("User created successfully")
