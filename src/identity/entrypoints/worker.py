"""What runs beside the requests: delivering mail and webhooks, throwing away what is over, the next signing
key, and sealing the audit log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Protocol, TypeVar

from identity.application.audit import SealAuditLog
from identity.application.courier import Outcome
from identity.application.housekeeping import PurgeExpired
from identity.application.signing_keys import RotateKeysWhenDue
from identity.domain.errors import Unavailable

log = logging.getLogger(__name__)

LANES = 4  # of each kind on their way at once, so that a slow recipient does not hold up the others
PAUSE = 2.0  # seconds a lane rests when nothing is due
HOURLY = 3600.0  # seconds
EVERY_MINUTE = 60.0  # seconds
PATIENCE = 5.0  # seconds what is on its way gets to finish when the process stops


T = TypeVar("T")


class Delivery(Protocol):
    """Sends what has been due the longest in its queue; `None` when nothing is due."""

    @property
    def queue(self) -> str: ...
    async def __call__(self) -> Outcome | None: ...


@contextlib.asynccontextmanager
async def working(
    *,
    deliveries: Iterable[Delivery],
    purge_expired: PurgeExpired,
    rotate_keys_when_due: RotateKeysWhenDue,
    seal_audit_log: SealAuditLog,
    on_delivery: Callable[[str, Outcome], None] | None = None,
) -> AsyncIterator[None]:
    """Works in the background until the block ends. What is then on its way for long is given back.

    `on_delivery` is told of which queue something was, and what became of it.
    """
    stopping = asyncio.Event()
    jobs = [_repeat(job, stopping, pause=HOURLY) for job in (purge_expired, rotate_keys_when_due)]
    jobs.append(_repeat(seal_audit_log, stopping, pause=EVERY_MINUTE))
    jobs += [
        _deliver(delivery, stopping, first=lane * PAUSE / LANES, on_delivery=on_delivery)
        for delivery in deliveries
        for lane in range(LANES)
    ]
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        yield
    finally:
        stopping.set()
        _, late = await asyncio.wait(tasks, timeout=PATIENCE)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _deliver(
    deliver: Delivery,
    stopping: asyncio.Event,
    *,
    first: float,
    on_delivery: Callable[[str, Outcome], None] | None,
) -> None:
    await _rest(stopping, first)
    while not stopping.is_set():
        outcome = await _attempt(deliver)
        if not outcome:
            await _rest(stopping, PAUSE)
        elif on_delivery is not None:
            on_delivery(deliver.queue, outcome)


async def _repeat(job: Callable[[], Awaitable[object]], stopping: asyncio.Event, *, pause: float) -> None:
    while not stopping.is_set():
        await _attempt(job)
        await _rest(stopping, pause)


async def _attempt(job: Callable[[], Awaitable[T]]) -> T | None:
    """The job's result, or `None` when it failed: the next attempt may do better."""
    try:
        return await job()
    except Unavailable as error:
        log.warning("%s has to wait: %s", type(job).__name__, error)
    except Exception:
        log.exception("%s failed", type(job).__name__)
    return None


async def _rest(stopping: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stopping.wait()
