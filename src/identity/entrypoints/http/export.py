"""GET /api/user/export/"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, Self

import msgspec
from litestar import HttpMethod, Response, route
from litestar.di import NamedDependency

from identity.application.export import MOST_EVENTS, MOST_SESSIONS, ExportData, PersonalData
from identity.application.sessions import Principal
from identity.domain.events import Event, Role
from identity.domain.names import Username
from identity.domain.session import UNKNOWN_CLIENT, Client, Session
from identity.entrypoints.http.authentication import other_methods
from identity.entrypoints.http.openapi import BEARER, MY_DATA, named, operation
from identity.entrypoints.http.openapi_refusals import NOT_AUTHENTICATED
from identity.entrypoints.http.times import in_seconds, in_seconds_if_any


class ExportedProfile(msgspec.Struct):
    id: int
    username: str
    email: str
    email_verified_at: datetime | None
    display_name: str
    locale: str
    time_zone: str
    date_joined: datetime
    last_updated: datetime
    last_login_at: datetime | None
    superuser_since: datetime | None


class ExportedSession(msgspec.Struct):
    id: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    is_over: bool
    user_agent: str
    address: str

    @classmethod
    def of(cls, session: Session, *, is_over: bool) -> Self:
        return cls(
            id=session.id,
            created_at=in_seconds(session.created_at),
            last_used_at=in_seconds(session.last_used_at),
            expires_at=in_seconds(session.expires_at),
            ended_at=in_seconds_if_any(session.revoked_at),
            is_over=is_over,
            user_agent=session.client.user_agent,
            address=session.client.address,
        )


class ExportedDevice(msgspec.Struct):
    last_seen_at: datetime


class ExportedName(msgspec.Struct):
    kind: Literal["username", "email"]
    name: str
    reserved_until: datetime


class ExportedEvent(msgspec.Struct):
    at: datetime
    kind: str
    session_id: str | None
    user_agent: str
    address: str


class Export(msgspec.Struct):
    exported_at: datetime
    profile: ExportedProfile
    sessions: list[ExportedSession]
    devices: list[ExportedDevice]
    reserved_names: list[ExportedName]
    events: list[ExportedEvent]


_TIME = datetime(2024, 12, 19, 10, tzinfo=UTC)
_SESSION = "5f0c1e6b9a3d42785f0c1e6b9a3d4278"
_BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
SESSION_EXAMPLE = ExportedSession(
    id=_SESSION,
    created_at=_TIME,
    last_used_at=_TIME,
    expires_at=datetime(2025, 1, 18, 10, tzinfo=UTC),
    ended_at=None,
    is_over=False,
    user_agent=_BROWSER,
    address="192.0.2.7",
)
_EXAMPLE = Export(
    exported_at=datetime(2024, 12, 20, 8, 30, tzinfo=UTC),
    profile=ExportedProfile(
        id=1,
        username="john_doe",
        email="john@example.com",
        email_verified_at=_TIME,
        display_name="John Doe",
        locale="en",
        time_zone="Europe/Vienna",
        date_joined=_TIME,
        last_updated=_TIME,
        last_login_at=_TIME,
        superuser_since=None,
    ),
    sessions=[
        SESSION_EXAMPLE,
    ],
    devices=[ExportedDevice(last_seen_at=_TIME)],
    reserved_names=[ExportedName(kind="username", name="johnny", reserved_until=_TIME)],
    events=[
        ExportedEvent(
            at=_TIME, kind="LoggedIn", session_id=_SESSION, user_agent=_BROWSER, address="192.0.2.7"
        )
    ],
)


@route(
    "/api/user/export/",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    operation_id=named("exportData"),
    tags=[MY_DATA],
    summary="Download all that is kept of the account",
    description="One JSON document: the profile, the sessions, also those that are over, when the devices "
    "were seen last from which the account was logged in to, names that are reserved for it, and what "
    f"happened to it. The latest come first: {MOST_EVENTS:,} events and {MOST_SESSIONS:,} sessions at most.",
    response_description="What is kept, but for secrets, of which there are only digests; as an attachment "
    "such as `identity-1-2024-12-20.json`, with the account's id.",
    operation_class=operation(_EXAMPLE, refuses={401: NOT_AUTHENTICATED}),
    security=BEARER,
)
async def show(
    principal: NamedDependency[Principal],
    export_data: NamedDependency[ExportData],
    client: NamedDependency[Client],
) -> Response[Export]:
    data = await export_data(principal=principal, client=client)
    name = f"identity-{data.user.id}-{data.at:%Y-%m-%d}.json"
    disposition = f'attachment; filename="{name}"'
    return Response(_document(data), headers={"Content-Disposition": disposition})


show_by_other_methods = other_methods("/api/user/export/", HttpMethod.GET, HttpMethod.HEAD)


def _document(data: PersonalData) -> Export:
    user = data.user
    return Export(
        exported_at=in_seconds(data.at),
        profile=ExportedProfile(
            id=user.id,
            username=user.username.value,
            email=user.email.value,
            email_verified_at=in_seconds_if_any(user.email_verified_at),
            display_name=user.display_name,
            locale=user.locale,
            time_zone=user.time_zone,
            date_joined=in_seconds(user.joined_at),
            last_updated=in_seconds(user.password_changed_at),
            last_login_at=in_seconds_if_any(user.last_login_at),
            superuser_since=in_seconds_if_any(user.superuser_since),
        ),
        sessions=[
            ExportedSession.of(session, is_over=session.id not in data.live) for session in data.sessions
        ],
        devices=[ExportedDevice(last_seen_at=in_seconds(seen_at)) for seen_at in data.devices],
        reserved_names=[
            ExportedName(
                kind="username" if isinstance(name, Username) else "email",
                name=name.value,
                reserved_until=in_seconds(until),
            )
            for name, until in data.reserved_names
        ],
        events=[_event(event) for event in data.events],
    )


def _event(event: Event) -> ExportedEvent:
    # Where an administrator works is no business of the account's owner.
    client = UNKNOWN_CLIENT if event.actor.role is Role.ADMINISTRATOR else event.client
    return ExportedEvent(
        at=in_seconds(event.at),
        kind=event.kind,
        session_id=event.session_id,
        user_agent=client.user_agent,
        address=client.address,
    )
