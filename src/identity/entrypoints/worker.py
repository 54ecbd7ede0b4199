"""What runs beside the requests: delivering mail, throwing away what is over, the next signing key, and
sealing the audit log."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from identity.application.audit import SealAuditLog
from identity.application.courier import Outcome
from identity.application.housekeeping import PurgeExpired
from identity.application.mail import MAIL
from identity.application.outbox import DeliverMail
from identity.application.signing_keys import RotateKeysWhenDue
from identity.domain.errors import Unavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

LANES = 4  # mails on their way at once, so that a slow recipient does not hold up the others
PAUSE = 2.0  # seconds a lane rests when nothing is due
HOURLY = 3600.0  # seconds
EVERY_MINUTE = 60.0  # seconds
PATIENCE = 5.0  # seconds a mail on its way gets to finish when the process stops


@contextlib.asynccontextmanager
async def working(
    *,
    deliver_mail: DeliverMail | None,
    purge_expired: PurgeExpired,
    rotate_keys_when_due: RotateKeysWhenDue,
    seal_audit_log: SealAuditLog,
    on_delivery: Callable[[str, Outcome], None] | None = None,
) -> AsyncIterator[None]:
    """Works in the background until the block ends. Mail that is then on its way for long is given back.

    `on_delivery` is told what became of each, after the queue that it was in.
    """
    stopping = asyncio.Event()
    jobs = [_repeat(job, stopping, pause=HOURLY) for job in (purge_expired, rotate_keys_when_due)]
    jobs.append(_repeat(seal_audit_log, stopping, pause=EVERY_MINUTE))
    if deliver_mail is not None:
        jobs += [
            _deliver(deliver_mail, stopping, first=lane * PAUSE / LANES, on_delivery=on_delivery)
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
    deliver_mail: DeliverMail,
    stopping: asyncio.Event,
    *,
    first: float,
    on_delivery: Callable[[str, Outcome], None] | None,
) -> None:
    await _rest(stopping, first)
    while not stopping.is_set():
        outcome = await _attempt(deliver_mail)
        if not outcome:
            await _rest(stopping, PAUSE)
        elif on_delivery is not None:
            on_delivery(MAIL, outcome)


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
