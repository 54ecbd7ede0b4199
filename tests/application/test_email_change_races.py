"""Who changes an address, or takes one back, while somebody else is at it: on each database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.application.world import ResetLink, World
from tests.databases import KINDS, Databases

from identity.adapters.sql.storage import SqlStorage
from identity.domain.errors import EmailTaken, InvalidInput, OneTimeTokenRefused
from identity.domain.names import EmailAddress
from identity.domain.tokens import TokenPair
from identity.domain.user import User

OLD, NEW, NEWER = "alice@example.com", "alice@example.net", "alice@example.org"
ROUNDS = 3


@pytest.fixture(params=KINDS)
async def world(request: pytest.FixtureRequest, databases: Databases) -> AsyncIterator[World]:
    storage = SqlStorage(databases.migrated(request.param))
    yield World(storage=storage)
    await storage.dispose()


@pytest.fixture
async def alice(world: World) -> User:
    return await world.registered("alice")


@pytest.fixture
async def pair(world: World, alice: User) -> TokenPair:
    return await world.logged_in("alice")


async def owner(world: World, email: str) -> str | None:
    async with world.storage.read() as uow:
        user = await uow.users.with_email(EmailAddress(email))
    return user and user.username.value


async def test_of_many_who_confirm_one_address_one_does(world: World, pair: TokenPair) -> None:
    link = await world.confirmation_link(pair, NEW)
    answers = await asyncio.gather(
        *(world.confirm_email_change(**link.parts()) for _ in range(5)), return_exceptions=True
    )
    assert sorted(str(type(each)) for each in answers if each) == [str(OneTimeTokenRefused)] * 4
    assert sorted(mail.to.value for mail in await world.delivered()) == [OLD, NEW]


async def test_of_two_addresses_that_are_confirmed_at_once_the_account_has_one(
    world: World, pair: TokenPair
) -> None:
    links = [await world.confirmation_link(pair, each) for each in (NEW, NEWER)]
    answers = await asyncio.gather(
        *(world.confirm_email_change(**link.parts()) for link in links), return_exceptions=True
    )
    assert [type(each) for each in answers if each] == [OneTimeTokenRefused]
    assert await owner(world, (NEW, NEWER)[answers.index(None)]) == "alice"


async def test_an_address_that_is_confirmed_beside_registrations_is_one_account_s(
    world: World, pair: TokenPair
) -> None:
    for turn in range(ROUNDS):
        new = f"{turn}@example.net"
        link = await world.confirmation_link(await world.logged_in("alice"), new)
        names = [f"bob{turn}", f"eve{turn}"]
        acts = [
            world.registered(names[0], new),
            world.confirm_email_change(**link.parts()),
            world.registered(names[1], new),
        ]
        answers = await asyncio.gather(*acts, return_exceptions=True)
        refused = {type(each) for each in answers if isinstance(each, Exception)}
        assert refused <= {OneTimeTokenRefused, EmailTaken, InvalidInput}
        done = [not isinstance(each, Exception) for each in answers]
        assert done.count(True) == 1
        assert await owner(world, new) == (names[0], "alice", names[1])[done.index(True)]
        await world.delivered()


async def test_an_earlier_change_is_undone_whatever_is_undone_beside_it(
    world: World, pair: TokenPair
) -> None:
    first: ResetLink = await world.changed_email(pair, NEW)
    world.clock.advance(timedelta(minutes=1))
    second = await world.changed_email(pair, NEWER)
    undone, _ = await asyncio.gather(
        world.undo_email_change(**first.parts()),
        world.undo_email_change(**second.parts()),
        return_exceptions=True,
    )
    assert undone is None
    assert await owner(world, OLD) == "alice"
    with pytest.raises(OneTimeTokenRefused):
        await world.undo_email_change(**second.parts())
    assert await owner(world, OLD) == "alice"
