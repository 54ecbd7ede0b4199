"""GET and PATCH /api/user/profile/"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Self

import msgspec
from litestar import HttpMethod, patch, route
from litestar.di import NamedDependency

from identity.application.profile import Profile, ShowProfile, UpdateProfile
from identity.application.sessions import Principal
from identity.domain.errors import InvalidInput
from identity.domain.language import TAG_LIMIT
from identity.domain.names import DISPLAY_NAME_LIMIT
from identity.domain.session import Client
from identity.entrypoints.http import authentication
from identity.entrypoints.http.body import AnyRequest, Unreadable, read_body
from identity.entrypoints.http.openapi import (
    BEARER,
    PROFILE,
    USERNAME,
    named,
    operation,
    request_body,
    text,
)
from identity.entrypoints.http.openapi_refusals import NOT_AUTHENTICATED
from identity.entrypoints.http.times import in_seconds


class ProfileAnswer(msgspec.Struct):
    id: int
    username: str
    email: str
    email_verified: bool
    display_name: str
    locale: str
    time_zone: str
    is_superuser: bool
    date_joined: datetime
    last_updated: datetime

    @classmethod
    def of(cls, profile: Profile) -> Self:
        return cls(
            id=profile.id,
            username=profile.username,
            email=profile.email,
            email_verified=profile.email_verified,
            display_name=profile.display_name,
            locale=profile.locale,
            time_zone=profile.time_zone,
            is_superuser=profile.is_superuser,
            date_joined=in_seconds(profile.date_joined),
            last_updated=in_seconds(profile.last_updated),
        )


class ProfileChange(msgspec.Struct):
    username: str | None = None
    display_name: str | None = None
    locale: str | None = None
    time_zone: str | None = None


EXAMPLE = ProfileAnswer(
    id=1,
    username="john_doe",
    email="john@example.com",
    email_verified=True,
    display_name="",
    locale="",
    time_zone="",
    is_superuser=False,
    date_joined=datetime(2024, 12, 19, 10, tzinfo=UTC),
    last_updated=datetime(2024, 12, 19, 10, tzinfo=UTC),
)


@route(
    "/api/user/profile/",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    operation_id=named("showProfile"),
    tags=[PROFILE],
    summary="See one's own profile",
    description="`last_updated` is when the password was last changed, at first `date_joined`. What is not "
    "known is empty. More fields may be added.",
    response_description="The account that the access token speaks for.",
    operation_class=operation(EXAMPLE, refuses={401: NOT_AUTHENTICATED}),
    security=BEARER,
)
async def show(
    principal: NamedDependency[Principal], show_profile: NamedDependency[ShowProfile]
) -> ProfileAnswer:
    return ProfileAnswer.of(await show_profile(principal=principal))


@patch(
    "/api/user/profile/",
    operation_id=named("updateProfile"),
    tags=[PROFILE],
    summary="Change one's own profile",
    description="Fields that are left out stay as they are; what is blank is unset. The e-mail address has "
    "[a way of its own](#requestEmailChange).",
    response_description="The profile as it is now.",
    operation_class=operation(
        msgspec.structs.replace(EXAMPLE, display_name="John Doe", locale="de-AT", time_zone="Europe/Vienna"),
        is_throttled=True,
        takes=request_body(
            ProfileChange,
            {
                "username": "john_doe",
                "display_name": "John Doe",
                "locale": "de-AT",
                "time_zone": "Europe/Vienna",
            },
            username=USERNAME,
            display_name=text(
                f"How the owner would like to be called, in at most {DISPLAY_NAME_LIMIT} characters.",
                minLength=0,
            ),
            locale=text(
                f"The tag of a language (BCP 47) of at most {TAG_LIMIT} characters. Mails are in it, or in "
                "what is nearest to it.",
                minLength=0,
            ),
            time_zone=text("The name of a time zone in the IANA database.", minLength=0),
        ),
        invalid={
            "not acceptable": {
                "display_name": ["Ensure this field has no more than 150 characters."],
                "locale": ["Enter a valid language tag."],
                "time_zone": ["Enter a valid time zone."],
            }
        },
        refuses={401: NOT_AUTHENTICATED},
    ),
    security=BEARER,
)
async def update(
    request: AnyRequest,
    principal: NamedDependency[Principal],
    update_profile: NamedDependency[UpdateProfile],
    client: NamedDependency[Client],
) -> ProfileAnswer:
    try:
        body = await read_body(request, ProfileChange)
    except Unreadable as unreadable:
        others = await update_profile.problems(principal=principal, client=client, **unreadable.readable)
        raise InvalidInput({**others, **unreadable.fields}) from None
    profile = await update_profile(principal=principal, client=client, **msgspec.structs.asdict(body))
    return ProfileAnswer.of(profile)


METHODS = (HttpMethod.GET, HttpMethod.HEAD, HttpMethod.PATCH)

options = authentication.options("/api/user/profile/", *METHODS)
by_other_methods = authentication.other_methods("/api/user/profile/", *METHODS)
