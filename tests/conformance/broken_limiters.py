"""Rate limiters that are each broken in one way, around the honest one, to see that the kit notices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from identity.adapters.memory import MemoryRateLimiter
from identity.application.ports import RateLimiter
from identity.domain.errors import Throttled
from identity.domain.secrets import Digest
from identity.domain.throttling import Allowance, Backoff, Bucket, Count, Reservation, Window

LONG = timedelta(days=10_000)
WITHOUT_LIMIT = 1_000_000


class Broken(MemoryRateLimiter):
    """Does what the honest one does, but for the methods of a subclass."""

    def change(self, key: Digest, **values: Any) -> None:
        if key in self._counts:
            self._counts[key] = replace(self._counts[key], **values)


class OtherAllowances(Broken):
    """Takes every allowance for another."""

    def __init__(self, other: Callable[[Allowance], Allowance]) -> None:
        super().__init__()
        self._other = other

    def _spoilt(self, bucket: Bucket) -> Bucket:
        return replace(bucket, allowance=self._other(bucket.allowance))

    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        reservations = await super().reserve(*map(self._spoilt, buckets), at=at)
        if reservations is None:
            return None
        return tuple(replace(each, bucket=its) for each, its in zip(reservations, buckets, strict=True))

    async def fail(self, *reservations: Reservation, at: datetime) -> None:
        await super().fail(*(replace(r, bucket=self._spoilt(r.bucket)) for r in reservations), at=at)

    async def count(self, bucket: Bucket, *, at: datetime) -> None:
        await super().count(self._spoilt(bucket), at=at)


class SlidingWindow(Window):
    def ends_at(self, *, at: datetime, running_until: datetime) -> datetime:
        return at + self.length


class ShortWindow(Window):
    def ends_at(self, *, at: datetime, running_until: datetime) -> datetime:
        return super().ends_at(at=at, running_until=running_until) - timedelta(seconds=1)


class EvenBackoff(Backoff):
    def wait(self, beyond: int) -> timedelta:
        return timedelta(seconds=1)


class BackoffWithoutAnEnd(Backoff):
    def wait(self, beyond: int) -> timedelta:
        return timedelta(seconds=1 << beyond)


def _as(window: type[Window], backoff: type[Backoff]) -> Callable[[Allowance], Allowance]:
    def other(allowance: Allowance) -> Allowance:
        if isinstance(allowance, Window):
            return window(limit=allowance.limit, length=allowance.length)
        return backoff(free=allowance.free, stop=allowance.stop, longest=allowance.longest)

    return other


def _without_a_stop(allowance: Allowance) -> Allowance:
    return replace(allowance, stop=WITHOUT_LIMIT) if isinstance(allowance, Backoff) else allowance


def _one_more(allowance: Allowance) -> Allowance:
    if isinstance(allowance, Window):
        return replace(allowance, limit=allowance.limit + 1)
    return replace(allowance, free=allowance.free + 1, stop=allowance.stop + 1)


# --- reserving -------------------------------------------------------------------------------------------


class ChecksThenCounts(Broken):
    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        before = dict(self._counts)
        reservations = await super().reserve(*buckets, at=at)
        after = {each.key: self._counts[each.key] for each in reservations or ()}
        for key in after:
            self._counts[key] = before.get(key) or Count.nothing(at=at)
        await asyncio.sleep(0)
        self._counts.update(after)
        return reservations


class RecallsWhatIsOver(Broken):
    def recall(self, *buckets: Bucket, at: datetime) -> None:
        super().recall(*buckets, at=datetime.min.replace(tzinfo=UTC))


class CountsBeforeRefusing(Broken):
    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        try:
            return await super().reserve(*buckets, at=at)
        except Throttled:
            for each in buckets:
                count = self._count(each.key, at)
                self._counts[each.key] = count.failing(each.allowance, at=at)
            raise


class CountsWhatItRefusesToCount(Broken):
    async def count(self, bucket: Bucket, *, at: datetime) -> None:
        try:
            await super().count(bucket, at=at)
        except Throttled:
            count = self._count(bucket.key, at)
            self._counts[bucket.key] = count.failing(bucket.allowance, at=at)
            raise


class OneAfterTheOther(Broken):
    """Keeps the places in the buckets before the one that is full."""

    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        taken: list[Reservation] = []
        for each in buckets:
            reservations = await super().reserve(each, at=at)
            if reservations is None:
                return None
            taken += reservations
        return tuple(taken)


class GivesBackWhatIsBlockedOnly(OneAfterTheOther):
    """Keeps the places before one that is blocked, but not those before one that is crowded."""

    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        before = self._counts.copy()
        reservations = await super().reserve(*buckets, at=at)
        if reservations is None:
            self._counts = before
        return reservations


class LooksAtTheFirstOnly(Broken):
    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        first = await super().reserve(buckets[0], at=at)
        return first and (*first, *(Reservation(bucket=each, key=each.key) for each in buckets[1:]))


class RefusesWhereItIsCrowded(Broken):
    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        reservations = await super().reserve(*buckets, at=at)
        if reservations is None:
            raise Throttled(timedelta(seconds=1))
        return reservations


class MakesEverybodyWaitForTheLastWrite(Broken):
    """Refuses whoever comes earlier than the last failure or success was, by their own clock."""

    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        self._refuse(buckets, at)
        return await super().reserve(*buckets, at=at)

    async def count(self, bucket: Bucket, *, at: datetime) -> None:
        self._refuse((bucket,), at)
        await super().count(bucket, at=at)

    def _refuse(self, buckets: tuple[Bucket, ...], at: datetime) -> None:
        for each in buckets:
            if self._count(each.key, at).blocked_until > at:
                raise Throttled(self._count(each.key, at).blocked_until - at)


class ManyAtATime(Broken):
    """After the wait it is over with reserving: whoever comes is judged."""

    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        reservations = await super().reserve(*buckets, at=at)
        if reservations is None and any(self._count(b.key, at).failures >= b.allowance.free for b in buckets):
            return tuple(Reservation(bucket=each, key=each.key) for each in buckets)
        return reservations


class NeverLapses(Broken):
    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        reservations = await super().reserve(*buckets, at=at)
        for each in reservations or ():
            self.change(each.key, reserved_until=at + LONG)
        return reservations


class KeysInAnyCase(Broken):
    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        lower = (replace(each, key=Digest(each.key.lower())) for each in buckets)
        return await super().reserve(*lower, at=at)


class KeysAsText(Broken):
    """As a database's CHAR column compares them."""

    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        stripped = (replace(each, key=Digest(each.key.rstrip(b" \0"))) for each in buckets)
        return await super().reserve(*stripped, at=at)


