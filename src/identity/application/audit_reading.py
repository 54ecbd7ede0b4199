"""Reading the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from identity.application.ports import ReadUnitOfWork
from identity.domain.errors import InvalidInput
from identity.domain.events import NumberedEvent, vocabulary

MOST_ENTRIES = 100  # in a page

UNKNOWN_KIND = "There is no such kind of event."


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAuditLog:
    """A page of what happened, what was noted last first: to an account, of a kind, at `since` or later, and
    earlier than `until`. The page after it is what was noted `before` its last entry.

    Raises:
        InvalidInput: no event is of that kind.
    """

    read: ReadUnitOfWork

    async def __call__(
        self,
        *,
        user_id: int | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        limit: int = MOST_ENTRIES,
    ) -> tuple[NumberedEvent, ...]:
        if kind is not None and kind not in vocabulary():
            raise InvalidInput({"kind": [UNKNOWN_KIND]})
        async with self.read() as uow:
            return await uow.audit_log.find(
                user_id=user_id,
                kind=kind,
                since=since,
                until=until,
                before=before,
                limit=min(limit, MOST_ENTRIES),
            )
