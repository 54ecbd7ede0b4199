"""/api/user/sessions/ and POST /api/auth/logout-all/"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from litestar import HttpMethod, delete, post, route
from litestar.di import NamedDependency
from litestar.params import FromPath

from identity.application.own_sessions import EndAllSessions, EndOtherSessions, EndSession, ListSessions
from identity.application.sessions import Principal
from identity.domain.session import Client
from identity.entrypoints.http.authentication import other_methods
from identity.entrypoints.http.openapi import BEARER, SESSIONS, Nothing, named, operation
from identity.entrypoints.http.openapi_refusals import NOT_AUTHENTICATED, SESSION_NOT_FOUND
from identity.entrypoints.http.times import in_seconds


class OwnSession(msgspec.Struct):
    id: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    user_agent: str
    address: str
    is_current: bool


_EXAMPLE = OwnSession(
    id="5f0c1e6b9a3d42785f0c1e6b9a3d4278",
    created_at=datetime(2024, 12, 19, 10, tzinfo=UTC),
    last_used_at=datetime(2024, 12, 20, 8, 30, tzinfo=UTC),
    expires_at=datetime(2025, 1, 18, 10, tzinfo=UTC),
    user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    address="192.0.2.7",
    is_current=True,
)


@route(
    "/api/user/sessions/",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    operation_id=named("listSessions"),
    tags=[SESSIONS],
    summary="See where one is logged in",
    description="The account's live sessions, the one used last first. A use is noted at most once a minute.",
    response_description="The sessions; `is_current` is the one that asks.",
    operation_class=operation([_EXAMPLE], refuses={401: NOT_AUTHENTICATED}),
    security=BEARER,
)
async def show(
    principal: NamedDependency[Principal], list_sessions: NamedDependency[ListSessions]
) -> list[OwnSession]:
    return [
        OwnSession(
            id=session.id,
            created_at=in_seconds(session.created_at),
            last_used_at=in_seconds(session.last_used_at),
            expires_at=in_seconds(session.expires_at),
            user_agent=session.client.user_agent,
            address=session.client.address,
            is_current=session.id == principal.session.id,
        )
        for session in await list_sessions(principal=principal)
    ]


@delete(
    "/api/user/sessions/{session_id:str}/",
    status_code=200,
    operation_id=named("endSession"),
    tags=[SESSIONS],
    summary="Log one device out",
    description="Ends one of the account's sessions. All its tokens are refused from now on.",
    response_description="The session is over.",
    operation_class=operation(Nothing(), refuses={401: NOT_AUTHENTICATED, 404: SESSION_NOT_FOUND}),
    security=BEARER,
)
async def end(
    session_id: FromPath[str],
    principal: NamedDependency[Principal],
    end_session: NamedDependency[EndSession],
    client: NamedDependency[Client],
) -> Nothing:
    await end_session(principal=principal, session_id=session_id, client=client)
    return Nothing()


@post(
    "/api/user/sessions/revoke-others/",
    status_code=200,
    operation_id=named("endOtherSessions"),
    tags=[SESSIONS],
    summary="Log all other devices out",
    description="Ends every session of the account but the one that asks. Takes no body.",
    response_description="The others are over.",
    operation_class=operation(Nothing(), refuses={401: NOT_AUTHENTICATED}),
    security=BEARER,
)
async def end_others(
    principal: NamedDependency[Principal],
    end_other_sessions: NamedDependency[EndOtherSessions],
    client: NamedDependency[Client],
) -> Nothing:
    await end_other_sessions(principal=principal, client=client)
    return Nothing()


@post(
    "/api/auth/logout-all/",
    status_code=200,
    operation_id=named("logOutEverywhere"),
    tags=[SESSIONS],
    summary="Log all devices out",
    description="Ends every session of the account, the one that asks too. Takes no body.",
    response_description="All sessions are over.",
    operation_class=operation(Nothing(), refuses={401: NOT_AUTHENTICATED}),
    security=BEARER,
)
async def end_all(
    principal: NamedDependency[Principal],
    end_all_sessions: NamedDependency[EndAllSessions],
    client: NamedDependency[Client],
) -> Nothing:
    await end_all_sessions(principal=principal, client=client)
    return Nothing()


BY_OTHER_METHODS = [
    other_methods("/api/user/sessions/", HttpMethod.GET, HttpMethod.HEAD),
    other_methods("/api/user/sessions/{session_id:str}/", HttpMethod.DELETE),
    other_methods("/api/user/sessions/revoke-others/", HttpMethod.POST),
    other_methods("/api/auth/logout-all/", HttpMethod.POST),
]
