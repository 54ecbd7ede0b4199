"""GET /api/user/sessions/, DELETE of one of them, revoke-others/, and POST /api/auth/logout-all/"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from shutil import copyfile

import pytest
from tests.http.conftest import running

from identity.adapters.sql.storage import SqlStorage

SESSIONS = "/api/user/sessions/"
OTHERS = "/api/user/sessions/revoke-others/"
ALL = "/api/auth/logout-all/"
NOBODYS = "0" * 32

NOT_FOUND = {"detail": "Not found.", "code": "session_not_found"}
NO_SUCH_PATH = {"detail": "Not found."}
NOT_PROVIDED = {"detail": "Authentication credentials were not provided."}
INVALID = {
    "detail": "Given token not valid for any token type",
    "code": "token_not_valid",
    "messages": [{"token_class": "AccessToken", "token_type": "access", "message": "Token is invalid"}],
}
BLACKLISTED = {"detail": "Token is blacklisted", "code": "token_not_valid"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
REQUESTS = [("GET", SESSIONS), ("DELETE", f"{SESSIONS}{NOBODYS}/"), ("POST", OTHERS), ("POST", ALL)]


@pytest.fixture
async def john(service):
    """His tokens, just after he logged in."""
    await service.register()
    return await service.log_in()


@pytest.fixture
async def mary(service):
    await service.register("mary", "mary@example.com")
    return await service.log_in("mary")


async def listed(service, tokens):
    answer = await service.get(SESSIONS, access=tokens.access)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def id_of(service, tokens):
    (current,) = [each["id"] for each in await listed(service, tokens) if each["is_current"]]
    return current


async def sent(service, method, path, tokens, **how):
    headers = {"Authorization": f"Bearer {tokens.access}", **how.pop("headers", {})}
    answer = await service.client.request(method, path, headers=headers, **how)
    return answer.status_code, answer.json()


async def ended(service, tokens, session_id):
    return await sent(service, "DELETE", f"{SESSIONS}{session_id}/", tokens)


async def assert_over(service, tokens):
    """On the next request, whichever it is."""
    for method, path in REQUESTS:
        assert await sent(service, method, path, tokens) == (401, INVALID)
    profile = await service.profile(tokens.access)
    assert (profile.status_code, profile.json()) == (401, INVALID)
    refused = [
        await service.refresh(tokens.refresh),
        await service.post("/api/auth/logout/", {"refresh": tokens.refresh}),
        await service.post("/api/auth/token/verify/", {"token": tokens.refresh}),
        await service.post("/api/auth/token/verify/", {"token": tokens.access}),
    ]
    assert [(each.status_code, each.json()) for each in refused] == [(401, BLACKLISTED)] * 4


async def is_live(service, tokens):
    profile, refresh = await service.profile(tokens.access), await service.refresh(tokens.refresh)
    assert profile.status_code == refresh.status_code
    return profile.status_code == 200


# The list


@pytest.mark.parametrize("path", [SESSIONS, SESSIONS.rstrip("/")])
async def test_the_list_shows_each_session_and_which_one_is_this(service, path):
    service.clock.at = datetime(2024, 12, 19, 10, 0, 0, 123456, tzinfo=UTC)
    await service.register()
    body = {"username": "john_doe", "password": "yourpassword123"}
    service.client.headers["User-Agent"] = FIREFOX
    laptop = (await service.post("/api/auth/login/", body)).json()["access"]
    service.client.headers["User-Agent"] = "curl/8.5.0"
    service.clock.advance(timedelta(days=1, seconds=1))
    phone = (await service.post("/api/auth/login/", body)).json()["access"]
    service.clock.advance(timedelta(seconds=50))
    answer = await service.get(path, access=phone)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    first, second = answer.json()
    assert len({first.pop("id"), second.pop("id")}) == 2
    assert (first, second) == (
        {
            "created_at": "2024-12-20T10:00:01Z",
            "last_used_at": "2024-12-20T10:00:01Z",
            "expires_at": "2025-01-19T10:00:01Z",
            "user_agent": "curl/8.5.0",
            "address": "testclient",
            "is_current": True,
        },
        {
            "created_at": "2024-12-19T10:00:00Z",
            "last_used_at": "2024-12-19T10:00:00Z",
            "expires_at": "2025-01-18T10:00:00Z",
            "user_agent": FIREFOX,
            "address": "testclient",
            "is_current": False,
        },
    )
    assert laptop != phone


async def test_a_use_is_noted_at_most_once_a_minute(service, john):
    for seconds, used_at in (
        (59, "2026-01-01T12:00:00Z"),
        (60, "2026-01-01T12:01:00Z"),
        (119, "2026-01-01T12:01:00Z"),
        (120, "2026-01-01T12:02:00Z"),
    ):
        service.clock.at = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(seconds=seconds)
        assert (await service.profile(john.access)).status_code == 200
        (session,) = await listed(service, john)
        assert session["last_used_at"] == used_at


async def test_a_use_that_a_locked_database_cannot_note_is_answered_all_the_same(
    empty_database, tmp_path, caplog
):
    path = copyfile(empty_database, tmp_path / "identity.db")
    impatient = SqlStorage(f"sqlite:///{path}", patience=timedelta(milliseconds=50))
    async with running(f"sqlite:///{path}", overrides={"storage": impatient}) as service:
        await service.register()
        john = await service.log_in()
        service.clock.advance(timedelta(minutes=1))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            (session,) = await listed(service, john)
            assert session["last_used_at"] == "2026-01-01T12:00:00Z"
            ending = await service.post(ALL, {}, access=john.access)
            assert (ending.status_code, ending.headers["Retry-After"]) == (503, "5")
        assert "the use of a session could not be noted: SQLite: database is locked" in caplog.messages
        (session,) = await listed(service, john)
        assert session["last_used_at"] == "2026-01-01T12:01:00Z"


async def test_a_refresh_is_a_use(service, john):
    service.clock.advance(timedelta(seconds=30))
    await service.refresh(john.refresh)
    (session,) = await listed(service, john)
    assert session["last_used_at"] == "2026-01-01T12:00:30Z"


async def test_the_session_used_last_comes_first_and_what_is_over_is_not_shown(service, john):
    others, ids = [], []
    for _ in range(3):
        service.clock.advance(timedelta(minutes=1))
        others.append(await service.log_in())
        ids.append(await id_of(service, others[-1]))
    service.clock.advance(timedelta(minutes=1))
    current = await id_of(service, john)
    assert [each["id"] for each in await listed(service, john)] == [current, *reversed(ids)]
    await service.post("/api/auth/logout/", {"refresh": others[1].refresh})
    assert [each["id"] for each in await listed(service, john)] == [current, ids[2], ids[0]]


async def test_a_session_idle_for_seven_days_is_not_shown(service, john):
    service.clock.advance(timedelta(days=7))
    again = await service.log_in()
    assert [each["is_current"] for each in await listed(service, again)] == [True]


async def test_a_user_agent_is_shown_cut_and_one_with_control_characters_not_at_all(service, john):
    for user_agent, shown in (("x" * 1000, "x" * 256), (b"a\x85b", ""), ("a\tb", "")):
        login = await service.client.post(
            "/api/auth/login/",
            json={"username": "john_doe", "password": "yourpassword123"},
            headers={"User-Agent": user_agent},
        )
        answer = await service.get(SESSIONS, access=login.json()["access"])
        (session,) = [each for each in answer.json() if each["is_current"]]
        assert session["user_agent"] == shown


async def test_nothing_of_a_token_is_shown(service, john):
    text = (await service.get(SESSIONS, access=john.access)).text
    for token in john:
        for part in token.split("."):
            assert part not in text


# Ending one


async def test_ending_a_session_holds_on_the_next_request_and_for_no_other(service, john):
    phone, tablet = await service.log_in(), await service.log_in()
    assert await ended(service, john, await id_of(service, phone)) == (200, {})
    await assert_over(service, phone)
    assert len(await listed(service, john)) == 2
    assert await is_live(service, tablet)
    assert await is_live(service, john)


async def test_every_generation_of_the_tokens_of_an_ended_session_is_refused(service, john):
    phone = await service.log_in()
    generations = [phone]
    for _ in range(3):
        answer = await service.refresh(generations[-1].refresh)
        generations.append(type(phone)(**answer.json()))
    await ended(service, john, await id_of(service, phone))
    for tokens in generations:
        await assert_over(service, tokens)


async def test_ending_the_current_session_is_a_logout(service, john):
    other = await service.log_in()
    assert await ended(service, john, await id_of(service, john)) == (200, {})
    await assert_over(service, john)
    assert await is_live(service, other)


async def test_a_session_ends_once(service, john):
    phone = await id_of(service, await service.log_in())
    assert await ended(service, john, phone) == (200, {})
    assert await ended(service, john, phone) == (404, NOT_FOUND)


async def test_the_slash_at_the_end_makes_no_difference(service, john):
    phone = await service.log_in()
    path = f"{SESSIONS}{await id_of(service, phone)}"
    assert await sent(service, "DELETE", path, john) == (200, {})
    assert await sent(service, "DELETE", path, john) == (404, NOT_FOUND)
    assert await sent(service, "POST", OTHERS.rstrip("/"), john) == (200, {})
    assert await sent(service, "POST", ALL.rstrip("/"), john) == (200, {})
    await assert_over(service, john)


@pytest.mark.parametrize(
    "session_id",
    [
        pytest.param(NOBODYS, id="nobody's"),
        pytest.param("1", id="a number"),
        pytest.param("x" * 8000, id="8,000 characters"),
        pytest.param("%00", id="NUL"),
        pytest.param(f"{'0' * 31}%00", id="NUL at the end"),
        pytest.param("%0d%0aSet-Cookie:%20a=b", id="line break"),
        pytest.param("%ff%fe", id="invalid UTF-8"),
        pytest.param("%f0%9f%a6%8a", id="a fox"),
        pytest.param("%20", id="white space"),
        pytest.param("*", id="an asterisk"),
        pytest.param("%25", id="a percent sign"),
        pytest.param("'%20OR%20'1'='1", id="SQL"),
        pytest.param("..%5c..", id="backslashes"),
        pytest.param("{session_id}", id="the parameter's name"),
    ],
)
async def test_what_is_no_session_of_one_s_own_is_not_found(shared_service, session_id):
    tokens = await shared_service.log_in()
    assert await ended(shared_service, tokens, session_id) == (404, NOT_FOUND)
    assert (await shared_service.profile(tokens.access)).status_code == 200


@pytest.mark.parametrize("session_id", ["a%2Fb", f"{NOBODYS}/refresh", "..%2fprofile", "a/b/c"])
async def test_a_slash_in_an_id_however_it_is_written_makes_another_path(shared_service, session_id):
    tokens = await shared_service.log_in()
    assert await ended(shared_service, tokens, session_id) == (404, NO_SUCH_PATH)


async def test_an_id_in_another_case_is_another_one(service, john):
    session_id = await id_of(service, john)
    assert session_id.upper() != session_id
    assert await ended(service, john, session_id.upper()) == (404, NOT_FOUND)
    assert await ended(service, john, f"%20{session_id}") == (404, NOT_FOUND)
    assert await is_live(service, john)


# Ending the others, and all


async def test_ending_the_others_spares_the_current_one(service, john, mary):
    phone, tablet = await service.log_in(), await service.log_in()
    assert await sent(service, "POST", OTHERS, phone) == (200, {})
    await assert_over(service, john)
    await assert_over(service, tablet)
    assert [each["is_current"] for each in await listed(service, phone)] == [True]
    assert await is_live(service, phone)
    assert await is_live(service, mary)


async def test_ending_the_others_when_there_are_none_is_no_mistake(service, john):
    for _ in range(2):
        assert await sent(service, "POST", OTHERS, john) == (200, {})
    assert await is_live(service, john)


async def test_logging_out_everywhere_ends_every_session_and_nobody_else_s(service, john, mary):
    phone = await service.log_in()
    assert await sent(service, "POST", ALL, phone) == (200, {})
    await assert_over(service, john)
    await assert_over(service, phone)
    assert await is_live(service, mary)
    assert await is_live(service, await service.log_in())


# Whose they are


async def test_nobody_sees_or_ends_a_session_of_anybody_else(service):
    """HT-6: everybody tries everybody's."""
    names = ("john_doe", "mary", "carol")
    tokens = {}
    for name in names:
        await service.register(name, f"{name}@example.com")
        tokens[name] = [await service.log_in(name), await service.log_in(name)]
    ids = {name: [await id_of(service, each) for each in tokens[name]] for name in names}
    assert len({each for name in names for each in ids[name]}) == 6
    for name in names:
        for own in tokens[name]:
            assert sorted(each["id"] for each in await listed(service, own)) == sorted(ids[name])
        for other in names:
            for session_id in ids[other]:
                if other != name:
                    assert await ended(service, tokens[name][0], session_id) == (404, NOT_FOUND)
    assert await ended(service, tokens["carol"][0], ids["carol"][1]) == (200, {})
    assert await sent(service, "POST", OTHERS, tokens["john_doe"][1]) == (200, {})
    assert await sent(service, "POST", ALL, tokens["mary"][0]) == (200, {})
    live = {name: [await is_live(service, each) for each in tokens[name]] for name in names}
    assert live == {"john_doe": [False, True], "mary": [False, False], "carol": [True, False]}


