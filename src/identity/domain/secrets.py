"""Values that must not show themselves, and the digests that stand in for them at rest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import NewType

PasswordHash = NewType("PasswordHash", str)
"""A password as it is stored: a PHC string that names its algorithm, parameters, salt and digest."""

NO_PASSWORD = PasswordHash("!")
"""Matches none: its owner has to set one by mail."""

Digest = NewType("Digest", bytes)
"""SHA-256 of a one-time token. The tokens are 256 random bits, so a fast hash without a salt is enough."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A text that never appears in a repr, a log line or a traceback by accident.

    Read it with `reveal()`, as late as possible.
    """

    _value: str

    def reveal(self) -> str:
        return self._value

    def digest(self) -> Digest:
        """SHA-256 over the UTF-8 bytes; for secrets with the entropy of a random key, never for passwords."""
        return Digest(hashlib.sha256(self._value.encode(errors="surrogatepass")).digest())

    def __repr__(self) -> str:
        return "Secret('**********')"

    __str__ = __repr__

    def __bool__(self) -> bool:
        return bool(self._value)
