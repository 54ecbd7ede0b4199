"""GET /api/user/profile/"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from litestar import HttpMethod, route
from litestar.di import NamedDependency

from identity.application.profile import ShowProfile
from identity.application.sessions import Principal
from identity.entrypoints.http.authentication import other_methods
from identity.entrypoints.http.openapi import BEARER, refuses


class ProfileAnswer(msgspec.Struct):
    id: int
    username: str
    email: str
    date_joined: datetime
    last_updated: datetime


@route(
    "/api/user/profile/",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    summary="See one's own profile",
    responses=refuses(unauthorized=True),
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
        date_joined=_in_seconds(profile.date_joined),
        last_updated=_in_seconds(profile.last_updated),
    )


show_by_other_methods = other_methods("/api/user/profile/", HttpMethod.GET, HttpMethod.HEAD)


def _in_seconds(at: datetime) -> datetime:
    """As the contract writes times: UTC, whole seconds, a `Z` at the end."""
    return at.astimezone(UTC).replace(microsecond=0)
