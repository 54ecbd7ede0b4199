"""Changing a password one knows, and replacing one that is lost."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta

import pytest
from tests.application.world import (
    BROWSER,
    COMMON_PASSWORD,
    IDLE,
    NEW_PASSWORD,
    PASSWORD,
    RESET_LIFETIME,
    SESSION_LIFETIME,
    ResetLink,
    World,
)

from identity.application.mail import MailIntent, MailKind
from identity.domain.errors import (
    AccessTokenRefused,
    InvalidInput,
    LoginRefused,
    OneTimeTokenRefused,
    Throttled,
    WrongPassword,
)
from identity.domain.events import PasswordChanged, PasswordReset
from identity.domain.names import EmailAddress
from identity.domain.secrets import Secret
from identity.domain.tokens import TokenPair
from identity.domain.user import User, user_reference

BLANK = "This field may not be blank."
SYNTAX = "Enter a valid email address."
OTHER_PASSWORD = Secret("newpassword123")
TICK = timedelta(microseconds=1)

UNACCEPTABLE = [
    ("", (BLANK,)),
    ("short", ("This password is too short. It must contain at least 8 characters.",)),
    (COMMON_PASSWORD.reveal(), ("This password is too common.",)),
    ("7410963258", ("This password is entirely numeric.",)),
    ("with\0null", ("Null characters are not allowed.",)),
    ("x" * 257, ("Ensure this field has no more than 256 characters.",)),
    (
        "my-alice-password",
        (
            "The password is too similar to the username.",
            "The password is too similar to the email address.",
        ),
    ),
]


@pytest.fixture
async def alice(world: World) -> User:
    return await world.registered("alice")


@pytest.fixture
async def pair(world: World, alice: User) -> TokenPair:
    return await world.logged_in("alice")


async def works(world: World, password: Secret, username: str = "alice") -> bool:
    try:
        await world.logged_in(username, password)
    except LoginRefused:
        return False
    return True


class TestChangingAPassword:
    async def test_the_new_one_works_from_then_on_and_the_old_one_does_not(
        self, world: World, pair: TokenPair
    ) -> None:
        await world.changed(pair)
        assert await works(world, NEW_PASSWORD)
        assert not await works(world, PASSWORD)

    async def test_this_session_goes_on_and_all_others_of_the_account_end(
        self, world: World, pair: TokenPair
    ) -> None:
        await world.registered("bob")
        others = [await world.logged_in("alice") for _ in range(3)]
        bobs = await world.logged_in("bob")
        await world.changed(pair)
        await world.principal(pair)
        await world.refreshed(pair)
        assert [await world.is_live(other) for other in others] == [False] * 3
        assert await world.is_live(bobs)

    async def test_the_links_of_earlier_reset_mails_are_void(self, world: World, pair: TokenPair) -> None:
        links = [await world.reset_link() for _ in range(2)]
        await world.changed(pair)
        for link in links:
            with pytest.raises(OneTimeTokenRefused):
                await world.reset_password(**link.with_password(OTHER_PASSWORD))
        assert await works(world, NEW_PASSWORD)

    async def test_the_links_of_another_account_are_not(self, world: World, pair: TokenPair) -> None:
        await world.registered("bob")
        link = await world.reset_link("bob@example.com")
        await world.changed(pair)
        await world.reset_password(**link.with_password(OTHER_PASSWORD))

    async def test_the_owner_gets_a_mail(self, world: World, pair: TokenPair, alice: User) -> None:
        await world.changed(pair)
        (message,) = await world.delivered()
        assert message.to == alice.email
        assert BROWSER.address in message.text

    async def test_the_audit_log_tells_who_what_when_and_where(
        self, world: World, pair: TokenPair, alice: User
    ) -> None:
        await world.changed(pair)
        session_id = (await world.claims(pair.refresh)).session_id
        assert world.storage.events[-1] == PasswordChanged(
            at=world.clock.now(), user_id=alice.id, session_id=session_id, client=BROWSER
        )

    async def test_the_account_knows_since_when(self, world: World, pair: TokenPair, alice: User) -> None:
        world.clock.advance(timedelta(minutes=2))
        await world.changed(pair)
        stored = await world.stored_user()
        assert stored.password_changed_at == world.clock.now()
        assert stored.joined_at == alice.joined_at
        assert stored.last_login_at == alice.joined_at

    async def test_it_may_be_changed_again_and_back(self, world: World, pair: TokenPair) -> None:
        await world.changed(pair)
        await world.changed(pair, old=NEW_PASSWORD, new=PASSWORD)
        assert await works(world, PASSWORD)


class TestAChangeIsRefused:
    async def _refusal(
        self, world: World, pair: TokenPair, old: Secret = PASSWORD, new: Secret = NEW_PASSWORD
    ) -> Exception:
        before = world.besides_the_log()
        with pytest.raises((WrongPassword, InvalidInput, AccessTokenRefused)) as refusal:
            await world.changed(pair, old, new)
        assert world.besides_the_log() == before
        return refusal.value

    @pytest.mark.parametrize(
        "old", ["not the password", "yourpassword123 ", "YOURPASSWORD123", "x" * 1025, "x" * 1_000_000]
    )
    async def test_with_another_old_password(self, old: str, world: World, pair: TokenPair) -> None:
        assert type(await self._refusal(world, pair, old=Secret(old))) is WrongPassword

    async def test_with_none(self, world: World, pair: TokenPair) -> None:
        refusal = await self._refusal(world, pair, old=Secret(""))
        assert isinstance(refusal, InvalidInput)
        assert refusal.fields == {"old_password": (BLANK,)}

    @pytest.mark.parametrize(("new", "messages"), UNACCEPTABLE)
    async def test_with_a_new_password_that_is_not_acceptable(
        self, new: str, messages: tuple[str, ...], world: World, pair: TokenPair
    ) -> None:
        refusal = await self._refusal(world, pair, new=Secret(new))
        assert isinstance(refusal, InvalidInput)
        assert refusal.fields == {"new_password": messages}

    async def test_for_an_account_that_was_disabled_after_it_was_authenticated(
        self, world: World, pair: TokenPair, alice: User
    ) -> None:
        principal = await world.principal(pair)
        await world.disable(alice)
        with pytest.raises(AccessTokenRefused):
            await world.change_password(principal=principal, old_password=PASSWORD, new_password=NEW_PASSWORD)

    async def test_for_a_session_that_ended_after_it_was_authenticated(
        self, world: World, pair: TokenPair
    ) -> None:
        principal = await world.principal(pair)
        await world.log_out(refresh=pair.refresh)
        with pytest.raises(AccessTokenRefused):
            await world.change_password(principal=principal, old_password=PASSWORD, new_password=NEW_PASSWORD)
        assert await works(world, PASSWORD)

    async def test_for_a_session_that_ends_while_the_password_is_hashed(
        self, world: World, pair: TokenPair
    ) -> None:
        at_the_end = []

        async def log_out() -> None:
            await world.log_out(refresh=pair.refresh)
            at_the_end.append(world.state())

        world.hasher.while_hashing = log_out
        with pytest.raises(AccessTokenRefused):
            await world.changed(pair)
        assert at_the_end == [world.state()]
        assert await works(world, PASSWORD)

    @pytest.mark.parametrize("lifetime", [IDLE, SESSION_LIFETIME])
    async def test_for_a_session_that_has_expired_after_it_was_authenticated(
        self, lifetime: timedelta, world: World, pair: TokenPair
    ) -> None:
        principal = await world.principal(pair)
        before = world.state()
        world.clock.advance(lifetime)
        with pytest.raises(AccessTokenRefused):
            await world.change_password(principal=principal, old_password=PASSWORD, new_password=NEW_PASSWORD)
        assert world.state() == before

    async def test_for_a_session_that_expires_while_the_password_is_hashed(
        self, world: World, pair: TokenPair
    ) -> None:
        async def takes_long() -> None:
            world.clock.advance(IDLE)

        before = world.state()
        world.hasher.while_hashing = takes_long
        with pytest.raises(AccessTokenRefused):
            await world.changed(pair)
        assert world.state() == before

    async def test_with_the_reasons_of_both_passwords_at_once(self, world: World, pair: TokenPair) -> None:
        refusal = await self._refusal(world, pair, old=Secret(""), new=COMMON_PASSWORD)
        assert isinstance(refusal, InvalidInput)
        assert refusal.fields == {"old_password": (BLANK,), "new_password": ("This password is too common.",)}

    async def test_for_a_session_that_another_change_ended_meanwhile(
        self, world: World, pair: TokenPair
    ) -> None:
        other = await world.logged_in("alice")
        world.hasher.while_verifying = lambda: world.changed(other, new=OTHER_PASSWORD)
        with pytest.raises(AccessTokenRefused):
            await world.changed(pair)
        assert await works(world, OTHER_PASSWORD)

    async def test_and_an_account_that_is_disabled_meanwhile_stays_so(
        self, world: World, pair: TokenPair, alice: User
    ) -> None:
        world.hasher.while_verifying = lambda: world.disable(alice)
        with pytest.raises(AccessTokenRefused):
            await world.changed(pair)
        assert (await world.stored_user()).is_disabled

    @pytest.mark.parametrize("old", ["x" * 1025, "x" * 1_000_000])
    async def test_a_huge_old_password_costs_no_hash(self, old: str, world: World, pair: TokenPair) -> None:
        world.tap.forget()
        await self._refusal(world, pair, old=Secret(old))
        assert not any(call.startswith("hasher") for call in world.tap.calls)


class TestTwoChangesAtOnce:
    async def test_the_second_is_refused_for_its_old_password_is_gone(
        self, world: World, pair: TokenPair
    ) -> None:
        world.hasher.while_verifying = lambda: world.changed(pair, new=OTHER_PASSWORD)
        with pytest.raises(WrongPassword):
            await world.changed(pair, new=NEW_PASSWORD)
        assert await works(world, OTHER_PASSWORD)
        assert world.happened.count("PasswordChanged") == 1

    async def test_of_many_one_takes_effect(self, world: World, pair: TokenPair) -> None:
        passwords = [Secret(f"another password {number}") for number in range(10)]
        answers = await asyncio.gather(
            *(world.changed(pair, new=password) for password in passwords), return_exceptions=True
        )
        refusals = [answer for answer in answers if answer is not None]
        assert len(refusals) == 9
        assert {type(refusal) for refusal in refusals} <= {WrongPassword, Throttled}
        in_force = (await world.stored_user()).password_hash
        assert [await world.hasher.verify(password, in_force) for password in passwords].count(True) == 1
        assert world.happened.count("PasswordChanged") == 1

    async def test_a_change_beside_a_reset_leaves_exactly_one_password(
        self, world: World, pair: TokenPair
    ) -> None:
        link = await world.reset_link()
        answers = await asyncio.gather(
            world.changed(pair, new=NEW_PASSWORD),
            world.reset_password(**link.with_password(OTHER_PASSWORD)),
            return_exceptions=True,
        )
        assert answers.count(None) == 1
        assert [await works(world, password) for password in (NEW_PASSWORD, OTHER_PASSWORD)].count(True) == 1
        assert not await works(world, PASSWORD)

    async def test_a_login_meanwhile_does_not_stand_in_the_way(self, world: World, pair: TokenPair) -> None:
        world.hasher.while_verifying = lambda: world.logged_in("alice")
        await world.changed(pair)
        assert (await world.stored_user()).last_login_at == world.clock.now()
        assert await works(world, NEW_PASSWORD)


class TestAskingForAReset:
    async def test_writes_one_intent_that_names_the_address_and_holds_no_secret(
        self, world: World, alice: User
    ) -> None:
        await world.request_reset(email=" Alice@Example.com ")
        (intent,) = world.storage.intents
        assert intent == MailIntent(
            id=intent.id,
            kind=MailKind.PASSWORD_RESET,
            created_at=world.clock.now(),
            email_key="alice@example.com",
        )

    async def test_the_intent_and_so_the_mail_are_in_the_language_that_was_asked_in(
        self, world: World, alice: User
    ) -> None:
        await world.request_reset(email="alice@example.com", language="de")
        (intent,) = world.storage.intents
        assert intent.values == {"language": "de"}
        (message,) = await world.delivered()
        assert message.subject == "Passwort für Identity zurücksetzen"

    async def test_is_blind_the_port_calls_are_the_same_for_an_address_that_is_nobodys(
        self, world: World, alice: User
    ) -> None:
        """Law 8. fastapi-users took 226 ms for a known address and 2 ms for an unknown one."""
        await world.disable(await world.registered("carol"))
        calls = set()
        for email in ("alice@example.com", "nobody@example.com", "carol@example.com"):
            world.tap.forget()
            await world.request_reset(email=email)
            calls.add(tuple(world.tap.calls))
        assert calls == {
            (
                *("clock.now", "randomness.identifier", "begin", "users.with_email"),
                *("audit_log.append", "outbox.put", "commit"),
            )
        }

    async def test_and_so_is_what_is_stored(self, world: World, alice: User) -> None:
        await world.request_reset(email="alice@example.com")
        await world.request_reset(email="nobody@example.com")
        known, unknown = world.storage.intents
        assert dataclasses.replace(known, id="", email_key="") == dataclasses.replace(
            unknown, id="", email_key=""
        )
        assert world.happened == ["UserRegistered", "ResetRequested", "ResetRequested"]

    async def test_fifty_times_at_once_makes_one_mail(self, world: World, alice: User) -> None:
        addresses = ["alice@example.com", "ALICE@example.com"] * 25
        await asyncio.gather(*(world.request_reset(email=address) for address in addresses))
        assert len(await world.delivered()) == 1

    async def test_for_two_addresses_makes_two(self, world: World, alice: User) -> None:
        await world.registered("bob")
        for _ in range(3):
            await world.request_reset(email="alice@example.com")
            await world.request_reset(email="bob@example.com")
        assert sorted(str(mail.to) for mail in await world.delivered()) == [
            "alice@example.com",
            "bob@example.com",
        ]

    async def test_ends_no_session_and_spoils_no_password(self, world: World, pair: TokenPair) -> None:
        await world.reset_link()
        assert await world.is_live(pair)
        assert await works(world, PASSWORD)

    @pytest.mark.parametrize(
        ("email", "message"),
        [
            ("", BLANK),
            ("alice", SYNTAX),
            ("alice@example.com,mallory@example.com", SYNTAX),
            ("alice@example.com mallory@example.com", SYNTAX),
            ("alice@example.com\nBcc: mallory@example.com", "Null characters are not allowed."),
            ('["alice@example.com", "mallory@example.com"]', SYNTAX),
        ],
    )
    async def test_what_is_not_one_address_is_refused_and_no_mail_is_sent(
        self, email: str, message: str, world: World, alice: User
    ) -> None:
        """GitLab mailed a reset link to an attacker's second address in a list (CVE-2023-7028)."""
        with pytest.raises(InvalidInput) as refusal:
            await world.request_reset(email=email)
        assert refusal.value.fields == {"email": (message,)}
        assert world.waiting == []


