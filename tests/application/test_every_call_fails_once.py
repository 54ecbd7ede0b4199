"""Every call of every port is made to fail once, one after the other (HT-11).

Whichever call it is, whether it fails before or after it has taken effect, and however: the use case never
reports a success, and what is stored is either what was stored before or all that it would have stored, never
half of it. On memory each point is tried with one kind of failure, in turn, on SQLite every 21st of them; on
both each with every kind where `FAULTS=all` is set (`make faults`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from tests import figures
from tests.application.faults import (
    AFTER,
    BEFORE,
    DURING,
    KINDS,
    SETTINGS,
    Fault,
    FaultyWorld,
    use_cases,
)
from tests.application.scenarios import (
    DELIVERIES,
    GOES_ON_ALL_THE_SAME,
    REFUSED,
    SCENARIOS,
    TRACED_WITH_EACH_REFUSAL,
    TRACES,
    Act,
    Scenario,
    forgets_the_password,
    resets_the_password,
)
from tests.application.sqlite_file import SqliteFile
from tests.databases import Databases
from tests.sampling import ALL

from identity.adapters.memory import PlainHasher
from identity.application.passwords import ResetPassword
from identity.application.signing_keys import NoSuchKey
from identity.container import build_container
from identity.domain.errors import IdentityError, OneTimeTokenRefused, Unavailable
from identity.domain.one_time_token import Purpose

REFUSALS = (IdentityError, NoSuchKey)
TRIED_AGAIN_AFTER = timedelta(seconds=45)  # less than the reuse window, more than anything is reserved for
LEASE_IS_OVER = timedelta(minutes=6)

Record = Callable[[str, Any], None]


def named(value: Any) -> str:
    return value if isinstance(value, str) else value.__name__


each_scenario = pytest.mark.parametrize("scenario", SCENARIOS, ids=named)


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def file(storage: str, databases: Databases) -> AsyncIterator[SqliteFile | None]:
    file = SqliteFile(databases.migrated("sqlite")) if storage == "sqlite" else None
    yield file
    if file:
        await file.close()


class Stage:
    """One scenario, made ready again and again, always the same to the last random number."""

    def __init__(self, scenario: Scenario, file: SqliteFile | None = None) -> None:
        self.scenario = scenario
        self.file = file
        self.calls: list[str] = []
        self.done: Any = None
        """What is stored in the end."""
        self.sketch: dict[str, Any] = {}

    async def rehearse(self) -> None:
        """Finds out which calls it makes, and what is stored then."""
        if self.file:
            self.file.empty()
            world = FaultyWorld()
            world.on_file(self.file)
            await self._set(world)
            self.file.keep()
        world, act = await self.ready()
        try:
            await act()
        except REFUSALS:
            assert self.scenario in REFUSED
        self.calls, self.done, self.sketch = list(world.tap.calls), world.state(), world.sketch()
        assert self.calls

    async def ready(self) -> tuple[FaultyWorld, Act]:
        world = FaultyWorld()
        act = await self._set(world)
        if self.file:
            self.file.put_back()
            world.on_file(self.file)
        world.tap.forget()
        return world, act

    async def _set(self, world: FaultyWorld) -> Act:
        await world.registered("alice")
        return await self.scenario(world)

    def faults(self, kinds: list[str], *, every: bool) -> list[Fault]:
        """All of them; or each call before and after with one kind, in turn."""
        numbers = range(1, len(self.calls) + 1)
        points = [(number, when) for number in numbers for when in (BEFORE, AFTER)]
        if every:
            faults = [Fault(number=number, when=when, kind=kind) for number, when in points for kind in kinds]
        else:
            faults = [
                Fault(number=number, when=when, kind=kinds[turn % len(kinds)])
                for turn, (number, when) in enumerate(points, start=len(self.calls))
            ]
        return faults + [Fault(number=number, when=DURING, kind="cancelled") for number in numbers]

    def is_before_the_commit(self, fault: Fault) -> bool:
        """A cancelled task runs on to where it waits next, which may be behind the commit."""
        if "commit" not in self.calls or fault.when == DURING:
            return False
        commit = self.calls.index("commit") + 1
        return fault.number < commit or (fault.number, fault.when) == (commit, BEFORE)

    def name(self, fault: Fault) -> str:
        return f"{fault.kind} {fault.when} {self.calls[fault.number - 1]}, call {fault.number}"


def chosen(stage: Stage, every: list[Fault]) -> list[Fault]:
    if ALL:
        return every
    in_turn = stage.faults(list(KINDS), every=False)
    return in_turn[::21] if stage.file else in_turn  # of before, after and five kinds none is left out


async def outcome(act: Act) -> BaseException | None:
    """How it ended, in a task of its own as each request has one. `None` is a success."""
    task = asyncio.ensure_future(act())
    await asyncio.wait([task])
    return asyncio.CancelledError() if task.cancelled() else task.exception()


def is_told(error: BaseException | None, kind: str) -> bool:
    """Whether this is what went wrong. SQL storage says of any lost connection that it is unavailable."""
    expected = type(KINDS[kind]())
    return isinstance(error, expected) or (
        expected is ConnectionResetError
        and isinstance(error, Unavailable)
        and isinstance(error.__cause__, ConnectionResetError)
    )


async def check(stage: Stage, fault: Fault) -> None:
    """One failure at one point, and another try."""
    what = stage.name(fault)
    world, act = await stage.ready()
    before = world.state()
    world.tap.fail_once(fault)
    error = await outcome(act)
    assert stage.calls[fault.number - 1] == world.tap.calls[fault.number - 1]
    # A cancelled task that has nothing more to wait for ends with its refusal.
    refused = fault.when == DURING and stage.scenario in REFUSED and isinstance(error, REFUSALS)
    if stage.scenario not in GOES_ON_ALL_THE_SAME and not refused:
        assert is_told(error, fault.kind), f"{what}: {error!r}"
    after = world.state()
    assert after in (before, stage.done), f"half a state: {what}"
    if stage.is_before_the_commit(fault):
        assert after == before, what
    await check_another_try(stage, world, act, what, undone=after == before)


async def check_another_try(stage: Stage, world: FaultyWorld, act: Act, what: str, *, undone: bool) -> None:
    """What was not done is done by it; what was done is either refused, or done anew as a whole (I3)."""
    world.clock.advance(TRIED_AGAIN_AFTER)
    error = await outcome(act)
    assert error is None or isinstance(error, REFUSALS), f"another try after {what}: {error!r}"
    if undone:
        assert (error is not None) == (stage.scenario in REFUSED), f"another try after {what}: {error!r}"
        assert world.sketch() == stage.sketch, f"another try after {what}"
    elif error is not None and stage.scenario not in TRACED_WITH_EACH_REFUSAL:
        assert world.state() == stage.done, f"another try after {what}"


class TestSomebody:
    @each_scenario
    async def test_is_never_told_of_a_success_nor_left_with_half_of_it_and_can_try_again(
        self, scenario: Scenario, storage: str, file: SqliteFile | None, record_property: Record
    ) -> None:
        stage = Stage(scenario, file)
        await stage.rehearse()
        every = stage.faults(list(KINDS), every=True)
        faults = chosen(stage, every)
        for fault in faults:
            await check(stage, fault)
        note(record_property, storage, scenario, tried=len(faults), of=len(every))


def note(record: Record, storage: str, scenario: Scenario, *, tried: int, of: int) -> None:
    kinds = "all kinds" if tried == of else "one kind in turn"
    table = f"every call fails once, on {storage}"
    figures.note(record, table=table, use_case=scenario.__name__, tried=tried, of=of, kinds=kinds)


class TestTheScenarios:
    def test_use_every_use_case_of_the_container(self) -> None:
        used: set[type] = set()

        async def use_all() -> None:
            for scenario in SCENARIOS:
                stage = Stage(scenario)
                world, act = await stage.ready()
                world.forget_use_cases()  # of making ready
                await outcome(act)
                used.update(world.tap.used)

        asyncio.run(use_all())
        forgotten = {name for name, kind in use_cases(build_container(SETTINGS)).items() if kind not in used}
        assert forgotten == {"calibrate"}  # it measures hashers, and touches nothing else


@pytest.mark.parametrize(
    ("scenario", "trace"),
    [(scenario, trace) for scenario, traces in TRACES.items() for trace in traces],
    ids=named,
)
class TestACommand:
    async def test_that_cannot_leave_its_trace_does_nothing(self, scenario: Scenario, trace: str) -> None:
        """Law 7: state, tokens, audit event and mail intent commit together or not at all."""
        stage = Stage(scenario)
        await stage.rehearse()
        calls = stage.calls
        assert calls.count("begin") == calls.count("commit") == 1
        assert calls.index("begin") < calls.index(trace) < calls.index("commit")
        world, act = await stage.ready()
        before = world.state()
        world.tap.fail_always(trace)
        with pytest.raises(ValueError, match="on fire"):
            await act()
        assert world.state() == before


class TestNothingSlowIsDoneInsideATransaction:
    """Law 4. No connection is held while a password is hashed, a token signed or a mail sent."""

    @each_scenario
    async def test_by(self, scenario: Scenario) -> None:
        stage = Stage(scenario)
        await stage.rehearse()
        inside = False
        for call in stage.calls:
            inside = (inside or call == "begin") and call != "commit"
            assert not (
                inside and call.partition(".")[0] in {"hasher", "tokens", "mailer", "common_passwords"}
            )


class TestAWorkerDeliveringMail:
    @pytest.mark.parametrize("scenario", DELIVERIES, ids=named)
    async def test_loses_no_mail_whichever_call_fails(
        self, scenario: Scenario, storage: str, file: SqliteFile | None, record_property: Record
    ) -> None:
        async def waits(world: Any) -> Act:
            act = await scenario(world)
            await outcome(act)
            return world.deliver_mail

        stage = Stage(waits, file)
        await stage.rehearse()
        world, act = await stage.ready()
        assert await act()
        (*_, expected) = world.mailer.sent
        every = stage.faults(list(KINDS), every=True)
        faults = chosen(stage, every)
        faults = faults if ALL else faults[::3]  # each mail goes the same way
        for fault in faults:
            what = stage.name(fault)
            world, act = await stage.ready()
            already = len(world.mailer.sent)
            world.tap.fail_once(fault)
            await outcome(act)
            assert len(world.mailer.sent) <= already + 1, what
            for _ in range(3):
                world.clock.advance(LEASE_IS_OVER)
                await world.delivered()
            copies = world.mailer.sent[already:]
            # a second only where it is not known that the first was taken
            assert 1 <= len(copies) <= 2, what
            assert {(copy.id, copy.to, copy.date) for copy in copies} == {
                (expected.id, expected.to, expected.date)
            }, what
            assert world.sketch()["mail"] == [], what

        async def delivers() -> None: ...

        delivers.__name__ = f"mail after {scenario.__name__}"
        note(record_property, storage, delivers, tried=len(faults), of=len(every))  # type: ignore[arg-type]


class InTwoTransactions(ResetPassword):
    """A mistake: the password is changed in one transaction, and the link is spent in another."""

    async def __call__(self, *, uidb64: str, token: Any, password: Any, client: Any) -> None:
        user, _ = await self.follow_link(
            uidb64=uidb64, token=token, purpose=Purpose.RESET_PASSWORD, client=client
        )
        now = self.clock.now()
        async with self.begin() as uow:
            await uow.users.save(user.with_password(await PlainHasher().hash(password), at=now))
        async with self.begin() as uow:
            if not await uow.one_time_tokens.spend(
                token.digest(), purpose=Purpose.RESET_PASSWORD, user_id=user.id, at=now
            ):
                raise OneTimeTokenRefused


class TestTheCheck:
    async def test_finds_two_transactions_where_one_is_due(
        self, storage: str, file: SqliteFile | None
    ) -> None:
        async def resets_in_two(world: Any) -> Act:
            act = await resets_the_password(world)
            world.reset_password = world.tap.on_use_case(
                InTwoTransactions(
                    **{
                        name: getattr(world.as_wired("reset_password"), name)
                        for name in ResetPassword.__dataclass_fields__
                    }
                )
            )
            return act

        stage = Stage(resets_in_two, file)
        await stage.rehearse()
        second = [number for number, name in enumerate(stage.calls, start=1) if name == "begin"][1]
        with pytest.raises(AssertionError, match="half a state"):
            await check(stage, Fault(number=second, when=BEFORE, kind="ValueError"))

    async def test_finds_a_success_that_was_none(self) -> None:
        async def forgets_and_hides(world: Any) -> Act:
            act = await forgets_the_password(world)

            async def hides() -> None:
                with contextlib.suppress(Exception):
                    await act()

            return hides

        stage = Stage(forgets_and_hides)
        await stage.rehearse()
        fault = Fault(number=stage.calls.index("begin") + 1, when=BEFORE, kind="ValueError")
        with pytest.raises(AssertionError, match="ValueError before begin"):
            await check(stage, fault)
