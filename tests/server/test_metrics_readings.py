"""What is looked up when Prometheus asks, and what is told when some of it cannot be had."""

from __future__ import annotations

import asyncio
import socket
from datetime import timedelta

import pytest
from tests.server.scraping import Scrape
from tests.server.service import SOON

from identity.adapters.hashing_lane import AsyncHashingLane
from identity.adapters.memory import FixedClock
from identity.application.letters import Backlog
from identity.application.ports import PoolLoad
from identity.container import build_container
from identity.domain.errors import Unavailable
from identity.domain.secrets import Secret
from identity.entrypoints.metrics import Metrics, Sources, readings
from identity.entrypoints.server import metrics_of
from identity.settings import Settings


def metrics(*, backlog=None, lane=None, clock=None):
    async def empty():
        return ()

    return Metrics(
        Sources(
            lane=lane or AsyncHashingLane(slots=2),
            decisions=dict,
            pools=lambda: (PoolLoad(name="write", size=5, in_use=2, idle=1),),
            backlog=backlog or empty,
            clock=clock or FixedClock(),
        )
    )


async def scraped(metrics) -> Scrape:
    text, _ = await metrics.exposed("")
    return Scrape(text.decode())


async def test_the_outbox_is_looked_at_when_prometheus_asks():
    clock = FixedClock()
    put_at = clock.now()
    webhooks = Backlog(queue="webhook:4711", waiting=3, dead=1, oldest=put_at)
    queues = [webhooks]

    async def backlog():
        return tuple(queues)

    watched = metrics(backlog=backlog, clock=clock)
    clock.advance(timedelta(seconds=90))
    seen = await scraped(watched)
    assert seen.happened("identity_outbox_letters", "queue", "state") == {
        ("webhook:4711", "waiting"): 3,
        ("webhook:4711", "dead"): 1,
    }
    assert seen.happened("identity_outbox_oldest_seconds", "queue") == {"webhook:4711": 90}
    assert seen("identity_outbox_letters", queue="mail", state="waiting") == 0

    queues.clear()  # what is empty is told to be so, not left out
    seen = await scraped(watched)
    assert seen("identity_outbox_letters", queue="webhook:4711", state="waiting") == 0
    assert seen("identity_outbox_oldest_seconds", queue="webhook:4711") == 0

    clock.advance(timedelta(seconds=-180))  # the clock of whoever put it there is ahead
    queues.append(webhooks)
    assert (await scraped(watched))("identity_outbox_oldest_seconds", queue="webhook:4711") == 0


async def test_without_the_database_all_but_the_outbox_is_told(monkeypatch):
    monkeypatch.setattr(readings, "PATIENCE", 0.01)

    async def down():
        raise Unavailable("the database cannot be reached")

    async def silent():
        await asyncio.sleep(SOON)

    async def broken():
        raise ZeroDivisionError

    for backlog in (down, silent, broken):
        without = metrics(backlog=backlog)
        for count in (1, 2):
            seen = await scraped(without)
            assert seen("identity_scrape_errors_total") == count
            assert "identity_outbox_letters" not in seen.values
            assert seen("identity_database_connections", pool="write", state="in_use") == 2
            assert seen("identity_database_connections", pool="write", state="idle") == 1
            assert seen("identity_hashing_slots") == 2


async def test_a_service_whose_database_is_gone_tells_the_rest():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"postgresql://identity@127.0.0.1:{nobody.getsockname()[1]}/identity"
        container = build_container(
            Settings(database_url=url, secret=Secret("s" * 32), metrics_port=0, database_connections=3)
        )
        try:
            seen = await scraped(metrics_of(container))
        finally:
            await container.storage().dispose()
    assert seen("identity_scrape_errors_total") == 1
    assert seen("identity_database_pool_size", pool="read") == 3
    assert seen("identity_database_connections", pool="read", state="in_use") == 0
    assert "identity_outbox_letters" not in seen.values


async def test_the_lane_is_looked_at_when_prometheus_asks_and_a_crowd_counts_as_refused_by_it():
    lane = AsyncHashingLane(slots=2)
    watched = metrics(lane=lane)
    async with lane.turn():
        seen = await scraped(watched)
        assert seen("identity_hashing_in_use") == 1
        with pytest.raises(Unavailable):
            async with lane.turn(until=0.0):
                pytest.fail("it is too late")
    watched.crowd()
    watched.crowd()
    seen = await scraped(watched)
    assert (seen("identity_hashing_in_use"), seen("identity_hashing_refused_total")) == (0, 3)
