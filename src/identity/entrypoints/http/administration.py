"""GET /api/admin/users/ and /api/admin/users/{user_id}/"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self

import msgspec
from litestar import HttpMethod, route
from litestar.di import NamedDependency
from litestar.params import FromPath

from identity.application.administration import (
    MOST_IN_A_PAGE,
    SHOWN_WITH_AN_ACCOUNT,
    SearchUsers,
    ShowUser,
)
from identity.application.sessions import Principal
from identity.domain.errors import AccountNotFound
from identity.domain.events import NumberedEvent
from identity.domain.user import User
from identity.entrypoints.http.authentication import other_methods
from identity.entrypoints.http.body import AnyRequest
from identity.entrypoints.http.export import SESSION_EXAMPLE, ExportedSession
from identity.entrypoints.http.openapi import (
    ADMINISTRATION,
    BEARER,
    named,
    number_parameter,
    operation,
    query,
    text_parameter,
)
from identity.entrypoints.http.openapi_refusals import ACCOUNT_NOT_FOUND, NOT_AUTHENTICATED, NOT_PERMITTED
from identity.entrypoints.http.query import LARGEST_ID, Query
from identity.entrypoints.http.times import in_seconds, in_seconds_if_any


class Account(msgspec.Struct):
    """All that an administrator sees of an account itself: of its password, whether there is one."""

    id: int
    username: str
    email: str
    email_verified_at: datetime | None
    has_password: bool
    display_name: str
    locale: str
    time_zone: str
    date_joined: datetime
    last_updated: datetime
    last_login_at: datetime | None
    superuser_since: datetime | None
    disabled_at: datetime | None
    erasure_due_at: datetime | None

    @classmethod
    def of(cls, user: User) -> Self:
        return cls(
            id=user.id,
            username=user.username.value,
            email=user.email.value,
            email_verified_at=in_seconds_if_any(user.email_verified_at),
            has_password=user.has_password,
            display_name=user.display_name,
            locale=user.locale,
            time_zone=user.time_zone,
            date_joined=in_seconds(user.joined_at),
            last_updated=in_seconds(user.password_changed_at),
            last_login_at=in_seconds_if_any(user.last_login_at),
            superuser_since=in_seconds_if_any(user.superuser_since),
            disabled_at=in_seconds_if_any(user.disabled_at),
            erasure_due_at=in_seconds_if_any(user.erasure_due_at),
        )


class AccountPage(msgspec.Struct):
    users: list[Account]
    next: str | None


class AuditedEvent(msgspec.Struct):
    id: int
    at: datetime
    kind: str
    result: str
    user_id: int | None
    actor: str
    actor_id: int | None
    subject: str
    session_id: str | None
    address: str
    user_agent: str
    request_id: str

    @classmethod
    def of(cls, entry: NumberedEvent) -> Self:
        event = entry.event
        return cls(
            id=entry.id,
            at=in_seconds(event.at),
            kind=event.kind,
            result=event.result,
            user_id=event.user_id,
            actor=event.actor.role.value,
            actor_id=event.actor.user_id,
            subject=event.subject,
            session_id=event.session_id,
            address=event.client.address,
            user_agent=event.client.user_agent,
            request_id=event.client.request_id,
        )


class AccountDetails(msgspec.Struct):
    account: Account
    sessions: list[ExportedSession]
    events: list[AuditedEvent]


_TIME = datetime(2024, 12, 19, 10, tzinfo=UTC)
ACCOUNT_EXAMPLE = Account(
    id=1,
    username="john_doe",
    email="john@example.com",
    email_verified_at=_TIME,
    has_password=True,
    display_name="",
    locale="",
    time_zone="",
    date_joined=_TIME,
    last_updated=_TIME,
    last_login_at=_TIME,
    superuser_since=None,
    disabled_at=None,
    erasure_due_at=None,
)
EVENT_EXAMPLE = AuditedEvent(
    id=4711,
    at=_TIME,
    kind="LoggedIn",
    result="done",
    user_id=1,
    actor="owner",
    actor_id=None,
    subject="",
    session_id=SESSION_EXAMPLE.id,
    address=SESSION_EXAMPLE.address,
    user_agent=SESSION_EXAMPLE.user_agent,
    request_id="5f0c1e6b9a3d4278",
)
ADMINISTRATORS_ONLY = {401: NOT_AUTHENTICATED, 403: NOT_PERMITTED}


def account_id(text: str) -> int:
    """Raises `AccountNotFound` for what is no account's id."""
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(LARGEST_ID)) or int(text) > LARGEST_ID:
        raise AccountNotFound
    return int(text)


@route(
    "/api/admin/users/",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    operation_id=named("searchUsers"),
    tags=[ADMINISTRATION],
    summary="List accounts, or search them by the beginning of a username or an address",
    description="In the order of the names found, whatever their case; all by their usernames where nothing "
    "is searched for. A page may have fewer accounts than its limit, even none: there are more as long as "
    "there is a `next`.",
    response_description="The accounts, and what to send as `after` for the next page, if there is one.",
    operation_class=operation(
        AccountPage(users=[ACCOUNT_EXAMPLE], next=None),
        takes_query=query(
            "UserSearch",
            {"limit": [f"Enter a whole number from 1 to {MOST_IN_A_PAGE}."]},
            search=text_parameter("What the username or the e-mail address begins with."),
            after=text_parameter("The `next` of the page before."),
            limit=number_parameter("Names in a page.", MOST_IN_A_PAGE),
        ),
        refuses=ADMINISTRATORS_ONLY,
    ),
    security=BEARER,
)
async def search(
    request: AnyRequest,
    administrator: NamedDependency[Principal],
    search_users: NamedDependency[SearchUsers],
) -> AccountPage:
    given = Query(request)
    wanted, after = given.text("search"), given.text("after")
    limit = given.number("limit", most=MOST_IN_A_PAGE) or MOST_IN_A_PAGE
    given.judge()
    page = await search_users(search=wanted, after=after, limit=limit)
    return AccountPage(
        users=[Account.of(user) for user in page.users], next=str(page.next) if page.next else None
    )


@route(
    "/api/admin/users/{user_id:str}/",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    operation_id=named("showUser"),
    tags=[ADMINISTRATION],
    summary="See an account, its sessions, and what happened to it",
    description=f"The latest {SHOWN_WITH_AN_ACCOUNT} sessions, those that are over too, and the latest "
    f"{SHOWN_WITH_AN_ACCOUNT} events.",
    response_description="What is kept, but for secrets.",
    operation_class=operation(
        AccountDetails(account=ACCOUNT_EXAMPLE, sessions=[SESSION_EXAMPLE], events=[EVENT_EXAMPLE]),
        refuses={**ADMINISTRATORS_ONLY, 404: ACCOUNT_NOT_FOUND},
    ),
    security=BEARER,
)
async def show(
    user_id: FromPath[str],
    administrator: NamedDependency[Principal],
    show_user: NamedDependency[ShowUser],
) -> AccountDetails:
    details = await show_user(user_id=account_id(user_id))
    return AccountDetails(
        account=Account.of(details.user),
        sessions=[ExportedSession.of(each, is_over=each.id not in details.live) for each in details.sessions],
        events=[AuditedEvent.of(each) for each in details.events],
    )


BY_OTHER_METHODS = [
    other_methods(path, HttpMethod.GET, HttpMethod.HEAD, for_administrators=True)
    for path in ("/api/admin/users/", "/api/admin/users/{user_id:str}/")
]