class TakesNaiveTimesForUtc(Broken):
    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        return await super().reserve(*buckets, at=at.replace(tzinfo=UTC))

    async def fail(self, *reservations: Reservation, at: datetime) -> None:
        await super().fail(*reservations, at=at.replace(tzinfo=UTC))


class TakesTimesWithoutAZone(Broken):
    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        return await super().reserve(*buckets, at=at if at.tzinfo else at.replace(tzinfo=UTC))


# --- settling --------------------------------------------------------------------------------------------


class ForgetsToGiveBack(Broken):
    async def succeed(self, *reservations: Reservation, at: datetime) -> None:
        taken = {each.key: self._counts[each.key].reserved for each in reservations}
        await super().succeed(*reservations, at=at)
        for key, reserved in taken.items():
            self.change(key, reserved=reserved)


class GivesBackMoreThanWasTaken(Broken):
    async def succeed(self, *reservations: Reservation, at: datetime) -> None:
        taken = {each.key: self._counts[each.key].reserved for each in reservations}
        await super().succeed(*reservations, at=at)
        for key, reserved in taken.items():
            self.change(key, reserved=reserved - 1)


class CountsAFailureTwice(Broken):
    """Once as a failure, and once as a reservation until it lapses."""

    async def fail(self, *reservations: Reservation, at: datetime) -> None:
        taken = {each.key: self._counts[each.key].reserved for each in reservations}
        await super().fail(*reservations, at=at)
        for key, reserved in taken.items():
            self.change(key, reserved=reserved)


class FailsInTheFirstOnly(Broken):
    async def fail(self, *reservations: Reservation, at: datetime) -> None:
        await super().fail(*reservations[:1], at=at)
        await super().succeed(*reservations[1:], at=at)


class FailsUnderWhatIsThere(Broken):
    async def fail(self, *reservations: Reservation, at: datetime) -> None:
        await super().fail(*(each for each in reservations if each.key in self._counts), at=at)


class ReadsThenFails(Broken):
    async def fail(self, *reservations: Reservation, at: datetime) -> None:
        read = {each.key: self._counts[each.key] for each in reservations}
        await asyncio.sleep(0)
        for each in reservations:
            self._counts[each.key] = read[each.key].releasing().failing(each.bucket.allowance, at=at)


class ReadsThenSucceeds(Broken):
    async def succeed(self, *reservations: Reservation, at: datetime) -> None:
        read = {each.key: self._counts[each.key] for each in reservations}
        await asyncio.sleep(0)
        for each in reservations:
            self._counts[each.key] = read[each.key].releasing()


