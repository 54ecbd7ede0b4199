"""POST /api/user/change-password/, /api/auth/forgot-password/ and /api/auth/reset-password/"""

from __future__ import annotations

import msgspec
from litestar import HttpMethod, post
from litestar.di import NamedDependency

from identity.application.passwords import ChangePassword, RequestReset, ResetPassword
from identity.application.sessions import Principal
from identity.domain.secrets import Secret
from identity.domain.session import Client
from identity.entrypoints.http.authentication import other_methods
from identity.entrypoints.http.body import AnyRequest, read_body
from identity.entrypoints.http.openapi import BEARER, FieldErrors, Message, Mistake, refuses, takes


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
    summary="Change the password",
    operation_class=takes(PasswordChange),
    responses=refuses(invalid=FieldErrors | Mistake, unauthorized=True),
    security=BEARER,
)
async def change(
    request: AnyRequest,
    principal: NamedDependency[Principal],
    change_password: NamedDependency[ChangePassword],
    client: NamedDependency[Client],
) -> Message:
    body = await read_body(request, PasswordChange)
    await change_password(
        principal=principal, old_password=body.old_password, new_password=body.new_password, client=client
    )
    return Message("Password changed successfully")


change_by_other_methods = other_methods("/api/user/change-password/", HttpMethod.POST)


@post(
    "/api/auth/forgot-password/",
    status_code=200,
    summary="Ask for a mail with a reset link",
    operation_class=takes(ForgottenPassword),
    responses=refuses(invalid=FieldErrors),
)
async def forgot(request: AnyRequest, request_reset: NamedDependency[RequestReset]) -> Message:
    body = await read_body(request, ForgottenPassword)
    await request_reset(email=body.email)
    return Message("Password reset instructions sent to your email")


@post(
    "/api/auth/reset-password/",
    status_code=200,
    summary="Set a new password with a mailed link",
    operation_class=takes(PasswordReset),
    responses=refuses(invalid=FieldErrors | Mistake),
)
async def reset(
    request: AnyRequest, reset_password: NamedDependency[ResetPassword], client: NamedDependency[Client]
) -> Message:
    body = await read_body(request, PasswordReset)
    await reset_password(uidb64=body.uidb64, token=body.token, password=body.password, client=client)
    return Message("Password has been reset successfully")
