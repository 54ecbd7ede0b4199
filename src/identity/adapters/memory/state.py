"""What the storage holds. All values are frozen, so a copy of the dicts is a copy of everything."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import datetime

from identity.application.mail import MailIntent
from identity.domain.events import Event
from identity.domain.one_time_token import OneTimeToken
from identity.domain.secrets import Digest
from identity.domain.session import Session
from identity.domain.signing_key import SigningKey
from identity.domain.user import User


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    token: OneTimeToken
    sent_at: datetime | None = None
    over_at: datetime | None = None
    """When it was spent or voided."""

    def is_good(self, *, at: datetime) -> bool:
        return self.over_at is None and at < self.token.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedIntent:
    intent: MailIntent
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


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    users: dict[int, User] = field(default_factory=dict)
    usernames: dict[str, int] = field(default_factory=dict)
    emails: dict[str, int] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    one_time_tokens: dict[Digest, IssuedToken] = field(default_factory=dict)
    outbox: dict[str, QueuedIntent] = field(default_factory=dict)
    signing_keys: dict[str, SigningKey] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def copy(self) -> State:
        return State(**{part.name: getattr(self, part.name).copy() for part in fields(self)})
