"""What happened, in the past tense: the vocabulary of the audit log. A class's name is its kind."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import ClassVar, Self

from identity.domain.session import UNKNOWN_CLIENT, Client


class Role(Enum):
    """In which part somebody did what happened."""

    OWNER = "owner"
    """Of the account, as far as a password, token or mailed link can show it."""
    ANYBODY = "anybody"
    """Somebody who has shown nothing, or too little."""
    ADMINISTRATOR = "administrator"
    """A superuser, through the API for administration."""
    OPERATOR = "operator"
    """Whoever may run the `identity` command."""
    SERVICE = "service"
    """The service itself, because it was time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who did it."""

    role: Role
    user_id: int | None = None
    """Of the administrator; whose account it is stands in the event itself."""

    @classmethod
    def administrator(cls, user_id: int) -> Self:
        return cls(role=Role.ADMINISTRATOR, user_id=user_id)


OWNER = Actor(role=Role.OWNER)
ANYBODY = Actor(role=Role.ANYBODY)
OPERATOR = Actor(role=Role.OPERATOR)
SERVICE = Actor(role=Role.SERVICE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened: to which account, by whom, when, and from where."""

    at: datetime
    user_id: int | None = None
    """The account that it happened to; `None` where it is of no account, or of one that is not known."""
    actor: Actor = OWNER
    session_id: str | None = None
    client: Client = UNKNOWN_CLIENT
    subject: str = ""
    """What it happened to, where that is no account: the id of a key, or a day and the beginning of its seal.
    At most 64 characters."""

    result: ClassVar[str] = "done"
    """Or `refused`: nothing was changed."""

    @property
    def kind(self) -> str:
        return type(self).__name__


class UserRegistered(Event):
    """Somebody opened an account."""


class AddressReused(Event):
    """Somebody wanted another account with the address of this one, and its owner was told by mail."""


class EmailVerified(Event):
    """The owner showed by a mailed link that mail reaches them."""


class RegistrationLapsed(Event):
    """Nobody verified the address of a new account in time, and it was erased."""


class SuperuserCreated(Event):
    """An operator opened an account with every permission."""


class VerificationRequested(Event):
    """Somebody asked for a mail to verify an address, which may be nobody's."""


class LoginRefused(Event):
    """Somebody gave a wrong password or code for an account, which may not be there; or the right one for an
    account that nobody may log in to."""

    result = "refused"


class PasswordRefused(Event):
    """Somebody who was logged in gave a wrong password where it was to confirm what they asked for."""

    result = "refused"


class LoginCodeRequested(Event):
    """Somebody asked for a code to log in with, for an address that may be nobody's."""


class LoggedIn(Event):
    """A session began."""


class LoggedInByCode(LoggedIn):
    """A session began, by a mailed code."""


class LoggedOut(Event):
    """A session was ended by its owner."""


class SessionEnded(Event):
    """The owner ended a session, from that one or another."""


class OtherSessionsEnded(Event):
    """The owner ended all sessions but the one named."""


class AllSessionsEnded(Event):
    """The owner ended all sessions, the one named among them."""


class RefreshTokenReused(Event):
    """A superseded refresh token was presented and refused, and its session ended for it."""


class ResetRequested(Event):
    """Somebody asked for a mail to reset the password, for an address that may be nobody's."""


class PasswordChanged(Event):
    """The owner set a new password, knowing the old one. Their other sessions ended."""


class ProfileChanged(Event):
    """The owner changed what their profile says."""


class EmailChangeRequested(Event):
    """The owner, knowing the password, asked for a link to another address."""


class EmailChanged(Event):
    """The owner has another address, and confirmed it by a mailed link."""


class EmailChangeUndone(Event):
    """Whoever reads the mail of an earlier address took it back, by a mailed link. All sessions ended."""


class PasswordReset(Event):
    """The owner set a new password by a mailed link. All sessions ended."""


class DataExported(Event):
    """The owner was given a copy of all that is kept of them."""


class DeletionRequested(Event):
    """The owner wants the account to be erased. It was closed, and all sessions ended."""


class DeletionUndone(Event):
    """The owner changed their mind by a mailed link, and the account was opened again."""


class AccountErased(Event):
    """The account was deleted with all that told whose it was. Its id is all that is left."""


class AccountDisabled(Event):
    """An administrator closed the account. All sessions ended."""


class AccountEnabled(Event):
    """An administrator opened an account again that had been disabled."""


class PasswordResetForced(Event):
    """An administrator took the password away, and the owner was mailed a link to set another. All sessions
    ended."""


class SessionsRevoked(Event):
    """An administrator ended all sessions of the account."""


class EmailVouchedFor(Event):
    """An administrator declared that mail to the address reaches the owner."""


class SuperuserGranted(Event):
    """An administrator gave the account every permission."""


class SuperuserTaken(Event):
    """An administrator took the permissions of a superuser away."""


class ResetLinkMinted(Event):
    """An operator was given a link to set another password, to hand it over where no mail arrives."""


class LetterRetried(Event):
    """An administrator had a mail or webhook tried again that had been given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedEvent:
    """An event as the audit log has it. Who was noted later has the greater `id`."""

    id: int
    event: Event


class KeyAdded(Event):
    """There is another key to sign tokens: the first one, or the one that signs next."""


class KeyRetired(Event):
    """A key was taken out of use: all that it has signed is refused."""


class KeysResealed(Event):
    """The keys were sealed under today's secret."""


class AuditEventsPurged(Event):
    """The time was over for the events that were sealed on that day, and they were deleted."""


@functools.cache
def event_named(kind: str) -> type[Event]:
    """The class of this name; for a kind that only a newer release knows, one that is made for it."""
    made: type[Event] = vocabulary().get(kind) or type(kind, (Event,), {})
    return made


@functools.cache
def vocabulary() -> dict[str, type[Event]]:
    """Every kind of event that there is, by its name."""
    return {event.__name__: event for event in _kinds_of(Event)}


def _kinds_of(event: type[Event]) -> Iterator[type[Event]]:
    for kind in event.__subclasses__():
        yield kind
        yield from _kinds_of(kind)
