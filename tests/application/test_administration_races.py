"""Administrators who act on each other at once, on each database: one superuser is left, whatever they do."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.application.world import World
from tests.databases import KINDS, Databases

from identity.adapters.sql.storage import SqlStorage
from identity.application.sessions import Principal
from identity.domain.errors import AccessTokenRefused, LastSuperuser, NotPermitted
from identity.domain.events import OPERATOR

ACTS = ("demote_user", "disable_user", "erase_user")
PAIRS = list(itertools.combinations_with_replacement(ACTS, 2))


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest, databases: Databases) -> AsyncIterator[World]:
    storage = SqlStorage(databases.migrated(request.param))
    yield World(storage=storage)
    await storage.dispose()


async def open_superusers(world: World) -> int:
    async with world.storage.begin() as uow:
        return len(await uow.users.open_superusers())


@pytest.mark.parametrize(("first", "second"), PAIRS)
async def test_of_two_superusers_who_turn_on_each_other_one_is_refused(
    world: World, first: str, second: str
) -> None:
    one, other = await world.superuser("one"), await world.superuser("other")
    answers = await asyncio.gather(
        getattr(world, first)(by=one, user_id=other.user.id),
        getattr(world, second)(by=other, user_id=one.user.id),
        return_exceptions=True,
    )
    (refused,) = [each for each in answers if isinstance(each, BaseException)]
    assert isinstance(refused, NotPermitted | AccessTokenRefused)
    assert await open_superusers(world) == 1


async def test_of_many_whom_an_operator_takes_it_from_at_once_one_stays(world: World) -> None:
    superusers: list[Principal] = [await world.superuser(f"root{number}") for number in range(4)]
    answers: list[Any] = await asyncio.gather(
        *(
            getattr(world, act)(by=OPERATOR, user_id=each.user.id)
            for act, each in zip(itertools.cycle(ACTS), superusers, strict=False)
        ),
        return_exceptions=True,
    )
    (refused,) = [each for each in answers if isinstance(each, BaseException)]
    assert isinstance(refused, LastSuperuser)
    assert await open_superusers(world) == 1
