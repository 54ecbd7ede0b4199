"""A copy of all that is kept of an account, for its owner."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.application.world import BROWSER, IDLE, World

from identity.application import export
from identity.application.export import PersonalData
from identity.domain.errors import AccessTokenRefused
from identity.domain.events import DataExported
from identity.domain.names import EmailAddress
from identity.domain.tokens import TokenPair
from identity.domain.user import User

MINUTE = timedelta(minutes=1)


@pytest.fixture
async def alice(world: World) -> User:
    return await world.registered("alice")


@pytest.fixture
async def pair(world: World, alice: User) -> TokenPair:
    return await world.logged_in("alice")


async def exported(world: World, pair: TokenPair) -> PersonalData:
    return await world.export_data(principal=await world.principal(pair), client=BROWSER)


async def test_has_all_that_is_kept_of_the_account_and_nothing_of_others(
    world: World, alice: User, pair: TokenPair
) -> None:
    await world.registered("bob")
    await world.logged_in("bob")
    world.clock.advance(MINUTE)
    ended = await world.logged_in("alice")
    await world.log_out(refresh=ended.refresh)
    name, until = EmailAddress("al@example.com"), world.clock.now() + MINUTE
    async with world.storage.begin() as uow:
        await uow.reservations.hold(name, user_id=alice.id, until=until)
        await uow.reservations.hold(EmailAddress("nobody@example.com"), user_id=None, until=until)
    data = await exported(world, pair)
    assert data.at == world.clock.now()
    assert data.user == await world.stored_user()
    over, live = data.sessions
    assert data.live == {live.id}
    assert over.revoked_at == world.clock.now()
    assert {session.client for session in data.sessions} == {BROWSER}
    assert data.devices == (world.clock.now(),)
    assert data.reserved_names == ((name, until),)
    assert [event.kind for event in data.events] == ["LoggedOut", "LoggedIn", "LoggedIn", "UserRegistered"]


async def test_tells_of_a_session_that_was_unused_for_too_long_that_it_is_over(
    world: World, pair: TokenPair
) -> None:
    world.clock.advance(IDLE)
    data = await exported(world, await world.logged_in("alice"))
    newest, idle = data.sessions
    assert data.live == {newest.id}
    assert idle.revoked_at is None


async def test_is_noted(world: World, alice: User, pair: TokenPair) -> None:
    principal = await world.principal(pair)
    await exported(world, pair)
    event = DataExported(
        at=world.clock.now(), user_id=alice.id, session_id=principal.session.id, client=BROWSER
    )
    assert world.storage.events[-1] == event
    assert (await exported(world, pair)).events[0] == event


async def test_has_so_many_events_and_sessions_at_most_the_newest(
    world: World, pair: TokenPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "MOST_EVENTS", 3)
    monkeypatch.setattr(export, "MOST_SESSIONS", 2)
    for _ in range(4):
        world.clock.advance(MINUTE)
        await world.logged_in("alice")
    data = await exported(world, pair)
    now = world.clock.now()
    assert [event.at for event in data.events] == [now, now - MINUTE, now - 2 * MINUTE]
    assert [session.created_at for session in data.sessions] == [now, now - MINUTE]


async def test_of_an_account_that_was_erased_meanwhile_is_refused(
    world: World, alice: User, pair: TokenPair
) -> None:
    principal = await world.principal(pair)
    async with world.storage.begin() as uow:
        assert await uow.users.erase(principal.user)
    with pytest.raises(AccessTokenRefused):
        await world.export_data(principal=principal)
