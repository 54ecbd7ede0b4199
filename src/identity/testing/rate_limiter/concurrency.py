"""What is left when several do the same thing at once. One may be made to give way, and starts again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace

from identity.application.ports import RateLimiter
from identity.domain.throttling import RESERVED_FOR, Backoff, Window
from identity.testing.conformance import Conformance
from identity.testing.rate_limiter.subject import (
    CROWDED,
    FREE,
    LOGIN,
    MINUTE,
    at_home,
    bucket,
    counts,
    fails,
    placed,
    places_in,
    reserves,
)
from identity.testing.samples import HOUR, NOW, SECOND
from identity.testing.storage.subject import again_after_conflicts, all_at_once

EIGHT, FIFTY = 8, 50


class Concurrency(Conformance):
    async def test_of_fifty_that_reserve_at_once_no_more_than_are_free_get_a_place(
        self, limiter: RateLimiter
    ) -> None:
        assert await _fifty(lambda _: reserves(limiter, bucket())) == {FREE: 3, CROWDED: 47}

    async def test_of_fifty_that_waited_one_gets_a_place(self, limiter: RateLimiter) -> None:
        of = bucket(allowance=LOGIN)
        await fails(limiter, of, times=3)
        outcomes = await _fifty(lambda _: reserves(limiter, of, at=NOW + SECOND))
        assert outcomes == {FREE: 1, CROWDED: 49}

    async def test_of_fifty_at_several_accounts_no_more_get_a_place_than_their_address_has(
        self, limiter: RateLimiter
    ) -> None:
        accounts = [at_home(f"account {number}") for number in range(EIGHT)]
        outcomes = await _fifty(lambda number: reserves(limiter, accounts[number % EIGHT], bucket("address")))
        assert outcomes == {FREE: 3, CROWDED: 47}
        assert sum([await places_in(limiter, each) for each in accounts]) == EIGHT * LOGIN.free - 3

    async def test_no_failure_is_lost_among_fifty(self, limiter: RateLimiter) -> None:
        of = bucket(allowance=Window(limit=FIFTY + 2, length=HOUR))
        reservations = [await placed(limiter, of) for _ in range(FIFTY)]
        await _fifty(lambda number: limiter.fail(*reservations[number], at=NOW))
        for at in (NOW, NOW + RESERVED_FOR):  # a failure that is lost may leave its reservation in its place
            assert await places_in(limiter, of, at=at) == 2

    async def test_no_place_is_lost_when_some_of_fifty_give_theirs_back(self, limiter: RateLimiter) -> None:
        of = bucket(allowance=Window(limit=FIFTY, length=HOUR))
        reservations = [await placed(limiter, of) for _ in range(FIFTY)]
        settle = (limiter.succeed, limiter.fail)
        await _fifty(lambda number: settle[number % 2](*reservations[number], at=NOW))
        for at in (NOW, NOW + RESERVED_FOR):
            assert await places_in(limiter, of, at=at) == FIFTY // 2

    async def test_of_fifty_that_are_counted_at_once_no_more_pass_than_are_free(
        self, limiter: RateLimiter
    ) -> None:
        of = bucket(allowance=Window(limit=20, length=5 * MINUTE))
        assert await _fifty(lambda _: counts(limiter, of)) == {FREE: 20, 5 * MINUTE: 30}

    async def test_eight_that_succeed_at_once_are_each_favoured(self, limiter: RateLimiter) -> None:
        homes = [
            replace(at_home(home=str(number)), allowance=Backoff(free=EIGHT, stop=EIGHT))
            for number in range(EIGHT)
        ]
        reservations = [await placed(limiter, home) for home in homes]
        await all_at_once(
            EIGHT,
            lambda number: again_after_conflicts(lambda: limiter.succeed(*reservations[number], at=NOW)),
        )
        assert [(await placed(limiter, home))[0].key for home in homes] == [home.favoured for home in homes]
        assert await places_in(limiter, homes[0]) == EIGHT


async def _fifty(attempt: Callable[[int], Awaitable[object]]) -> Counter[object]:
    return await all_at_once(FIFTY, lambda number: again_after_conflicts(lambda: attempt(number)))
