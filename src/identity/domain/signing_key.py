"""Keys that sign tokens, one after the other. Their private halves are sealed at rest.

A key is published ahead of signing, so that everybody who verifies has it in time. Once its successor signs,
it only verifies, until the last token that it signed has expired. A retired key does neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Self

PUBLISHED_AHEAD = timedelta(hours=24)
MARGIN = timedelta(minutes=5)
"""For clocks that are apart, and processes that have not heard of a successor yet."""


class UnreadableKey(Exception):
    """A signing key was sealed under another secret than the one that is set, or has been altered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    kid: str
    algorithm: str
    """As in the `alg` header of the tokens it signs (RFC 7518, 3.1)."""
    sealed_private_key: bytes = field(repr=False)
    created_at: datetime
    signs_from: datetime
    retired_at: datetime | None = None

    def with_seal(self, sealed_private_key: bytes) -> Self:
        return replace(self, sealed_private_key=sealed_private_key)


def signing(keys: Iterable[SigningKey], *, at: datetime) -> SigningKey | None:
    """The key that signs at this moment: of those that are not retired, the last whose time has come.

    Where the time of none has come, since a clock is behind, it is the next. `None`: there is no key.
    """
    unretired = sorted(_unretired(keys), key=_order)
    begun = [key for key in unretired if key.signs_from <= at]
    return begun[-1] if begun else next(iter(unretired), None)


def verifying(
    keys: Iterable[SigningKey], *, at: datetime, longest_lifetime: timedelta
) -> tuple[SigningKey, ...]:
    """The keys whose tokens are accepted, and that are published: those to come, the present one, and those
    whose last token, which lives for `longest_lifetime` at most, may not have expired yet.
    """
    unretired = sorted(_unretired(keys), key=_order)
    return tuple(
        key
        for key, successor in zip_longest(unretired, unretired[1:])
        if successor is None or at < successor.signs_from + longest_lifetime + MARGIN
    )


def _unretired(keys: Iterable[SigningKey]) -> Iterable[SigningKey]:
    return (key for key in keys if key.retired_at is None)


def _order(key: SigningKey) -> tuple[datetime, datetime, str]:
    return key.signs_from, key.created_at, key.kid
