"""A secret that is mailed once, used once, and known here only by its digest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from identity.domain.names import EmailAddress
from identity.domain.secrets import Digest


class Purpose(StrEnum):
    RESET_PASSWORD = "reset_password"
    VERIFY_EMAIL = "verify_email"
    CHANGE_EMAIL = "change_email"
    UNDO_EMAIL_CHANGE = "undo_email_change"
    UNDO_DELETION = "undo_deletion"


UNDOING = frozenset({Purpose.UNDO_EMAIL_CHANGE, Purpose.UNDO_DELETION})
"""Tokens that outlive the changes which void the others: whoever makes those may be the one to be undone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTimeToken:
    digest: Digest
    purpose: Purpose
    user_id: int
    email_key: str
    """The account's address when it was made; but for `UNDOING`, a token is good for no other."""
    email: EmailAddress | None = None
    """The address it was mailed to, if that was another: the one that a change sets, or an undo restores."""
    intent_id: str
    """The mail intent it was minted for; a retry of that mail mints another token of the same intent."""
    created_at: datetime
    expires_at: datetime
