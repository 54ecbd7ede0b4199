"""Keeping the audit log honest: sealing it, checking the seals, and handing it out."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import takewhile

from identity.application.conflicts import retried_on_conflict
from identity.application.ports import BeginUnitOfWork, Clock, ReadUnitOfWork, UnitOfWork
from identity.domain.audit_seal import FIRST, AuditEntry, SealedDay, SealingKey
from identity.domain.audit_verification import AuditFault, AuditVerifier, Tampering
from identity.domain.errors import Conflict
from identity.domain.events import SERVICE, AuditEventsPurged

log = logging.getLogger(__name__)

SETTLED_AFTER = timedelta(minutes=2)
"""What is older has been committed: a unit of work ends after ten seconds, and clocks may be apart."""
AHEAD = timedelta(hours=1)
"""No clock is as far as that before another, so that an event that is waits for nothing that could come."""
BATCH = 500  # rows in one transaction
PAGE = 1_000  # entries read at once
BEFORE_ALL = -(2**63)  # ids begin at 1, but for those that somebody else has given


class SealBroken(Exception):
    """What was sealed last is not in the log any more as it was, so that nothing can be sealed after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealAuditLog:
    """Seals the events that have settled, in the order of their ids; how many.

    Any number of processes may do so at once: of two that seal the same, the second changes nothing. A day is
    sealed under one key: where the secret has changed, the new one takes over when the next day begins.
    """

    begin: BeginUnitOfWork
    clock: Clock
    key: SealingKey
    previous_key: SealingKey | None

    async def __call__(self) -> int:
        total = 0
        try:
            while count := await self._batch():
                total += count
        except Conflict:
            return total  # another process is at it
        except SealBroken as broken:
            log.error("the audit log is not sealed any further, see `identity audit verify`: %s", broken)
        return total

    async def _batch(self) -> int:
        now = self.clock.now()
        today = now.astimezone(UTC).date().isoformat()
        async with self.begin() as uow:
            before = await uow.audit_seals.last_day()
            if before is not None and before.day >= today:  # a clock that is behind goes on with that day
                sealed = await self._go_on(uow, before, at=now)
            else:
                sealed = await self._begin_day(uow, before, today, at=now)
        if sealed and before is not None and before.day < today:
            log.info(
                "audit log sealed until event %d on %s: %s", before.last_id, before.day, before.seal.hex()
            )
        return sealed

    async def _go_on(self, uow: UnitOfWork, day: SealedDay, *, at: datetime) -> int:
        key = next((each for each in (self.key, self.previous_key) if each and each.id == day.key_id), None)
        if key is None:
            return 0
        last, *entries = await uow.audit_seals.entries(after=day.last_id - 1, limit=BATCH + 1) or [None]
        if (
            last is None
            or last.id != day.last_id
            or last.seal is None
            or key.seal_day(last.seal, day) != day.seal
        ):
            raise SealBroken(f"event {day.last_id}, the last of {day.day}, is not as it was")
        settled = _settled(entries, at=at)
        return await _seal(uow, settled, after=last.seal, key=key, day=day, before=day)

    async def _begin_day(self, uow: UnitOfWork, before: SealedDay | None, today: str, *, at: datetime) -> int:
        after, last_id = (FIRST, 0) if before is None else (before.seal, before.last_id)
        entries = await uow.audit_seals.entries(after=last_id, limit=BATCH)
        settled = _settled(entries, at=at)
        day = SealedDay(day=today, last_id=last_id, events=0, key_id=self.key.id)
        return await _seal(uow, settled, after=after, key=self.key, day=day, before=None)


def _settled(entries: Sequence[AuditEntry | None], *, at: datetime) -> list[AuditEntry]:
    """Those up to the first that may not be the next, for one before it may still come."""
    settled: list[AuditEntry] = []
    for entry in entries:
        if entry is None or entry.at > at - SETTLED_AFTER:
            if entry is not None and entry.at > at + AHEAD:
                log.error("the audit log is not sealed any further: %s", _ahead(entry))
            break
        if entry.seal is not None:
            raise SealBroken(f"event {entry.id} is sealed, but the day on which it was is missing")
        settled.append(entry)
    return settled


def _ahead(entry: AuditEntry) -> AuditFault:
    return AuditFault(tampering=Tampering.AHEAD, id=entry.id)


