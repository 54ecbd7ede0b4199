"""What the repositories owe to an owner who wants to see what is kept of them, or wants it gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from identity.domain.events import Event, LoggedIn, LoggedOut, UserRegistered
from identity.domain.names import EmailAddress, Username
from identity.domain.session import UNKNOWN_CLIENT, Client
from identity.domain.user import User
from identity.testing.samples import HOUR, MICROSECOND, NOW, SECOND, new_device, new_session
from identity.testing.storage.subject import (
    Storage,
    StorageTests,
    add_sessions,
    add_user,
    again_after_conflicts,
    all_at_once,
    stored_user,
)

CLIENT = Client(address="192.0.2.7", user_agent="Mozilla/5.0")
SUPERUSERS = 6


class MyDataBehaviour(StorageTests):
    async def test_the_history_of_sessions_has_those_that_are_over_and_the_newest_first(
        self, storage: Storage
    ) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        expired = new_session(ann, "expired", created_at=NOW - 2 * HOUR, expires_at=NOW - HOUR)
        revoked = new_session(ann, "revoked", created_at=NOW, revoked_at=NOW + SECOND, client=CLIENT)
        live = new_session(ann, "live", created_at=NOW - HOUR, last_used_at=NOW + HOUR)
        await add_sessions(storage, live, new_session(bob, "bob's"), expired, revoked)
        async with storage.read() as uow:
            assert await uow.sessions.history(ann.id, limit=3) == (revoked, live, expired)
            assert await uow.sessions.history(ann.id, limit=2) == (revoked, live)
            assert await uow.sessions.history(ann.id + bob.id, limit=3) == ()

    async def test_the_devices_of_an_account_are_listed_as_they_were_seen_last(
        self, storage: Storage
    ) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        times = [NOW, NOW + HOUR, NOW - HOUR, NOW]
        async with storage.begin() as uow:
            for number, at in enumerate(times):
                await uow.devices.see(ann.id, new_device(str(number)), at=at, since=NOW)
            await uow.devices.see(bob.id, new_device(), at=NOW + 2 * HOUR, since=NOW)
        async with storage.read() as uow:
            assert await uow.devices.of_user(ann.id) == (NOW + HOUR, NOW, NOW, NOW - HOUR)
            assert await uow.devices.of_user(ann.id + bob.id) == ()

    async def test_the_names_that_are_held_for_an_account_are_listed_as_they_end(
        self, storage: Storage
    ) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        async with storage.begin() as uow:
            await uow.reservations.hold(Username("Anna"), user_id=ann.id, until=NOW + HOUR)
            await uow.reservations.hold(EmailAddress("anna@example.org"), user_id=ann.id, until=NOW)
            await uow.reservations.hold(Username("bobby"), user_id=bob.id, until=NOW)
            await uow.reservations.hold(Username("nobody"), user_id=None, until=NOW)
        async with storage.read() as uow:
            held = await uow.reservations.of_user(ann.id)
            assert await uow.reservations.of_user(ann.id + bob.id) == ()
        assert held == ((EmailAddress("anna@example.org"), NOW), (Username("anna"), NOW + HOUR))

    async def test_the_events_of_an_account_are_read_from_the_latest_on(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        late = LoggedIn(at=NOW + SECOND, user_id=ann.id, session_id="s", client=CLIENT)
        early = UserRegistered(at=NOW, user_id=ann.id)
        noted_later = LoggedOut(at=NOW, user_id=ann.id)
        await _append(storage, late, early, UserRegistered(at=NOW + HOUR, user_id=bob.id), noted_later)
        async with storage.read() as uow:
            assert await uow.audit_log.of_user(ann.id, limit=3) == (late, noted_later, early)
            assert await uow.audit_log.of_user(ann.id, limit=2) == (late, noted_later)
            assert await uow.audit_log.of_user(ann.id + bob.id, limit=3) == ()

    async def test_events_are_forgotten_to_have_come_from_anywhere_of_one_account_only(
        self, storage: Storage
    ) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        events = [
            event(at=NOW, user_id=user.id, session_id="s", client=CLIENT)
            for event in (LoggedIn, LoggedOut)
            for user in (ann, bob)
        ]
        await _append(storage, *events)
        async with storage.begin() as uow:
            await uow.audit_log.forget_clients(ann.id)
            await uow.audit_log.forget_clients(ann.id + bob.id)  # of whom there is nothing
        async with storage.read() as uow:
            of_ann = await uow.audit_log.of_user(ann.id, limit=10)
            of_bob = await uow.audit_log.of_user(bob.id, limit=10)
        hers = [replace(event, client=UNKNOWN_CLIENT) for event in events if event.user_id == ann.id]
        assert list(reversed(of_ann)) == hers
        assert list(reversed(of_bob)) == [event for event in events if event.user_id == bob.id]

    async def test_accounts_are_due_for_erasure_at_their_time_the_longest_due_first(
        self, storage: Storage
    ) -> None:
        ann, bob, eve = [await _due(storage, name, at) for name, at in (("a", 0), ("b", -1), ("e", 1))]
        await add_user(storage, "nobody")
        async with storage.read() as uow:
            due = uow.users.due_for_erasure
            assert await due(at=NOW - 2 * MICROSECOND, limit=9) == ()
            assert await due(at=NOW, limit=9) == (bob, ann)
            assert await due(at=NOW + MICROSECOND, limit=9) == (bob, ann, eve)
            assert await due(at=NOW + HOUR, limit=2) == (bob, ann)

    async def test_superusers_are_open_who_are_not_closed(self, storage: Storage) -> None:
        root, other, disabled, leaving = [
            await add_user(storage, name, superuser_since=NOW)
            for name in ("root", "other", "disabled", "leaving")
        ]
        await add_user(storage)
        async with storage.begin() as uow:
            await uow.users.save(disabled.disabled(at=NOW))
            await uow.users.save(leaving.awaiting_erasure(due_at=NOW + HOUR))
            assert await uow.users.open_superusers() == (root, other)

    async def test_of_superusers_who_all_want_to_go_at_once_one_stays(self, storage: Storage) -> None:
        users = [
            await add_user(storage, f"root{number}", superuser_since=NOW) for number in range(SUPERUSERS)
        ]

        async def leave(number: int) -> bool:
            async def attempt() -> bool:
                async with storage.begin() as uow:
                    if len(await uow.users.open_superusers()) == 1:
                        return False
                    await uow.users.save(users[number].awaiting_erasure(due_at=NOW))
                return True

            return await again_after_conflicts(attempt)

        assert await all_at_once(SUPERUSERS, leave) == {True: SUPERUSERS - 1, False: 1}

    async def test_the_name_of_an_erased_account_is_free_and_its_id_is_not(self, storage: Storage) -> None:
        ids = set()
        for _ in range(3):
            ann = await add_user(storage, "ann")
            async with storage.begin() as uow:
                assert await uow.users.erase(ann) is True
                await uow.audit_log.append(LoggedOut(at=NOW, user_id=ann.id))
            ids.add(ann.id)
        assert len(ids) == 3


async def _append(storage: Storage, *events: Event) -> None:
    for event in events:
        async with storage.begin() as uow:
            await uow.audit_log.append(event)


async def _due(storage: Storage, name: str, microseconds: int) -> User:
    user = await add_user(storage, name)
    due_at: datetime = NOW + microseconds * MICROSECOND
    async with storage.begin() as uow:
        await uow.users.save(user.awaiting_erasure(due_at=due_at))
    return await stored_user(storage, user.id)
