"""The repositories of one unit of work, over the state that this unit sees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from identity.adapters.memory.audit_seals import forget_salts, note_event
from identity.adapters.memory.state import IssuedToken, QueuedIntent, State, View, drop, in_utc, utc
from identity.application.letters import Backlog, ClaimedIntent, Intent, Letter, LetterPlace
from identity.application.mail import MAIL
from identity.domain.events import Event, NumberedEvent
from identity.domain.one_time_token import UNDOING, OneTimeToken, Purpose
from identity.domain.secrets import Digest
from identity.domain.session import Client, Session
from identity.domain.signing_key import SigningKey
from identity.domain.user import User

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class MemorySessions:
    view: View

    async def add(self, session: Session) -> None:
        state = self.view.changed()
        _require_user(state, session.user_id)
        _insert(state.sessions, session.id, session)

    async def get_with_user(self, session_id: str) -> tuple[Session, User] | None:
        state = self.view.seen()
        session = state.sessions.get(session_id)
        return None if session is None else (session, state.users[session.user_id])

    async def of_user(self, user_id: int) -> tuple[Session, ...]:
        by_id = sorted(self._unrevoked(self.view.seen(), user_id), key=lambda session: session.id)
        return tuple(sorted(by_id, key=lambda session: session.last_used_at, reverse=True))

    async def history(self, user_id: int, *, limit: int) -> tuple[Session, ...]:
        sessions = self.view.seen().sessions.values()
        own = sorted((each for each in sessions if each.user_id == user_id), key=lambda each: each.id)
        return tuple(sorted(own, key=lambda each: each.created_at, reverse=True)[:limit])

    async def touch(self, session_id: str, *, at: datetime, unless_since: datetime) -> bool:
        sessions = self.view.changed().sessions
        stored = sessions.get(session_id)
        if stored is None or stored.last_used_at > unless_since:
            return False
        sessions[session_id] = replace(stored, last_used_at=at)
        return True

    async def rotate(self, before: Session, after: Session) -> bool:
        sessions = self.view.changed().sessions
        stored = sessions.get(before.id)
        if stored is None or stored.revoked_at is not None or _generations(stored) != _generations(before):
            return False
        sessions[before.id] = replace(
            stored,
            current=after.current,
            pending=after.pending,
            previous=after.previous,
            pending_since=after.pending_since,
            handed_out_at=after.handed_out_at,
            promoted_at=after.promoted_at,
            last_used_at=after.last_used_at,
        )
        return True

    async def revoke(self, session_id: str, *, at: datetime, user_id: int | None = None) -> bool:
        sessions = self.view.changed().sessions
        stored = sessions.get(session_id)
        if stored is None or stored.revoked_at is not None or stored.expires_at <= at:
            return False
        if user_id is not None and stored.user_id != user_id:
            return False
        sessions[session_id] = replace(stored, revoked_at=at)
        return True

    async def revoke_all(self, user_id: int, *, at: datetime, besides: str | None = None) -> int:
        unrevoked = self._unrevoked(self.view.changed(), user_id)
        ending = [session for session in unrevoked if session.id != besides]
        for session in ending:
            self.view.changed().sessions[session.id] = replace(session, revoked_at=at)
        return len(ending)

    async def revoke_surplus(self, user_id: int, *, keep: int, at: datetime) -> None:
        unrevoked = self._unrevoked(self.view.changed(), user_id)
        live = [session for session in unrevoked if at < session.expires_at]
        oldest_first = sorted(live, key=lambda session: session.created_at)
        for session in oldest_first[: max(0, len(live) - keep)]:
            self.view.changed().sessions[session.id] = replace(session, revoked_at=at)

    async def purge(self, *, expired_before: datetime, limit: int) -> int:
        sessions = self.view.changed().sessions
        return drop(sessions, lambda session: session.expires_at < expired_before, limit)

    def _unrevoked(self, state: State, user_id: int) -> list[Session]:
        sessions = state.sessions.values()
        return [each for each in sessions if each.user_id == user_id and each.revoked_at is None]


def _generations(session: Session) -> tuple[str, str | None, str | None]:
    return session.current, session.pending, session.previous


@dataclass(frozen=True, slots=True)
class MemoryDevices:
    view: View

    async def see(self, user_id: int, device: Digest, *, at: datetime, since: datetime) -> bool:
        state = self.view.changed()
        _require_user(state, user_id)
        seen_at = state.devices.get((user_id, device))
        state.devices[user_id, device] = utc(at if seen_at is None else max(seen_at, at))
        return seen_at is not None and seen_at > since

    async def of_user(self, user_id: int) -> tuple[datetime, ...]:
        devices = self.view.seen().devices
        return tuple(sorted((at for (owner, _), at in devices.items() if owner == user_id), reverse=True))

    async def forget_surplus(self, user_id: int, *, keep: int) -> None:
        devices = self.view.changed().devices
        own = sorted((seen_at, device) for (owner, device), seen_at in devices.items() if owner == user_id)
        for _, device in own[: max(0, len(own) - keep)]:
            del devices[user_id, device]

    async def purge(self, *, seen_before: datetime, limit: int) -> int:
        return drop(self.view.changed().devices, lambda seen_at: seen_at < seen_before, limit)


@dataclass(frozen=True, slots=True)
class MemoryOneTimeTokens:
    view: View

    async def add(self, token: OneTimeToken) -> None:
        state = self.view.changed()
        _require_user(state, token.user_id)
        _insert(state.one_time_tokens, token.digest, IssuedToken(token=token))

    async def find(
        self, digest: Digest, *, purpose: Purpose, user_id: int, at: datetime
    ) -> OneTimeToken | None:
        issued = self.view.seen().one_time_tokens.get(digest)
        if issued is None or not issued.is_good(at=at):
            return None
        token = issued.token
        return token if (token.purpose, token.user_id) == (purpose, user_id) else None

    async def spend(self, digest: Digest, *, purpose: Purpose, user_id: int, at: datetime) -> bool:
        tokens = self.view.changed().one_time_tokens
        if await self.find(digest, purpose=purpose, user_id=user_id, at=at) is None:
            return False
        tokens[digest] = replace(tokens[digest], over_at=at)
        return True

    async def void(self, user_id: int, *, at: datetime) -> None:
        tokens = self.view.changed().one_time_tokens
        for digest, issued in tokens.items():
            token = issued.token
            if token.user_id == user_id and token.purpose not in UNDOING and issued.over_at is None:
                tokens[digest] = replace(issued, over_at=at)

    async def mark_sent(self, intent_id: str, *, at: datetime) -> None:
        tokens = self.view.changed().one_time_tokens
        for digest, issued in tokens.items():
            if issued.token.intent_id == intent_id:
                tokens[digest] = replace(issued, sent_at=at)

    async def count_intents(
        self, user_id: int, *, purpose: Purpose, sent_since: datetime, minted_since: datetime, besides: str
    ) -> int:
        intents = {
            issued.token.intent_id
            for issued in self.view.changed().one_time_tokens.values()
            if (issued.token.user_id, issued.token.purpose) == (user_id, purpose)
            and (
                (issued.sent_at is not None and issued.sent_at > sent_since)
                or issued.token.created_at > minted_since
            )
        }
        return len(intents - {besides})

    async def purge(self, *, expired_before: datetime, limit: int) -> int:
        tokens = self.view.changed().one_time_tokens
        return drop(tokens, lambda issued: issued.token.expires_at < expired_before, limit)


@dataclass(frozen=True, slots=True)
class MemoryOutbox:
    view: View

    async def put(self, intent: Intent) -> None:
        outbox = self.view.changed().outbox
        key = intent.coalescing_key
        if key is None or all(queued.coalescing_key != key for queued in outbox.values()):
            _insert(
                outbox, intent.id, QueuedIntent(intent=intent, coalescing_key=key, due_at=intent.created_at)
            )

    async def has_due(self, *, at: datetime, queue: str = MAIL) -> bool:
        return any(self._due(self.view.seen(), at, queue))

    async def claim(
        self, *, lease_id: str, at: datetime, lease: timedelta, queue: str = MAIL
    ) -> ClaimedIntent | None:
        state = self.view.changed()
        first = min(
            self._due(state, at, queue), key=lambda queued: (queued.due_at, queued.intent.id), default=None
        )
        if first is None:
            return None
        attempts = first.attempts + 1
        state.outbox[first.intent.id] = replace(
            first, coalescing_key=None, attempts=attempts, lease_id=lease_id, leased_until=at + lease
        )
        return ClaimedIntent(intent=first.intent, lease_id=lease_id, attempts=attempts)

    async def settle(self, claimed: ClaimedIntent) -> bool:
        if self._leased(claimed) is None:
            return False
        del self.view.changed().outbox[claimed.intent.id]
        return True

    async def postpone(self, claimed: ClaimedIntent, *, until: datetime, error: str) -> bool:
        queued = self._leased(claimed)
        return queued is not None and self._give_back(replace(queued, due_at=until, error=error))

    async def bury(self, claimed: ClaimedIntent, *, at: datetime, error: str) -> bool:
        queued = self._leased(claimed)
        return queued is not None and self._give_back(replace(queued, dead_at=at, error=error))

    async def release(self, claimed: ClaimedIntent) -> bool:
        queued = self._leased(claimed)
        return queued is not None and self._give_back(replace(queued, attempts=queued.attempts - 1))

    async def oldest(self, *, queue: str = MAIL) -> datetime | None:
        return next((each.oldest for each in await self.backlog() if each.queue == queue), None)

    async def backlog(self) -> tuple[Backlog, ...]:
        queues: dict[str, list[QueuedIntent]] = {}
        for queued in self.view.seen().outbox.values():
            queues.setdefault(queued.intent.queue, []).append(queued)
        return tuple(_backlog(queue, queues[queue]) for queue in sorted(queues))

    async def letters(self, *, dead: bool, after: LetterPlace | None, limit: int) -> tuple[Letter, ...]:
        letters = [_letter(queued) for queued in self.view.seen().outbox.values()]
        wanted = [
            each
            for each in letters
            if (each.dead_at is not None) is dead and (after is None or each.place > after)
        ]
        return tuple(sorted(wanted, key=lambda each: each.place)[:limit])

    async def find(self, id: str) -> Letter | None:
        queued = self.view.seen().outbox.get(id)
        return None if queued is None else _letter(queued)

    async def retry(self, id: str, *, at: datetime) -> bool:
        outbox = self.view.changed().outbox
        queued = outbox.get(id)
        if queued is None or queued.dead_at is None:
            return False
        outbox[id] = replace(queued, dead_at=None, due_at=at, attempts=0)
        return True

    async def purge(self, *, before: datetime, limit: int) -> int:
        return drop(self.view.changed().outbox, lambda queued: queued.is_over(before=before), limit)

    def _due(self, state: State, at: datetime, queue: str) -> Iterator[QueuedIntent]:
        return (
            queued
            for queued in state.outbox.values()
            if queued.intent.queue == queue and queued.is_due(at=at)
        )

    def _leased(self, claimed: ClaimedIntent) -> QueuedIntent | None:
        queued = self.view.changed().outbox.get(claimed.intent.id)
        return queued if queued is not None and queued.lease_id == claimed.lease_id else None

    def _give_back(self, queued: QueuedIntent) -> bool:
        self.view.changed().outbox[queued.intent.id] = replace(queued, lease_id=None, leased_until=None)
        return True


def _backlog(queue: str, queued: Sequence[QueuedIntent]) -> Backlog:
    waiting = [each.intent.created_at for each in queued if each.dead_at is None]
    return Backlog(
        queue=queue,
        waiting=len(waiting),
        dead=len(queued) - len(waiting),
        oldest=min(waiting, default=None),
    )


def _letter(queued: QueuedIntent) -> Letter:
    return Letter(
        id=queued.intent.id,
        queue=queued.intent.queue,
        kind=queued.intent.kind,
        created_at=queued.intent.created_at,
        user_id=queued.intent.user_id,
        email_key=queued.intent.email_key,
        due_at=queued.due_at,
        attempts=queued.attempts,
        error=queued.error,
        dead_at=queued.dead_at,
    )


@dataclass(frozen=True, slots=True)
class MemoryAuditLog:
    view: View

    async def append(self, event: Event) -> None:
        state = self.view.changed()
        state.events.append(in_utc(event))
        note_event(state, event)

    async def of_user(self, user_id: int, *, limit: int) -> tuple[Event, ...]:
        own = [event for event in reversed(self.view.seen().events) if event.user_id == user_id]
        return tuple(sorted(own, key=lambda event: event.at, reverse=True)[:limit])

    async def find(
        self,
        *,
        user_id: int | None = None,
        kind: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int | None = None,
        limit: int,
    ) -> tuple[NumberedEvent, ...]:
        state = self.view.seen()
        entries = [
            NumberedEvent(id=number, event=event)
            for number, event in zip(state.audit_notes, state.events, strict=True)
            if (user_id is None or event.user_id == user_id)
            and (kind is None or event.kind == kind)
            and (since is None or event.at >= since)
            and (until is None or event.at < until)
            and (before is None or number < before)
        ]
        return tuple(reversed(entries[-limit:]))

    async def forget_clients(self, user_id: int) -> None:
        forget_salts(self.view.changed(), user_id)
        events = self.view.changed().events
        events[:] = [
            replace(event, client=Client(request_id=event.client.request_id))
            if event.user_id == user_id
            else event
            for event in events
        ]


@dataclass(frozen=True, slots=True)
class MemorySigningKeys:
    view: View

    async def all(self) -> tuple[SigningKey, ...]:
        keys = self.view.seen().signing_keys.values()
        return tuple(sorted(keys, key=lambda key: (key.created_at, key.kid)))

    async def add_first(self, key: SigningKey) -> bool:
        keys = self.view.changed().signing_keys
        if keys:
            return False
        keys[key.kid] = key
        return True

    async def add_next(self, key: SigningKey, *, after: str) -> bool:
        state = self.view.changed()
        if after in state.succeeded:
            return False
        _insert(state.signing_keys, key.kid, key)
        state.succeeded[after] = key.kid
        return True

    async def retire(self, kid: str, *, at: datetime) -> bool:
        keys = self.view.changed().signing_keys
        if kid not in keys or keys[kid].retired_at is not None:
            return False
        keys[kid] = replace(keys[kid], retired_at=at)
        return True

    async def reseal(self, key: SigningKey) -> bool:
        keys = self.view.changed().signing_keys
        if key.kid not in keys:
            return False
        keys[key.kid] = replace(keys[key.kid], sealed_private_key=key.sealed_private_key)
        return True


def _insert(table: dict[K, V], key: K, value: V) -> None:
    if key in table:
        raise ValueError("the same id twice")
    table[key] = value


def _require_user(state: State, user_id: int) -> None:
    if user_id not in state.users:
        raise ValueError("no account has this id")
