"""Logging in by a mailed code."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.application.world import BROWSER, NEW_PASSWORD, UNLIMITED, LoginCode, World

from identity.application.mail import MailKind
from identity.domain.errors import (
    AccessTokenRefused,
    InvalidInput,
    LoginRefused,
    MailDeferred,
    OneTimeTokenRefused,
    Throttled,
)
from identity.domain.events import LoggedIn, LoggedInByCode
from identity.domain.login_code import LIFETIME, MOST_TRIES
from identity.domain.names import EmailAddress
from identity.domain.secrets import Secret
from identity.domain.throttling import Window
from identity.domain.tokens import TokenPair
from identity.domain.user import User

TICK = timedelta(microseconds=1)


@pytest.fixture
def world() -> World:
    """A test fails as often as it likes."""
    return World(buckets=UNLIMITED)


@pytest.fixture
async def alice(world: World) -> User:
    return await world.registered("alice")


@pytest.fixture
async def code(world: World, alice: User) -> LoginCode:
    return await world.login_code()


async def confirmed(world: World, code: LoginCode, **given: Any) -> TokenPair:
    return await world.confirm_login_code(**code.fields(), client=BROWSER, **given)


async def is_refused(world: World, code: LoginCode) -> bool:
    try:
        await confirmed(world, code)
    except LoginRefused:
        return True
    return False


class TestACode:
    async def test_begins_a_session_as_a_password_does(
        self, world: World, alice: User, code: LoginCode
    ) -> None:
        principal = await world.principal(await confirmed(world, code))
        assert principal.user.id == alice.id
        assert principal.session.client == BROWSER
        assert principal.user.last_login_at == world.clock.now()

    async def test_is_typed_with_or_without_a_space_or_a_dash(self, world: World, alice: User) -> None:
        for between in ("", " ", "-", "\u2013", "\u00a0"):
            code = await world.login_code()
            digits = code.code.reveal()
            typed = Secret(f" {digits[:4]}{between}{digits[4:]} ")
            assert await confirmed(world, replace(code, code=typed))

    async def test_has_eight_digits_in_the_mail_s_text_and_html_and_none_in_its_subject(
        self, world: World, alice: User
    ) -> None:
        await world.request_login_code(email="alice@example.com", client=BROWSER)
        (mail,) = await world.delivered()
        assert mail.subject == "Your Identity sign-in code"
        (groups,) = re.findall(r"(\d{4}) (\d{4})\n", mail.text)
        assert re.search(rf"<span>{groups[0]}</span><span[^>]*>{groups[1]}</span>", mail.html)
        assert "for 10 minutes" in mail.text
        assert "Firefox on Linux" in mail.text  # who asked

    async def test_works_once(self, world: World, code: LoginCode) -> None:
        assert await confirmed(world, code)
        assert await is_refused(world, code)

    async def test_begins_one_session_of_two_that_are_asked_for_at_once(
        self, world: World, code: LoginCode
    ) -> None:
        outcomes = await asyncio.gather(*(is_refused(world, code) for _ in range(8)))
        assert Counter(outcomes) == {False: 1, True: 7}
        assert world.happened.count("LoggedInByCode") == 1

    async def test_is_good_until_the_moment_it_expires(self, world: World, alice: User) -> None:
        good, late = await world.login_code(), await world.login_code()
        world.clock.advance(LIFETIME - TICK)
        assert await confirmed(world, good)
        world.clock.advance(TICK)
        assert await is_refused(world, late)

    async def test_is_good_with_the_request_that_it_was_mailed_for_alone(
        self, world: World, alice: User
    ) -> None:
        """So one that somebody reads off another's screen is of no use to them (ASVS 6.6.2)."""
        first, second = await world.login_code(), await world.login_code()
        assert first.code != second.code
        assert await is_refused(world, replace(first, code=second.code))
        assert await is_refused(world, replace(second, code=first.code))
        assert await confirmed(world, first)
        assert await confirmed(world, second)

    async def test_is_mailed_for_each_of_two_requests_before_the_first_mail_leaves(
        self, world: World, alice: User
    ) -> None:
        """Whoever clicked twice has two mails, and the later answer goes with the later mail."""
        for _ in range(2):
            await world.request_login_code(email="alice@example.com", client=BROWSER)
        assert len(await world.delivered()) == 2

    async def test_is_void_once_the_password_is_set_anew(self, world: World, code: LoginCode) -> None:
        pair = await world.logged_in("alice")
        world.clock.advance(TICK)
        await world.changed(pair, new=NEW_PASSWORD)
        assert await is_refused(world, code)
        assert await confirmed(world, await world.login_code())

    async def test_is_of_no_use_to_a_disabled_account(
        self, world: World, alice: User, code: LoginCode
    ) -> None:
        await world.disable(alice)
        assert await is_refused(world, code)
        assert await is_refused(world, code)

    async def test_of_another_request_or_of_none_is_refused(self, world: World, code: LoginCode) -> None:
        assert await is_refused(world, replace(code, request=Secret("x" * 43)))
        assert await is_refused(world, replace(code, code=Secret("")))
        assert await is_refused(world, replace(code, code=Secret("no code \ud800 at all")))
        assert await confirmed(world, code)

    async def test_is_nowhere_at_rest(self, world: World, code: LoginCode) -> None:
        stored = repr(world.state())
        assert code.code.reveal() not in stored
        assert code.request.reveal() not in stored

    async def test_verifies_the_address(self, world: World, code: LoginCode) -> None:
        before = await world.stored_user()
        assert not before.is_verified
        await confirmed(world, code)
        verified = (await world.stored_user()).email_verified_at
        assert verified == world.clock.now()
        world.clock.advance(timedelta(hours=1))
        await confirmed(world, await world.login_code())
        assert (await world.stored_user()).email_verified_at == verified

    async def test_leaves_an_event_that_says_how_somebody_logged_in(
        self, world: World, alice: User, code: LoginCode
    ) -> None:
        pair = await confirmed(world, code)
        session = (await world.claims(pair.refresh)).session_id
        assert world.storage.events[-1] == LoggedInByCode(
            at=world.clock.now(), user_id=alice.id, session_id=session, client=BROWSER
        )
        assert issubclass(LoggedInByCode, LoggedIn)

    async def test_from_a_new_device_is_told_of_by_mail(self, world: World, alice: User) -> None:
        await world.logged_in("alice")
        code = await world.login_code()
        elsewhere = replace(BROWSER, address="203.0.113.9")
        await world.confirm_login_code(**code.fields(), client=elsewhere)
        assert world.waiting == ["new_device"]


