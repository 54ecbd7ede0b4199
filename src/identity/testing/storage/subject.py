"""The storage under test, and what all its tests do with it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Protocol, TypeVar

import pytest

from identity.application.letters import ClaimedIntent, Intent
from identity.application.mail import MAIL
from identity.application.ports import UnitOfWork
from identity.domain.errors import Conflict, IdentityError
from identity.domain.events import Event
from identity.domain.one_time_token import OneTimeToken
from identity.domain.session import Session
from identity.domain.user import User
from identity.testing.conformance import Conformance
from identity.testing.samples import HOUR, NOW, new_user

T = TypeVar("T")

TRIES = 50  # of which each lets at least one of a handful of rivals through
MOMENT = 0.05  # seconds: what does not wait for anything is done by then
LONG_ENOUGH = 30.0  # seconds: what is not done by then waits for something that will not happen


class Storage(Protocol):
    """`BeginUnitOfWork` and `ReadUnitOfWork` over one and the same place."""

    def begin(self) -> AbstractAsyncContextManager[UnitOfWork]: ...

    def read(self) -> AbstractAsyncContextManager[UnitOfWork]: ...


class StorageTests(Conformance):
    """Tests that ask for one fixture, `storage`: an empty storage, a new one for each test."""

    async def events_of(self, storage: Storage) -> Sequence[Event] | None:
        """What the audit log holds, in its order. No port reads it: override this where it can be read.

        While it is `None`, the tests of the audit log are skipped, or ask for everything else.
        """
        return None


async def add_user(storage: Storage, username: str = "ann", **values: Any) -> User:
    async with storage.begin() as uow:
        return await uow.users.add(new_user(username, **values))


async def add_sessions(storage: Storage, *sessions: Session) -> None:
    async with storage.begin() as uow:
        for session in sessions:
            await uow.sessions.add(session)


async def add_tokens(storage: Storage, *tokens: OneTimeToken) -> None:
    async with storage.begin() as uow:
        for token in tokens:
            await uow.one_time_tokens.add(token)


async def put_intents(storage: Storage, *intents: Intent) -> None:
    async with storage.begin() as uow:
        for intent in intents:
            await uow.outbox.put(intent)


async def claim(storage: Storage, lease_id: str = "l", *, queue: str = MAIL) -> ClaimedIntent:
    async with storage.begin() as uow:
        claimed = await uow.outbox.claim(lease_id=lease_id, at=NOW, lease=HOUR, queue=queue)
    assert claimed is not None
    return claimed


async def stored_user(storage: Storage, user_id: int) -> User:
    async with storage.read() as uow:
        user = await uow.users.get(user_id)
    assert user is not None
    return user


async def stored_session(storage: Storage, id: str = "s") -> Session:
    async with storage.read() as uow:
        found = await uow.sessions.get_with_user(id)
    assert found is not None
    return found[0]


async def is_refused(attempt: Awaitable[object]) -> bool:
    """Whether it ended in an exception; which one is the storage's own affair."""
    with suppress(Exception):
        await attempt
        return False
    return True


async def all_at_once(count: int, attempt: Callable[[int], Awaitable[object]]) -> Counter[object]:
    """How often each outcome came of so many attempts at once. That of a refusal is its class."""
    outcomes = await asyncio.gather(*(attempt(number) for number in range(count)), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, IdentityError):
            raise outcome
    return Counter(type(each) if isinstance(each, IdentityError) else each for each in outcomes)


def assert_one_won(outcomes: Counter[object], *, lost: object = False) -> None:
    """One `True`, and all others `lost`, or gave way: a storage may end a race by choosing a victim."""
    assert outcomes[True] == 1, outcomes
    assert set(outcomes) <= {True, lost, Conflict}, outcomes


async def again_after_conflicts(attempt: Callable[[], Awaitable[T]]) -> T:
    """What comes of it in the end, run again from its start as the callers of a storage do."""
    for _ in range(TRIES):
        with suppress(Conflict):
            return await attempt()
    pytest.fail(f"lost {TRIES} races in a row, which somebody must have won")
