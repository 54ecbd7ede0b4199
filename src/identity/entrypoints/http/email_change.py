"""POST /api/user/change-email/, /api/auth/confirm-email-change/ and /api/auth/undo-email-change/"""

from __future__ import annotations

import msgspec
from litestar import HttpMethod, post
from litestar.di import NamedDependency

from identity.application.email_change import (
    OWN_ADDRESS,
    ConfirmEmailChange,
    RequestEmailChange,
    UndoEmailChange,
    parse_new_address,
)
from identity.application.sessions import Principal
from identity.domain.errors import InvalidInput
from identity.domain.secrets import Secret
from identity.domain.session import Client
from identity.domain.text import Malformed
from identity.entrypoints.http.authentication import other_methods
from identity.entrypoints.http.body import AnyRequest, Unreadable, read_body
from identity.entrypoints.http.departure import WhileConnected
from identity.entrypoints.http.openapi import (
    BEARER,
    EMAIL,
    EMAIL_CHANGE,
    LINK_OWNER,
    LINK_TOKEN,
    PASSWORD,
    Message,
    named,
    operation,
    request_body,
)
from identity.entrypoints.http.openapi_refusals import NOT_AUTHENTICATED


class EmailChange(msgspec.Struct):
    new_email: str
    password: Secret


class EmailChangeConfirmation(msgspec.Struct):
    uidb64: str
    token: Secret


class EmailChangeUndoing(msgspec.Struct):
    uidb64: str
    token: Secret


@post(
    "/api/user/change-email/",
    status_code=200,
    operation_id=named("requestEmailChange"),
    tags=[EMAIL_CHANGE],
    summary="Ask for a mail to a new address, to make it one's own",
    description="Answers the same whether or not the address belongs to another account; then nothing is "
    "mailed. Nothing changes before the new address is confirmed.",
    response_description="A mail is on its way to the new address.",
    operation_class=operation(
        Message("Confirmation instructions sent to your new email"),
        is_throttled=True,
        takes=request_body(
            EmailChange,
            {"new_email": "john.doe@example.org", "password": "yourpassword123"},
            new_email=EMAIL,
            password=PASSWORD,
        ),
        mistake="Incorrect password",
        invalid={"one's own": {"new_email": [OWN_ADDRESS]}},
        refuses={401: NOT_AUTHENTICATED},
    ),
    security=BEARER,
)
async def request_change(
    request: AnyRequest,
    principal: NamedDependency[Principal],
    request_email_change: NamedDependency[RequestEmailChange],
    *,
    client: NamedDependency[Client],
    language: NamedDependency[str],
    while_connected: NamedDependency[WhileConnected],
) -> Message:
    try:
        body = await read_body(request, EmailChange)
    except Unreadable as unreadable:
        problems: dict[str, tuple[str, ...]] = dict(unreadable.fields)
        if "new_email" in unreadable.readable:
            try:
                parse_new_address(unreadable.readable["new_email"], principal.user)
            except Malformed as malformed:
                problems["new_email"] = malformed.problems
        raise InvalidInput(problems) from None
    change = request_email_change(
        principal=principal,
        new_email=body.new_email,
        password=body.password,
        client=client,
        language=language,
    )
    await while_connected(change)
    return Message("Confirmation instructions sent to your new email")


request_by_other_methods = other_methods("/api/user/change-email/", HttpMethod.POST)


@post(
    "/api/auth/confirm-email-change/",
    status_code=200,
    operation_id=named("confirmEmailChange"),
    tags=[EMAIL_CHANGE],
    summary="Make a new address one's own with the mailed link",
    description="A username that is the old address follows. Both addresses get a mail, the old one with a "
    "link that undoes the change for three days. Sessions go on; links that were mailed before are void. A "
    "link works once, and only for a while.",
    response_description="The account has the new address.",
    operation_class=operation(
        Message("Email changed successfully"),
        is_throttled=True,
        takes=request_body(
            EmailChangeConfirmation,
            {"uidb64": "MQ", "token": "email_change_token"},
            uidb64=LINK_OWNER,
            token=LINK_TOKEN,
        ),
        mistake="Invalid or expired token.",
    ),
)
async def confirm(
    request: AnyRequest,
    confirm_email_change: NamedDependency[ConfirmEmailChange],
    client: NamedDependency[Client],
) -> Message:
    body = await read_body(request, EmailChangeConfirmation)
    await confirm_email_change(uidb64=body.uidb64, token=body.token, client=client)
    return Message("Email changed successfully")


@post(
    "/api/auth/undo-email-change/",
    status_code=200,
    operation_id=named("undoEmailChange"),
    tags=[EMAIL_CHANGE],
    summary="Take an address back with the link mailed to it",
    description="The account has its earlier address again, whatever was changed since; a username that "
    "is the address follows. All sessions of the account end. The password stays: it should be reset now.",
    response_description="The account has its earlier address.",
    operation_class=operation(
        Message("Email change undone"),
        is_throttled=True,
        takes=request_body(
            EmailChangeUndoing,
            {"uidb64": "MQ", "token": "undo_token"},
            uidb64=LINK_OWNER,
            token=LINK_TOKEN,
        ),
        mistake="Invalid or expired token.",
    ),
)
async def undo(
    request: AnyRequest,
    undo_email_change: NamedDependency[UndoEmailChange],
    client: NamedDependency[Client],
) -> Message:
    body = await read_body(request, EmailChangeUndoing)
    await undo_email_change(uidb64=body.uidb64, token=body.token, client=client)
    return Message("Email change undone")
