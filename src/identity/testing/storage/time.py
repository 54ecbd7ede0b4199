"""What databases disagree about in times: zones, fractions, ranges, and what a time without a zone means."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import chain
from typing import TypeAlias

import pytest

from identity.application.mail import MailIntent
from identity.domain.events import LoggedIn
from identity.domain.one_time_token import OneTimeToken
from identity.domain.session import Session
from identity.domain.signing_key import SigningKey
from identity.domain.user import User
from identity.testing.samples import (
    HOUR,
    MICROSECOND,
    NOW,
    RESET,
    SECOND,
    new_device,
    new_intent,
    new_key,
    new_session,
    new_token,
    new_user,
)
from identity.testing.storage.subject import (
    Storage,
    StorageTests,
    add_sessions,
    add_tokens,
    add_user,
    claim,
    is_refused,
    put_intents,
    stored_session,
    stored_user,
)

Record: TypeAlias = User | Session | OneTimeToken | MailIntent | SigningKey

KATHMANDU = timezone(timedelta(hours=5, minutes=45))
NEWFOUNDLAND = timezone(-timedelta(hours=3, minutes=30))
NAIVE = NOW.replace(tzinfo=None)


class TimeBehaviour(StorageTests):
    async def test_times_are_read_back_aware_and_in_utc(self, storage: Storage) -> None:
        assert await _times_read_back(storage, NOW) == {NOW}

    async def test_a_time_in_another_zone_is_read_back_as_the_same_instant_in_utc(
        self, storage: Storage
    ) -> None:
        assert await _times_read_back(storage, NOW.astimezone(KATHMANDU)) == {NOW}

    async def test_a_time_of_another_day_in_another_zone_is_the_same_instant(self, storage: Storage) -> None:
        new_year = datetime(2026, 12, 31, 23, 30, tzinfo=NEWFOUNDLAND)
        expected = datetime(2027, 1, 1, 3, 0, tzinfo=UTC)
        assert await _times_read_back(storage, new_year) == {expected}

    async def test_the_year_2000_is_kept_to_the_microsecond(self, storage: Storage) -> None:
        first = datetime(2000, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
        assert await _times_read_back(storage, first) == {first}

    async def test_the_year_2100_is_kept_to_the_microsecond(self, storage: Storage) -> None:
        last = datetime(2100, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
        assert await _times_read_back(storage, last) == {last}

    async def test_the_days_when_clocks_are_changed_have_all_their_hours(self, storage: Storage) -> None:
        """In UTC there is no such day; a database that keeps local times loses or doubles an hour."""
        ann = await add_user(storage)
        hours = [
            datetime(2026, month, day, tzinfo=UTC) for month, day in [(3, 8), (3, 29), (10, 25), (11, 1)]
        ]
        times = [midnight + hour * HOUR / 2 for midnight in hours for hour in range(24)]
        sessions = [new_session(ann, str(number), created_at=time) for number, time in enumerate(times)]
        await add_sessions(storage, *sessions)
        assert [(await stored_session(storage, session.id)).created_at for session in sessions] == times

    async def test_times_a_microsecond_apart_are_told_apart_and_in_order(self, storage: Storage) -> None:
        whole = NOW.replace(microsecond=0)
        times = [whole, whole - MICROSECOND, whole + MICROSECOND, whole + 10 * MICROSECOND, whole - SECOND]
        await put_intents(storage, *(new_intent(str(number), at=at) for number, at in enumerate(times)))
        claimed = [(await claim(storage)).intent.created_at for _ in times]
        assert claimed == sorted(times)

    async def test_times_of_any_zone_are_compared_as_instants(self, storage: Storage) -> None:
        """As texts, or with their zones cut off, they would be hours apart."""
        ann = await add_user(storage)
        end = (NOW + MICROSECOND).astimezone(KATHMANDU)
        token = new_token(ann, expires_at=end)
        await add_sessions(storage, new_session(ann, expires_at=end))
        await add_tokens(storage, token)
        await put_intents(storage, new_intent(at=NOW.astimezone(KATHMANDU)))
        await _see(storage, ann, at=NOW.astimezone(KATHMANDU), since=NOW - HOUR)
        for zone in (KATHMANDU, NEWFOUNDLAND):
            now, later = NOW.astimezone(zone), (NOW + MICROSECOND).astimezone(zone)
            async with storage.begin() as uow:
                find = uow.one_time_tokens.find
                assert await find(token.digest, purpose=RESET, user_id=ann.id, at=now) is not None
                assert await find(token.digest, purpose=RESET, user_id=ann.id, at=later) is None
                assert await uow.outbox.has_due(at=now) is True
                assert await uow.outbox.has_due(at=(NOW - MICROSECOND).astimezone(zone)) is False
                assert await uow.sessions.revoke("s", at=later) is False
                before = (NOW - MICROSECOND).astimezone(zone)
                assert await uow.sessions.touch("s", at=now, unless_since=before) is False
                assert await uow.devices.see(ann.id, new_device(), at=now, since=before) is True
                assert await uow.devices.see(ann.id, new_device(), at=now, since=now) is False
                assert await uow.devices.purge(seen_before=now, limit=10) == 0
                assert await uow.sessions.purge(expired_before=later, limit=10) == 0

    async def test_leases_and_delays_of_any_zone_end_at_their_instant(self, storage: Storage) -> None:
        await put_intents(storage, new_intent())
        async with storage.begin() as uow:
            at = NOW.astimezone(NEWFOUNDLAND)
            claimed = await uow.outbox.claim(lease_id="l", at=at, lease=HOUR)
            assert claimed is not None
            assert await uow.outbox.has_due(at=NOW + HOUR - MICROSECOND) is False
            assert await uow.outbox.has_due(at=NOW + HOUR) is True
            until = (NOW + 2 * HOUR).astimezone(KATHMANDU)
            assert await uow.outbox.postpone(claimed, until=until, error="") is True
            assert await uow.outbox.has_due(at=NOW + 2 * HOUR - MICROSECOND) is False
            assert await uow.outbox.has_due(at=NOW + 2 * HOUR) is True

    async def test_a_time_without_a_zone_is_refused_and_nothing_stored(self, storage: Storage) -> None:
        ann = await add_user(storage)
        async with storage.begin() as uow:
            bob = await uow.users.add(new_user("bob"))
        kept = new_session(bob, "kept")
        await add_sessions(storage, kept)
        writes: dict[str, Callable[[], Awaitable[object]]] = {
            "an account": lambda: add_user(storage, "eve", joined_at=NAIVE),
            "a superuser": lambda: add_user(storage, "eve", superuser_since=NAIVE),
            "a session": lambda: add_sessions(storage, new_session(ann, created_at=NAIVE)),
            "the end of a session": lambda: add_sessions(storage, new_session(ann, expires_at=NAIVE)),
            "a revocation": lambda: add_sessions(storage, new_session(ann, revoked_at=NAIVE)),
            "a token": lambda: add_tokens(storage, new_token(ann, expires_at=NAIVE)),
            "an intent": lambda: put_intents(storage, new_intent(at=NAIVE)),
            "an event": lambda: _append(storage, LoggedIn(at=NAIVE, user_id=ann.id)),
            "a key": lambda: _add_first(storage, new_key(at=NAIVE)),
            "a save": lambda: _save(storage, bob.disabled(at=NAIVE)),
            "a login": lambda: _log_in(storage, bob, at=NAIVE),
            "a use": lambda: _touch(storage, kept, at=NAIVE),
            "a reservation": lambda: _hold(storage, until=NAIVE),
            "a verification": lambda: _save(storage, bob.verified(at=NAIVE)),
            "a device": lambda: _see(storage, bob, at=NAIVE, since=NOW - HOUR),
        }
        for what, write in writes.items():
            assert await is_refused(write()), what
        async with storage.read() as uow:
            assert await uow.users.with_username(new_user("eve").username) is None
            assert await uow.reservations.is_held(new_user("eve").username) is False
            assert await uow.users.get(bob.id) == bob
            assert await uow.sessions.get_with_user("s") is None
            assert await uow.outbox.oldest() is None
            assert await uow.signing_keys.all() == ()
        assert await stored_session(storage, "kept") == kept
        assert await _see(storage, bob, at=NOW, since=NOW - HOUR) is False
        assert not await self.events_of(storage)


async def _times_read_back(storage: Storage, at: datetime) -> set[datetime]:
    """Every time that a port gives back, of things that are all of this time."""
    added = await add_user(storage, joined_at=at, superuser_since=at)
    await _log_in(storage, added, at=at)
    async with storage.begin() as uow:
        await uow.users.save(
            replace(added, password_changed_at=at, disabled_at=at, email_verified_at=at, erasure_due_at=at)
        )
    session = new_session(
        added,
        created_at=at,
        last_used_at=at,
        expires_at=at,
        pending_since=at,
        handed_out_at=at,
        promoted_at=at,
        revoked_at=at,
    )
    await add_sessions(storage, session)
    token = new_token(added, created_at=at, expires_at=at)
    await add_tokens(storage, token)
    await put_intents(storage, new_intent(at=at))
    await _add_first(storage, replace(new_key(at=at), retired_at=at))
    async with storage.begin() as uow:
        found = await uow.one_time_tokens.find(
            token.digest, purpose=RESET, user_id=added.id, at=at - MICROSECOND
        )
        oldest = await uow.outbox.oldest()
        claimed = await uow.outbox.claim(lease_id="l", at=at, lease=HOUR)
        keys = await uow.signing_keys.all()
    assert found is not None
    assert oldest is not None
    assert claimed is not None
    assert isinstance(claimed.intent, MailIntent)
    user, stored = await stored_user(storage, added.id), await stored_session(storage)
    records: list[Record] = [user, stored, found, claimed.intent, *keys]
    times = [oldest, *chain.from_iterable(map(_times, records))]
    assert len(times) == 1 + 7 + 7 + 2 + 1 + 3
    if any(time.utcoffset() != timedelta(0) for time in times):
        pytest.fail(f"not in UTC: {times}")
    return set(times)


def _times(record: Record) -> Iterator[datetime]:
    values = (getattr(record, field.name) for field in fields(record))
    return (value for value in values if isinstance(value, datetime))


async def _append(storage: Storage, event: LoggedIn) -> None:
    async with storage.begin() as uow:
        await uow.audit_log.append(event)


async def _add_first(storage: Storage, key: SigningKey) -> None:
    async with storage.begin() as uow:
        await uow.signing_keys.add_first(key)


async def _hold(storage: Storage, *, until: datetime) -> None:
    async with storage.begin() as uow:
        await uow.reservations.hold(new_user("eve").username, user_id=None, until=until)


async def _save(storage: Storage, user: User) -> None:
    async with storage.begin() as uow:
        await uow.users.save(user)


async def _touch(storage: Storage, session: Session, *, at: datetime) -> None:
    async with storage.begin() as uow:
        assert await uow.sessions.touch(session.id, at=at, unless_since=session.last_used_at)


async def _see(storage: Storage, user: User, *, at: datetime, since: datetime) -> bool:
    async with storage.begin() as uow:
        return await uow.devices.see(user.id, new_device(), at=at, since=since)


async def _log_in(storage: Storage, user: User, *, at: datetime) -> None:
    async with storage.begin() as uow:
        assert (
            await uow.users.record_login(user.id, verified=user.password_hash, rehashed=None, at=at) is True
        )
