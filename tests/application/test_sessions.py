"""Carrying a session on, ending it, and telling from a token whose request this is."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from tests.application.world import (
    ACCESS_LIFETIME,
    BROWSER,
    IDLE,
    REUSE_WINDOW,
    SESSION_LIFETIME,
    World,
)

from identity.adapters.memory import MemoryTokens
from identity.application.mail import MailKind
from identity.domain.errors import AccessTokenRefused, Conflict, TokenFault, TokenRefused, Unavailable
from identity.domain.events import ANYBODY, LoggedOut, RefreshTokenReused
from identity.domain.session import Client
from identity.domain.tokens import TokenPair
from identity.domain.user import User

TICK = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
MINUTES_LATER = timedelta(minutes=5)
MALLORY = Client(address="203.0.113.9", user_agent="curl/8.5.0")


@pytest.fixture
async def alice(world: World) -> User:
    return await world.registered("alice")


@pytest.fixture
async def pair(world: World, alice: User) -> TokenPair:
    return await world.logged_in("alice")


async def refresh_fault(world: World, token: str) -> TokenFault:
    with pytest.raises(TokenRefused) as refusal:
        await world.refresh_session(refresh=token, client=MALLORY)
    return refusal.value.reason


async def verify_fault(world: World, token: str) -> TokenFault | None:
    """And whatever it says, nothing is changed."""
    before = world.state()
    try:
        await world.verify_token(token=token)
    except TokenRefused as refusal:
        return refusal.reason
    finally:
        assert world.state() == before
    return None


async def access_fault(world: World, token: str) -> TokenFault:
    before = world.state()
    with pytest.raises(AccessTokenRefused) as refusal:
        await world.authenticate(access=token)
    assert world.state() == before
    return refusal.value.reason


async def forged(world: World, token: str) -> str:
    """The same claims, signed by somebody else."""
    return await MemoryTokens(world.clock, key=b"of somebody else").sign(await world.claims(token))


NOT_TOKENS = ["", " ", ".", "..", "a.b.c", "null", "\0", "\ud800", "é", "x" * 10_000, "e30.e30"]


class TestRefreshing:
    async def test_the_answer_is_a_pair_of_tokens_that_work(self, world: World, pair: TokenPair) -> None:
        world.clock.advance(MINUTES_LATER)
        fresh = await world.refreshed(pair)
        assert fresh.access != pair.access
        assert fresh.refresh != pair.refresh
        await world.principal(fresh)
        await world.refreshed(fresh)

    async def test_the_tokens_are_of_the_same_session_and_end_with_it(
        self, world: World, pair: TokenPair
    ) -> None:
        first = await world.claims(pair.refresh)
        world.clock.advance(MINUTES_LATER)
        fresh = await world.refreshed(pair)
        refresh, access = await world.claims(fresh.refresh), await world.claims(fresh.access)
        assert refresh.session_id == access.session_id == first.session_id
        assert refresh.user_id == access.user_id == first.user_id
        assert refresh.expires_at == first.expires_at
        assert access.expires_at == world.clock.now() + ACCESS_LIFETIME

    async def test_no_access_token_outlives_its_session(self, world: World, pair: TokenPair) -> None:
        end = world.clock.now() + SESSION_LIFETIME
        for days in (6, 6, 6, 6):
            world.clock.advance(timedelta(days=days))
            pair = await world.refreshed(pair)
        world.clock.at = end - timedelta(minutes=1)
        pair = await world.refreshed(pair)
        assert (await world.claims(pair.access)).expires_at == end

    async def test_the_current_token_again_within_the_window_gives_the_same_child(
        self, world: World, pair: TokenPair
    ) -> None:
        first = await world.refreshed(pair)
        for _ in range(5):
            world.clock.advance(REUSE_WINDOW - TICK)
            assert await self._jti(world, await world.refreshed(pair)) == await self._jti(world, first)

    async def test_the_current_token_after_the_window_gives_another_child(
        self, world: World, pair: TokenPair
    ) -> None:
        first = await world.refreshed(pair)
        world.clock.advance(REUSE_WINDOW)
        assert await self._jti(world, await world.refreshed(pair)) != await self._jti(world, first)

    async def test_the_previous_token_within_the_window_gives_the_pending_child(
        self, world: World, pair: TokenPair
    ) -> None:
        child = await world.refreshed(pair)
        grandchild = await world.refreshed(child)
        world.clock.advance(REUSE_WINDOW - TICK)
        slow = await world.refreshed(pair)
        assert await self._jti(world, slow) == await self._jti(world, grandchild)

    async def test_the_pending_token_within_the_window_of_the_last_promotion_gives_itself(
        self, world: World, pair: TokenPair
    ) -> None:
        """So that no tab of many rotates away what another is about to send."""
        grandchild = await world.refreshed(await world.refreshed(pair))
        world.clock.advance(REUSE_WINDOW - TICK)
        again = await world.refreshed(grandchild)
        assert await self._jti(world, again) == await self._jti(world, grandchild)
        await world.refreshed(pair)

    async def test_fifty_at_once_with_one_token_all_get_the_same_child_which_then_works(
        self, world: World, pair: TokenPair
    ) -> None:
        answers = await asyncio.gather(*(world.refreshed(pair) for _ in range(50)))
        assert len({await self._jti(world, answer) for answer in answers}) == 1
        again = await asyncio.gather(*(world.refreshed(answers[0]) for _ in range(50)))
        assert len({await self._jti(world, answer) for answer in again}) == 1

    async def test_whoever_was_not_first_reads_again_what_the_first_one_left(
        self, world: World, pair: TokenPair
    ) -> None:
        """On a database whose readers do not wait for a writer."""
        world.tap.answer_once("sessions.rotate", False)
        child = await world.refreshed(pair)
        assert world.tap.calls.count("sessions.rotate") == 2
        await world.refreshed(child)

    async def test_it_leaves_no_event_and_no_mail(self, world: World, pair: TokenPair) -> None:
        await world.refreshed(pair)
        assert world.happened == ["UserRegistered", "LoggedIn"]
        assert world.waiting == []

    @staticmethod
    async def _jti(world: World, pair: TokenPair) -> str:
        return (await world.claims(pair.refresh)).jti


class TestHonestClientsAreNeverLoggedOut:
    async def test_one_that_stores_every_refresh_token(self, world: World, pair: TokenPair) -> None:
        for _ in range(100):
            world.clock.advance(MINUTES_LATER)
            pair = await world.refreshed(pair)

    async def test_one_that_never_stores_a_refresh_token_until_it_expires(
        self, world: World, pair: TokenPair
    ) -> None:
        """As the React code that this service must keep working."""
        for _ in range(29 * 4):
            world.clock.advance(timedelta(hours=6))
            answer = await world.refreshed(pair)
            await world.principal(answer)
        world.clock.advance(timedelta(days=1))
        assert await refresh_fault(world, pair.refresh) is TokenFault.EXPIRED

    @pytest.mark.parametrize(
        "delay", [timedelta(), timedelta(seconds=59), timedelta(minutes=10), timedelta(days=6)]
    )
    async def test_one_whose_answer_was_lost_and_that_tries_again(
        self, delay: timedelta, world: World, pair: TokenPair
    ) -> None:
        for _ in range(4):
            await world.refreshed(pair)  # lost
            world.clock.advance(delay)
            pair = await world.refreshed(pair)
            world.clock.advance(MINUTES_LATER)


class TestReuse:
    @pytest.fixture
    async def child(self, world: World, pair: TokenPair) -> TokenPair:
        """`pair` was superseded, and the window is over."""
        child = await world.refreshed(pair)
        await world.refreshed(child)
        world.clock.advance(REUSE_WINDOW)
        return child

    async def test_a_superseded_token_is_refused_like_any_other(
        self, world: World, pair: TokenPair, child: TokenPair
    ) -> None:
        assert await refresh_fault(world, pair.refresh) is TokenFault.BLACKLISTED

    async def test_and_its_session_has_ended_although_the_request_was_refused(
        self, world: World, pair: TokenPair, child: TokenPair
    ) -> None:
        """Law 3: commit, then raise. A revocation that is raised through is rolled back."""
        await refresh_fault(world, pair.refresh)
        assert not await world.is_live(child)
        assert await refresh_fault(world, child.refresh) is TokenFault.BLACKLISTED
        assert await access_fault(world, child.access) is TokenFault.INVALID

    async def test_the_audit_log_tells_who_presented_it(
        self, world: World, pair: TokenPair, child: TokenPair, alice: User
    ) -> None:
        await refresh_fault(world, pair.refresh)
        session_id = (await world.claims(pair.refresh)).session_id
        expected = RefreshTokenReused(
            at=world.clock.now(),
            user_id=alice.id,
            actor=ANYBODY,
            session_id=session_id,
            client=MALLORY,
        )
        assert world.storage.events[-1] == expected

    async def test_the_owner_gets_one_mail(
        self, world: World, pair: TokenPair, child: TokenPair, alice: User
    ) -> None:
        await refresh_fault(world, pair.refresh)
        (intent,) = world.storage.intents
        assert (intent.kind, intent.user_id) == (MailKind.SESSION_REUSED, alice.id)
        (message,) = await world.delivered()
        assert message.to == alice.email
        used_it, signed_out = message.text.index(MALLORY.address), message.text.index(BROWSER.address)
        assert signed_out < message.text.index("What used the old key") < used_it

    async def test_again_it_is_refused_and_nothing_more_happens(
        self, world: World, pair: TokenPair, child: TokenPair
    ) -> None:
        await refresh_fault(world, pair.refresh)
        before = world.state()
        for token in (pair.refresh, child.refresh):
            assert await refresh_fault(world, token) is TokenFault.BLACKLISTED
        assert world.state() == before

    async def test_the_other_sessions_of_the_account_go_on(
        self, world: World, pair: TokenPair, child: TokenPair
    ) -> None:
        other = await world.logged_in()
        await refresh_fault(world, pair.refresh)
        await world.refreshed(other)

    async def test_of_many_at_once_one_ends_the_session_and_all_are_refused(
        self, world: World, pair: TokenPair, child: TokenPair
    ) -> None:
        answers = await asyncio.gather(*(world.refreshed(pair) for _ in range(8)), return_exceptions=True)
        assert {type(answer) for answer in answers} == {TokenRefused}
        assert world.happened.count("RefreshTokenReused") == 1
        assert world.waiting == ["session_reused"]

    async def test_a_child_that_was_replaced_ends_the_session(self, world: World, pair: TokenPair) -> None:
        """The owner's child and the thief's differ; the second of them to be used tells."""
        thief = await world.refreshed(pair)
        world.clock.advance(REUSE_WINDOW)
        owner = await world.refreshed(pair)
        await world.refreshed(owner)
        assert await refresh_fault(world, thief.refresh) is TokenFault.BLACKLISTED
        assert not await world.is_live(owner)

    async def test_the_token_before_the_previous_ends_it_even_within_the_window(
        self, world: World, pair: TokenPair
    ) -> None:
        child = await world.refreshed(pair)
        grandchild = await world.refreshed(child)
        world.clock.advance(REUSE_WINDOW)
        await world.refreshed(grandchild)
        assert await refresh_fault(world, pair.refresh) is TokenFault.BLACKLISTED
        assert not await world.is_live(child)


class TestTheEndOfASession:
    async def test_it_is_idle_after_seven_days_without_a_refresh(self, world: World, pair: TokenPair) -> None:
        world.clock.advance(IDLE - TICK)
        pair = await world.refreshed(pair)
        world.clock.advance(IDLE - TICK)
        assert await verify_fault(world, pair.refresh) is None
        world.clock.advance(TICK)
        assert await verify_fault(world, pair.refresh) is TokenFault.BLACKLISTED
        assert await refresh_fault(world, pair.refresh) is TokenFault.BLACKLISTED

    async def test_it_is_over_after_thirty_days_whatever_is_done(self, world: World, pair: TokenPair) -> None:
        end = world.clock.now() + SESSION_LIFETIME
        while world.clock.now() + timedelta(days=5) < end:
            world.clock.advance(timedelta(days=5))
            pair = await world.refreshed(pair)
        world.clock.at = end - TICK
        pair = await world.refreshed(pair)
        world.clock.at = end
        assert await refresh_fault(world, pair.refresh) is TokenFault.EXPIRED
        assert await access_fault(world, pair.access) is TokenFault.EXPIRED
        assert await verify_fault(world, pair.refresh) is TokenFault.EXPIRED

    async def test_a_disabled_account_is_refused_on_every_path_at_once(
        self, world: World, pair: TokenPair, alice: User
    ) -> None:
        await world.disable(alice)
        assert await refresh_fault(world, pair.refresh) is TokenFault.BLACKLISTED
        assert await verify_fault(world, pair.refresh) is TokenFault.BLACKLISTED
        assert await verify_fault(world, pair.access) is TokenFault.BLACKLISTED
        assert await access_fault(world, pair.access) is TokenFault.INVALID
        assert world.happened == ["UserRegistered", "LoggedIn"]


class TestTokensThatAreNotRefreshTokens:
    @pytest.mark.parametrize("token", NOT_TOKENS)
    async def test_what_is_no_token_is_refused_everywhere(self, token: str, world: World) -> None:
        assert await refresh_fault(world, token) is TokenFault.INVALID
        assert await verify_fault(world, token) is TokenFault.INVALID
        assert await access_fault(world, token) is TokenFault.INVALID
        with pytest.raises(TokenRefused):
            await world.log_out(refresh=token)

    async def test_what_somebody_else_signed_is_refused_and_ends_nothing(
        self, world: World, pair: TokenPair
    ) -> None:
        refresh, access = await forged(world, pair.refresh), await forged(world, pair.access)
        assert await refresh_fault(world, refresh) is TokenFault.INVALID
        assert await verify_fault(world, refresh) is TokenFault.INVALID
        assert await access_fault(world, access) is TokenFault.INVALID
        with pytest.raises(TokenRefused):
            await world.log_out(refresh=refresh)
        assert await world.is_live(pair)

    async def test_each_kind_is_refused_where_the_other_is_expected(
        self, world: World, pair: TokenPair
    ) -> None:
        assert await refresh_fault(world, pair.access) is TokenFault.WRONG_TYPE
        assert await access_fault(world, pair.refresh) is TokenFault.WRONG_TYPE
        with pytest.raises(TokenRefused) as refusal:
            await world.log_out(refresh=pair.access)
        assert refusal.value.reason is TokenFault.WRONG_TYPE
        assert await world.is_live(pair)

    async def test_a_genuine_token_of_a_session_that_is_not_there_is_refused(
        self, world: World, pair: TokenPair
    ) -> None:
        """As after a database was restored from yesterday's copy."""
        elsewhere = World()
        assert await refresh_fault(elsewhere, pair.refresh) is TokenFault.BLACKLISTED
        assert await verify_fault(elsewhere, pair.access) is TokenFault.BLACKLISTED
        assert await access_fault(elsewhere, pair.access) is TokenFault.INVALID
        with pytest.raises(TokenRefused):
            await elsewhere.log_out(refresh=pair.refresh)

    async def test_a_session_vouches_for_its_own_account_only(self, world: World, pair: TokenPair) -> None:
        bob = await world.registered("bob")
        claims = await world.claims(pair.access)
        stolen = await MemoryTokens(world.clock).sign(replace(claims, user_id=bob.id))
        assert await access_fault(world, stolen) is TokenFault.INVALID


