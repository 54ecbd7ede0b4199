"""Telling other systems what happened, by requests that they can verify."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from identity.application.courier import Courier, Outcome, Schedule
from identity.application.letters import Backlog, Intent, Letter, LetterPlace, WebhookIntent
from identity.application.mail import MAIL
from identity.application.outbox_administration import RetryLetter
from identity.application.ports import (
    AuditLog,
    BeginUnitOfWork,
    Clock,
    Outbox,
    Randomness,
    ReadUnitOfWork,
    UnitOfWork,
    WebhookSender,
)
from identity.application.sessions import Principal
from identity.domain.errors import DeadLetterNotFound
from identity.domain.events import Actor, Event, NumberedEvent
from identity.domain.webhook import Endpoint, Webhook, body_of, trial_body

WEBHOOK_SCHEDULE = Schedule(attempts=16, longest_delay=timedelta(hours=12))
"""Two to three days, so that a receiver that breaks on a Friday evening is told of it all on Monday."""
_PAGE = 100  # letters


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnounceEvents:
    """Units of work in which every event that is noted is put into the queues of the endpoints that want it:
    they are told of what was committed, and of nothing else."""

    begin: BeginUnitOfWork
    endpoints: tuple[Endpoint, ...]
    randomness: Randomness

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[UnitOfWork]:
        async with self.begin() as uow:
            yield replace(
                uow,
                audit_log=_AnnouncingLog(
                    log=uow.audit_log,
                    outbox=uow.outbox,
                    endpoints=self.endpoints,
                    randomness=self.randomness,
                ),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _AnnouncingLog:
    log: AuditLog
    outbox: Outbox
    endpoints: tuple[Endpoint, ...]
    randomness: Randomness

    async def append(self, event: Event) -> None:
        await self.log.append(event)
        for endpoint in self.endpoints:
            if endpoint.wants(event):
                await self.outbox.put(
                    WebhookIntent(
                        id=self.randomness.identifier(),
                        queue=endpoint.queue,
                        kind=event.kind,
                        created_at=event.at,
                        user_id=event.user_id,
                        body=body_of(event),
                    )
                )

    async def of_user(self, user_id: int, *, limit: int) -> tuple[Event, ...]:
        return await self.log.of_user(user_id, limit=limit)

    async def find(
        self,
        *,
        user_id: int | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        limit: int,
    ) -> tuple[NumberedEvent, ...]:
        return await self.log.find(
            user_id=user_id, kind=kind, since=since, until=until, before=before, limit=limit
        )

    async def forget_clients(self, user_id: int) -> None:
        await self.log.forget_clients(user_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverWebhook:
    """Sends the endpoint the webhook that has been due the longest. `None` when nothing is due.

    They may arrive in another order than they happened, and one may arrive twice, under the same id.
    """

    courier: Courier
    sender: WebhookSender
    clock: Clock
    endpoint: Endpoint

    @property
    def queue(self) -> str:
        return self.endpoint.queue

    async def __call__(self) -> Outcome | None:
        carried = await self.courier.carry(self.queue, deliver=self._deliver)
        return carried and carried[1]

    async def _deliver(self, intent: Intent) -> Outcome:
        if not isinstance(intent, WebhookIntent):
            raise TypeError(f"{intent} waits among the webhooks")
        await self.sender.send(_signed(self.endpoint, id=intent.id, at=self.clock.now(), body=intent.body))
        return Outcome.SENT


@dataclass(frozen=True, slots=True, kw_only=True)
class TryEndpoint:
    """Sends the endpoint a webhook of the type `Test`, now and without the outbox.

    Raises:
        DeliveryDeferred, DeliveryRefused: it was not received.
    """

    sender: WebhookSender
    clock: Clock
    randomness: Randomness

    async def __call__(self, endpoint: Endpoint) -> None:
        now = self.clock.now()
        webhook = _signed(endpoint, id=self.randomness.identifier(), at=now, body=trial_body(now))
        await self.sender.send(webhook)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowEndpoints:
    """The queue of each endpoint, and those of endpoints that this process does not know."""

    read: ReadUnitOfWork
    endpoints: tuple[Endpoint, ...]

    async def __call__(self) -> tuple[tuple[Endpoint | None, Backlog], ...]:
        async with self.read() as uow:
            backlogs = {each.queue: each for each in await uow.outbox.backlog() if each.queue != MAIL}
        known = [
            (each, backlogs.pop(each.queue, Backlog(queue=each.queue, waiting=0, dead=0, oldest=None)))
            for each in self.endpoints
        ]
        return (*known, *((None, backlog) for backlog in backlogs.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryWebhooks:
    """Has the dead letters of these endpoints tried again, each as `RetryLetter` does; how many.

    Raises:
        NotPermitted, LoginTooOld, AccessTokenRefused: they may not, or may not any more.
    """

    read: ReadUnitOfWork
    retry_letter: RetryLetter

    async def __call__(self, *, by: Principal | Actor, endpoints: Collection[Endpoint]) -> int:
        # Looked for before any is tried again: it may be dead once more within a moment, and for ever so on.
        letter_ids = await self._dead({each.queue for each in endpoints})
        return sum([await self._retry(each, by=by) for each in letter_ids])

    async def _dead(self, queues: Set[str]) -> list[str]:
        found: list[str] = []
        after: LetterPlace | None = None
        while letters := await self._page(after):
            found += (letter.id for letter in letters if letter.queue in queues)
            after = letters[-1].place
        return found

    async def _page(self, after: LetterPlace | None) -> tuple[Letter, ...]:
        async with self.read() as uow:
            return await uow.outbox.letters(dead=True, after=after, limit=_PAGE)

    async def _retry(self, letter_id: str, *, by: Principal | Actor) -> bool:
        try:
            await self.retry_letter(by=by, letter_id=letter_id)
        except DeadLetterNotFound:  # tried again by another meanwhile
            return False
        return True


def _signed(endpoint: Endpoint, *, id: str, at: datetime, body: str) -> Webhook:
    return Webhook.signed(url=endpoint.url, id=id, at=at, body=body.encode(), by=endpoint.secrets)
