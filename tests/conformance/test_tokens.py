"""The conformance kit, asked of every adapter that signs tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import cache
from typing import ClassVar

import pytest

from identity.adapters.jwt.keyring import Keyring
from identity.adapters.jwt.keys import OpenKey, SealedKeys, shared_key
from identity.adapters.jwt.tokens import JwtTokens
from identity.adapters.jwt.vault import Vault
from identity.adapters.memory import FixedClock, MemoryStorage, MemoryTokens, SeededRandomness
from identity.domain.secrets import Secret
from identity.domain.signing_key import SigningKey
from identity.testing.tokens import TokensConformance

LONGEST_LIFETIME = timedelta(days=30)
VAULT = Vault(Secret("a secret of at least thirty-two bytes"), purpose="signing-keys")


@cache
def two_keys(algorithm: str) -> Sequence[SigningKey]:
    """That go by the same id: only the signature tells them apart. An RSA key takes long to make."""

    async def generate() -> SigningKey:
        keys = SealedKeys(vault=VAULT, randomness=SeededRandomness(), algorithm=algorithm)
        now = FixedClock().now()
        return await keys.generate(at=now, signs_from=now)

    with ThreadPoolExecutor(1) as thread:  # which has no event loop yet
        return [thread.submit(asyncio.run, generate()).result() for _ in range(2)]


async def jwt_tokens(
    clock: FixedClock, *, key: SigningKey | None = None, shared: OpenKey | None = None
) -> JwtTokens:
    storage = MemoryStorage()
    if key is not None:
        async with storage.begin() as uow:
            await uow.signing_keys.add_first(key)
    sealed = SealedKeys(vault=VAULT, randomness=SeededRandomness(), algorithm="ES256")
    keyring = Keyring(
        read=storage.read,
        begin=storage.begin,
        sealed=sealed,
        clock=clock,
        longest_lifetime=LONGEST_LIFETIME,
        shared=shared,
    )
    return JwtTokens(
        keyring=keyring, issuer="https://id.acme.example", audience="https://api.acme.example", clock=clock
    )


class KeyPairs(TokensConformance):
    """JSON Web Tokens that are signed with a private key; subclasses say by which algorithm."""

    algorithm: ClassVar[str]

    @pytest.fixture
    def clock(self) -> FixedClock:
        return FixedClock()

    @pytest.fixture
    async def tokens(self, clock: FixedClock) -> JwtTokens:
        return await jwt_tokens(clock, key=two_keys(self.algorithm)[0])

    @pytest.fixture
    async def foreign_tokens(self, clock: FixedClock) -> JwtTokens:
        return await jwt_tokens(clock, key=two_keys(self.algorithm)[1])


class TestEs256Tokens(KeyPairs):
    algorithm = "ES256"


class TestRs256Tokens(KeyPairs):
    algorithm = "RS256"


class TestHs256Tokens(TokensConformance):
    @pytest.fixture
    def clock(self) -> FixedClock:
        return FixedClock()

    @pytest.fixture
    async def tokens(self, clock: FixedClock) -> JwtTokens:
        return await jwt_tokens(clock, shared=shared_key(Secret("our own, and of thirty-two bytes or more")))

    @pytest.fixture
    async def foreign_tokens(self, clock: FixedClock) -> JwtTokens:
        return await jwt_tokens(clock, shared=shared_key(Secret("another's, of thirty-two bytes or more")))


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
