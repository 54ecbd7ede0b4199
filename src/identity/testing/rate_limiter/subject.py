"""The buckets of these tests, and what all of them do with a limiter."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from identity.application.ports import RateLimiter
from identity.domain.errors import Throttled
from identity.domain.secrets import Digest
from identity.domain.throttling import Allowance, Backoff, Bucket, Reservation, Window
from identity.testing.samples import NOW

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

THREE = Window(limit=3, length=5 * MINUTE)
LOGIN = Backoff(free=3, stop=6)
FREE, CROWDED = "free", "crowded"
"""How an attempt to reserve ends, if not with the time to wait for."""


def bucket(name: str = "b", allowance: Allowance = THREE, *, favoured: str | None = None) -> Bucket:
    return Bucket(key=_key(name), allowance=allowance, favoured=_key(favoured) if favoured else None)


def at_home(of: str = "account", home: str = "home") -> Bucket:
    """The bucket of an account whose owner is at home."""
    return bucket(of, LOGIN, favoured=f"{of} at {home}")


def _key(name: str) -> Digest:
    return Digest(hashlib.sha256(name.encode()).digest())


async def placed(limiter: RateLimiter, *buckets: Bucket, at: datetime = NOW) -> tuple[Reservation, ...]:
    reservations = await limiter.reserve(*buckets, at=at)
    assert reservations is not None
    return reservations


async def fails(limiter: RateLimiter, *buckets: Bucket, times: int = 1, at: datetime = NOW) -> None:
    for _ in range(times):
        await limiter.fail(*await placed(limiter, *buckets, at=at), at=at)


async def succeeds(limiter: RateLimiter, *buckets: Bucket, at: datetime = NOW) -> None:
    await limiter.succeed(*await placed(limiter, *buckets, at=at), at=at)


async def reserves(limiter: RateLimiter, *buckets: Bucket, at: datetime = NOW) -> str | timedelta:
    """How it ends; a place that it gets is kept."""
    try:
        return CROWDED if await limiter.reserve(*buckets, at=at) is None else FREE
    except Throttled as throttled:
        return throttled.retry_after


def recalls(limiter: RateLimiter, of: Bucket, at: datetime = NOW) -> str | timedelta:
    try:
        limiter.recall(of, at=at)
    except Throttled as throttled:
        return throttled.retry_after
    return FREE


async def counts(limiter: RateLimiter, of: Bucket, at: datetime = NOW) -> str | timedelta:
    try:
        await limiter.count(of, at=at)
    except Throttled as throttled:
        return throttled.retry_after
    return FREE


async def places(limiter: RateLimiter, key: Digest, allowance: Allowance, at: datetime = NOW) -> int:
    """How many attempts would get a place under the key now. They do, and give it back."""
    alone = Bucket(key=key, allowance=allowance)
    taken: list[Reservation] = []
    while len(taken) < allowance.free:
        try:
            reservations = await limiter.reserve(alone, at=at)
        except Throttled:
            break
        if reservations is None:
            break
        taken += reservations
    for each in taken:
        await limiter.succeed(each, at=at)
    return len(taken)


async def places_in(limiter: RateLimiter, of: Bucket, at: datetime = NOW) -> int:
    return await places(limiter, of.key, of.allowance, at)
