"""GET /api/admin/audit/"""

from __future__ import annotations

import msgspec
from litestar import HttpMethod, route
from litestar.di import NamedDependency

from identity.application.audit_reading import MOST_ENTRIES, ReadAuditLog
from identity.application.sessions import Principal
from identity.entrypoints.http.administration import ADMINISTRATORS_ONLY, EVENT_EXAMPLE, AuditedEvent
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
from identity.entrypoints.http.query import LARGEST_ID, NOT_A_TIME, Query


class AuditPage(msgspec.Struct):
    events: list[AuditedEvent]
    next: int | None


@route(
    "/api/admin/audit/",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    operation_id=named("readAuditLog"),
    tags=[ADMINISTRATION],
    summary="Read the audit log",
    description="What was noted last comes first. All that is asked for has to apply to an event.",
    response_description="The events, and what to send as `before` for the next page, if there may be one. "
    "`user_id` is the account it happened to; `actor` is `owner`, `anybody`, `administrator`, `operator` or "
    "`service`, and `actor_id` the administrator's account.",
    operation_class=operation(
        AuditPage(events=[EVENT_EXAMPLE], next=None),
        takes_query=query(
            "AuditSearch",
            {"since": [NOT_A_TIME]},
            user=number_parameter("The account that it happened to, by its id.", LARGEST_ID),
            kind=text_parameter("The kind of the event, such as `LoggedIn`."),
            since=text_parameter("The earliest time, such as `2024-12-19T10:00:00Z`."),
            until=text_parameter("The time from which on nothing is wanted."),
            before=number_parameter("The `next` of the page before.", LARGEST_ID),
            limit=number_parameter("Events in a page.", MOST_ENTRIES),
        ),
        refuses=ADMINISTRATORS_ONLY,
    ),
    security=BEARER,
)
async def show(
    request: AnyRequest,
    administrator: NamedDependency[Principal],
    read_audit_log: NamedDependency[ReadAuditLog],
) -> AuditPage:
    given = Query(request)
    limit = given.number("limit", most=MOST_ENTRIES) or MOST_ENTRIES
    user_id, before = given.number("user"), given.number("before")
    since, until = given.time("since"), given.time("until")
    kind = given.text("kind") or None
    given.judge()
    entries = await read_audit_log(
        user_id=user_id, kind=kind, since=since, until=until, before=before, limit=limit
    )
    return AuditPage(
        events=[AuditedEvent.of(each) for each in entries],
        next=entries[-1].id if len(entries) == limit else None,
    )


by_other_methods = other_methods(
    "/api/admin/audit/", HttpMethod.GET, HttpMethod.HEAD, for_administrators=True
)
