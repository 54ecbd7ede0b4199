"""Links that are mailed: where they lead, asking for one, and whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from identity.application.conflicts import retried_on_conflict
from identity.application.mail import MailIntent, MailKind
from identity.application.ports import BeginUnitOfWork, Clock, Randomness, ReadUnitOfWork
from identity.application.throttling import CountRequest, Request
from identity.domain.errors import InvalidInput, OneTimeTokenRefused, Throttled
from identity.domain.events import ANYBODY, Event
from identity.domain.names import EmailAddress
from identity.domain.one_time_token import UNDOING, OneTimeToken, Purpose
from identity.domain.secrets import Secret
from identity.domain.session import UNKNOWN_CLIENT, Client
from identity.domain.text import Malformed
from identity.domain.user import User, parse_user_reference, user_reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Where the links for a purpose lead, and how long they are good."""

    url: str
    """With the placeholders `{uidb64}` and `{token}`."""
    lifetime: timedelta

    def to(self, user: User, token: Secret) -> Secret:
        link = self.url.replace("{uidb64}", user_reference(user.id)).replace("{token}", token.reveal())
        return Secret(link)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestLink:
    """Asks for a mail with a link. Blind: the same calls, whether or not the address is anybody's.

    Whoever asks too often is not told, and nothing is written.

    Raises:
        InvalidInput: the text is not an e-mail address.
    """

    kind: ClassVar[MailKind]
    trace: ClassVar[type[Event]]
    counted_as: ClassVar[Request]

    begin: BeginUnitOfWork
    count_request: CountRequest
    clock: Clock
    randomness: Randomness

    @retried_on_conflict
    async def __call__(self, *, email: str, client: Client = UNKNOWN_CLIENT, language: str = "") -> None:
        """`language`: the tag of the one that whoever asks would like the mail to be in."""
        try:
            address = EmailAddress.parse(email)
        except Malformed as malformed:
            raise InvalidInput({"email": malformed.problems}) from None
        try:
            await self.count_request(self.counted_as, client)
        except Throttled:
            return
        now = self.clock.now()
        intent = MailIntent(
            id=self.randomness.identifier(),
            kind=self.kind,
            created_at=now,
            email_key=address.key,
            values={"language": language} if language else {},
        )
        async with self.begin() as uow:
            user = await uow.users.with_email(address)
            user_id = user.id if user else None
            await uow.audit_log.append(self.trace(at=now, user_id=user_id, actor=ANYBODY, client=client))
            await uow.outbox.put(intent)


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowLink:
    """Tells whose link it is that somebody followed, and what it was about. Does not use it up.

    Raises:
        OneTimeTokenRefused: the token is wrong, spent, void, expired, another account's, or for an address
            that is the account's no more.
        Throttled: too many tokens from the address were wrong, and this one is.
    """

    read: ReadUnitOfWork
    count_request: CountRequest
    clock: Clock

    async def __call__(
        self, *, uidb64: str, token: Secret, purpose: Purpose, client: Client
    ) -> tuple[User, OneTimeToken]:
        found = await self._find(uidb64, token, purpose)
        if found is None:
            await self.count_request(Request.REFUSED_LINK, client)
            raise OneTimeTokenRefused
        return found

    async def _find(self, uidb64: str, token: Secret, purpose: Purpose) -> tuple[User, OneTimeToken] | None:
        user_id = parse_user_reference(uidb64)
        if user_id is None:
            return None
        async with self.read() as uow:
            found = await uow.one_time_tokens.find(
                token.digest(), purpose=purpose, user_id=user_id, at=self.clock.now()
            )
            user = await uow.users.get(user_id) if found else None
        if found is None or user is None or not user.admits(purpose):
            return None
        return (user, found) if purpose in UNDOING or user.email.key == found.email_key else None
