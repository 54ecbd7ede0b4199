"""The conformance kit, asked of every hasher."""

from __future__ import annotations

import pytest

from identity.adapters.argon2 import Argon2Hasher
from identity.adapters.memory import PlainHasher
from identity.domain.secrets import PasswordHash
from identity.testing.hasher import HasherConformance


class TestArgon2Hasher(HasherConformance):
    """With the least that Argon2 takes (RFC 9106, 3.1); what a deployment's cost is elsewhere."""

    @pytest.fixture
    def hasher(self) -> Argon2Hasher:
        return Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)

    @pytest.fixture
    async def outdated_hash(self) -> PasswordHash:
        return await Argon2Hasher(time_cost=2, memory_cost=8, parallelism=1).hash(self.password)


class TestPlainHasher(HasherConformance):
    salted = False

    @pytest.fixture
    def hasher(self) -> PlainHasher:
        return PlainHasher()

    @pytest.fixture
    async def outdated_hash(self) -> PasswordHash:
        return await PlainHasher(cost=2).hash(self.password)