class ReadsThenCounts(Broken):
    async def count(self, bucket: Bucket, *, at: datetime) -> None:
        read = self._count(bucket.key, at)
        await asyncio.sleep(0)
        wait = read.waits(bucket.allowance, at=at)
        if wait is not None:
            raise Throttled(wait)
        self._counts[bucket.key] = read.failing(bucket.allowance, at=at)


class CountsWithoutLimit(Broken):
    async def count(self, bucket: Bucket, *, at: datetime) -> None:
        self._counts[bucket.key] = self._count(bucket.key, at).failing(bucket.allowance, at=at)


class CountsBesidesReservations(Broken):
    async def count(self, bucket: Bucket, *, at: datetime) -> None:
        await super().count(replace(bucket, key=Digest(bucket.key[::-1])), at=at)


class SucceedsInTheFirstOnly(Broken):
    async def succeed(self, *reservations: Reservation, at: datetime) -> None:
        await super().succeed(reservations[0], at=at)


class ForgetsAllOnSuccess(Broken):
    async def succeed(self, *reservations: Reservation, at: datetime) -> None:
        await super().succeed(*reservations, at=at)
        for each in reservations:
            self.change(each.key, failures=0)


class FreesEverybodyOnSuccess(Broken):
    async def succeed(self, *reservations: Reservation, at: datetime) -> None:
        await super().succeed(*reservations, at=at)
        for each in reservations:
            if each.bucket.favoured:
                self.change(each.bucket.key, reserved=0)


class ForgetsNothingOnSuccess(Broken):
    async def succeed(self, *reservations: Reservation, at: datetime) -> None:
        before = {each.bucket.key: self._count(each.bucket.key, at) for each in reservations}
        await super().succeed(*reservations, at=at)
        for key, count in before.items():
            failures, ends_at = count.failures, count.ends_at
            self.change(key, failures=failures, ends_at=ends_at, blocked_until=count.blocked_until)


class ForgetsUnderTheOwnKeyOnly(Broken):
    async def succeed(self, *reservations: Reservation, at: datetime) -> None:
        before = [(each.bucket.favoured, self._counts.get(each.bucket.favoured)) for each in reservations]
        await super().succeed(*reservations, at=at)
        for key, count in before:
            if key and count:
                self.change(key, failures=count.failures, blocked_until=count.blocked_until)


# --- favoured keys ---------------------------------------------------------------------------------------


class FavoursEverybody(Broken):
    def _counted_under(self, bucket: Bucket, *, at: datetime) -> Digest:
        return bucket.favoured or bucket.key


class FavoursNobody(Broken):
    def _counted_under(self, bucket: Bucket, *, at: datetime) -> Digest:
        return bucket.key


class FavoursForEver(Broken):
    def _counted_under(self, bucket: Bucket, *, at: datetime) -> Digest:
        return bucket.favoured if bucket.favoured in self._counts else bucket.key


class FavoursTheLastOnly(Broken):
    def __init__(self) -> None:
        super().__init__()
        self._last: Digest | None = None

    async def succeed(self, *reservations: Reservation, at: datetime) -> None:
        await super().succeed(*reservations, at=at)
        self._last = reservations[0].bucket.favoured

    def _counted_under(self, bucket: Bucket, *, at: datetime) -> Digest:
        return bucket.favoured if bucket.favoured and bucket.favoured == self._last else bucket.key


class FavoursTheAddressEverywhere(Broken):
    """Whoever succeeded at one account is favoured at every other."""

    def _counted_under(self, bucket: Bucket, *, at: datetime) -> Digest:
        known = [key for key, count in self._counts.items() if at + timedelta(days=29) < count.ends_at]
        return known[0] if bucket.favoured and known and not self._counts[known[0]].failures else bucket.key


class BlockedGuestsGoOn(Broken):
    """Who may not go on under the favoured key is counted under the bucket's own."""

    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        try:
            return await super().reserve(*buckets, at=at)
        except Throttled:
            return await super().reserve(*(replace(each, favoured=None) for each in buckets), at=at)


class CountsUnderBothKeys(Broken):
    async def fail(self, *reservations: Reservation, at: datetime) -> None:
        await super().fail(*reservations, at=at)
        for each in reservations:
            if each.key != each.bucket.key:
                count = self._count(each.bucket.key, at)
                self._counts[each.bucket.key] = count.failing(each.bucket.allowance, at=at)


class EmptiesTheFavourToo(Broken):
    async def empty(self, bucket: Bucket, *, at: datetime) -> None:
        await super().empty(bucket, at=at)
        if bucket.favoured:
            self._counts.pop(bucket.favoured, None)


