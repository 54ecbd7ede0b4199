"""How often each limit let something pass, and how often it refused: for those who watch the service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from identity.application.ports import RateLimiter
from identity.domain.errors import Throttled
from identity.domain.throttling import Bucket, Reservation


class CountedDecisions:
    """In front of a rate limiter, which decides. Counts since it was made, in this process alone."""

    def __init__(self, limiter: RateLimiter) -> None:
        self._limiter = limiter
        self._decisions: Counter[tuple[str, str]] = Counter()

    def decisions(self) -> Mapping[tuple[str, str], int]:
        """How often, by the name of the limit and `allowed` or `refused`."""
        return self._decisions

    def recall(self, *buckets: Bucket, at: datetime) -> None:
        try:
            self._limiter.recall(*buckets, at=at)
        except Throttled as refusal:
            self._note_refusal(refusal, buckets)
            raise

    async def reserve(self, *buckets: Bucket, at: datetime) -> tuple[Reservation, ...] | None:
        try:
            reservations = await self._limiter.reserve(*buckets, at=at)
        except Throttled as refusal:
            self._note_refusal(refusal, buckets)
            raise
        if reservations is not None:
            self._note("allowed", *buckets)
        return reservations

    async def fail(self, *reservations: Reservation, at: datetime) -> None:
        await self._limiter.fail(*reservations, at=at)

    async def succeed(self, *reservations: Reservation, at: datetime) -> None:
        await self._limiter.succeed(*reservations, at=at)

    async def count(self, bucket: Bucket, *, at: datetime) -> None:
        try:
            await self._limiter.count(bucket, at=at)
        except Throttled as refusal:
            self._note_refusal(refusal, [bucket])
            raise
        self._note("allowed", bucket)

    async def empty(self, bucket: Bucket, *, at: datetime) -> None:
        await self._limiter.empty(bucket, at=at)

    async def purge(self, *, ended_before: datetime, limit: int) -> int:
        return await self._limiter.purge(ended_before=ended_before, limit=limit)

    def _note_refusal(self, refusal: Throttled, buckets: tuple[Bucket, ...] | list[Bucket]) -> None:
        self._note("refused", *(each for each in buckets if refusal.key in {each.key, each.favoured}))

    def _note(self, decision: str, *buckets: Bucket) -> None:
        for bucket in buckets:
            self._decisions[bucket.limit, decision] += 1
