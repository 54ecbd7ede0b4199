"""The conformance kit, asked of every adapter that signs tokens."""

from __future__ import annotations

import pytest

from identity.adapters.jwt.keyring import Keyring
from identity.adapters.jwt.tokens import JwtTokens
from identity.adapters.jwt.vault import Vault
from identity.adapters.memory import FixedClock, MemoryStorage, MemoryTokens, SeededRandomness
from identity.domain.secrets import Secret
from identity.testing.tokens import TokensConformance


def jwt_tokens(clock: FixedClock) -> JwtTokens:
    """With a key of its own that goes by the same id as every other: only the signature tells them apart."""
    storage = MemoryStorage()
    keyring = Keyring(
        read=storage.read,
        begin=storage.begin,
        vault=Vault(Secret("a secret of at least thirty-two bytes"), purpose="signing-keys"),
        clock=clock,
        randomness=SeededRandomness(),
    )
    return JwtTokens(
        keyring=keyring, issuer="https://id.acme.example", audience="https://api.acme.example", clock=clock
    )


class TestJwtTokens(TokensConformance):
    @pytest.fixture
    def clock(self) -> FixedClock:
        return FixedClock()

    @pytest.fixture
    def tokens(self, clock: FixedClock) -> JwtTokens:
        return jwt_tokens(clock)

    @pytest.fixture
    def foreign_tokens(self, clock: FixedClock) -> JwtTokens:
        return jwt_tokens(clock)


class TestMemoryTokens(TokensConformance):
    @pytest.fixture
    def clock(self) -> FixedClock:
        return FixedClock()

    @pytest.fixture
    def tokens(self, clock: FixedClock) -> MemoryTokens:
        return MemoryTokens(clock)

    @pytest.fixture
    def foreign_tokens(self, clock: FixedClock) -> MemoryTokens:
        return MemoryTokens(clock, key=b"another key for tests")
