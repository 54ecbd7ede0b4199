"""What is looked up when somebody asks: the hashing lane, the throttle, the connections and the outbox."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from identity.application.letters import Backlog
from identity.application.mail import MAIL
from identity.application.ports import Clock, HashingLane, PoolLoad
from identity.domain.errors import Unavailable

log = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds that the database gets


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where the figures come from."""

    lane: HashingLane
    decisions: Callable[[], Mapping[tuple[str, str], int]]
    """Of the throttle, by limit and decision."""
    pools: Callable[[], Sequence[PoolLoad]]
    backlog: Callable[[], Awaitable[Sequence[Backlog]]]
    """Asks the database."""
    clock: Clock


class Readings(Collector):
    """The figures as they were when `read` was last called."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._crowd = 0
        self._failed = 0
        self._families: tuple[Metric, ...] = ()
        self._queues = {MAIL}  # and every other that there has been something in

    def collect(self) -> Iterator[Metric]:
        yield from self._families

    def crowd(self) -> None:
        """One more was refused before it got to the lane, which would have refused it."""
        self._crowd += 1

    async def read(self) -> None:
        """Where the database does not answer in time, what only it knows is left out."""
        outbox = await self._outbox()
        self._families = (*self._lane(), self._throttle(), *self._pools(), *outbox, self._failures())

    def _lane(self) -> Iterator[Metric]:
        load = self._sources.lane.load()
        yield GaugeMetricFamily(
            "identity_hashing_slots",
            "Places in the hashing lane: so many passwords are worked on at once.",
            value=load.slots,
        )
        yield GaugeMetricFamily("identity_hashing_in_use", "Places that are taken.", value=load.in_use)
        yield GaugeMetricFamily(
            "identity_hashing_waiting", "Passwords that wait for a place.", value=load.waiting
        )
        yield CounterMetricFamily(
            "identity_hashing_refused_total",
            "Requests that were refused since there would have been no place in time.",
            value=load.refused + self._crowd,
        )

    def _throttle(self) -> Metric:
        decisions = CounterMetricFamily(
            "identity_throttle_decisions_total",
            "Attempts that were counted, by what limits them; how many were allowed, how many refused.",
            labels=["limit", "decision"],
        )
        for labels, count in self._sources.decisions().items():
            decisions.add_metric(labels, count)
        return decisions

    def _pools(self) -> Iterator[Metric]:
        connections = GaugeMetricFamily(
            "identity_database_connections", "Connections to the database.", labels=["pool", "state"]
        )
        sizes = GaugeMetricFamily(
            "identity_database_pool_size", "Connections that there may be at most.", labels=["pool"]
        )
        for pool in self._sources.pools():
            connections.add_metric([pool.name, "in_use"], pool.in_use)
            connections.add_metric([pool.name, "idle"], pool.idle)
            sizes.add_metric([pool.name], pool.size)
        yield connections
        yield sizes

    async def _outbox(self) -> tuple[Metric, ...]:
        letters = GaugeMetricFamily(
            "identity_outbox_letters",
            "What is in the outbox of the whole deployment: waiting, or given up and kept to be looked at.",
            labels=["queue", "state"],
        )
        oldest = GaugeMetricFamily(
            "identity_outbox_oldest_seconds",
            "For how long the one has been waiting that has waited for longest.",
            labels=["queue"],
        )
        try:
            async with asyncio.timeout(PATIENCE):
                backlog = await self._sources.backlog()
        except (Unavailable, TimeoutError):
            self._failed += 1
            return ()
        except Exception:
            log.exception("the outbox could not be looked at")
            self._failed += 1
            return ()
        now, filled = self._sources.clock.now(), {each.queue: each for each in backlog}
        self._queues |= filled.keys()
        for name in sorted(self._queues):
            queue = filled.get(name) or Backlog(queue=name, waiting=0, dead=0, oldest=None)
            letters.add_metric([name, "waiting"], queue.waiting)
            letters.add_metric([name, "dead"], queue.dead)
            age = (now - queue.oldest).total_seconds() if queue.oldest else 0.0
            oldest.add_metric([name], max(age, 0.0))
        return letters, oldest

    def _failures(self) -> Metric:
        return CounterMetricFamily(
            "identity_scrape_errors_total",
            "Scrapes from which the outbox is missing, since the database did not answer in time.",
            value=self._failed,
        )
