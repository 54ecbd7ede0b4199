"""POST /api/user/change-password/, /api/auth/forgot-password/ and /api/auth/reset-password/"""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest

CHANGED = (200, {"message": "Password changed successfully"})
SENT = (200, {"message": "Password reset instructions sent to your email"})
RESET = (200, {"message": "Password has been reset successfully"})
INCORRECT = (400, {"error": "Incorrect old password"})
BAD_LINK = (400, {"error": "Invalid or expired token."})

SYNTAX = "Enter a valid email address."
TOO_SHORT = "This password is too short. It must contain at least 8 characters."
TOO_COMMON = "This password is too common."
NUMERIC = "This password is entirely numeric."
LIKE_USERNAME = "The password is too similar to the username."
LIKE_EMAIL = "The password is too similar to the email address."

WEAK = [
    ("1", [TOO_SHORT, TOO_COMMON, NUMERIC]),
    ("kX9!qLz", [TOO_SHORT]),
    ("🦄🐉🦊🐙🦜🐝🦋", [TOO_SHORT]),
    ("Password", [TOO_COMMON]),
    ("2468013579", [NUMERIC]),
    ("margaret_hall", [LIKE_USERNAME]),
    ("xx-Margaret_HALL", [LIKE_USERNAME]),
    ("Peggy@Example.com", [LIKE_EMAIL]),
    ("I am peggy 4711", [LIKE_EMAIL]),
    ("k" * 257, ["Ensure this field has no more than 256 characters."]),
]
STRONG = [
    "newpassword123",
    "yournewpassword123",
    "kX9!qLzw",
    "🦄🐉🦊🐙🦜🐝🦋🐢",
    "真" * 64,
    "kX9!qLzw" * 32,
    "   around   ",
]


@pytest.fixture
async def margaret(service):
    await service.register("margaret_hall", "peggy@example.com")
    return await service.log_in("margaret_hall")


async def change(service, access, old="yourpassword123", new="yournewpassword123"):
    body = {"old_password": old, "new_password": new}
    answer = await service.post("/api/user/change-password/", body, access=access)
    return answer.status_code, answer.json()


async def forgot(service, email):
    answer = await service.forgot(email)
    return answer.status_code, answer.json()


async def reset(service, link, password="newpassword123"):
    answer = await service.reset(link, password)
    return answer.status_code, answer.json()


# Changing a password that one knows


@pytest.mark.parametrize("path", ["/api/user/change-password/", "/api/user/change-password"])
async def test_after_a_change_the_new_password_counts_and_the_old_one_does_not(service, path):
    await service.register()
    access, _ = await service.log_in()
    body = {"old_password": "yourpassword123", "new_password": "yournewpassword123"}
    answer = await service.post(path, body, access=access)
    assert (answer.status_code, answer.json()) == CHANGED
    assert await service.can_log_in(password="yournewpassword123")
    assert not await service.can_log_in(password="yourpassword123")


async def test_a_change_ends_the_other_sessions_and_not_its_own(service, margaret):
    other = await service.log_in("margaret_hall")
    assert await change(service, margaret.access) == CHANGED
    assert (await service.profile(margaret.access)).status_code == 200
    assert (await service.refresh(margaret.refresh)).status_code == 200
    assert (await service.profile(other.access)).status_code == 401
    assert (await service.refresh(other.refresh)).json() == {
        "detail": "Token is blacklisted",
        "code": "token_not_valid",
    }


async def test_a_change_is_told_to_the_owner_by_mail_without_any_password(service, margaret):
    await change(service, margaret.access)
    (mail,) = await service.deliver()
    assert (str(mail.to), mail.subject) == ("peggy@example.com", "Your Identity password was changed")
    for text in (mail.text, mail.html):
        assert "yourpassword123" not in text
        assert "yournewpassword123" not in text


