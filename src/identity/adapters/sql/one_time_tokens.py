"""One-time tokens. A row outlives its token's use, so that the mails of a day can be counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from identity.adapters.sql.connection import Row, SqlConnection
from identity.adapters.sql.schema import one_time_tokens as tokens
from identity.adapters.sql.schema import users
from identity.domain.names import EmailAddress
from identity.domain.one_time_token import UNDOING, OneTimeToken, Purpose
from identity.domain.secrets import Digest

_IS_GOOD = (
    tokens.c.digest == bindparam("wanted"),
    tokens.c.purpose == bindparam("for_purpose"),
    tokens.c.user_id == bindparam("account"),
    tokens.c.over_at.is_(None),
    tokens.c.expires_at > bindparam("now"),
)
_ADD = insert(tokens)
_FIND = select(tokens).where(*_IS_GOOD)
_SPEND = update(tokens).where(*_IS_GOOD).values(over_at=bindparam("now"))
_VOID = (
    update(tokens)
    .where(
        tokens.c.user_id == bindparam("account"),
        tokens.c.purpose.not_in(UNDOING),
        tokens.c.over_at.is_(None),
    )
    .values(over_at=bindparam("now"))
)
_LOCK_OWNER = select(users.c.id).where(users.c.id == bindparam("account")).with_for_update()
_COUNT_INTENTS = select(func.count(tokens.c.intent_id.distinct())).where(
    tokens.c.user_id == bindparam("account"),
    tokens.c.purpose == bindparam("for_purpose"),
    or_(tokens.c.sent_at > bindparam("sent_since"), tokens.c.created_at > bindparam("minted_since")),
    tokens.c.intent_id != bindparam("besides"),
)
_MARK_SENT = update(tokens).where(tokens.c.intent_id == bindparam("intent")).values(sent_at=bindparam("now"))
_EXPIRED = select(tokens.c.digest).where(tokens.c.expires_at < bindparam("before")).limit(bindparam("most"))
_DELETE = delete(tokens).where(tokens.c.digest.in_(bindparam("these", expanding=True)))


@dataclass(slots=True)
class SqlOneTimeTokens:
    connection: SqlConnection

    async def add(self, token: OneTimeToken) -> None:
        await self.connection.execute(_ADD, _to_row(token))

    async def find(
        self, digest: Digest, *, purpose: Purpose, user_id: int, at: datetime
    ) -> OneTimeToken | None:
        wanted = {"wanted": digest, "for_purpose": purpose, "account": user_id, "now": at}
        row = (await self.connection.execute(_FIND, wanted)).mappings().first()
        return None if row is None else _from_row(row)

    async def spend(self, digest: Digest, *, purpose: Purpose, user_id: int, at: datetime) -> bool:
        wanted = {"wanted": digest, "for_purpose": purpose, "account": user_id, "now": at}
        return (await self.connection.execute(_SPEND, wanted)).rowcount == 1

    async def void(self, user_id: int, *, at: datetime) -> None:
        await self.connection.execute(_VOID, {"account": user_id, "now": at})

    async def mark_sent(self, intent_id: str, *, at: datetime) -> None:
        await self.connection.execute(_MARK_SENT, {"intent": intent_id, "now": at})

    async def count_intents(
        self, user_id: int, *, purpose: Purpose, sent_since: datetime, minted_since: datetime, besides: str
    ) -> int:
        counted = {
            "account": user_id,
            "for_purpose": purpose,
            "sent_since": sent_since,
            "minted_since": minted_since,
            "besides": besides,
        }
        await self.connection.execute(_LOCK_OWNER, {"account": user_id})
        count: int = (await self.connection.execute(_COUNT_INTENTS, counted)).scalar_one()
        return count

    async def purge(self, *, expired_before: datetime, limit: int) -> int:
        expired = (
            await self.connection.execute(_EXPIRED, {"before": expired_before, "most": limit})
        ).scalars()
        return (await self.connection.execute(_DELETE, {"these": expired.all()})).rowcount


def _from_row(row: Row) -> OneTimeToken:
    return OneTimeToken(
        digest=Digest(row[tokens.c.digest]),
        purpose=Purpose(row[tokens.c.purpose]),
        user_id=row[tokens.c.user_id],
        email_key=row[tokens.c.email_key],
        email=EmailAddress(row[tokens.c.email]) if row[tokens.c.email] else None,
        intent_id=row[tokens.c.intent_id],
        created_at=row[tokens.c.created_at],
        expires_at=row[tokens.c.expires_at],
    )


def _to_row(token: OneTimeToken) -> dict[str, Any]:
    return {
        "digest": token.digest,
        "purpose": token.purpose,
        "user_id": token.user_id,
        "email_key": token.email_key,
        "email": token.email.value if token.email else None,
        "intent_id": token.intent_id,
        "created_at": token.created_at,
        "expires_at": token.expires_at,
    }
