"""The arithmetic of the throttle: how many are free, how long the others wait, and what is forgotten when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.domain.throttling import RESERVED_FOR, Allowance, Backoff, Count, Window

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

LOGIN = Backoff(free=5, stop=100)
ADDRESS = Window(limit=30, length=5 * MINUTE)
NOTHING = Count.nothing(at=NOW)

ALLOWANCES = st.one_of(
    st.integers(1, 6).map(lambda limit: Window(limit=limit, length=MINUTE)),
    st.tuples(st.integers(1, 6), st.integers(0, 8)).map(
        lambda pair: Backoff(free=pair[0], stop=sum(pair), longest=8 * SECOND, length=MINUTE)
    ),
)


def failed(times: int, allowance: Allowance = LOGIN, *, at: datetime = NOW) -> Count:
    count = NOTHING
    for _ in range(times):
        count = count.failing(allowance, at=at)
    return count


def reserved(times: int, count: Count = NOTHING, *, at: datetime = NOW) -> Count:
    for _ in range(times):
        count = count.reserving(at=at)
    return count


class TestBackoff:
    def test_five_in_a_row_are_free(self) -> None:
        for failures in range(5):
            assert failed(failures).has_room(LOGIN, at=NOW)
            assert failed(failures).waits(LOGIN, at=NOW) is None

    @pytest.mark.parametrize(
        ("failures", "seconds"),
        [*((5 + doublings, 1 << doublings) for doublings in range(10)), (15, 900), (16, 900), (99, 900)],
    )
    def test_each_further_one_waits_twice_as_long_and_fifteen_minutes_at_most(
        self, failures: int, seconds: int
    ) -> None:
        count, until = failed(failures), NOW + seconds * SECOND
        assert count.waits(LOGIN, at=NOW) == seconds * SECOND
        assert not count.has_room(LOGIN, at=until - MICROSECOND)
        assert count.has_room(LOGIN, at=until)
        assert count.waits(LOGIN, at=until) is None

    def test_after_the_hundredth_there_is_none_for_thirty_days(self) -> None:
        count = failed(100)
        assert count.waits(LOGIN, at=NOW) == 30 * DAY
        assert not count.has_room(LOGIN, at=NOW + 30 * DAY - MICROSECOND)
        assert count.has_room(LOGIN, at=NOW + 30 * DAY)

    def test_a_failure_keeps_those_before_it_for_thirty_days_more(self) -> None:
        twentieth = NOW + 20 * DAY
        count = failed(4).failing(LOGIN, at=twentieth)
        assert not count.has_room(LOGIN, at=twentieth)
        late = twentieth + 30 * DAY - MICROSECOND
        assert count.failing(LOGIN, at=late).waits(LOGIN, at=late) == 2 * SECOND

    def test_thirty_days_without_a_failure_forget_them_all(self) -> None:
        later = NOW + 30 * DAY
        count = failed(99).failing(LOGIN, at=later)
        assert count.failures == 1
        assert count.waits(LOGIN, at=later) is None

    def test_a_stop_may_come_with_the_last_that_is_free(self) -> None:
        allowance = Backoff(free=3, stop=3)
        assert failed(3, allowance).waits(allowance, at=NOW) == 30 * DAY

    def test_the_longest_wait_is_reached_for_any_number_of_failures(self) -> None:
        assert LOGIN.wait(10**9) == LOGIN.longest


class TestWindow:
    def test_as_many_as_are_said_are_free(self) -> None:
        assert failed(29, ADDRESS).has_room(ADDRESS, at=NOW)
        assert not failed(30, ADDRESS).has_room(ADDRESS, at=NOW)

    def test_it_begins_with_the_first_and_does_not_slide(self) -> None:
        last = NOW + 5 * MINUTE - SECOND
        count = failed(29, ADDRESS).failing(ADDRESS, at=last)
        assert count.waits(ADDRESS, at=last) == SECOND
        assert count.has_room(ADDRESS, at=NOW + 5 * MINUTE)

    def test_once_it_is_over_a_new_one_begins(self) -> None:
        later = NOW + 5 * MINUTE
        count = failed(30, ADDRESS).failing(ADDRESS, at=later)
        assert count.failures == 1
        assert count.ends_at == later + 5 * MINUTE


class TestReservations:
    def test_there_are_as_many_places_at_once_as_are_free(self) -> None:
        assert reserved(4).has_room(LOGIN, at=NOW)
        assert not reserved(5).has_room(LOGIN, at=NOW)

    def test_failures_and_reservations_share_what_is_free(self) -> None:
        assert reserved(2, failed(2)).has_room(LOGIN, at=NOW)
        assert not reserved(3, failed(2)).has_room(LOGIN, at=NOW)

    def test_where_only_reservations_stand_in_the_way_there_is_no_time_to_wait_for(self) -> None:
        assert reserved(5).waits(LOGIN, at=NOW) is None
        assert reserved(3, failed(2)).waits(LOGIN, at=NOW) is None

    def test_after_the_last_that_is_free_there_is_one_place_at_a_time(self) -> None:
        later = NOW + SECOND
        count = failed(5).reserving(at=later)
        assert not count.has_room(LOGIN, at=later)
        assert count.waits(LOGIN, at=later) is None
        assert count.releasing().has_room(LOGIN, at=later)

    def test_a_place_that_is_given_back_is_free_again(self) -> None:
        assert reserved(5).releasing().has_room(LOGIN, at=NOW)

    def test_no_more_places_are_given_back_than_were_reserved(self) -> None:
        assert NOTHING.releasing().reserved == 0

    def test_one_that_nobody_settles_lapses(self) -> None:
        count = reserved(5)
        assert not count.has_room(LOGIN, at=NOW + RESERVED_FOR - MICROSECOND)
        assert count.has_room(LOGIN, at=NOW + RESERVED_FOR)
        assert count.reserving(at=NOW + RESERVED_FOR).reserved == 1

    def test_a_new_one_keeps_those_that_stand(self) -> None:
        late = NOW + RESERVED_FOR - MICROSECOND
        count = reserved(1, reserved(4), at=late)
        assert not count.has_room(LOGIN, at=NOW + RESERVED_FOR)
        assert count.has_room(LOGIN, at=late + RESERVED_FOR)


class TestClocks:
    """Those of several machines are never quite alike, and any of them may be set back."""

    def test_a_failure_that_was_free_makes_nobody_wait_whose_clock_is_behind(self) -> None:
        behind = NOW - SECOND
        assert failed(4).waits(LOGIN, at=behind) is None
        assert failed(29, ADDRESS).waits(ADDRESS, at=behind) is None

    def test_a_success_makes_nobody_wait_whose_clock_is_behind(self) -> None:
        count = reserved(5, failed(7).emptied(at=NOW, until=NOW + 30 * DAY))
        assert count.waits(LOGIN, at=NOW - SECOND) is None

    def test_a_clock_that_is_ahead_forgets_nothing_for_the_others_by_reserving(self) -> None:
        ahead = NOW + LOGIN.length
        count = failed(7).reserving(at=ahead).releasing()
        assert count.waits(LOGIN, at=NOW) == 4 * SECOND

    def test_a_clock_that_is_set_back_leaves_what_was_blocked_blocked(self) -> None:
        assert not failed(5).has_room(LOGIN, at=NOW - DAY)
        assert not failed(30, ADDRESS).has_room(ADDRESS, at=NOW - DAY)


class TestInAnyOrder:
    """Attempts that come, fail and succeed in any order, each settled before its reservation lapses."""

    @given(
        allowance=ALLOWANCES,
        steps=st.lists(st.sampled_from(["reserve", "reserve", "reserve", "fail", "give back", "wait"])),
        pauses=st.lists(st.integers(0, 40), min_size=1),
    )
    def test_no_more_are_judged_at_once_than_are_free_nor_more_fail_in_a_row_than_the_stop(
        self, allowance: Allowance, steps: list[str], pauses: list[int]
    ) -> None:
        count, at, judged, failures, ends_at = NOTHING, NOW, 0, 0, NOW
        for number, step in enumerate(steps):
            if step == "reserve" and count.has_room(allowance, at=at):
                count, judged = count.reserving(at=at), judged + 1
            elif step == "fail" and judged:
                failures += 1
                ends_at = allowance.ends_at(at=at, running_until=ends_at)
                count, judged = count.releasing().failing(allowance, at=at), judged - 1
            elif step == "give back" and judged:
                count, judged = count.releasing(), judged - 1
            elif step == "wait" and not judged:
                at += pauses[number % len(pauses)] * SECOND
                failures = failures if at < ends_at else 0
            assert judged <= allowance.free
            assert failures + judged <= allowance.stop

    @given(allowance=ALLOWANCES, failures=st.integers(0, 20), pause=st.integers(-9, 9))
    def test_a_success_empties(self, allowance: Allowance, failures: int, pause: int) -> None:
        count = failed(failures, allowance).emptied(at=NOW, until=NOW + MINUTE)
        at = NOW + pause * SECOND
        assert count.has_room(allowance, at=at)
        assert not reserved(allowance.free, count, at=at).has_room(allowance, at=at)
        assert reserved(allowance.free, count, at=at).waits(allowance, at=at) is None

    @given(allowance=ALLOWANCES, failures=st.integers(1, 20), later=st.integers(0, 10**6))
    def test_who_waits_as_long_as_is_said_has_a_place(
        self, allowance: Allowance, failures: int, later: int
    ) -> None:
        count = failed(failures, allowance)
        at = NOW + later * MICROSECOND
        wait = count.waits(allowance, at=at)
        assert count.has_room(allowance, at=at) == (wait is None)
        assert count.has_room(allowance, at=at + (wait or timedelta(0)))
