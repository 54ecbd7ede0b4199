"""Whoever succeeded is counted by themselves, so that strangers are not in their way."""

from __future__ import annotations

from identity.application.ports import RateLimiter
from identity.domain.throttling import FAVOURED_FOR
from identity.testing.conformance import Conformance
from identity.testing.rate_limiter.subject import (
    CROWDED,
    FREE,
    at_home,
    fails,
    placed,
    places_in,
    reserves,
    succeeds,
)
from identity.testing.samples import MICROSECOND, NOW, SECOND


class FavouredKeys(Conformance):
    async def test_a_success_forgets_the_failures(self, limiter: RateLimiter) -> None:
        await fails(limiter, at_home(), times=2)
        await succeeds(limiter, at_home())
        assert await places_in(limiter, at_home()) == 3

    async def test_a_success_forgets_the_failures_under_the_favoured_key_too(
        self, limiter: RateLimiter
    ) -> None:
        await succeeds(limiter, at_home())
        await fails(limiter, at_home(), times=2)
        await succeeds(limiter, at_home())
        await fails(limiter, at_home(), times=2)
        assert await reserves(limiter, at_home()) == FREE

    async def test_nobody_is_favoured_before_a_success(self, limiter: RateLimiter) -> None:
        await fails(limiter, at_home(home="a"))
        await fails(limiter, at_home(home="b"))
        (reservation,) = await placed(limiter, at_home(home="c"))
        assert reservation.key == at_home().key
        assert await reserves(limiter, at_home(home="d")) == CROWDED

    async def test_strangers_do_not_stand_in_the_way_of_whoever_succeeded(self, limiter: RateLimiter) -> None:
        await succeeds(limiter, at_home())
        await fails(limiter, at_home(home="elsewhere"), times=3)
        assert await reserves(limiter, at_home(home="elsewhere")) == SECOND
        (reservation,) = await placed(limiter, at_home())
        assert reservation.key == at_home().favoured
        await limiter.succeed(reservation, at=NOW)
        assert await reserves(limiter, at_home(home="elsewhere")) == FREE

    async def test_whoever_succeeded_does_not_stand_in_the_way_of_others(self, limiter: RateLimiter) -> None:
        await succeeds(limiter, at_home())
        await fails(limiter, at_home(), times=3)
        assert await places_in(limiter, at_home(home="elsewhere")) == 3

    async def test_under_a_favoured_key_no_more_may_fail_than_elsewhere(self, limiter: RateLimiter) -> None:
        await succeeds(limiter, at_home())
        await fails(limiter, at_home(), times=3)
        assert await reserves(limiter, at_home()) == SECOND
        assert await reserves(limiter, at_home(), at=NOW + SECOND) == FREE
        assert await reserves(limiter, at_home(), at=NOW + SECOND) == CROWDED

    async def test_a_key_is_favoured_for_one_bucket_only(self, limiter: RateLimiter) -> None:
        await succeeds(limiter, at_home("ann"))
        (reservation,) = await placed(limiter, at_home("bob"))
        assert reservation.key == at_home("bob").key

    async def test_a_key_is_favoured_for_thirty_days(self, limiter: RateLimiter) -> None:
        await succeeds(limiter, at_home())
        end = NOW + FAVOURED_FOR
        for at, key in ((end - MICROSECOND, at_home().favoured), (end, at_home().key)):
            (reservation,) = await placed(limiter, at_home(), at=at)
            assert reservation.key == key

    async def test_a_success_leaves_the_places_of_others_alone(self, limiter: RateLimiter) -> None:
        others = [await placed(limiter, at_home(home=str(number))) for number in range(2)]
        await succeeds(limiter, at_home())
        assert await places_in(limiter, at_home()) == 1
        for each in others:
            await limiter.fail(*each, at=NOW)
        assert await places_in(limiter, at_home()) == 1

    async def test_emptying_forgets_the_failures_under_both_keys_and_leaves_the_favour(
        self, limiter: RateLimiter
    ) -> None:
        await succeeds(limiter, at_home())
        for home in ("home", "elsewhere"):
            await fails(limiter, at_home(home=home), times=3)
        await limiter.empty(at_home(), at=NOW)
        assert await places_in(limiter, at_home()) == 3
        (reservation,) = await placed(limiter, at_home())
        assert reservation.key == at_home().favoured
        assert [await reserves(limiter, at_home()) for _ in range(3)] == [FREE, FREE, CROWDED]

    async def test_emptying_favours_nobody_and_frees_no_place_that_is_taken(
        self, limiter: RateLimiter
    ) -> None:
        await limiter.empty(at_home(), at=NOW)
        await placed(limiter, at_home())
        await limiter.empty(at_home(), at=NOW)
        (reservation,) = await placed(limiter, at_home())
        assert reservation.key == at_home().key
        assert await places_in(limiter, at_home()) == 1