async def test_nothing_in_a_request_but_its_token_says_whose_sessions_are_meant(service, john, mary):
    for parameters in ({"user": "2"}, {"user_id": "2", "username": "mary"}):
        headers = {
            "Authorization": f"Bearer {john.access}",
            "X-User-Id": "2",
            "Cookie": f"access={mary.access}",
        }
        answer = await service.client.get(SESSIONS, params=parameters, headers=headers)
        assert [each["id"] for each in answer.json()] == [await id_of(service, john)]
        for path in (OTHERS, ALL):
            await service.client.post(path, params=parameters, json=parameters, headers=headers)
        john = await service.log_in()
    assert await is_live(service, mary)


@pytest.mark.parametrize(("method", "path"), REQUESTS)
async def test_each_asks_for_credentials_in_the_same_words(shared_service, method, path):
    _, refresh = await shared_service.log_in()
    wrong_type = {**INVALID, "messages": [{**INVALID["messages"][0], "message": "Token has wrong type"}]}
    two_values = {
        "detail": "Authorization header must contain two space-delimited values",
        "code": "bad_authorization_header",
    }
    for authorization, body in (
        (None, NOT_PROVIDED),
        ("Basic am9obg==", NOT_PROVIDED),
        ("Bearer", two_values),
        ("Bearer a.b.c", INVALID),
        (f"Bearer {refresh}", wrong_type),
    ):
        headers = {} if authorization is None else {"Authorization": authorization}
        for form in (path, path.removesuffix("/")):
            answer = await shared_service.client.request(method, form, headers=headers)
            assert (answer.status_code, answer.json()) == (401, body)
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'


