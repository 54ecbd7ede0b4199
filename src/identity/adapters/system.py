"""The machine's own clock, randomness and time zones."""

from __future__ import annotations

import functools
import secrets
import zoneinfo
from datetime import UTC, datetime

from identity.domain.secrets import Secret


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class SystemRandomness:
    def identifier(self) -> str:
        return secrets.token_hex(16)

    def token(self) -> Secret:
        return Secret(secrets.token_urlsafe(32))

    def digits(self, count: int) -> Secret:
        return Secret(f"{secrets.randbelow(10**count):0{count}}")

    def fraction(self) -> float:
        return secrets.randbelow(2**53) / 2**53


@functools.cache
def time_zones() -> frozenset[str]:
    """The names of those in the machine's copy of the IANA database."""
    return frozenset(
        zoneinfo.available_timezones() - {"localtime"}
    )  # which is whatever the machine is set to
