"""Every call of every port is made to fail once, one after the other (HT-11).

Whichever call it is, the use case never reports a success, and what is stored is either what was stored
before or all that it would have stored: never half of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.application.world import (
    BROWSER,
    NEW_PASSWORD,
    PASSWORD,
    RESET_LIFETIME,
    REUSE_WINDOW,
    SESSION_LIFETIME,
    WRONG_PASSWORD,
    World,
)

from identity.adapters.memory import PlainHasher
from identity.application.login import DEVICES_REMEMBERED
from identity.domain.errors import IdentityError, Unavailable

Act = Callable[[], Awaitable[Any]]
Scenario = Callable[[World], Awaitable[Act]]


class Broken(Exception):
    """Of a kind that nobody expects."""


# Each makes ready, and returns what is to be done.


async def registers(world: World) -> Act:
    return lambda: world.registered("bob")


async def registers_a_superuser(world: World) -> Act:
    return lambda: world.register_user(
        username="root", email="root@example.com", password=PASSWORD, superuser=True
    )


async def logs_in(world: World) -> Act:
    return lambda: world.logged_in("alice")


async def logs_in_by_address(world: World) -> Act:
    return lambda: world.logged_in("alice@example.com")


async def logs_in_from_a_new_device(world: World) -> Act:
    await world.logged_in("alice")
    elsewhere = replace(BROWSER, address="203.0.113.9")
    return lambda: world.log_in(username="alice", password=PASSWORD, client=elsewhere)


async def logs_in_and_is_rehashed(world: World) -> Act:
    world.hasher.today = PlainHasher(cost=2)
    return lambda: world.logged_in("alice")


async def logs_in_once_too_often(world: World) -> Act:
    for _ in range(3):
        world.clock.advance(timedelta(seconds=1))
        await world.logged_in("alice")
    log_in = replace(world.log_in, sessions_per_account=3)
    return lambda: log_in(username="alice", password=PASSWORD)


async def fails_to_log_in(world: World) -> Act:
    return lambda: world.logged_in("alice", WRONG_PASSWORD)


async def refreshes(world: World) -> Act:
    pair = await world.logged_in("alice")
    return lambda: world.refreshed(pair)


async def refreshes_with_the_pending_token(world: World) -> Act:
    pair = await world.refreshed(await world.logged_in("alice"))
    return lambda: world.refreshed(pair)


async def replays_a_superseded_token(world: World) -> Act:
    pair = await world.logged_in("alice")
    await world.refreshed(await world.refreshed(pair))
    world.clock.advance(REUSE_WINDOW)
    return lambda: world.refresh_session(refresh=pair.refresh, client=BROWSER)


async def logs_out(world: World) -> Act:
    pair = await world.logged_in("alice")
    return lambda: world.log_out(refresh=pair.refresh)


async def verifies_a_token(world: World) -> Act:
    pair = await world.logged_in("alice")
    return lambda: world.verify_token(token=pair.refresh)


async def shows_the_profile(world: World) -> Act:
    pair = await world.logged_in("alice")

    async def authenticates_and_shows() -> object:
        return await world.show_profile(principal=await world.principal(pair))

    return authenticates_and_shows


async def sees_the_sessions(world: World) -> Act:
    pair = await world.logged_in("alice")

    async def authenticates_and_lists() -> object:
        return await world.list_sessions(principal=await world.principal(pair))

    return authenticates_and_lists


async def ends_a_session(world: World) -> Act:
    other = await world.principal(await world.logged_in("alice"))
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.end_session(principal=principal, session_id=other.session.id)


async def ends_a_session_that_is_over(world: World) -> Act:
    act = await ends_a_session(world)
    await act()
    return act


async def ends_the_other_sessions(world: World) -> Act:
    await world.logged_in("alice")
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.end_other_sessions(principal=principal)


async def ends_all_sessions(world: World) -> Act:
    await world.logged_in("alice")
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.end_all_sessions(principal=principal)


async def changes_the_password(world: World) -> Act:
    await world.logged_in("alice")
    await world.reset_link()
    principal = await world.principal(await world.logged_in("alice"))
    return lambda: world.change_password(
        principal=principal, old_password=PASSWORD, new_password=NEW_PASSWORD, client=BROWSER
    )


async def forgets_the_password(world: World) -> Act:
    return lambda: world.request_reset(email="alice@example.com")


async def resets_the_password(world: World) -> Act:
    await world.logged_in("alice")
    await world.reset_link()
    link = await world.reset_link()
    return lambda: world.reset_password(**link.with_password(NEW_PASSWORD), client=BROWSER)


async def purges_sessions(world: World) -> Act:
    await world.logged_in("alice")
    world.clock.advance(SESSION_LIFETIME * 2)
    return world.purge_expired


async def purges_devices(world: World) -> Act:
    await world.logged_in("alice")
    world.clock.advance(SESSION_LIFETIME * 2)
    await world.purge_expired()  # the session, in a transaction of its own
    world.clock.advance(DEVICES_REMEMBERED)
    return world.purge_expired


async def purges_reset_tokens(world: World) -> Act:
    await world.reset_link()
    world.clock.advance(SESSION_LIFETIME * 2)
    return world.purge_expired


async def checks_health(world: World) -> Act:
    await world.request_reset(email="alice@example.com")
    return world.check_health


SCENARIOS: list[Scenario] = [
    registers,
    registers_a_superuser,
    logs_in,
    logs_in_by_address,
    logs_in_from_a_new_device,
    logs_in_and_is_rehashed,
    logs_in_once_too_often,
    fails_to_log_in,
    refreshes,
    refreshes_with_the_pending_token,
    replays_a_superseded_token,
    logs_out,
    verifies_a_token,
    shows_the_profile,
    sees_the_sessions,
    ends_a_session,
    ends_a_session_that_is_over,
    ends_the_other_sessions,
    ends_all_sessions,
    changes_the_password,
    forgets_the_password,
    resets_the_password,
    purges_sessions,
    purges_devices,
    purges_reset_tokens,
    checks_health,
]
# What each leaves behind in the transaction that does it.
TRACES: dict[Scenario, list[str]] = {
    registers: ["audit_log.append"],
    registers_a_superuser: ["audit_log.append"],
    logs_in: ["audit_log.append", "devices.see"],
    logs_in_from_a_new_device: ["audit_log.append", "devices.see", "outbox.put"],
    replays_a_superseded_token: ["audit_log.append", "outbox.put"],
    logs_out: ["audit_log.append"],
    ends_a_session: ["audit_log.append"],
    ends_the_other_sessions: ["audit_log.append"],
    ends_all_sessions: ["audit_log.append"],
    changes_the_password: ["audit_log.append", "outbox.put"],
    forgets_the_password: ["outbox.put"],
    resets_the_password: ["audit_log.append", "outbox.put"],
}
REFUSED = {fails_to_log_in, replays_a_superseded_token, ends_a_session_that_is_over}


async def made_ready(scenario: Scenario) -> tuple[World, Act]:
    """Always the same, to the last random number."""
    world = World()
    await world.registered("alice")
    act = await scenario(world)
    world.tap.forget()
    return world, act


async def undisturbed(scenario: Scenario) -> tuple[list[str], Any]:
    """The calls it makes, and what is stored then."""
    world, act = await made_ready(scenario)
    try:
        await act()
    except IdentityError:
        assert scenario in REFUSED
    return list(world.tap.calls), world.state()


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
class TestSomebody:
    @pytest.mark.parametrize(
        "error", [Broken("on fire"), Unavailable("on fire")], ids=["broken", "unavailable"]
    )
    async def test_is_never_told_of_a_success_and_never_left_with_half_of_it(
        self, scenario: Scenario, error: Exception
    ) -> None:
        calls, done = await undisturbed(scenario)
        assert calls
        for number, name in enumerate(calls, start=1):
            world, act = await made_ready(scenario)
            before = world.state()
            world.tap.fail_once(number, error)
            with pytest.raises(type(error), match="on fire"):
                await act()
            assert world.tap.calls[number - 1] == name
            assert world.state() in (before, done), f"half a state after {name}, call {number}"
            if "commit" in calls and number <= calls.index("commit") + 1:
                assert world.state() == before

    async def test_can_try_again(self, scenario: Scenario) -> None:
        """Also after the transaction was committed and its answer lost (I3)."""
        calls, done = await undisturbed(scenario)
        for number in range(1, len(calls) + 1):
            world, act = await made_ready(scenario)
            before = world.state()
            world.tap.fail_once(number, Broken("on fire"))
            with pytest.raises(Broken):
                await act()
            if world.state() == before:
                try:
                    await act()
                except IdentityError:
                    assert scenario in REFUSED
                assert [event.kind for event in world.storage.events] == [event.kind for event in done.events]
            else:
                assert world.state() == done


@pytest.mark.parametrize(
    ("scenario", "trace"),
    [(scenario, trace) for scenario, traces in TRACES.items() for trace in traces],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
class TestACommand:
    async def test_that_cannot_leave_its_trace_does_nothing(self, scenario: Scenario, trace: str) -> None:
        """Law 7: state, tokens, audit event and mail intent commit together or not at all."""
        calls, _ = await undisturbed(scenario)
        assert calls.count("begin") == calls.count("commit") == 1
        assert calls.index("begin") < calls.index(trace) < calls.index("commit")
        world, act = await made_ready(scenario)
        before = world.state()
        world.tap.fail_always(trace, Broken("on fire"))
        with pytest.raises(Broken):
            await act()
        assert world.state() == before


class TestNothingSlowIsDoneInsideATransaction:
    """Law 4. No connection is held while a password is hashed, a token signed or a mail sent."""

    @pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
    async def test_by(self, scenario: Scenario) -> None:
        calls, _ = await undisturbed(scenario)
        inside = False
        for call in calls:
            inside = (inside or call == "begin") and call != "commit"
            assert not (
                inside and call.partition(".")[0] in {"hasher", "tokens", "mailer", "common_passwords"}
            )


class TestAWorkerDeliveringMail:
    @pytest.mark.parametrize(
        "scenario",
        [forgets_the_password, changes_the_password, resets_the_password, logs_in_from_a_new_device],
    )
    async def test_loses_no_mail_whichever_call_fails(self, scenario: Scenario) -> None:
        world, act = await made_ready(scenario)
        await act()
        world.tap.forget()
        assert await world.deliver_mail()
        expected = world.mailer.sent[-1]

        for number in range(1, len(world.tap.calls) + 1):
            world, act = await made_ready(scenario)
            await act()
            already = len(world.mailer.sent)
            world.tap.fail_once(number, Broken("on fire"))
            try:
                await world.deliver_mail()
            except Broken:
                world.tap.forget()
            for _ in range(3):
                world.clock.advance(RESET_LIFETIME / 10)
                await world.delivered()
            copies = world.mailer.sent[already:]
            assert 1 <= len(copies) <= 2  # a second only where it is not known that the first was taken
            assert {(copy.id, copy.to, copy.date) for copy in copies} == {
                (expected.id, expected.to, expected.date)
            }
            assert world.waiting == []
