"""A secret that is mailed once, used once, and known here only by its digest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from identity.domain.secrets import Digest


class Purpose(StrEnum):
    RESET_PASSWORD = "reset_password"


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTimeToken:
    digest: Digest
    purpose: Purpose
    user_id: int
    email_key: str
    """The address it was mailed to; a token says nothing about any other."""
    intent_id: str
    """The mail intent it was minted for; a retry of that mail mints another token of the same intent."""
    created_at: datetime
    expires_at: datetime
