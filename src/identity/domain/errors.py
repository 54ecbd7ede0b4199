"""Every refusal of the use cases, one flat family, each with a stable `code`.

    IdentityError
    ├── InvalidInput             invalid_input             fields, and what is wrong with each
    │   ├── UsernameTaken                                  decided by the storage's unique key
    │   └── EmailTaken                                     decided by the storage's unique key
    ├── LoginRefused             no_active_account         unknown, wrong or disabled: one answer
    ├── WrongPassword            incorrect_old_password
    ├── IncorrectPassword        incorrect_password        not the one that confirms what was asked for
    ├── LastSuperuser            last_superuser            there is no other, and there has to be one
    ├── NotPermitted             permission_denied         not a superuser's request
    ├── LoginTooOld              login_too_old             a superuser's, whose session began too long ago
    ├── AccountNotFound          account_not_found         for those who may know which there are
    ├── DeadLetterNotFound       dead_letter_not_found     there is no such letter, or it is not dead
    ├── OneTimeTokenRefused      invalid_one_time_token    bad, used, expired or foreign: one answer
    ├── TokenRefused             token_not_valid           an access or refresh token, with a `reason`
    │   └── AccessTokenRefused                             the same where it was to authenticate a request
    ├── SessionNotFound          session_not_found         none of one's own, or over already
    ├── DeliveryDeferred         delivery_deferred         who is to get it says: later
    │   └── MailDeferred         mail_deferred             the mail server says: later
    ├── DeliveryRefused          delivery_refused          who is to get it says: never
    │   └── MailRefused          mail_refused              the mail server says: never
    ├── Unavailable              unavailable               try again after `retry_after`
    │   └── Conflict                                       lost a race; the use case may be run again
    └── Throttled                throttled                 too often; try again after `retry_after`

How a refusal looks on the wire is decided in one place, `entrypoints/http/errors.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar


class IdentityError(Exception):
    """A refusal the caller can act on."""

    code: ClassVar[str]


class InvalidInput(IdentityError):
    """Some fields are not acceptable. `fields` maps each to its messages, worded for the person who typed."""

    code = "invalid_input"

    def __init__(self, fields: Mapping[str, Sequence[str]]) -> None:
        super().__init__(", ".join(fields))
        self.fields = {name: tuple(messages) for name, messages in fields.items()}


class UsernameTaken(InvalidInput):
    message: ClassVar[str] = "A user with that username already exists."

    def __init__(self) -> None:
        super().__init__({"username": [self.message]})


class EmailTaken(InvalidInput):
    message: ClassVar[str] = "A user with that email already exists."

    def __init__(self) -> None:
        super().__init__({"email": [self.message]})


class LoginRefused(IdentityError):
    code = "no_active_account"


class WrongPassword(IdentityError):
    code = "incorrect_old_password"


class IncorrectPassword(IdentityError):
    code = "incorrect_password"


class LastSuperuser(IdentityError):
    """`fate`: what would have become of them, as in "deleted"."""

    code = "last_superuser"

    def __init__(self, fate: str = "deleted") -> None:
        super().__init__(fate)
        self.fate = fate


class NotPermitted(IdentityError):
    code = "permission_denied"


class LoginTooOld(IdentityError):
    code = "login_too_old"


class AccountNotFound(IdentityError):
    code = "account_not_found"


class DeadLetterNotFound(IdentityError):
    code = "dead_letter_not_found"


class OneTimeTokenRefused(IdentityError):
    code = "invalid_one_time_token"


class TokenFault(StrEnum):
    """Why an access or refresh token was refused."""

    INVALID = "invalid"
    EXPIRED = "expired"
    WRONG_TYPE = "wrong type"
    BLACKLISTED = "blacklisted"


class TokenRefused(IdentityError):
    code = "token_not_valid"

    def __init__(self, reason: TokenFault = TokenFault.INVALID) -> None:
        super().__init__(reason)
        self.reason = reason


class AccessTokenRefused(TokenRefused):
    pass


class SessionNotFound(IdentityError):
    code = "session_not_found"


class Throttled(IdentityError):
    """Too often. `key` is what it was counted under."""

    code = "throttled"

    def __init__(self, retry_after: timedelta, *, key: bytes = b"") -> None:
        super().__init__(f"to be tried again in {retry_after}")
        self.retry_after = retry_after
        self.key = key


class Unavailable(IdentityError):
    """Something this service depends on is down or busy. Nothing was changed."""

    code = "unavailable"

    def __init__(self, what: str, *, retry_after: timedelta = timedelta(seconds=5)) -> None:
        super().__init__(what)
        self.retry_after = retry_after


class Conflict(Unavailable):
    """Another transaction changed the same row first. Running the use case again from its start is safe."""

    def __init__(self, what: str) -> None:
        super().__init__(what, retry_after=timedelta(seconds=1))


class DeliveryDeferred(IdentityError):
    code = "delivery_deferred"


class MailDeferred(DeliveryDeferred):
    code = "mail_deferred"


class DeliveryRefused(IdentityError):
    code = "delivery_refused"


class MailRefused(DeliveryRefused):
    code = "mail_refused"
