"""A key that signs tokens. Its private half is sealed at rest; reading it takes the service's secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


class UnreadableKey(Exception):
    """A signing key was sealed under another secret than the one that is set, or has been altered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    kid: str
    algorithm: str
    """As in the `alg` header of the tokens it signs (RFC 7518, 3.1)."""
    sealed_private_key: bytes = field(repr=False)
    created_at: datetime
