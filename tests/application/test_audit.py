"""Sealing the audit log, checking it, handing it out and throwing away what is over."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.application.world import BROWSER, RETENTION, SEALING_KEY, World

from identity.application.audit import SETTLED_AFTER
from identity.domain.audit_seal import FIRST, AuditEntry, SealedDay, SealingKey
from identity.domain.audit_verification import MOST_FAULTS, AuditVerifier
from identity.domain.events import LoggedIn
from identity.entrypoints.worker import working
from identity.testing.samples import NOW, SECOND

TICK = timedelta(microseconds=1)
DAY = timedelta(days=1)
NEW_KEY = SealingKey(b"another key of 32 bytes, for it.")


async def note(world: World, count: int = 1, **how: Any) -> None:
    for number in range(count):
        async with world.storage.begin() as uow:
            at = how.get("at", world.clock.now())
            await uow.audit_log.append(LoggedIn(at=at, user_id=number + 1, client=BROWSER))


async def settled(world: World, count: int = 1) -> None:
    await note(world, count)
    world.clock.advance(SETTLED_AFTER)


async def entries(world: World) -> list[AuditEntry]:
    return [entry async for entry in world.export_audit_log()]


def with_keys(world: World, key: SealingKey, previous: SealingKey | None) -> None:
    for name in ("seal_audit_log", "verify_audit_log"):
        setattr(world, name, replace(getattr(world, name), key=key, previous_key=previous))


class TestSealing:
    async def test_takes_what_has_settled(self, world: World) -> None:
        await note(world)
        world.clock.advance(SETTLED_AFTER - TICK)
        assert await world.seal_audit_log() == 0
        world.clock.advance(TICK)
        assert await world.seal_audit_log() == 1
        assert await world.seal_audit_log() == 0

    async def test_waits_with_all_that_come_after_one_that_has_not(self, world: World) -> None:
        """One with a smaller number may still be on its way into the log."""
        now = world.clock.now()
        for at in (now, now + DAY, now):
            await note(world, at=at)
        world.clock.advance(SETTLED_AFTER)
        assert await world.seal_audit_log() == 1
        world.clock.advance(DAY)
        assert await world.seal_audit_log() == 2
        assert (await world.verify_audit_log()).is_good

    async def test_says_so_when_an_event_keeps_it_from_ever_going_on(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        """By which somebody would keep the seals from all that comes later."""
        await note(world)
        await note(world, at=world.clock.now() + timedelta(days=365))
        await settled(world)
        assert await world.seal_audit_log() == 1
        assert "not sealed any further" in caplog.text
        assert "event 2 is from a time that has not come" in caplog.text
        faults = (await world.verify_audit_log()).faults
        assert [str(fault) for fault in faults] == ["event 2 is from a time that has not come"]

    async def test_goes_on_in_batches_until_nothing_is_left(self, world: World) -> None:
        await settled(world, 1203)
        assert await world.seal_audit_log() == 1203
        verification = await world.verify_audit_log()
        assert verification.is_good
        assert (verification.checked, verification.days[0].events) == (1203, 1203)

    async def test_tells_the_log_the_head_of_a_day_that_is_over(
        self, world: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        await settled(world, 2)
        await world.seal_audit_log()
        assert caplog.messages == []
        world.clock.advance(DAY)
        await settled(world)
        await world.seal_audit_log()
        (first, _) = (await world.verify_audit_log()).days
        assert caplog.messages == [f"audit log sealed until event 2 on {first.day}: {first.seal.hex()}"]

    async def test_goes_on_with_the_day_that_it_was_when_a_clock_is_set_back(self, world: World) -> None:
        await settled(world)
        await world.seal_audit_log()
        await note(world, at=world.clock.now() - 3 * DAY)
        world.clock.advance(-2 * DAY)
        assert await world.seal_audit_log() == 1
        verification = await world.verify_audit_log()
        assert verification.is_good
        assert len(verification.days) == 1

    async def test_of_two_the_second_changes_nothing(self, world: World) -> None:
        await settled(world, 3)
        before = await entries(world)
        seals = SEALING_KEY.chain(FIRST, before)
        day = SealedDay(day="2026-01-01", last_id=3, events=3, key_id=SEALING_KEY.id)
        async with world.storage.begin() as uow:
            await uow.audit_seals.seal(seals, day=day, before=None)
        world.tap.answer_once("audit_seals.last_day", None)  # as it was before
        world.tap.answer_once("audit_seals.entries", tuple(before))
        stored = world.state()
        assert await world.seal_audit_log() == 0
        assert world.state() == stored

    async def test_is_done_beside_the_requests(self, world: World) -> None:
        await settled(world)
        sealed = asyncio.Event()

        async def seal() -> None:
            await world.seal_audit_log()
            sealed.set()

        async def idle() -> None: ...

        jobs: Any = {"purge_expired": idle, "rotate_keys_when_due": idle, "seal_audit_log": seal}
        async with working(deliveries=[], **jobs), asyncio.timeout(30):
            await sealed.wait()
        assert (await world.verify_audit_log()).checked == 1


class TestAnotherSecret:
    async def test_seals_from_the_next_day_on(self, world: World) -> None:
        await settled(world)
        await world.seal_audit_log()
        with_keys(world, NEW_KEY, SEALING_KEY)
        await settled(world)
        assert await world.seal_audit_log() == 1
        world.clock.advance(DAY)
        await settled(world)
        assert await world.seal_audit_log() == 1
        verification = await world.verify_audit_log()
        assert verification.is_good
        assert [day.key_id for day in verification.days] == [SEALING_KEY.id, NEW_KEY.id]

    async def test_waits_for_the_next_day_where_the_previous_one_is_not_given(self, world: World) -> None:
        await settled(world)
        await world.seal_audit_log()
        with_keys(world, NEW_KEY, None)
        await settled(world)
        assert await world.seal_audit_log() == 0
        world.clock.advance(DAY)
        assert await world.seal_audit_log() == 1
        verification = await world.verify_audit_log()
        day = verification.days[0].day
        assert [str(fault) for fault in verification.faults] == [
            f"the day {day} cannot be checked: it was sealed under a secret that is not given"
        ]


class TestVerifying:
    async def test_an_empty_log(self, world: World) -> None:
        verification = await world.verify_audit_log()
        assert verification.is_good
        assert (verification.checked, verification.unsealed, verification.days) == (0, 0, ())

    async def test_changes_nothing(self, world: World) -> None:
        await settled(world, 2)
        await world.seal_audit_log()
        before = world.state()
        await world.verify_audit_log()
        assert world.state() == before

    async def test_beside_one_who_seals_finds_nothing_wrong(self, world: World) -> None:
        """Today's head is another one by the time the last entries are read."""
        await settled(world, 2)
        await world.seal_audit_log()
        await settled(world, 2)
        honest, calls = world.verify_audit_log.read, 0

        def read() -> Any:
            nonlocal calls
            calls += 1
            return honest()

        class Meanwhile:
            async def __aenter__(self) -> Any:
                if calls == 2:  # the days and their entries have been read
                    await world.seal_audit_log()
                self.opened = read()
                return await self.opened.__aenter__()

            async def __aexit__(self, *exc: Any) -> Any:
                return await self.opened.__aexit__(*exc)

        verification = await replace(world.verify_audit_log, read=Meanwhile)()
        assert verification.is_good
        assert (verification.checked, verification.unsealed) == (4, 0)

    async def test_looks_for_a_head_that_was_noted_elsewhere(self, world: World) -> None:
        await settled(world, 2)
        await world.seal_audit_log()
        (day,) = (await world.verify_audit_log()).days
        await settled(world)
        await world.seal_audit_log()
        seals = [entry.seal for entry in await entries(world)]
        (longer,) = (await world.verify_audit_log()).days
        for head in (longer.seal, *seals):
            assert (await world.verify_audit_log(head=head)).is_good
        for head in (bytes(32), day.seal):  # of a day that went on
            (fault,) = (await world.verify_audit_log(head=head)).faults
            assert str(fault) == "the given head is not in the log"

    async def test_tells_of_so_many_faults_and_counts_the_others(self, world: World) -> None:
        await settled(world, 1500)
        await world.seal_audit_log()
        events = world.state().events
        events[:] = [replace(event, session_id="another") for event in events]
        verification = await world.verify_audit_log()
        assert len(verification.faults) == MOST_FAULTS
        assert verification.fault_count == 1500
        assert verification.checked == 1500


