"""What `Sessions` owes."""

from __future__ import annotations

from dataclasses import replace

from identity.domain.secrets import PasswordHash
from identity.domain.session import Client
from identity.testing.samples import HOUR, MICROSECOND, NOW, SECOND, new_session
from identity.testing.storage.subject import (
    Storage,
    StorageTests,
    add_sessions,
    add_user,
    is_refused,
    stored_session,
)


class SessionsBehaviour(StorageTests):
    async def test_a_session_is_read_back_with_its_account(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        bare = new_session(ann, "bare")
        full = new_session(
            bob,
            "full",
            pending="p",
            previous="q",
            pending_since=NOW + MICROSECOND,
            handed_out_at=NOW + SECOND,
            promoted_at=NOW + 2 * SECOND,
            revoked_at=NOW + 3 * SECOND,
            client=Client(address="2001:db8::1", user_agent="Mozilla 🦊 " + "x" * 1000),
        )
        await add_sessions(storage, bare, full)
        async with storage.read() as uow:
            assert await uow.sessions.get_with_user("bare") == (bare, ann)
            assert await uow.sessions.get_with_user("full") == (full, bob)

    async def test_the_account_of_a_session_is_that_of_now(self, storage: Storage) -> None:
        ann = await add_user(storage)
        await add_sessions(storage, new_session(ann))
        async with storage.begin() as uow:
            changed = await uow.users.save(ann.with_password(PasswordHash("new"), at=NOW).disabled(at=NOW))
        async with storage.read() as uow:
            assert await uow.sessions.get_with_user("s") == (new_session(ann), changed)

    async def test_a_session_that_is_not_there_is_none(self, storage: Storage) -> None:
        await add_sessions(storage, new_session(await add_user(storage)))
        async with storage.read() as uow:
            assert await uow.sessions.get_with_user("absent") is None

    async def test_a_session_of_nobody_is_not_stored(self, storage: Storage) -> None:
        user = await add_user(storage)
        assert await is_refused(add_sessions(storage, new_session(replace(user, id=user.id + 1))))
        async with storage.read() as uow:
            assert await uow.sessions.get_with_user("s") is None

    async def test_a_session_does_not_take_the_place_of_another(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        await add_sessions(storage, new_session(ann))
        assert await is_refused(add_sessions(storage, new_session(bob)))
        assert await stored_session(storage) == new_session(ann)

    async def test_a_rotation_stores_what_it_was_given(self, storage: Storage) -> None:
        user = await add_user(storage)
        before, other = new_session(user), new_session(user, "other")
        await add_sessions(storage, before, other)
        after = replace(
            before,
            current="p",
            pending="n",
            previous="c",
            pending_since=NOW + MICROSECOND,
            handed_out_at=NOW + SECOND,
            promoted_at=NOW + 2 * SECOND,
            last_used_at=NOW + 3 * SECOND,
        )
        async with storage.begin() as uow:
            assert await uow.sessions.rotate(before, after) is True
        assert await stored_session(storage) == after
        assert await stored_session(storage, "other") == other

    async def test_a_rotation_of_an_old_copy_changes_nothing(self, storage: Storage) -> None:
        stored = new_session(await add_user(storage), pending="p", previous="q")
        await add_sessions(storage, stored)
        old_copies = [
            replace(stored, current="else"),
            replace(stored, pending="else"),
            replace(stored, pending=None),
            replace(stored, previous="else"),
            replace(stored, previous=None),
        ]
        for before in old_copies:
            async with storage.begin() as uow:
                assert await uow.sessions.rotate(before, replace(before, pending="n")) is False
        assert await stored_session(storage) == stored

    async def test_a_rotation_of_a_copy_from_before_the_first_changes_nothing(self, storage: Storage) -> None:
        """What is stored has no pending and no previous token: nothing is not the same as something."""
        stored = new_session(await add_user(storage))
        await add_sessions(storage, stored)
        for before in [replace(stored, pending="else"), replace(stored, previous="else")]:
            async with storage.begin() as uow:
                assert await uow.sessions.rotate(before, replace(before, pending="n")) is False
        assert await stored_session(storage) == stored

    async def test_a_rotation_of_a_revoked_or_absent_session_changes_nothing(self, storage: Storage) -> None:
        revoked = new_session(await add_user(storage), revoked_at=NOW)
        await add_sessions(storage, revoked)
        absent = replace(revoked, id="absent", revoked_at=None)
        async with storage.begin() as uow:
            assert await uow.sessions.rotate(revoked, replace(revoked, pending="n")) is False
            assert await uow.sessions.rotate(absent, replace(absent, pending="n")) is False
            assert await uow.sessions.get_with_user("absent") is None
        assert await stored_session(storage) == revoked

    async def test_a_session_is_revoked_once(self, storage: Storage) -> None:
        user = await add_user(storage)
        session, other = new_session(user), new_session(user, "other")
        await add_sessions(storage, session, other)
        async with storage.begin() as uow:
            assert await uow.sessions.revoke("s", at=NOW) is True
            assert await uow.sessions.revoke("s", at=NOW + SECOND) is False
            assert await uow.sessions.revoke("absent", at=NOW) is False
        assert await stored_session(storage) == replace(session, revoked_at=NOW)
        assert await stored_session(storage, "other") == other

    async def test_a_session_is_revoked_for_its_own_account_only(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        session, other = new_session(ann), new_session(bob, "other")
        await add_sessions(storage, session, other)
        async with storage.begin() as uow:
            assert await uow.sessions.revoke("s", at=NOW, user_id=bob.id) is False
            assert await uow.sessions.revoke("s", at=NOW, user_id=ann.id + bob.id) is False
            assert await uow.sessions.revoke("absent", at=NOW, user_id=ann.id) is False
        assert await stored_session(storage) == session
        async with storage.begin() as uow:
            assert await uow.sessions.revoke("s", at=NOW, user_id=ann.id) is True
            assert await uow.sessions.revoke("s", at=NOW + SECOND, user_id=ann.id) is False
            assert await uow.sessions.revoke("other", at=other.expires_at, user_id=bob.id) is False
        assert await stored_session(storage) == replace(session, revoked_at=NOW)
        assert await stored_session(storage, "other") == other

    async def test_the_sessions_of_an_account_that_were_not_revoked_are_listed_last_used_first(
        self, storage: Storage
    ) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        ages = [3, 1, 4, 2, 5]
        sessions = [
            new_session(ann, f"s{age}", created_at=NOW + age * HOUR, last_used_at=NOW - age * MICROSECOND)
            for age in ages
        ]
        expired = new_session(ann, "expired", last_used_at=NOW - HOUR, expires_at=NOW - SECOND)
        revoked = new_session(ann, "revoked", revoked_at=NOW)
        await add_sessions(storage, *sessions, expired, revoked, new_session(bob, "bob"))
        in_order = tuple(sorted(sessions, key=lambda session: session.id))
        async with storage.read() as uow:
            assert await uow.sessions.of_user(ann.id) == (*in_order, expired)
            assert await uow.sessions.of_user(bob.id) == (new_session(bob, "bob"),)
            assert await uow.sessions.of_user(ann.id + bob.id) == ()

    async def test_sessions_used_at_the_same_time_are_listed_in_the_same_order_each_time(
        self, storage: Storage
    ) -> None:
        ann = await add_user(storage)
        await add_sessions(storage, *(new_session(ann, name) for name in "cadbe"))
        async with storage.begin() as uow:
            once = await uow.sessions.of_user(ann.id)
            await uow.sessions.revoke("a", at=NOW)
        async with storage.read() as uow:
            again = await uow.sessions.of_user(ann.id)
        assert len(once) == 5
        assert again == tuple(session for session in once if session.id != "a")

    async def test_a_use_is_noted_unless_one_was_noted_later_than_the_limit(self, storage: Storage) -> None:
        ann = await add_user(storage)
        session, other = new_session(ann, pending="p"), new_session(ann, "other")
        await add_sessions(storage, session, other)
        later = NOW + HOUR
        async with storage.begin() as uow:
            touch = uow.sessions.touch
            assert await touch("s", at=later, unless_since=NOW - MICROSECOND) is False
            assert await touch("absent", at=later, unless_since=NOW) is False
            assert (await uow.sessions.of_user(ann.id))[0].last_used_at == NOW
            assert await touch("s", at=later, unless_since=NOW) is True
            assert await touch("s", at=later, unless_since=NOW) is False
        assert await stored_session(storage) == replace(session, last_used_at=later)
        assert await stored_session(storage, "other") == other
        async with storage.begin() as uow:
            assert await uow.sessions.touch("s", at=later + HOUR, unless_since=later + SECOND) is True
        assert (await stored_session(storage)).last_used_at == later + HOUR

    async def test_a_session_past_its_end_is_over_and_cannot_be_revoked(self, storage: Storage) -> None:
        session = new_session(await add_user(storage))
        await add_sessions(storage, session)
        async with storage.begin() as uow:
            assert await uow.sessions.revoke("s", at=session.expires_at) is False
        assert await stored_session(storage) == session
        async with storage.begin() as uow:
            assert await uow.sessions.revoke("s", at=session.expires_at - MICROSECOND) is True

    async def test_all_sessions_of_an_account_end_besides_one(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        long_over = new_session(ann, "over", revoked_at=NOW - HOUR)
        await add_sessions(
            storage, *(new_session(ann, name) for name in "abc"), long_over, new_session(bob, "bob")
        )
        async with storage.begin() as uow:
            assert await uow.sessions.revoke_all(ann.id, at=NOW, besides="b") == 2
            assert await uow.sessions.revoke_all(ann.id, at=NOW + SECOND, besides="b") == 0
        ends = [(await stored_session(storage, name)).revoked_at for name in ["a", "b", "c", "over", "bob"]]
        assert ends == [NOW, None, NOW, NOW - HOUR, None]

    async def test_all_sessions_of_an_account_end(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        await add_sessions(storage, new_session(ann, "a"), new_session(ann, "b"), new_session(bob, "bob"))
        async with storage.begin() as uow:
            assert await uow.sessions.revoke_all(ann.id, at=NOW) == 2
            assert await uow.sessions.revoke_all(ann.id, at=NOW + SECOND) == 0
        ends = [(await stored_session(storage, name)).revoked_at for name in ["a", "b", "bob"]]
        assert ends == [NOW, NOW, None]

    async def test_the_oldest_sessions_end_when_there_are_too_many(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        ages = [3, 1, 4, 2, 5]
        await add_sessions(
            storage,
            *(new_session(ann, f"s{age}", created_at=NOW - age * SECOND) for age in ages),
            new_session(ann, "revoked", revoked_at=NOW - SECOND),
            new_session(ann, "expired", expires_at=NOW),
            new_session(bob, "bob", created_at=NOW - HOUR),
        )
        async with storage.begin() as uow:
            await uow.sessions.revoke_surplus(ann.id, keep=3, at=NOW)
            await uow.sessions.revoke_surplus(ann.id, keep=3, at=NOW + SECOND)
            await uow.sessions.revoke_surplus(bob.id, keep=3, at=NOW)
        ends = {age: (await stored_session(storage, f"s{age}")).revoked_at for age in sorted(ages)}
        assert ends == {1: None, 2: None, 3: None, 4: NOW, 5: NOW}
        assert (await stored_session(storage, "revoked")).revoked_at == NOW - SECOND
        assert (await stored_session(storage, "expired")).revoked_at is None
        assert (await stored_session(storage, "bob")).revoked_at is None

    async def test_of_sessions_that_began_at_once_no_more_are_left_than_are_kept(
        self, storage: Storage
    ) -> None:
        ann = await add_user(storage)
        await add_sessions(storage, *(new_session(ann, f"s{number}") for number in range(5)))
        async with storage.begin() as uow:
            await uow.sessions.revoke_surplus(ann.id, keep=2, at=NOW)
        ends = [(await stored_session(storage, f"s{number}")).revoked_at for number in range(5)]
        assert ends.count(None) == 2

    async def test_only_sessions_that_ended_before_the_limit_are_purged(self, storage: Storage) -> None:
        user = await add_user(storage)
        early = [new_session(user, f"early{number}", expires_at=NOW - MICROSECOND) for number in range(2)]
        await add_sessions(storage, *early, new_session(user, "late", expires_at=NOW))
        async with storage.begin() as uow:
            assert await uow.sessions.purge(expired_before=NOW, limit=10) == 2
            assert await uow.sessions.purge(expired_before=NOW, limit=10) == 0
            assert await uow.sessions.get_with_user("early0") is None
            assert await uow.sessions.get_with_user("early1") is None
            assert await uow.sessions.get_with_user("late") is not None

    async def test_no_more_sessions_are_purged_at_once_than_was_said(self, storage: Storage) -> None:
        user = await add_user(storage)
        names = [f"s{number}" for number in range(5)]
        await add_sessions(storage, *(new_session(user, name, expires_at=NOW - SECOND) for name in names))
        async with storage.begin() as uow:
            assert await uow.sessions.purge(expired_before=NOW, limit=3) == 3
            found = [await uow.sessions.get_with_user(name) for name in names]
            assert found.count(None) == 3
        async with storage.begin() as uow:
            assert await uow.sessions.purge(expired_before=NOW, limit=3) == 2
            assert await uow.sessions.purge(expired_before=NOW, limit=3) == 0
