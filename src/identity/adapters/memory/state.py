"""What the storage holds. All values are frozen, so a copy of the dicts is a copy of everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

from identity.application.letters import Intent
from identity.application.mail import MAIL
from identity.domain.audit_seal import Seal, SealedDay
from identity.domain.events import Event
from identity.domain.login_code import LoginCode
from identity.domain.one_time_token import OneTimeToken
from identity.domain.secrets import Digest
from identity.domain.session import Session
from identity.domain.signing_key import SigningKey
from identity.domain.user import User

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R", bound=Any)


def utc(time: datetime) -> datetime:
    """Raises `ValueError` for a time without a time zone."""
    if time.tzinfo is None:
        raise ValueError("a time without a time zone")
    return time.astimezone(UTC)


def in_utc(record: R) -> R:
    """The record with all its times in UTC. Raises `ValueError` for one without a time zone."""
    changed: dict[str, object] = {}
    for each in fields(record):
        before = getattr(record, each.name)
        after = before
        if isinstance(before, datetime):
            after = utc(before)
        elif is_dataclass(before):
            after = in_utc(before)
        if after is not before:
            changed[each.name] = after
    return replace(record, **changed) if changed else record


class Table(dict[K, V]):
    """Records by their key, every time in UTC."""

    def __setitem__(self, key: K, record: V) -> None:
        super().__setitem__(key, in_utc(record))

    def copy(self) -> Table[K, V]:
        return Table(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    token: OneTimeToken
    sent_at: datetime | None = None
    over_at: datetime | None = None
    """When it was spent or voided."""

    def is_good(self, *, at: datetime) -> bool:
        return self.over_at is None and at < self.token.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservedName:
    user_id: int | None
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedIntent:
    intent: Intent
    coalescing_key: str | None
    due_at: datetime
    attempts: int = 0
    lease_id: str | None = None
    leased_until: datetime | None = None
    dead_at: datetime | None = None
    error: str | None = None

    def is_due(self, *, at: datetime) -> bool:
        leased = self.leased_until is not None and at < self.leased_until
        return self.dead_at is None and self.due_at <= at and not leased

    def is_over(self, *, before: datetime) -> bool:
        """Whether it died earlier, or is no mail, was due earlier, and nobody has taken it since."""
        if self.dead_at is not None:
            return self.dead_at < before
        is_taken = self.leased_until is not None and self.leased_until >= before
        return self.intent.queue != MAIL and self.due_at < before and not is_taken


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNote:
    """What the log holds beside an event."""

    salt: bytes | None
    digest: bytes
    seal: Seal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    users: Table[int, User] = field(default_factory=Table)
    usernames: dict[str, int] = field(default_factory=dict)
    emails: dict[str, int] = field(default_factory=dict)
    reservations: Table[tuple[str, str], ReservedName] = field(default_factory=Table)
    """By the kind of the name and its key."""
    sessions: Table[str, Session] = field(default_factory=Table)
    devices: dict[tuple[int, Digest], datetime] = field(default_factory=dict)
    one_time_tokens: Table[Digest, IssuedToken] = field(default_factory=Table)
    login_codes: Table[Digest, LoginCode] = field(default_factory=Table)
    outbox: Table[str, QueuedIntent] = field(default_factory=Table)
    signing_keys: Table[str, SigningKey] = field(default_factory=Table)
    succeeded: dict[str, str] = field(default_factory=dict)
    """The key after which each was stored, and that one."""
    events: list[Event] = field(default_factory=list)
    audit_notes: dict[int, AuditNote] = field(default_factory=dict)
    """One for each of `events`, in the same order, by its number."""
    sealed_days: Table[str, SealedDay] = field(default_factory=Table)

    def copy(self) -> State:
        return State(**{part.name: getattr(self, part.name).copy() for part in fields(self)})


class View(Protocol):
    """How a unit of work sees the state."""

    def seen(self) -> State:
        """For reading."""

    def changed(self) -> State:
        """For writing; raises where that is not allowed."""

    def end(self) -> None:
        """Nothing can be read, written or committed from now on."""


def drop(table: dict[K, V], is_over: Callable[[V], bool], limit: int | None = None) -> int:
    """Deletes what is over, but at most so much of it; how much."""
    over = [key for key, value in table.items() if is_over(value)][:limit]
    for key in over:
        del table[key]
    return len(over)