class TestPurging:
    async def test_takes_whole_days_whose_time_is_over(self, world: World) -> None:
        await settled(world, 2)
        await world.seal_audit_log()
        world.clock.advance(DAY)
        await settled(world)
        await world.seal_audit_log()
        world.clock.advance(RETENTION - DAY)
        assert (await world.purge_expired()).audit_events == 0
        world.clock.advance(DAY)
        assert (await world.purge_expired()).audit_events == 2
        assert world.happened == ["LoggedIn", "AuditEventsPurged"]
        (event,) = [each for each in world.storage.events if each.kind == "AuditEventsPurged"]
        (first, _) = (await world.verify_audit_log()).days
        assert event.subject == f"{first.day} {first.seal.hex()[:32]}"
        assert (await world.verify_audit_log()).is_good

    async def test_goes_on_where_it_was_killed(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("identity.application.audit.BATCH", 2)
        await settled(world, 5)
        await world.seal_audit_log()
        world.clock.advance(RETENTION + 2 * DAY)
        (day,) = (await world.verify_audit_log()).days
        await world.purge_expired.purge_audit_log._batch(day, is_first=True)
        assert len(await entries(world)) == 3 + 1
        assert (await world.purge_expired()).audit_events == 3
        assert world.happened == ["AuditEventsPurged"]
        assert (await world.verify_audit_log()).is_good

    async def test_leaves_what_was_never_sealed(self, world: World) -> None:
        await note(world)
        world.clock.advance(RETENTION * 2)
        assert (await world.purge_expired()).audit_events == 0

    async def test_goes_on_when_all_was_purged(self, world: World) -> None:
        await settled(world, 2)
        await world.seal_audit_log()
        world.clock.advance(RETENTION + 2 * DAY)
        await world.purge_expired()
        world.clock.advance(SETTLED_AFTER)
        await world.seal_audit_log()
        world.clock.advance(RETENTION + 2 * DAY)
        await world.purge_expired()
        await settled(world)
        await world.seal_audit_log()
        verification = await world.verify_audit_log()
        assert verification.is_good
        assert [entry.id for entry in await entries(world)] == [4, 5]


class TestTheExport:
    async def test_has_every_event_in_its_order(self, world: World) -> None:
        await settled(world, 1500)
        await world.seal_audit_log()
        exported = await entries(world)
        assert [entry.id for entry in exported] == list(range(1, 1501))
        assert all(entry.seal for entry in exported)

    async def test_has_what_happened_since_then_and_before(self, world: World) -> None:
        now = world.clock.now()
        for number in range(4):
            await note(world, at=now + number * SECOND)
        wanted = world.export_audit_log(since=now + SECOND, until=now + 3 * SECOND)
        assert [entry.id async for entry in wanted] == [2, 3]


# Random histories


def history(count: int, sealed_days: list[int]) -> tuple[list[AuditEntry], list[SealedDay]]:
    """So many entries, of which these many are sealed on each day."""
    plain = [
        AuditEntry(id=2 * number + 1, at=NOW + number * SECOND, kind="LoggedOut", role="owner", user_id=1)
        for number in range(count)
    ]
    sealed, days, before, place = [], [], bytes(FIRST), 0
    for number, size in enumerate(sealed_days):
        part = plain[place : place + size]
        if not part:
            break
        seals = SEALING_KEY.chain(before, part)
        sealed += [replace(entry, seal=seal) for entry, (_, seal) in zip(part, seals, strict=True)]
        day = SealedDay(
            day=f"2026-01-{number + 1:02}", last_id=part[-1].id, events=len(part), key_id=SEALING_KEY.id
        )
        days.append(replace(day, seal=SEALING_KEY.seal_day(seals[-1][1], day)))
        before, place = days[-1].seal, place + size
    return sealed + plain[place:], days


def verified(log: list[AuditEntry], days: list[SealedDay]) -> list[str]:
    verifier = AuditVerifier({SEALING_KEY.id: SEALING_KEY})
    place = -1
    for day in days:
        for entry in log:
            if place < entry.id <= day.last_id:
                verifier.check(entry, day)
        verifier.leave(day)
        place = max(place, day.last_id)
    for entry in log:
        if entry.id > place:
            verifier.check_rest(entry)
    verifier.finish()
    return [str(fault) for fault in verifier.faults]


HISTORIES = st.tuples(st.integers(2, 12), st.lists(st.integers(1, 6), min_size=1, max_size=4))
DEEDS = ("alter", "delete", "insert", "swap", "unseal", "reseal", "alter day", "delete day")


@settings(max_examples=400, deadline=None)
@given(HISTORIES, st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 99)), max_size=3))
def test_whatever_is_done_to_what_was_sealed_is_found(
    shape: tuple[int, list[int]], deeds: list[tuple[str, int]]
) -> None:
    log, days = history(*shape)
    before = list(log), list(days)
    for deed, where in deeds:
        log, days = done(deed, where, log, days)
    assert bool(verified(log, days)) == is_touched(log, days, *before)


