"""Looking for accounts by the beginning of a name, page by page.

Whatever is looked for, and however many accounts there are, a page is made of two short reads: of the
usernames from some place on, and of the addresses, each in the order of its index.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from identity.domain.names import EmailAddress, Username
from identity.domain.text import has_control_characters
from identity.domain.user import User

EMAIL, USERNAME = "email", "username"
_LONGEST_CURSOR = 2_000  # characters; a key of 254 code points takes 1,400 at most


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the order of all keys, usernames and addresses together."""

    key: str
    kind: str

    def __str__(self) -> str:
        """To be handed to a client, who hands it back to `parse`."""
        return base64.urlsafe_b64encode(f"{self.kind}:{self.key}".encode()).rstrip(b"=").decode()

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """`None` for anything that `str()` would not have made."""
        if not text.isascii() or len(text) > _LONGEST_CURSOR:
            return None
        try:
            place = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode()
        except (binascii.Error, ValueError):
            return None
        kind, _, key = place.partition(":")
        cursor = cls(key, kind)
        is_ours = kind in {EMAIL, USERNAME} and not has_control_characters(key) and str(cursor) == text
        return cursor if is_ours else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An account, and the keys that the storage has it under."""

    username_key: str
    email_key: str
    user: User


@dataclass(frozen=True, slots=True, kw_only=True)
class UserPage:
    users: tuple[User, ...]
    next: Cursor | None
    """After which the next page begins; `None` where there is none."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """What the key of a name begins with; every username does with nothing."""

    text: str

    @property
    def of_username(self) -> str:
        return Username(self.text).key

    @property
    def of_email(self) -> str:
        return EmailAddress(self.text).key

    def page(
        self,
        by_username: Sequence[Candidate],
        by_email: Sequence[Candidate],
        *,
        after: Cursor | None,
        limit: int,
    ) -> UserPage:
        """The next `limit` keys, and whose they are; an account is shown at the lesser of its keys only.

        Both sequences are in the order of their keys and begin no later than `after`, or than what the keys
        are to begin with. They go on for `limit + 2`, or to the end of all accounts.
        """
        found = [
            *((Cursor(each.username_key, USERNAME), each) for each in by_username),
            *((Cursor(each.email_key, EMAIL), each) for each in by_email if self.text),
        ]
        matching = sorted(
            ((place, each) for place, each in found if place in self._places(each)), key=lambda pair: pair[0]
        )
        rest = [(place, each) for place, each in matching if after is None or place > after]
        shown = rest[:limit]
        return UserPage(
            users=tuple(each.user for place, each in shown if place == min(self._places(each))),
            next=shown[-1][0] if len(rest) > limit else None,
        )

    def _places(self, candidate: Candidate) -> list[Cursor]:
        """Where the account stands in the order of the keys that begin with this."""
        places = []
        if candidate.username_key.startswith(self.of_username):
            places.append(Cursor(candidate.username_key, USERNAME))
        if self.text and candidate.email_key.startswith(self.of_email):
            places.append(Cursor(candidate.email_key, EMAIL))
        return places
