"""A memory of who has to wait, before a rate limiter whose storage is dear to ask.

Whoever goes on after they were refused is refused for next to nothing: else they could keep the storage,
which all others need, busy with their refusals.
"""

from __future__ import annotations

from datetime import datetime

from identity.application.ports import RateLimiter
from identity.domain.errors import Throttled
from identity.domain.secrets import Digest
from identity.domain.throttling import Bucket, Reservation, Window

MOST = 10_000  # keys


class KnownBlocks:
    """Remembers only windows: nothing but time ends them. A backoff may be ended by a success elsewhere."""

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter
        self._blocked_until: dict[Digest, datetime] = {}

    def recall(self, *buckets: Bucket, at: datetime) -> None:
        for bucket in buckets:
            until = self._blocked_until.get(bucket.key)
            if until is None:
                continue
            if at < until:
                raise Throttled(until - at, key=bucket.key)
            del self._blocked_until[bucket.key]

    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        self.recall(*buckets, at=at)
        try:
            return await self._limiter.reserve(*buckets, at=at)
        except Throttled as refusal:
            for bucket in buckets:
                if bucket.key == refusal.key:
                    self._remember(bucket, at + refusal.retry_after)
            raise

    async def fail(self, *reservations: Reservation, at: datetime) -> None:
        await self._limiter.fail(*reservations, at=at)

    async def succeed(self, *reservations: Reservation, at: datetime) -> None:
        await self._limiter.succeed(*reservations, at=at)

    async def count(self, bucket: Bucket, *, at: datetime) -> None:
        self.recall(bucket, at=at)
        try:
            await self._limiter.count(bucket, at=at)
        except Throttled as refusal:
            self._remember(bucket, at + refusal.retry_after)
            raise

    async def empty(self, bucket: Bucket, *, at: datetime) -> None:
        self._blocked_until.pop(bucket.key, None)
        await self._limiter.empty(bucket, at=at)

    async def purge(self, *, ended_before: datetime, limit: int) -> int:
        return await self._limiter.purge(ended_before=ended_before, limit=limit)

    def _remember(self, bucket: Bucket, until: datetime) -> None:
        if isinstance(bucket.allowance, Window):
            if len(self._blocked_until) >= MOST:
                self._blocked_until.pop(next(iter(self._blocked_until)))  # the one known for longest
            self._blocked_until[bucket.key] = until
