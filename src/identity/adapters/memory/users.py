"""Accounts, and the names that are kept for them or from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from identity.adapters.memory.state import ReservedName, View, drop, utc
from identity.application.letters import Intent
from identity.application.mail import MAIL
from identity.domain.errors import Conflict, EmailTaken, UsernameTaken
from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import PasswordHash
from identity.domain.user import NewUser, User
from identity.domain.user_search import Candidate, Cursor, Prefix, UserPage


@dataclass(frozen=True, slots=True)
class MemoryUsers:
    view: View
    next_id: Callable[[], int]

    async def add(self, user: NewUser) -> User:
        self._claim_names(user.username, user.email, user_id=None)
        self._find_unreserved(user.username, user.email)
        return self._store(user.with_id(self.next_id()))

    async def add_or_find(self, user: NewUser) -> tuple[User, bool]:
        state = self.view.changed()
        reserved = state.reservations.get(_reserved(user.email))
        holder = state.emails.get(user.email.key, reserved.user_id if reserved else None)
        if holder is None:
            return await self.add(user), True
        self._find_unreserved(user.username)
        named = state.usernames.get(user.username.key)
        is_holders = named == holder and user.username.is_address(user.email)
        if named is not None and not is_holders:
            self.view.end()
            raise UsernameTaken
        return state.users[holder], False

    async def get(self, user_id: int) -> User | None:
        return self.view.seen().users.get(user_id)

    async def with_username(self, username: Username) -> User | None:
        state = self.view.seen()
        return state.users.get(state.usernames.get(username.key, 0))

    async def with_email(self, email: EmailAddress) -> User | None:
        state = self.view.seen()
        return state.users.get(state.emails.get(email.key, 0))

    async def search(self, prefix: str, *, after: Cursor | None, limit: int) -> UserPage:
        wanted, place = Prefix(prefix), after.key if after else ""
        all_of_them = [
            Candidate(username_key=user.username.key, email_key=user.email.key, user=user)
            for user in self.view.seen().users.values()
        ]
        by_username = [each for each in all_of_them if each.username_key >= max(wanted.of_username, place)]
        by_email = [each for each in all_of_them if each.email_key >= max(wanted.of_email, place)]
        return wanted.page(
            sorted(by_username, key=lambda each: each.username_key)[: limit + 2],
            sorted(by_email, key=lambda each: each.email_key)[: limit + 2],
            after=after,
            limit=limit,
        )

    async def save(self, user: User) -> User:
        state = self.view.changed()
        stored = state.users.get(user.id)
        if stored is None or stored.version != user.version:
            raise Conflict("the account was changed by another request")
        self._claim_names(user.username, user.email, user_id=user.id)
        del state.usernames[stored.username.key], state.emails[stored.email.key]
        # Only `record_login`, which leaves the version alone, notes logins: this copy may be behind.
        return self._store(replace(user, version=user.version + 1, last_login_at=stored.last_login_at))

    async def erase(self, user: User) -> bool:
        state = self.view.changed()
        stored = state.users.get(user.id)
        if stored is None or (stored.version, stored.last_login_at) != (user.version, user.last_login_at):
            return False
        drop(state.sessions, lambda session: session.user_id == user.id)
        drop(state.one_time_tokens, lambda issued: issued.token.user_id == user.id)
        drop(state.reservations, lambda reserved: reserved.user_id == user.id)
        drop(state.login_codes, lambda code: code.email_key == stored.email.key)
        drop(state.outbox, lambda queued: _is_to(queued.intent, stored))
        for owner, device in list(state.devices):
            if owner == user.id:
                del state.devices[owner, device]
        del state.users[user.id], state.usernames[stored.username.key], state.emails[stored.email.key]
        return True

    async def due_for_erasure(self, *, at: datetime, limit: int) -> tuple[User, ...]:
        now = utc(at)
        users = self.view.seen().users.values()
        due = [(user.erasure_due_at, user.id, user) for user in users if user.erasure_due_at]
        return tuple(user for due_at, _, user in sorted(due) if due_at <= now)[:limit]

    async def open_superusers(self) -> tuple[User, ...]:
        users = self.view.seen().users
        superusers = (users[user_id] for user_id in sorted(users))
        return tuple(user for user in superusers if user.superuser_since and not user.is_closed)

    async def record_login(
        self, user_id: int, *, verified: PasswordHash, rehashed: PasswordHash | None, at: datetime
    ) -> bool:
        state = self.view.changed()
        stored = state.users.get(user_id)
        if stored is None or stored.is_closed or stored.password_hash != verified:
            return False
        state.users[user_id] = replace(stored, password_hash=rehashed or verified, last_login_at=at)
        return True

    def _claim_names(self, username: Username, email: EmailAddress, *, user_id: int | None) -> None:
        state = self.view.changed()
        for names, key, taken in (
            (state.usernames, username.key, UsernameTaken),
            (state.emails, email.key, EmailTaken),
        ):
            if names.get(key, user_id) != user_id:
                self.view.end()
                raise taken

    def _find_unreserved(self, *names: Username | EmailAddress) -> None:
        for name in names:
            if _reserved(name) in self.view.changed().reservations:
                self.view.end()
                raise _taken(name)

    def _store(self, user: User) -> User:
        state = self.view.changed()
        state.users[user.id] = user
        state.usernames[user.username.key] = user.id
        state.emails[user.email.key] = user.id
        return state.users[user.id]


@dataclass(frozen=True, slots=True)
class MemoryReservations:
    view: View

    async def hold(self, name: Username | EmailAddress, *, user_id: int | None, until: datetime) -> None:
        reservations = self.view.changed().reservations
        reserved = reservations.get(_reserved(name))
        if reserved is not None and (user_id is None or reserved.user_id != user_id):
            self.view.end()
            raise _taken(name)
        reservations[_reserved(name)] = ReservedName(user_id=user_id, until=until)

    async def is_held(self, name: Username | EmailAddress, *, besides: int | None = None) -> bool:
        reserved = self.view.seen().reservations.get(_reserved(name))
        return reserved is not None and (besides is None or reserved.user_id != besides)

    async def of_user(self, user_id: int) -> tuple[tuple[Username | EmailAddress, datetime], ...]:
        held = [
            (reserved.until, kind, key)
            for (kind, key), reserved in self.view.seen().reservations.items()
            if reserved.user_id == user_id
        ]
        return tuple(
            (Username(key) if kind == "username" else EmailAddress(key), until)
            for until, kind, key in sorted(held)
        )

    async def release(self, name: Username | EmailAddress, *, user_id: int) -> bool:
        reservations = self.view.changed().reservations
        reserved = reservations.get(_reserved(name))
        if reserved is None or reserved.user_id != user_id:
            return False
        del reservations[_reserved(name)]
        return True

    async def release_from(self, name: Username | EmailAddress, *, user_id: int) -> bool:
        reservations = self.view.changed().reservations
        first = reservations.get(_reserved(name))
        if first is None or first.user_id != user_id:
            return False
        kind, _ = _reserved(name)
        later = [
            each
            for each, reserved in reservations.items()
            if each[0] == kind and reserved.user_id == user_id and reserved.until >= first.until
        ]
        for each in later:
            del reservations[each]
        return True

    async def purge(self, *, ended_before: datetime, limit: int) -> tuple[int | None, ...]:
        reservations = self.view.changed().reservations
        ended = [name for name, reserved in reservations.items() if reserved.until < ended_before]
        return tuple(reservations.pop(name).user_id for name in ended[:limit])


def _reserved(name: Username | EmailAddress) -> tuple[str, str]:
    return "username" if isinstance(name, Username) else "email", name.key


def _taken(name: Username | EmailAddress) -> UsernameTaken | EmailTaken:
    return UsernameTaken() if isinstance(name, Username) else EmailTaken()


def _is_to(intent: Intent, user: User) -> bool:
    """Webhooks know of nobody but by an id."""
    return intent.queue == MAIL and (intent.user_id == user.id or intent.email_key == user.email.key)