class TestAskingForACode:
    async def test_writes_the_same_for_an_address_that_is_nobody_s_and_mails_nobody(
        self, world: World, alice: User
    ) -> None:
        secret = await world.request_login_code(email="nobody@example.com", client=BROWSER)
        assert re.fullmatch(r"[A-Za-z0-9_-]{43}", secret.reveal())
        (stored,) = world.state().login_codes.values()
        assert (stored.request, stored.email_key) == (secret.digest(), "nobody@example.com")
        assert world.waiting == ["login_code"]
        assert await world.delivered() == []
        assert world.waiting == []

    async def test_needs_an_address(self, world: World) -> None:
        with pytest.raises(InvalidInput) as refusal:
            await world.request_login_code(email="alice")
        assert refusal.value.fields == {"email": ("Enter a valid email address.",)}

    async def test_too_often_is_answered_the_same_and_writes_nothing(self) -> None:
        limit = Window(limit=3, length=timedelta(minutes=5))
        world = World(buckets=replace(UNLIMITED, requests_per_address=limit))
        secrets = [
            await world.request_login_code(email=f"{number}@example.com", client=BROWSER)
            for number in range(5)
        ]
        assert len(set(secrets)) == 5
        assert len(world.state().login_codes) == len(world.waiting) == 3

    async def test_is_mailed_five_times_a_day_at_most_and_no_code_is_made_for_the_others(
        self, world: World, alice: User
    ) -> None:
        for _ in range(50):
            await world.request_login_code(email="alice@example.com", client=BROWSER)
        assert len(await world.delivered()) == 5
        assert sum(code.digest is not None for code in world.state().login_codes.values()) == 5
        world.clock.advance(timedelta(days=1))
        assert await world.login_code()

    async def test_mails_the_stored_address_in_the_language_that_was_asked_for(
        self, world: World, alice: User
    ) -> None:
        await world.request_login_code(email="ALICE@Example.COM", client=BROWSER, language="de")
        (mail,) = await world.delivered()
        assert mail.to.value == "alice@example.com"
        assert mail.subject == "Ihr Code zum Anmelden bei Identity"

    async def test_mails_no_disabled_account(self, world: World, alice: User) -> None:
        await world.disable(alice)
        await world.request_login_code(email="alice@example.com")
        assert await world.delivered() == []

    async def test_mails_no_code_that_has_expired(self, world: World, alice: User) -> None:
        await world.request_login_code(email="alice@example.com")
        world.clock.advance(LIFETIME)
        assert await world.delivered() == []

    async def test_says_how_much_is_left_of_its_time_when_the_mail_is_late(
        self, world: World, alice: User
    ) -> None:
        await world.request_login_code(email="alice@example.com")
        world.clock.advance(timedelta(minutes=2))
        (mail,) = await world.delivered()
        assert "for 8 minutes" in mail.text

    async def test_mails_a_fresh_code_when_the_first_mail_may_not_have_left(
        self, world: World, alice: User
    ) -> None:
        async def cut(_: object) -> None:
            world.mailer.after = nothing
            raise MailDeferred("cut after the final dot")

        async def nothing(_: object) -> None: ...

        world.mailer.after = cut
        request = await world.request_login_code(email="alice@example.com", client=BROWSER)
        await world.delivered()
        world.clock.advance(timedelta(minutes=1))
        await world.delivered()
        first, second = (
            LoginCode(request=request, code=Secret("".join(re.findall(r"^ +(\d{4}) (\d{4})", text, re.M)[0])))
            for text in (mail.text for mail in world.mailer.sent)
        )
        assert first.code != second.code
        assert await is_refused(world, first)
        assert await confirmed(world, second)


