"""Verifying an address: off, optional and required."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.application.world import (
    BROWSER,
    NEW_PASSWORD,
    PASSWORD,
    THREE_REQUESTS,
    VERIFY_LIFETIME,
    WRONG_PASSWORD,
    ResetLink,
    World,
    link_in,
)

from identity.application.composing import LINKS_A_DAY
from identity.application.registration import VERIFIED_WITHIN
from identity.domain.errors import (
    EmailTaken,
    InvalidInput,
    LoginRefused,
    OneTimeTokenRefused,
    Throttled,
    UsernameTaken,
)
from identity.domain.events import ANYBODY, SERVICE, AddressReused, EmailVerified, RegistrationLapsed
from identity.domain.names import EmailAddress
from identity.domain.secrets import Secret
from identity.domain.user import user_reference

TICK = timedelta(microseconds=1)


@pytest.fixture
def optional() -> World:
    return World(verification="optional")


@pytest.fixture
def required() -> World:
    return World(verification="required")


async def opened(world: World, username: str = "alice", email: str | None = None) -> None:
    await world.register_blindly(
        username=username, email=email or f"{username}@example.com", password=PASSWORD, client=BROWSER
    )


async def refused(world: World, username: str = "alice", password: Secret = PASSWORD) -> None:
    with pytest.raises(LoginRefused):
        await world.logged_in(username, password)


class TestALinkIsMailed:
    async def test_at_registration_and_the_account_is_open_meanwhile(self, optional: World) -> None:
        user = await optional.registered()
        assert not user.is_verified
        assert optional.waiting == ["verify_email"]
        await optional.logged_in()
        (mail,) = await optional.delivered()
        assert mail.to.value == "alice@example.com"
        assert link_in(mail).uidb64 == user_reference(user.id)

    async def test_not_where_that_is_off_unless_somebody_asks(self, world: World) -> None:
        await world.registered()
        assert world.waiting == []
        await world.request_verification(email="Alice@EXAMPLE.com")
        await world.verified(await world.verification_link())

    async def test_not_to_a_superuser_for_whom_an_operator_vouches(self, required: World) -> None:
        root = await required.register_user(
            username="root", email="root@example.com", password=PASSWORD, superuser=True
        )
        assert root.email_verified_at == required.clock.now()
        assert required.waiting == []
        await required.logged_in("root")

    async def test_once_for_all_who_ask_before_it_is_sent(self, optional: World) -> None:
        await optional.registered()
        for _ in range(3):
            await optional.request_verification(email="alice@example.com")
        assert len(await optional.delivered()) == 1

    async def test_not_to_nobody_nor_to_whom_it_is_of_no_use(self, world: World) -> None:
        alice, bob = await world.registered("alice"), await world.registered("bob")
        await world.request_verification(email="alice@example.com")
        await world.verified(await world.verification_link())
        await world.disable(bob)
        for name in ("alice", "bob", "nobody"):
            await world.request_verification(email=f"{name}@example.com")
        assert world.waiting == ["verify_email"] * 3
        assert await world.delivered() == []
        assert (await world.stored_user()).is_verified
        assert alice.id

    async def test_five_times_in_a_day(self, world: World) -> None:
        await world.registered()
        for _ in range(LINKS_A_DAY + 2):
            await world.request_verification(email="alice@example.com")
            await world.delivered()
        assert len(world.mailer.sent) == LINKS_A_DAY
        await world.reset_link()  # which are counted by themselves

    async def test_and_whoever_asks_too_often_is_not_told(self) -> None:
        world = World(buckets=THREE_REQUESTS)
        for number in range(5):
            await world.request_verification(email=f"{number}@example.com", client=BROWSER)
        assert len(world.waiting) == 3

    async def test_and_what_is_no_address_is_refused(self, world: World) -> None:
        with pytest.raises(InvalidInput) as refusal:
            await world.request_verification(email="a@x,b@y")
        assert refusal.value.fields == {"email": ("Enter a valid email address.",)}


class TestALinkVerifies:
    async def test_the_address_it_was_mailed_to(self, optional: World) -> None:
        user = await optional.registered()
        link = await optional.verification_link()
        optional.clock.advance(VERIFY_LIFETIME - TICK)
        pair = await optional.logged_in()
        await optional.verified(link)
        stored = await optional.stored_user()
        assert stored.email_verified_at == optional.clock.now()
        expected = EmailVerified(at=optional.clock.now(), user_id=user.id, client=BROWSER)
        assert optional.storage.events[-1] == expected
        assert await optional.is_live(pair)  # sessions go on

    async def test_once(self, optional: World) -> None:
        await optional.registered()
        link = await optional.verification_link()
        await optional.verified(link)
        state = optional.state()
        with pytest.raises(OneTimeTokenRefused):
            await optional.verified(link)
        assert optional.state() == state

    async def test_as_a_reset_does(self, optional: World) -> None:
        await optional.registered()
        link = await optional.verification_link()
        reset = await optional.reset_link()
        await optional.reset_password(**reset.with_password(NEW_PASSWORD))
        assert (await optional.stored_user()).email_verified_at == optional.clock.now()
        with pytest.raises(OneTimeTokenRefused):  # the change voided it
            await optional.verified(link)

    async def test_and_a_later_one_is_void(self, world: World) -> None:
        await world.registered()
        await world.request_verification(email="alice@example.com")
        first = await world.verification_link()
        await world.request_verification(email="alice@example.com")
        second = await world.verification_link()
        await world.verified(first)
        at = world.clock.now()
        world.clock.advance(timedelta(minutes=1))
        with pytest.raises(OneTimeTokenRefused):
            await world.verified(second)
        assert (await world.stored_user()).email_verified_at == at


class TestALinkIsRefused:
    @pytest.fixture
    async def link(self, optional: World) -> ResetLink:
        await optional.registered()
        return await optional.verification_link()

    async def is_refused(self, world: World, link: ResetLink) -> None:
        before = world.state()
        with pytest.raises(OneTimeTokenRefused):
            await world.verified(link)
        assert world.state() == before

    async def test_that_is_wrong_or_anothers(self, optional: World, link: ResetLink) -> None:
        bob = await optional.registered("bob")
        await self.is_refused(optional, replace(link, token="wrong"))
        await self.is_refused(optional, replace(link, uidb64=user_reference(bob.id)))
        await self.is_refused(optional, replace(link, uidb64="../"))

    async def test_that_has_expired(self, optional: World, link: ResetLink) -> None:
        optional.clock.advance(VERIFY_LIFETIME)
        await self.is_refused(optional, link)

    async def test_of_an_account_that_was_disabled(self, optional: World, link: ResetLink) -> None:
        await optional.disable(await optional.stored_user())
        await self.is_refused(optional, link)

    async def test_for_an_address_that_is_the_accounts_no_more(
        self, optional: World, link: ResetLink
    ) -> None:
        async with optional.storage.begin() as uow:
            user = await uow.users.get(1)
            assert user is not None
            await uow.users.save(replace(user, email=EmailAddress("new@example.com")))
        await self.is_refused(optional, link)

    async def test_that_is_for_a_reset_and_the_other_way_round(
        self, optional: World, link: ResetLink
    ) -> None:
        reset = await optional.reset_link()
        await self.is_refused(optional, reset)
        with pytest.raises(OneTimeTokenRefused):
            await optional.reset_password(**link.with_password(NEW_PASSWORD))

    async def test_when_another_request_was_first(self, optional: World, link: ResetLink) -> None:
        optional.tap.answer_once("one_time_tokens.spend", False)
        await self.is_refused(optional, link)

    async def test_and_too_many_bad_ones_from_an_address_are_throttled(self) -> None:
        world = World(buckets=THREE_REQUESTS, verification="optional")
        await world.registered()
        link = await world.verification_link()
        for _ in range(3):
            await self.is_refused(world, replace(link, token="wrong"))
        with pytest.raises(Throttled):
            await world.verified(replace(link, token="wrong"))
        await world.verified(link)


class TestALoginOfAnUnverifiedAccount:
    async def test_is_refused_and_with_the_right_password_a_fresh_link_is_mailed(
        self, required: World
    ) -> None:
        await opened(required)
        await required.delivered()
        await refused(required, "alice@example.com")
        await required.verified(await required.verification_link())
        await required.logged_in()

    async def test_is_mailed_a_link_for_each_right_password_as_many_intents_as_wrong_ones_put(
        self, required: World
    ) -> None:
        """An intent that was none, because one waits already, would tell by its time which was right."""
        await opened(required)
        await required.delivered()
        for name in ("alice", "nobody"):
            for _ in range(2):
                await refused(required, name)
        assert required.waiting == ["verify_email"] * 4
        assert [message.to.value for message in await required.delivered()] == ["alice@example.com"] * 2

    async def test_with_a_wrong_password_is_just_refused(self, required: World) -> None:
        await opened(required)
        await required.delivered()
        for name in ("alice", "nobody"):
            await refused(required, name, WRONG_PASSWORD)
        assert await required.delivered() == []
        assert required.waiting == []

    async def test_counts_as_a_failure_whatever_the_password(self, required: World) -> None:
        """Or who tries passwords would learn from the throttle which of them was right."""
        waits = []
        for password in (PASSWORD, WRONG_PASSWORD):
            name = f"user{len(waits)}"
            await opened(required, name)
            for _ in range(5):
                await refused(required, name, password)
            with pytest.raises(Throttled) as throttled:
                await required.logged_in(name, password)
            waits.append(throttled.value.retry_after)
        assert waits[0] == waits[1]

    async def test_does_not_tell_by_the_throttle_that_two_names_are_those_of_one_account(
        self, required: World
    ) -> None:
        """Whoever asked for both knows otherwise that no account was opened, as the address was taken."""
        await required.registered("alice")
        for name, email in (("opened", "free@example.com"), ("kept", "alice@example.com")):
            await opened(required, name, email)
            for _ in range(5):
                await refused(required, name)
            with pytest.raises(Throttled):
                await required.logged_in(name)
            await refused(required, email, WRONG_PASSWORD)

    async def test_and_verifying_forgets_those_failures(self, required: World) -> None:
        await opened(required)
        link = await required.verification_link()
        for _ in range(5):
            await refused(required)
        await required.verified(link)
        await required.logged_in()

    async def test_that_is_older_than_the_setting_is_refused_too(self, required: World) -> None:
        await required.registered()  # as by an operator
        await required.delivered()
        await refused(required)
        await required.verified(await required.verification_link())
        await required.logged_in()

    async def test_leaves_its_owner_who_is_logged_in_already_alone(self, required: World) -> None:
        await required.registered()
        lenient = replace(required.log_in, requires_verification=False)
        pair = await lenient(username="alice", password=PASSWORD, client=BROWSER)
        await required.refreshed(pair)
        await required.changed(pair)


class TestRegisteringWhereVerificationIsRequired:
    async def test_a_taken_address_mails_its_owner_and_opens_nothing(self, required: World) -> None:
        alice = await required.registered("alice")
        await required.delivered()
        await opened(required, "mallory", "Alice@example.com")
        (mail,) = await required.delivered()
        assert mail.to.value == "alice@example.com"
        assert "already" in mail.subject
        assert "alice" in mail.text
        assert "mallory" not in mail.text + mail.html
        expected = AddressReused(actor=ANYBODY, at=required.clock.now(), user_id=alice.id, client=BROWSER)
        assert required.storage.events[-1] == expected
        assert len(required.state().users) == 1

    async def test_a_username_that_is_the_address_tells_no_more_than_the_address(
        self, required: World
    ) -> None:
        await required.registered("alice@example.com", "alice@example.com")
        await required.delivered()
        for name in ("alice@example.com", "free@example.com"):
            await opened(required, name, name)
            with pytest.raises(InvalidInput) as refusal:
                await opened(required, name, name)
            assert refusal.value.fields == {"username": (UsernameTaken.message,)}
        assert {mail.to.value for mail in await required.delivered()} == {
            "alice@example.com",
            "free@example.com",
        }

    async def test_the_username_is_reserved_either_way(self, required: World) -> None:
        await required.registered("alice")
        await opened(required, "free")
        await opened(required, "taken", "alice@example.com")
        for name in ("free", "taken", "TAKEN"):
            for email in ("alice@example.com", "new@example.com"):
                with pytest.raises(InvalidInput) as refusal:
                    await opened(required, name, email)
                assert refusal.value.fields == {"username": (UsernameTaken.message,)}

    async def test_and_after_two_days_it_is_free_again_either_way(self, required: World) -> None:
        await required.registered("alice")
        await opened(required, "free")
        await opened(required, "taken", "alice@example.com")
        required.clock.advance(VERIFIED_WITHIN)
        assert (await required.purge_expired()).reservations == 0
        required.clock.advance(TICK)
        assert (await required.purge_expired()).reservations == 2
        for name in ("free", "taken"):
            await opened(required, name, f"again-{name}@example.com")

    async def test_an_account_that_was_not_verified_in_time_is_erased(self, required: World) -> None:
        await opened(required)
        link = await required.verification_link()
        user = await required.stored_user()
        required.clock.advance(VERIFIED_WITHIN + TICK)
        await required.purge_expired()
        expected = RegistrationLapsed(actor=SERVICE, at=required.clock.now(), user_id=user.id)
        assert required.storage.events[-1] == expected
        state = required.state()
        assert not any(
            (state.users, state.usernames, state.emails, state.one_time_tokens, state.reservations)
        )
        with pytest.raises(OneTimeTokenRefused):
            await required.verified(link)

    @pytest.mark.parametrize("way", ["link", "reset", "login"])
    async def test_one_that_its_owner_has_used_stays(self, required: World, way: str) -> None:
        await opened(required)
        match way:
            case "link":
                await required.verified(await required.verification_link())
            case "reset":
                reset = await required.reset_link()
                await required.reset_password(**reset.with_password(NEW_PASSWORD))
            case _:  # the setting was changed meanwhile
                lenient = replace(required.log_in, requires_verification=False)
                await lenient(username="alice", password=PASSWORD)
        required.clock.advance(VERIFIED_WITHIN + TICK)
        await required.purge_expired()
        assert await required.stored_user()
        assert not required.state().reservations
        with pytest.raises(InvalidInput):
            await opened(required, "alice", "other@example.com")

    async def test_accounts_of_operators_and_of_before_stay(self, required: World) -> None:
        await required.registered("alice")
        required.clock.advance(VERIFIED_WITHIN * 10)
        await required.purge_expired()
        assert await required.stored_user()

    async def test_an_operator_is_told_that_an_address_is_taken(self, required: World) -> None:
        await opened(required)
        with pytest.raises(InvalidInput) as refusal:
            await required.registered("bob", "alice@example.com")
        assert refusal.value.fields == {"email": (EmailTaken.message,)}

    async def test_an_address_that_is_kept_for_who_gave_it_up_is_as_good_as_taken(
        self, required: World
    ) -> None:
        alice = await required.registered("alice")
        former = EmailAddress("former@example.com")
        async with required.storage.begin() as uow:
            await uow.reservations.hold(former, user_id=alice.id, until=required.clock.now())
        with pytest.raises(InvalidInput):
            await required.registered("bob", former.value)
        await required.delivered()
        await opened(required, "bob", former.value)
        (mail,) = await required.delivered()
        # To the address, not to the account's, whose owner may have nothing to do with it.
        assert (mail.to.value, "already" in mail.subject) == ("former@example.com", True)

    async def test_no_more_than_five_such_mails_go_to_an_owner_in_a_day(self, required: World) -> None:
        await required.registered("alice")
        await required.delivered()
        for number in range(7):
            await opened(required, f"name{number}", "alice@example.com")
            await required.delivered()
        subjects = [mail.subject for mail in required.mailer.sent if "already" in mail.subject]
        assert len(subjects) == 5