class TestWhereTheMailGoes:
    async def test_to_the_address_that_is_stored_not_to_the_one_that_was_typed(self, world: World) -> None:
        await world.registered("kate", "Kate@example.com")
        await world.request_reset(email="\u212aATE@EXAMPLE.COM")  # with a Kelvin sign
        (message,) = await world.delivered()
        assert message.to == EmailAddress("Kate@example.com")

    @pytest.mark.parametrize("lookalike", ["mıke@example.com", "mİke@example.com", "mike@exampIe.com"])
    async def test_never_for_an_address_that_only_looks_like_it(self, lookalike: str, world: World) -> None:
        """Django (CVE-2019-19844) and MariaDB's collations took such addresses for one."""
        await world.registered("mike")
        await world.request_reset(email=lookalike)
        assert await world.delivered() == []

    async def test_to_nobody_for_an_address_that_is_nobodys(self, world: World, alice: User) -> None:
        await world.request_reset(email="nobody@example.com")
        assert await world.delivered() == []
        assert world.waiting == []

    async def test_to_nobody_whose_account_is_disabled(self, world: World, alice: User) -> None:
        await world.request_reset(email="alice@example.com")
        await world.disable(alice)
        assert await world.delivered() == []

    async def test_never_to_whoever_has_the_address_for_a_username(self, world: World) -> None:
        user = await world.registered("alice@example.com", "alice@example.com")
        async with world.storage.begin() as uow:
            await uow.users.save(dataclasses.replace(user, email=EmailAddress("elsewhere@example.com")))
        await world.request_reset(email="alice@example.com")
        assert await world.delivered() == []


