"""Showing that mail to an account's address reaches its owner."""

from __future__ import annotations

from dataclasses import dataclass

from identity.application.conflicts import retried_on_conflict
from identity.application.links import FollowLink, RequestLink
from identity.application.mail import MailKind
from identity.application.ports import BeginUnitOfWork, Clock
from identity.application.throttling import Request
from identity.domain.errors import OneTimeTokenRefused
from identity.domain.events import EmailVerified, VerificationRequested
from identity.domain.one_time_token import Purpose
from identity.domain.secrets import Secret
from identity.domain.session import UNKNOWN_CLIENT, Client


class RequestVerification(RequestLink):
    """Asks for a mail with another link to verify one's address. Who has done so already gets none."""

    kind = MailKind.VERIFY_EMAIL
    trace = VerificationRequested
    counted_as = Request.RESEND_VERIFICATION


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyEmail:
    """Verifies the address of an account with the token of a mailed link.

    Raises:
        OneTimeTokenRefused: the token is wrong, spent, void, expired, another account's, or for an address
            that is the account's no more.
        Throttled: too many tokens from the address were wrong, and this one is.
    """

    begin: BeginUnitOfWork
    follow_link: FollowLink
    clock: Clock

    @retried_on_conflict
    async def __call__(self, *, uidb64: str, token: Secret, client: Client = UNKNOWN_CLIENT) -> None:
        user, _ = await self.follow_link(
            uidb64=uidb64, token=token, purpose=Purpose.VERIFY_EMAIL, client=client
        )
        now = self.clock.now()
        async with self.begin() as uow:
            await uow.users.save(user.verified(at=now))
            if not await uow.one_time_tokens.spend(
                token.digest(), purpose=Purpose.VERIFY_EMAIL, user_id=user.id, at=now
            ):
                raise OneTimeTokenRefused
            # Whoever opened the account may not be who reads its mail, and have links of their own.
            await uow.one_time_tokens.void(user.id, at=now)
            await uow.reservations.release(user.username, user_id=user.id)
            await uow.audit_log.append(EmailVerified(at=now, user_id=user.id, client=client))
