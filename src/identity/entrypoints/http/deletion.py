"""POST /api/user/delete/ and /api/auth/undo-deletion/"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from litestar import HttpMethod, post
from litestar.di import NamedDependency

from identity.application.deletion import RequestDeletion, UndoDeletion
from identity.application.sessions import Principal
from identity.domain.secrets import Secret
from identity.domain.session import Client
from identity.entrypoints.http.authentication import other_methods
from identity.entrypoints.http.body import AnyRequest, read_body
from identity.entrypoints.http.departure import WhileConnected
from identity.entrypoints.http.openapi import (
    BEARER,
    LINK_OWNER,
    LINK_TOKEN,
    MY_DATA,
    PASSWORD,
    Message,
    named,
    operation,
    request_body,
)
from identity.entrypoints.http.openapi_refusals import NOT_AUTHENTICATED
from identity.entrypoints.http.times import in_seconds


class Deletion(msgspec.Struct):
    password: Secret


class ScheduledDeletion(msgspec.Struct):
    message: str
    erased_after: datetime


class DeletionUndoing(msgspec.Struct):
    uidb64: str
    token: Secret


SCHEDULED = "Account scheduled for deletion"
UNDONE = "Account deletion undone successfully"


@post(
    "/api/user/delete/",
    status_code=200,
    operation_id=named("deleteAccount"),
    tags=[MY_DATA],
    summary="Delete the account",
    description="It is closed at once: all sessions end, and nobody can log in. It is erased at "
    "`erased_after`; the link that its owner is mailed opens it again until then. The last superuser is "
    "refused.",
    response_description="The account is closed.",
    operation_class=operation(
        ScheduledDeletion(message=SCHEDULED, erased_after=datetime(2025, 1, 2, 10, tzinfo=UTC)),
        is_throttled=True,
        takes=request_body(Deletion, {"password": "yourpassword123"}, password=PASSWORD),
        mistake="Incorrect password",
        invalid={"last superuser": {"error": "The last superuser cannot be deleted."}},
        refuses={401: NOT_AUTHENTICATED},
    ),
    security=BEARER,
)
async def request(
    request: AnyRequest,
    principal: NamedDependency[Principal],
    request_deletion: NamedDependency[RequestDeletion],
    client: NamedDependency[Client],
    *,
    while_connected: NamedDependency[WhileConnected],
) -> ScheduledDeletion:
    body = await read_body(request, Deletion)
    deletion = request_deletion(principal=principal, password=body.password, client=client)
    due_at = await while_connected(deletion)
    return ScheduledDeletion(message=SCHEDULED, erased_after=in_seconds(due_at))


request_by_other_methods = other_methods("/api/user/delete/", HttpMethod.POST)


@post(
    "/api/auth/undo-deletion/",
    status_code=200,
    operation_id=named("undoDeletion"),
    tags=[MY_DATA],
    summary="Undo the deletion of an account with a mailed link",
    description="A link works once, and until the account is erased. Opening it changes nothing, as programs "
    "that look for viruses open links too: the page behind it has to post this. The password is the same "
    "as before, and the owner gets a mail.",
    response_description="The account is open again.",
    operation_class=operation(
        Message(UNDONE),
        is_throttled=True,
        takes=request_body(
            DeletionUndoing,
            {"uidb64": "MQ", "token": "undo_deletion_token"},
            uidb64=LINK_OWNER,
            token=LINK_TOKEN,
        ),
        mistake="Invalid or expired token.",
    ),
)
async def undo(
    request: AnyRequest, undo_deletion: NamedDependency[UndoDeletion], client: NamedDependency[Client]
) -> Message:
    body = await read_body(request, DeletionUndoing)
    await undo_deletion(uidb64=body.uidb64, token=body.token, client=client)
    return Message(UNDONE)
