"""Turning the intents of the outbox into mail that has left the house."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from identity.application.composing import ComposeMail, is_counted
from identity.application.conflicts import retried_on_conflict
from identity.application.courier import Courier, Outcome, Schedule
from identity.application.letters import Intent
from identity.application.mail import MAIL, MailIntent
from identity.application.ports import Clock, Mailer, MailRenderer, RateLimiter, UnitOfWork
from identity.application.throttling import Buckets
from identity.domain.errors import Throttled

MAIL_SCHEDULE = Schedule(attempts=12, longest_delay=timedelta(hours=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverMail:
    """Sends the mail that has been due the longest. `None` when nothing is due.

    A mail that cannot be sent now is tried again later and later; one that never can be becomes a dead
    letter.
    """

    courier: Courier
    compose_mail: ComposeMail
    limiter: RateLimiter
    buckets: Buckets
    renderer: MailRenderer
    mailer: Mailer
    clock: Clock

    @property
    def queue(self) -> str:
        return MAIL

    async def __call__(self) -> Outcome | None:
        carried = await self.courier.carry(self.queue, deliver=self._deliver, settle=self._mark_sent)
        if carried is None:
            return None
        intent, outcome = carried
        if outcome is Outcome.SENT:
            await self._count(_mail(intent))
        return outcome

    async def _deliver(self, intent: Intent) -> Outcome:
        try:
            # First of all: a code that is minted can be guessed, whether or not it is mailed.
            await self._look_for_room(_mail(intent))
        except Throttled:
            return Outcome.DROPPED
        mail = await self.compose_mail(_mail(intent))
        if mail is None:
            return Outcome.DROPPED
        await self.mailer.send(self.renderer.render(mail, id=intent.id, date=intent.created_at))
        return Outcome.SENT

    async def _mark_sent(self, uow: UnitOfWork, intent: Intent) -> None:
        await uow.one_time_tokens.mark_sent(intent.id, at=self.clock.now())

    @retried_on_conflict
    async def _look_for_room(self, intent: MailIntent) -> None:
        """Raises `Throttled`: the account had its share of notices of this kind for today."""
        if is_counted(intent):
            places = await self.limiter.reserve(self.buckets.of_notice(intent), at=self.clock.now())
            # Given back at once: only what has left counts, however often it had to wait.
            await self.limiter.succeed(*(places or ()), at=self.clock.now())

    @retried_on_conflict
    async def _count(self, intent: MailIntent) -> None:
        if is_counted(intent):
            with suppress(Throttled):  # another worker sent the last that there was room for meanwhile
                await self.limiter.count(self.buckets.of_notice(intent), at=self.clock.now())


def _mail(intent: Intent) -> MailIntent:
    if not isinstance(intent, MailIntent):
        raise TypeError(f"{intent} waits among the mails")
    return intent