class TestResettingAPassword:
    @pytest.fixture
    async def link(self, world: World, alice: User) -> ResetLink:
        return await world.reset_link()

    async def test_the_new_one_works_from_then_on_and_the_old_one_does_not(
        self, world: World, link: ResetLink
    ) -> None:
        await world.reset_password(**link.with_password(NEW_PASSWORD))
        assert await works(world, NEW_PASSWORD)
        assert not await works(world, PASSWORD)

    async def test_the_old_one_is_not_asked(self, world: World, link: ResetLink) -> None:
        world.tap.forget()
        await world.reset_password(**link.with_password(NEW_PASSWORD))
        assert "hasher.verify" not in world.tap.calls

    async def test_the_link_names_the_account_as_the_original_did(self, link: ResetLink, alice: User) -> None:
        assert link.uidb64 == user_reference(alice.id)
        assert len(link.token) == 43

    async def test_all_sessions_of_the_account_end(self, world: World, link: ResetLink) -> None:
        await world.registered("bob")
        pairs = [await world.logged_in("alice") for _ in range(3)]
        bobs = await world.logged_in("bob")
        await world.reset_password(**link.with_password(NEW_PASSWORD))
        assert [await world.is_live(pair) for pair in pairs] == [False] * 3
        assert await world.is_live(bobs)

    async def test_the_owner_gets_a_mail(self, world: World, link: ResetLink, alice: User) -> None:
        await world.reset_password(**link.with_password(NEW_PASSWORD), client=BROWSER)
        assert world.waiting == ["password_changed"]
        (message,) = await world.delivered()
        assert message.to == alice.email
        assert BROWSER.address in message.text

    async def test_the_audit_log_tells_who_what_when_and_where(
        self, world: World, link: ResetLink, alice: User
    ) -> None:
        await world.reset_password(**link.with_password(NEW_PASSWORD), client=BROWSER)
        assert world.storage.events[-1] == PasswordReset(
            at=world.clock.now(), user_id=alice.id, client=BROWSER
        )

    async def test_the_link_works_until_it_expires(self, world: World, link: ResetLink) -> None:
        world.clock.advance(RESET_LIFETIME - TICK)
        await world.reset_password(**link.with_password(NEW_PASSWORD))

    async def test_a_password_that_is_not_acceptable_does_not_spend_the_token(
        self, world: World, link: ResetLink
    ) -> None:
        before = world.state()
        world.tap.forget()
        for password, messages in UNACCEPTABLE:
            with pytest.raises(InvalidInput) as refusal:
                await world.reset_password(**link.with_password(Secret(password)))
            assert refusal.value.fields == {"password": messages}
        assert world.state() == before
        assert "hasher.hash" not in world.tap.calls
        await world.reset_password(**link.with_password(NEW_PASSWORD))

    async def test_any_of_several_links_works_and_spoils_the_others(
        self, world: World, link: ResetLink
    ) -> None:
        second, third = await world.reset_link(), await world.reset_link()
        await world.reset_password(**second.with_password(NEW_PASSWORD))
        for spoilt in (link, third):
            with pytest.raises(OneTimeTokenRefused):
                await world.reset_password(**spoilt.with_password(OTHER_PASSWORD))

    async def test_of_fifty_at_once_one_takes_effect(self, world: World, link: ResetLink) -> None:
        passwords = [Secret(f"another password {number}") for number in range(50)]
        answers = await asyncio.gather(
            *(world.reset_password(**link.with_password(password)) for password in passwords),
            return_exceptions=True,
        )
        assert answers.count(None) == 1
        assert {type(answer) for answer in answers if answer is not None} == {OneTimeTokenRefused}
        assert await works(world, passwords[answers.index(None)])
        assert world.happened.count("PasswordReset") == 1


