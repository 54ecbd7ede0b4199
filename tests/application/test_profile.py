"""What an account's owner sees of it."""

from __future__ import annotations

from datetime import timedelta

from tests.application.world import World

from identity.application.profile import Profile


class TestShowingAProfile:
    async def test_it_holds_the_names_as_they_were_typed(self, world: World) -> None:
        user = await world.registered("Alice", "Alice@Example.com")
        profile = await world.show_profile(principal=await world.principal(await world.logged_in()))
        assert profile == Profile(
            id=user.id,
            username="Alice",
            email="Alice@Example.com",
            email_verified=False,
            date_joined=world.clock.now(),
            last_updated=world.clock.now(),
        )

    async def test_it_was_last_updated_when_the_password_was_last_changed(self, world: World) -> None:
        user = await world.registered()
        world.clock.advance(timedelta(days=1))
        pair = await world.logged_in()
        principal = await world.principal(pair)
        assert (await world.show_profile(principal=principal)).last_updated == user.joined_at
        await world.changed(pair)
        profile = await world.show_profile(principal=await world.principal(pair))
        assert profile.last_updated == world.clock.now()
        assert profile.date_joined == user.joined_at

    async def test_it_is_the_principals_own(self, world: World) -> None:
        for name in ("alice", "bob"):
            await world.registered(name)
            principal = await world.principal(await world.logged_in(name))
            assert (await world.show_profile(principal=principal)).username == name

    async def test_it_asks_the_storage_nothing_that_authenticating_has_not_asked(self, world: World) -> None:
        await world.registered()
        principal = await world.principal(await world.logged_in())
        world.tap.forget()
        await world.show_profile(principal=principal)
        assert world.tap.calls == []

    async def test_it_shows_no_hash(self, world: World) -> None:
        user = await world.registered()
        profile = await world.show_profile(principal=await world.principal(await world.logged_in()))
        assert user.password_hash not in repr(profile)
        assert user.password_hash not in repr(await world.principal(await world.logged_in()))
