"""POST /api/auth/token/refresh/, /api/auth/token/verify/ and /api/auth/logout/"""

from __future__ import annotations

from datetime import timedelta

import jwt
import pytest

INVALID = {"detail": "Token is invalid", "code": "token_not_valid"}
EXPIRED = {"detail": "Token is expired", "code": "token_not_valid"}
WRONG_TYPE = {"detail": "Token has wrong type", "code": "token_not_valid"}
BLACKLISTED = {"detail": "Token is blacklisted", "code": "token_not_valid"}

TAKES_A_REFRESH_TOKEN = ["/api/auth/token/refresh/", "/api/auth/logout/", "/api/auth/token/blacklist/"]
LOGOUTS = ["/api/auth/logout/", "/api/auth/logout", "/api/auth/token/blacklist/", "/api/auth/token/blacklist"]


@pytest.fixture
async def john(service):
    """His tokens, just after he logged in."""
    await service.register()
    return await service.log_in()


async def refreshed(service, refresh):
    """The next refresh token, after a refresh that must work."""
    answer = await service.refresh(refresh)
    assert answer.status_code == 200, answer.text
    return answer.json()["refresh"]


async def refusal(service, refresh):
    answer = await service.refresh(refresh)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'
    return answer.status_code, answer.json()


async def verified(service, token):
    answer = await service.post("/api/auth/token/verify/", {"token": token})
    return answer.status_code, answer.json()


def jti(token):
    return jwt.decode(token, options={"verify_signature": False})["jti"]


# Refresh


async def test_a_refresh_answers_with_an_access_token_and_the_next_refresh_token(service, john):
    tokens = john._asdict()
    for path in ("/api/auth/token/refresh/", "/api/auth/token/refresh"):
        answer = await service.post(path, {"refresh": tokens["refresh"]})
        assert answer.status_code == 200
        assert set(answer.json()) == {"access", "refresh"}
        assert answer.json()["refresh"] != tokens["refresh"]
        tokens = answer.json()
        assert (await service.profile(tokens["access"])).status_code == 200


async def test_a_client_that_stores_each_new_token_goes_on_for_30_days(service, john):
    refresh = john.refresh
    for _ in range(29):
        service.clock.advance(timedelta(days=1))
        refresh = await refreshed(service, refresh)
    service.clock.advance(timedelta(days=1))
    assert await refusal(service, refresh) == (401, EXPIRED)


async def test_a_client_that_never_stores_the_new_token_goes_on_for_30_days(service, john):
    for _ in range(5):
        service.clock.advance(timedelta(days=5, hours=23))
        answer = await service.refresh(john.refresh)
        assert answer.status_code == 200
        assert (await service.profile(answer.json()["access"])).status_code == 200
    service.clock.advance(timedelta(days=1))
    assert await refusal(service, john.refresh) == (401, EXPIRED)


async def test_a_session_that_is_not_refreshed_for_7_days_is_over(service, john):
    service.clock.advance(timedelta(days=7) - timedelta(seconds=1))
    refresh = await refreshed(service, john.refresh)
    service.clock.advance(timedelta(days=7))
    assert await refusal(service, refresh) == (401, BLACKLISTED)
    assert await verified(service, refresh) == (401, BLACKLISTED)


async def test_two_tabs_that_refresh_at_once_get_the_same_token(service, john):
    first = await refreshed(service, john.refresh)
    service.clock.advance(timedelta(seconds=59))
    second = await refreshed(service, john.refresh)
    assert jti(first) == jti(second)


async def test_a_slow_tab_may_use_the_previous_token_for_a_minute(service, john):
    child = await refreshed(service, john.refresh)
    grandchild = await refreshed(service, child)
    service.clock.advance(timedelta(seconds=59))
    assert jti(await refreshed(service, john.refresh)) == jti(grandchild)


async def test_after_a_minute_the_previous_token_is_a_replay_and_ends_the_session(service, john):
    child = await refreshed(service, john.refresh)
    grandchild = await refreshed(service, child)
    service.clock.advance(timedelta(seconds=60))
    assert await refusal(service, john.refresh) == (401, BLACKLISTED)
    assert await refusal(service, grandchild) == (401, BLACKLISTED)
    assert await refusal(service, child) == (401, BLACKLISTED)
    assert (await service.profile(john.access)).status_code == 401


async def test_a_thief_and_the_owner_end_up_with_no_session_and_the_owner_gets_a_mail(service, john):
    stolen = await refreshed(service, john.refresh)
    service.clock.advance(timedelta(minutes=2))
    owners = await refreshed(service, john.refresh)
    assert jti(stolen) != jti(owners)
    await refreshed(service, owners)
    assert await refusal(service, stolen) == (401, BLACKLISTED)
    assert await refusal(service, owners) == (401, BLACKLISTED)
    (mail,) = await service.deliver()
    assert (str(mail.to), mail.subject) == (
        "john@example.com",
        "We signed a device out of your Identity account",
    )


