"""What administrators do to accounts: what ends, what is mailed, what is noted, and who is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.application.world import (
    BROWSER,
    NEW_PASSWORD,
    PASSWORD,
    SUPERUSER_LOGIN_LIFETIME,
    World,
    link_in,
)

from identity.application.composing import LINKS_A_DAY
from identity.application.sessions import Principal
from identity.application.user_administration import LINK_LIFETIME, AccountClosed
from identity.domain.errors import (
    AccessTokenRefused,
    AccountNotFound,
    LastSuperuser,
    LoginRefused,
    LoginTooOld,
    NotPermitted,
    OneTimeTokenRefused,
    TokenRefused,
)
from identity.domain.events import ANYBODY, OPERATOR, OWNER, SERVICE, Actor
from identity.domain.secrets import Secret
from identity.domain.user import User

TICK = timedelta(microseconds=1)
ACTS = (
    "disable_user",
    "enable_user",
    "force_reset",
    "end_user_sessions",
    "verify_user_email",
    "promote_user",
    "demote_user",
    "erase_user",
    "mint_reset_link",
)
AGAIN_NOTHING = ("disable_user", "enable_user", "end_user_sessions", "verify_user_email", "promote_user")


@pytest.fixture
async def root(world: World) -> Principal:
    return await world.superuser("root")


@pytest.fixture
async def alice(world: World) -> User:
    return await world.registered("alice")


async def act(world: World, name: str, by: Principal | Actor, user: User) -> Any:
    return await getattr(world, name)(by=by, user_id=user.id, client=BROWSER)


async def can_log_in(world: World, username: str = "alice", password: Secret = PASSWORD) -> bool:
    try:
        await world.logged_in(username, password)
    except LoginRefused:
        return False
    return True


class TestWhoMayNot:
    @pytest.mark.parametrize("name", ACTS)
    async def test_somebody_who_is_no_superuser_does_nothing(
        self, world: World, root: Principal, alice: User, name: str
    ) -> None:
        await world.registered("bob")
        bob = await world.principal(await world.logged_in("bob"))
        forged = replace(bob, user=replace(bob.user, superuser_since=world.clock.now()))
        before = world.state()
        for by in (bob, forged):
            with pytest.raises(NotPermitted):
                await act(world, name, by, alice)
        assert world.state() == before

    @pytest.mark.parametrize("name", ACTS)
    @pytest.mark.parametrize("by", [OWNER, ANYBODY, SERVICE, Actor.administrator(1)])
    async def test_an_actor_without_a_session_is_an_operator_or_nobody(
        self, world: World, root: Principal, alice: User, name: str, by: Actor
    ) -> None:
        with pytest.raises(NotPermitted):
            await act(world, name, by, alice)

    @pytest.mark.parametrize("name", ACTS)
    async def test_a_superuser_who_logged_in_too_long_ago_logs_in_again(
        self, world: World, alice: User, name: str
    ) -> None:
        root = await world.superuser()
        pair = await world.logged_in("root")
        world.clock.advance(SUPERUSER_LOGIN_LIFETIME)
        pair = await world.refreshed(pair)  # which makes it no younger
        before = world.state()
        for principal in (root, await world.principal(pair)):
            with pytest.raises(LoginTooOld):
                await act(world, name, principal, alice)
            with pytest.raises(LoginTooOld):
                await world.require_superuser(principal=principal)
        assert world.state() == before

    async def test_a_login_is_young_enough_until_its_time_is_over(self, world: World, alice: User) -> None:
        root = await world.superuser()
        world.clock.advance(SUPERUSER_LOGIN_LIFETIME - TICK)
        assert await world.require_superuser(principal=root) == root
        await act(world, "disable_user", root, alice)

    @pytest.mark.parametrize("name", ACTS)
    async def test_who_was_a_superuser_when_the_request_began_does_nothing_any_more(
        self, world: World, root: Principal, alice: User, name: str
    ) -> None:
        other = await world.superuser("other")
        await act(world, "demote_user", other, root.user)
        with pytest.raises(NotPermitted):
            await act(world, name, root, alice)

    @pytest.mark.parametrize("end", ["disable_user", "end_user_sessions", "force_reset", "erase_user"])
    async def test_who_was_logged_out_meanwhile_does_nothing_any_more(
        self, world: World, root: Principal, alice: User, end: str
    ) -> None:
        other = await world.superuser("other")
        await act(world, end, other, root.user)
        with pytest.raises(AccessTokenRefused):
            await act(world, "disable_user", root, alice)
        assert not (await world.stored_user("alice")).is_disabled

    @pytest.mark.parametrize("name", ACTS)
    async def test_an_account_that_is_not_there_is_not_found(
        self, world: World, root: Principal, alice: User, name: str
    ) -> None:
        for by in (root, OPERATOR):
            with pytest.raises(AccountNotFound):
                await act(world, name, by, replace(alice, id=alice.id + 1000))


class TestEveryAct:
    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("disable_user", "AccountDisabled"),
            ("force_reset", "PasswordResetForced"),
            ("end_user_sessions", "SessionsRevoked"),
            ("verify_user_email", "EmailVouchedFor"),
            ("promote_user", "SuperuserGranted"),
            ("erase_user", "AccountErased"),
            ("mint_reset_link", "ResetLinkMinted"),
        ],
    )
    async def test_leaves_one_event_that_says_who_did_what_to_whom(
        self, world: World, root: Principal, alice: User, name: str, kind: str
    ) -> None:
        await world.logged_in("alice")
        before = len(world.happened)
        await act(world, name, root, alice)
        (event,) = world.storage.events[before:]
        assert (event.kind, event.user_id, event.client) == (kind, alice.id, BROWSER)
        assert event.actor == Actor.administrator(root.user.id)

    async def test_of_an_operator_says_so(self, world: World, alice: User) -> None:
        await act(world, "promote_user", OPERATOR, alice)
        assert world.storage.events[-1].actor == OPERATOR

    @pytest.mark.parametrize("name", AGAIN_NOTHING)
    async def test_that_is_done_already_changes_nothing_and_answers_the_same(
        self, world: World, root: Principal, alice: User, name: str
    ) -> None:
        once = await act(world, name, root, alice)
        before = world.state()
        world.clock.advance(timedelta(minutes=1))
        assert await act(world, name, root, alice) == once
        assert world.state() == before


class TestDisabling:
    async def test_ends_all_sessions_and_lets_nobody_in(
        self, world: World, root: Principal, alice: User
    ) -> None:
        pair = await world.logged_in("alice")
        disabled = await act(world, "disable_user", root, alice)
        assert disabled.disabled_at == world.clock.now()
        assert not await world.is_live(pair)
        assert not await can_log_in(world)
        with pytest.raises(AccessTokenRefused):
            await world.principal(pair)
        with pytest.raises(TokenRefused):
            await world.refreshed(pair)

    async def test_makes_the_links_void_that_were_mailed_before(
        self, world: World, root: Principal, alice: User
    ) -> None:
        link = await world.reset_link()
        await act(world, "disable_user", root, alice)
        await act(world, "enable_user", root, alice)
        with pytest.raises(OneTimeTokenRefused):
            await world.reset_password(**link.with_password(NEW_PASSWORD))

    async def test_is_undone_by_enabling_but_sessions_stay_over(
        self, world: World, root: Principal, alice: User
    ) -> None:
        pair = await world.logged_in("alice")
        await act(world, "disable_user", root, alice)
        enabled = await act(world, "enable_user", root, alice)
        assert enabled.disabled_at is None
        assert world.happened[-2:] == ["AccountDisabled", "AccountEnabled"]
        assert not await world.is_live(pair)
        assert await can_log_in(world)


class TestForcingAReset:
    async def test_takes_the_password_and_mails_a_link_to_set_another(
        self, world: World, root: Principal, alice: User
    ) -> None:
        pair = await world.logged_in("alice")
        changed = await act(world, "force_reset", root, alice)
        assert not changed.has_password
        assert not await world.is_live(pair)
        assert not await can_log_in(world)
        (mail,) = await world.delivered()
        assert mail.to == alice.email
        await world.reset_password(**link_in(mail).with_password(NEW_PASSWORD))
        assert await can_log_in(world, password=NEW_PASSWORD)

    async def test_makes_the_links_void_that_were_mailed_before(
        self, world: World, root: Principal, alice: User
    ) -> None:
        link = await world.reset_link()
        await act(world, "force_reset", root, alice)
        with pytest.raises(OneTimeTokenRefused):
            await world.reset_password(**link.with_password(NEW_PASSWORD))

    async def test_mails_another_link_each_time_as_often_as_the_day_allows(
        self, world: World, root: Principal, alice: User
    ) -> None:
        for turn in range(LINKS_A_DAY + 1):
            world.clock.advance(timedelta(minutes=1))
            await act(world, "force_reset", root, alice)
            assert len(await world.delivered()) == (1 if turn < LINKS_A_DAY else 0)
        assert world.happened.count("PasswordResetForced") == LINKS_A_DAY + 1

    async def test_lets_a_password_in_that_is_being_checked_meanwhile_no_more(
        self, world: World, root: Principal, alice: User
    ) -> None:
        async def force() -> None:
            await act(world, "force_reset", root, alice)

        world.hasher.while_verifying = force
        assert not await can_log_in(world)
        assert not (await world.stored_user("alice")).has_password


class TestEndingSessions:
    async def test_ends_them_all_and_nothing_else(self, world: World, root: Principal, alice: User) -> None:
        pairs = [await world.logged_in("alice") for _ in range(2)]
        assert await act(world, "end_user_sessions", root, alice) == await world.stored_user("alice")
        assert not [pair for pair in pairs if await world.is_live(pair)]
        assert await can_log_in(world)
        assert await world.require_superuser(principal=root)


class TestVouchingForAnAddress:
    async def test_verifies_it_and_makes_links_void(self, root: Principal, world: World, alice: User) -> None:
        link = await world.reset_link()
        verified = await act(world, "verify_user_email", root, alice)
        assert verified.email_verified_at == world.clock.now()
        with pytest.raises(OneTimeTokenRefused):
            await world.reset_password(**link.with_password(NEW_PASSWORD))

    @pytest.mark.parametrize("name", ["verify_user_email", "promote_user"])
    async def test_keeps_the_account_from_being_erased_for_want_of_it(
        self, world: World, root: Principal, name: str
    ) -> None:
        await world.register_blindly(username="bob", email="bob@example.com", password=PASSWORD)
        await act(world, name, root, await world.stored_user("bob"))
        world.clock.advance(timedelta(days=3))
        assert (await world.purge_expired()).accounts == 0
        assert (await world.stored_user("bob")).is_verified
        assert await can_log_in(world, "bob")


class TestSuperusers:
    async def test_are_made_and_unmade(self, world: World, root: Principal, alice: User) -> None:
        pair = await world.logged_in("alice")
        principal = await world.principal(pair)
        with pytest.raises(NotPermitted):
            await world.require_superuser(principal=principal)
        promoted = await act(world, "promote_user", root, alice)
        assert promoted.superuser_since == world.clock.now()
        assert await world.require_superuser(principal=await world.principal(pair))
        demoted = await act(world, "demote_user", root, alice)
        assert demoted.superuser_since is None
        assert await world.is_live(pair)
        with pytest.raises(NotPermitted):
            await world.require_superuser(principal=await world.principal(pair))

    @pytest.mark.parametrize(
        ("name", "fate"),
        [("disable_user", "disabled"), ("demote_user", "demoted"), ("erase_user", "deleted")],
    )
    async def test_the_last_of_them_stays(
        self, world: World, root: Principal, alice: User, name: str, fate: str
    ) -> None:
        disabled = await world.superuser("disabled")
        await act(world, "disable_user", root, disabled.user)
        before = world.state()
        for by in (root, OPERATOR):
            with pytest.raises(LastSuperuser) as refused:
                await act(world, name, by, root.user)
            assert refused.value.fate == fate
        assert world.state() == before
        await act(world, name, root, disabled.user)  # who is none of those who count

    @pytest.mark.parametrize("name", ["force_reset", "end_user_sessions", "mint_reset_link"])
    async def test_the_last_of_them_may_still_be_helped(
        self, world: World, root: Principal, name: str
    ) -> None:
        await act(world, name, OPERATOR, root.user)

    @pytest.mark.parametrize("name", ["demote_user", "disable_user", "erase_user"])
    async def test_may_go_while_there_is_another(self, world: World, root: Principal, name: str) -> None:
        await world.superuser("other")
        await act(world, name, root, root.user)

    @pytest.mark.parametrize("name", ["demote_user", "disable_user", "erase_user"])
    async def test_of_two_who_turn_on_each_other_at_once_one_is_refused(
        self, world: World, root: Principal, name: str
    ) -> None:
        other = await world.superuser("other")
        answers = await asyncio.gather(
            act(world, name, root, other.user), act(world, name, other, root.user), return_exceptions=True
        )
        refused = [each for each in answers if isinstance(each, BaseException)]
        assert len(refused) == 1
        assert isinstance(refused[0], NotPermitted | AccessTokenRefused)
        async with world.storage.begin() as uow:
            assert len(await uow.users.open_superusers()) == 1


class TestErasing:
    async def test_leaves_nothing_but_an_id(self, world: World, alice: User) -> None:
        await world.logged_in("alice")
        await world.request_reset(email="alice@example.com")
        assert await act(world, "erase_user", OPERATOR, alice) is None
        assert world.waiting == []
        assert world.happened[-1] == "AccountErased"
        assert {event.client.address for event in world.storage.events[:-1]} == {""}
        with pytest.raises(AccountNotFound):
            await world.show_user(user_id=alice.id)
        assert (await world.registered("alice")).id != alice.id

    async def test_is_tried_again_when_the_account_is_logged_in_to_meanwhile(
        self, world: World, alice: User
    ) -> None:
        world.tap.answer_once("users.erase", False)
        await act(world, "erase_user", OPERATOR, alice)
        assert world.happened.count("AccountErased") == 1


class TestAResetLink:
    async def test_sets_a_password_once_where_no_mail_arrives(self, world: World, alice: User) -> None:
        pair = await world.logged_in("alice")
        link: Secret = await act(world, "mint_reset_link", OPERATOR, alice)
        assert await world.is_live(pair)
        assert world.waiting == []
        _, uidb64, token = link.reveal().rsplit("/", 2)
        assert link.reveal().startswith("https://app.example.org/reset-password/")
        parts: dict[str, Any] = {"uidb64": uidb64, "token": Secret(token), "password": NEW_PASSWORD}
        await world.reset_password(**parts)
        assert await can_log_in(world, password=NEW_PASSWORD)
        with pytest.raises(OneTimeTokenRefused):
            await world.reset_password(**parts)

    @pytest.mark.parametrize(("after", "is_good"), [(LINK_LIFETIME - TICK, True), (LINK_LIFETIME, False)])
    async def test_is_good_for_an_hour(
        self, world: World, alice: User, after: timedelta, is_good: bool
    ) -> None:
        link: Secret = await act(world, "mint_reset_link", OPERATOR, alice)
        _, uidb64, token = link.reveal().rsplit("/", 2)
        world.clock.advance(after)
        attempt = world.reset_password(uidb64=uidb64, token=Secret(token), password=NEW_PASSWORD)
        if is_good:
            await attempt
        else:
            with pytest.raises(OneTimeTokenRefused):
                await attempt

    async def test_is_not_made_for_a_closed_account(self, world: World, alice: User) -> None:
        await act(world, "disable_user", OPERATOR, alice)
        before = world.state()
        with pytest.raises(AccountClosed):
            await act(world, "mint_reset_link", OPERATOR, alice)
        assert world.state() == before

    async def test_is_not_in_the_repr_of_anything(self, world: World, alice: User) -> None:
        link: Secret = await act(world, "mint_reset_link", OPERATOR, alice)
        token = link.reveal().rpartition("/")[2]
        assert token not in repr(link) + repr(world.state())
