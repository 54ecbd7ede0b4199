"""What administrators see of mail and webhooks that wait or were given up, and trying those again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from identity.application.administration import INVALID_CURSOR, Authorise
from identity.application.conflicts import retried_on_conflict
from identity.application.letters import Letter, LetterPlace
from identity.application.ports import BeginUnitOfWork, Clock, ReadUnitOfWork
from identity.application.sessions import Principal
from identity.domain.errors import DeadLetterNotFound, InvalidInput
from identity.domain.events import Actor, LetterRetried
from identity.domain.names import EmailAddress
from identity.domain.session import UNKNOWN_CLIENT, Client
from identity.domain.text import has_control_characters

MOST_LETTERS = 100  # in a page


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterPage:
    letters: tuple[Letter, ...]
    next: LetterPlace | None
    """After which the next page begins; `None` where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOutbox:
    """A page of the letters that wait, the oldest first, or of the dead ones, the longest dead first; of none
    what is in it.

    Raises:
        InvalidInput: the cursor cannot be one.
    """

    read: ReadUnitOfWork

    async def __call__(
        self, *, dead: bool, after: str | None = None, limit: int = MOST_LETTERS
    ) -> LetterPage:
        """`after`: the `next` of the page before, as text."""
        place, limit = LetterPlace.parse(after) if after else None, min(limit, MOST_LETTERS)
        if after and place is None:
            raise InvalidInput({"after": [INVALID_CURSOR]})
        async with self.read() as uow:
            letters = await uow.outbox.letters(dead=dead, after=place, limit=limit + 1)
        shown = letters[:limit]
        return LetterPage(letters=shown, next=shown[-1].place if len(letters) > limit else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLetter:
    """Has a dead letter tried again, from now on and as often as a new one. One whose link would be over by
    now is not sent. Answers with the letter as it is then.

    Raises:
        NotPermitted, LoginTooOld, AccessTokenRefused: they may not, or may not any more.
        DeadLetterNotFound: it waits, was sent, or was tried again by another.
    """

    begin: BeginUnitOfWork
    authorise: Authorise
    clock: Clock

    @retried_on_conflict
    async def __call__(
        self, *, by: Principal | Actor, letter_id: str, client: Client = UNKNOWN_CLIENT
    ) -> Letter:
        """`by`: a superuser, or `OPERATOR`."""
        now = self.clock.now()
        async with self.begin() as uow:
            actor = await self.authorise.actor(uow, by=by, at=now)
            letter = None if has_control_characters(letter_id) else await uow.outbox.find(letter_id)
            if letter is None or not await uow.outbox.retry(letter_id, at=now):
                raise DeadLetterNotFound
            user_id = letter.user_id
            if letter.email_key is not None:
                reader = await uow.users.with_email(EmailAddress(letter.email_key))
                user_id = reader.id if reader else None
            await uow.audit_log.append(LetterRetried(at=now, user_id=user_id, actor=actor, client=client))
        return replace(letter, dead_at=None, due_at=now, attempts=0)
