"""What goes into the mail of each kind, and to whom it goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from identity.application.conflicts import retried_on_conflict
from identity.application.letters import LEASE
from identity.application.links import Link
from identity.application.login_code import MintLoginCode
from identity.application.mail import (
    AccountExistsMail,
    DeletionRequestedMail,
    DeletionUndoneMail,
    EmailChangedMail,
    EmailChangeMail,
    EmailChangeUndoneMail,
    EmailConfirmedMail,
    LoginCodeMail,
    Mail,
    MailIntent,
    MailKind,
    NewDeviceMail,
    PasswordChangedMail,
    PasswordResetMail,
    SessionReusedMail,
    VerifyEmailMail,
)
from identity.application.ports import BeginUnitOfWork, Clock, Randomness, UnitOfWork
from identity.domain.names import EmailAddress
from identity.domain.one_time_token import UNDOING, OneTimeToken, Purpose
from identity.domain.secrets import Secret
from identity.domain.session import Client
from identity.domain.user import User

LINKS_A_DAY = 5
"""For each purpose to each account."""
LINKS_COUNTED_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the mail of a kind is made of its intent, besides `to`, `username` and `locale`."""

    mail: type[Mail]
    tells: Callable[[MailIntent], dict[str, Any]] = lambda intent: {}
    """What it takes from the intent."""
    purpose: Purpose | None = None
    """What its `link` is for, which it also `expires_in`; a mail without one is a notice."""
    ends: Callable[[User], datetime | None] = lambda user: None
    """When its `link` ends, which it then `expires_at`; `None` for the lifetime of those for its purpose."""
    is_pointless: Callable[[User], bool] = lambda user: False
    """Whether it needs not be sent any more."""
    is_overtaken: Callable[[MailIntent, User], bool] = lambda intent, user: False
    """Whether the account has changed since, so that it must not be sent."""


def _what_happened(intent: MailIntent) -> dict[str, Any]:
    return {"at": intent.created_at, "client": _client(intent)}


def _what_ended(intent: MailIntent) -> dict[str, Any]:
    return _what_happened(intent) | {"signed_out": _client(intent, "signed_out_")}


def _was_asked_for_by_another(intent: MailIntent, user: User) -> bool:
    """Whether the account has had another password or address since: who asked may be one who had it then."""
    changed_at = max(user.password_changed_at, user.email_verified_at or user.joined_at)
    return intent.created_at < changed_at


RECIPES: Mapping[MailKind, Recipe] = {
    MailKind.PASSWORD_RESET: Recipe(PasswordResetMail, purpose=Purpose.RESET_PASSWORD),
    MailKind.VERIFY_EMAIL: Recipe(
        VerifyEmailMail, purpose=Purpose.VERIFY_EMAIL, is_pointless=lambda user: user.is_verified
    ),
    MailKind.ACCOUNT_EXISTS: Recipe(AccountExistsMail, _what_happened),
    MailKind.PASSWORD_CHANGED: Recipe(PasswordChangedMail, _what_happened),
    MailKind.SESSION_REUSED: Recipe(SessionReusedMail, _what_ended),
    MailKind.NEW_DEVICE: Recipe(NewDeviceMail, _what_happened),
    MailKind.EMAIL_CHANGE: Recipe(
        EmailChangeMail, purpose=Purpose.CHANGE_EMAIL, is_overtaken=_was_asked_for_by_another
    ),
    MailKind.EMAIL_CHANGED: Recipe(EmailChangedMail, _what_happened, purpose=Purpose.UNDO_EMAIL_CHANGE),
    MailKind.EMAIL_CONFIRMED: Recipe(EmailConfirmedMail, _what_happened),
    MailKind.EMAIL_CHANGE_UNDONE: Recipe(EmailChangeUndoneMail, _what_happened),
    MailKind.LOGIN_CODE: Recipe(LoginCodeMail, _what_happened),
    MailKind.DELETION_REQUESTED: Recipe(
        DeletionRequestedMail,
        _what_happened,
        purpose=Purpose.UNDO_DELETION,
        ends=lambda user: user.erasure_due_at,
    ),
    MailKind.DELETION_UNDONE: Recipe(DeletionUndoneMail, _what_happened),
}


