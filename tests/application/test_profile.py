"""What an account's owner sees of it, and changes in it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.application.world import BROWSER, BUCKETS, World

from identity.application.profile import Profile
from identity.application.sessions import Principal
from identity.domain.errors import AccessTokenRefused, InvalidInput, Throttled, UsernameTaken
from identity.domain.events import ProfileChanged
from identity.domain.names import Username
from identity.domain.throttling import Window
from identity.domain.user import User

TAKEN = "A user with that username already exists."
CHARACTERS = "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters."
UNSEEN = "Enter a valid display name. This value may not contain line breaks or invisible characters."
CONTROL = "Null characters are not allowed."


class TestShowingAProfile:
    async def test_it_holds_the_names_as_they_were_typed(self, world: World) -> None:
        user = await world.registered("Alice", "Alice@Example.com")
        profile = await world.show_profile(principal=await world.principal(await world.logged_in()))
        assert profile == Profile(
            id=user.id,
            username="Alice",
            email="Alice@Example.com",
            email_verified=False,
            display_name="",
            locale="",
            time_zone="",
            is_superuser=False,
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


@pytest.fixture
async def alice(world: World) -> User:
    return await world.registered("alice")


@pytest.fixture
async def principal(world: World, alice: User) -> Principal:
    return await world.principal(await world.logged_in("alice"))


class TestChangingAProfile:
    async def test_what_is_given_changes_and_is_answered(
        self, world: World, principal: Principal, alice: User
    ) -> None:
        profile = await world.update_profile(
            principal=principal,
            username=" Alice_Lee ",
            display_name=" Alice Lee ",
            locale="de-AT",
            time_zone="Europe/Vienna",
        )
        stored = await world.stored_user("alice_lee")
        assert profile == Profile.of(stored)
        assert stored == replace(
            alice,
            username=Username("Alice_Lee"),
            display_name="Alice Lee",
            locale="de-AT",
            time_zone="Europe/Vienna",
            last_login_at=world.clock.now(),
            version=alice.version + 1,
        )

    async def test_what_is_not_given_stays(self, world: World, principal: Principal) -> None:
        await world.update_profile(principal=principal, display_name="Alice", locale="de", time_zone="UTC")
        await world.update_profile(principal=principal, display_name="Lee")
        user = await world.stored_user()
        assert (user.display_name, user.locale, user.time_zone) == ("Lee", "de", "UTC")

    async def test_what_is_blank_is_unset(self, world: World, principal: Principal) -> None:
        await world.update_profile(principal=principal, display_name="Alice", locale="de", time_zone="UTC")
        await world.update_profile(principal=principal, display_name=" ", locale="", time_zone="\u00a0")
        user = await world.stored_user()
        assert (user.display_name, user.locale, user.time_zone) == ("", "", "")

    async def test_the_audit_log_tells_who_what_when_and_where(
        self, world: World, principal: Principal, alice: User
    ) -> None:
        await world.update_profile(principal=principal, display_name="Alice", client=BROWSER)
        assert world.storage.events[-1] == ProfileChanged(
            at=world.clock.now(), user_id=alice.id, session_id=principal.session.id, client=BROWSER
        )

    @pytest.mark.parametrize("given", [{}, {"username": "alice"}, {"display_name": "", "locale": " "}])
    async def test_nothing_is_stored_where_nothing_changes(
        self, given: dict[str, str], world: World, principal: Principal
    ) -> None:
        before = world.state()
        assert await world.update_profile(principal=principal, **given) == Profile.of(principal.user)
        assert world.state() == before

    @pytest.mark.parametrize(
        ("field", "text", "message"),
        [
            ("username", "", "This field may not be blank."),
            ("username", "al ice", CHARACTERS),
            ("username", "bob@example.com", CHARACTERS),
            ("username", "BOB", TAKEN),
            ("username", "x" * 151, "Ensure this field has no more than 150 characters."),
            ("display_name", "x" * 151, "Ensure this field has no more than 150 characters."),
            ("display_name", "Alice\nLee", CONTROL),
            ("display_name", "Alice\x00", CONTROL),
            ("display_name", "Alice\u2028Lee", UNSEEN),
            ("display_name", "Alice \u202eeeL", UNSEEN),
            ("display_name", "Ali\u200bce", UNSEEN),
            ("display_name", "Ali\u00adce", UNSEEN),
            ("display_name", "Ali\u3164ce", UNSEEN),
            ("display_name", "\ufeffAlice", UNSEEN),
            ("locale", "german", "Enter a valid language tag."),
            ("locale", "de_AT", "Enter a valid language tag."),
            ("locale", "de-" + "a" * 33, "Enter a valid language tag."),
            ("time_zone", "europe/vienna", "Enter a valid time zone."),
            ("time_zone", "../UTC", "Enter a valid time zone."),
            ("time_zone", "UTC\x00", "Enter a valid time zone."),
        ],
    )
    async def test_what_is_not_acceptable_is_refused_and_nothing_changes(
        self, field: str, text: str, message: str, world: World, principal: Principal
    ) -> None:
        await world.registered("bob")
        before = world.state()
        others = {"display_name": "Alice", "locale": "de"}
        with pytest.raises(InvalidInput) as refusal:
            await world.update_profile(principal=principal, **{**others, field: text})
        assert refusal.value.fields == {field: (message,)}
        assert world.state() == before

    @pytest.mark.parametrize("name", ["Alice Lee", "李小龍", "Zoë O'Hara-Smith", "x" * 150, "🙂"])
    async def test_a_display_name_may_be_of_any_script(
        self, name: str, world: World, principal: Principal
    ) -> None:
        assert (await world.update_profile(principal=principal, display_name=name)).display_name == name

    async def test_a_username_may_be_one_s_own_address_or_differ_in_case(
        self, world: World, principal: Principal
    ) -> None:
        for name in ("ALICE", "Alice@example.com"):
            assert (await world.update_profile(principal=principal, username=name)).username == name

    async def test_a_username_that_is_kept_is_taken(self, world: World, principal: Principal) -> None:
        async with world.storage.begin() as uow:
            await uow.reservations.hold(Username("lee"), user_id=None, until=world.clock.now())
        with pytest.raises(InvalidInput) as refusal:
            await world.update_profile(principal=principal, username="Lee")
        assert refusal.value.fields == {"username": (TAKEN,)}
        world.tap.answer_once("reservations.is_held", False)  # somebody keeps it only then
        with pytest.raises(UsernameTaken):
            await world.update_profile(principal=principal, username="Lee")
        assert (await world.stored_user()).username == Username("alice")

    async def test_of_two_who_want_a_username_one_gets_it(self, world: World, principal: Principal) -> None:
        await world.registered("bob")
        bob = await world.principal(await world.logged_in("bob"))
        answers = await asyncio.gather(
            *(world.update_profile(principal=each, username="lee") for each in (principal, bob)),
            return_exceptions=True,
        )
        assert sorted(type(each) for each in answers if not isinstance(each, Profile)) == [UsernameTaken]

    async def test_a_change_of_something_else_meanwhile_is_not_lost(
        self, world: World, principal: Principal
    ) -> None:
        await asyncio.gather(
            world.update_profile(principal=principal, display_name="Alice"),
            world.update_profile(principal=principal, locale="de"),
        )
        user = await world.stored_user()
        assert (user.display_name, user.locale) == ("Alice", "de")

    async def test_is_refused_when_the_session_has_ended(self, world: World, principal: Principal) -> None:
        await world.end_all_sessions(principal=principal)
        with pytest.raises(AccessTokenRefused):
            await world.update_profile(principal=principal, display_name="Alice")

    async def test_usernames_that_are_asked_for_are_counted_with_registrations(
        self, new_world: type[World]
    ) -> None:
        world = new_world(
            buckets=replace(BUCKETS, requests_per_address=Window(limit=2, length=timedelta(minutes=5)))
        )
        await world.registered("alice")
        principal = await world.principal(await world.logged_in("alice"))
        for name in ("lee", "lea"):
            await world.update_profile(principal=principal, username=name, client=BROWSER)
        with pytest.raises(Throttled):
            await world.update_profile(principal=principal, username="leo", client=BROWSER)
        await world.update_profile(principal=principal, display_name="Leo", client=BROWSER)
