"""How often one may try: at an account by all its names, from an address, and what goes on all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
from tests.application.world import (
    BROWSER,
    BUCKETS,
    NEW_PASSWORD,
    PASSWORD,
    THREE_REQUESTS,
    WRONG_PASSWORD,
    World,
)

from identity.application.throttling import Buckets, Request
from identity.domain.errors import (
    LoginRefused,
    OneTimeTokenRefused,
    Throttled,
    TokenRefused,
    Unavailable,
    WrongPassword,
)
from identity.domain.secrets import Secret
from identity.domain.session import Client
from identity.domain.throttling import RESERVED_FOR, Backoff, Window

Verb: TypeAlias = Callable[[], Awaitable[Any]]

HOME = BROWSER
STRANGER = Client(address="198.51.100.66", user_agent="curl/8.0")
NAMES = ["alice", "ALICE", " Alice ", "alice@example.com", "Alice@EXAMPLE.com"]
SECOND = timedelta(seconds=1)
FIVE_MINUTES = timedelta(minutes=5)
TEN_PER_ADDRESS = replace(BUCKETS, failures_per_address=Window(limit=10, length=FIVE_MINUTES))
LIMITER_DOWN = Unavailable("the database cannot be reached")


async def guess(world: World, name: str = "alice", *, client: Client = STRANGER) -> None:
    with pytest.raises(LoginRefused):
        await world.log_in(username=name, password=WRONG_PASSWORD, client=client)


async def wait_of(attempt: Awaitable[object]) -> timedelta:
    with pytest.raises(Throttled) as throttled:
        await attempt
    return throttled.value.retry_after


def judged(world: World) -> int:
    return world.tap.calls.count("hasher.verify")


async def let_in(world: World, name: str = "alice", *, client: Client = HOME) -> None:
    await world.log_in(username=name, password=PASSWORD, client=client)


class TestAnAccount:
    async def test_five_are_free_and_then_the_wait_doubles(self, world: World) -> None:
        await world.registered()
        for number in range(5):
            await guess(world, NAMES[number])
        for seconds in (1, 2, 4, 8):
            for name in NAMES:
                right = world.log_in(username=name, password=PASSWORD, client=STRANGER)
                assert await wait_of(right) == seconds * SECOND
            world.clock.advance(seconds * SECOND)
            await guess(world)

    @pytest.mark.parametrize("is_known_there", [False, True])
    async def test_a_hundred_in_a_row_are_judged_by_whatever_name_and_way_and_not_one_more(
        self, world: World, is_known_there: bool
    ) -> None:
        await world.registered()
        thief = HOME if is_known_there else STRANGER
        principal = await world.principal(await world.logged_in())
        ways: list[Verb] = [
            lambda: world.log_in(username=names[judged(world) % 5], password=WRONG_PASSWORD, client=thief),
            lambda: world.change_password(
                principal=principal, old_password=WRONG_PASSWORD, new_password=NEW_PASSWORD, client=thief
            ),
        ]
        names = NAMES
        world.tap.forget()
        wait = timedelta(0)
        for number in range(1000):
            try:
                await ways[number % 2]()
            except Throttled as throttled:
                wait = throttled.retry_after
                if wait > timedelta(days=1):
                    break
                world.clock.advance(wait)
            except (LoginRefused, WrongPassword):
                pass
        assert judged(world) == 100
        assert wait == timedelta(days=30)
        assert await wait_of(world.log_in(username="alice", password=PASSWORD, client=thief)) == wait
        assert judged(world) == 100

    async def test_a_success_forgets_the_failures(self, world: World) -> None:
        await world.registered()
        for _ in range(3):
            for _ in range(4):
                await guess(world, client=HOME)
            await let_in(world)

    async def test_of_five_hundred_at_once_no_more_are_judged_than_are_free(
        self, new_world: Callable[..., World]
    ) -> None:
        world = new_world(buckets=replace(BUCKETS, per_account=Backoff(free=10, stop=100)))
        await world.registered()
        world.tap.forget()
        outcomes = await asyncio.gather(
            *(
                world.log_in(username=NAMES[number % 5], password=WRONG_PASSWORD, client=STRANGER)
                for number in range(500)
            ),
            return_exceptions=True,
        )
        assert judged(world) == 10
        assert sum(isinstance(outcome, LoginRefused) for outcome in outcomes) == 10
        assert {type(outcome) for outcome in outcomes} <= {LoginRefused, Throttled, Unavailable}
        assert await wait_of(world.log_in(username="alice", password=PASSWORD, client=STRANGER)) == SECOND

    async def test_a_name_that_nobody_has_is_throttled_alike(self, world: World) -> None:
        await world.registered()
        waits = {}
        for name, other in (
            ("alice", "ALICE"),
            ("nobody", "NoBody"),
            ("nobody@example.com", "Nobody@example.com"),
        ):
            world.tap.forget()
            for number in range(5):
                await guess(world, (name, other)[number % 2])
            wait = await wait_of(world.log_in(username=name, password=PASSWORD, client=STRANGER))
            waits[wait, tuple(world.tap.calls[-2:])] = name
        assert len(waits) == 1

    async def test_a_disabled_account_does_not_tell_by_a_right_password(self, world: World) -> None:
        await world.disable(await world.registered())
        for _ in range(5):
            with pytest.raises(LoginRefused):
                await let_in(world)
        assert await wait_of(let_in(world)) == SECOND


class TestItsOwner:
    async def test_gets_in_where_they_got_in_before_while_a_stranger_is_blocked(self, world: World) -> None:
        await world.registered()
        await let_in(world)
        for _ in range(5):
            await guess(world)
        assert await wait_of(let_in(world, client=STRANGER)) == SECOND
        await let_in(world, "alice@example.com")

    async def test_is_known_by_their_network_in_ipv6(self, world: World) -> None:
        await world.registered()
        await let_in(world, client=Client(address="2001:db8:1:2::7", user_agent="a phone"))
        for _ in range(5):
            await guess(world)
        await wait_of(let_in(world, client=Client(address="2001:db8:1:3::7")))
        await let_in(world, client=Client(address="2001:db8:1:2:ffff::8", user_agent="a tablet"))

    async def test_is_known_at_no_other_account(self, world: World) -> None:
        await world.registered("alice")
        await world.registered("bob")
        await let_in(world, "bob")
        for _ in range(5):
            await guess(world)
        await wait_of(let_in(world))

    async def test_waits_and_is_not_refused_where_only_an_attempt_that_is_judged_stands_in_the_way(
        self, world: World
    ) -> None:
        await world.registered()
        for _ in range(4):
            await guess(world)
        is_judged = asyncio.Event()
        world.hasher.while_verifying = is_judged.wait
        first, second = asyncio.create_task(let_in(world)), asyncio.create_task(let_in(world))
        await _settled()
        assert not second.done()
        assert world.tap.calls.count("limiter.reserve") >= 6
        is_judged.set()
        await asyncio.gather(first, second)

    async def test_waits_no_longer_than_for_a_turn(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """For places that nobody gives back, as those of a worker that was killed."""
        alice = await world.registered()
        taken = BUCKETS.of_login(f"id {alice.id}", STRANGER)
        for _ in range(5):
            await world.log_in.verify_password.limiter.reserve(*taken, at=world.clock.now())
        monkeypatch.setattr(world.lane, "_patience", 0.05)
        async with asyncio.timeout(5):
            with pytest.raises(Unavailable):
                await let_in(world)
        assert "hasher.verify" not in world.tap.calls
        world.clock.advance(RESERVED_FOR)
        await let_in(world)

    async def test_resets_the_password_by_mail_however_many_failed_and_may_try_again(
        self, world: World
    ) -> None:
        await world.registered()
        for _ in range(5):
            await guess(world)
        link = await world.reset_link()
        await world.reset_password(**link.with_password(NEW_PASSWORD), client=STRANGER)
        await world.log_in(username="alice", password=NEW_PASSWORD, client=STRANGER)


async def _settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class TestAnAddress:
    @pytest.fixture
    def world(self, new_world: Callable[..., World]) -> World:
        return new_world(buckets=TEN_PER_ADDRESS)

    async def test_may_fail_so_often_at_all_accounts_together(self, world: World) -> None:
        await world.registered()
        for number in range(10):
            await guess(world, f"user{number}")
        assert await wait_of(let_in(world, client=STRANGER)) == FIVE_MINUTES
        await let_in(world)
        world.clock.advance(FIVE_MINUTES)
        await let_in(world, client=STRANGER)

    async def test_of_ipv6_is_its_whole_network(self, world: World) -> None:
        for number in range(10):
            await guess(world, f"user{number}", client=Client(address=f"2001:db8:1:2::{number}"))
        await wait_of(let_in(world, client=Client(address="2001:db8:1:2:ffff::1")))
        await guess(world, client=Client(address="2001:db8:1:3::1"))

    async def test_may_succeed_as_often_as_it_likes(self, world: World) -> None:
        await world.registered()
        for _ in range(15):
            await let_in(world)

    async def test_is_not_cleared_by_a_success(self, world: World) -> None:
        await world.registered()
        for number in range(9):
            await guess(world, f"user{number}")
        await let_in(world, client=STRANGER)
        await guess(world, "user10")
        await wait_of(let_in(world, client=STRANGER))

    async def test_of_five_hundred_at_once_no_more_are_judged_than_may_fail(self, world: World) -> None:
        outcomes = await asyncio.gather(
            *(
                world.log_in(username=f"user{number}", password=WRONG_PASSWORD, client=STRANGER)
                for number in range(500)
            ),
            return_exceptions=True,
        )
        assert judged(world) == 10
        assert {type(outcome) for outcome in outcomes} <= {LoginRefused, Throttled, Unavailable}


class TestRequests:
    """What is counted by address whether or not it fails, or as it is refused."""

    @pytest.fixture
    def world(self, new_world: Callable[..., World]) -> World:
        return new_world(buckets=THREE_REQUESTS)

    async def test_registering(self, world: World) -> None:
        async def register(number: int, client: Client) -> None:
            address = f"user{number}@example.com"
            await world.register_user(
                username=f"user{number}", email=address, password=PASSWORD, client=client
            )

        for number in range(3):
            await register(number, STRANGER)
        world.tap.forget()
        assert await wait_of(register(3, STRANGER)) == FIVE_MINUTES
        assert set(world.tap.calls) == {"clock.now", "limiter.count"}
        await register(3, HOME)
        world.clock.advance(FIVE_MINUTES)
        await register(4, STRANGER)

    async def test_asking_for_a_reset_beyond_it_says_nothing_and_writes_nothing(self, world: World) -> None:
        await world.registered()
        for _ in range(3):
            await world.request_reset(email="alice@example.com", client=STRANGER)
            await world.delivered()
        before = world.state()
        assert await world.request_reset(email="alice@example.com", client=STRANGER) is None
        assert world.state() == before
        assert world.waiting == []
        await world.request_reset(email="alice@example.com", client=HOME)
        assert world.waiting == ["password_reset"]

    async def test_bad_reset_links_but_never_a_good_one(self, world: World) -> None:
        await world.registered()
        link = await world.reset_link()
        bad = replace(link, token="A" * 43)
        for _ in range(3):
            with pytest.raises(OneTimeTokenRefused):
                await world.reset_password(**bad.with_password(NEW_PASSWORD), client=STRANGER)
        refused = world.reset_password(**bad.with_password(NEW_PASSWORD), client=STRANGER)
        assert await wait_of(refused) == FIVE_MINUTES
        await world.reset_password(**link.with_password(NEW_PASSWORD), client=STRANGER)

    async def test_bad_refresh_tokens_but_never_a_good_one(self, world: World) -> None:
        await world.registered()
        pair = await world.logged_in()
        for _ in range(3):
            with pytest.raises(TokenRefused):
                await world.refresh_session(refresh="nonsense", client=HOME)
        assert await wait_of(world.refresh_session(refresh="nonsense", client=HOME)) == FIVE_MINUTES
        for _ in range(10):
            pair = await world.refresh_session(refresh=pair.refresh, client=HOME)

    async def test_each_kind_by_itself(self, world: World) -> None:
        for _ in range(4):
            await world.request_reset(email="alice@example.com", client=STRANGER)
        await world.register_user(username="bob", email="bob@example.com", password=PASSWORD, client=STRANGER)
        await guess(world)


class TestWithoutItsStorage:
    """What cannot be counted does not happen, and everything else goes on."""

    @pytest.mark.parametrize("call", ["reserve", "succeed", "fail"])
    async def test_nobody_logs_in_or_changes_their_password(self, world: World, call: str) -> None:
        await world.registered()
        pair = await world.logged_in()
        principal, before = await world.principal(pair), world.state()
        world.tap.fail_always(f"limiter.{call}", LIMITER_DOWN)
        password = WRONG_PASSWORD if call == "fail" else PASSWORD
        with pytest.raises(Unavailable):
            await world.log_in(username="alice", password=password, client=HOME)
        with pytest.raises(Unavailable):
            await world.change_password(
                principal=principal, old_password=password, new_password=NEW_PASSWORD, client=HOME
            )
        assert world.state() == before

    async def test_nobody_registers_or_asks_for_a_reset_and_what_is_bad_is_not_judged(
        self, world: World
    ) -> None:
        await world.registered()
        before = world.state()
        world.tap.fail_always("limiter.count", LIMITER_DOWN)
        guarded: list[Verb] = [
            lambda: world.register_user(
                username="bob", email="bob@example.com", password=PASSWORD, client=HOME
            ),
            lambda: world.request_reset(email="alice@example.com", client=HOME),
            lambda: world.refresh_session(refresh="nonsense", client=HOME),
            lambda: world.reset_password(
                uidb64="MQ", token=Secret("A" * 43), password=NEW_PASSWORD, client=HOME
            ),
        ]
        for verb in guarded:
            with pytest.raises(Unavailable):
                await verb()
        assert world.state() == before

    @pytest.mark.parametrize("call", ["reserve", "succeed", "fail", "count", "empty"])
    async def test_sessions_go_on(self, world: World, call: str) -> None:
        await world.registered()
        pair = await world.logged_in()
        world.tap.fail_always(f"limiter.{call}", LIMITER_DOWN)
        await world.show_profile(principal=await world.principal(pair))
        pair = await world.refreshed(pair)
        await world.verify_token(token=pair.refresh)
        await world.list_sessions(principal=await world.principal(pair))
        await world.log_out(refresh=pair.refresh)

    async def test_a_good_reset_link_is_kept_for_later(self, world: World) -> None:
        await world.registered()
        link = await world.reset_link()
        world.tap.fail_always("limiter.empty", LIMITER_DOWN)
        with pytest.raises(Unavailable):
            await world.reset_password(**link.with_password(NEW_PASSWORD))
        world.tap.fail_always("none", LIMITER_DOWN)
        await world.reset_password(**link.with_password(NEW_PASSWORD))


class TestKeys:
    def keys(self, buckets: Buckets = BUCKETS, account: str = "name alice") -> set[bytes]:
        of_account, of_address = buckets.of_login(account, STRANGER)
        assert of_account.favoured is not None
        requests = [buckets.of_request(kind, STRANGER).key for kind in Request]
        return {of_account.key, of_account.favoured, of_address.key, *requests}

    def test_are_digests_all_different_without_a_name_or_an_address_in_them(self) -> None:
        keys = self.keys()
        assert len(keys) == 3 + len(Request)
        for key in keys:
            assert len(key) == 32
            for told in (b"alice", STRANGER.address.encode()):
                assert told not in key
                assert told.hex().encode() not in key

    def test_are_others_under_another_secret_so_that_nobody_finds_them_by_trying_names(self) -> None:
        assert not self.keys() & self.keys(replace(BUCKETS, key=b"another key"))

    def test_an_account_that_is_there_and_one_by_that_name_are_two(self) -> None:
        assert BUCKETS.of_login("id 1", HOME)[0].key != BUCKETS.of_login("name 1", HOME)[0].key
        assert BUCKETS.of_login("id 1", HOME)[0].key != BUCKETS.of_login("id 11", HOME)[0].key

    def test_any_text_can_be_a_name(self) -> None:
        texts = ["", "\0", "a\0b", "half \ud83d of a pair", "🦊", "x" * 100_000]
        assert len({BUCKETS.of_login(f"name {text}", HOME)[0].key for text in texts}) == len(texts)
