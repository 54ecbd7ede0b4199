"""What makes the audit log tamper-evident: a seal for each entry that covers it and all entries before it.

A seal has two halves, each an HMAC-SHA256 of which 128 bits are kept. The first covers the entry alone, so
that it tells whether the entry is as it was written. The second covers the seal before it too, so that it
tells whether the entry stands where it stood. The days on which entries were sealed have a seal each, which
stands in the chain between the last entry of its day and the first of the next.

Where a request came from is personal and can be erased; a seal covers its salted digest instead.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NewType

from identity.domain.events import vocabulary
from identity.domain.session import Client

Seal = NewType("Seal", bytes)
"""32 octets."""

FIRST = Seal(bytes(32))
"""What stands before the first entry."""
HALF = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """An event as the log holds it, also where that makes no sense any more."""

    id: int
    at: datetime
    kind: str
    user_id: int | None = None
    role: str
    actor_id: int | None = None
    session_id: str | None = None
    request_id: str = ""
    subject: str = ""
    address: str = ""
    user_agent: str = ""
    client_salt: bytes | None = None
    client_digest: bytes | None = None
    seal: bytes | None = None
    """`None`: it was not sealed yet."""

    @property
    def result(self) -> str:
        """As `Event.result`; empty for a kind that only another release knows."""
        event = vocabulary().get(self.kind)
        return event.result if event is not None else ""

    @property
    def client_is_erased(self) -> bool:
        return self.client_digest is not None and self.client_salt is None

    @property
    def client_is_true(self) -> bool:
        """Whether it is still what was noted, or erased, or of an older version, which made no digest."""
        if self.client_digest is None:
            return self.client_salt is None
        if self.client_salt is None:
            return not self.address and not self.user_agent
        client = Client(address=self.address, user_agent=self.user_agent)
        return client_digest(client, self.client_salt) == self.client_digest

    def digest(self) -> bytes:
        """SHA-256 over all but the seal, and over the client's digest instead of the client."""
        content = [
            self.id,
            self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            self.kind,
            self.user_id,
            self.role,
            self.actor_id,
            self.session_id,
            self.request_id,
            self.subject,
            None if self.client_digest is None else self.client_digest.hex(),
        ]
        return hashlib.sha256(json.dumps(content).encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedDay:
    """A day on which entries were sealed, in UTC, and the end of the chain on it."""

    day: str
    """As in `2026-01-02`."""
    last_id: int
    """Of the last entry that was."""
    events: int
    """How many were."""
    key_id: str
    seal: Seal = field(default=FIRST)
    purged_at: datetime | None = None
    """When its entries were deleted, because their time was over."""

    @property
    def label(self) -> str:
        """By which an event names it, and no other that somebody gives its date to."""
        return f"{self.day} {self.seal.hex()[:32]}"

    def digest(self) -> bytes:
        content = ["day", self.day, self.last_id, self.events, self.key_id]
        return hashlib.sha256(json.dumps(content).encode()).digest()


@dataclass(frozen=True, slots=True)
class SealingKey:
    """256 bits, of use for nothing else. Whoever has them can seal whatever they like."""

    key: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """By which a day says what it was sealed with; tells nothing of the key."""
        return hashlib.sha256(self.key).hexdigest()[:16]

    def own_half(self, entry: AuditEntry) -> bytes:
        return hmac.digest(self.key, entry.digest(), hashlib.sha256)[:HALF]

    def chain_half(self, before: bytes, entry: AuditEntry) -> bytes:
        return hmac.digest(self.key, before + entry.digest(), hashlib.sha256)[:HALF]

    def seal(self, before: bytes, entry: AuditEntry) -> Seal:
        """Of an entry that comes after the one with the seal `before`."""
        return Seal(self.own_half(entry) + self.chain_half(before, entry))

    def seal_day(self, before: bytes, day: SealedDay) -> Seal:
        """Of a day whose last entry has the seal `before`."""
        return Seal(hmac.digest(self.key, before + day.digest(), hashlib.sha256))

    def chain(self, before: bytes, entries: Iterable[AuditEntry]) -> list[tuple[int, Seal]]:
        """The seals of these entries, by their ids, the first of which comes after the seal `before`."""
        seals = []
        for entry in entries:
            seal = self.seal(before, entry)
            seals.append((entry.id, seal))
            before = seal
        return seals


def client_digest(client: Client, salt: bytes) -> bytes:
    """Shows that where a request came from is still what was noted; without the salt it shows nothing."""
    personal = json.dumps([client.address, client.user_agent]).encode()
    return hashlib.sha256(salt + personal).digest()
