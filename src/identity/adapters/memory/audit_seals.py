"""The audit log as the seals see it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from identity.adapters.memory.state import AuditNote, State, View, utc
from identity.domain.audit_seal import AuditEntry, Seal, SealedDay, client_digest
from identity.domain.errors import Conflict
from identity.domain.events import Event
from identity.domain.session import Client


def note_event(state: State, event: Event) -> None:
    """Gives the event that was appended last its number."""
    purged = max((day.last_id for day in state.sealed_days.values()), default=0)
    number = max(next(reversed(state.audit_notes), 0), purged) + 1
    # Not random: nothing is at rest here, and tests compare all that is stored.
    salt = hashlib.sha256(str(number).encode()).digest()
    state.audit_notes[number] = AuditNote(salt=salt, digest=client_digest(event.client, salt))


def forget_salts(state: State, user_id: int) -> None:
    for event, (number, note) in zip(state.events, list(state.audit_notes.items()), strict=True):
        if event.user_id == user_id:
            state.audit_notes[number] = replace(note, salt=None)


@dataclass(frozen=True, slots=True)
class MemoryAuditSeals:
    view: View

    async def entries(self, *, after: int, limit: int) -> tuple[AuditEntry, ...]:
        state = self.view.seen()
        noted = zip(state.events, state.audit_notes.items(), strict=True)
        later = [_entry(number, event, note) for event, (number, note) in noted if number > after]
        return tuple(later[:limit])

    async def days(self) -> tuple[SealedDay, ...]:
        return tuple(sorted(self.view.seen().sealed_days.values(), key=lambda day: (day.last_id, day.day)))

    async def last_day(self) -> SealedDay | None:
        days = await self.days()
        return days[-1] if days else None

    async def seal(
        self, seals: Sequence[tuple[int, Seal]], *, day: SealedDay, before: SealedDay | None
    ) -> None:
        state = self.view.changed()
        stored = state.sealed_days.get(day.day)
        is_as_before = stored == before if before else stored is None
        if not is_as_before or any(
            number not in state.audit_notes or state.audit_notes[number].seal for number, _ in seals
        ):
            raise Conflict("another process has sealed the same events, or some are gone")
        for number, seal in seals:
            state.audit_notes[number] = replace(state.audit_notes[number], seal=seal)
        state.sealed_days[day.day] = day

    async def mark_purged(self, day: str, *, at: datetime) -> bool:
        days = self.view.changed().sealed_days
        if day not in days or days[day].purged_at is not None:
            return False
        days[day] = replace(days[day], purged_at=utc(at))
        return True

    async def purge(self, *, until: int, limit: int) -> int:
        state = self.view.changed()
        over = [number for number in state.audit_notes if number <= until][:limit]
        for number in over:
            del state.audit_notes[number]
        del state.events[: len(over)]
        return len(over)


def _entry(number: int, event: Event, note: AuditNote) -> AuditEntry:
    client: Client = event.client
    return AuditEntry(
        id=number,
        at=event.at,
        kind=event.kind,
        user_id=event.user_id,
        role=event.actor.role.value,
        actor_id=event.actor.user_id,
        session_id=event.session_id,
        request_id=client.request_id,
        subject=event.subject,
        address=client.address,
        user_agent=client.user_agent,
        client_salt=note.salt,
        client_digest=note.digest,
        seal=note.seal,
    )
