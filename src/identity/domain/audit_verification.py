"""Checking the seals of the audit log, entry after entry, and telling what was done to it.

What follows a bad entry says more about it than the entry itself: whether the next one was sealed after the
seal that stands there, after another, or after the entry before. So all of these are kept as what may have
been before the next entry, each with what it would mean, until that decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum

from identity.domain.audit_seal import FIRST, HALF, AuditEntry, SealedDay, SealingKey

MOST_FAULTS = 1_000
MOST_COMPARED = 100  # altered entries, each with each
MOST_READINGS = 12  # of what may have been before the next entry
MOST_UNDECIDED = 32  # faults; where so many entries in a row are bad, none of them says much of another
MOST_DAYS_GUESSED = 400


class Tampering(Enum):
    """What can be found, in words that follow those for the entry or the day."""

    ALTERED = "is not what it was when it was sealed"
    MOVED = "holds what was in event {other}"
    INSERTED = "was inserted, or moved here"
    SEAL_ALTERED = "has another seal than it was given"
    SEAL_REMOVED = "has lost its seal"
    CLIENT_ALTERED = "came from another address or program than is noted now"
    CLIENT_REMOVED = "has lost where it came from, but its account was not erased"
    MISSING = "was sealed after events that are missing since event {other}"
    MISSING_END = "is the last of {day}, and is missing with all since event {other}"
    DAY_ALTERED = "is not what it was when the day was over, or last sealed on"
    DAY_MISSING = "was sealed on a day that is missing in audit_heads, {day}"
    NOT_COVERED = "is sealed, but on no day in audit_heads: that was deleted or turned back"
    PURGE_UNTOLD = "is called purged, but no event says that it was"
    PURGED_EARLY = "was deleted before the time was over for which events are kept"
    AHEAD = "is from a time that has not come"
    NO_KEY = "cannot be checked: it was sealed under a secret that is not given"
    HEAD_NOT_FOUND = "is not in the log"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFault:
    tampering: Tampering
    id: int | None = None
    """Of the entry that shows it."""
    other: int | None = None
    """Of the entry that it is compared with; 0 stands for the beginning of the log."""
    day: str | None = None

    def __str__(self) -> str:
        words = self.tampering.value.format(other=self.other or "the first", day=self.day)
        if self.tampering is Tampering.HEAD_NOT_FOUND:
            return f"the given head {words}"
        return f"event {self.id} {words}" if self.id is not None else f"the day {self.day} {words}"


@dataclass(frozen=True, slots=True)
class _Reading:
    """A seal that may have been before the next entry, and what would be wrong then."""

    seal: bytes
    faults: tuple[AuditFault, ...] = ()


class AuditVerifier:
    """Takes the log in the order of its ids: each entry of a day, its end, and at last what is not sealed.

    Bounded in memory, but for the ids of the accounts that were erased.
    """

    def __init__(self, keys: Mapping[str, SealingKey], *, head: bytes | None = None) -> None:
        """`head`: a seal that was noted elsewhere, and has to be in the log."""
        self._keys = keys
        self._head = head
        self._readings: tuple[_Reading, ...] = (_Reading(FIRST),)
        self._last_id = 0
        """Of the last entry that was checked."""
        self._since_day = 0
        """How many entries came since the last day was left."""
        self._previous_day: str | None = None
        self._untold: SealedDay | None = None
        """The last day that was skipped, until an event says that it was purged."""
        self._before_end = _Reading(FIRST)
        """What was before the end of the last day."""
        self._altered: dict[int, AuditEntry] = {}
        self._cleared: dict[int | None, int] = {}
        """For each account whose entries have lost where they came from, one of these."""
        self._erased: set[int | None] = set()
        self._is_tail_covered = True
        self._faults: list[AuditFault] = []
        self.fault_count = 0
        self.checked = 0
        self.unsealed = 0

    @property
    def faults(self) -> tuple[AuditFault, ...]:
        """The first `MOST_FAULTS` of them."""
        return tuple(self._faults)

    # Days

    def skip(self, day: SealedDay) -> None:
        """A day whose entries were deleted in time. What comes after it was sealed after its seal."""
        # With its last entry went what its date could be checked against. When the day was purged that was
        # noted: of the last such day, in an entry that comes after all that were.
        self._untold = day
        self._go_on_after(day)

    def check(self, entry: AuditEntry, day: SealedDay) -> None:
        """The next entry of this day."""
        self._look_at(entry)
        if entry.seal is not None:
            self._is_head(entry.seal)
        key = self._keys.get(day.key_id)
        if key is None:
            return
        self.checked += 1
        self._readings = self._read(entry, key, day)
        if len(self._readings[0].faults) >= MOST_UNDECIDED:
            self._found(*self._readings[0].faults)
            self._readings = tuple(_Reading(each.seal) for each in self._readings)
        self._last_id = entry.id
        self._since_day += 1

    def leave(self, day: SealedDay) -> None:
        """After the last entry of the day."""
        key = self._keys.get(day.key_id)
        if key is None:
            self._found(AuditFault(tampering=Tampering.NO_KEY, day=day.day))
            self._go_on_after(day)
            return
        self._is_head(day.seal)
        first = self._readings[0]
        reading = next((each for each in self._readings if key.seal_day(each.seal, day) == day.seal), None)
        self._found(*(reading or first).faults)
        self._before_end = _Reading((reading or first).seal)
        if reading is not None:
            self._readings = (_Reading(day.seal),)
        else:
            if self._last_id < day.last_id:
                missing = AuditFault(
                    tampering=Tampering.MISSING_END, id=day.last_id, other=self._last_id, day=day.day
                )
                self._found(missing)
            else:
                self._found(AuditFault(tampering=Tampering.DAY_ALTERED, day=day.day))
            self._readings = (
                _Reading(day.seal),
                _Reading(key.seal_day(first.seal, day)),
                _Reading(first.seal),  # what calls itself a day may have been put in between
            )
        self._last_id, self._since_day, self._previous_day = max(self._last_id, day.last_id), 0, day.day

    def reopen(self) -> None:
        """The day that was left last goes on: more was sealed on it."""
        self._readings = (self._before_end,)

    def check_rest(self, entry: AuditEntry) -> None:
        """An entry after the last day."""
        self._look_at(entry)
        if entry.seal is None:
            self.unsealed += 1
            return
        self.checked += 1
        if any(key.own_half(entry) == entry.seal[:HALF] for key in self._keys.values()):
            if self._is_tail_covered:
                self._found(AuditFault(tampering=Tampering.NOT_COVERED, id=entry.id))
            self._is_tail_covered = False
        else:
            self._found(AuditFault(tampering=Tampering.INSERTED, id=entry.id))

    def finish(self) -> None:
        """After the last entry."""
        for user_id, entry_id in self._cleared.items():
            if user_id not in self._erased:
                self._found(AuditFault(tampering=Tampering.CLIENT_REMOVED, id=entry_id))
        if self._untold is not None:
            self._found(AuditFault(tampering=Tampering.PURGE_UNTOLD, day=self._untold.day))
        self._tell_what_was_moved()
        if self._head is not None:
            self._found(AuditFault(tampering=Tampering.HEAD_NOT_FOUND))

    def note(self, fault: AuditFault) -> None:
        """Something that the chain does not show."""
        self._found(fault)

    def _go_on_after(self, day: SealedDay) -> None:
        self._is_head(day.seal)
        self._readings = (_Reading(day.seal),)
        self._last_id, self._since_day, self._previous_day = day.last_id, 0, day.day

    # Entries

    def _read(self, entry: AuditEntry, key: SealingKey, day: SealedDay) -> tuple[_Reading, ...]:
        """What may have been before the entry after this."""
        seal = entry.seal
        if seal is None:
            cleared = AuditFault(tampering=Tampering.SEAL_REMOVED, id=entry.id)
            return _few(
                [
                    *(_Reading(each.seal, (*each.faults, _inserted(entry))) for each in self._readings),
                    *(
                        _Reading(key.seal(each.seal, entry), (*each.faults, cleared))
                        for each in self._readings
                    ),
                ]
            )
        is_itself = key.own_half(entry) == seal[:HALF]
        before = next(
            (each for each in self._readings if key.chain_half(each.seal, entry) == seal[HALF:]), None
        )
        if is_itself and before is not None:
            self._found(*before.faults)
            return (_Reading(seal),)
        if is_itself:
            self._found(*self._readings[0].faults, self._what_is_missing_before(entry, key, day))
            return (_Reading(seal),)
        other_seal = AuditFault(tampering=Tampering.SEAL_ALTERED, id=entry.id)
        if before is not None:  # the entry is what it was, for the second half covers it too
            self._found(*before.faults, other_seal)
            return (_Reading(key.seal(before.seal, entry)),)
        if len(self._altered) < MOST_COMPARED:
            self._altered[entry.id] = entry
        altered = AuditFault(tampering=Tampering.ALTERED, id=entry.id)
        readings = self._readings
        return _few(
            [
                *(_Reading(seal, (*each.faults, altered)) for each in readings),
                *(_Reading(key.seal(each.seal, entry), (*each.faults, other_seal)) for each in readings),
                *(_Reading(each.seal, (*each.faults, _inserted(entry))) for each in readings),
            ]
        )

    def _what_is_missing_before(self, entry: AuditEntry, key: SealingKey, day: SealedDay) -> AuditFault:
        """A day, if one can be made up after which the entry was sealed; else entries."""
        for guess in self._days_before(day.day):
            made_up = SealedDay(
                day=guess, last_id=self._last_id, events=self._since_day, key_id="", seal=day.seal
            )
            for each in self._keys.values():
                seal = each.seal_day(self._readings[0].seal, replace(made_up, key_id=each.id))
                if entry.seal is not None and key.chain_half(seal, entry) == entry.seal[HALF:]:
                    self._since_day = 0
                    return AuditFault(tampering=Tampering.DAY_MISSING, id=self._last_id, day=guess)
        return AuditFault(tampering=Tampering.MISSING, id=entry.id, other=self._last_id)

    def _days_before(self, day: str) -> Iterable[str]:
        try:
            end = date.fromisoformat(day)
            first = date.fromisoformat(self._previous_day) if self._previous_day else date.min
        except ValueError:
            return
        for back in range(1, MOST_DAYS_GUESSED):
            guess = end - timedelta(days=back)
            if guess <= first:
                return
            yield guess.isoformat()

    def _look_at(self, entry: AuditEntry) -> None:
        if not entry.client_is_true:
            self._found(AuditFault(tampering=Tampering.CLIENT_ALTERED, id=entry.id))
        if entry.client_is_erased:
            self._cleared.setdefault(entry.user_id, entry.id)
        if entry.kind in {"AccountErased", "RegistrationLapsed"}:
            self._erased.add(entry.user_id)
        if self._untold and entry.kind == "AuditEventsPurged" and entry.subject == self._untold.label:
            self._untold = None

    def _is_head(self, seal: bytes) -> None:
        if seal == self._head:
            self._head = None

    def _tell_what_was_moved(self) -> None:
        """An altered entry may hold what was in another; what was sealed after it misses it then."""
        moved: set[int | None] = set()
        for place, fault in enumerate(self._faults):
            entry = self._altered.get(fault.id or 0)
            if entry is not None and fault.tampering in {Tampering.ALTERED, Tampering.INSERTED}:
                origin = self._origin_of(entry)
                if origin is not None:
                    self._faults[place] = AuditFault(tampering=Tampering.MOVED, id=entry.id, other=origin)
                    moved.add(entry.id)
        for fault in [each for each in self._faults if each.tampering is Tampering.MISSING]:
            if fault.other in moved:
                self._faults.remove(fault)
                self.fault_count -= 1

    def _origin_of(self, entry: AuditEntry) -> int | None:
        for other in self._altered.values():
            if other.id == entry.id:
                continue
            seals = {(each.seal or b"")[:HALF] for each in (entry, other)}
            there = replace(entry, id=other.id)
            if any(key.own_half(there) in seals for key in self._keys.values()):
                return other.id
        return None

    def _found(self, *faults: AuditFault) -> None:
        self.fault_count += len(faults)
        self._faults.extend(faults[: MOST_FAULTS - len(self._faults)])


def _inserted(entry: AuditEntry) -> AuditFault:
    return AuditFault(tampering=Tampering.INSERTED, id=entry.id)


def _few(readings: Sequence[_Reading]) -> tuple[_Reading, ...]:
    """The likeliest of them, which come first, and each seal once."""
    by_seal: dict[bytes, _Reading] = {}
    for each in readings:
        by_seal.setdefault(each.seal, each)
    return tuple(by_seal.values())[:MOST_READINGS]
