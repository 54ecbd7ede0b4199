"""Which mails exist. What they say is in the templates of a renderer; how they travel, in a mailer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar, Self

from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import Secret
from identity.domain.session import UNKNOWN_CLIENT, Client

MAIL = "mail"
"""The queue of the outbox in which mail waits."""


class MailKind(StrEnum):
    PASSWORD_RESET = "password_reset"
    PASSWORD_CHANGED = "password_changed"
    SESSION_REUSED = "session_reused"
    NEW_DEVICE = "new_device"
    VERIFY_EMAIL = "verify_email"
    ACCOUNT_EXISTS = "account_exists"
    EMAIL_CHANGE = "email_change"
    EMAIL_CHANGED = "email_changed"
    EMAIL_CONFIRMED = "email_confirmed"
    EMAIL_CHANGE_UNDONE = "email_change_undone"
    LOGIN_CODE = "login_code"
    DELETION_REQUESTED = "deletion_requested"
    DELETION_UNDONE = "deletion_undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailIntent:
    """A mail to be written and sent later, as it waits in the outbox: of which kind, to whom, nothing secret.

    It names its reader by `user_id`, or by the `email_key` that somebody typed and that may be nobody's.
    """

    id: str
    kind: MailKind
    created_at: datetime
    user_id: int | None = None
    email_key: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)

    queue: ClassVar[str] = MAIL

    def __str__(self) -> str:
        return f"{self.kind} mail {self.id}"

    @classmethod
    def about(
        cls,
        user_id: int,
        kind: MailKind,
        *,
        id: str,
        at: datetime,
        client: Client = UNKNOWN_CLIENT,
        to: EmailAddress | None = None,
        signed_out: Client | None = None,
        language: str = "",
    ) -> Self:
        """A mail to the owner of an account about what was just done to it, and from where.

        `to`: another address than the account's. `signed_out`: the client that began the session which was
        ended for it. `language`: the tag of the one that it is to be in if the account has none.
        """
        values = {"address": client.address, "user_agent": client.user_agent}
        if language:
            values["language"] = language
        if to is not None:
            values["to"] = to.value
        if signed_out is not None:
            values |= {
                "signed_out_address": signed_out.address,
                "signed_out_user_agent": signed_out.user_agent,
            }
        return cls(id=id, kind=kind, created_at=at, user_id=user_id, values=values)

    @property
    def to(self) -> EmailAddress | None:
        """The address it goes to, if that is not the account's."""
        return EmailAddress(self.values["to"]) if "to" in self.values else None

    @property
    def reader(self) -> str:
        return f"user:{self.user_id}" if self.user_id is not None else f"email:{self.email_key}"

    @property
    def request(self) -> str:
        """The one request that it answers, in hexadecimal: of a code, its digest. Empty where one mail
        answers all."""
        return self.values.get("request", "")

    @property
    def coalescing_key(self) -> str:
        """Intents that share it, and that no worker has claimed yet, become one mail."""
        if self.request:
            return f"{self.kind}:{self.request}"
        return ":".join([self.kind, self.reader, *([self.to.key] if self.to else [])])


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What a mail tells, before it has words."""

    to: EmailAddress
    username: Username
    locale: str = ""
    """The language tag of the words that its reader would like; empty for those of the deployment."""

    @classmethod
    def name(cls) -> str:
        """What the renderer's words for it are called: "password_reset" for `PasswordResetMail`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__.removesuffix("Mail")).lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordResetMail(Mail):
    link: Secret
    expires_in: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordChangedMail(Mail):
    at: datetime
    client: Client


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionReusedMail(Mail):
    at: datetime
    client: Client
    """Who presented the token: the owner's own device, or the one that has a copy."""
    signed_out: Client = UNKNOWN_CLIENT
    """Who began the session that was ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDeviceMail(Mail):
    at: datetime
    client: Client


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyEmailMail(Mail):
    link: Secret
    expires_in: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountExistsMail(Mail):
    """To whoever wanted another account with the same address, or whose address somebody else gave."""

    at: datetime
    client: Client


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChangeMail(Mail):
    """To the address that an account is to have."""

    link: Secret
    expires_in: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChangedMail(Mail):
    """To the address that an account had."""

    link: Secret
    expires_in: timedelta
    at: datetime
    client: Client


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailConfirmedMail(Mail):
    """To the address that an account has from now on."""

    at: datetime
    client: Client


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailChangeUndoneMail(Mail):
    """To the address that an account has again."""

    at: datetime
    client: Client


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCodeMail(Mail):
    code: Secret
    expires_in: timedelta
    at: datetime
    client: Client
    """Who asked for the code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionRequestedMail(Mail):
    at: datetime
    client: Client
    link: Secret
    expires_at: datetime
    """When the account is erased, and the link with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletionUndoneMail(Mail):
    at: datetime
    client: Client


@dataclass(frozen=True, slots=True, kw_only=True)
class TestMail(Mail):
    """Shows an operator that mail arrives."""

    __test__ = False  # not a test case, whatever its name suggests to pytest


def kinds_of_mail() -> tuple[type[Mail], ...]:
    """Every kind there is."""
    # A slotted dataclass leaves the class that it was made from behind among the subclasses.
    return tuple(kind for kind in Mail.__subclasses__() if globals().get(kind.__name__) is kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A finished mail. A mailer that is given the same `id` twice sends the same Message-ID twice."""

    id: str
    to: EmailAddress
    date: datetime
    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)