async def test_with_another_old_password_nothing_is_changed(service, margaret):
    for old in (
        "wrong password",
        "yourpassword123 ",
        " yourpassword123",
        "Yourpassword123",
        "yourpassword12",
        "x" * 1025,
    ):
        assert await change(service, margaret.access, old=old) == INCORRECT
    assert await service.can_log_in("margaret_hall")
    assert not service.has_mail_waiting()


async def test_a_change_to_a_weak_password_is_refused_with_every_reason(service, margaret):
    answers = {password: await change(service, margaret.access, new=password) for password, _ in WEAK}
    assert answers == {password: (400, {"new_password": messages}) for password, messages in WEAK}
    assert await service.can_log_in("margaret_hall")


@pytest.mark.parametrize(
    ("old", "message"),
    [
        pytest.param({}, "This field is required.", id="missing"),
        pytest.param({"old_password": None}, "This field may not be null.", id="null"),
        pytest.param({"old_password": ""}, "This field may not be blank.", id="blank"),
        pytest.param({"old_password": ["yourpassword123"]}, "Not a valid string.", id="list"),
    ],
)
async def test_a_change_is_refused_with_the_reasons_of_every_field_at_once(service, margaret, old, message):
    for password, messages in WEAK:
        body = {**old, "new_password": password}
        answer = await service.post("/api/user/change-password/", body, access=margaret.access)
        assert (answer.status_code, answer.json()) == (
            400,
            {"old_password": [message], "new_password": messages},
        )
    body = {**old, "new_password": "yournewpassword123"}
    answer = await service.post("/api/user/change-password/", body, access=margaret.access)
    assert (answer.status_code, answer.json()) == (400, {"old_password": [message]})
    assert await service.can_log_in("margaret_hall")


async def test_a_change_takes_any_password_of_8_to_256_code_points(service, margaret):
    old = "yourpassword123"
    for password in STRONG:
        assert await change(service, margaret.access, old=old, new=password) == CHANGED
        assert await service.can_log_in("margaret_hall", password)
        assert not await service.can_log_in("margaret_hall", password + " ")
        old = password


async def test_a_change_voids_the_reset_links_that_were_mailed_before(service, margaret):
    link = await service.reset_link("peggy@example.com")
    await change(service, margaret.access)
    assert await reset(service, link) == BAD_LINK


async def test_a_password_of_a_megabyte_costs_no_hash(shared_service):
    access, _ = await shared_service.log_in()
    before = shared_service.hasher.count
    for field in ("old_password", "new_password"):
        body = {"old_password": "yourpassword123", "new_password": "yournewpassword123"}
        answer = await shared_service.post(
            "/api/user/change-password/", {**body, field: "x" * 1_000_000}, access=access
        )
        assert answer.status_code == 413
    assert shared_service.hasher.count == before


async def test_extra_fields_of_a_change_change_nothing(service, margaret):
    await service.register()
    body = {
        "old_password": "yourpassword123",
        "new_password": "yournewpassword123",
        "username": "john_doe",
        "user_id": 2,
        "id": 2,
        "email": "evil@example.com",
        "is_admin": True,
    }
    answer = await service.post("/api/user/change-password/", body, access=margaret.access)
    assert answer.status_code == 200
    assert await service.can_log_in("john_doe", "yourpassword123")
    user = service.user("margaret_hall")
    assert (user.email.value, user.superuser_since) == ("peggy@example.com", None)


# Asking for a link


@pytest.mark.parametrize("path", ["/api/auth/forgot-password/", "/api/auth/forgot-password"])
async def test_who_forgot_the_password_gets_a_mail_with_a_link(service, path):
    await service.register()
    answer = await service.post(path, {"email": "john@example.com"})
    assert (answer.status_code, answer.json()) == SENT
    (mail,) = await service.deliver()
    assert (str(mail.to), mail.subject) == ("john@example.com", "Reset your Identity password")
    uidb64, token = service.link()
    assert uidb64 == base64.urlsafe_b64encode(b"1").decode().rstrip("=") == "MQ"
    assert f"http://localhost:3000/reset-password/MQ/{token}" in mail.html


