"""POST /api/user/change-password/, /api/auth/forgot-password/ and /api/auth/reset-password/"""

from __future__ import annotations

import msgspec
from litestar import HttpMethod, post
from litestar.di import NamedDependency

from identity.application.passwords import ChangePassword, JudgePassword, RequestReset, ResetPassword
from identity.application.sessions import Principal
from identity.domain.errors import InvalidInput
from identity.domain.secrets import Secret
from identity.domain.session import Client
from identity.entrypoints.http.authentication import other_methods
from identity.entrypoints.http.body import AnyRequest, Unreadable, read_body
from identity.entrypoints.http.departure import WhileConnected
from identity.entrypoints.http.openapi import (
    BEARER,
    EMAIL,
    LINK_REFERENCE,
    LINK_TOKEN,
    NEW_PASSWORD,
    PASSWORD,
    PASSWORDS,
    Message,
    named,
    operation,
    request_body,
)
from identity.entrypoints.http.openapi_refusals import NOT_AUTHENTICATED


class PasswordChange(msgspec.Struct):
    old_password: Secret
    new_password: Secret


class ForgottenPassword(msgspec.Struct):
    email: str


class PasswordReset(msgspec.Struct):
    uidb64: str
    token: Secret
    password: Secret


@post(
    "/api/user/change-password/",
    status_code=200,
    operation_id=named("changePassword"),
    tags=[PASSWORDS],
    summary="Change the password",
    description="The account's other sessions end, this one goes on. The owner gets a mail.",
    response_description="The new password holds.",
    operation_class=operation(
        Message("Password changed successfully"),
        is_throttled=True,
        takes=request_body(
            PasswordChange,
            {"old_password": "yourpassword123", "new_password": "yournewpassword123"},
            old_password=PASSWORD,
            new_password=NEW_PASSWORD,
        ),
        mistake="Incorrect old password",
        invalid={
            "similar password": {
                "new_password": [
                    "The password is too similar to the username.",
                    "The password is too similar to the email address.",
                ]
            }
        },
        refuses={401: NOT_AUTHENTICATED},
    ),
    security=BEARER,
)
async def change(
    request: AnyRequest,
    principal: NamedDependency[Principal],
    change_password: NamedDependency[ChangePassword],
    judge_password: NamedDependency[JudgePassword],
    *,
    client: NamedDependency[Client],
    while_connected: NamedDependency[WhileConnected],
) -> Message:
    try:
        body = await read_body(request, PasswordChange)
    except Unreadable as unreadable:
        problems: dict[str, tuple[str, ...]] = dict(unreadable.fields)
        if "new_password" in unreadable.readable:
            user, password = principal.user, unreadable.readable["new_password"]
            unacceptable = judge_password(password, username=user.username, email=user.email)
            problems |= {"new_password": unacceptable} if unacceptable else {}
        raise InvalidInput(problems) from None
    change = change_password(
        principal=principal, old_password=body.old_password, new_password=body.new_password, client=client
    )
    await while_connected(change)
    return Message("Password changed successfully")


change_by_other_methods = other_methods("/api/user/change-password/", HttpMethod.POST)


@post(
    "/api/auth/forgot-password/",
    status_code=200,
    operation_id=named("requestPasswordReset"),
    tags=[PASSWORDS],
    summary="Ask for a mail with a reset link",
    description="Answers the same, and as quickly, whether or not the address belongs to an account. The "
    "mail is in the language that `Accept-Language` asks for, where there is one in it.",
    response_description="If the address belongs to an account, a mail is on its way.",
    operation_class=operation(
        Message("Password reset instructions sent to your email"),
        takes=request_body(ForgottenPassword, {"email": "john@example.com"}, email=EMAIL),
        invalid={"not an address": {"email": ["Enter a valid email address."]}},
    ),
)
async def forgot(
    request: AnyRequest,
    request_reset: NamedDependency[RequestReset],
    client: NamedDependency[Client],
    language: NamedDependency[str],
) -> Message:
    body = await read_body(request, ForgottenPassword)
    await request_reset(email=body.email, client=client, language=language)
    return Message("Password reset instructions sent to your email")


@post(
    "/api/auth/reset-password/",
    status_code=200,
    operation_id=named("resetPassword"),
    tags=[PASSWORDS],
    summary="Set a new password with a mailed link",
    description="All sessions of the account end, and its owner gets a mail. A link works once, and only for "
    "a while; a password that is not acceptable does not spend it.",
    response_description="The new password holds.",
    operation_class=operation(
        Message("Password has been reset successfully"),
        is_throttled=True,
        takes=request_body(
            PasswordReset,
            {"uidb64": "MQ", "token": "password_reset_token", "password": "newpassword123"},
            uidb64=LINK_REFERENCE,
            token=LINK_TOKEN,
            password=NEW_PASSWORD,
        ),
        mistake="Invalid or expired token.",
        invalid={"weak password": {"password": ["This password is too common."]}},
    ),
)
async def reset(
    request: AnyRequest,
    reset_password: NamedDependency[ResetPassword],
    client: NamedDependency[Client],
    while_connected: NamedDependency[WhileConnected],
) -> Message:
    body = await read_body(request, PasswordReset)
    reset = reset_password(uidb64=body.uidb64, token=body.token, password=body.password, client=client)
    await while_connected(reset)
    return Message("Password has been reset successfully")
