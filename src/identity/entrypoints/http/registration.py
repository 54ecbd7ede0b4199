"""POST /api/auth/register/"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec
from litestar import post
from litestar.di import NamedDependency

from identity.application.registration import JudgeRegistration
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


@runtime_checkable
class OpenAccount(Protocol):
    """One of the two ways, as the deployment has it: telling which addresses are taken, or not."""

    @property
    def judge_registration(self) -> JudgeRegistration: ...

    async def __call__(
        self, *, username: str, email: str, password: Secret, client: Client, language: str
    ) -> object: ...


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
    "wrong with any field comes back in one answer. A mail with a link to verify the address is on its way, "
    "unless the service does not verify them. Where it has to be verified before anybody logs in, a taken "
    "address gets the same answer, and its owner a mail.",
    response_description="The account is open, and its owner may log in, once the address is verified if it "
    "has to be.",
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
    open_account: NamedDependency[OpenAccount],
    client: NamedDependency[Client],
    language: NamedDependency[str],
    while_connected: NamedDependency[WhileConnected],
) -> Message:
    try:
        body = await read_body(request, Registration)
    except Unreadable as unreadable:
        others = await open_account.judge_registration(**unreadable.readable, client=client)
        raise InvalidInput({**others, **unreadable.fields}) from None
    registration = open_account(
        username=body.username,
        email=body.email,
        password=body.password,
        client=client,
        language=language,
    )
    await while_connected(registration)
    return Message("User created successfully")
