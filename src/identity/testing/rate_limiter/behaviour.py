"""What is counted, for how long, and who has to wait."""

from __future__ import annotations

from datetime import timedelta, timezone

from identity.application.ports import RateLimiter
from identity.domain.secrets import Digest
from identity.domain.throttling import RESERVED_FOR, Backoff, Bucket, Reservation
from identity.testing.conformance import Conformance
from identity.testing.rate_limiter.subject import (
    CROWDED,
    DAY,
    FREE,
    LOGIN,
    MINUTE,
    THREE,
    at_home,
    bucket,
    counts,
    fails,
    placed,
    places,
    places_in,
    recalls,
    reserves,
    succeeds,
)
from identity.testing.samples import HOUR, MICROSECOND, NOW, SECOND
from identity.testing.storage.subject import is_refused

KATHMANDU = timezone(timedelta(hours=5, minutes=45))


class Behaviour(Conformance):
    async def test_as_many_as_are_free_get_a_place_and_the_next_is_to_ask_again(
        self, limiter: RateLimiter
    ) -> None:
        for allowance in (THREE, LOGIN):
            of = bucket(type(allowance).__name__, allowance)
            assert [await reserves(limiter, of) for _ in range(5)] == [FREE] * 3 + [CROWDED] * 2

    async def test_a_reservation_says_where_it_is(self, limiter: RateLimiter) -> None:
        first, second = bucket("first"), at_home()
        assert await limiter.reserve(first, second, at=NOW) == (
            Reservation(bucket=first, key=first.key),
            Reservation(bucket=second, key=second.key),
        )

    async def test_a_place_that_is_given_back_is_free_again(self, limiter: RateLimiter) -> None:
        for _ in range(10):
            await succeeds(limiter, bucket())
        assert await places_in(limiter, bucket()) == 3

    async def test_a_failure_takes_one_place(self, limiter: RateLimiter) -> None:
        for left in (2, 1, 0):
            await fails(limiter, bucket())
            assert await places_in(limiter, bucket()) == left

    async def test_a_success_forgets_no_failures_where_no_key_is_favoured(self, limiter: RateLimiter) -> None:
        await fails(limiter, bucket(), times=2)
        await succeeds(limiter, bucket())
        assert await places_in(limiter, bucket()) == 1

    async def test_a_window_begins_with_its_first_failure_and_is_over_at_once(
        self, limiter: RateLimiter
    ) -> None:
        await fails(limiter, bucket())
        await fails(limiter, bucket(), times=2, at=NOW + 4 * MINUTE)
        assert await reserves(limiter, bucket(), at=NOW + 4 * MINUTE) == MINUTE
        assert await reserves(limiter, bucket(), at=NOW + 5 * MINUTE - MICROSECOND) == MICROSECOND
        assert await places_in(limiter, bucket(), at=NOW + 5 * MINUTE) == 3

    async def test_after_the_last_that_is_free_each_failure_doubles_the_wait(
        self, limiter: RateLimiter
    ) -> None:
        of, at = bucket(allowance=Backoff(free=3, stop=100, longest=10 * SECOND)), NOW
        await fails(limiter, of, times=3)
        for seconds in (1, 2, 4, 8, 10, 10):
            assert await reserves(limiter, of, at=at) == seconds * SECOND
            at += seconds * SECOND
            assert await reserves(limiter, of, at=at - MICROSECOND) == MICROSECOND
            await fails(limiter, of, at=at)

    async def test_no_wait_is_longer_than_fifteen_minutes_before_the_stop(self, limiter: RateLimiter) -> None:
        of, at = bucket(allowance=Backoff(free=1, stop=100)), NOW
        for _ in range(20):
            await fails(limiter, of, at=at)
            wait = await reserves(limiter, of, at=at)
            assert isinstance(wait, timedelta)
            at += wait
        assert wait == 15 * MINUTE

    async def test_after_the_last_that_is_free_one_at_a_time_is_judged(self, limiter: RateLimiter) -> None:
        of = bucket(allowance=LOGIN)
        await fails(limiter, of, times=3)
        assert [await reserves(limiter, of, at=NOW + SECOND) for _ in range(3)] == [FREE, CROWDED, CROWDED]

    async def test_beyond_the_stop_there_is_no_place_until_all_is_forgotten(
        self, limiter: RateLimiter
    ) -> None:
        of, at = bucket(allowance=LOGIN), NOW
        for _ in range(LOGIN.stop):
            await fails(limiter, of, at=at)
            at += HOUR
        last = at - HOUR
        assert await reserves(limiter, of, at=last) == 30 * DAY
        assert await reserves(limiter, of, at=last + 30 * DAY - MICROSECOND) == MICROSECOND
        assert await places_in(limiter, of, at=last + 30 * DAY) == 3

    async def test_an_attempt_that_is_refused_counts_nowhere(self, limiter: RateLimiter) -> None:
        window, login = bucket("window"), bucket("login", LOGIN)
        await fails(limiter, window, login, times=3)
        for each in (window, login):
            for _ in range(10):
                assert await reserves(limiter, each) not in {FREE, CROWDED}
                assert await counts(limiter, each) != FREE
        assert await reserves(limiter, login) == SECOND
        await fails(limiter, login, at=NOW + SECOND)
        assert await reserves(limiter, login, at=NOW + SECOND) == 2 * SECOND
        assert await places_in(limiter, window, at=NOW + 5 * MINUTE) == 3

    async def test_what_is_recalled_is_what_reserving_would_refuse_or_nothing(
        self, limiter: RateLimiter
    ) -> None:
        window, login = bucket("window"), bucket("login", LOGIN)
        limiter.recall(window, login, at=NOW)
        await fails(limiter, window, login, times=3)
        for each in (window, login):
            refused = await reserves(limiter, each)
            assert recalls(limiter, each) in {refused, FREE}
        await succeeds(limiter, login, at=NOW + SECOND)
        for each, at in ((login, NOW + SECOND), (window, NOW + 5 * MINUTE)):
            assert recalls(limiter, each, at=at) == FREE
            assert await reserves(limiter, each, at=at) == FREE

    async def test_a_reservation_that_nobody_settles_lapses(self, limiter: RateLimiter) -> None:
        for _ in range(3):
            await placed(limiter, bucket())
        assert await reserves(limiter, bucket(), at=NOW + RESERVED_FOR - MICROSECOND) == CROWDED
        assert await places_in(limiter, bucket(), at=NOW + RESERVED_FOR) == 3

    async def test_places_that_are_given_back_late_do_not_add_any(self, limiter: RateLimiter) -> None:
        late, at = await placed(limiter, bucket()), NOW + RESERVED_FOR
        reservations = await placed(limiter, bucket(), at=at)
        for each in (late, reservations):
            await limiter.succeed(*each, at=at)
        assert [await reserves(limiter, bucket(), at=at) for _ in range(4)] == [FREE] * 3 + [CROWDED]

    async def test_what_is_counted_shares_its_bucket_with_what_is_reserved(
        self, limiter: RateLimiter
    ) -> None:
        assert await counts(limiter, bucket()) == FREE
        assert await places_in(limiter, bucket()) == 2
        await placed(limiter, bucket())
        assert await counts(limiter, bucket()) == FREE
        assert await reserves(limiter, bucket()) == CROWDED

    async def test_no_more_are_counted_than_are_free(self, limiter: RateLimiter) -> None:
        assert [await counts(limiter, bucket()) for _ in range(5)] == [FREE] * 3 + [5 * MINUTE] * 2
        assert await counts(limiter, bucket(), at=NOW + 5 * MINUTE) == FREE

    async def test_a_clock_that_is_behind_finds_nobody_blocked_by_failures_that_were_free(
        self, limiter: RateLimiter
    ) -> None:
        """Those of two machines are never quite alike."""
        behind, of = NOW - SECOND, at_home()
        await limiter.count(bucket(), at=NOW)
        assert await counts(limiter, bucket(), at=behind) == FREE
        await fails(limiter, of)
        await succeeds(limiter, of)
        assert [await reserves(limiter, of, at=behind) for _ in range(4)] == [FREE] * 3 + [CROWDED]

    async def test_buckets_are_told_apart_by_every_byte_of_their_keys(self, limiter: RateLimiter) -> None:
        keys = [b"a" * 31 + last for last in (b"a", b"A", b" ", b"\0", b"\xe4", b"\xff")]
        keys += [b"\0" + b"a" * 31, b"'\"\\%_" + b"a" * 27]
        for each in keys:
            await fails(limiter, Bucket(key=Digest(each), allowance=THREE))
        assert [await places(limiter, Digest(each), THREE) for each in keys] == [2] * len(keys)

    async def test_times_of_any_zone_are_compared_as_instants(self, limiter: RateLimiter) -> None:
        await fails(limiter, bucket(), times=3, at=NOW.astimezone(KATHMANDU))
        assert await reserves(limiter, bucket(), at=NOW) == 5 * MINUTE
        there = (NOW + 4 * MINUTE).astimezone(KATHMANDU)
        assert await reserves(limiter, bucket(), at=there) == MINUTE

    async def test_a_time_without_a_zone_is_refused_and_nothing_counted(self, limiter: RateLimiter) -> None:
        naive = NOW.replace(tzinfo=None)
        assert await is_refused(limiter.reserve(bucket(), at=naive))
        assert await is_refused(limiter.count(bucket(), at=naive))
        assert await places_in(limiter, bucket()) == 3

    async def test_what_was_forgotten_before_the_limit_is_purged(self, limiter: RateLimiter) -> None:
        await fails(limiter, bucket("old"))
        await fails(limiter, bucket("young"), times=3, at=NOW + MINUTE)
        end = NOW + 5 * MINUTE
        assert await limiter.purge(ended_before=end, limit=100) == 0
        assert await limiter.purge(ended_before=end + MICROSECOND, limit=100) == 1
        assert await limiter.purge(ended_before=end + MICROSECOND, limit=100) == 0
        assert await reserves(limiter, bucket("young"), at=end) == MINUTE

    async def test_no_more_is_purged_at_once_than_was_said(self, limiter: RateLimiter) -> None:
        for name in "abcde":
            await fails(limiter, bucket(name))
        later = NOW + HOUR
        assert [await limiter.purge(ended_before=later, limit=2) for _ in range(4)] == [2, 2, 1, 0]

    async def test_a_reservation_that_stands_is_not_purged(self, limiter: RateLimiter) -> None:
        await placed(limiter, bucket())
        assert await limiter.purge(ended_before=NOW + RESERVED_FOR, limit=100) == 0
        assert await places_in(limiter, bucket()) == 2
        assert await limiter.purge(ended_before=NOW + RESERVED_FOR + MICROSECOND, limit=100) == 1

    async def test_a_failure_counts_although_its_reservation_was_purged(self, limiter: RateLimiter) -> None:
        """As after a clock that was set back."""
        reservations = await placed(limiter, bucket())
        assert await limiter.purge(ended_before=NOW + DAY, limit=100) == 1
        await limiter.fail(*reservations, at=NOW)
        assert await places_in(limiter, bucket()) == 2
