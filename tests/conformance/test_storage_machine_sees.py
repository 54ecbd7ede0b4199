"""The machine proves itself: it finds a history that shows that a broken storage is not the honest one."""

from __future__ import annotations

import unicodedata
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from hypothesis import Phase, settings
from tests.conformance.broken_storage import FAULTS, Broken, Repository

from identity.adapters.memory import MemoryStorage
from identity.domain.errors import UsernameTaken
from identity.domain.names import Username
from identity.domain.user import NewUser, User
from identity.testing.storage_machine import SETTINGS, assert_alike

# Up to the first such history, and not on to the shortest. One of the first 25 will do; another version of
# Hypothesis, which tells other histories, may need more.
FIRST_FOUND = settings(SETTINGS, max_examples=100, phases=[Phase.generate], report_multiple_bugs=False)


class IgnoresAccents(Repository):
    """As most collations do."""

    async def add(self, user: NewUser) -> User:
        bare = unicodedata.normalize("NFD", user.username.key).encode("ascii", "ignore").decode()
        if await self.honest.with_username(Username(bare)) is not None:
            raise UsernameTaken
        added: User = await self.honest.add(user)
        return added


BROKEN = {**FAULTS, "names are compared without accents": partial(Broken, users=IgnoresAccents)}


@asynccontextmanager
async def memory() -> AsyncIterator[MemoryStorage]:
    yield MemoryStorage()


@pytest.mark.parametrize(
    "fault",
    [
        "nothing is rolled back",
        "what is not committed is read",
        "a save ignores the version",
        "names are compared without accents",
        "a rotation ignores what it replaces",
        "a token is spent twice",
        "a lease is ignored by other workers",
    ],
)
def test_a_storage_is_told_from_the_honest_one_when(fault: str) -> None:
    @asynccontextmanager
    async def broken() -> AsyncIterator[Broken]:
        yield BROKEN[fault]()

    with pytest.raises(AssertionError, match="the model"):
        assert_alike(memory, broken, settings=FIRST_FOUND)
