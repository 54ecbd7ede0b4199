"""Running a use case again when another transaction got in its way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from tests.application.world import BROWSER, NEW_PASSWORD, PASSWORD, World

from identity.application.conflicts import retried_on_conflict
from identity.domain.errors import Conflict, IdentityError, LoginRefused, Unavailable


@dataclass
class Attempts:
    """Ends in these refusals, one after the other, and then succeeds."""

    refusals: list[Exception]
    made: int = 0

    @retried_on_conflict
    async def __call__(self, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        self.made += 1
        if self.refusals:
            raise self.refusals.pop(0)
        return args, kwargs


class TestRetrying:
    @pytest.mark.parametrize("conflicts", [0, 1, 2, 3])
    async def test_up_to_three_conflicts_are_not_noticed(self, conflicts: int) -> None:
        attempts = Attempts([Conflict("a race")] * conflicts)
        assert await attempts(1, two=2) == ((1,), {"two": 2})
        assert attempts.made == conflicts + 1

    async def test_the_fourth_is_let_through(self) -> None:
        attempts = Attempts([Conflict(f"race {number}") for number in range(1, 10)])
        with pytest.raises(Conflict, match="race 4"):
            await attempts()
        assert attempts.made == 4

    @pytest.mark.parametrize("refusal", [Unavailable("storage"), LoginRefused(), ValueError("a bug")])
    async def test_nothing_else_is_tried_again(self, refusal: Exception) -> None:
        attempts = Attempts([refusal])
        with pytest.raises(type(refusal)) as raised:
            await attempts()
        assert raised.value is refusal
        assert attempts.made == 1

    async def test_not_even_after_a_conflict(self) -> None:
        attempts = Attempts([Conflict("a race"), LoginRefused()])
        with pytest.raises(LoginRefused):
            await attempts()
        assert attempts.made == 2


Act = Callable[[], Awaitable[Any]]
Command = Callable[[World], Awaitable[Act]]

# Each makes ready, and returns what is to be done.


async def _register(world: World) -> Act:
    return lambda: world.registered("bob")


async def _log_in(world: World) -> Act:
    return lambda: world.logged_in("alice")


async def _refresh(world: World) -> Act:
    pair = await world.logged_in("alice")
    return lambda: world.refreshed(pair)


async def _log_out(world: World) -> Act:
    pair = await world.logged_in("alice")
    return lambda: world.log_out(refresh=pair.refresh, client=BROWSER)


async def _change(world: World) -> Act:
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.change_password(
        principal=principal, old_password=PASSWORD, new_password=NEW_PASSWORD, client=BROWSER
    )


async def _forgot(world: World) -> Act:
    return lambda: world.request_reset(email="alice@example.com")


async def _reset(world: World) -> Act:
    link = await world.reset_link()
    return lambda: world.reset_password(**link.with_password(NEW_PASSWORD))


async def _log_in_elsewhere(world: World) -> Act:
    await world.logged_in("alice")
    elsewhere = replace(BROWSER, address="203.0.113.9")
    return lambda: world.log_in(username="alice", password=PASSWORD, client=elsewhere)


async def _end_one(world: World) -> Act:
    principal = await world.principal(await world.logged_in("alice"))
    other = await world.principal(await world.logged_in("alice"))
    return lambda: world.end_session(principal=principal, session_id=other.session.id)


async def _end_others(world: World) -> Act:
    await world.logged_in("alice")
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.end_other_sessions(principal=principal)


async def _end_all(world: World) -> Act:
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.end_all_sessions(principal=principal)


async def _update_profile(world: World) -> Act:
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.update_profile(principal=principal, username="alice_lee", display_name="Alice")


async def _request_email_change(world: World) -> Act:
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.request_email_change(
        principal=principal, new_email="alice@example.net", password=PASSWORD
    )


async def _confirm_email_change(world: World) -> Act:
    link = await world.confirmation_link(await world.logged_in("alice"))
    return lambda: world.confirm_email_change(**link.parts())


async def _undo_email_change(world: World) -> Act:
    link = await world.changed_email(await world.logged_in("alice"))
    return lambda: world.undo_email_change(**link.parts())


COMMANDS = [
    *(_register, _log_in, _log_in_elsewhere, _refresh, _log_out, _change, _forgot, _reset),
    *(_end_one, _end_others, _end_all),
    *(_update_profile, _request_email_change, _confirm_email_change, _undo_email_change),
]


def size(world: World) -> tuple[int, ...]:
    """How much of everything is stored."""
    state = world.state()
    names = ("users", "sessions", "devices", "one_time_tokens", "outbox", "events")
    return tuple(len(getattr(state, name)) for name in names)


class TestEveryCommand:
    @pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__.strip("_"))
    async def test_takes_effect_once_although_its_commit_was_lost_to_another(
        self, command: Command, new_world: Callable[[], World]
    ) -> None:
        undisturbed = new_world()
        await undisturbed.registered("alice")
        act = await command(undisturbed)
        await act()

        world = new_world()
        await world.registered("alice")
        act = await command(world)
        world.tap.fail_once("commit", Conflict("another was first"))
        await act()
        assert size(world) == size(undisturbed)
        assert world.happened == undisturbed.happened

    @pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__.strip("_"))
    async def test_leaves_nothing_when_another_is_always_first(self, command: Command, world: World) -> None:
        await world.registered("alice")
        act = await command(world)
        before = world.state()
        world.tap.fail_always("commit", Conflict("another was first"))
        with pytest.raises(IdentityError) as refusal:
            await act()
        assert isinstance(refusal.value, Unavailable)
        assert world.state() == before
        assert world.tap.calls.count("commit") == 4
