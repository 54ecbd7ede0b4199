"""What the throttle decided is counted by its limits, and under nobody's name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from identity.adapters.counted_decisions import CountedDecisions
from identity.adapters.known_blocks import KnownBlocks
from identity.adapters.memory import MemoryRateLimiter
from identity.application.throttling import Buckets, Request
from identity.domain.errors import Throttled
from identity.domain.session import Client
from identity.domain.throttling import Backoff, Window

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CLIENT = Client(address="192.0.2.7")
BUCKETS = Buckets(
    key=b"a key",
    per_account=Backoff(free=1, stop=5),
    failures_per_address=Window(limit=2, length=timedelta(minutes=5)),
    requests_per_address=Window(limit=1, length=timedelta(minutes=5)),
)


@pytest.fixture
def limiter() -> CountedDecisions:
    return CountedDecisions(KnownBlocks(MemoryRateLimiter()))


async def fails(limiter: CountedDecisions, account: str) -> None:
    reservations = await limiter.reserve(*BUCKETS.of_login(account, CLIENT), at=NOW)
    assert reservations is not None
    await limiter.fail(*reservations, at=NOW)


async def test_an_attempt_that_is_allowed_counts_for_each_of_its_limits(limiter: CountedDecisions) -> None:
    await fails(limiter, "john")
    assert limiter.decisions() == {("account", "allowed"): 1, ("address", "allowed"): 1}


async def test_one_that_is_refused_counts_for_the_limit_that_stood_in_its_way(
    limiter: CountedDecisions,
) -> None:
    await fails(limiter, "john")
    with pytest.raises(Throttled):
        await fails(limiter, "john")
    assert limiter.decisions()["account", "refused"] == 1
    await fails(limiter, "jane")
    with pytest.raises(Throttled):
        await fails(limiter, "jack")
    assert limiter.decisions() == {
        ("account", "allowed"): 2,
        ("address", "allowed"): 2,
        ("account", "refused"): 1,
        ("address", "refused"): 1,
    }


async def test_one_that_is_known_to_be_refused_counts_once(limiter: CountedDecisions) -> None:
    await fails(limiter, "john")
    await fails(limiter, "jane")
    buckets = BUCKETS.of_login("jack", CLIENT)
    with pytest.raises(Throttled):
        await limiter.reserve(*buckets, at=NOW)
    with pytest.raises(Throttled):
        limiter.recall(*buckets, at=NOW)
    assert limiter.decisions()["address", "refused"] == 2


async def test_who_is_favoured_is_refused_by_the_limit_of_the_account(limiter: CountedDecisions) -> None:
    buckets = BUCKETS.of_login("john", CLIENT)
    reservations = await limiter.reserve(*buckets, at=NOW)
    assert reservations is not None
    await limiter.succeed(*reservations, at=NOW)
    await fails(limiter, "john")
    with pytest.raises(Throttled):
        await fails(limiter, "john")
    assert limiter.decisions()["account", "refused"] == 1


async def test_an_attempt_that_is_to_ask_again_counts_when_it_has(limiter: CountedDecisions) -> None:
    buckets = BUCKETS.of_login("john", CLIENT)
    assert await limiter.reserve(*buckets, at=NOW) is not None
    assert await limiter.reserve(*buckets, at=NOW) is None
    assert limiter.decisions()["account", "allowed"] == 1


async def test_requests_count_by_their_kind(limiter: CountedDecisions) -> None:
    await limiter.count(BUCKETS.of_request(Request.REGISTER, CLIENT), at=NOW)
    with pytest.raises(Throttled):
        await limiter.count(BUCKETS.of_request(Request.REGISTER, CLIENT), at=NOW)
    assert limiter.decisions() == {("register", "allowed"): 1, ("register", "refused"): 1}
