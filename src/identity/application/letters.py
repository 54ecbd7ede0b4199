"""What waits in the outbox, and how it is looked at: mail for people, and webhooks for other systems."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Self

from identity.application.mail import MAIL, MailIntent

_PLACE = "%Y%m%dT%H%M%S.%f"
_LETTER_ID = re.compile("[0-9A-Za-z]{1,32}")

LEASE = timedelta(seconds=60)
"""How long a worker has for one intent, before another may take it over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookIntent:
    """An event that an endpoint is to be told of."""

    id: str
    queue: str
    """The endpoint's."""
    kind: str
    """The event's."""
    created_at: datetime
    user_id: int | None = None
    body: str
    """The same at every attempt."""

    email_key: ClassVar[None] = None
    coalescing_key: ClassVar[None] = None

    def __str__(self) -> str:
        return f"{self.kind} {self.queue} {self.id}"


Intent = MailIntent | WebhookIntent


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedIntent:
    """An intent in the hands of one worker until its lease lapses."""

    intent: Intent
    lease_id: str
    attempts: int
    """How often it was claimed, this time included."""


@dataclass(frozen=True, slots=True, order=True)
class LetterPlace:
    """A place in the order of the letters that wait, or of the dead ones."""

    at: datetime
    id: str

    def __str__(self) -> str:
        """To be handed to a client, who hands it back to `parse`."""
        return f"{self.at.astimezone(UTC):{_PLACE}}-{self.id}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """`None` for anything that `str()` would not have made."""
        time, _, letter = text.partition("-")
        try:
            place = cls(datetime.strptime(time, _PLACE).replace(tzinfo=UTC), letter)
        except ValueError:
            return None
        return place if _LETTER_ID.fullmatch(letter) and str(place) == text else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is to be seen of an intent that waits or was given up: nothing that is in it."""

    id: str
    queue: str = MAIL
    """`MAIL`, or that of an endpoint."""
    kind: str
    """A `MailKind` or the kind of an event, or one that only a newer release knows."""
    created_at: datetime
    user_id: int | None
    email_key: str | None
    due_at: datetime
    attempts: int
    error: str | None
    """Why the last attempt failed, if one did."""
    dead_at: datetime | None

    @property
    def place(self) -> LetterPlace:
        return LetterPlace(self.dead_at or self.created_at, self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """How much there is in one queue of the outbox."""

    queue: str
    waiting: int
    dead: int
    oldest: datetime | None
    """When the one that has waited longest was put there; `None` if only dead ones are."""
