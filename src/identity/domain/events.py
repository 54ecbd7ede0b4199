"""What happened, in the past tense: the vocabulary of the audit log. A class's name is its kind."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import datetime

from identity.domain.session import UNKNOWN_CLIENT, Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    at: datetime
    user_id: int
    session_id: str | None = None
    client: Client = UNKNOWN_CLIENT

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
    """A superseded refresh token was presented, and its session ended for it."""


class PasswordChanged(Event):
    """The owner set a new password, knowing the old one. Their other sessions ended."""


class ProfileChanged(Event):
    """The owner changed what their profile says."""


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


@functools.cache
def event_named(kind: str) -> type[Event]:
    """The class of this name; for a kind that only a newer release knows, one that is made for it."""
    known = {event.__name__: event for event in Event.__subclasses__()}
    made: type[Event] = known.get(kind) or type(kind, (Event,), {})
    return made
