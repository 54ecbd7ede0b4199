"""Changing the address of an account by a link to the new one, and taking that back by a link to the old."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.application.test_passwords import works
from tests.application.world import (
    BROWSER,
    BUCKETS,
    IDLE,
    NEW_PASSWORD,
    PASSWORD,
    WRONG_PASSWORD,
    ResetLink,
    World,
)

from identity.application.composing import LINKS_A_DAY
from identity.application.email_change import CONFIRMED_WITHIN, NO_USERNAME, OWN_ADDRESS, UNDONE_WITHIN
from identity.application.throttling import NOTICES_A_DAY
from identity.domain.errors import (
    AccessTokenRefused,
    IncorrectPassword,
    InvalidInput,
    LoginRefused,
    OneTimeTokenRefused,
    Throttled,
)
from identity.domain.events import EmailChanged, EmailChangeUndone
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import Secret
from identity.domain.throttling import Window
from identity.domain.tokens import TokenPair
from identity.domain.user import User

BLANK = "This field may not be blank."
OLD, NEW, NEWER = "alice@example.com", "alice@example.net", "alice@example.org"
TICK = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def alice(world: World) -> User:
    return await world.registered("alice")


@pytest.fixture
async def pair(world: World, alice: User) -> TokenPair:
    return await world.logged_in("alice")


async def ask(
    world: World, pair: TokenPair, new_email: str = NEW, password: Secret = PASSWORD, language: str = ""
) -> None:
    await world.request_email_change(
        principal=await world.principal(pair),
        new_email=new_email,
        password=password,
        client=BROWSER,
        language=language,
    )


async def address(world: World, username: str = "alice") -> str:
    return (await world.stored_user(username)).email.value


async def is_kept(world: World, email: str) -> bool:
    async with world.storage.read() as uow:
        return await uow.reservations.is_held(EmailAddress(email))


class TestAskingForAnotherAddress:
    async def test_mails_a_link_to_the_new_address_and_changes_nothing(
        self, world: World, pair: TokenPair
    ) -> None:
        before = world.state()
        await ask(world, pair, " Alice@Example.net ")
        assert world.state().users == before.users
        (message,) = await world.delivered()
        assert message.to == EmailAddress("Alice@Example.net")
        assert "/confirm-email/" in message.text
        assert await address(world) == OLD
        assert not (await world.stored_user()).is_verified
        assert await world.is_live(pair)

    async def test_twice_makes_one_mail_and_for_two_addresses_two(
        self, world: World, pair: TokenPair
    ) -> None:
        for new_email in (NEW, NEW.upper(), NEWER):
            await ask(world, pair, new_email)
        assert sorted(str(mail.to) for mail in await world.delivered()) == [NEW, NEWER]

    async def test_mails_no_more_than_a_few_links_a_day(self, world: World, pair: TokenPair) -> None:
        for number in range(LINKS_A_DAY + 2):
            await ask(world, pair, f"{number}@example.net")
        assert len(await world.delivered()) == LINKS_A_DAY

    @pytest.mark.parametrize(("language", "locale", "found"), [("de", "", "de"), ("de", "en", "en")])
    async def test_the_mail_is_in_the_language_of_the_account_else_in_that_of_the_request(
        self, language: str, locale: str, found: str, world: World, pair: TokenPair
    ) -> None:
        await world.update_profile(principal=await world.principal(pair), locale=locale)
        await ask(world, pair, language=language)
        (message,) = await world.delivered()
        assert f'<html lang="{found}">' in message.html

    @pytest.mark.parametrize(
        ("new_email", "message"),
        [
            ("", BLANK),
            ("alice", "Enter a valid email address."),
            ("a@example.net,b@example.net", "Enter a valid email address."),
            ("a@example.net\nBcc: b@example.net", "Null characters are not allowed."),
            ("ALICE@example.com", OWN_ADDRESS),
        ],
    )
    async def test_what_is_not_another_address_is_refused_before_the_password_is_asked(
        self, new_email: str, message: str, world: World, pair: TokenPair
    ) -> None:
        with pytest.raises(InvalidInput) as refusal:
            await ask(world, pair, new_email, Secret(""))
        assert refusal.value.fields == {"new_email": (message,), "password": (BLANK,)}
        assert world.waiting == []

    async def test_a_username_that_is_the_address_has_to_be_one_that_can_follow(self, world: World) -> None:
        await world.registered(OLD, OLD)
        with pytest.raises(InvalidInput) as refusal:
            await ask(world, await world.logged_in(OLD), "o'hara@example.net")
        assert refusal.value.fields == {"new_email": (NO_USERNAME,)}

    async def test_a_wrong_password_is_refused_and_counted_as_at_a_login(
        self, world: World, pair: TokenPair
    ) -> None:
        for password in (Secret("x" * 1025), *[WRONG_PASSWORD] * 5):
            with pytest.raises(IncorrectPassword):
                await ask(world, pair, password=password)
        with pytest.raises(Throttled):
            await ask(world, pair)
        assert world.waiting == []

    async def test_is_refused_when_the_session_has_ended_meanwhile(
        self, world: World, pair: TokenPair
    ) -> None:
        world.hasher.while_verifying = lambda: world.log_out(refresh=pair.refresh)
        with pytest.raises(AccessTokenRefused):
            await ask(world, pair)
        assert world.waiting == []


class TestNoMailIsSentToTheNewAddress:
    async def test_that_another_account_has(self, world: World, pair: TokenPair) -> None:
        await world.registered("bob", NEW)
        await ask(world, pair)
        assert await world.delivered() == []

    async def test_that_is_kept_for_another_account(self, world: World, pair: TokenPair) -> None:
        await world.registered("bob")
        await world.changed_email(await world.logged_in("bob"), "bob@example.net")
        await ask(world, pair, "bob@example.com")
        assert await world.delivered() == []

    async def test_when_the_password_was_changed_meanwhile(self, world: World, pair: TokenPair) -> None:
        """Whoever had asked may be the one against whom it was changed."""
        await ask(world, pair)
        world.clock.advance(TICK)
        await world.changed(pair)
        assert [mail.to.value for mail in await world.delivered()] == [OLD]

    async def test_when_a_change_was_undone_meanwhile(self, world: World, pair: TokenPair) -> None:
        undo = await world.changed_email(pair)
        await ask(world, pair, NEWER)
        world.clock.advance(TICK)
        await world.undo_email_change(**undo.parts())
        assert [mail.to.value for mail in await world.delivered()] == [OLD]

    async def test_when_the_account_was_disabled_meanwhile(
        self, world: World, pair: TokenPair, alice: User
    ) -> None:
        await ask(world, pair)
        await world.disable(alice)
        assert await world.delivered() == []


class TestAStranger:
    async def test_gets_no_more_than_a_few_mails_a_day_however_many_accounts_ask(self, world: World) -> None:
        mails = 0
        for number in range(3):
            await world.registered(f"mallory{number}")
            pair = await world.logged_in(f"mallory{number}")
            for _ in range(3):
                await world.request_email_change(
                    principal=await world.principal(pair), new_email="stranger@example.net", password=PASSWORD
                )
                mails += sum(mail.to.value == "stranger@example.net" for mail in await world.delivered())
        assert mails == NOTICES_A_DAY.limit


class TestConfirmingAnAddress:
    @pytest.fixture
    async def link(self, world: World, pair: TokenPair) -> ResetLink:
        return await world.confirmation_link(pair, "Alice@Example.net")

    async def test_makes_it_the_account_s_and_verified(self, world: World, link: ResetLink) -> None:
        await world.confirm_email_change(**link.parts())
        user = await world.stored_user()
        assert user.email == EmailAddress("Alice@Example.net")
        assert user.email_verified_at == world.clock.now()
        assert user.username == Username("alice")
        assert await works(world, PASSWORD, "alice@example.net")
        assert not await works(world, PASSWORD, OLD)

    async def test_ends_no_session(self, world: World, link: ResetLink, pair: TokenPair) -> None:
        other = await world.logged_in("alice")
        await world.confirm_email_change(**link.parts())
        assert await world.is_live(pair)
        assert await world.is_live(other)

    async def test_a_username_that_was_the_old_address_follows(self, world: World) -> None:
        await world.registered("Bob@example.com", "bob@example.com")
        link = await world.confirmation_link(await world.logged_in("bob@example.com"), "Bob@example.net")
        await world.confirm_email_change(**link.parts())
        user = await world.stored_user("bob@example.net")
        assert (user.username.value, user.email.value) == ("Bob@example.net", "Bob@example.net")

    async def test_both_addresses_get_a_mail_and_only_the_old_one_a_link(
        self, world: World, link: ResetLink
    ) -> None:
        """AU-9."""
        await world.confirm_email_change(**link.parts(), client=BROWSER)
        messages = {mail.to.value: mail for mail in await world.delivered()}
        assert set(messages) == {OLD, "Alice@Example.net"}
        assert "/undo-email-change/" in messages[OLD].text
        assert "https://app" not in messages["Alice@Example.net"].text
        for mail in messages.values():
            assert BROWSER.address in mail.text

    async def test_the_mails_are_not_in_a_language_that_a_stranger_has_chosen(
        self, world: World, pair: TokenPair
    ) -> None:
        await ask(world, pair, language="de")
        await world.confirm_email_change(**world.link_to(NEW, await world.delivered()).parts())
        assert {'<html lang="en">' in mail.html for mail in await world.delivered()} == {True}

    async def test_the_audit_log_tells_who_when_and_where(
        self, world: World, link: ResetLink, alice: User
    ) -> None:
        await world.confirm_email_change(**link.parts(), client=BROWSER)
        assert world.storage.events[-1] == EmailChanged(
            at=world.clock.now(), user_id=alice.id, client=BROWSER
        )

    async def test_the_old_address_is_kept_from_others_as_long_as_a_link_could_restore_it(
        self, world: World, link: ResetLink
    ) -> None:
        await world.confirm_email_change(**link.parts())
        with pytest.raises(InvalidInput, match="email"):
            await world.registered("bob", OLD)
        world.clock.advance(UNDONE_WITHIN - TICK)
        late = world.link_to(OLD, await world.delivered())
        world.clock.advance(UNDONE_WITHIN - TICK)
        async with world.storage.begin() as uow:
            assert await uow.reservations.purge(ended_before=world.clock.now(), limit=10) == ()
        await world.undo_email_change(**late.parts())
        assert await address(world) == OLD

    async def test_links_that_were_mailed_before_are_void(self, world: World, pair: TokenPair) -> None:
        """RC-4."""
        reset, other = await world.reset_link(), await world.confirmation_link(pair, NEWER)
        await world.changed_email(pair)
        with pytest.raises(OneTimeTokenRefused):
            await world.reset_password(**reset.with_password(NEW_PASSWORD))
        with pytest.raises(OneTimeTokenRefused):
            await world.confirm_email_change(**other.parts())
        assert await address(world) == NEW

    @pytest.mark.parametrize("way_back", ["undone", "changed"])
    async def test_and_do_not_come_back_with_the_address(
        self, way_back: str, world: World, pair: TokenPair
    ) -> None:
        reset, other = await world.reset_link(), await world.confirmation_link(pair, NEWER)
        undo = await world.changed_email(pair)
        if way_back == "undone":
            await world.undo_email_change(**undo.parts())
        else:
            await world.changed_email(pair, OLD)
        assert await address(world) == OLD
        with pytest.raises(OneTimeTokenRefused):
            await world.reset_password(**reset.with_password(NEW_PASSWORD))
        with pytest.raises(OneTimeTokenRefused):
            await world.confirm_email_change(**other.parts())

    async def test_a_reset_that_was_asked_for_by_the_old_address_is_not_mailed_any_more(
        self, world: World, link: ResetLink
    ) -> None:
        await world.request_reset(email=OLD)
        await world.confirm_email_change(**link.parts())
        assert not [mail for mail in await world.delivered() if "/reset-password/" in mail.text]

    async def test_works_until_the_link_expires(self, world: World, link: ResetLink) -> None:
        world.clock.advance(CONFIRMED_WITHIN - TICK)
        await world.confirm_email_change(**link.parts())
        assert await address(world) == "Alice@Example.net"

    async def test_of_two_at_once_one_takes_effect(self, world: World, link: ResetLink) -> None:
        answers = await asyncio.gather(
            *(world.confirm_email_change(**link.parts()) for _ in range(2)), return_exceptions=True
        )
        assert [type(each) for each in answers if each is not None] == [OneTimeTokenRefused]
        assert world.happened.count("EmailChanged") == 1

    async def test_of_two_addresses_at_once_one_is_the_account_s(self, world: World, pair: TokenPair) -> None:
        links = [await world.confirmation_link(pair, each) for each in (NEW, NEWER)]
        answers = await asyncio.gather(
            *(world.confirm_email_change(**link.parts()) for link in links), return_exceptions=True
        )
        assert answers.count(None) == 1
        assert await address(world) == (NEW, NEWER)[answers.index(None)]

    async def test_beside_a_registration_of_the_address_one_gets_it(
        self, world: World, link: ResetLink
    ) -> None:
        confirmed, registered = await asyncio.gather(
            world.confirm_email_change(**link.parts()), world.registered("bob", NEW), return_exceptions=True
        )
        assert (confirmed is None) != isinstance(registered, User)


class TestAConfirmationIsRefused:
    @pytest.fixture
    async def link(self, world: World, pair: TokenPair) -> ResetLink:
        return await world.confirmation_link(pair)

    async def _assert_refused(self, world: World, link: ResetLink) -> None:
        before = world.state()
        with pytest.raises(OneTimeTokenRefused):
            await world.confirm_email_change(**link.parts())
        assert world.state() == before

    async def test_a_second_time(self, world: World, link: ResetLink) -> None:
        await world.confirm_email_change(**link.parts())
        await self._assert_refused(world, link)

    async def test_after_the_link_expired(self, world: World, link: ResetLink) -> None:
        world.clock.advance(CONFIRMED_WITHIN)
        await self._assert_refused(world, link)

    async def test_when_the_address_was_taken_meanwhile(self, world: World, link: ResetLink) -> None:
        await world.registered("bob", NEW.upper())
        await self._assert_refused(world, link)

    async def test_when_the_address_is_kept_for_another_by_now(self, world: World, link: ResetLink) -> None:
        await world.registered("bob", NEW)
        await world.changed_email(await world.logged_in("bob"), "bob@example.net")
        await self._assert_refused(world, link)

    async def test_after_the_password_was_changed(
        self, world: World, link: ResetLink, pair: TokenPair
    ) -> None:
        await world.changed(pair)
        await self._assert_refused(world, link)

    async def test_for_an_account_that_is_disabled(self, world: World, link: ResetLink, alice: User) -> None:
        await world.disable(alice)
        await self._assert_refused(world, link)

    async def test_with_a_link_for_something_else(
        self, world: World, link: ResetLink, pair: TokenPair
    ) -> None:
        await self._assert_refused(world, await world.reset_link())
        with pytest.raises(OneTimeTokenRefused):
            await world.undo_email_change(**link.parts())
        with pytest.raises(OneTimeTokenRefused):
            await world.reset_password(**link.with_password(NEW_PASSWORD))


class TestUndoingAChange:
    @pytest.fixture
    async def link(self, world: World, pair: TokenPair) -> ResetLink:
        return await world.changed_email(pair)

    async def test_restores_the_address_and_ends_all_sessions(
        self, world: World, link: ResetLink, pair: TokenPair
    ) -> None:
        other = await world.logged_in("alice")
        await world.undo_email_change(**link.parts())
        assert await address(world) == OLD
        assert (await world.stored_user()).is_verified
        assert [await world.is_live(each) for each in (pair, other)] == [False, False]
        assert await works(world, PASSWORD, OLD)
        assert not await works(world, PASSWORD, NEW)

    async def test_and_the_username_that_followed(self, world: World) -> None:
        await world.registered("bob@example.com", "bob@example.com")
        link = await world.changed_email(await world.logged_in("bob@example.com"), "bob@example.net")
        await world.undo_email_change(**link.parts())
        assert (await world.stored_user("bob@example.com")).email.value == "bob@example.com"

    async def test_mails_to_the_address_what_to_do_next(self, world: World, link: ResetLink) -> None:
        await world.undo_email_change(**link.parts(), client=BROWSER)
        (message,) = await world.delivered()
        assert message.to == EmailAddress(OLD)
        assert "Reset your password now" in message.text
        assert BROWSER.address in message.text

    async def test_the_audit_log_tells_who_when_and_where(
        self, world: World, link: ResetLink, alice: User
    ) -> None:
        await world.undo_email_change(**link.parts(), client=BROWSER)
        assert world.storage.events[-1] == EmailChangeUndone(
            at=world.clock.now(), user_id=alice.id, client=BROWSER
        )

    async def test_the_other_address_is_free_at_once_and_neither_is_kept(
        self, world: World, link: ResetLink
    ) -> None:
        await world.undo_email_change(**link.parts())
        assert not await is_kept(world, OLD)
        await world.registered("bob", NEW)

    async def test_works_until_the_link_expires(self, world: World, link: ResetLink) -> None:
        world.clock.advance(UNDONE_WITHIN - TICK)
        await world.undo_email_change(**link.parts())
        assert await address(world) == OLD

    async def test_is_refused_a_second_time_and_later(self, world: World, pair: TokenPair) -> None:
        link = await world.changed_email(pair)
        await world.undo_email_change(**link.parts())
        with pytest.raises(OneTimeTokenRefused):
            await world.undo_email_change(**link.parts())
        late = await world.changed_email(await world.logged_in("alice"), NEWER)
        world.clock.advance(UNDONE_WITHIN)
        with pytest.raises(OneTimeTokenRefused):
            await world.undo_email_change(**late.parts())

    async def test_of_two_at_once_one_takes_effect(self, world: World, link: ResetLink) -> None:
        answers = await asyncio.gather(
            *(world.undo_email_change(**link.parts()) for _ in range(2)), return_exceptions=True
        )
        assert [type(each) for each in answers if each is not None] == [OneTimeTokenRefused]
        assert world.happened.count("EmailChangeUndone") == 1


class TestWhoeverTookAnAccountOver:
    """They know the password, and have given the account an address of their own."""

    @pytest.fixture
    async def link(self, world: World, pair: TokenPair) -> ResetLink:
        return await world.changed_email(pair)

    async def test_cannot_keep_it_by_another_password(
        self, world: World, link: ResetLink, pair: TokenPair
    ) -> None:
        await world.changed(pair)
        reset = await world.reset_link(NEW)
        await world.undo_email_change(**link.parts())
        with pytest.raises(OneTimeTokenRefused):
            await world.reset_password(**reset.with_password(NEW_PASSWORD))
        owners = await world.reset_link(OLD)
        await world.reset_password(**owners.with_password(Secret("the owner's own one")))
        assert not await world.is_live(pair)
        with pytest.raises(LoginRefused):
            await world.logged_in("alice", NEW_PASSWORD)

    async def test_cannot_keep_it_by_another_username(
        self, world: World, link: ResetLink, pair: TokenPair
    ) -> None:
        await world.update_profile(principal=await world.principal(pair), username=NEW)
        await world.undo_email_change(**link.parts())
        user = await world.stored_user(OLD)  # the username follows
        assert user.email.value == OLD

    async def test_cannot_keep_it_by_the_username_that_the_address_would_be(
        self, world: World, link: ResetLink, pair: TokenPair
    ) -> None:
        await world.update_profile(principal=await world.principal(pair), username=NEW)
        alike = OLD.replace("e", "\uff45", 1)  # another address, and as a username the same
        with pytest.raises(InvalidInput):
            await world.registered(alike, alike)
        await world.register_blindly(username=OLD, email=OLD, password=PASSWORD)
        await world.undo_email_change(**link.parts())
        assert (await world.stored_user(OLD)).email.value == OLD

    async def test_cannot_keep_it_by_a_further_change(
        self, world: World, link: ResetLink, pair: TokenPair
    ) -> None:
        world.clock.advance(MINUTE)
        theirs = await world.changed_email(pair, NEWER)
        await world.undo_email_change(**link.parts())
        assert await address(world) == OLD
        with pytest.raises(OneTimeTokenRefused):
            await world.undo_email_change(**theirs.parts())
        assert await address(world) == OLD

    async def test_not_even_by_one_whose_mail_leaves_later(
        self, world: World, link: ResetLink, pair: TokenPair
    ) -> None:
        world.clock.advance(MINUTE)
        confirmation = await world.confirmation_link(pair, NEWER)
        await world.confirm_email_change(**confirmation.parts())
        await world.undo_email_change(**link.parts())
        theirs = world.link_to(NEW, await world.delivered())
        with pytest.raises(OneTimeTokenRefused):
            await world.undo_email_change(**theirs.parts())

    async def test_cannot_spoil_the_link_by_undoing_what_they_did_themselves(
        self, world: World, link: ResetLink, pair: TokenPair
    ) -> None:
        world.clock.advance(MINUTE)
        theirs = await world.changed_email(pair, NEWER)
        await world.undo_email_change(**theirs.parts())
        assert await address(world) == NEW
        await world.undo_email_change(**link.parts())
        assert await address(world) == OLD

    async def test_cannot_bring_it_back_when_the_owner_has_changed_it_back(
        self, world: World, link: ResetLink, pair: TokenPair
    ) -> None:
        world.clock.advance(MINUTE)
        theirs = await world.changed_email(pair, OLD)
        await world.undo_email_change(**theirs.parts())
        assert await address(world) == NEW
        await world.undo_email_change(**link.parts())
        assert await address(world) == OLD
        with pytest.raises(OneTimeTokenRefused):
            await world.undo_email_change(**theirs.parts())

    async def test_cannot_have_it_erased(self, world: World, link: ResetLink) -> None:
        user = await world.stored_user()
        async with world.storage.begin() as uow:
            await uow.users.save(replace(user, erasure_due_at=world.clock.now() + IDLE))
        await world.undo_email_change(**link.parts())
        assert not (await world.stored_user()).is_closed
        assert await works(world, PASSWORD, OLD)


class TestRefusedLinks:
    async def test_are_counted_by_address_and_good_ones_always_pass(self, new_world: type[World]) -> None:
        world = new_world(
            buckets=replace(BUCKETS, requests_per_address=Window(limit=3, length=timedelta(minutes=5)))
        )
        await world.registered("alice")
        pair = await world.logged_in("alice")
        link = await world.confirmation_link(pair)
        for use_case in (world.confirm_email_change, world.undo_email_change, world.confirm_email_change):
            with pytest.raises(OneTimeTokenRefused):
                await use_case(uidb64=link.uidb64, token=Secret("wrong"), client=BROWSER)
        for use_case in (world.confirm_email_change, world.undo_email_change):
            with pytest.raises(Throttled):
                await use_case(uidb64=link.uidb64, token=Secret("wrong"), client=BROWSER)
        await world.confirm_email_change(**link.parts(), client=BROWSER)
