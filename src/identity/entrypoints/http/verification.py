"""POST /api/auth/verify-email/ and /api/auth/resend-verification/"""

from __future__ import annotations

import msgspec
from litestar import post
from litestar.di import NamedDependency

from identity.application.verification import RequestVerification, VerifyEmail
from identity.domain.secrets import Secret
from identity.domain.session import Client
from identity.entrypoints.http.body import AnyRequest, read_body
from identity.entrypoints.http.openapi import (
    ACCOUNTS,
    EMAIL,
    LINK_OWNER,
    LINK_TOKEN,
    Message,
    named,
    operation,
    request_body,
)


class Verification(msgspec.Struct):
    uidb64: str
    token: Secret


class UnverifiedAddress(msgspec.Struct):
    email: str


@post(
    "/api/auth/verify-email/",
    status_code=200,
    operation_id=named("verifyEmail"),
    tags=[ACCOUNTS],
    summary="Verify an e-mail address with a mailed link",
    description="A link works once, and only for a while. Opening it changes nothing, as programs that look "
    "for viruses open links too: the page behind it has to post this.",
    response_description="The address is verified.",
    operation_class=operation(
        Message("Email verified successfully"),
        is_throttled=True,
        takes=request_body(
            Verification,
            {"uidb64": "MQ", "token": "email_verification_token"},
            uidb64=LINK_OWNER,
            token=LINK_TOKEN,
        ),
        mistake="Invalid or expired token.",
    ),
)
async def verify(
    request: AnyRequest, verify_email: NamedDependency[VerifyEmail], client: NamedDependency[Client]
) -> Message:
    body = await read_body(request, Verification)
    await verify_email(uidb64=body.uidb64, token=body.token, client=client)
    return Message("Email verified successfully")


@post(
    "/api/auth/resend-verification/",
    status_code=200,
    operation_id=named("requestVerification"),
    tags=[ACCOUNTS],
    summary="Ask for another mail to verify an address",
    description="Answers the same, and as quickly, whether or not the address belongs to an account, and "
    "whether or not it is verified.",
    response_description="If the address belongs to an account and is not verified, a mail is on its way.",
    operation_class=operation(
        Message("Verification instructions sent to your email"),
        takes=request_body(UnverifiedAddress, {"email": "john@example.com"}, email=EMAIL),
        invalid={"not an address": {"email": ["Enter a valid email address."]}},
    ),
)
async def resend(
    request: AnyRequest,
    request_verification: NamedDependency[RequestVerification],
    client: NamedDependency[Client],
    language: NamedDependency[str],
) -> Message:
    body = await read_body(request, UnverifiedAddress)
    await request_verification(email=body.email, client=client, language=language)
    return Message("Verification instructions sent to your email")