class TestAResetIsRefused:
    @pytest.fixture
    async def link(self, world: World, alice: User) -> ResetLink:
        return await world.reset_link()

    async def _assert_refused(
        self, world: World, uidb64: str, token: str, password: Secret = NEW_PASSWORD
    ) -> None:
        before = world.state()
        world.tap.forget()
        with pytest.raises(OneTimeTokenRefused) as refusal:
            await world.reset_password(uidb64=uidb64, token=Secret(token), password=password)
        assert refusal.value.args == ()
        assert world.state() == before
        assert not any(call.startswith(("hasher", "common_passwords")) for call in world.tap.calls)

    async def test_a_second_time(self, world: World, link: ResetLink) -> None:
        await world.reset_password(**link.with_password(NEW_PASSWORD))
        await self._assert_refused(world, link.uidb64, link.token)

    async def test_after_the_token_expired(self, world: World, link: ResetLink) -> None:
        world.clock.advance(RESET_LIFETIME)
        await self._assert_refused(world, link.uidb64, link.token)

    async def test_when_the_token_expires_while_the_password_is_hashed(
        self, world: World, link: ResetLink
    ) -> None:
        async def takes_an_hour() -> None:
            world.clock.advance(RESET_LIFETIME)

        world.hasher.while_hashing = takes_an_hour
        with pytest.raises(OneTimeTokenRefused):
            await world.reset_password(**link.with_password(NEW_PASSWORD))
        assert await works(world, PASSWORD)

    async def test_a_spent_token_does_not_come_back_when_the_clock_is_set_back(
        self, world: World, link: ResetLink
    ) -> None:
        world.clock.advance(timedelta(minutes=10))
        await world.reset_password(**link.with_password(NEW_PASSWORD))
        world.clock.advance(-timedelta(minutes=20))
        await self._assert_refused(world, link.uidb64, link.token)

    async def test_with_the_token_of_another_account(self, world: World, link: ResetLink) -> None:
        bob = await world.registered("bob")
        bobs = await world.reset_link("bob@example.com")
        await self._assert_refused(world, link.uidb64, bobs.token)
        await self._assert_refused(world, user_reference(bob.id), link.token)
        await world.reset_password(**link.with_password(NEW_PASSWORD))

    @pytest.mark.parametrize(
        "uidb64",
        ["", "MQ==", "1", "Mg", "\0", "\ud800", "../MQ", "MQ\n", "x" * 10_000, "OTk5OTk5OTk5OTk5OTk5OTk5OQ"],
    )
    async def test_with_a_reference_that_is_hostile_or_nobodys(
        self, uidb64: str, world: World, link: ResetLink
    ) -> None:
        assert link.uidb64 == "MQ"
        await self._assert_refused(world, uidb64, link.token)

    @pytest.mark.parametrize(
        "change",
        [
            str.upper,
            str.swapcase,
            lambda token: token[:-1],
            lambda token: token + "A",
            lambda token: token + "=",
            lambda token: " " + token,
            lambda token: "",
            lambda token: "\ud800",
            lambda token: "x" * 1_000_000,
        ],
    )
    async def test_with_another_token(self, change, world: World, link: ResetLink) -> None:
        await self._assert_refused(world, link.uidb64, change(link.token))

    @pytest.mark.parametrize("password", ["", "1", "x" * 1_000_000])
    async def test_before_the_password_is_judged_and_at_the_cost_of_no_hash(
        self, password: str, world: World, link: ResetLink
    ) -> None:
        await self._assert_refused(world, link.uidb64, "wrong", Secret(password))

    async def test_for_an_account_that_is_disabled(self, world: World, link: ResetLink, alice: User) -> None:
        await world.disable(alice)
        await self._assert_refused(world, link.uidb64, link.token)

    async def test_for_an_account_that_is_disabled_meanwhile(
        self, world: World, link: ResetLink, alice: User
    ) -> None:
        world.hasher.while_hashing = lambda: world.disable(alice)
        with pytest.raises(OneTimeTokenRefused):
            await world.reset_password(**link.with_password(NEW_PASSWORD))
        assert world.happened == ["UserRegistered", "ResetRequested"]

    async def test_when_the_address_it_was_mailed_to_is_not_the_accounts_any_more(
        self, world: World, link: ResetLink, alice: User
    ) -> None:
        async with world.storage.begin() as uow:
            await uow.users.save(dataclasses.replace(alice, email=EmailAddress("new@example.com")))
        await self._assert_refused(world, link.uidb64, link.token)

    async def test_when_the_password_was_changed_meanwhile(self, world: World, pair: TokenPair) -> None:
        link = await world.reset_link()
        world.hasher.while_hashing = lambda: world.changed(pair, new=OTHER_PASSWORD)
        with pytest.raises(OneTimeTokenRefused):
            await world.reset_password(**link.with_password(NEW_PASSWORD))
        assert await works(world, OTHER_PASSWORD)
