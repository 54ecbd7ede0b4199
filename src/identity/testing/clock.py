"""What every `Clock` owes its port."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from identity.application.ports import Clock
from identity.testing.conformance import Conformance


class ClockConformance(Conformance):
    """Tests of a `Clock`.

    Takes the fixture `clock`; one that stands still must not stand at a whole millisecond.

        class TestSystemClock(ClockConformance):
            @pytest.fixture
            def clock(self):
                return SystemClock()
    """

    def test_the_time_is_aware_and_in_utc(self, clock: Clock) -> None:
        with _local_time_hours_from_utc():
            now = clock.now()
        assert isinstance(now, datetime)
        assert now.utcoffset() == timedelta(0)

    def test_the_time_does_not_depend_on_where_the_machine_is(self, clock: Clock) -> None:
        here = clock.now()
        with _local_time_hours_from_utc():
            there = clock.now()
        assert abs(there - here) < timedelta(hours=1)

    def test_the_time_is_told_to_the_microsecond(self, clock: Clock) -> None:
        assert any(clock.now().microsecond % 1000 for _ in range(1000))


@contextmanager
def _local_time_hours_from_utc() -> Iterator[None]:
    """Far from UTC, as the machine that a test runs on seldom is."""
    if not hasattr(time, "tzset"):
        pytest.skip("this system cannot change its local time for one process")
    before = os.environ.get("TZ")
    os.environ["TZ"] = "TST-09"
    time.tzset()
    try:
        yield
    finally:
        if before is None:
            del os.environ["TZ"]
        else:
            os.environ["TZ"] = before
        time.tzset()
