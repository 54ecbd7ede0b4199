"""Changing a password one knows, and replacing one that is lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from identity.application.conflicts import retried_on_conflict
from identity.application.links import FollowLink, RequestLink
from identity.application.mail import MailIntent, MailKind
from identity.application.ports import (
    BeginUnitOfWork,
    Clock,
    CommonPasswords,
    Randomness,
    ReadUnitOfWork,
)
from identity.application.sessions import Principal, find_owner
from identity.application.throttling import ConfirmPassword, ForgiveFailures, HashPassword, Request
from identity.domain.errors import (
    InvalidInput,
    OneTimeTokenRefused,
    WrongPassword,
)
from identity.domain.events import PasswordChanged, PasswordReset, ResetRequested
from identity.domain.names import EmailAddress, Username
from identity.domain.one_time_token import Purpose
from identity.domain.password_policy import PasswordPolicy
from identity.domain.secrets import Secret
from identity.domain.session import UNKNOWN_CLIENT, Client
from identity.domain.text import BLANK


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgePassword:
    """Holds a new password to the policy, beside its owner's names: the messages that apply, if any."""

    common_passwords: CommonPasswords
    policy: PasswordPolicy

    def __call__(
        self, password: Secret, *, username: Username | None, email: EmailAddress | None
    ) -> tuple[str, ...]:
        is_common = password.reveal() in self.common_passwords
        return self.policy.problems(password, is_common=is_common, username=username, email=email)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePassword:
    """Sets a new password for its owner, who knows the old one. Their other sessions end; they get a mail.

    Raises:
        WrongPassword: the old password is another one.
        InvalidInput: the new password is not acceptable.
        AccessTokenRefused: the session has ended meanwhile, or the account was disabled.
        Throttled: there were too many failures, of the account or from the address.
    """

    read: ReadUnitOfWork
    begin: BeginUnitOfWork
    hash_password: HashPassword
    confirm_password: ConfirmPassword
    judge_password: JudgePassword
    clock: Clock
    randomness: Randomness
    idle: timedelta

    @retried_on_conflict
    async def __call__(
        self,
        *,
        principal: Principal,
        old_password: Secret,
        new_password: Secret,
        client: Client = UNKNOWN_CLIENT,
    ) -> None:
        async with self.read() as uow:
            user = await find_owner(uow, principal, at=self.clock.now(), idle=self.idle)
        unacceptable = self.judge_password(new_password, username=user.username, email=user.email)
        problems = {"old_password": () if old_password else (BLANK,), "new_password": unacceptable}
        if any(problems.values()):
            raise InvalidInput({field: messages for field, messages in problems.items() if messages})
        if not await self.confirm_password(
            old_password, user=user, session_id=principal.session.id, client=client
        ):
            raise WrongPassword
        password_hash = await self.hash_password(new_password)
        now = self.clock.now()
        notice = MailIntent.about(
            user.id, MailKind.PASSWORD_CHANGED, id=self.randomness.identifier(), at=now, client=client
        )
        async with self.begin() as uow:
            await find_owner(uow, principal, at=now, idle=self.idle)
            await uow.users.save(user.with_password(password_hash, at=now))
            await uow.sessions.revoke_all(user.id, at=now, besides=principal.session.id)
            await uow.one_time_tokens.void(user.id, at=now)
            await uow.audit_log.append(
                PasswordChanged(at=now, user_id=user.id, session_id=principal.session.id, client=client)
            )
            await uow.outbox.put(notice)


class RequestReset(RequestLink):
    """Asks for a mail with a reset link."""

    kind = MailKind.PASSWORD_RESET
    trace = ResetRequested
    counted_as = Request.FORGOT_PASSWORD


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPassword:
    """Sets a new password with the token of a mailed link, which also shows whose the address is. All
    sessions end, and the owner gets a mail.

    A bad token is refused before anything is hashed or judged. An unacceptable password does not spend it.
    With a good one the account's failures are forgotten, so that nobody's guesses keep its owner out.

    Raises:
        OneTimeTokenRefused: the token is wrong, spent, void, expired, or another account's.
        InvalidInput: the password is not acceptable.
        Throttled: too many tokens from the address were wrong, and this one is.
    """

    begin: BeginUnitOfWork
    follow_link: FollowLink
    hash_password: HashPassword
    forgive_failures: ForgiveFailures
    judge_password: JudgePassword
    clock: Clock
    randomness: Randomness

    @retried_on_conflict
    async def __call__(
        self, *, uidb64: str, token: Secret, password: Secret, client: Client = UNKNOWN_CLIENT
    ) -> None:
        user, _ = await self.follow_link(
            uidb64=uidb64, token=token, purpose=Purpose.RESET_PASSWORD, client=client
        )
        problems = self.judge_password(password, username=user.username, email=user.email)
        if problems:
            raise InvalidInput({"password": problems})
        password_hash = await self.hash_password(password)
        await self.forgive_failures(user, client)
        now = self.clock.now()
        notice = MailIntent.about(
            user.id, MailKind.PASSWORD_CHANGED, id=self.randomness.identifier(), at=now, client=client
        )
        async with self.begin() as uow:
            # The account first, as everybody locks it: the other order could end in a deadlock.
            await uow.users.save(user.with_password(password_hash, at=now).verified(at=now))
            if not await uow.one_time_tokens.spend(
                token.digest(), purpose=Purpose.RESET_PASSWORD, user_id=user.id, at=now
            ):
                raise OneTimeTokenRefused
            await uow.reservations.release(user.username, user_id=user.id)
            await uow.sessions.revoke_all(user.id, at=now)
            await uow.one_time_tokens.void(user.id, at=now)
            await uow.audit_log.append(PasswordReset(at=now, user_id=user.id, client=client))
            await uow.outbox.put(notice)
