"""Several buckets at once: a place in each of them, or in none."""

from __future__ import annotations

from identity.application.ports import RateLimiter
from identity.domain.throttling import Window
from identity.testing.conformance import Conformance
from identity.testing.rate_limiter.subject import (
    CROWDED,
    FREE,
    MINUTE,
    at_home,
    bucket,
    fails,
    placed,
    places_in,
    reserves,
    succeeds,
)
from identity.testing.samples import HOUR


class WholeOrNothing(Conformance):
    async def test_an_attempt_takes_one_place_in_each(self, limiter: RateLimiter) -> None:
        wide, narrow = bucket("wide", Window(limit=5, length=HOUR)), bucket("narrow")
        await fails(limiter, wide, narrow)
        await succeeds(limiter, wide, narrow)
        await placed(limiter, wide, narrow)
        assert [await places_in(limiter, each) for each in (wide, narrow)] == [3, 1]

    async def test_one_that_is_crowded_keeps_the_others_as_they_were(self, limiter: RateLimiter) -> None:
        free, full = at_home(), bucket("full")
        for _ in range(3):
            await placed(limiter, full)
        for order in ((free, full), (full, free)):
            assert await reserves(limiter, *order) == CROWDED
        assert await places_in(limiter, free) == 3

    async def test_one_that_is_blocked_keeps_the_others_as_they_were(self, limiter: RateLimiter) -> None:
        free, full = at_home(), bucket("full")
        await succeeds(limiter, free)
        await fails(limiter, full, times=3)
        for order in ((free, full), (full, free)):
            assert await reserves(limiter, *order) == 5 * MINUTE
        assert [await reserves(limiter, free) for _ in range(4)] == [FREE] * 3 + [CROWDED]

    async def test_a_success_empties_those_that_have_a_favoured_key_and_no_other(
        self, limiter: RateLimiter
    ) -> None:
        await fails(limiter, at_home(), bucket("address"), times=2)
        await succeeds(limiter, at_home(), bucket("address"))
        assert await places_in(limiter, at_home()) == 3
        assert await places_in(limiter, bucket("address")) == 1