class EmptiesTheOwnKeyOnly(Broken):
    async def empty(self, bucket: Bucket, *, at: datetime) -> None:
        await super().empty(replace(bucket, favoured=None), at=at)


class EmptiesReservations(Broken):
    async def empty(self, bucket: Bucket, *, at: datetime) -> None:
        await super().empty(bucket, at=at)
        self.change(bucket.key, reserved=0)


# --- purging ---------------------------------------------------------------------------------------------


class PurgesEarly(Broken):
    async def purge(self, *, ended_before: datetime, limit: int) -> int:
        return await super().purge(ended_before=ended_before + timedelta(microseconds=1), limit=limit)


class PurgesWithoutLimit(Broken):
    async def purge(self, *, ended_before: datetime, limit: int) -> int:
        return await super().purge(ended_before=ended_before, limit=WITHOUT_LIMIT)


class PurgesReservations(Broken):
    async def purge(self, *, ended_before: datetime, limit: int) -> int:
        for key in self._counts:
            self.change(key, reserved_until=datetime.min.replace(tzinfo=UTC))
        return await super().purge(ended_before=ended_before, limit=limit)


FAULTS: Mapping[str, Callable[[], RateLimiter]] = {
    "more get a place than are free": partial(OtherAllowances, _one_more),
    "who finds it crowded is refused": RefusesWhereItIsCrowded,
    "a reservation names the wrong key": KeysInAnyCase,
    "a place is not given back": ForgetsToGiveBack,
    "a failure is counted twice": CountsAFailureTwice,
    "a success forgets all failures": ForgetsAllOnSuccess,
    "the window slides": partial(OtherAllowances, _as(SlidingWindow, Backoff)),
    "the window is over early": partial(OtherAllowances, _as(ShortWindow, Backoff)),
    "every wait is the same": partial(OtherAllowances, _as(Window, EvenBackoff)),
    "waits double without end": partial(OtherAllowances, _as(Window, BackoffWithoutAnEnd)),
    "many at a time are judged after a wait": ManyAtATime,
    "there is no stop": partial(OtherAllowances, _without_a_stop),
    "what is over is recalled": RecallsWhatIsOver,
    "it counts before it refuses": CountsBeforeRefusing,
    "what is refused to be counted is counted": CountsWhatItRefusesToCount,
    "a reservation never lapses": NeverLapses,
    "more is given back than was taken": GivesBackMoreThanWasTaken,
    "what is counted has a bucket of its own": CountsBesidesReservations,
    "what is counted has no limit": CountsWithoutLimit,
    "the last write makes everybody wait": MakesEverybodyWaitForTheLastWrite,
    "keys are compared without case": KeysInAnyCase,
    "keys are compared as text": KeysAsText,
    "the zone of a time is ignored": TakesNaiveTimesForUtc,
    "a time without a zone is taken": TakesTimesWithoutAZone,
    "it purges too early": PurgesEarly,
    "it purges without limit": PurgesWithoutLimit,
    "it purges reservations": PurgesReservations,
    "a failure without its reservation is lost": FailsUnderWhatIsThere,
    "a success forgets nothing": ForgetsNothingOnSuccess,
    "a success forgets under the own key only": ForgetsUnderTheOwnKeyOnly,
    "everybody is favoured": FavoursEverybody,
    "nobody is favoured": FavoursNobody,
    "who is favoured is counted under both keys": CountsUnderBothKeys,
    "who is favoured goes on under the own key": BlockedGuestsGoOn,
    "who is favoured is favoured everywhere": FavoursTheAddressEverywhere,
    "who is favoured is so for ever": FavoursForEver,
    "a success gives back the places of others": FreesEverybodyOnSuccess,
    "emptying forgets who is favoured": EmptiesTheFavourToo,
    "emptying spares the favoured key": EmptiesTheOwnKeyOnly,
    "emptying gives back places": EmptiesReservations,
    "a failure counts in the first bucket only": FailsInTheFirstOnly,
    "a success gives back the first place only": SucceedsInTheFirstOnly,
    "places are kept where another bucket is crowded": OneAfterTheOther,
    "places are kept where another bucket is blocked": GivesBackWhatIsBlockedOnly,
    "it checks and then counts": ChecksThenCounts,
    "it checks after a wait and then counts": ChecksThenCounts,
    "only the first bucket is looked at": LooksAtTheFirstOnly,
    "it reads and then fails": ReadsThenFails,
    "it reads and then succeeds": ReadsThenSucceeds,
    "it reads and then counts": ReadsThenCounts,
    "only the last to succeed is favoured": FavoursTheLastOnly,
}