# Methods and bodies


@pytest.mark.parametrize("method", ["DELETE", "GET", "PUT", "PATCH"])
async def test_the_word_for_the_others_is_no_id(shared_service, method):
    tokens = await shared_service.log_in()
    answer = await shared_service.client.request(
        method, OTHERS, headers={"Authorization": f"Bearer {tokens.access}"}
    )
    assert (answer.status_code, answer.json()) == (405, {"detail": f'Method "{method}" not allowed.'})
    assert answer.headers["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        (b"", "application/json"),
        (b"{}", "application/json"),
        (b"{", "application/json"),
        (b'{"id": 1, "id": 2}', "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"x", "text/plain"),
        (b"x", "multipart/form-data"),
        (b"x", ""),
        (b"a=1&a=2", "application/x-www-form-urlencoded"),
    ],
)
async def test_a_body_that_nobody_asked_for_is_not_looked_at(service, john, content, content_type):
    """As a client that always sends one, or the media type of one, may do."""
    how = {"content": content, "headers": {"Content-Type": content_type}}
    phone = await service.log_in()
    path = f"{SESSIONS}{await id_of(service, phone)}/"
    assert await sent(service, "DELETE", path, john, **how) == (200, {})
    assert (await sent(service, "GET", SESSIONS, john, **how))[0] == 200
    assert await sent(service, "POST", OTHERS, john, **how) == (200, {})
    assert await sent(service, "POST", ALL, john, **how) == (200, {})
    await assert_over(service, john)


async def test_a_huge_body_that_nobody_asked_for_does_no_harm(service, john):
    for method, path in REQUESTS:
        status, _ = await sent(service, method, path, john, content=b"x" * 1_000_000)
        assert status in {200, 404, 413}
    assert await is_live(service, await service.log_in())


# The mail


async def test_a_login_from_a_new_device_is_told_of_by_mail_and_ended_as_it_says(service, john):
    service.client.headers["User-Agent"] = FIREFOX
    thief = await service.log_in()
    (mail,) = await service.deliver()
    assert (str(mail.to), mail.subject) == ("john@example.com", "New sign-in to your Identity account")
    assert "Firefox on Linux" in mail.text
    await service.log_in()
    assert await service.deliver() == []
    await service.reset(await service.reset_link())
    await assert_over(service, thief)


async def test_the_mail_about_new_devices_is_a_setting(start):
    service = await start(new_device_mail=False)
    await service.register()
    await service.log_in()
    service.client.headers["User-Agent"] = FIREFOX
    await service.log_in()
    assert await service.deliver() == []
    assert not service.has_mail_waiting()
