"""The claims of access and refresh tokens; how they are signed is an adapter's matter."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class TokenKind(StrEnum):
    ACCESS = "access"
    REFRESH = "refresh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a token says: whose it is (`user_id`), of which session, and which one it is (`jti`)."""

    kind: TokenKind
    user_id: int
    session_id: str
    jti: str
    issued_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenPair:
    access: str = field(repr=False)
    refresh: str = field(repr=False)