class TestLoggingOut:
    async def test_ends_the_session_at_once_for_every_token(self, world: World, pair: TokenPair) -> None:
        await world.log_out(refresh=pair.refresh)
        assert await refresh_fault(world, pair.refresh) is TokenFault.BLACKLISTED
        assert await verify_fault(world, pair.access) is TokenFault.BLACKLISTED
        assert await access_fault(world, pair.access) is TokenFault.INVALID

    async def test_works_with_every_generation_of_the_refresh_token(self, world: World, alice: User) -> None:
        for generation in range(5):
            pairs = [await world.logged_in()]
            for _ in range(4):
                world.clock.advance(MINUTES_LATER)
                pairs.append(await world.refreshed(pairs[-1]))
            await world.log_out(refresh=pairs[generation].refresh)
            assert not await world.is_live(pairs[-1])
        assert "RefreshTokenReused" not in world.happened

    async def test_leaves_the_other_sessions_alone(self, world: World, pair: TokenPair) -> None:
        other = await world.logged_in()
        await world.log_out(refresh=pair.refresh)
        await world.refreshed(other)

    async def test_a_token_that_names_another_account_ends_nobodys_session(
        self, world: World, pair: TokenPair
    ) -> None:
        """With HS256 another service could sign one."""
        bob = await world.registered("bob")
        claims = await world.claims(pair.refresh)
        token = await MemoryTokens(world.clock).sign(replace(claims, user_id=bob.id))
        with pytest.raises(TokenRefused):
            await world.log_out(refresh=token)
        assert await world.is_live(pair)

    async def test_a_second_time_is_refused_and_leaves_no_event(self, world: World, pair: TokenPair) -> None:
        await world.log_out(refresh=pair.refresh)
        before = world.state()
        with pytest.raises(TokenRefused) as refusal:
            await world.log_out(refresh=pair.refresh)
        assert refusal.value.reason is TokenFault.BLACKLISTED
        assert world.state() == before

    async def test_of_a_session_that_has_expired_is_refused(self, world: World, pair: TokenPair) -> None:
        world.clock.advance(SESSION_LIFETIME)
        with pytest.raises(TokenRefused) as refusal:
            await world.log_out(refresh=pair.refresh)
        assert refusal.value.reason is TokenFault.EXPIRED

    async def test_the_audit_log_tells_who_what_when_and_where(
        self, world: World, pair: TokenPair, alice: User
    ) -> None:
        await world.log_out(refresh=pair.refresh, client=BROWSER)
        session_id = (await world.claims(pair.refresh)).session_id
        assert world.storage.events[-1] == LoggedOut(
            at=world.clock.now(), user_id=alice.id, session_id=session_id, client=BROWSER
        )

    async def test_of_many_at_once_one_is_told_that_it_ended_the_session(
        self, world: World, pair: TokenPair
    ) -> None:
        answers = await asyncio.gather(
            *(world.log_out(refresh=pair.refresh) for _ in range(8)), return_exceptions=True
        )
        assert answers.count(None) == 1
        assert world.happened.count("LoggedOut") == 1

    async def test_what_has_ended_stays_so_when_the_clock_is_set_back(
        self, world: World, pair: TokenPair
    ) -> None:
        await world.log_out(refresh=pair.refresh)
        world.clock.advance(-timedelta(days=1))
        assert await refresh_fault(world, pair.refresh) is TokenFault.BLACKLISTED