async def test_the_answer_is_the_same_whether_or_not_the_address_is_known(service):
    await service.register()
    await service.register("gone", "gone@example.com")
    service.disable("gone")
    answers = [
        await service.forgot(email)
        for email in ("john@example.com", "nobody@example.com", "gone@example.com")
    ]
    for answer in answers:
        answer.headers.pop("X-Request-ID")
    assert {(each.status_code, each.content, tuple(each.headers.multi_items())) for each in answers} == {
        (200, answers[0].content, tuple(answers[0].headers.multi_items()))
    }
    assert answers[0].json() == SENT[1]
    (mail,) = await service.deliver()
    assert str(mail.to) == "john@example.com"


async def test_the_mail_goes_to_the_address_as_it_was_registered(service):
    await service.register(email="John@Example.com")
    assert await forgot(service, " JOHN@example.COM ") == SENT
    (mail,) = await service.deliver()
    assert str(mail.to) == "John@Example.com"


async def test_a_look_alike_of_an_address_gets_nothing(service):
    await service.register("mike", "mike@example.com")
    for email in (
        "mıke@example.com",
        "ｍike@example.com",
        "mike@exámple.com",
        "mike@example.com.evil.example",
    ):
        assert await forgot(service, email) == SENT
    assert await service.deliver() == []


@pytest.mark.parametrize(
    ("email", "message"),
    [
        pytest.param(["john@example.com", "evil@example.com"], "Not a valid string.", id="list"),
        pytest.param(["john@example.com"], "Not a valid string.", id="list of one"),
        pytest.param({"0": "john@example.com"}, "Not a valid string.", id="object"),
        pytest.param(True, "Not a valid string.", id="boolean"),
        pytest.param(4711, SYNTAX, id="number"),
        pytest.param("john@example.com,evil@example.com", SYNTAX, id="comma"),
        pytest.param("john@example.com;evil@example.com", SYNTAX, id="semicolon"),
        pytest.param("john@example.com evil@example.com", SYNTAX, id="space"),
        pytest.param("John <john@example.com>", SYNTAX, id="display name"),
        pytest.param(
            "john@example.com\r\nBcc: evil@example.com", "Null characters are not allowed.", id="CRLF"
        ),
        pytest.param("john@example.com\nevil@example.com", "Null characters are not allowed.", id="LF"),
        pytest.param("john@example.com\0", "Null characters are not allowed.", id="NUL"),
        pytest.param("john", SYNTAX, id="no address"),
        pytest.param(
            "j" * 250 + "@example.com", "Ensure this field has no more than 254 characters.", id="too long"
        ),
    ],
)
async def test_what_is_not_one_address_is_refused_and_asks_for_no_mail(shared_service, email, message):
    assert not shared_service.has_mail_waiting()
    assert await forgot(shared_service, email) == (400, {"email": [message]})
    assert not shared_service.has_mail_waiting()


async def test_an_address_that_is_given_twice_in_a_form_asks_for_no_mail(service):
    await service.register()
    answer = await service.client.post(
        "/api/auth/forgot-password/", data={"email": ["john@example.com", "evil@example.com"]}
    )
    assert answer.status_code == 400
    assert not service.has_mail_waiting()


