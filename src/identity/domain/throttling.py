"""How often something may fail before it has to wait: the arithmetic of the throttle, without its storage.

An attempt reserves a place before it is judged, so that of many at once no more are judged than may fail.
Failing turns the reservation into a failure, succeeding gives it back. One that nobody settles lapses: who
got no answer has learnt nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from identity.domain.secrets import Digest

RESERVED_FOR = timedelta(seconds=30)
"""How long a reservation stands that nobody settles: longer than it takes to judge an attempt."""

FAVOURED_FOR = timedelta(days=90)
"""How long a key that was favoured by a success is counted by itself; a failure there prolongs it."""

DOUBLINGS = 10  # 2^10 seconds are more than the longest wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """So many within so long, counted from the first of them; then none until that time is over."""

    limit: int
    length: timedelta

    @property
    def free(self) -> int:
        return self.limit

    @property
    def stop(self) -> int:
        return self.limit

    def ends_at(self, *, at: datetime, running_until: datetime) -> datetime:
        return running_until if at < running_until else at + self.length

    def wait(self, beyond: int) -> timedelta:
        return self.length


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """`free` in a row without a wait; the next waits 1 s, then 2 s, 4 s, up to `longest`; none after `stop`.

    A success forgets them, and so does `length` without a failure. NIST SP 800-63B, 3.2.2, asks for a stop
    at 100 in a row at the latest.
    """

    free: int
    stop: int
    longest: timedelta = timedelta(minutes=15)
    length: timedelta = timedelta(days=30)

    def ends_at(self, *, at: datetime, running_until: datetime) -> datetime:
        return at + self.length

    def wait(self, beyond: int) -> timedelta:
        """After the last failure that was free (0), the one after it (1), and so on."""
        return min(timedelta(seconds=1 << min(beyond, DOUBLINGS)), self.longest)


Allowance = Window | Backoff


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """What is counted under one key, and how much is allowed.

    A success empties a bucket that has a `favoured` key, and from then on what comes with that key is counted
    under it alone: so strangers who fail do not stand in the way of whoever succeeded there.
    """

    key: Digest
    allowance: Allowance
    favoured: Digest | None = None
    limit: str = ""
    """What this is a limit of, for people; of many keys it is the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A place that an attempt was given in a bucket, under its own key or the favoured one."""

    bucket: Bucket
    key: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What is stored under a key."""

    failures: int = 0
    reserved: int = 0
    reserved_until: datetime
    blocked_until: datetime
    ends_at: datetime
    """When the failures are forgotten."""

    @classmethod
    def nothing(cls, *, at: datetime) -> Self:
        return cls(reserved_until=at, blocked_until=at, ends_at=at)

    def has_room(self, allowance: Allowance, *, at: datetime) -> bool:
        count = self._as_of(at)
        is_free = count.failures + count.reserved < allowance.free
        return is_free or (count.reserved == 0 and self.waits(allowance, at=at) is None)

    def waits(self, allowance: Allowance, *, at: datetime) -> timedelta | None:
        """How long from now; `None` when nothing but reservations stands in the way."""
        if self._as_of(at).failures < allowance.free:
            return None  # whatever another machine, whose clock is ahead, wrote last
        return self.blocked_until - at if self.blocked_until > at else None

    def reserving(self, *, at: datetime) -> Self:
        # The failures stay as they are: a clock that is ahead is not to forget them for all others.
        return replace(self, reserved=self._as_of(at).reserved + 1, reserved_until=at + RESERVED_FOR)

    def releasing(self) -> Self:
        return replace(self, reserved=max(self.reserved - 1, 0))

    def failing(self, allowance: Allowance, *, at: datetime) -> Self:
        """One more failure, of an attempt that had reserved its place or of none."""
        failures = self._as_of(at).failures + 1
        ends_at = allowance.ends_at(at=at, running_until=self.ends_at)
        if failures >= allowance.stop:
            blocked_until = ends_at
        elif failures >= allowance.free:
            blocked_until = at + allowance.wait(failures - allowance.free)
        else:
            blocked_until = at
        return replace(self, failures=failures, blocked_until=blocked_until, ends_at=ends_at)

    def emptied(self, *, at: datetime, until: datetime) -> Self:
        return replace(self, failures=0, blocked_until=at, ends_at=until)

    def _as_of(self, at: datetime) -> Self:
        return replace(
            self,
            failures=self.failures if at < self.ends_at else 0,
            reserved=self.reserved if at < self.reserved_until else 0,
        )
