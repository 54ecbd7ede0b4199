"""A code that is mailed to whoever asks to log in without a password, and the request that it belongs to."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from identity.domain.secrets import Digest, Secret

DIGITS = 8  # ASVS 6.5.4 asks for 20 bits, these are 26
MOST_TRIES = 5
LIFETIME = timedelta(minutes=10)  # ASVS 6.5.5: no longer
_BETWEEN = re.compile(r"[\s\u2010-\u2015-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCode:
    """A code that somebody asked for, whether or not the address is anybody's."""

    request: Digest
    """Of the secret that was given to whoever asked; the code is good with that alone (ASVS 6.6.2)."""
    email_key: str
    created_at: datetime
    expires_at: datetime
    digest: Digest | None = None
    """Of the code that was mailed last, by `CodeDigests`; none before that, or where nobody is mailed."""
    tries: int = 0
    spent_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeDigests:
    """What is kept of codes: an HMAC under a key of the service's own.

    A bare digest of eight digits gives them away in a second, by trying them all; so whoever reads the
    database, but has not the service's secret, learns no code from it.
    """

    key: bytes

    def of(self, code: Secret, *, request: Digest) -> Digest:
        """`code` as it was mailed, or as people type it: `1234 5678`, `1234-5678`."""
        digits = _BETWEEN.sub("", code.reveal()).encode(errors="surrogatepass")
        return Digest(hmac.digest(self.key, request + digits, hashlib.sha256))
