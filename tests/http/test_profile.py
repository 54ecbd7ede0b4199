"""GET and PATCH /api/user/profile/, and the credentials that the paths under /api/user/ ask for"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

PROTECTED = [("GET", "/api/user/profile/"), ("POST", "/api/user/change-password/")]

NOT_PROVIDED = {"detail": "Authentication credentials were not provided."}
TWO_VALUES = {
    "detail": "Authorization header must contain two space-delimited values",
    "code": "bad_authorization_header",
}


def not_valid(message):
    return {
        "detail": "Given token not valid for any token type",
        "code": "token_not_valid",
        "messages": [{"token_class": "AccessToken", "token_type": "access", "message": message}],
    }


async def answers(service, **headers):
    """What the protected paths answer, which must be the same."""
    requests = [await service.client.request(*each, headers=headers) for each in PROTECTED]
    assert {each.headers["WWW-Authenticate"] for each in requests} == {'Bearer realm="api"'}
    first, second = [(each.status_code, each.json()) for each in requests]
    assert first == second
    return first


@pytest.mark.parametrize("path", ["/api/user/profile/", "/api/user/profile"])
async def test_the_profile_is_that_of_the_original_s_example(service, path):
    service.clock.at = datetime(2024, 12, 19, 10, 0, 0, 123456, tzinfo=UTC)
    await service.register("john_doe", "john@example.com")
    access, _ = await service.log_in()
    answer = await service.get(path, access=access)
    assert (answer.status_code, answer.json()) == (
        200,
        {
            "id": 1,
            "username": "john_doe",
            "email": "john@example.com",
            "email_verified": False,
            "display_name": "",
            "locale": "",
            "time_zone": "",
            "is_superuser": False,
            "date_joined": "2024-12-19T10:00:00Z",
            "last_updated": "2024-12-19T10:00:00Z",
        },
    )
    assert answer.headers["Content-Type"] == "application/json"


async def test_last_updated_is_when_the_password_was_last_changed_and_nothing_else_moves_it(service):
    await service.register()
    service.clock.advance(timedelta(days=1))
    access, refresh = await service.log_in()
    await service.refresh(refresh)
    assert (await service.profile(access)).json()["last_updated"] == "2026-01-01T12:00:00Z"
    service.clock.advance(timedelta(minutes=1, seconds=2))
    await service.change_password(access)
    profile = (await service.profile(access)).json()
    assert profile["date_joined"] == "2026-01-01T12:00:00Z"
    assert profile["last_updated"] == "2026-01-02T12:01:02Z"
    service.clock.advance(timedelta(hours=1))
    await service.reset(await service.reset_link())
    access, _ = await service.log_in(password="newpassword123")
    assert (await service.profile(access)).json()["last_updated"] == "2026-01-02T13:01:02Z"


async def test_names_are_shown_as_they_were_typed(service):
    await service.register("Jörg_Ünal", "Jörg@Bücher.Example")
    access, _ = await service.log_in("jörg_ünal")
    profile = (await service.profile(access)).json()
    assert (profile["username"], profile["email"]) == ("Jörg_Ünal", "Jörg@Bücher.Example")


async def test_everybody_sees_their_own_profile_whatever_they_ask_for(service):
    await service.register()
    await service.register("mary", "mary@example.com")
    john, mary = await service.log_in(), await service.log_in("mary")
    for parameters in ({}, {"id": "2"}, {"user_id": "2", "username": "mary"}):
        answer = await service.client.get(
            "/api/user/profile/", params=parameters, headers={"Authorization": f"Bearer {john.access}"}
        )
        assert answer.json()["id"] == 1
    assert (await service.profile(mary.access)).json()["id"] == 2


# Changes

CHANGE = {
    "username": "Johnny",
    "display_name": "John Doe",
    "locale": "de-AT",
    "time_zone": "Europe/Vienna",
}


async def test_what_is_sent_changes_and_the_answer_is_the_profile(service):
    await service.register()
    access, _ = await service.log_in()
    before = (await service.profile(access)).json()
    answer = await service.update_profile(access, CHANGE)
    assert (answer.status_code, answer.json()) == (200, {**before, **CHANGE})
    assert (await service.profile(access)).json() == answer.json()
    assert await service.can_log_in("johnny")
    assert not await service.can_log_in("john_doe")


@pytest.mark.parametrize("field", CHANGE)
async def test_what_is_not_sent_stays(service, field):
    await service.register()
    access, _ = await service.log_in()
    before = (await service.profile(access)).json()
    answer = await service.client.patch(
        "/api/user/profile", data={field: CHANGE[field]}, headers={"Authorization": f"Bearer {access}"}
    )
    assert (answer.status_code, answer.json()) == (200, {**before, field: CHANGE[field]})


async def test_what_is_blank_is_unset_but_for_the_username(service):
    await service.register()
    access, _ = await service.log_in()
    await service.update_profile(access, CHANGE)
    blank = {"display_name": "", "locale": " ", "time_zone": ""}
    answer = await service.update_profile(access, blank)
    assert {field: answer.json()[field] for field in blank} == dict.fromkeys(blank, "")
    answer = await service.update_profile(access, {"username": " "})
    assert (answer.status_code, answer.json()) == (400, {"username": ["This field may not be blank."]})


async def test_fields_that_are_not_the_owner_s_to_set_change_nothing(service):
    """RC-10."""
    await service.register()
    access, _ = await service.log_in()
    before, stored = (await service.profile(access)).json(), service.user()
    extra = {
        "id": 2,
        "user_id": 2,
        "email": "mary@example.com",
        "date_joined": "2000-01-01T00:00:00Z",
        "is_admin": True,
        "is_superuser": "true",
        "is_staff": True,
        "email_verified": True,
        "email_verified_at": "2000-01-01",
        "superuser_since": "2000-01-01",
        "password_hash": "x",
        "last_updated": "2000-01-01",
        "version": 7,
        "disabled_at": None,
        "password": "another password",
    }
    for body in (extra, {}):
        answer = await service.update_profile(access, body)
        assert (answer.status_code, answer.json()) == (200, before)
    assert service.user() == stored


async def test_every_field_s_problem_is_in_one_answer(service):
    await service.register()
    await service.register("mary", "mary@example.com")
    access, _ = await service.log_in()
    before = service.user()
    body = {"username": "MARY", "display_name": "J\u202edoe", "locale": None, "time_zone": "Vienna"}
    answer = await service.update_profile(access, body)
    assert (answer.status_code, answer.json()) == (
        400,
        {
            "username": ["A user with that username already exists."],
            "display_name": [
                "Enter a valid display name. This value may not contain line breaks or invisible characters."
            ],
            "locale": ["This field may not be null."],
            "time_zone": ["Enter a valid time zone."],
        },
    )
    assert service.user() == before


@pytest.mark.parametrize(
    ("content", "media_type", "status", "answer"),
    [
        (b"{", "application/json", 400, "JSON parse error"),
        (b'{"locale": "de"}', "text/plain", 415, 'Unsupported media type \\"text/plain\\" in request.'),
        (b"[]", "application/json", 400, "Expected a dictionary, but got list."),
        (b'{"display_name": []}', "application/json", 400, "Not a valid string."),
        (b'{"display_name": "a\\u0000b"}', "application/json", 400, "Null characters are not allowed."),
    ],
)
async def test_what_cannot_be_read_is_refused(shared_service, content, media_type, status, answer):
    headers = {"Authorization": f"Bearer {shared_service.access}", "Content-Type": media_type}
    got = await shared_service.client.patch("/api/user/profile/", content=content, headers=headers)
    assert got.status_code == status
    assert answer in got.text


async def test_any_time_zone_of_the_machine_is_taken_and_mail_is_in_the_language(service):
    await service.register()
    access, _ = await service.log_in()
    for zone in ("UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+12"):
        assert (await service.update_profile(access, {"time_zone": zone})).json()["time_zone"] == zone
    assert (await service.update_profile(access, {"time_zone": "localtime"})).status_code == 400
    await service.update_profile(access, {"locale": "de"})
    await service.change_password(access)
    [mail] = await service.deliver()
    assert '<html lang="de">' in mail.html


# Credentials


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param(" ", id="white space"),
        pytest.param("Basic am9objpkb2U=", id="Basic"),
        pytest.param("Token abc", id="Token"),
        pytest.param("JWT a.b.c", id="JWT"),
        pytest.param("Bearer:a.b.c", id="a colon"),
        pytest.param("a.b.c", id="the token alone"),
    ],
)
async def test_without_credentials_or_with_another_scheme_they_were_not_provided(
    shared_service, authorization
):
    headers = {} if authorization is None else {"Authorization": authorization}
    assert await answers(shared_service, **headers) == (401, NOT_PROVIDED)


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer ", "Bearer a b", "Bearer a.b.c d.e.f"])
async def test_a_bearer_header_has_two_values(shared_service, authorization):
    assert await answers(shared_service, Authorization=authorization) == (401, TWO_VALUES)


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30.e30", "null", "undefined", '"a.b.c"'])
async def test_what_is_no_token_is_invalid(shared_service, token):
    assert await answers(shared_service, Authorization=f"Bearer {token}") == (
        401,
        not_valid("Token is invalid"),
    )


async def test_an_access_token_does_for_five_minutes_and_half_a_minute_of_leeway(service):
    await service.register()
    access, _ = await service.log_in()
    service.clock.advance(timedelta(minutes=5, seconds=29))
    assert (await service.profile(access)).status_code == 200
    service.clock.advance(timedelta(seconds=1))
    assert await answers(service, Authorization=f"Bearer {access}") == (401, not_valid("Token is expired"))


async def test_a_refresh_token_is_of_the_wrong_type(shared_service):
    _, refresh = await shared_service.log_in()
    assert await answers(shared_service, Authorization=f"Bearer {refresh}") == (
        401,
        not_valid("Token has wrong type"),
    )


async def test_a_token_whose_session_is_over_is_invalid(service):
    await service.register()
    access, refresh = await service.log_in()
    await service.post("/api/auth/logout/", {"refresh": refresh})
    assert await answers(service, Authorization=f"Bearer {access}") == (401, not_valid("Token is invalid"))


async def test_a_token_of_a_disabled_account_is_invalid(service):
    await service.register()
    access, _ = await service.log_in()
    service.disable()
    assert await answers(service, Authorization=f"Bearer {access}") == (401, not_valid("Token is invalid"))


async def test_a_token_anywhere_but_in_the_header_is_not_looked_at(shared_service):
    access, _ = await shared_service.log_in()
    answer = await shared_service.client.get(
        "/api/user/profile/",
        params={"access_token": access, "token": access},
        headers={"Cookie": f"access={access}; access_token={access}"},
    )
    assert (answer.status_code, answer.json()) == (401, NOT_PROVIDED)
