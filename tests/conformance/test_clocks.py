"""The conformance kit, asked of every clock."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from identity.adapters.memory import FixedClock
from identity.adapters.system import SystemClock
from identity.testing.clock import ClockConformance


class TestSystemClock(ClockConformance):
    @pytest.fixture
    def clock(self) -> SystemClock:
        return SystemClock()


class TestFixedClock(ClockConformance):
    @pytest.fixture
    def clock(self) -> FixedClock:
        return FixedClock(datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC))
