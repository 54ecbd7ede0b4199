"""Mail that waits to be sent."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, Select, Update, and_, bindparam, delete, func, literal, or_, select, update

from identity.adapters.sql.connection import Row, SqlConnection
from identity.adapters.sql.dialects import Dialect
from identity.adapters.sql.schema import outbox
from identity.application.letters import Backlog, ClaimedIntent, Intent, Letter, LetterPlace, WebhookIntent
from identity.application.mail import MAIL, MailIntent, MailKind

_CANDIDATES = 5  # enough that a few workers seldom all try the same

_IS_DUE = (
    outbox.c.queue == bindparam("in_queue"),
    outbox.c.dead_at.is_(None),
    outbox.c.due_at <= bindparam("now"),
    or_(outbox.c.leased_until.is_(None), outbox.c.leased_until <= bindparam("now")),
    # A kind of mail that a newer version put here is left for a worker of that version.
    or_(outbox.c.queue != MAIL, outbox.c.kind.in_([kind.value for kind in MailKind])),
)
_HAS_DUE = select(literal(1)).select_from(outbox).where(*_IS_DUE).limit(1)
_DUE = select(outbox).where(*_IS_DUE).order_by(outbox.c.due_at, outbox.c.id).limit(_CANDIDATES)
_CLAIM = (
    update(outbox)
    .where(outbox.c.id == bindparam("intent"), outbox.c.attempts == bindparam("attempts_seen"), *_IS_DUE)
    .values(
        coalescing_key=None,
        attempts=bindparam("attempts_now"),
        lease_id=bindparam("lease"),
        leased_until=bindparam("lapses"),
    )
)
_IS_OURS = (outbox.c.id == bindparam("intent"), outbox.c.lease_id == bindparam("lease"))
_SETTLE = delete(outbox).where(*_IS_OURS)
_GIVE_BACK = update(outbox).where(*_IS_OURS).values(lease_id=None, leased_until=None)
_POSTPONE = _GIVE_BACK.values(due_at=bindparam("until"), error=bindparam("reason"))
_BURY = _GIVE_BACK.values(dead_at=bindparam("now"), error=bindparam("reason"))
_RELEASE = _GIVE_BACK.values(attempts=bindparam("attempts_before"))
_OLDEST = select(func.min(outbox.c.created_at)).where(
    outbox.c.queue == bindparam("in_queue"), outbox.c.dead_at.is_(None)
)
_is_dead = outbox.c.dead_at.is_not(None).label("is_dead")
_count = func.count().label("letters")
_oldest = func.min(outbox.c.created_at).label("oldest")
_BACKLOG = (
    select(outbox.c.queue, _is_dead, _count, _oldest)
    .group_by(outbox.c.queue, _is_dead)
    .order_by(outbox.c.queue)
)
_IS_OVER = or_(
    outbox.c.dead_at < bindparam("before"),
    and_(
        outbox.c.queue != MAIL,
        outbox.c.dead_at.is_(None),
        outbox.c.due_at < bindparam("before"),
        or_(outbox.c.leased_until.is_(None), outbox.c.leased_until < bindparam("before")),
    ),
)
_OVER = select(outbox.c.id).where(_IS_OVER).limit(bindparam("most"))
_DELETE = delete(outbox).where(_IS_OVER, outbox.c.id.in_(bindparam("these", expanding=True)))
_WAITING = select(outbox).where(outbox.c.dead_at.is_(None))
_DEAD = select(outbox).where(outbox.c.dead_at.is_not(None))
_FIND = select(outbox).where(outbox.c.id == bindparam("intent"))
_RETRY = (
    update(outbox)
    .where(outbox.c.id == bindparam("intent"), outbox.c.dead_at.is_not(None))
    .values(dead_at=None, due_at=bindparam("now"), attempts=0)
)


def _in_order(letters: Select[Any], at: Column[datetime], *, beyond: bool) -> Select[Any]:
    """`beyond`: the place `at` and `intent`."""
    if beyond:
        # The first condition is for the index alone: of two that are joined by OR few databases use one.
        letters = letters.where(
            at >= bindparam("at"), or_(at > bindparam("at"), outbox.c.id > bindparam("intent"))
        )
    return letters.order_by(at, outbox.c.id).limit(bindparam("most"))


_LETTERS = {
    (is_dead, beyond): _in_order(letters, at, beyond=beyond)
    for is_dead, letters, at in ((False, _WAITING, outbox.c.created_at), (True, _DEAD, outbox.c.dead_at))
    for beyond in (False, True)
}


@dataclass(slots=True)
class SqlOutbox:
    connection: SqlConnection
    dialect: Dialect

    async def put(self, intent: Intent) -> None:
        statement = self.dialect.insert_unless_taken(outbox, outbox.c.coalescing_key)
        await self.connection.execute(statement, _to_row(intent))

    async def has_due(self, *, at: datetime, queue: str = MAIL) -> bool:
        due = await self.connection.execute(_HAS_DUE, {"now": at, "in_queue": queue})
        return due.first() is not None

    async def claim(
        self, *, lease_id: str, at: datetime, lease: timedelta, queue: str = MAIL
    ) -> ClaimedIntent | None:
        due = {"now": at, "in_queue": queue}
        while candidates := (await self.connection.execute(_DUE, due)).mappings().all():
            for row in candidates:
                attempts = row[outbox.c.attempts] + 1
                result = await self.connection.execute(
                    _CLAIM,
                    {
                        **due,
                        "intent": row[outbox.c.id],
                        "attempts_seen": row[outbox.c.attempts],
                        "attempts_now": attempts,
                        "lease": lease_id,
                        "lapses": at + lease,
                    },
                )
                if result.rowcount == 1:
                    return ClaimedIntent(intent=_from_row(row), lease_id=lease_id, attempts=attempts)
        return None

    async def settle(self, claimed: ClaimedIntent) -> bool:
        result = await self.connection.execute(
            _SETTLE, {"intent": claimed.intent.id, "lease": claimed.lease_id}
        )
        return result.rowcount == 1

    async def postpone(self, claimed: ClaimedIntent, *, until: datetime, error: str) -> bool:
        return await self._give_back(_POSTPONE, claimed, until=until, reason=error)

    async def bury(self, claimed: ClaimedIntent, *, at: datetime, error: str) -> bool:
        return await self._give_back(_BURY, claimed, now=at, reason=error)

    async def release(self, claimed: ClaimedIntent) -> bool:
        return await self._give_back(_RELEASE, claimed, attempts_before=claimed.attempts - 1)

    async def oldest(self, *, queue: str = MAIL) -> datetime | None:
        found = await self.connection.execute(_OLDEST, {"in_queue": queue})
        oldest: datetime | None = found.scalar_one()
        return oldest

    async def backlog(self) -> tuple[Backlog, ...]:
        queues: dict[str, Backlog] = {}
        for row in (await self.connection.execute(_BACKLOG)).mappings():
            queue, count = row[outbox.c.queue], row[_count]
            found = queues.get(queue, Backlog(queue=queue, waiting=0, dead=0, oldest=None))
            queues[queue] = (
                replace(found, dead=count)
                if row[_is_dead]
                else replace(found, waiting=count, oldest=row[_oldest])
            )
        return tuple(queues.values())

    async def letters(self, *, dead: bool, after: LetterPlace | None, limit: int) -> tuple[Letter, ...]:
        place = {"at": after.at, "intent": after.id} if after else {}
        statement = _LETTERS[dead, after is not None]
        rows = await self.connection.execute(statement, {**place, "most": limit})
        return tuple(_letter_from_row(row) for row in rows.mappings())

    async def find(self, id: str) -> Letter | None:
        row = (await self.connection.execute(_FIND, {"intent": id})).mappings().first()
        return None if row is None else _letter_from_row(row)

    async def retry(self, id: str, *, at: datetime) -> bool:
        return (await self.connection.execute(_RETRY, {"intent": id, "now": at})).rowcount == 1

    async def purge(self, *, before: datetime, limit: int) -> int:
        over = (await self.connection.execute(_OVER, {"before": before, "most": limit})).scalars()
        these = {"before": before, "these": over.all()}
        return (await self.connection.execute(_DELETE, these)).rowcount

    async def _give_back(self, statement: Update, claimed: ClaimedIntent, **values: object) -> bool:
        ours = {"intent": claimed.intent.id, "lease": claimed.lease_id}
        return (await self.connection.execute(statement, ours | values)).rowcount == 1


def _from_row(row: Row) -> Intent:
    if row[outbox.c.queue] != MAIL:
        return WebhookIntent(
            id=row[outbox.c.id],
            queue=row[outbox.c.queue],
            kind=row[outbox.c.kind],
            created_at=row[outbox.c.created_at],
            user_id=row[outbox.c.user_id],
            body=row[outbox.c.details],
        )
    return MailIntent(
        id=row[outbox.c.id],
        kind=MailKind(row[outbox.c.kind]),
        created_at=row[outbox.c.created_at],
        user_id=row[outbox.c.user_id],
        email_key=row[outbox.c.email_key],
        values=_values(row[outbox.c.details]),
    )


def _letter_from_row(row: Row) -> Letter:
    return Letter(
        id=row[outbox.c.id],
        queue=row[outbox.c.queue],
        kind=row[outbox.c.kind],
        created_at=row[outbox.c.created_at],
        user_id=row[outbox.c.user_id],
        email_key=row[outbox.c.email_key],
        due_at=row[outbox.c.due_at],
        attempts=row[outbox.c.attempts],
        error=row[outbox.c.error],
        dead_at=row[outbox.c.dead_at],
    )


def _values(details: str) -> dict[str, str]:
    try:
        return dict(json.loads(details))
    except (ValueError, TypeError):
        return {}  # they are hints for the reader; a mail without them is better than none


def _to_row(intent: Intent) -> dict[str, Any]:
    details = json.dumps(dict(intent.values)) if isinstance(intent, MailIntent) else intent.body
    return {
        "id": intent.id,
        "queue": intent.queue,
        "kind": intent.kind,
        "created_at": intent.created_at,
        "user_id": intent.user_id,
        "email_key": intent.email_key,
        "details": details,
        "coalescing_key": intent.coalescing_key,
        "due_at": intent.created_at,
        "attempts": 0,
    }
