"""The kit proves itself: each of these broken rate limiters fails the test that is to find its fault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from tests.conformance.broken_limiters import FAULTS

from identity.adapters.memory import MemoryRateLimiter
from identity.domain.errors import IdentityError
from identity.testing import rate_limiter as kit

CAUGHT_BY: Mapping[str, str] = {
    "more get a place than are free": (
        "Behaviour.test_as_many_as_are_free_get_a_place_and_the_next_is_to_ask_again"
    ),
    "who finds it crowded is refused": (
        "Behaviour.test_as_many_as_are_free_get_a_place_and_the_next_is_to_ask_again"
    ),
    "a reservation names the wrong key": "Behaviour.test_a_reservation_says_where_it_is",
    "a place is not given back": "Behaviour.test_a_place_that_is_given_back_is_free_again",
    "a failure is counted twice": "Behaviour.test_a_failure_takes_one_place",
    "a success forgets all failures": (
        "Behaviour.test_a_success_forgets_no_failures_where_no_key_is_favoured"
    ),
    "the window slides": "Behaviour.test_a_window_begins_with_its_first_failure_and_is_over_at_once",
    "the window is over early": "Behaviour.test_a_window_begins_with_its_first_failure_and_is_over_at_once",
    "every wait is the same": "Behaviour.test_after_the_last_that_is_free_each_failure_doubles_the_wait",
    "waits double without end": "Behaviour.test_no_wait_is_longer_than_fifteen_minutes_before_the_stop",
    "many at a time are judged after a wait": (
        "Behaviour.test_after_the_last_that_is_free_one_at_a_time_is_judged"
    ),
    "there is no stop": "Behaviour.test_beyond_the_stop_there_is_no_place_until_all_is_forgotten",
    "what is over is recalled": ("Behaviour.test_what_is_recalled_is_what_reserving_would_refuse_or_nothing"),
    "it counts before it refuses": "Behaviour.test_an_attempt_that_is_refused_counts_nowhere",
    "what is refused to be counted is counted": "Behaviour.test_an_attempt_that_is_refused_counts_nowhere",
    "a reservation never lapses": "Behaviour.test_a_reservation_that_nobody_settles_lapses",
    "more is given back than was taken": ("Behaviour.test_places_that_are_given_back_late_do_not_add_any"),
    "what is counted has a bucket of its own": (
        "Behaviour.test_what_is_counted_shares_its_bucket_with_what_is_reserved"
    ),
    "what is counted has no limit": "Behaviour.test_no_more_are_counted_than_are_free",
    "the last write makes everybody wait": (
        "Behaviour.test_a_clock_that_is_behind_finds_nobody_blocked_by_failures_that_were_free"
    ),
    "keys are compared without case": "Behaviour.test_buckets_are_told_apart_by_every_byte_of_their_keys",
    "keys are compared as text": "Behaviour.test_buckets_are_told_apart_by_every_byte_of_their_keys",
    "the zone of a time is ignored": "Behaviour.test_times_of_any_zone_are_compared_as_instants",
    "a time without a zone is taken": "Behaviour.test_a_time_without_a_zone_is_refused_and_nothing_counted",
    "it purges too early": "Behaviour.test_what_was_forgotten_before_the_limit_is_purged",
    "it purges without limit": "Behaviour.test_no_more_is_purged_at_once_than_was_said",
    "it purges reservations": "Behaviour.test_a_reservation_that_stands_is_not_purged",
    "a failure without its reservation is lost": (
        "Behaviour.test_a_failure_counts_although_its_reservation_was_purged"
    ),
    "a success forgets nothing": "FavouredKeys.test_a_success_forgets_the_failures",
    "a success forgets under the own key only": (
        "FavouredKeys.test_a_success_forgets_the_failures_under_the_favoured_key_too"
    ),
    "everybody is favoured": "FavouredKeys.test_nobody_is_favoured_before_a_success",
    "nobody is favoured": "FavouredKeys.test_strangers_do_not_stand_in_the_way_of_whoever_succeeded",
    "who is favoured is counted under both keys": (
        "FavouredKeys.test_whoever_succeeded_does_not_stand_in_the_way_of_others"
    ),
    "who is favoured goes on under the own key": (
        "FavouredKeys.test_under_a_favoured_key_no_more_may_fail_than_elsewhere"
    ),
    "who is favoured is favoured everywhere": "FavouredKeys.test_a_key_is_favoured_for_one_bucket_only",
    "who is favoured is so for ever": "FavouredKeys.test_a_key_is_favoured_for_thirty_days",
    "a success gives back the places of others": (
        "FavouredKeys.test_a_success_leaves_the_places_of_others_alone"
    ),
    "emptying forgets who is favoured": (
        "FavouredKeys.test_emptying_forgets_the_failures_under_both_keys_and_leaves_the_favour"
    ),
    "emptying spares the favoured key": (
        "FavouredKeys.test_emptying_forgets_the_failures_under_both_keys_and_leaves_the_favour"
    ),
    "emptying gives back places": (
        "FavouredKeys.test_emptying_favours_nobody_and_frees_no_place_that_is_taken"
    ),
    "a failure counts in the first bucket only": "WholeOrNothing.test_an_attempt_takes_one_place_in_each",
    "a success gives back the first place only": (
        "WholeOrNothing.test_a_success_empties_those_that_have_a_favoured_key_and_no_other"
    ),
    "places are kept where another bucket is crowded": (
        "WholeOrNothing.test_one_that_is_crowded_keeps_the_others_as_they_were"
    ),
    "places are kept where another bucket is blocked": (
        "WholeOrNothing.test_one_that_is_blocked_keeps_the_others_as_they_were"
    ),
    "it checks and then counts": (
        "Concurrency.test_of_fifty_that_reserve_at_once_no_more_than_are_free_get_a_place"
    ),
    "it checks after a wait and then counts": ("Concurrency.test_of_fifty_that_waited_one_gets_a_place"),
    "only the first bucket is looked at": (
        "Concurrency.test_of_fifty_at_several_accounts_no_more_get_a_place_than_their_address_has"
    ),
    "it reads and then fails": "Concurrency.test_no_failure_is_lost_among_fifty",
    "it reads and then succeeds": ("Concurrency.test_no_place_is_lost_when_some_of_fifty_give_theirs_back"),
    "it reads and then counts": (
        "Concurrency.test_of_fifty_that_are_counted_at_once_no_more_pass_than_are_free"
    ),
    "only the last to succeed is favoured": "Concurrency.test_eight_that_succeed_at_once_are_each_favoured",
}
"""For each fault, the test of the kit that finds it."""


def of_the_kit(name: str) -> Callable[[Any], Awaitable[None]]:
    class_name, _, test = name.partition(".")
    return getattr(getattr(kit, class_name)(), test)


@pytest.mark.parametrize("fault", CAUGHT_BY)
async def test_a_planted_fault_is_found(fault: str) -> None:
    ask = of_the_kit(CAUGHT_BY[fault])
    await ask(MemoryRateLimiter())
    with pytest.raises((AssertionError, IdentityError)):
        await ask(FAULTS[fault]())


def test_every_planted_fault_is_looked_for() -> None:
    assert list(CAUGHT_BY) == list(FAULTS)


def test_every_test_of_the_kit_is_there_for_a_fault() -> None:
    tests = {
        f"{tier.__name__}.{name}"
        for tier in kit.RateLimiterConformance.__bases__
        for name in vars(tier)
        if name.startswith("test_")
    }
    assert tests == set(CAUGHT_BY.values())
