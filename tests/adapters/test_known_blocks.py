"""Whoever is known to be refused costs the storage nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.application.world import Tap

from identity.adapters import known_blocks
from identity.adapters.known_blocks import KnownBlocks
from identity.adapters.memory import MemoryRateLimiter
from identity.domain.errors import Throttled
from identity.domain.secrets import Digest
from identity.domain.throttling import Backoff, Bucket, Window
from identity.testing.samples import NOW, SECOND

LENGTH = timedelta(minutes=5)
ADDRESS = Bucket(key=Digest(b"a" * 32), allowance=Window(limit=2, length=LENGTH))
ACCOUNT = Bucket(key=Digest(b"b" * 32), allowance=Backoff(free=1, stop=10))


@pytest.fixture
def tap() -> Tap:
    return Tap()


@pytest.fixture
def limiter(tap: Tap) -> KnownBlocks:
    return KnownBlocks(tap.on("storage", MemoryRateLimiter()))


async def block(limiter: KnownBlocks, bucket: Bucket) -> None:
    for _ in range(bucket.allowance.free):
        await limiter.count(bucket, at=NOW)
    with pytest.raises(Throttled):
        await limiter.count(bucket, at=NOW)


async def test_a_window_that_is_full_is_asked_for_once(limiter: KnownBlocks, tap: Tap) -> None:
    await block(limiter, ADDRESS)
    tap.forget()
    for _ in range(10):
        with pytest.raises(Throttled) as refusal:
            await limiter.count(ADDRESS, at=NOW + SECOND)
        assert refusal.value.retry_after == LENGTH - SECOND
        with pytest.raises(Throttled):
            await limiter.reserve(ACCOUNT, ADDRESS, at=NOW + SECOND)
        with pytest.raises(Throttled):
            limiter.recall(ACCOUNT, ADDRESS, at=NOW + SECOND)
    assert tap.calls == []


async def test_it_is_asked_for_again_when_its_time_is_over(limiter: KnownBlocks) -> None:
    await block(limiter, ADDRESS)
    limiter.recall(ADDRESS, at=NOW + LENGTH)
    await limiter.count(ADDRESS, at=NOW + LENGTH)


async def test_an_account_is_always_asked_for_as_its_owner_may_have_got_in_elsewhere(
    limiter: KnownBlocks, tap: Tap
) -> None:
    await block(limiter, ACCOUNT)
    limiter.recall(ACCOUNT, at=NOW)
    tap.forget()
    with pytest.raises(Throttled):
        await limiter.reserve(ACCOUNT, at=NOW)
    assert tap.calls == ["storage.reserve"]


async def test_a_full_window_is_learnt_from_an_attempt_that_asks_for_several(
    limiter: KnownBlocks, tap: Tap
) -> None:
    for _ in range(2):
        await limiter.count(ADDRESS, at=NOW)
    with pytest.raises(Throttled):
        await limiter.reserve(ACCOUNT, ADDRESS, at=NOW)
    with pytest.raises(Throttled):
        limiter.recall(ADDRESS, at=NOW)


async def test_no_more_are_remembered_than_there_is_room_for(
    limiter: KnownBlocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_blocks, "MOST", 3)
    windows = [Bucket(key=Digest(bytes([n]) * 32), allowance=ADDRESS.allowance) for n in range(5)]
    for window in windows:
        await block(limiter, window)
    for forgotten in windows[:2]:
        limiter.recall(forgotten, at=NOW)
    for known in windows[2:]:
        with pytest.raises(Throttled):
            limiter.recall(known, at=NOW)
