"""GET /api/user/profile/"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from litestar import HttpMethod, route
from litestar.di import NamedDependency

from identity.application.profile import ShowProfile
from identity.application.sessions import Principal
from identity.entrypoints.http.authentication import other_methods
from identity.entrypoints.http.openapi import BEARER, PROFILE, named, operation
from identity.entrypoints.http.openapi_refusals import NOT_AUTHENTICATED


class ProfileAnswer(msgspec.Struct):
    id: int
    username: str
    email: str
    email_verified: bool
    date_joined: datetime
    last_updated: datetime


@route(
    "/api/user/profile/",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    operation_id=named("showProfile"),
    tags=[PROFILE],
    summary="See one's own profile",
    description="`last_updated` is when the password was last changed, at first `date_joined`. More fields "
    "may be added.",
    response_description="The account that the access token speaks for.",
    operation_class=operation(
        ProfileAnswer(
            id=1,
            username="john_doe",
            email="john@example.com",
            email_verified=True,
            date_joined=datetime(2024, 12, 19, 10, tzinfo=UTC),
            last_updated=datetime(2024, 12, 19, 10, tzinfo=UTC),
        ),
        refuses={401: NOT_AUTHENTICATED},
    ),
    security=BEARER,
)
async def show(
    principal: NamedDependency[Principal], show_profile: NamedDependency[ShowProfile]
) -> ProfileAnswer:
    profile = await show_profile(principal=principal)
    return ProfileAnswer(
        id=profile.id,
        username=profile.username,
        email=profile.email,
        email_verified=profile.email_verified,
        date_joined=in_seconds(profile.date_joined),
        last_updated=in_seconds(profile.last_updated),
    )


show_by_other_methods = other_methods("/api/user/profile/", HttpMethod.GET, HttpMethod.HEAD)


def in_seconds(at: datetime) -> datetime:
    """As the contract writes times: UTC, whole seconds, a `Z` at the end."""
    return at.astimezone(UTC).replace(microsecond=0)