async def test_the_link_s_base_never_comes_from_a_header(service):
    await service.register()
    for headers in (
        {"Host": "evil.example"},
        {"Host": "evil.example:443", "X-Forwarded-Proto": "https"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Port": "443", "X-Forwarded-Prefix": "/evil"},
        {"Forwarded": "for=1.2.3.4;host=evil.example;proto=https"},
        {"Origin": "http://evil.example", "Referer": "http://evil.example/"},
        {"X-Original-URL": "http://evil.example/", "X-Host": "evil.example"},
    ):
        await service.deliver()
        answer = await service.client.post(
            "/api/auth/forgot-password/", json={"email": "john@example.com"}, headers=headers
        )
        assert (answer.status_code, answer.json()) == SENT
        (mail,) = await service.deliver()
        assert "evil" not in mail.text + mail.html
        assert await reset(service, service.link()) == RESET
        service.clock.advance(timedelta(days=1))


async def test_the_link_is_built_from_a_setting(start):
    service = await start(
        frontend_url="https://app.example", reset_url="{frontend}/#/new?who={uidb64}&what={token}"
    )
    await service.register()
    await service.forgot()
    (mail,) = await service.deliver()
    assert "https://app.example/#/new?who=MQ&what=" in mail.text


async def test_of_50_requests_in_a_day_all_are_answered_and_5_send_a_mail(service):
    await service.register()
    await service.register("mary", "mary@example.com")
    for _ in range(50):
        assert await forgot(service, "john@example.com") == SENT
        await service.deliver()
        service.clock.advance(timedelta(minutes=25))
    assert len(service.container.mailer().sent) == 5
    assert await forgot(service, "mary@example.com") == SENT
    await service.deliver()
    assert str(service.last_mail().to) == "mary@example.com"
    service.clock.advance(timedelta(days=1))
    await service.reset_link()


async def test_of_50_requests_at_once_all_are_answered_and_one_mail_is_sent(service):
    await service.register()
    for _ in range(50):
        assert await forgot(service, "john@example.com") == SENT
    assert len(await service.deliver()) == 1


# Resetting a password that is lost


@pytest.mark.parametrize("path", ["/api/auth/reset-password/", "/api/auth/reset-password"])
async def test_after_a_reset_the_new_password_counts_and_the_old_one_does_not(service, path):
    await service.register()
    uidb64, token = await service.reset_link()
    answer = await service.post(path, {"uidb64": uidb64, "token": token, "password": "newpassword123"})
    assert (answer.status_code, answer.json()) == RESET
    assert await service.can_log_in(password="newpassword123")
    assert not await service.can_log_in(password="yourpassword123")


async def test_a_reset_ends_all_sessions(service, margaret):
    sessions = [margaret, await service.log_in("margaret_hall")]
    assert await reset(service, await service.reset_link("peggy@example.com")) == RESET
    for access, refresh in sessions:
        assert (await service.profile(access)).status_code == 401
        assert (await service.refresh(refresh)).status_code == 401
        assert (await service.post("/api/auth/token/verify/", {"token": refresh})).status_code == 401


async def test_a_reset_is_told_to_the_owner_by_mail(service, margaret):
    await reset(service, await service.reset_link("peggy@example.com"))
    (mail,) = await service.deliver()
    assert (str(mail.to), mail.subject) == ("peggy@example.com", "Your Identity password was changed")
    assert "newpassword123" not in mail.text + mail.html


async def test_a_reset_takes_any_password_of_8_to_256_code_points(service, margaret):
    for password in STRONG:
        assert await reset(service, await service.reset_link("peggy@example.com"), password) == RESET
        assert await service.can_log_in("margaret_hall", password)
        assert not await service.can_log_in("margaret_hall", password + " ")
        service.clock.advance(timedelta(days=1))


async def test_a_reset_to_a_weak_password_is_refused_with_every_reason_and_the_link_stays_good(
    service, margaret
):
    link = await service.reset_link("peggy@example.com")
    before = service.hasher.count
    answers = {password: await reset(service, link, password) for password, _ in WEAK}
    assert answers == {password: (400, {"password": messages}) for password, messages in WEAK}
    assert service.hasher.count == before
    assert (await service.profile(margaret.access)).status_code == 200
    assert await reset(service, link) == RESET


async def test_a_reset_without_a_password_is_refused_and_the_link_stays_good(service, margaret):
    uidb64, token = link = await service.reset_link("peggy@example.com")
    for body, message in (
        ({}, "This field is required."),
        ({"password": ""}, "This field may not be blank."),
        ({"password": None}, "This field may not be null."),
    ):
        answer = await service.post("/api/auth/reset-password/", {"uidb64": uidb64, "token": token, **body})
        assert (answer.status_code, answer.json()) == (400, {"password": [message]})
    assert await service.can_log_in("margaret_hall", "yourpassword123")
    assert await reset(service, link) == RESET


async def test_a_link_works_once(service):
    await service.register()
    link = await service.reset_link()
    assert await reset(service, link) == RESET
    assert await reset(service, link, "yournewpassword123") == BAD_LINK
    assert await service.can_log_in(password="newpassword123")


async def test_a_link_is_good_for_an_hour(service):
    await service.register()
    link = await service.reset_link()
    service.clock.advance(timedelta(minutes=60) - timedelta(seconds=1))
    assert await reset(service, link, "1") != BAD_LINK
    service.clock.advance(timedelta(seconds=1))
    assert await reset(service, link) == BAD_LINK
    assert await service.can_log_in()


async def test_a_reset_voids_the_other_links(service):
    await service.register()
    first, second = await service.reset_link(), await service.reset_link()
    assert first != second
    assert await reset(service, second) == RESET
    assert await reset(service, first) == BAD_LINK


async def test_a_second_mail_does_not_void_the_link_of_the_first(service):
    await service.register()
    first = await service.reset_link()
    await service.reset_link()
    assert await reset(service, first) == RESET


async def test_a_link_of_an_account_that_is_disabled_is_refused(service):
    await service.register()
    link = await service.reset_link()
    service.disable()
    assert await reset(service, link) == BAD_LINK


async def test_somebody_else_s_link_is_refused_and_stays_good_for_its_owner(service):
    await service.register()
    await service.register("mary", "mary@example.com")
    johns, marys = await service.reset_link(), await service.reset_link("mary@example.com")
    assert await reset(service, johns._replace(uidb64=marys.uidb64)) == BAD_LINK
    assert await reset(service, marys._replace(uidb64=johns.uidb64)) == BAD_LINK
    assert await service.can_log_in("john_doe")
    assert await service.can_log_in("mary")
    assert await reset(service, johns) == RESET
    assert await reset(service, marys) == RESET


def b64(text):
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


HOSTILE = [
    "1",
    "MQ=",
    "MQ==",
    "MR",  # the same octet as MQ, but for bits that must be zero
    "M",
    "M Q",
    "MQ/",
    "MQ/1",
    "../MQ",
    "%4dQ",
    "ＭＱ",
    *map(b64, ["01", "+1", "-1", " 1", "1\n", "1.0", "1e0", "0x1", "1_0", "١", "１", "0", "2"]),
    *map(b64, ["9" * 18, "9" * 19, "9" * 30, "9" * 5000, "1 OR 1=1", "john_doe"]),
    "null",
    "undefined",
    "' OR '1'='1",
    "__proto__",
    "😀",
]


async def test_a_hostile_uidb64_is_answered_like_a_bad_token_and_the_link_stays_good(service):
    await service.register()
    link = await service.reset_link()
    answers = {uidb64: await reset(service, link._replace(uidb64=uidb64)) for uidb64 in HOSTILE}
    assert answers == dict.fromkeys(HOSTILE, BAD_LINK)
    assert await reset(service, link) == RESET


async def test_a_bad_token_is_refused_before_the_password_is_judged_or_hashed(service):
    await service.register()
    link = await service.reset_link()
    before = service.hasher.count
    for token in ("x", "A" * 43, "' OR '1'='1", "c3p5cd-4b7d9d6a1f5ed0b9d3a0a6f1b8a1c9d7", "😀", "x" * 5000):
        for password in ("newpassword123", "1", "x" * 5000):
            assert await reset(service, link._replace(token=token), password) == BAD_LINK
            assert await reset(service, link._replace(uidb64="Mg", token=token), password) == BAD_LINK
    assert service.hasher.count == before


async def test_no_change_of_a_good_token_is_good(service):
    await service.register()
    link = await service.reset_link()
    for token in (
        link.token[:-1],
        link.token[1:],
        link.token + "A",
        link.token + "=",
        link.token + " ",
        " " + link.token,
        link.token.swapcase(),
        link.token[::-1],
    ):
        assert await reset(service, link._replace(token=token)) == BAD_LINK
    assert await reset(service, link) == RESET