async def _seal(
    uow: UnitOfWork,
    entries: Sequence[AuditEntry],
    *,
    after: bytes,
    key: SealingKey,
    day: SealedDay,
    before: SealedDay | None,
) -> int:
    if not entries:
        return 0
    seals = key.chain(after, entries)
    last_id, last_seal = seals[-1]
    longer = replace(day, last_id=last_id, events=day.events + len(seals))
    await uow.audit_seals.seal(
        seals, day=replace(longer, seal=key.seal_day(last_seal, longer)), before=before
    )
    return len(seals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What came of checking the audit log."""

    days: tuple[SealedDay, ...]
    checked: int
    """Events whose seal was checked."""
    unsealed: int
    """Events that are too young to be sealed, or that the service, which seals them, has not got to."""
    faults: tuple[AuditFault, ...]
    """In the order of the log, and no more than `MOST_FAULTS`."""
    fault_count: int

    @property
    def is_good(self) -> bool:
        return not self.fault_count


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyAuditLog:
    """Checks every seal of the audit log, and tells what is wrong with which event. Changes nothing.

    Beside the service that seals and purges meanwhile, it takes what is there when it comes to it.
    """

    read: ReadUnitOfWork
    clock: Clock
    key: SealingKey
    previous_key: SealingKey | None
    retention: timedelta

    async def __call__(self, *, head: bytes | None = None) -> Verification:
        """`head`: the seal of an event or a day that was noted elsewhere, and has to be in the log."""
        while True:
            verification = await self._verify(head)
            if verification.is_good or await self._purged() == _purged(verification.days):
                return verification
            # Some were purged while they were looked for.

    async def _verify(self, head: bytes | None) -> Verification:
        keys = {key.id: key for key in (self.key, self.previous_key) if key is not None}
        verifier = AuditVerifier(keys, head=head)
        days: list[SealedDay] = []
        later = await self._days(after=BEFORE_ALL)
        place = BEFORE_ALL
        while True:
            for day in later:
                if days and days[-1].day == day.day:  # it has grown since
                    days.pop()
                    verifier.reopen()
                if day.purged_at is not None and all(each.purged_at for each in days):
                    self._check_purge(verifier, day)
                    verifier.skip(day)
                else:
                    async for entry in _entries(self.read, after=place, until=day.last_id):
                        verifier.check(entry, day)
                    verifier.leave(day)
                days.append(day)
                place = max(place, day.last_id)
            if await self._verify_rest(verifier, place):
                break
            later = await self._days(after=place)
        verifier.finish()
        return Verification(
            days=tuple(days),
            checked=verifier.checked,
            unsealed=verifier.unsealed,
            faults=verifier.faults,
            fault_count=verifier.fault_count,
        )

    async def _verify_rest(self, verifier: AuditVerifier, place: int) -> bool:
        """Those after the last day. False: some were sealed meanwhile, and are to be checked first."""
        verifier.unsealed = 0
        is_known_to_be_last = False
        async for entry in _entries(self.read, after=place):
            if entry.seal is not None and not is_known_to_be_last:
                if await self._days(after=place):
                    return False
                is_known_to_be_last = True
            if entry.seal is None and entry.at > self.clock.now() + AHEAD:  # and holds up the seals
                verifier.note(_ahead(entry))
            verifier.check_rest(entry)
        return True

    def _check_purge(self, verifier: AuditVerifier, day: SealedDay) -> None:
        if not _is_over(day, retention=self.retention, at=self.clock.now()):
            verifier.note(AuditFault(tampering=Tampering.PURGED_EARLY, day=day.day))

    async def _days(self, *, after: int) -> tuple[SealedDay, ...]:
        async with self.read() as uow:
            return tuple(day for day in await uow.audit_seals.days() if day.last_id > after)

    async def _purged(self) -> tuple[SealedDay, ...]:
        return _purged(await self._days(after=BEFORE_ALL))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportAuditLog:
    """Reads the whole audit log in the order of its ids, or what happened `since` then and before `until`."""

    read: ReadUnitOfWork

    async def __call__(
        self, *, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncIterator[AuditEntry]:
        async for entry in _entries(self.read, after=BEFORE_ALL):
            if (since is None or entry.at >= since) and (until is None or entry.at < until):
                yield entry


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeAuditLog:
    """Deletes the events of days whose time is over, as a whole, and the longest past first; how many.

    The day itself is kept: what comes after it was sealed after its seal.
    """

    read: ReadUnitOfWork
    begin: BeginUnitOfWork
    clock: Clock
    retention: timedelta

    async def __call__(self) -> int:
        async with self.read() as uow:
            days = await uow.audit_seals.days()
        now, total = self.clock.now(), 0
        over = list(takewhile(lambda day: _is_over(day, retention=self.retention, at=now), days))
        # Of the last one that was begun with, something may be left by a process that was killed.
        begun = [day for day in over if day.purged_at is not None][-1:]
        for day in begun + [day for day in over if day.purged_at is None]:
            # First of all it is noted, so that nobody misses those of the day that are gone already.
            total += (count := await self._batch(day, is_first=True))
            while count == BATCH:
                total += (count := await self._batch(day))
        return total

    @retried_on_conflict
    async def _batch(self, day: SealedDay, *, is_first: bool = False) -> int:
        now = self.clock.now()
        async with self.begin() as uow:
            if is_first and await uow.audit_seals.mark_purged(day.day, at=now):
                await uow.audit_log.append(AuditEventsPurged(at=now, actor=SERVICE, subject=day.label))
            return await uow.audit_seals.purge(until=day.last_id, limit=BATCH)


async def _entries(
    read: ReadUnitOfWork, *, after: int, until: int | None = None
) -> AsyncIterator[AuditEntry]:
    """Those with greater ids, `until` that one too. Nothing is held while they are worked on."""
    while True:
        async with read() as uow:
            page = await uow.audit_seals.entries(after=after, limit=PAGE)
        for entry in page:
            if until is not None and entry.id > until:
                return
            yield entry
        if len(page) < PAGE:
            return
        after = page[-1].id


def _purged(days: Sequence[SealedDay]) -> tuple[SealedDay, ...]:
    return tuple(day for day in days if day.purged_at is not None)


def _is_over(day: SealedDay, *, retention: timedelta, at: datetime) -> bool:
    """Whether the events that were sealed on that day need not be kept any more."""
    try:
        end = datetime.combine(date.fromisoformat(day.day), time(), UTC) + timedelta(days=1)
    except ValueError:  # somebody wrote there
        return False
    return end + retention <= at
