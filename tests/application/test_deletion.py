"""Having one's account deleted, thinking better of it, and its erasure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.application.world import (
    BROWSER,
    BUCKETS,
    GRACE,
    NEW_PASSWORD,
    PASSWORD,
    WRONG_PASSWORD,
    ResetLink,
    World,
)

from identity.application.composing import LINKS_A_DAY
from identity.domain.errors import (
    AccessTokenRefused,
    Conflict,
    IncorrectPassword,
    InvalidInput,
    LastSuperuser,
    LoginRefused,
    OneTimeTokenRefused,
    Throttled,
    TokenRefused,
)
from identity.domain.events import SERVICE, AccountErased, DeletionRequested, DeletionUndone
from identity.domain.secrets import Secret
from identity.domain.session import UNKNOWN_CLIENT
from identity.domain.throttling import Window
from identity.domain.tokens import TokenPair
from identity.domain.user import User

TICK = timedelta(microseconds=1)


@pytest.fixture
async def alice(world: World) -> User:
    return await world.registered("alice")


@pytest.fixture
async def pair(world: World, alice: User) -> TokenPair:
    return await world.logged_in("alice")


async def deleted(world: World, pair: TokenPair, password: Secret = PASSWORD) -> datetime:
    principal = await world.principal(pair)
    return await world.request_deletion(principal=principal, password=password, client=BROWSER)


async def undone(world: World, link: ResetLink) -> None:
    await world.undo_deletion(uidb64=link.uidb64, token=Secret(link.token), client=BROWSER)


class TestAskingForIt:
    async def test_closes_the_account_until_the_grace_is_over(
        self, world: World, alice: User, pair: TokenPair
    ) -> None:
        other = await world.logged_in("alice")
        reset = await world.reset_link()
        due_at = await deleted(world, pair)
        assert due_at == world.clock.now() + GRACE
        assert (await world.stored_user()).erasure_due_at == due_at
        for each in (pair, other):
            with pytest.raises(AccessTokenRefused):
                await world.principal(each)
            with pytest.raises(TokenRefused):
                await world.refreshed(each)
        for name in ("alice", "alice@example.com"):
            with pytest.raises(LoginRefused):
                await world.logged_in(name)
        with pytest.raises(OneTimeTokenRefused):
            await world.reset_password(**reset.with_password(NEW_PASSWORD))
        await world.delivered()
        await world.request_reset(email="alice@example.com")
        assert await world.delivered() == []

    async def test_leaves_an_event_and_one_mail(self, world: World, alice: User, pair: TokenPair) -> None:
        principal = await world.principal(pair)
        await deleted(world, pair)
        assert world.storage.events[-1] == DeletionRequested(
            at=world.clock.now(), user_id=alice.id, session_id=principal.session.id, client=BROWSER
        )
        (mail,) = await world.delivered()
        assert mail.to == alice.email
        assert "/undo-deletion/" in mail.text

    async def test_with_another_password_changes_nothing_but_is_counted(
        self, world: World, pair: TokenPair
    ) -> None:
        before = world.besides_the_log()
        for wrong in (WRONG_PASSWORD, Secret("x" * 10_000)):
            with pytest.raises(IncorrectPassword):
                await deleted(world, pair, wrong)
        with pytest.raises(InvalidInput) as refusal:
            await deleted(world, pair, Secret(""))
        assert refusal.value.fields == {"password": ("This field may not be blank.",)}
        assert world.besides_the_log() == before
        for _ in range(BUCKETS.per_account.free - 1):
            with pytest.raises(IncorrectPassword):
                await deleted(world, pair, WRONG_PASSWORD)
        with pytest.raises(Throttled):
            await deleted(world, pair)
        with pytest.raises(Throttled):
            await world.changed(pair)
        assert world.besides_the_log() == before

    async def test_with_a_session_that_ended_meanwhile_is_refused(
        self, world: World, pair: TokenPair
    ) -> None:
        principal = await world.principal(pair)

        async def log_out() -> None:
            await world.log_out(refresh=pair.refresh)

        world.hasher.while_verifying = log_out
        with pytest.raises(AccessTokenRefused):
            await world.request_deletion(principal=principal, password=PASSWORD)
        assert not (await world.stored_user()).is_closed

    async def test_beside_a_change_of_the_password_knows_the_old_one_no_more(
        self, world: World, pair: TokenPair
    ) -> None:
        async def change() -> None:
            await world.changed(pair)

        world.hasher.while_verifying = change
        with pytest.raises(IncorrectPassword):
            await deleted(world, pair)
        assert not (await world.stored_user()).is_closed

    async def test_without_grace_is_followed_by_no_mail_and_erased_at_the_next_housekeeping(
        self, world: World, pair: TokenPair
    ) -> None:
        at_once = replace(world.request_deletion, grace=timedelta(0))
        await at_once(principal=await world.principal(pair), password=PASSWORD)
        assert await world.delivered() == []
        assert await world.erase_accounts() == 1


class TestASuperuser:
    async def superuser(self, world: World, name: str) -> TokenPair:
        await world.register_user(
            username=name, email=f"{name}@example.com", password=PASSWORD, superuser=True
        )
        return await world.logged_in(name)

    async def test_goes_while_there_is_another(self, world: World) -> None:
        root, other = await self.superuser(world, "root"), await self.superuser(world, "other")
        await deleted(world, root)
        before = world.state()
        with pytest.raises(LastSuperuser):
            await deleted(world, other)
        assert world.state() == before
        await undone(world, await world.undo_link())
        await deleted(world, other)

    async def test_whose_only_fellow_is_disabled_stays(self, world: World) -> None:
        await self.superuser(world, "root")
        other = await self.superuser(world, "other")
        await world.disable(await world.stored_user("root"))
        with pytest.raises(LastSuperuser):
            await deleted(world, other)

    async def test_who_gives_a_wrong_password_is_told_that(self, world: World) -> None:
        with pytest.raises(IncorrectPassword):
            await deleted(world, await self.superuser(world, "root"), WRONG_PASSWORD)

    async def test_is_left_when_both_of_two_ask_at_once(self, world: World) -> None:
        pairs = [await self.superuser(world, name) for name in ("root", "other")]
        outcomes = await asyncio.gather(*(deleted(world, pair) for pair in pairs), return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["LastSuperuser", "datetime"]


class TestAThiefWhoKnowsThePassword:
    async def test_cannot_delete_it_so_often_that_the_owner_gets_no_link_any_more(
        self, world: World, alice: User
    ) -> None:
        for _ in range(LINKS_A_DAY + 2):
            await deleted(world, await world.logged_in("alice"))
            await undone(world, await world.undo_link())
            await world.delivered()


class TestUndoing:
    @pytest.fixture
    async def link(self, world: World, pair: TokenPair) -> ResetLink:
        await deleted(world, pair)
        return await world.undo_link()

    async def test_opens_the_account_with_its_password(
        self, world: World, alice: User, pair: TokenPair, link: ResetLink
    ) -> None:
        await undone(world, link)
        assert await world.logged_in("alice")
        with pytest.raises(TokenRefused):
            await world.refreshed(pair)
        assert world.storage.events[-2] == DeletionUndone(
            at=world.clock.now(), user_id=alice.id, client=BROWSER
        )
        (notice,) = await world.delivered()
        assert notice.to == alice.email
        assert "stays" in notice.subject
        world.clock.advance(GRACE * 2)
        assert await world.erase_accounts() == 0

    async def test_works_until_the_last_moment_of_the_grace_however_late_the_mail_was(
        self, world: World, pair: TokenPair
    ) -> None:
        due_at = await deleted(world, pair)
        world.clock.advance(GRACE / 2)
        link = await world.undo_link()
        world.clock.advance(due_at - world.clock.now() - TICK)
        assert await world.erase_accounts() == 0
        await undone(world, link)

    async def test_is_too_late_when_the_grace_is_over(self, world: World, link: ResetLink) -> None:
        world.clock.advance(GRACE)
        with pytest.raises(OneTimeTokenRefused):
            await undone(world, link)
        assert await world.erase_accounts() == 1
        with pytest.raises(OneTimeTokenRefused):
            await undone(world, link)

    async def test_with_a_link_that_is_spent_of_another_kind_or_somebody_elses_is_refused(
        self, world: World, link: ResetLink
    ) -> None:
        await world.registered("bob")
        bobs = await world.reset_link("bob@example.com")
        for wrong in (bobs, replace(link, uidb64=bobs.uidb64), replace(link, token=bobs.token)):
            with pytest.raises(OneTimeTokenRefused):
                await undone(world, wrong)
        await undone(world, link)
        with pytest.raises(OneTimeTokenRefused):
            await undone(world, link)

    async def test_an_earlier_deletion_does_not_undo_a_later_one(self, world: World, pair: TokenPair) -> None:
        async def once_more(_: object) -> None:
            world.mailer.after = nothing
            raise ConnectionResetError  # it arrived, and nobody knows

        await deleted(world, pair)
        nothing, world.mailer.after = world.mailer.after, once_more
        first = await world.undo_link()
        world.clock.advance(timedelta(minutes=1))
        await undone(world, await world.undo_link())
        await deleted(world, await world.logged_in("alice"))
        with pytest.raises(OneTimeTokenRefused):
            await undone(world, first)
        assert (await world.stored_user()).is_closed

    async def test_of_an_account_that_was_disabled_meanwhile_is_refused(
        self, world: World, alice: User, link: ResetLink
    ) -> None:
        await world.disable(alice)
        with pytest.raises(OneTimeTokenRefused):
            await undone(world, link)

    async def test_bad_links_are_counted_by_address_and_good_ones_pass(
        self, new_world: Callable[..., World]
    ) -> None:
        world = new_world(
            buckets=replace(BUCKETS, requests_per_address=Window(limit=3, length=timedelta(minutes=5)))
        )
        await world.registered("alice")
        await deleted(world, await world.logged_in("alice"))
        link = await world.undo_link()
        for _ in range(3):
            with pytest.raises(OneTimeTokenRefused):
                await undone(world, replace(link, token="x"))
        with pytest.raises(Throttled):
            await undone(world, replace(link, token="x"))
        await undone(world, link)


class TestErasure:
    async def test_leaves_nothing_but_events_that_came_from_nowhere(
        self, world: World, alice: User, pair: TokenPair
    ) -> None:
        await world.request_reset(email="ALICE@example.com")
        await deleted(world, pair)
        world.clock.advance(GRACE)
        assert (await world.purge_expired()).accounts == 1
        state = world.state()
        assert {part.name for part in fields(state) if getattr(state, part.name)} == {"events", "audit_notes"}
        assert {event.client for event in state.events} == {UNKNOWN_CLIENT}
        assert world.happened == [
            *("UserRegistered", "LoggedIn", "ResetRequested", "DeletionRequested", "AccountErased"),
        ]
        assert state.events[-1] == AccountErased(at=world.clock.now(), user_id=alice.id, actor=SERVICE)
        assert [bool(note.salt) for note in state.audit_notes.values()] == [False] * 4 + [True]
        assert await world.erase_accounts() == 0

    async def test_spares_the_accounts_of_others_and_what_is_known_of_them(
        self, world: World, alice: User, pair: TokenPair
    ) -> None:
        await world.registered("bob")
        bob = await world.logged_in("bob")
        await deleted(world, pair)
        of_bob = [event for event in world.storage.events if event.user_id != alice.id]
        assert await world.is_live(bob)
        world.clock.advance(GRACE)
        await world.erase_accounts()
        assert [event for event in world.storage.events if event.user_id != alice.id] == of_bob
        assert await world.stored_user("bob")

    async def test_gives_the_name_free_but_never_the_id(
        self, world: World, alice: User, pair: TokenPair
    ) -> None:
        await deleted(world, pair)
        world.clock.advance(GRACE)
        await world.erase_accounts()
        again = await world.registered("alice")
        assert again.id > alice.id
        with pytest.raises(TokenRefused):
            await world.refreshed(pair)

    async def test_is_due_in_rounds_of_which_none_is_forgotten(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("identity.application.deletion.ERASED_IN_A_ROUND", 2)
        for name in ("ann", "bob", "eve", "joe", "kim"):
            await world.registered(name)
            await deleted(world, await world.logged_in(name))
        world.clock.advance(GRACE)
        assert await world.erase_accounts() == 5
        assert not world.state().users

    async def test_has_a_transaction_for_each_account(self, world: World) -> None:
        for name in ("ann", "bob"):
            await world.registered(name)
            await deleted(world, await world.logged_in(name))
        world.clock.advance(GRACE)
        commits = ["begin", "commit"]
        world.tap.forget()
        assert await world.erase_accounts() == 2
        assert [call for call in world.tap.calls if call in commits] == 2 * commits

    @pytest.mark.parametrize("first", ["undo", "erasure"])
    async def test_and_an_undo_at_the_same_moment_are_decided_one_way(
        self, world: World, pair: TokenPair, first: str
    ) -> None:
        """A replica whose clock is ahead finds the account due while its owner undoes the deletion."""
        await deleted(world, pair)
        link = await world.undo_link()
        erase = replace(world.erase_accounts, clock=Ahead(world))
        rivals: list[Awaitable[Any]] = [undone(world, link), erase()]
        outcomes = await asyncio.gather(
            *(rivals if first == "undo" else rivals[::-1]), return_exceptions=True
        )
        is_there = False
        with suppress(AssertionError):
            is_there = not (await world.stored_user()).is_closed
        assert ("DeletionUndone" in world.happened) == is_there
        assert ("AccountErased" in world.happened) == (not is_there)
        refused = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        assert not [each for each in refused if not isinstance(each, OneTimeTokenRefused | Conflict)]


class Ahead:
    """The clock of a replica that is ahead of the others by the whole grace."""

    def __init__(self, world: World) -> None:
        self._world = world

    def now(self) -> datetime:
        return self._world.clock.now() + GRACE
