"""What happened, in the past tense: the vocabulary of the audit log. A class's name is its kind."""

from __future__ import annotations

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


class PasswordReset(Event):
    """The owner set a new password by a mailed link. All sessions ended."""