class TestVerifying:
    async def test_a_good_token_of_either_kind_is_good(self, world: World, pair: TokenPair) -> None:
        assert await verify_fault(world, pair.access) is None
        assert await verify_fault(world, pair.refresh) is None

    async def test_it_rotates_nothing_and_keeps_no_session_from_being_idle(
        self, world: World, pair: TokenPair
    ) -> None:
        for _ in range(8):
            assert await verify_fault(world, pair.refresh) is None  # which compares what is stored
            world.clock.advance(timedelta(days=1) - TICK)
        assert await verify_fault(world, pair.refresh) is TokenFault.BLACKLISTED

    async def test_every_refresh_token_that_a_refresh_would_accept_is_good(
        self, world: World, pair: TokenPair
    ) -> None:
        child = await world.refreshed(pair)
        grandchild = await world.refreshed(child)
        for token in (pair.refresh, child.refresh, grandchild.refresh):
            assert await verify_fault(world, token) is None

    async def test_a_superseded_one_is_not_and_yet_ends_no_session(
        self, world: World, pair: TokenPair
    ) -> None:
        child = await world.refreshed(pair)
        await world.refreshed(child)
        world.clock.advance(REUSE_WINDOW)
        assert await verify_fault(world, pair.refresh) is TokenFault.BLACKLISTED
        assert await world.is_live(child)

    async def test_an_expired_one_is_not(self, world: World, pair: TokenPair) -> None:
        world.clock.advance(ACCESS_LIFETIME)
        assert await verify_fault(world, pair.access) is TokenFault.EXPIRED
        assert await verify_fault(world, pair.refresh) is None

    async def test_nor_one_whose_session_has_ended(self, world: World, pair: TokenPair) -> None:
        await world.log_out(refresh=pair.refresh)
        assert await verify_fault(world, pair.access) is TokenFault.BLACKLISTED
        assert await verify_fault(world, pair.refresh) is TokenFault.BLACKLISTED


