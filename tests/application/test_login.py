"""Beginning a session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.application.world import (
    BROWSER,
    NEW_PASSWORD,
    PASSWORD,
    SESSION_LIFETIME,
    WRONG_PASSWORD,
    World,
)

from identity.adapters.memory import PlainHasher
from identity.application.mail import MailKind
from identity.application.sessions import MOST_DEVICES
from identity.domain.errors import Conflict, InvalidInput, LoginRefused
from identity.domain.events import LoggedIn
from identity.domain.names import EmailAddress
from identity.domain.password_policy import is_oversized
from identity.domain.secrets import PasswordHash, Secret
from identity.domain.session import UNKNOWN_CLIENT, Client
from identity.domain.tokens import TokenKind, TokenPair

BLANK = "This field may not be blank."


async def is_refused(world: World, username: str, password: Secret = PASSWORD) -> bool:
    """And if so, changes nothing, and leaves its trace."""
    before, traces = world.besides_the_log(), world.happened
    try:
        await world.log_in(username=username, password=password)
    except LoginRefused:
        assert world.besides_the_log() == before
        assert world.happened == [*traces, *([] if is_oversized(password) else ["LoginRefused"])]
        return True
    return False


class TestWhoCanLogIn:
    @pytest.mark.parametrize("username", ["Alice", "alice", "ALICE", "ａｌｉｃｅ", " alice\n"])
    async def test_an_account_by_its_username_in_any_case_or_width(self, username: str, world: World) -> None:
        await world.registered("Alice")
        await world.logged_in(username)

    @pytest.mark.parametrize("email", ["Alice@Example.com", "alice@example.com", " ALICE@EXAMPLE.COM "])
    async def test_an_account_by_its_address_in_any_case(self, email: str, world: World) -> None:
        await world.registered("somebody", "Alice@Example.com")
        await world.logged_in(email)

    async def test_nobody_by_another_name(self, world: World) -> None:
        await world.registered("mike")
        for username in (
            "mıke",
            "mike@example.com.",
            "mıke@example.com",
            "mik",
            "mike@",
            "1",
            "*",
            "' OR 1=1",
        ):
            assert await is_refused(world, username)

    async def test_a_text_with_an_at_sign_is_looked_up_as_an_address_only(self, world: World) -> None:
        """Otherwise whoever takes an address for a username stands in front of its owner."""
        await world.registered("mallory@example.com", "mallory@example.com")
        mallory = await world.stored_user("mallory@example.com")
        async with world.storage.begin() as uow:  # as a change of address may leave it
            await uow.users.save(replace(mallory, email=EmailAddress("elsewhere@example.com")))
        assert await is_refused(world, "mallory@example.com")
        world.tap.forget()
        assert await is_refused(world, "not an address@")
        assert "users.with_username" not in world.tap.calls

    @pytest.mark.parametrize(
        "password",
        [
            "yourpassword12",
            "yourpassword1234",
            "Yourpassword123",
            "yourpassword123 ",
            " yourpassword123",
            "x" * 5000,
        ],
    )
    async def test_nobody_with_another_password(self, password: str, world: World) -> None:
        await world.registered()
        assert await is_refused(world, "alice", Secret(password))

    async def test_a_password_counts_exactly_as_it_was_typed(self, world: World) -> None:
        spaced = Secret("  correct  horse ")
        await world.register_user(username="alice", email="alice@example.com", password=spaced)
        await world.logged_in("alice", spaced)
        assert await is_refused(world, "alice", Secret("correct  horse"))

    async def test_nobody_whose_account_is_disabled(self, world: World) -> None:
        await world.disable(await world.registered())
        assert await is_refused(world, "alice")
        assert await is_refused(world, "alice@example.com")

    async def test_blank_fields_are_named(self, world: World) -> None:
        for username, password, fields in (
            ("", "", {"username": (BLANK,), "password": (BLANK,)}),
            (" \t", "x", {"username": (BLANK,)}),
            ("alice", "", {"password": (BLANK,)}),
        ):
            with pytest.raises(InvalidInput) as refusal:
                await world.log_in(username=username, password=Secret(password))
            assert refusal.value.fields == fields

    @pytest.mark.parametrize("password", ["x" * 1025, "😀" * 257, "x" * 1_000_000])
    async def test_a_huge_password_costs_no_hash(self, password: str, world: World) -> None:
        await world.registered()
        world.tap.forget()
        assert await is_refused(world, "alice", Secret(password))
        assert await is_refused(world, "nobody", Secret(password))
        assert world.tap.calls == []


class TestASessionBegins:
    async def test_with_a_pair_of_tokens_that_work(self, world: World) -> None:
        user = await world.registered()
        pair = await world.logged_in()
        assert (await world.principal(pair)).user.id == user.id
        await world.refreshed(pair)

    async def test_whose_tokens_say_whose_they_are_and_how_long(self, world: World) -> None:
        user = await world.registered()
        pair = await world.logged_in()
        access, refresh = await world.claims(pair.access), await world.claims(pair.refresh)
        assert (access.kind, refresh.kind) == (TokenKind.ACCESS, TokenKind.REFRESH)
        assert access.user_id == refresh.user_id == user.id
        assert access.session_id == refresh.session_id
        assert access.jti != refresh.jti
        assert access.issued_at == refresh.issued_at == world.clock.now()
        assert access.expires_at == world.clock.now() + timedelta(minutes=5)
        assert refresh.expires_at == world.clock.now() + timedelta(days=30)

    async def test_that_remembers_the_client(self, world: World) -> None:
        await world.registered()
        session = (await world.principal(await world.logged_in())).session
        assert session.client == BROWSER
        assert session.created_at == session.last_used_at == world.clock.now()
        assert session.expires_at == world.clock.now() + SESSION_LIFETIME

    async def test_and_the_audit_log_tells_who_what_when_and_where(self, world: World) -> None:
        user = await world.registered()
        session = (await world.principal(await world.logged_in())).session
        assert world.storage.events[-1] == LoggedIn(
            at=world.clock.now(), user_id=user.id, session_id=session.id, client=BROWSER
        )

    async def test_and_the_account_notes_when_without_counting_as_changed(self, world: World) -> None:
        user = await world.registered()
        world.clock.advance(timedelta(days=1))
        await world.logged_in()
        stored = await world.stored_user()
        assert stored.last_login_at == world.clock.now()
        assert stored.version == user.version
        assert stored.password_hash == user.password_hash

    async def test_and_no_id_is_ever_used_twice(self, world: World) -> None:
        await world.registered()
        pairs = []
        for _ in range(3):
            pairs.append(await world.logged_in())
            pairs.append(await world.refreshed(pairs[-1]))
        claims = [await world.claims(token) for pair in pairs for token in (pair.access, pair.refresh)]
        assert len({each.session_id for each in claims}) == 3
        assert len({each.jti for each in claims}) == 12

    async def test_each_its_own(self, world: World) -> None:
        await world.registered()
        first, second = await world.logged_in(), await world.logged_in()
        await world.log_out(refresh=first.refresh)
        assert not await world.is_live(first)
        assert await world.is_live(second)


class TestAtMostFiftySessions:
    async def test_the_51st_ends_the_oldest_and_no_other(self, world: World) -> None:
        await world.registered("alice")
        await world.registered("bob")
        others = await world.logged_in("bob")
        pairs = []
        for _ in range(51):
            world.clock.advance(timedelta(seconds=1))
            pairs.append(await world.logged_in("alice"))
        assert [await world.is_live(pair) for pair in pairs] == [False] + [True] * 50
        assert await world.is_live(others)

    async def test_the_oldest_is_the_one_that_began_first_however_lately_it_was_used(
        self, new_world: Callable[..., World]
    ) -> None:
        world = new_world(sessions_per_account=2)
        await world.registered()
        pairs = []
        for _ in range(3):
            if pairs:
                await world.refreshed(pairs[0])
            world.clock.advance(timedelta(minutes=1))
            pairs.append(await world.logged_in())
        assert [await world.is_live(pair) for pair in pairs] == [False, True, True]

    async def test_sessions_that_are_over_do_not_count(self, new_world: Callable[..., World]) -> None:
        world = new_world(sessions_per_account=2)
        await world.registered()
        kept = await world.logged_in()
        for _ in range(5):
            world.clock.advance(timedelta(seconds=1))
            await world.log_out(refresh=(await world.logged_in()).refresh)
        await world.logged_in()
        assert await world.is_live(kept)

    async def test_nor_when_they_begin_at_once(self, new_world: Callable[..., World]) -> None:
        world = new_world(sessions_per_account=3)
        await world.registered()
        pairs = await asyncio.gather(*(world.logged_in() for _ in range(10)))
        assert sum([await world.is_live(pair) for pair in pairs]) == 3


class TestAHashThatIsOutOfDate:
    async def test_is_replaced_by_a_login(self, world: World) -> None:
        old = (await world.registered()).password_hash
        world.hasher.today = PlainHasher(cost=2)
        await world.logged_in()
        new = (await world.stored_user()).password_hash
        assert world.hasher.needs_rehash(old)
        assert not world.hasher.needs_rehash(new)
        world.tap.forget()
        await world.logged_in()
        assert "hasher.hash" not in world.tap.calls

    async def test_and_never_by_a_failure(self, world: World) -> None:
        user = await world.registered()
        world.hasher.today = PlainHasher(cost=2)
        world.tap.forget()
        assert await is_refused(world, "alice", WRONG_PASSWORD)
        await world.disable(user)
        assert await is_refused(world, "alice", PASSWORD)
        assert (await world.stored_user()).password_hash == user.password_hash
        assert "hasher.hash" not in world.tap.calls

    async def test_which_leaves_the_other_sessions_and_the_date_of_the_password_alone(
        self, world: World
    ) -> None:
        user = await world.registered()
        pair = await world.logged_in()
        world.clock.advance(timedelta(hours=1))
        world.hasher.today = PlainHasher(cost=2)
        await world.logged_in()
        assert await world.is_live(pair)
        assert (await world.stored_user()).password_changed_at == user.password_changed_at

    async def test_by_several_logins_at_once_which_all_succeed(self, world: World) -> None:
        await world.registered()
        world.hasher.today = PlainHasher(cost=2)
        pairs = await asyncio.gather(*(world.logged_in() for _ in range(8)))
        assert all([await world.is_live(pair) for pair in pairs])


class TestAnAccountThatChangesDuringALogin:
    async def test_no_session_is_born_of_a_password_that_is_gone(self, world: World) -> None:
        await world.registered()
        owner = await world.logged_in()
        world.hasher.while_verifying = lambda: world.changed(owner)
        # The hash that is verified is the old one; the new one is committed before the session would be.
        with pytest.raises(LoginRefused):
            await world.logged_in("alice", PASSWORD)
        assert world.happened == ["UserRegistered", "LoggedIn", "PasswordChanged", "LoginRefused"]
        await world.logged_in("alice", NEW_PASSWORD)

    async def test_nor_of_one_that_was_reset(self, world: World) -> None:
        await world.registered()
        link = await world.reset_link()
        world.hasher.while_verifying = lambda: world.reset_password(**link.with_password(NEW_PASSWORD))
        with pytest.raises(LoginRefused):
            await world.logged_in("alice", PASSWORD)
        assert world.happened == ["UserRegistered", "ResetRequested", "PasswordReset", "LoginRefused"]

    async def test_nor_for_an_account_that_was_disabled(self, world: World) -> None:
        user = await world.registered()
        world.hasher.while_verifying = lambda: world.disable(user)
        with pytest.raises(LoginRefused):
            await world.logged_in()
        assert world.happened == ["UserRegistered", "LoginRefused"]

    async def test_a_rehash_does_not_bring_the_old_password_back(self, world: World) -> None:
        await world.registered()
        world.hasher.today = PlainHasher(cost=2)
        link = await world.reset_link()
        # The old hash was verified and is out of date; while it is renewed, the password is reset.
        world.hasher.while_hashing = lambda: world.reset_password(**link.with_password(NEW_PASSWORD))
        with pytest.raises(LoginRefused):
            await world.logged_in("alice", PASSWORD)
        await world.logged_in("alice", NEW_PASSWORD)

    async def test_a_login_with_the_new_password_is_not_refused_for_the_change(self, world: World) -> None:
        await world.registered()
        owner = await world.logged_in()
        world.hasher.while_verifying = lambda: world.changed(owner, new=PASSWORD)
        assert await world.is_live(await world.logged_in("alice", PASSWORD))

    async def test_an_account_that_never_stands_still_is_answered_with_a_conflict(self, world: World) -> None:
        await world.registered()

        async def changes_again() -> None:
            user = await world.stored_user()
            same_password = PasswordHash("another salt" + user.password_hash)
            async with world.storage.begin() as uow:
                await uow.users.save(user.with_password(same_password, at=world.clock.now()))
            world.hasher.while_verifying = changes_again

        world.hasher.while_verifying = changes_again
        with pytest.raises(Conflict):
            await world.logged_in()
        assert world.happened == ["UserRegistered"]


JUDGED_AND_COUNTED = (
    "clock.now",
    "limiter.recall",
    "lane.deadline",
    "lane.turn",
    "clock.now",
    "limiter.reserve",
    "hasher.verify",
    "clock.now",
    "limiter.fail",
    "clock.now",
    "begin",
    "audit_log.append",
    "commit",
)


class TestUnknownWrongAndDisabledAreOne:
    async def test_their_port_calls_are_the_same_in_the_same_order(self, world: World) -> None:
        """Law 8. Whoever does more for one of them tells it by time (Django, CVE-2024-39329)."""
        await world.registered("alice")
        await world.disable(await world.registered("carol"))
        attempts = {
            "unknown": ("nobody", PASSWORD),
            "wrong": ("alice", WRONG_PASSWORD),
            "disabled": ("carol", PASSWORD),
            "disabled and wrong": ("carol", WRONG_PASSWORD),
        }
        calls = {}
        for name, (username, password) in attempts.items():
            world.tap.forget()
            assert await is_refused(world, username, password)
            calls[name] = tuple(world.tap.calls)
        assert set(calls.values()) == {("read", "users.with_username", *JUDGED_AND_COUNTED)}

    async def test_also_by_address(self, world: World) -> None:
        await world.registered("alice")
        await world.disable(await world.registered("carol"))
        calls = set()
        for username in ("nobody@example.com", "alice@example.com", "carol@example.com"):
            world.tap.forget()
            assert await is_refused(world, username, WRONG_PASSWORD)
            calls.add(tuple(world.tap.calls))
        assert calls == {("read", "users.with_email", *JUDGED_AND_COUNTED)}

    async def test_a_name_that_nobody_can_have_costs_a_hash_all_the_same(self, world: World) -> None:
        for username in ("not a name", "not an address@", "\0", "x" * 10_000):
            world.tap.forget()
            assert await is_refused(world, username)
            assert world.tap.calls.count("hasher.verify") == 1

    async def test_their_refusals_say_the_same(self, world: World) -> None:
        await world.registered("alice")
        await world.disable(await world.registered("carol"))
        said = set()
        for username, password in (("nobody", PASSWORD), ("alice", WRONG_PASSWORD), ("carol", PASSWORD)):
            with pytest.raises(LoginRefused) as refusal:
                await world.log_in(username=username, password=password)
            said.add((type(refusal.value), refusal.value.args, repr(vars(refusal.value))))
        assert len(said) == 1


SAME_NETWORK = replace(BROWSER, address="192.0.2.200")
OTHER_NETWORK = replace(BROWSER, address="203.0.113.9")
UPDATED = replace(BROWSER, user_agent=BROWSER.user_agent.replace("140.0", "141.0.2"))
OTHER_BROWSER = replace(BROWSER, user_agent="Mozilla/5.0 (Macintosh) Version/18.0 Safari/605.1.15")
REMEMBERED = timedelta(days=90)


class TestALoginFromANewDevice:
    @pytest.fixture
    async def alice(self, world: World) -> World:
        """She has logged in once, with BROWSER."""
        await world.registered("alice")
        await world.logged_in("alice")
        return world

    async def log_in(self, world: World, client: Client) -> TokenPair:
        return await world.log_in(username="alice", password=PASSWORD, client=client)

    async def test_is_told_of_by_mail_with_its_time_and_place(self, alice: World) -> None:
        alice.clock.advance(timedelta(hours=1))
        await self.log_in(alice, OTHER_BROWSER)
        (intent,) = alice.storage.intents
        assert (intent.kind, intent.created_at) == (MailKind.NEW_DEVICE, alice.clock.now())
        (message,) = await alice.delivered()
        assert message.to.value == "alice@example.com"
        for detail in ("Safari on macOS", "192.0.2.7", "1 January 2026, 13:00 UTC"):
            assert detail in message.text

    async def test_is_another_browser_or_another_network_or_nothing_that_is_known(self, alice: World) -> None:
        for client in (OTHER_BROWSER, OTHER_NETWORK, UNKNOWN_CLIENT):
            await self.log_in(alice, client)
            assert len(await alice.delivered()) == 1
            await self.log_in(alice, client)
            assert alice.waiting == []

    async def test_is_neither_an_update_of_the_browser_nor_another_address_of_the_network(
        self, alice: World
    ) -> None:
        for client in (BROWSER, UPDATED, SAME_NETWORK):
            await self.log_in(alice, client)
        assert alice.waiting == []

    async def test_is_not_the_first_one_ever(self, world: World) -> None:
        """Its owner has just opened the account, and is waiting for no mail."""
        await world.registered("alice")
        world.clock.advance(timedelta(days=1000))
        await self.log_in(world, BROWSER)
        assert world.waiting == []
        await self.log_in(world, OTHER_BROWSER)
        assert world.waiting == ["new_device"]

    async def test_is_none_that_failed(self, alice: World) -> None:
        with pytest.raises(LoginRefused):
            await alice.log_in(username="alice", password=WRONG_PASSWORD, client=OTHER_BROWSER)
        assert alice.waiting == []
        await self.log_in(alice, OTHER_BROWSER)
        assert alice.waiting == ["new_device"]

    async def test_is_one_that_was_not_seen_for_90_days(self, alice: World) -> None:
        alice.clock.advance(REMEMBERED - timedelta(microseconds=1))
        await self.log_in(alice, BROWSER)
        alice.clock.advance(REMEMBERED - timedelta(microseconds=1))
        await self.log_in(alice, BROWSER)
        assert alice.waiting == []
        alice.clock.advance(REMEMBERED)
        await self.log_in(alice, BROWSER)
        assert alice.waiting == ["new_device"]

    async def test_whether_what_is_long_unseen_was_thrown_away_or_not(self, alice: World) -> None:
        alice.clock.advance(REMEMBERED + timedelta(microseconds=1))
        await alice.purge_expired()
        await self.log_in(alice, BROWSER)
        assert alice.waiting == ["new_device"]

    async def test_is_remembered_with_99_others_the_one_seen_longest_ago_is_forgotten(
        self, alice: World
    ) -> None:
        """The throttle lets one who knows the password log in as often as they like."""
        for number in range(MOST_DEVICES):
            alice.clock.advance(timedelta(seconds=1))
            await self.log_in(alice, Client(address=f"10.0.{number}.1"))
            assert len(alice.state().devices) == min(number + 2, MOST_DEVICES)
        await alice.delivered()
        await self.log_in(alice, Client(address="10.0.0.1"))
        assert alice.waiting == []
        await self.log_in(alice, BROWSER)
        assert alice.waiting == ["new_device"]

    async def test_is_told_of_five_times_a_day(self, alice: World) -> None:
        """Or whoever registers with somebody's address could bury them in mail."""
        for number in range(6):
            await self.log_in(alice, Client(address=f"10.0.{number}.1"))
            assert len(await alice.delivered()) == (1 if number < 5 else 0)
        alice.clock.advance(timedelta(days=1))
        await self.log_in(alice, OTHER_BROWSER)
        assert len(await alice.delivered()) == 1

    async def test_is_told_of_with_others_of_the_same_time_in_one_mail_that_says_where_to_find_them(
        self, alice: World
    ) -> None:
        for client in (OTHER_BROWSER, OTHER_NETWORK, UNKNOWN_CLIENT):
            await self.log_in(alice, client)
        (message,) = await alice.delivered()
        assert "This may not be the only one" in " ".join(message.text.split())

    async def test_is_one_for_each_account(self, alice: World) -> None:
        await alice.registered("bob")
        await alice.log_in(username="bob", password=PASSWORD, client=OTHER_BROWSER)
        assert alice.waiting == []
        await alice.logged_in("bob")
        assert [intent.user_id for intent in alice.storage.intents] == [2]

    async def test_is_told_of_once_when_it_comes_eight_times_at_once(self, alice: World) -> None:
        await asyncio.gather(*(self.log_in(alice, OTHER_BROWSER) for _ in range(8)))
        assert alice.waiting == ["new_device"]
        assert alice.happened.count("LoggedIn") == 9

    async def test_is_remembered_although_nobody_wants_a_mail(self, alice: World) -> None:
        silent = replace(
            alice.log_in, begin_session=replace(alice.log_in.begin_session, new_device_mail=False)
        )
        await silent(username="alice", password=PASSWORD, client=OTHER_BROWSER)
        assert alice.waiting == []
        await self.log_in(alice, OTHER_BROWSER)
        assert alice.waiting == []

    @pytest.mark.parametrize("trace", ["devices.see", "outbox.put", "commit"])
    async def test_that_cannot_be_told_of_does_not_take_place(self, trace: str, alice: World) -> None:
        before = alice.state()
        alice.tap.fail_once(trace, RuntimeError("on fire"))
        with pytest.raises(RuntimeError, match="on fire"):
            await self.log_in(alice, OTHER_BROWSER)
        assert alice.state() == before

    async def test_can_be_ended_as_the_mail_says(self, alice: World) -> None:
        thief = await self.log_in(alice, OTHER_NETWORK)
        (message,) = await alice.delivered()
        assert "Reset your password now" in " ".join(message.text.split())
        link = await alice.reset_link()
        await alice.reset_password(**link.with_password(NEW_PASSWORD))
        assert not await alice.is_live(thief)
        with pytest.raises(LoginRefused):
            await self.log_in(alice, OTHER_NETWORK)