def is_counted(intent: MailIntent) -> bool:
    """Whether its reader gets only so many a day; of other mails the links are counted."""
    return RECIPES[intent.kind].purpose in {None, Purpose.CHANGE_EMAIL}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeMail:
    """Makes the mail to send now of an intent; `None` where there is nobody to send it to or no sense in it
    any more.

    The token or code is minted here, not when the mail was asked for, so that none is at rest in the outbox.
    """

    begin: BeginUnitOfWork
    clock: Clock
    randomness: Randomness
    links: Mapping[Purpose, Link]
    mint_login_code: MintLoginCode

    @retried_on_conflict
    async def __call__(self, intent: MailIntent) -> Mail | None:
        recipe = RECIPES[intent.kind]
        async with self.begin() as uow:
            user = await _reader(uow, intent)
            if user is None or not await _is_to_be_sent(uow, intent, user, recipe):
                return None
            secrets = await self._secrets(uow, intent, user, recipe)
        if secrets is None:
            return None
        told = recipe.tells(intent) | secrets
        locale = user.locale or intent.values.get("language", "")
        return recipe.mail(to=intent.to or user.email, username=user.username, locale=locale, **told)

    async def _secrets(
        self, uow: UnitOfWork, intent: MailIntent, user: User, recipe: Recipe
    ) -> dict[str, Any] | None:
        """The link or the code, and how long it is good; `None` where there is not to be one any more."""
        now = self.clock.now()
        if intent.kind is MailKind.LOGIN_CODE:
            minted = await self.mint_login_code(uow, intent, at=now)
            return {"code": minted[0], "expires_in": minted[1]} if minted else None
        if recipe.purpose is None:
            return {}
        link = self.links[recipe.purpose]
        ends = recipe.ends(user)
        expires_at = ends or now + link.lifetime
        if now >= intent.created_at + link.lifetime or now >= expires_at:
            return None
        token = await self._mint(uow, intent, user, recipe.purpose, at=now, expires_at=expires_at)
        if token is None:
            return None
        lasts: dict[str, Any] = {"expires_at": ends} if ends else {"expires_in": link.lifetime}
        return {"link": link.to(user, token)} | lasts

    async def _mint(
        self,
        uow: UnitOfWork,
        intent: MailIntent,
        user: User,
        purpose: Purpose,
        *,
        at: datetime,
        expires_at: datetime,
    ) -> Secret | None:
        earlier = await uow.one_time_tokens.count_intents(
            user.id,
            purpose=purpose,
            sent_since=at - LINKS_COUNTED_FOR,
            minted_since=at - LEASE,
            besides=intent.id,
        )
        # Whoever undoes what a thief does again and again is to be able to do so once more.
        if earlier >= LINKS_A_DAY and purpose not in UNDOING:
            return None
        token = self.randomness.token()
        await uow.one_time_tokens.add(
            OneTimeToken(
                digest=token.digest(),
                purpose=purpose,
                user_id=user.id,
                email_key=user.email.key,
                email=intent.to,
                intent_id=intent.id,
                created_at=at,
                expires_at=expires_at,
            )
        )
        return token


async def _is_to_be_sent(uow: UnitOfWork, intent: MailIntent, user: User, recipe: Recipe) -> bool:
    if not user.admits(recipe.purpose) or recipe.is_pointless(user) or recipe.is_overtaken(intent, user):
        return False
    return not await _is_to_another(uow, intent, user)


def _client(intent: MailIntent, which: str = "") -> Client:
    values = intent.values
    return Client(address=values.get(f"{which}address", ""), user_agent=values.get(f"{which}user_agent", ""))


async def _reader(uow: UnitOfWork, intent: MailIntent) -> User | None:
    if intent.user_id is not None:
        return await uow.users.get(intent.user_id)
    return await uow.users.with_email(EmailAddress(intent.email_key or ""))


async def _is_to_another(uow: UnitOfWork, intent: MailIntent, user: User) -> bool:
    """Whether it would go to an address that another account has, or had and may have again."""
    if intent.to is None:
        return False
    holder = await uow.users.with_email(intent.to)
    if holder is not None:
        return holder.id != user.id
    return await uow.reservations.is_held(intent.to, besides=user.id)
