"""Throwing away what is over, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.application.world import (
    BROWSER,
    BUCKETS,
    NEW_PASSWORD,
    PASSWORD,
    RESET_LIFETIME,
    SESSION_LIFETIME,
    World,
)

from identity.application.housekeeping import DEAD_LETTERS_KEPT, KEPT_AFTER_EXPIRY, Purged
from identity.application.sessions import DEVICES_REMEMBERED
from identity.domain.errors import LoginRefused, MailRefused, OneTimeTokenRefused, TokenFault, TokenRefused
from identity.domain.login_code import LIFETIME

TICK = timedelta(microseconds=1)
NOTHING = Purged(
    sessions=0,
    devices=0,
    one_time_tokens=0,
    login_codes=0,
    dead_letters=0,
    rate_limits=0,
    reservations=0,
    audit_events=0,
    accounts=0,
)


async def purged_storage(world: World) -> Purged:
    """Without what the throttle had counted meanwhile."""
    return replace(await world.purge_expired(), rate_limits=0, reservations=0)


class TestPurging:
    async def test_an_empty_service(self, world: World) -> None:
        assert await world.purge_expired() == NOTHING

    async def test_sessions_long_after_their_absolute_end(self, world: World) -> None:
        await world.registered()
        await world.logged_in()
        world.clock.advance(timedelta(days=1))
        await world.logged_in()
        world.clock.advance(SESSION_LIFETIME + KEPT_AFTER_EXPIRY - timedelta(days=1))
        assert await purged_storage(world) == NOTHING
        world.clock.advance(TICK)
        assert await purged_storage(world) == replace(NOTHING, sessions=1)
        assert await purged_storage(world) == NOTHING
        world.clock.advance(timedelta(days=1))
        assert await purged_storage(world) == replace(NOTHING, sessions=1)

    async def test_what_the_throttle_has_forgotten_long_ago(self, world: World) -> None:
        with pytest.raises(LoginRefused):
            await world.logged_in("nobody")
        world.clock.advance(BUCKETS.per_account.length + KEPT_AFTER_EXPIRY)
        of_address, of_account = replace(NOTHING, rate_limits=1), replace(NOTHING, rate_limits=1)
        assert await world.purge_expired() == of_address
        world.clock.advance(TICK)
        assert await world.purge_expired() == of_account
        assert await world.purge_expired() == NOTHING

    async def test_reset_tokens_long_after_they_expired(self, world: World) -> None:
        await world.registered()
        await world.reset_link()
        world.clock.advance(RESET_LIFETIME + KEPT_AFTER_EXPIRY)
        assert await world.purge_expired() == NOTHING
        world.clock.advance(TICK)
        assert await world.purge_expired() == replace(NOTHING, one_time_tokens=1)

    async def test_devices_that_were_not_seen_for_ninety_days(self, world: World) -> None:
        await world.registered()
        await world.logged_in()
        world.clock.advance(timedelta(days=1))
        await world.log_in(
            username="alice", password=PASSWORD, client=replace(BROWSER, address="203.0.113.9")
        )
        world.clock.advance(DEVICES_REMEMBERED - timedelta(days=1))
        assert (await world.purge_expired()).devices == 0
        world.clock.advance(TICK)
        assert (await world.purge_expired()).devices == 1
        assert len(world.state().devices) == 1
        await world.logged_in()
        world.clock.advance(timedelta(days=1))
        assert await world.purge_expired() == replace(NOTHING, devices=1)
        assert len(world.state().devices) == 1

    async def test_dead_letters_after_thirty_days(self, world: World) -> None:
        async def never(_: object) -> None:
            raise MailRefused("no such mailbox")

        await world.registered()
        await world.request_reset(email="alice@example.com")
        world.mailer.before = never
        await world.delivered()
        world.clock.advance(DEAD_LETTERS_KEPT)
        assert (await world.purge_expired()).dead_letters == 0
        assert world.waiting == ["password_reset"]
        world.clock.advance(TICK)
        assert (await world.purge_expired()).dead_letters == 1
        assert world.waiting == []

    async def test_login_codes_when_they_have_been_expired_for_longer_than_a_clock_steps_back(
        self, world: World
    ) -> None:
        await world.registered()
        await world.login_code()
        await world.request_login_code(email="nobody@example.com")
        world.clock.advance(LIFETIME + KEPT_AFTER_EXPIRY)
        assert (await world.purge_expired()).login_codes == 0
        world.clock.advance(TICK)
        assert (await world.purge_expired()).login_codes == 2
        assert not world.state().login_codes


class TestWhatStays:
    async def test_accounts_and_the_audit_log(self, world: World) -> None:
        await world.registered()
        await world.logged_in()
        world.clock.advance(timedelta(days=10_000))
        await world.purge_expired()
        assert world.happened == ["UserRegistered", "LoggedIn"]
        await world.logged_in()

    async def test_whatever_still_works(self, world: World) -> None:
        await world.registered()
        pair = await world.logged_in()
        link = await world.reset_link()
        assert await world.purge_expired() == NOTHING
        await world.refreshed(pair)
        await world.reset_password(**link.with_password(NEW_PASSWORD))

    async def test_mail_that_waits_however_long(self, world: World) -> None:
        await world.registered()
        pair = await world.logged_in()
        await world.changed(pair)
        world.clock.advance(timedelta(days=300))
        await world.purge_expired()
        assert len(await world.delivered()) == 1

    async def test_what_was_thrown_away_does_not_come_back_when_the_clock_is_set_back(
        self, world: World
    ) -> None:
        await world.registered()
        pair = await world.logged_in()
        link = await world.reset_link()
        world.clock.advance(SESSION_LIFETIME + KEPT_AFTER_EXPIRY + TICK)
        await world.purge_expired()
        world.clock.advance(-SESSION_LIFETIME - KEPT_AFTER_EXPIRY)
        with pytest.raises(TokenRefused) as refusal:
            await world.refreshed(pair)
        assert refusal.value.reason is TokenFault.BLACKLISTED
        with pytest.raises(OneTimeTokenRefused):
            await world.reset_password(**link.with_password(NEW_PASSWORD))
        await world.logged_in("alice", PASSWORD)

    async def test_the_count_of_todays_reset_mails(self, world: World) -> None:
        """The tokens are what is counted: purging must not open a way around the cap."""
        await world.registered()
        for _ in range(5):
            await world.reset_link()
        world.clock.advance(timedelta(hours=23))
        await world.purge_expired()
        await world.request_reset(email="alice@example.com")
        assert await world.delivered() == []
