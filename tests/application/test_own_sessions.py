"""Seeing one's own sessions, and ending them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.application.world import BROWSER, IDLE, PASSWORD, SESSION_LIFETIME, World

from identity.application.sessions import Principal
from identity.domain.errors import AccessTokenRefused, SessionNotFound, TokenFault, TokenRefused
from identity.domain.events import AllSessionsEnded, Event, OtherSessionsEnded, SessionEnded
from identity.domain.session import Client
from identity.domain.tokens import TokenPair
from identity.domain.user import User

TICK = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
PHONE = Client(address="203.0.113.9", user_agent="Mozilla/5.0 (iPhone) Safari/604.1")


@pytest.fixture
async def alice(world: World) -> User:
    return await world.registered("alice")


@pytest.fixture
async def laptop(world: World, alice: User) -> TokenPair:
    return await world.logged_in("alice")


@pytest.fixture
async def phone(world: World, laptop: TokenPair) -> TokenPair:
    world.clock.advance(MINUTE)
    return await world.log_in(username="alice", password=PASSWORD, client=PHONE)


@pytest.fixture
async def bob(world: World) -> TokenPair:
    await world.registered("bob")
    return await world.logged_in("bob")


async def session_id(world: World, pair: TokenPair) -> str:
    return (await world.claims(pair.refresh)).session_id


async def listed(world: World, pair: TokenPair) -> list[str]:
    """The ids of the sessions that the owner of these tokens sees, in their order."""
    sessions = await world.list_sessions(principal=await world.principal(pair))
    return [session.id for session in sessions]


async def ended(world: World, pair: TokenPair, which: str) -> None:
    await world.end_session(principal=await world.principal(pair), session_id=which, client=BROWSER)


async def is_not_found(world: World, pair: TokenPair, which: str) -> bool:
    """And if so, changes nothing."""
    principal, before = await world.principal(pair), world.state()
    with pytest.raises(SessionNotFound):
        await world.end_session(principal=principal, session_id=which)
    return world.state() == before


async def is_refused_everywhere(world: World, pair: TokenPair) -> bool:
    """Whether nothing can be done with these tokens any more."""
    with pytest.raises(AccessTokenRefused) as refusal:
        await world.authenticate(access=pair.access)
    reasons = {refusal.value.reason}
    for attempt in (
        world.refresh_session(refresh=pair.refresh),
        world.verify_token(token=pair.refresh),
        world.verify_token(token=pair.access),
        world.log_out(refresh=pair.refresh),
    ):
        with pytest.raises(TokenRefused) as refused:
            await attempt
        reasons.add(refused.value.reason)
    return reasons == {TokenFault.INVALID, TokenFault.BLACKLISTED}


class TestTheList:
    async def test_has_each_session_with_its_times_and_the_client_that_began_it(
        self, world: World, laptop: TokenPair, phone: TokenPair
    ) -> None:
        principal = await world.principal(phone)
        now = world.clock.now()
        first, second = await world.list_sessions(principal=principal)
        assert (first.id, second.id) == (await session_id(world, phone), await session_id(world, laptop))
        assert (first.client, second.client) == (PHONE, BROWSER)
        assert (first.created_at, second.created_at) == (now, now - MINUTE)
        assert (first.last_used_at, second.last_used_at) == (now, now - MINUTE)
        assert second.expires_at == now - MINUTE + SESSION_LIFETIME

    async def test_begins_with_the_session_used_last(
        self, world: World, laptop: TokenPair, phone: TokenPair
    ) -> None:
        ids = [await session_id(world, phone), await session_id(world, laptop)]
        assert await listed(world, phone) == ids
        world.clock.advance(MINUTE)
        await world.refreshed(laptop)
        ids.reverse()
        assert await listed(world, laptop) == ids
        world.clock.advance(MINUTE)
        ids.reverse()
        assert await listed(world, phone) == ids  # this request is a use too

    async def test_leaves_out_what_is_over(self, world: World, laptop: TokenPair, phone: TokenPair) -> None:
        await world.log_out(refresh=phone.refresh)
        assert await listed(world, laptop) == [await session_id(world, laptop)]

    async def test_leaves_out_what_is_idle(self, world: World, laptop: TokenPair, phone: TokenPair) -> None:
        world.clock.advance(IDLE - TICK)
        newest = await world.logged_in("alice")
        assert await session_id(world, phone) in await listed(world, newest)
        world.clock.advance(TICK)
        assert await listed(world, newest) == [await session_id(world, newest)]

    async def test_leaves_out_what_is_past_its_end(self, world: World, laptop: TokenPair) -> None:
        which, end = await session_id(world, laptop), world.clock.now() + SESSION_LIFETIME
        while world.clock.now() + IDLE / 2 < end:
            world.clock.advance(IDLE / 2)
            laptop = await world.refreshed(laptop)
        newest = await world.logged_in("alice")
        world.clock.at = end - TICK
        assert which in await listed(world, await world.refreshed(newest))
        world.clock.at = end
        assert await listed(world, await world.refreshed(newest)) == [await session_id(world, newest)]

    async def test_has_nobody_elses(self, world: World, laptop: TokenPair, bob: TokenPair) -> None:
        assert await listed(world, laptop) == [await session_id(world, laptop)]
        assert await listed(world, bob) == [await session_id(world, bob)]

    async def test_is_read_in_one_query_and_changes_nothing(self, world: World, laptop: TokenPair) -> None:
        principal, before = await world.principal(laptop), world.state()
        world.tap.forget()
        await world.list_sessions(principal=principal)
        assert world.tap.calls == ["read", "sessions.of_user", "clock.now"]
        assert world.state() == before


class TestEndingOne:
    async def test_it_is_over_on_the_next_request_for_every_token(
        self, world: World, laptop: TokenPair, phone: TokenPair
    ) -> None:
        child = await world.refreshed(phone)
        await ended(world, laptop, await session_id(world, phone))
        assert await is_refused_everywhere(world, phone)
        assert await is_refused_everywhere(world, child)

    async def test_the_others_go_on(self, world: World, laptop: TokenPair, phone: TokenPair) -> None:
        await ended(world, laptop, await session_id(world, phone))
        await world.principal(await world.refreshed(laptop))

    async def test_the_present_one_is_a_logout(
        self, world: World, laptop: TokenPair, phone: TokenPair
    ) -> None:
        await ended(world, laptop, await session_id(world, laptop))
        assert await is_refused_everywhere(world, laptop)
        assert await world.is_live(phone)

    async def test_a_second_time_it_is_not_found(
        self, world: World, laptop: TokenPair, phone: TokenPair
    ) -> None:
        which = await session_id(world, phone)
        await ended(world, laptop, which)
        assert await is_not_found(world, laptop, which)

    async def test_one_past_its_end_is_not_found(self, world: World, laptop: TokenPair) -> None:
        which = await session_id(world, laptop)
        world.clock.advance(SESSION_LIFETIME)
        assert await is_not_found(world, await world.logged_in("alice"), which)

    async def test_somebody_elses_is_not_found_and_goes_on(
        self, world: World, laptop: TokenPair, bob: TokenPair
    ) -> None:
        assert await is_not_found(world, bob, await session_id(world, laptop))
        assert await is_not_found(world, laptop, await session_id(world, bob))
        assert await world.is_live(laptop)
        assert await world.is_live(bob)

    @pytest.mark.parametrize("which", ["", "0" * 32, "x" * 100_000, "*", "%", "' OR 1=1 --", "🦊", "1"])
    async def test_what_is_no_session_is_not_found(self, which: str, world: World, laptop: TokenPair) -> None:
        assert await is_not_found(world, laptop, which)

    async def test_an_id_in_another_case_is_another(self, world: World, laptop: TokenPair) -> None:
        which = await session_id(world, laptop)
        assert which != which.upper()
        assert await is_not_found(world, laptop, which.upper())
        assert await is_not_found(world, laptop, f"{which} ")

    @pytest.mark.parametrize("which", ["\0", "0" * 31 + "\0", "\n", "\ud800"])
    async def test_what_a_database_may_refuse_to_look_for_is_not_looked_for(
        self, which: str, world: World, laptop: TokenPair
    ) -> None:
        principal = await world.principal(laptop)
        world.tap.forget()
        with pytest.raises(SessionNotFound):
            await world.end_session(principal=principal, session_id=which)
        assert world.tap.calls == []

    async def test_of_many_at_once_one_is_told_that_it_ended_the_session(
        self, world: World, laptop: TokenPair, phone: TokenPair
    ) -> None:
        which = await session_id(world, phone)
        answers = await asyncio.gather(
            *(ended(world, laptop, which) for _ in range(8)), return_exceptions=True
        )
        assert answers.count(None) == 1
        assert {type(answer) for answer in answers} == {type(None), SessionNotFound}
        assert world.happened.count("SessionEnded") == 1


class TestEndingTheOthers:
    async def test_all_but_the_present_one_are_over_on_the_next_request(
        self, world: World, laptop: TokenPair, phone: TokenPair
    ) -> None:
        third = await world.logged_in("alice")
        await world.end_other_sessions(principal=await world.principal(phone))
        assert await is_refused_everywhere(world, laptop)
        assert await is_refused_everywhere(world, third)
        assert await listed(world, phone) == [await session_id(world, phone)]
        await world.refreshed(phone)

    async def test_somebody_elses_go_on(self, world: World, laptop: TokenPair, bob: TokenPair) -> None:
        await world.end_other_sessions(principal=await world.principal(laptop))
        assert await world.is_live(bob)

    async def test_when_there_are_none_it_is_done_all_the_same_and_leaves_no_trace(
        self, world: World, laptop: TokenPair
    ) -> None:
        """Or the audit log would grow by a request that costs next to nothing."""
        principal, before = await world.principal(laptop), world.state()
        for _ in range(2):
            await world.end_other_sessions(principal=principal)
        assert world.state() == before


class TestEndingAll:
    async def test_of_two_at_once_one_leaves_an_event(self, world: World, laptop: TokenPair) -> None:
        principal = await world.principal(laptop)
        await asyncio.gather(*(world.end_all_sessions(principal=principal) for _ in range(2)))
        assert world.happened.count("AllSessionsEnded") == 1

    async def test_every_one_is_over_on_the_next_request(
        self, world: World, laptop: TokenPair, phone: TokenPair
    ) -> None:
        await world.end_all_sessions(principal=await world.principal(phone))
        assert await is_refused_everywhere(world, laptop)
        assert await is_refused_everywhere(world, phone)

    async def test_one_can_log_in_again(self, world: World, laptop: TokenPair) -> None:
        await world.end_all_sessions(principal=await world.principal(laptop))
        again = await world.logged_in("alice")
        assert await listed(world, again) == [await session_id(world, again)]

    async def test_somebody_elses_go_on(self, world: World, laptop: TokenPair, bob: TokenPair) -> None:
        await world.end_all_sessions(principal=await world.principal(laptop))
        assert await world.is_live(bob)


Ending = Callable[[World, Principal], Awaitable[Any]]
ENDINGS: list[tuple[Ending, type[Event]]] = [
    (
        lambda world, principal: world.end_session(
            principal=principal, session_id=principal.session.id, client=PHONE
        ),
        SessionEnded,
    ),
    (
        lambda world, principal: world.end_other_sessions(principal=principal, client=PHONE),
        OtherSessionsEnded,
    ),
    (lambda world, principal: world.end_all_sessions(principal=principal, client=PHONE), AllSessionsEnded),
]


@pytest.mark.parametrize(("ending", "event"), ENDINGS, ids=lambda value: getattr(value, "__name__", ""))
class TestTheAuditLog:
    async def test_tells_who_what_when_and_where(
        self, ending: Ending, event: type[Event], world: World, alice: User, laptop: TokenPair
    ) -> None:
        await world.logged_in("alice")
        principal = await world.principal(laptop)
        await ending(world, principal)
        assert world.storage.events[-1] == event(
            at=world.clock.now(), user_id=alice.id, session_id=principal.session.id, client=PHONE
        )
        assert world.waiting == []


class TestTheIdOfASessionThatSomebodyElseHas:
    """HT-6: everybody tries to end everybody's, and ends nobody's but their own."""

    async def test_is_worth_nothing(self, world: World) -> None:
        names = ["alice", "bob", "carol"]
        pairs = {}
        for name in names:
            await world.registered(name)
            pairs[name] = [await world.logged_in(name), await world.logged_in(name)]
        ids = {name: [await session_id(world, pair) for pair in pairs[name]] for name in names}
        for name in names:
            assert sorted(await listed(world, pairs[name][0])) == sorted(ids[name])
            for other in names:
                if other != name:
                    for which in ids[other]:
                        assert await is_not_found(world, pairs[name][0], which)
        await world.end_other_sessions(principal=await world.principal(pairs["alice"][0]))
        await world.end_all_sessions(principal=await world.principal(pairs["bob"][0]))
        live = {name: [await world.is_live(pair) for pair in pairs[name]] for name in names}
        assert live == {"alice": [True, False], "bob": [False, False], "carol": [True, True]}

    async def test_nor_with_a_principal_whose_session_is_another_s(
        self, world: World, laptop: TokenPair, bob: TokenPair
    ) -> None:
        """The account decides, and the account is that of the token."""
        alices, bobs = await world.principal(laptop), await world.principal(bob)
        mixed = replace(bobs, session=alices.session)
        with pytest.raises(SessionNotFound):
            await world.end_session(principal=mixed, session_id=alices.session.id)
        await world.end_all_sessions(principal=mixed)
        assert await world.is_live(laptop)
        assert not await world.is_live(bob)