async def test_a_replay_ends_no_other_session(service, john):
    other = await service.log_in()
    child = await refreshed(service, john.refresh)
    await refreshed(service, child)
    service.clock.advance(timedelta(minutes=1))
    assert await refusal(service, john.refresh) == (401, BLACKLISTED)
    await refreshed(service, other.refresh)


# Verify


@pytest.mark.parametrize("path", ["/api/auth/token/verify/", "/api/auth/token/verify"])
async def test_a_good_token_of_either_kind_is_verified(shared_service, path):
    for token in await shared_service.log_in():
        answer = await shared_service.post(path, {"token": token})
        assert (answer.status_code, answer.json()) == (200, {})


async def test_verifying_rotates_nothing(service, john):
    child = await refreshed(service, john.refresh)
    assert await verified(service, child) == (200, {})
    service.clock.advance(timedelta(minutes=2))
    # Had it counted as the first use of the child, the parent would be a replay by now.
    await refreshed(service, john.refresh)


async def test_verifying_does_not_keep_a_session_from_idling_out(service, john):
    for _ in range(7):
        assert await verified(service, john.refresh) == (200, {})
        service.clock.advance(timedelta(days=1))
    assert await verified(service, john.refresh) == (401, BLACKLISTED)


async def test_a_superseded_refresh_token_is_not_verified_and_its_session_goes_on(service, john):
    grandchild = await refreshed(service, await refreshed(service, john.refresh))
    service.clock.advance(timedelta(minutes=1))
    assert await verified(service, john.refresh) == (401, BLACKLISTED)
    await refreshed(service, grandchild)


async def test_an_expired_access_token_is_not_verified(service, john):
    service.clock.advance(timedelta(minutes=6))
    assert await verified(service, john.access) == (401, EXPIRED)


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30.e30"])
async def test_what_is_no_token_is_not_verified(shared_service, token):
    assert await verified(shared_service, token) == (401, INVALID)


# Logout


@pytest.mark.parametrize("path", LOGOUTS)
async def test_a_logout_ends_the_session_at_once(shared_service, path):
    john = await shared_service.log_in()
    answer = await shared_service.post(path, {"refresh": john.refresh})
    assert (answer.status_code, answer.json()) == (200, {})
    assert (await shared_service.profile(john.access)).status_code == 401
    assert await refusal(shared_service, john.refresh) == (401, BLACKLISTED)
    assert await verified(shared_service, john.access) == (401, BLACKLISTED)
    assert await verified(shared_service, john.refresh) == (401, BLACKLISTED)


async def test_a_logout_ends_no_other_session(service, john):
    other = await service.log_in()
    await service.post("/api/auth/logout/", {"refresh": john.refresh})
    assert (await service.profile(other.access)).status_code == 200
    await refreshed(service, other.refresh)


async def test_any_generation_of_the_refresh_token_logs_out(service, john):
    for generation in range(4):
        tokens = [(await service.log_in()).refresh]
        for _ in range(3):
            tokens.append(await refreshed(service, tokens[-1]))
        service.clock.advance(timedelta(minutes=5))
        answer = await service.post("/api/auth/logout/", {"refresh": tokens[generation]})
        assert (answer.status_code, answer.json()) == (200, {})
        assert await refusal(service, tokens[-1]) == (401, BLACKLISTED)
    assert (await service.refresh(john.refresh)).status_code == 200


# Bad refresh tokens


async def at_every_path(service, refresh):
    """What all the paths that take a refresh token say to this one, which must be the same."""
    answers = [await service.post(path, {"refresh": refresh}) for path in TAKES_A_REFRESH_TOKEN]
    first, *others = [(each.status_code, each.json()) for each in answers]
    assert others == [first] * len(others)
    return first


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30.e30", "null", "𝕒.b.c", "a.b.c\u2028d"])
async def test_what_is_no_token_is_invalid(shared_service, token):
    assert await at_every_path(shared_service, token) == (401, INVALID)


async def test_an_access_token_has_the_wrong_type_and_goes_on(shared_service):
    access, _ = await shared_service.log_in()
    assert await at_every_path(shared_service, access) == (401, WRONG_TYPE)
    assert (await shared_service.profile(access)).status_code == 200


async def test_a_refresh_token_after_its_thirty_days_is_expired(service, john):
    service.clock.advance(timedelta(days=30))
    assert await at_every_path(service, john.refresh) == (401, EXPIRED)


async def test_a_refresh_token_of_a_session_that_is_over_is_blacklisted(service, john):
    await service.post("/api/auth/logout/", {"refresh": john.refresh})
    assert await at_every_path(service, john.refresh) == (401, BLACKLISTED)


async def test_a_refresh_token_of_a_disabled_account_is_blacklisted_for_every_use(service, john):
    service.disable()
    assert await refusal(service, john.refresh) == (401, BLACKLISTED)
    assert await verified(service, john.refresh) == (401, BLACKLISTED)
    assert await verified(service, john.access) == (401, BLACKLISTED)


async def test_a_token_is_taken_with_white_space_around_it(service, john):
    await refreshed(service, f" {john.refresh}\n")
