"""The conformance kit, asked of every source of randomness."""

from __future__ import annotations

import pytest

from identity.adapters.memory import SeededRandomness
from identity.adapters.system import SystemRandomness
from identity.testing.randomness import RandomnessConformance


class TestSystemRandomness(RandomnessConformance):
    @pytest.fixture
    def randomness(self) -> SystemRandomness:
        return SystemRandomness()


class TestSeededRandomness(RandomnessConformance):
    @pytest.fixture
    def randomness(self) -> SeededRandomness:
        return SeededRandomness()
