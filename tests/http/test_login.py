"""POST /api/auth/login/"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import jwt
import pytest

from identity.domain.names import EmailAddress

REFUSED = (401, {"detail": "No active account found with the given credentials"})


async def log_in(service, username, password):
    answer = await service.post("/api/auth/login/", {"username": username, "password": password})
    return answer.status_code, answer.json()


@pytest.mark.parametrize("path", ["/api/auth/login/", "/api/auth/login"])
async def test_a_login_answers_with_two_tokens_and_no_more(shared_service, path):
    answer = await shared_service.post(path, {"username": "john_doe", "password": "yourpassword123"})
    assert answer.status_code == 200
    tokens = answer.json()
    assert set(tokens) == {"access", "refresh"}
    assert (await shared_service.profile(tokens["access"])).status_code == 200
    assert (await shared_service.refresh(tokens["refresh"])).status_code == 200


@pytest.mark.parametrize(
    "username",
    [
        "john_doe",
        "JOHN_Doe",
        "ｊｏｈｎ_doe",
        "  john_doe ",
        "john@example.com",
        "John@Example.COM",
        " john@example.com ",
    ],
)
async def test_one_logs_in_with_the_username_or_the_address_in_any_case(shared_service, username):
    assert await shared_service.can_log_in(username)


@pytest.mark.parametrize(
    ("username", "password"),
    [
        pytest.param("nobody", "yourpassword123", id="unknown name"),
        pytest.param("nobody@example.com", "yourpassword123", id="unknown address"),
        pytest.param("john_doe", "wrong password", id="wrong password"),
        pytest.param("john@example.com", "wrong password", id="wrong password by address"),
        pytest.param("not a name!", "yourpassword123", id="impossible name"),
        pytest.param("not@an@address", "yourpassword123", id="impossible address"),
        pytest.param("x" * 5000, "yourpassword123", id="endless name"),
        pytest.param("john_doe", "x" * 1025, id="oversized password"),
        pytest.param("' OR '1'='1", "' OR '1'='1", id="SQL"),
        pytest.param("john_doe\u200b", "yourpassword123", id="zero-width space"),
        pytest.param("john%", "yourpassword123", id="wildcard"),
        pytest.param("jóhn_doe", "yourpassword123", id="accent"),
    ],
)
async def test_a_login_that_does_not_match_is_refused(shared_service, username, password):
    assert await log_in(shared_service, username, password) == REFUSED


async def test_a_login_of_a_disabled_account_is_refused(service):
    await service.register()
    service.disable()
    assert await log_in(service, "john_doe", "yourpassword123") == REFUSED
    assert await log_in(service, "john@example.com", "yourpassword123") == REFUSED


@pytest.mark.parametrize(
    "password",
    [
        "Yourpassword123",
        "yourpassword124",
        "yourpassword12",
        "yourpassword123 ",
        " yourpassword123",
        "YOURPASSWORD123",
        "ｙourpassword123",
        "your password123",
    ],
)
async def test_any_other_character_case_or_space_in_the_password_is_refused(shared_service, password):
    assert await log_in(shared_service, "john_doe", password) == REFUSED


async def test_any_one_changed_character_in_the_password_is_refused(shared_service):
    password = "yourpassword123"
    for place, character in enumerate(password):
        changed = password[:place] + chr(ord(character) ^ 1) + password[place + 1 :]
        assert await log_in(shared_service, "john_doe", changed) == REFUSED


async def test_unknown_wrong_and_disabled_are_told_apart_by_nothing(service):
    await service.register()
    await service.register("gone", "gone@example.com")
    service.disable("gone")
    attempts = [
        ("nobody", "wrong password"),
        ("nobody@example.com", "yourpassword123"),
        ("not a name!", "yourpassword123"),
        ("john_doe", "wrong password"),
        ("john@example.com", "wrong password"),
        ("gone", "yourpassword123"),
        ("gone@example.com", "yourpassword123"),
        ("gone", "wrong password"),
    ]
    answers = [
        await service.post("/api/auth/login/", {"username": username, "password": password})
        for username, password in attempts
    ]
    for answer in answers:
        answer.headers.pop("X-Request-ID")
    assert {(each.status_code, each.content, tuple(each.headers.multi_items())) for each in answers} == {
        (401, answers[0].content, tuple(answers[0].headers.multi_items()))
    }
    assert answers[0].headers["WWW-Authenticate"] == 'Bearer realm="api"'


async def test_unknown_wrong_and_disabled_cost_one_verification_each(service):
    await service.register()
    await service.register("gone", "gone@example.com")
    service.disable("gone")
    for username in ("nobody", "nobody@example.com", "not a name!", "john_doe", "gone"):
        before = service.hasher.count
        assert not await service.can_log_in(username, "wrong password")
        assert service.hasher.count == before + 1


async def test_a_text_with_an_at_sign_is_looked_up_as_an_address_only(service):
    await service.register("mary@example.com", "mary@example.com")
    mary = service.user("mary@example.com")

    async def move() -> None:
        async with service.container.begin()() as uow:
            await uow.users.save(replace(mary, email=EmailAddress("mary@elsewhere.example")))

    service.in_the_app(move)
    assert await log_in(service, "mary@example.com", "yourpassword123") == REFUSED
    assert await service.can_log_in("mary@elsewhere.example")


async def test_passwords_are_verified_exactly_as_received(service):
    await service.register(password="  spaces matter  ")
    assert await service.can_log_in(password="  spaces matter  ")
    assert not await service.can_log_in(password="spaces matter")


async def test_a_password_longer_than_any_costs_no_hash(shared_service):
    before = shared_service.hasher.count
    for username in ("john_doe", "nobody"):
        assert await log_in(shared_service, username, "x" * 1025) == REFUSED
        assert await log_in(shared_service, username, "真" * 342) == REFUSED
        assert (await log_in(shared_service, username, "x" * 1_000_000))[0] == 413
    assert shared_service.hasher.count == before


async def test_an_outdated_hash_is_replaced_at_a_login_and_never_at_a_failure(service):
    await service.register()
    before = service.user().password_hash
    service.hasher.raise_cost()
    assert not await service.can_log_in(password="wrong password")
    assert service.user().password_hash == before
    assert await service.can_log_in()
    after = service.user().password_hash
    assert after != before
    assert await service.can_log_in()
    assert service.user().password_hash == after


async def test_extra_fields_change_nothing(shared_service):
    body = {
        "username": "john_doe",
        "password": "yourpassword123",
        "user_id": 2,
        "is_admin": True,
        "lifetime": 10**9,
    }
    answer = await shared_service.post("/api/auth/login/", body)
    claims = jwt.decode(answer.json()["access"], options={"verify_signature": False})
    assert set(claims) == {"iss", "aud", "sub", "sid", "jti", "iat", "exp", "token_type", "user_id"}
    assert (claims["sub"], claims["user_id"]) == ("1", "1")
    assert claims["exp"] - claims["iat"] == 300


async def test_an_account_has_at_most_50_sessions_and_the_oldest_ends(service):
    await service.register()
    tokens = []
    for _ in range(51):
        service.clock.advance(service.clock.at.resolution)
        tokens.append(await service.log_in())
    alive = [(await service.profile(each.access)).status_code for each in tokens]
    assert alive == [401] + [200] * 50


@pytest.mark.parametrize("step", [timedelta(0), -timedelta(hours=1)], ids=["stands still", "is set back"])
async def test_the_session_of_a_new_login_is_not_the_one_that_ends_though_the_clock(start, step):
    service = await start(sessions_per_account=2)
    await service.register()
    for _ in range(4):
        service.clock.advance(step)
        access, refresh = await service.log_in()
        assert (await service.profile(access)).status_code == 200
        assert (await service.refresh(refresh)).status_code == 200
