"""Whether the service can do its work right now."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.application.world import World

from identity.application.health import Health
from identity.application.ports import Schema, SchemaTooNew
from identity.domain.errors import MailDeferred, Unavailable


class BehindSchema:
    async def is_current(self) -> bool:
        return False

    async def upgrade(self) -> None:
        raise NotImplementedError


class ContractedSchema(BehindSchema):
    """A newer version has taken away what this one needs."""

    async def is_current(self) -> bool:
        raise SchemaTooNew("its revision is 0009_0009")


class ExpandedSchema(BehindSchema):
    """A newer version has migrated it, and left all that this one needs."""

    async def is_current(self) -> bool:
        return True


class TestCheckingHealth:
    async def test_nothing_waits(self, world: World) -> None:
        assert await world.check_health() == Health(schema_is_current=True, outbox_age=timedelta())

    async def test_it_tells_how_long_the_oldest_mail_has_been_waiting(self, world: World) -> None:
        await world.request_reset(email="alice@example.com")
        world.clock.advance(timedelta(minutes=3))
        await world.request_reset(email="bob@example.com")
        world.clock.advance(timedelta(minutes=2))
        assert (await world.check_health()).outbox_age == timedelta(minutes=5)

    async def test_but_not_before_it_has_been_waiting_for_a_minute(self, world: World) -> None:
        """Else whoever just asked for a reset could tell a mail on its way from one that nobody will get."""
        await world.registered("alice")
        await world.request_reset(email="alice@example.com")
        world.clock.advance(timedelta(minutes=1) - timedelta(microseconds=1))
        assert (await world.check_health()).outbox_age == timedelta()
        world.clock.advance(timedelta(microseconds=1))
        assert (await world.check_health()).outbox_age == timedelta(minutes=1)

    async def test_mail_that_left_or_never_will_does_not_wait(self, world: World) -> None:
        await world.registered("alice")
        await world.reset_link()
        world.clock.advance(timedelta(minutes=5))
        assert (await world.check_health()).outbox_age == timedelta()

    async def test_mail_that_was_put_off_does(self, world: World) -> None:
        await world.registered("alice")
        await world.request_reset(email="alice@example.com")

        async def later(_: object) -> None:
            raise MailDeferred("try later")

        world.mailer.before = later
        await world.delivered()
        world.clock.advance(timedelta(minutes=5))
        assert (await world.check_health()).outbox_age == timedelta(minutes=5)

    async def test_a_clock_that_was_set_back_makes_no_negative_age(self, world: World) -> None:
        await world.request_reset(email="alice@example.com")
        world.clock.advance(-timedelta(hours=1))
        assert (await world.check_health()).outbox_age == timedelta()

    @pytest.mark.parametrize("schema", [BehindSchema(), ContractedSchema()])
    async def test_a_schema_that_is_behind_or_too_new_is_told_and_not_asked_any_further(
        self, world: World, schema: Schema
    ) -> None:
        check_health = replace(world.check_health, schema=schema)
        world.tap.forget()
        assert await check_health() == Health(schema_is_current=False, outbox_age=timedelta())
        assert world.tap.calls == []

    async def test_a_newer_schema_that_is_still_good_is_asked_and_not_migrated(self, world: World) -> None:
        await world.request_reset(email="alice@example.com")
        world.clock.advance(timedelta(minutes=3))
        check_health = replace(world.check_health, schema=ExpandedSchema())
        assert await check_health() == Health(schema_is_current=True, outbox_age=timedelta(minutes=3))

    async def test_a_storage_that_does_not_answer_is_told(self, world: World) -> None:
        world.tap.fail_once("read", Unavailable("storage"))
        with pytest.raises(Unavailable):
            await world.check_health()

    async def test_it_changes_nothing(self, world: World) -> None:
        await world.request_reset(email="alice@example.com")
        before = world.state()
        await world.check_health()
        assert world.state() == before