def is_touched(
    log: list[AuditEntry],
    days: list[SealedDay],
    log_before: list[AuditEntry],
    days_before: list[SealedDay],
) -> bool:
    """In what the seals speak for. Who takes the last day away with all its seals makes it as if it had never
    been sealed, which only a head that is noted elsewhere can show."""
    last = max((day.last_id for day in days), default=0)
    sealed = [entry for entry in log if entry.id <= last or entry.seal is not None]
    expected = [entry for entry in log_before if entry.id <= last]
    return sealed != expected or days != days_before[: len(days)]


def done(
    deed: str, where: int, log: list[AuditEntry], days: list[SealedDay]
) -> tuple[list[AuditEntry], list[SealedDay]]:
    if not log or not days:
        return log, days
    place, other, day = where % len(log), (where * 7 + 1) % len(log), where % len(days)
    match deed:
        case "alter":
            log = [*log[:place], replace(log[place], subject=f"{where}"), *log[place + 1 :]]
        case "delete":
            log = log[:place] + log[place + 1 :]
        case "insert":
            new = replace(log[place], id=2 * where, seal=None if where % 2 else log[other].seal)
            log = sorted([*(each for each in log if each.id != new.id), new], key=lambda each: each.id)
        case "swap":
            ids = {log[place].id: log[other].id, log[other].id: log[place].id}
            log = sorted(
                (replace(each, id=ids.get(each.id, each.id)) for each in log), key=lambda each: each.id
            )
        case "unseal":
            log = [*log[:place], replace(log[place], seal=None), *log[place + 1 :]]
        case "reseal":
            log = [*log[:place], replace(log[place], seal=bytes([where]) * 32), *log[place + 1 :]]
        case "alter day":
            days = [*days[:day], replace(days[day], events=where + 100), *days[day + 1 :]]
        case "delete day":
            days = days[:day] + days[day + 1 :]
    return log, days
