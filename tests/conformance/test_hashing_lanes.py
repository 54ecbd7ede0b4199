"""The conformance kit, asked of the lane for hashing."""

from __future__ import annotations

import pytest

from identity.adapters.hashing_lane import AsyncHashingLane
from identity.testing.hashing_lane import HashingLaneConformance, NewLane


class TestAsyncHashingLane(HashingLaneConformance):
    @pytest.fixture
    def new_lane(self) -> NewLane:
        return lambda slots, patience: AsyncHashingLane(slots=slots, patience=patience)
