"""Argon2id with the parameters of a deployment, which other tests do without for their cost."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable

import pytest

from identity.adapters.argon2 import Argon2Hasher
from identity.domain.secrets import PasswordHash, Secret
from identity.settings import Settings

PASSWORD = Secret("correct horse battéry staple")


def hasher(**changed: int) -> Argon2Hasher:
    defaults = Settings()
    parameters = {
        "time_cost": defaults.argon2_time_cost,
        "memory_cost": defaults.argon2_memory_cost,
        "parallelism": defaults.argon2_parallelism,
    }
    return Argon2Hasher(**{**parameters, **changed})


async def test_a_password_is_stored_as_a_phc_string_with_the_parameters_of_the_settings() -> None:
    stored = await hasher().hash(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await hasher().hash(PASSWORD) != stored  # salted


@pytest.mark.parametrize("stored", ["", "$argon2id$", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$", "md5$x$y"])
async def test_what_is_no_hash_matches_nothing(stored: str) -> None:
    assert not await hasher().verify(PASSWORD, PasswordHash(stored))


@pytest.mark.parametrize("changed", [{"time_cost": 3}, {"memory_cost": 20480}, {"parallelism": 2}])
async def test_a_hash_of_other_parameters_is_out_of_date(changed: dict[str, int]) -> None:
    stored = await hasher().hash(PASSWORD)
    assert not hasher().needs_rehash(stored)
    assert hasher(**changed).needs_rehash(stored)
    assert await hasher(**changed).verify(PASSWORD, stored)


async def test_verifying_for_nobody_costs_what_verifying_for_somebody_does() -> None:
    lane = hasher()
    stored = await lane.hash(PASSWORD)

    async def cost(work: Awaitable[bool]) -> float:
        before = time.process_time()
        await work
        return time.process_time() - before

    somebody = [await cost(lane.verify(PASSWORD, stored)) for _ in range(7)]
    nobody = [await cost(lane.verify(PASSWORD, None)) for _ in range(7)]
    assert 0.5 < statistics.median(nobody) / statistics.median(somebody) < 2


async def test_the_event_loop_goes_on_while_passwords_are_hashed() -> None:
    lane, turns = hasher(), 0
    hashes = asyncio.gather(*(lane.hash(PASSWORD) for _ in range(8)))
    while not hashes.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100