class TestAuthenticating:
    async def test_tells_the_account_and_the_session(
        self, world: World, pair: TokenPair, alice: User
    ) -> None:
        principal = await world.authenticate(access=pair.access)
        assert principal.user.id == alice.id
        assert principal.session.id == (await world.claims(pair.access)).session_id

    async def test_until_the_token_expires(self, world: World, pair: TokenPair) -> None:
        world.clock.advance(ACCESS_LIFETIME - TICK)
        await world.authenticate(access=pair.access)
        world.clock.advance(TICK)
        assert await access_fault(world, pair.access) is TokenFault.EXPIRED

    async def test_with_one_query(self, world: World, pair: TokenPair) -> None:
        world.tap.forget()
        await world.authenticate(access=pair.access)
        assert [call for call in world.tap.calls if "." in call and "clock" not in call] == [
            "tokens.read",
            "sessions.get_with_user",
        ]

    async def test_every_access_token_of_a_session_works_until_it_expires(
        self, world: World, pair: TokenPair
    ) -> None:
        fresh = await world.refreshed(pair)
        await world.authenticate(access=pair.access)
        await world.authenticate(access=fresh.access)


class TestTheUseOfASession:
    @pytest.fixture(autouse=True)
    def used(self, world: World, pair: TokenPair) -> None:
        """By its login, just now."""
        world.tap.forget()

    async def used_at(self, world: World, pair: TokenPair) -> datetime:
        session = world.state().sessions[(await world.claims(pair.refresh)).session_id]
        return session.last_used_at

    def writes(self, world: World) -> int:
        return world.tap.calls.count("begin")

    async def test_is_noted_when_the_last_one_is_a_minute_ago(self, world: World, pair: TokenPair) -> None:
        before = world.clock.now()
        world.clock.advance(MINUTE - TICK)
        await world.principal(pair)
        assert (self.writes(world), await self.used_at(world, pair)) == (0, before)
        world.clock.advance(TICK)
        await world.principal(pair)
        assert (self.writes(world), await self.used_at(world, pair)) == (1, before + MINUTE)

    async def test_costs_one_write_a_minute_however_often_it_is_used(
        self, world: World, pair: TokenPair
    ) -> None:
        for _ in range(4 * 60 // 5):
            world.clock.advance(timedelta(seconds=5))
            await world.principal(pair)
        assert self.writes(world) == world.tap.calls.count("sessions.touch") == 4

    async def test_costs_none_in_the_minute_after_a_refresh(self, world: World, pair: TokenPair) -> None:
        world.clock.advance(MINUTES_LATER)
        fresh = await world.refreshed(pair)
        world.tap.forget()
        world.clock.advance(MINUTE - TICK)
        await world.principal(fresh)
        assert self.writes(world) == 0

    async def test_is_noted_once_by_two_requests_at_once(self, world: World, pair: TokenPair) -> None:
        """Both have read that it is time; the second one to write finds it done."""
        world.clock.advance(MINUTE)
        noted = world.clock.now()

        class GoesOn:
            def now(self) -> datetime:
                world.clock.advance(TICK)
                return world.clock.now() - TICK

        authenticate = replace(world.authenticate, clock=GoesOn())
        await asyncio.gather(*(authenticate(access=pair.access) for _ in range(8)))
        assert self.writes(world) > 1
        assert await self.used_at(world, pair) == noted

    @pytest.mark.parametrize("call", ["begin", "sessions.touch", "commit"])
    @pytest.mark.parametrize(
        "error", [Unavailable("the disk is full"), Conflict("a race")], ids=["full", "race"]
    )
    async def test_that_cannot_be_noted_is_no_reason_to_refuse_a_request(
        self, call: str, error: Exception, world: World, pair: TokenPair, caplog: pytest.LogCaptureFixture
    ) -> None:
        before = await self.used_at(world, pair)
        world.clock.advance(MINUTE)
        world.tap.fail_always(call, error)
        principal = await world.principal(pair)
        assert (await world.show_profile(principal=principal)).username == "alice"
        assert await self.used_at(world, pair) == before
        assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
            (logging.WARNING, f"the use of a session could not be noted: {error}")
        ]

    async def test_whose_noting_fails_for_a_fault_of_ours_is_not_hidden(
        self, world: World, pair: TokenPair
    ) -> None:
        world.clock.advance(MINUTE)
        world.tap.fail_once("sessions.touch", ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            await world.principal(pair)

    async def test_is_not_noted_for_a_token_that_is_refused(self, world: World, pair: TokenPair) -> None:
        await world.log_out(refresh=pair.refresh)
        world.clock.advance(MINUTE)
        world.tap.forget()
        assert await access_fault(world, pair.access) is TokenFault.INVALID
        assert self.writes(world) == 0

    async def test_keeps_it_from_being_idle(self, world: World, pair: TokenPair) -> None:
        world.clock.advance(IDLE - MINUTES_LATER)
        pair = await world.refreshed(pair)
        world.clock.advance(MINUTE)
        await world.principal(pair)
        world.clock.advance(IDLE - TICK)
        assert await verify_fault(world, pair.refresh) is None
        world.clock.advance(TICK)
        assert await verify_fault(world, pair.refresh) is TokenFault.BLACKLISTED

    async def test_does_not_end_a_rotation_that_comes_at_the_same_time(
        self, world: World, pair: TokenPair
    ) -> None:
        world.clock.advance(MINUTE)
        fresh, *_ = await asyncio.gather(world.refreshed(pair), *(world.principal(pair) for _ in range(4)))
        await world.refreshed(fresh)
        assert await self.used_at(world, pair) == world.clock.now()
