"""Counting in memory, for one process."""

from __future__ import annotations

import asyncio
from datetime import datetime

from identity.adapters.memory.state import Table
from identity.domain.errors import Throttled
from identity.domain.secrets import Digest
from identity.domain.throttling import FAVOURED_FOR, Bucket, Count, Reservation


class MemoryRateLimiter:
    def __init__(self) -> None:
        self._counts: Table[Digest, Count] = Table()

    def recall(self, *buckets: Bucket, at: datetime) -> None:
        for bucket in buckets:
            key = self._counted_under(bucket, at=at)
            wait = self._count(key, at).waits(bucket.allowance, at=at)
            if wait is not None:
                raise Throttled(wait, key=key)

    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        await asyncio.sleep(0)  # a database would let others run here, and their races show
        reservations = tuple(
            Reservation(bucket=bucket, key=self._counted_under(bucket, at=at)) for bucket in buckets
        )
        for each in reservations:
            count = self._count(each.key, at)
            if not count.has_room(each.bucket.allowance, at=at):
                wait = count.waits(each.bucket.allowance, at=at)
                if wait is None:
                    return None
                raise Throttled(wait, key=each.key)
        for each in reservations:
            self._counts[each.key] = self._count(each.key, at).reserving(at=at)
        return reservations

    async def fail(self, *reservations: Reservation, at: datetime) -> None:
        await asyncio.sleep(0)
        for each in reservations:
            count = self._count(each.key, at).releasing()
            self._counts[each.key] = count.failing(each.bucket.allowance, at=at)

    async def succeed(self, *reservations: Reservation, at: datetime) -> None:
        await asyncio.sleep(0)
        for each in reservations:
            if each.key in self._counts:
                self._counts[each.key] = self._counts[each.key].releasing()
            if each.bucket.favoured is not None:
                favoured = self._count(each.bucket.favoured, at)
                self._counts[each.bucket.favoured] = favoured.emptied(at=at, until=at + FAVOURED_FOR)
                if each.bucket.key in self._counts:
                    own = self._counts[each.bucket.key]
                    self._counts[each.bucket.key] = own.emptied(at=at, until=at)

    async def count(self, bucket: Bucket, *, at: datetime) -> None:
        await asyncio.sleep(0)
        count = self._count(bucket.key, at)
        wait = count.waits(bucket.allowance, at=at)
        if wait is not None:
            raise Throttled(wait, key=bucket.key)
        self._counts[bucket.key] = count.failing(bucket.allowance, at=at)

    async def empty(self, bucket: Bucket, *, at: datetime) -> None:
        await asyncio.sleep(0)
        for key in (bucket.favoured, bucket.key):
            if key is not None and key in self._counts:
                count = self._counts[key]
                until = at if key == bucket.key else count.ends_at
                self._counts[key] = count.emptied(at=at, until=until)

    async def purge(self, *, ended_before: datetime, limit: int) -> int:
        over = [
            key
            for key, count in self._counts.items()
            if count.ends_at < ended_before and count.reserved_until < ended_before
        ][:limit]
        for key in over:
            del self._counts[key]
        return len(over)

    def _count(self, key: Digest, at: datetime) -> Count:
        return self._counts.get(key) or Count.nothing(at=at)

    def _counted_under(self, bucket: Bucket, *, at: datetime) -> Digest:
        if bucket.favoured is not None and at < self._count(bucket.favoured, at).ends_at:
            return bucket.favoured
        return bucket.key
