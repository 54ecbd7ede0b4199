"""A session: one login on one device, carried on by refresh tokens that replace each other.

A session knows three of its refresh tokens by their `jti`. Presenting

1. `current`: the client gets the `pending` child. A child handed out less than the reuse window ago is handed
   out again (two tabs at once, a lost answer) and its window starts anew, but for `SLIDES` windows in all, or
   a thief who asks often enough would get the owner's children for ever; otherwise a new child replaces it.
2. `pending`: its first use promotes it. It becomes current, current becomes previous, a new child is pending.
   Within the reuse window of the last promotion it is given itself once more instead: of many tabs that look
   after each other's tokens badly, two could otherwise rotate away the token that a third is about to send.
3. `previous`, within the reuse window of that promotion: the pending child again (the slow tab).
4. any other genuine token: it was superseded, so two parties hold copies. The session must end.

So a client that rotates has its theft detected: the thief's child and the owner's child differ, and the
second to be used ends the session. A client that never stores the new refresh token keeps working with the
one it has.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Self

from identity.domain.secrets import Digest

_VERSION = re.compile(r"[0-9]+(?:[._][0-9]+)*")

SLIDES = 5
"""For how many reuse windows one child is handed out at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Where a request came from, as far as can be told. Hints for people, never a ground for a decision."""

    address: str = ""
    user_agent: str = ""
    request_id: str = field(default="", compare=False)
    """Of the request itself, as its answer and the log have it. It is no part of where that came from."""

    @property
    def device(self) -> Digest:
        """The same for the same program on the same network: versions and single addresses do not count.

        A network is what a provider gives to one customer or site: a /24, for IPv6 a /48.
        """
        program = _VERSION.sub("", self.user_agent)
        place = f"{program}\0{_network(self.address, v4=24, v6=48)}"
        return Digest(hashlib.sha256(place.encode(errors="surrogatepass")).digest())

    @property
    def network(self) -> str:
        """The address, but for IPv6 its /64: one who has it has them all (RFC 6177)."""
        return _network(self.address, v4=32, v6=64)


UNKNOWN_CLIENT = Client()


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    id: str
    user_id: int
    current: str
    pending: str | None = None
    previous: str | None = None
    pending_since: datetime | None = None
    """When `pending` was first given to a client."""
    handed_out_at: datetime | None = None
    """When `pending` was last given to a client."""
    promoted_at: datetime | None = None
    """When `current` took the place of `previous`."""
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    """The absolute end; also the `exp` of all its refresh tokens."""
    revoked_at: datetime | None = None
    client: Client = UNKNOWN_CLIENT

    def is_live(self, *, at: datetime, idle: timedelta) -> bool:
        """Neither revoked, nor past its absolute end, nor unused for longer than `idle`."""
        return self.revoked_at is None and at < self.expires_at and at < self.last_used_at + idle

    def recognises(self, jti: str, *, at: datetime, window: timedelta) -> bool:
        """Whether the refresh token `jti` would be accepted now."""
        return jti in {self.current, self.pending} or self._is_slow_tab(jti, at=at, window=window)

    def refreshed(self, jti: str, *, child: str, at: datetime, window: timedelta) -> Self | None:
        """The session after its refresh token `jti` was presented; its `pending` is the answer to give.

        `child` is a fresh id for a new pending token, if one is needed. `None` means reuse.
        """
        since = self._first_handed_out(window)
        if jti == self.current:
            if self.pending is not None and self._is_fresh(since, at=at, window=window):
                return self._handing_out(self.pending, since=since, at=at)
            return self._handing_out(child, since=at, at=at)
        if jti == self.pending and self._was_just_promoted(at=at, window=window):
            return self._handing_out(jti, since=since, at=at)
        if jti == self.pending:
            promoted = replace(self, current=jti, previous=self.current, promoted_at=at)
            return promoted._handing_out(child, since=at, at=at)
        if self.pending is not None and self._is_slow_tab(jti, at=at, window=window):
            return self._handing_out(self.pending, since=since, at=at)
        return None

    def _handing_out(self, pending: str, *, since: datetime | None, at: datetime) -> Self:
        return replace(
            self,
            pending=pending,
            pending_since=since,
            handed_out_at=at,
            last_used_at=max(self.last_used_at, at),
        )

    def _is_fresh(self, since: datetime | None, *, at: datetime, window: timedelta) -> bool:
        """Whether `pending`, first handed out at `since`, is to be handed out again."""
        return _within(window, self.handed_out_at, at) and _within(SLIDES * window, since, at)

    def _first_handed_out(self, window: timedelta) -> datetime | None:
        since = self.pending_since
        if since is None or not _within(SLIDES * window, since, self.handed_out_at or since):
            # Of a release that does not know the column: it leaves it empty, or as it was for another child.
            return self.handed_out_at
        return since

    def _is_slow_tab(self, jti: str, *, at: datetime, window: timedelta) -> bool:
        return jti == self.previous and self._was_just_promoted(at=at, window=window)

    def _was_just_promoted(self, *, at: datetime, window: timedelta) -> bool:
        return _within(window, self.promoted_at, at)


@lru_cache(1024)  # a client asks again
def _network(address: str, *, v4: int, v6: int) -> str:
    """The network of so many leading bits."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip  # as a socket for both shows a client that came by IPv4
    return str(ipaddress.ip_network((ip, v4 if ip.version == 4 else v6), strict=False))


def _within(window: timedelta, since: datetime | None, at: datetime) -> bool:
    # Both ways: a replica whose clock is a little behind must not see a reuse, and a clock that was
    # set back by hours must not bring a superseded token back.
    return since is not None and abs(at - since) < window
