"""GET /api/admin/outbox/ and POST /api/admin/outbox/{letter_id}/retry/"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self

import msgspec
from litestar import HttpMethod, post, route
from litestar.di import NamedDependency
from litestar.params import FromPath

from identity.application.letters import Letter
from identity.application.mail import MAIL
from identity.application.outbox_administration import MOST_LETTERS, ListOutbox, RetryLetter
from identity.application.sessions import Principal
from identity.domain.session import Client
from identity.entrypoints.http.administration import ADMINISTRATORS_ONLY
from identity.entrypoints.http.authentication import other_methods
from identity.entrypoints.http.body import AnyRequest
from identity.entrypoints.http.openapi import (
    ADMINISTRATION,
    BEARER,
    named,
    number_parameter,
    operation,
    query,
    text_parameter,
)
from identity.entrypoints.http.openapi_refusals import DEAD_LETTER_NOT_FOUND
from identity.entrypoints.http.query import Query
from identity.entrypoints.http.times import in_seconds, in_seconds_if_any

WAITING, DEAD = "waiting", "dead"


class QueuedLetter(msgspec.Struct):
    """Nothing of what is in it: that may be for its reader alone."""

    id: str
    queue: str
    kind: str
    user_id: int | None
    email: str | None
    created_at: datetime
    due_at: datetime
    attempts: int
    error: str | None
    dead_at: datetime | None

    @classmethod
    def of(cls, letter: Letter) -> Self:
        return cls(
            id=letter.id,
            queue=letter.queue,
            kind=letter.kind,
            user_id=letter.user_id,
            email=letter.email_key,
            created_at=in_seconds(letter.created_at),
            due_at=in_seconds(letter.due_at),
            attempts=letter.attempts,
            error=letter.error,
            dead_at=in_seconds_if_any(letter.dead_at),
        )


class LettersPage(msgspec.Struct):
    letters: list[QueuedLetter]
    next: str | None


_TIME = datetime(2024, 12, 19, 10, tzinfo=UTC)
_EXAMPLE = QueuedLetter(
    id="5f0c1e6b9a3d42785f0c1e6b9a3d4278",
    queue=MAIL,
    kind="password_reset",
    user_id=None,
    email="john@example.com",
    created_at=_TIME,
    due_at=_TIME,
    attempts=1,
    error="550 no such mailbox",
    dead_at=_TIME,
)


@route(
    "/api/admin/outbox/",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    operation_id=named("listOutbox"),
    tags=[ADMINISTRATION],
    summary="See the mail and webhooks that wait, or were given up",
    description="What waits, the oldest first, or dead letters, the longest dead first. The `queue` is "
    "`mail`, or that of an endpoint of webhooks. Mail names its reader by `user_id`, or by the `email` that "
    "somebody typed and that may be nobody's; a webhook has the `user_id` of whom its event concerns.",
    response_description="The letters, and what to send as `after` for the next page, if there is one.",
    operation_class=operation(
        LettersPage(letters=[_EXAMPLE], next=None),
        takes_query=query(
            "OutboxSearch",
            {"state": [f"Choose one of {WAITING}, {DEAD}."]},
            state={
                **text_parameter("Which of them."),
                "schema": {"type": "string", "enum": [WAITING, DEAD], "default": WAITING},
            },
            after=text_parameter("The `next` of the page before."),
            limit=number_parameter("Letters in a page.", MOST_LETTERS),
        ),
        refuses=ADMINISTRATORS_ONLY,
    ),
    security=BEARER,
)
async def show(
    request: AnyRequest,
    administrator: NamedDependency[Principal],
    list_outbox: NamedDependency[ListOutbox],
) -> LettersPage:
    given = Query(request)
    state, after = given.choice("state", WAITING, DEAD), given.text("after")
    limit = given.number("limit", most=MOST_LETTERS) or MOST_LETTERS
    given.judge()
    page = await list_outbox(dead=state == DEAD, after=after, limit=limit)
    return LettersPage(
        letters=[QueuedLetter.of(each) for each in page.letters], next=str(page.next) if page.next else None
    )


@post(
    "/api/admin/outbox/{letter_id:str}/retry/",
    status_code=200,
    operation_id=named("retryLetter"),
    tags=[ADMINISTRATION],
    summary="Have a dead letter tried again",
    description="It is due at once, and tried as often as a new one. A link that would be over by now is not "
    "sent: its reader asks for another. Takes no body.",
    response_description="The letter as it is now.",
    operation_class=operation(
        msgspec.structs.replace(_EXAMPLE, attempts=0, dead_at=None),
        refuses={**ADMINISTRATORS_ONLY, 404: DEAD_LETTER_NOT_FOUND},
    ),
    security=BEARER,
)
async def retry(
    letter_id: FromPath[str],
    administrator: NamedDependency[Principal],
    retry_letter: NamedDependency[RetryLetter],
    client: NamedDependency[Client],
) -> QueuedLetter:
    return QueuedLetter.of(await retry_letter(by=administrator, letter_id=letter_id, client=client))


BY_OTHER_METHODS = [
    other_methods("/api/admin/outbox/", HttpMethod.GET, HttpMethod.HEAD, for_administrators=True),
    other_methods("/api/admin/outbox/{letter_id:str}/retry/", HttpMethod.POST, for_administrators=True),
]