class TestGuessing:
    async def test_ends_after_five_tries(self, world: World, code: LoginCode) -> None:
        for _ in range(MOST_TRIES):
            assert await is_refused(world, code.wrong)
        assert await is_refused(world, code), "the right one is too late"

    async def test_leaves_the_fifth_try_to_the_right_code(self, world: World, code: LoginCode) -> None:
        for _ in range(MOST_TRIES - 1):
            assert await is_refused(world, code.wrong)
        assert await confirmed(world, code)

    async def test_of_twenty_at_once_gets_five_tries(self, world: World, code: LoginCode) -> None:
        outcomes = await asyncio.gather(*(is_refused(world, code.wrong) for _ in range(20)))
        assert all(outcomes)
        (stored,) = world.state().login_codes.values()
        assert stored.tries == MOST_TRIES
        assert await is_refused(world, code)

    async def test_by_many_at_once_judges_no_more_than_may_fail(self, code: LoginCode, world: World) -> None:
        guesses = [code.wrong] * 20
        guesses.insert(10, code)
        world.tap.forget()
        await asyncio.gather(*(is_refused(world, guess) for guess in guesses))
        assert world.tap.calls.count("login_codes.spend") <= MOST_TRIES

    async def test_for_nobody_has_five_tries_as_well(self, world: World) -> None:
        request = await world.request_login_code(email="nobody@example.com", client=BROWSER)
        guess = LoginCode(request=request, code=Secret("00000000"))
        for _ in range(MOST_TRIES + 1):
            assert await is_refused(world, guess)
        (stored,) = world.state().login_codes.values()
        assert stored.tries == MOST_TRIES

    async def test_counts_with_wrong_passwords(self) -> None:
        world = World()
        await world.registered("alice")
        await world.request_verification(email="alice@example.com")
        await world.verified(await world.verification_link())
        code = await world.login_code()
        for _ in range(3):
            with pytest.raises(LoginRefused):
                await world.logged_in("alice", Secret("wrong"))
        for _ in range(2):
            assert await is_refused(world, code.wrong)
        with pytest.raises(Throttled):
            await confirmed(world, code)
        with pytest.raises(Throttled):
            await world.logged_in("alice")
        world.clock.advance(timedelta(seconds=1))
        assert await confirmed(world, code)
        assert await world.logged_in("alice"), "a success forgets them all"

    async def test_of_requests_that_nobody_made_counts_for_the_address(self) -> None:
        limit = Window(limit=3, length=timedelta(minutes=5))
        world = World(buckets=replace(UNLIMITED, failures_per_address=limit))
        for number in range(3):
            assert await is_refused(world, LoginCode(request=Secret(str(number)), code=Secret("00000000")))
        with pytest.raises(Throttled):
            await confirmed(world, LoginCode(request=Secret("more"), code=Secret("00000000")))


async def test_an_intent_holds_nothing_that_is_of_use(world: World, alice: User) -> None:
    secret = await world.request_login_code(email="alice@example.com", client=BROWSER)
    (intent,) = world.storage.intents
    assert intent.kind is MailKind.LOGIN_CODE
    assert intent.values["request"] == secret.digest().hex()


async def test_a_code_of_an_address_that_was_given_up_meanwhile_begins_no_session(
    world: World, code: LoginCode
) -> None:
    class Limiter:
        """Lets the address be changed when the account has been found, and no place be reserved yet."""

        def __init__(self, honest: Any) -> None:
            self.honest = honest

        def __getattr__(self, name: str) -> Any:
            return getattr(self.honest, name)

        async def reserve(self, *buckets: Any, at: Any) -> Any:
            user = await world.stored_user()
            async with world.storage.begin() as uow:
                await uow.users.save(replace(user, email=EmailAddress("new@example.com")))
            return await self.honest.reserve(*buckets, at=at)

    honest = world.confirm_login_code
    world.confirm_login_code = replace(honest, limiter=Limiter(honest.limiter))
    assert await is_refused(world, code)
    assert "LoggedInByCode" not in world.happened


@pytest.mark.usefixtures("alice")
class TestAnAccountThatSomebodyElseOpened:
    """With the address of one who then logs in by a code, which shows that the address is theirs."""

    async def test_keeps_none_of_their_ways_in(self, world: World) -> None:
        before = await world.logged_in("alice")
        link = await world.confirmation_link(before, "thief@example.net")
        assert await confirmed(world, await world.login_code())
        with pytest.raises(LoginRefused):
            await world.logged_in("alice")
        with pytest.raises(AccessTokenRefused):
            await world.principal(before)
        with pytest.raises(OneTimeTokenRefused):
            await world.confirm_email_change(**link.parts())

    async def test_keeps_them_all_once_the_address_was_verified(self, world: World) -> None:
        await world.request_verification(email="alice@example.com")
        await world.verified(await world.verification_link())
        before = await world.logged_in("alice")
        assert await confirmed(world, await world.login_code())
        assert await world.logged_in("alice")
        assert await world.principal(before)
