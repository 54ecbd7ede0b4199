"""What decides about times is held to what is known of it: it is easier to fool than to read."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.timing.statistics import (
    FEWEST_TO_COMPARE,
    MOST_MILLISECONDS,
    MOST_Z,
    Difference,
    cropped_welch,
    mann_whitney,
    welch,
)

STATISTICS = [mann_whitney, welch, cropped_welch]
Statistic = Callable[[list[float], list[float]], float]

# Eighths of a millisecond: sums of them are exact, and ties are frequent.
times = st.lists(st.integers(0, 80).map(lambda eighths: eighths / 8), min_size=2, max_size=60)
repeatable = settings(derandomize=True, deadline=None)


def measured(seed: str, count: int, *, later: float = 0.0) -> list[float]:
    """As a server answers: some 3 ms with a long tail, and now and then a pause."""
    chance = random.Random(seed)
    times = [2.5 + chance.lognormvariate(-1, 0.6) for _ in range(count)]
    return [later + time + (chance.uniform(5, 40) if chance.random() < 0.03 else 0) for time in times]


class TestMannWhitney:
    def test_is_what_the_definition_gives_without_ties(self) -> None:
        # U is 9 of 9; its mean is 4.5, its variance 3 * 3 * 7 / 12.
        assert mann_whitney([1, 2, 3], [4, 5, 6]) == pytest.approx(4.5 / math.sqrt(5.25))

    def test_and_with_ties(self) -> None:
        # Three twos and two fives are tied.
        first, second = [1, 2, 2, 5], [2, 3, 5]
        u = sum((b > a) + (b == a) / 2 for a in first for b in second)
        variance = 12 / 12 * (8 - ((27 - 3) + (8 - 2)) / (7 * 6))
        assert mann_whitney(first, second) == pytest.approx((u - 6) / math.sqrt(variance))

    @repeatable
    @given(times, times)
    def test_sees_the_order_only(self, first: list[float], second: list[float]) -> None:
        def stretched(values: list[float]) -> list[float]:
            return [value**3 + 7 for value in values]

        assert mann_whitney(stretched(first), stretched(second)) == mann_whitney(first, second)

    def test_finds_nothing_in_what_never_varies(self) -> None:
        assert mann_whitney([1.0] * 5, [1.0] * 5) == 0


class TestWelch:
    def test_is_what_the_definition_gives(self) -> None:
        # Means 2 and 6; variances 1 and 4, of three values each.
        assert welch([1, 2, 3], [4, 6, 8]) == pytest.approx(4 / math.sqrt(1 / 3 + 4 / 3))

    def test_of_two_constants_is_certain_or_nothing(self) -> None:
        assert welch([1, 1], [1, 1]) == 0
        assert welch([1, 1], [2, 2]) == math.inf
        assert welch([2, 2], [1, 1]) == -math.inf

    def test_is_blinded_by_a_long_tail_and_sees_when_it_is_cropped(self) -> None:
        chance = random.Random("tail")
        samples = [
            [shift + chance.gauss(3, 0.1) + (500 if chance.random() < 0.05 else 0) for _ in range(300)]
            for shift in (0.0, 0.3)
        ]
        assert abs(welch(*samples)) < MOST_Z
        assert cropped_welch(*samples) > MOST_Z

    def test_sees_a_tail_of_one_of_them_although_the_crops_have_none(self) -> None:
        quick, with_a_tail = [1.0, 1.1] * 100, [1.0, 1.1] * 60 + [9.0, 9.1] * 40
        assert cropped_welch(quick, with_a_tail) > MOST_Z

    def test_leaves_out_a_crop_that_keeps_next_to_nothing_of_one_of_them(self) -> None:
        # All but two of the second lie beyond every crop: by these two alone they would be worlds apart.
        first = [1.0, 1.1] * 100
        second = [0.0, 0.0001, *(50.0 + n for n in range(FEWEST_TO_COMPARE))]
        assert cropped_welch(first, second) == welch(first, second)


@pytest.mark.parametrize("statistic", STATISTICS)
class TestEachOfThem:
    @repeatable
    @given(first=times, second=times)
    def test_changes_its_sign_when_the_samples_change_places(
        self, statistic: Statistic, first: list[float], second: list[float]
    ) -> None:
        assert abs(statistic(second, first)) == pytest.approx(abs(statistic(first, second)))
        if statistic is not cropped_welch:  # two crops may lie equally far on both sides
            assert statistic(second, first) == pytest.approx(-statistic(first, second))

    @repeatable
    @given(sample=times)
    def test_finds_nothing_between_a_sample_and_itself(
        self, statistic: Statistic, sample: list[float]
    ) -> None:
        assert statistic(sample, list(reversed(sample))) == pytest.approx(0, abs=1e-9)

    @repeatable
    @given(first=times, second=times)
    def test_is_blind_to_the_order_of_the_values(
        self, statistic: Statistic, first: list[float], second: list[float]
    ) -> None:
        assert statistic(sorted(first), second[::-1]) == pytest.approx(statistic(first, second))

    def test_stays_below_the_limit_for_one_source(self, statistic: Statistic) -> None:
        for seed in range(100):
            z = statistic(measured(f"{seed} first", 200), measured(f"{seed} second", 200))
            assert abs(z) < MOST_Z, seed


class TestTheVerdict:
    def test_on_one_source_is_never_a_leak(self) -> None:
        for seed in range(200):
            assert not Difference.between(measured(f"{seed} a", 100), measured(f"{seed} b", 100)).is_leak

    @pytest.mark.parametrize("later", [0.4, -0.4, 3.0, -3.0])
    def test_on_one_that_is_later_or_earlier_is_a_leak_with_its_sign(self, later: float) -> None:
        for seed in range(50):
            found = Difference.between(measured(f"{seed} a", 300), measured(f"{seed} b", 300, later=later))
            assert found.is_leak, seed
            for value in (found.milliseconds, found.mann_whitney, found.welch):
                assert math.copysign(1, value) == math.copysign(1, later)

    def test_does_not_call_a_leak_what_is_certain_and_tiny(self) -> None:
        found = Difference.between(measured("a", 20_000), measured("b", 20_000, later=0.05))
        assert found.mann_whitney > MOST_Z
        assert not found.is_leak

    def test_nor_what_is_large_and_may_be_chance(self) -> None:
        found = Difference.between([1.0, 2.0, 3.0, 9.0], [2.0, 3.0, 4.0, 5.0])
        assert found.milliseconds > MOST_MILLISECONDS
        assert not found.is_leak

    def test_calls_it_a_leak_when_one_of_the_two_tests_is_certain(self) -> None:
        assert Difference(100, 0.3, 4.6, 0.0).is_leak
        assert Difference(100, -0.3, 0.0, -4.6).is_leak
        assert not Difference(100, 0.3, 4.5, -4.5).is_leak
        assert not Difference(100, 0.2, 9.0, 9.0).is_leak
