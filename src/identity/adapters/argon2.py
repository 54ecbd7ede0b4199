"""Argon2id (RFC 9106), in a lane of its own beside the event loop."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from identity.domain.secrets import PasswordHash, Secret

T = TypeVar("T")


class Argon2Hasher:
    """Hashes in as many threads as there are cores: each hash fills a core, so more would only cost memory.

    Args:
        time_cost: passes over the memory.
        memory_cost: in KiB, for every hash that runs.
        parallelism: lanes within one hash.
        threads: another number of them.
    """

    def __init__(
        self, *, time_cost: int, memory_cost: int, parallelism: int, threads: int | None = None
    ) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=time_cost, memory_cost=memory_cost, parallelism=parallelism
        )
        self._lane = ThreadPoolExecutor(threads or os.cpu_count(), thread_name_prefix="argon2")
        # What an unknown account's password is verified against, so that it costs what a known one's does.
        # Not made by hashing, whose memory would stay with a worker that has nothing to do.
        self._nobodys = PasswordHash(
            f"$argon2id$v=19$m={memory_cost},t={time_cost},p={parallelism}"
            f"${_random(argon2.DEFAULT_RANDOM_SALT_LENGTH)}${_random(argon2.DEFAULT_HASH_LENGTH)}"
        )

    async def hash(self, password: Secret) -> PasswordHash:
        return PasswordHash(await self._in_lane(lambda: self._argon2.hash(_octets(password))))

    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        matches = await self._in_lane(lambda: self._matches(password, password_hash or self._nobodys))
        return matches and password_hash is not None

    def needs_rehash(self, password_hash: PasswordHash) -> bool:
        try:
            return self._argon2.check_needs_rehash(password_hash)
        except InvalidHashError:
            return True

    def _matches(self, password: Secret, password_hash: PasswordHash) -> bool:
        try:
            return self._argon2.verify(password_hash, _octets(password))
        except InvalidHashError:  # of an account without a password, for one: as dear as any other
            return password_hash != self._nobodys and self._matches(password, self._nobodys)
        except (VerificationError, UnicodeEncodeError):
            return False

    async def _in_lane(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._lane, work)


def _random(octets: int) -> str:
    return base64.b64encode(os.urandom(octets)).rstrip(b"=").decode()


def _octets(password: Secret) -> bytes:
    return password.reveal().encode(errors="surrogatepass")
