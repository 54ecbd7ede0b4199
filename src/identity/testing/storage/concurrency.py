"""What is left when several do the same thing at once. Never how long it took, nor who was first.

A storage may end a race by making one of the rivals give way, with `Conflict`; the callers of a storage then
start again, and so do these tests.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from functools import partial

from identity.application.letters import ClaimedIntent
from identity.application.ports import UnitOfWork
from identity.domain.errors import Conflict, EmailTaken, Unavailable, UsernameTaken
from identity.domain.names import Username
from identity.domain.secrets import PasswordHash
from identity.domain.session import Session
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
)
from identity.testing.storage.subject import (
    MOMENT,
    Storage,
    StorageTests,
    add_sessions,
    add_tokens,
    add_user,
    again_after_conflicts,
    all_at_once,
    assert_one_won,
    claim,
    put_intents,
    stored_session,
    stored_user,
)

EIGHT = 8


class Concurrency(StorageTests):
    async def test_one_of_eight_registrations_of_a_username_wins(self, storage: Storage) -> None:
        async def register(number: int) -> bool:
            await add_user(storage, "ann", email=f"{number}@example.org")
            return True

        assert_one_won(await all_at_once(EIGHT, register), lost=UsernameTaken)

    async def test_one_of_eight_registrations_of_an_address_wins(self, storage: Storage) -> None:
        async def register(number: int) -> bool:
            await add_user(storage, f"user{number}", email="ann@example.org")
            return True

        assert_one_won(await all_at_once(EIGHT, register), lost=EmailTaken)

    async def test_one_of_eight_accounts_that_want_the_same_new_name_gets_it(self, storage: Storage) -> None:
        users = [await add_user(storage, f"user{number}") for number in range(EIGHT)]

        async def rename(number: int) -> bool:
            async with storage.begin() as uow:
                await uow.users.save(replace(users[number], username=Username("ann")))
            return True

        assert_one_won(await all_at_once(EIGHT, rename), lost=UsernameTaken)
        names = [(await stored_user(storage, user.id)).username for user in users]
        assert names.count(Username("ann")) == 1

    async def test_the_version_counts_the_saves_that_succeeded(self, storage: Storage) -> None:
        ann = await add_user(storage)

        async def change(number: int) -> bool:
            copy = await stored_user(storage, ann.id)
            async with storage.begin() as uow:
                await uow.users.save(copy.with_password(PasswordHash(f"hash {number}"), at=NOW))
            return True

        outcomes = await all_at_once(EIGHT, change)
        assert set(outcomes) <= {True, Conflict}
        assert outcomes[True] >= 1
        assert (await stored_user(storage, ann.id)).version == 1 + outcomes[True]

    async def test_no_save_is_lost_when_those_that_lost_a_race_start_again(self, storage: Storage) -> None:
        ann = await add_user(storage, password_hash=PasswordHash(""))

        async def add_a_letter(number: int) -> bool:
            async def attempt() -> bool:
                copy = await stored_user(storage, ann.id)
                longer = PasswordHash(copy.password_hash + "abcdefgh"[number])
                async with storage.begin() as uow:
                    await uow.users.save(replace(copy, password_hash=longer))
                return True

            return await again_after_conflicts(attempt)

        assert await all_at_once(EIGHT, add_a_letter) == {True: EIGHT}
        stored = await stored_user(storage, ann.id)
        assert "".join(sorted(stored.password_hash)) == "abcdefgh"
        assert stored.version == 1 + EIGHT

    async def test_logins_of_one_account_wait_for_each_other(self, storage: Storage) -> None:
        ann = await add_user(storage)

        async def log_in() -> bool:
            async with storage.begin() as uow:
                return await uow.users.record_login(
                    ann.id, verified=ann.password_hash, rehashed=None, at=NOW + HOUR
                )

        async with storage.begin() as uow:
            await uow.users.record_login(ann.id, verified=ann.password_hash, rehashed=None, at=NOW)
            second = asyncio.create_task(again_after_conflicts(log_in))
            await asyncio.sleep(MOMENT)
            waited = not second.done()
        assert await second is True
        assert waited
        assert (await stored_user(storage, ann.id)).last_login_at == NOW + HOUR

    async def test_no_session_outlives_the_password_it_was_opened_with(self, storage: Storage) -> None:
        """A login and a change of the password at once: the session is not stored, or it has ended."""
        for turn in range(EIGHT):
            ann = await add_user(storage, f"ann{turn}")
            session = new_session(ann, f"s{turn}")
            pair = [partial(_log_in, storage, ann, session), partial(_change_password, storage, ann)]
            first = turn % 2
            attempts = [pair[first], pair[1 - first]]
            await asyncio.gather(*map(again_after_conflicts, attempts))
            async with storage.read() as uow:
                found = await uow.sessions.get_with_user(session.id)
            assert (await stored_user(storage, ann.id)).password_hash == "new"
            assert found is None or found[0].revoked_at is not None

    async def test_eight_logins_at_once_leave_no_more_sessions_than_are_kept(self, storage: Storage) -> None:
        ann = await add_user(storage)

        async def log_in(number: int) -> bool:
            async with storage.begin() as uow:
                await uow.users.record_login(ann.id, verified=ann.password_hash, rehashed=None, at=NOW)
                began = NOW + number * SECOND
                await uow.sessions.add(new_session(ann, f"s{number}", created_at=began))
                await uow.sessions.revoke_surplus(ann.id, keep=3, at=NOW)
            return True

        outcomes = await all_at_once(EIGHT, lambda number: again_after_conflicts(lambda: log_in(number)))
        assert outcomes == {True: EIGHT}
        sessions = [await stored_session(storage, f"s{number}") for number in range(EIGHT)]
        assert [session.revoked_at for session in sessions].count(None) == 3

    async def test_one_of_eight_rotations_of_a_session_wins(self, storage: Storage) -> None:
        session = new_session(await add_user(storage))
        await add_sessions(storage, session)

        async def rotate(number: int) -> bool:
            async with storage.begin() as uow:
                return await uow.sessions.rotate(session, replace(session, pending=f"child {number}"))

        assert_one_won(await all_at_once(EIGHT, rotate))

    async def test_one_of_eight_uses_of_a_session_is_noted(self, storage: Storage) -> None:
        await add_sessions(storage, new_session(await add_user(storage), expires_at=NOW + 100 * HOUR))

        async def touch(number: int) -> bool:
            at = NOW + HOUR + number * MICROSECOND
            async with storage.begin() as uow:
                return await uow.sessions.touch("s", at=at, unless_since=NOW)

        assert_one_won(await all_at_once(EIGHT, touch))
        assert (await stored_session(storage)).last_used_at >= NOW + HOUR

    async def test_a_use_that_is_noted_meanwhile_does_not_undo_a_rotation(self, storage: Storage) -> None:
        session = new_session(await add_user(storage))
        await add_sessions(storage, session)

        async def touch_or_rotate(number: int) -> bool:
            async with storage.begin() as uow:
                if number == EIGHT - 1:
                    return await uow.sessions.rotate(session, replace(session, pending="n"))
                return await uow.sessions.touch("s", at=NOW + number * SECOND, unless_since=NOW + HOUR)

        await all_at_once(EIGHT, lambda number: again_after_conflicts(lambda: touch_or_rotate(number)))
        assert (await stored_session(storage)).pending == "n"

    async def test_one_of_eight_logins_from_a_device_is_the_first(self, storage: Storage) -> None:
        ann = await add_user(storage)

        async def log_in() -> bool:
            async with storage.begin() as uow:
                await uow.users.record_login(ann.id, verified=ann.password_hash, rehashed=None, at=NOW)
                return await uow.devices.see(ann.id, new_device(), at=NOW, since=NOW - HOUR)

        outcomes = await all_at_once(EIGHT, lambda _: again_after_conflicts(log_in))
        assert outcomes == {False: 1, True: EIGHT - 1}

    async def test_one_of_eight_revocations_of_a_session_wins(self, storage: Storage) -> None:
        await add_sessions(storage, new_session(await add_user(storage)))

        async def revoke(number: int) -> bool:
            async with storage.begin() as uow:
                return await uow.sessions.revoke("s", at=NOW + number * SECOND)

        assert_one_won(await all_at_once(EIGHT, revoke))

    async def test_a_session_is_not_carried_on_after_it_was_revoked(self, storage: Storage) -> None:
        """A rotation that comes with a revocation may succeed, but the session has ended all the same."""
        session = new_session(await add_user(storage))
        await add_sessions(storage, session)

        async def revoke_or_rotate(number: int) -> bool:
            async with storage.begin() as uow:
                if number % 2:
                    return await uow.sessions.rotate(session, replace(session, pending="n"))
                return await uow.sessions.revoke("s", at=NOW)

        await all_at_once(EIGHT, lambda number: again_after_conflicts(lambda: revoke_or_rotate(number)))
        assert (await stored_session(storage)).revoked_at == NOW

    async def test_one_of_eight_spenders_of_a_token_wins(self, storage: Storage) -> None:
        ann = await add_user(storage)
        token = new_token(ann)
        await add_tokens(storage, token)

        async def spend(_: int) -> bool:
            async with storage.begin() as uow:
                return await uow.one_time_tokens.spend(token.digest, purpose=RESET, user_id=ann.id, at=NOW)

        assert_one_won(await all_at_once(EIGHT, spend))

    async def test_counts_of_one_account_wait_for_each_other(self, storage: Storage) -> None:
        """So a limit that is judged by the count holds, however many mails are written at once."""
        ann = await add_user(storage)

        async def mint(number: int) -> bool:
            async with storage.begin() as uow:
                earlier = await _count(uow, ann, besides=str(number))
                if earlier < 5:
                    await uow.one_time_tokens.add(new_token(ann, bytes([number]) * 32, intent_id=str(number)))
                return earlier < 5

        outcomes = await all_at_once(EIGHT, lambda number: again_after_conflicts(lambda: mint(number)))
        assert outcomes == {True: 5, False: 3}
        async with storage.begin() as uow:
            assert await _count(uow, ann, besides="") == 5

    async def test_no_two_workers_claim_the_same_intent(self, storage: Storage) -> None:
        names = [str(number) for number in range(20)]
        await put_intents(storage, *map(new_intent, names))
        claimed: list[str] = []

        async def claim_one(lease_id: str) -> ClaimedIntent | None:
            async with storage.begin() as uow:
                return await uow.outbox.claim(lease_id=lease_id, at=NOW, lease=HOUR)

        async def work(number: int) -> None:
            while intent := await again_after_conflicts(lambda: claim_one(f"worker {number}")):
                claimed.append(intent.intent.id)

        await all_at_once(EIGHT, work)
        assert sorted(claimed) == sorted(names)

    async def test_a_lapsed_lease_is_taken_over_by_one_of_eight(self, storage: Storage) -> None:
        await put_intents(storage, new_intent())
        first = await claim(storage, "first")

        async def take_over(number: int) -> bool:
            async with storage.begin() as uow:
                taken = await uow.outbox.claim(lease_id=str(number), at=NOW + HOUR, lease=HOUR)
            return taken is not None and taken.attempts == 2

        assert_one_won(await all_at_once(EIGHT, take_over))
        async with storage.begin() as uow:
            assert await uow.outbox.settle(first) is False

    async def test_one_of_eight_settles_an_intent(self, storage: Storage) -> None:
        await put_intents(storage, new_intent())
        claimed = await claim(storage)

        async def settle(_: int) -> bool:
            async with storage.begin() as uow:
                return await uow.outbox.settle(claimed)

        assert_one_won(await all_at_once(EIGHT, settle))

    async def test_intents_that_are_put_at_once_become_one(self, storage: Storage) -> None:
        async def put(number: int) -> bool:
            await put_intents(storage, new_intent(str(number), email_key="ann@example.org"))
            return True

        outcomes = await all_at_once(EIGHT, lambda number: again_after_conflicts(lambda: put(number)))
        assert outcomes == {True: EIGHT}
        await claim(storage)
        async with storage.read() as uow:
            assert await uow.outbox.has_due(at=NOW) is False

    async def test_one_of_eight_first_signing_keys_is_stored(self, storage: Storage) -> None:
        async def add_first(number: int) -> bool:
            async with storage.begin() as uow:
                return await uow.signing_keys.add_first(new_key(f"key {number}"))

        assert_one_won(await all_at_once(EIGHT, add_first))
        async with storage.read() as uow:
            assert len(await uow.signing_keys.all()) == 1

    async def test_one_of_eight_successors_of_a_signing_key_is_stored(self, storage: Storage) -> None:
        async with storage.begin() as uow:
            await uow.signing_keys.add_first(new_key())

        async def add_next(number: int) -> bool:
            async with storage.begin() as uow:
                return await uow.signing_keys.add_next(new_key(f"key {number}"), after="k")

        assert_one_won(await all_at_once(EIGHT, add_next))
        async with storage.read() as uow:
            assert len(await uow.signing_keys.all()) == 2

    async def test_one_of_eight_retirements_of_a_signing_key_wins(self, storage: Storage) -> None:
        async with storage.begin() as uow:
            await uow.signing_keys.add_first(new_key())

        async def retire(number: int) -> bool:
            async with storage.begin() as uow:
                return await uow.signing_keys.retire("k", at=NOW + number * SECOND)

        assert_one_won(await all_at_once(EIGHT, retire))

    async def test_eight_purges_at_once_count_no_session_twice(self, storage: Storage) -> None:
        ann = await add_user(storage)
        await add_sessions(
            storage, *(new_session(ann, f"s{number}", expires_at=NOW - HOUR) for number in range(20))
        )
        counts: list[int] = []

        async def purge(_: int) -> None:
            async with storage.begin() as uow:
                count = await uow.sessions.purge(expired_before=NOW, limit=3)
            counts.append(count)

        await all_at_once(EIGHT, purge)
        assert max(counts, default=0) <= 3
        async with storage.begin() as uow:
            assert sum(counts) + await uow.sessions.purge(expired_before=NOW, limit=100) == 20

    async def test_two_that_need_the_same_accounts_in_opposite_order_leave_nothing_half_done(
        self, storage: Storage
    ) -> None:
        """Each may hold what the other waits for. One is made to give way, or they wait their turn."""
        pair = [await add_user(storage, "ann"), await add_user(storage, "bob")]

        async def log_in_both(number: int) -> int:
            at = NOW + number * SECOND
            first, second = reversed(pair) if number else pair
            async with storage.begin() as uow:
                await uow.users.record_login(first.id, verified=first.password_hash, rehashed=None, at=at)
                await asyncio.sleep(MOMENT)
                await uow.users.record_login(second.id, verified=second.password_hash, rehashed=None, at=at)
            return number

        outcomes = await all_at_once(2, log_in_both)
        assert set(outcomes) <= {0, 1, Conflict, Unavailable}
        committed: set[datetime | None] = {NOW + number * SECOND for number in (0, 1) if outcomes[number]}
        ends = {(await stored_user(storage, user.id)).last_login_at for user in pair}
        assert len(ends) == 1
        assert ends <= (committed or {None})

    async def test_two_that_lost_a_race_succeed_when_they_start_again(self, storage: Storage) -> None:
        pair = [await add_user(storage, "ann"), await add_user(storage, "bob")]

        async def save_both(number: int) -> bool:
            async with storage.begin() as uow:
                for user in reversed(pair) if number else pair:
                    copy = await uow.users.get(user.id)
                    assert copy is not None
                    longer = PasswordHash(f"{copy.password_hash}{number}")
                    await uow.users.save(copy.with_password(longer, at=NOW))
                    await asyncio.sleep(0)
            return True

        outcomes = await all_at_once(2, lambda number: again_after_conflicts(lambda: save_both(number)))
        assert outcomes == {True: 2}
        ends = {(await stored_user(storage, user.id)).password_hash for user in pair}
        assert ends in ({"hash01"}, {"hash10"})


async def _log_in(storage: Storage, user: User, session: Session) -> None:
    async with storage.begin() as uow:
        if await uow.users.record_login(user.id, verified=user.password_hash, rehashed=None, at=NOW):
            await uow.sessions.add(session)


async def _change_password(storage: Storage, user: User) -> None:
    async with storage.begin() as uow:
        await uow.users.save(user.with_password(PasswordHash("new"), at=NOW))
        await uow.sessions.revoke_all(user.id, at=NOW)


async def _count(uow: UnitOfWork, user: User, *, besides: str) -> int:
    return await uow.one_time_tokens.count_intents(
        user.id, purpose=RESET, sent_since=NOW, minted_since=NOW - HOUR, besides=besides
    )
