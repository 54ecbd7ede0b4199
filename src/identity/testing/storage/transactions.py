"""What `BeginUnitOfWork` and `ReadUnitOfWork` owe: all or nothing, and nobody sees the half of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from identity.application.letters import ClaimedIntent
from identity.application.ports import UnitOfWork
from identity.domain.audit_seal import AuditEntry, Seal, SealedDay
from identity.domain.errors import EmailTaken, UsernameTaken
from identity.domain.events import LoggedIn, LoggedOut
from identity.domain.names import Username
from identity.domain.secrets import Digest, PasswordHash
from identity.domain.session import Session
from identity.domain.user import NewUser, User
from identity.testing.samples import (
    HOUR,
    NOW,
    RESET,
    SECOND,
    new_device,
    new_intent,
    new_key,
    new_login_code,
    new_session,
    new_token,
    new_user,
)
from identity.testing.storage.subject import (
    LONG_ENOUGH,
    MOMENT,
    Storage,
    StorageTests,
    add_sessions,
    add_tokens,
    add_user,
    claim,
    is_refused,
    put_intents,
    stored_user,
)

T = TypeVar("T")

LIVE = Digest(b"4" * 32), Digest(b"5" * 32)
LIVE_CODE = new_login_code(LIVE[0], digest=LIVE[1])
EXPIRED_CODE = new_login_code(b"6" * 32, expires_at=NOW - SECOND)
SEAL = Seal(b"s" * 32)
OLD_NAME, NEW_NAME = Username("old"), Username("new")
MANY = 50  # more than any pool has connections


class Abandoned(Exception):
    """Raised by a test to leave a unit of work."""


class Terminated(BaseException):
    """The same by an exception that is none of the program's own, as KeyboardInterrupt is."""


class Transactions(StorageTests):
    async def test_what_a_unit_of_work_did_is_there_once_it_has_ended(self, storage: Storage) -> None:
        async with storage.begin() as uow:
            await _everything(uow)
        assert await self._is_all_there(storage)

    async def test_an_exception_rolls_everything_back_and_is_let_through(self, storage: Storage) -> None:
        with pytest.raises(Abandoned):
            async with storage.begin() as uow:
                raise Abandoned(await _everything(uow))
        assert await self._is_empty(storage)
        async with storage.begin() as uow:
            await _everything(uow)  # nothing is in its way
        assert await self._is_all_there(storage)

    async def test_an_exception_of_any_kind_rolls_everything_back(self, storage: Storage) -> None:
        with pytest.raises(Terminated):
            async with storage.begin() as uow:
                raise Terminated(await _everything(uow))
        assert await self._is_empty(storage)
        await add_user(storage)

    async def test_what_was_changed_is_as_it_was_after_a_roll_back(self, storage: Storage) -> None:
        ann = await add_user(storage)
        session, token = new_session(ann), new_token(ann)
        await add_sessions(storage, session)
        await add_tokens(storage, token)
        await put_intents(storage, new_intent())

        async def change_all_and_leave() -> None:
            async with storage.begin() as uow:
                await uow.users.record_login(ann.id, verified=ann.password_hash, rehashed=None, at=NOW)
                await uow.users.save(ann.disabled(at=NOW))
                await uow.reservations.hold(OLD_NAME, user_id=ann.id, until=NOW)
                await uow.sessions.revoke_all(ann.id, at=NOW)
                await _is_known(uow, ann)
                await uow.one_time_tokens.spend(token.digest, purpose=RESET, user_id=ann.id, at=NOW)
                claimed = await uow.outbox.claim(lease_id="l", at=NOW, lease=HOUR)
                assert claimed is not None
                await uow.outbox.settle(claimed)
                raise Abandoned

        with pytest.raises(Abandoned):
            await change_all_and_leave()
        async with storage.read() as uow:
            assert await uow.sessions.get_with_user("s") == (session, ann)
            find = uow.one_time_tokens.find
            assert await find(token.digest, purpose=RESET, user_id=ann.id, at=NOW) == token
        assert (await claim(storage)).attempts == 1
        async with storage.begin() as uow:
            assert await _is_known(uow, ann) is False

    async def test_a_refusal_leaves_nothing_of_its_unit_of_work(self, storage: Storage) -> None:
        await add_user(storage)
        for taken, refusal in [
            (new_user("ann", email="eve@example.org"), UsernameTaken),
            (new_user("eve", email="ann@example.org"), EmailTaken),
        ]:
            with pytest.raises(refusal):
                await _add_two(storage, new_user("bob"), taken)
            async with storage.read() as uow:
                assert await uow.users.with_username(Username("bob")) is None

    async def test_a_unit_of_work_is_over_once_it_was_refused_a_name(self, storage: Storage) -> None:
        """Whoever goes on nevertheless stores nothing, neither from before the refusal nor from after it."""
        await add_user(storage)
        with suppress(Exception):  # the storage may say so, or not
            async with storage.begin() as uow:
                await uow.users.add(new_user("before"))
                with suppress(UsernameTaken):
                    await uow.users.add(new_user("ann", email="other@example.org"))
                await uow.users.add(new_user("after"))
        async with storage.read() as uow:
            assert await uow.users.with_username(Username("before")) is None
            assert await uow.users.with_username(Username("after")) is None
        await add_user(storage, "next")

    async def test_a_unit_of_work_sees_its_own_writes(self, storage: Storage) -> None:
        async with storage.begin() as uow:
            user = await _everything(uow)
            assert await uow.users.with_username(user.username) == user
            assert await uow.users.record_login(
                user.id, verified=user.password_hash, rehashed=PasswordHash("new"), at=NOW
            )
            seen = replace(user, last_login_at=NOW, password_hash=PasswordHash("new"))
            assert await uow.users.get(user.id) == seen
            assert await uow.sessions.get_with_user("s") == (new_session(user), seen)
            assert await uow.outbox.has_due(at=NOW)
            assert await uow.sessions.of_user(user.id) == (new_session(user),)
            assert await _is_known(uow, user) is True
            assert len(await uow.signing_keys.all()) == 1

    async def test_others_see_only_what_is_committed(self, storage: Storage) -> None:
        """And they see it without waiting for the writer."""
        async with storage.begin() as uow:
            await _everything(uow)
            assert await _by_another_task(self._is_empty(storage))
        assert await self._is_all_there(storage)

    async def test_others_see_a_changed_account_as_it_was(self, storage: Storage) -> None:
        ann = await add_user(storage)
        async with storage.begin() as uow:
            await uow.users.record_login(ann.id, verified=ann.password_hash, rehashed=None, at=NOW)
            assert await _by_another_task(stored_user(storage, ann.id)) == ann
        assert (await stored_user(storage, ann.id)).last_login_at == NOW

    async def test_each_single_read_sees_what_was_committed_before_it(self, storage: Storage) -> None:
        async with storage.read() as uow:
            assert await uow.users.with_username(Username("ann")) is None
            ann = await _by_another_task(add_user(storage))
            assert await uow.users.with_username(Username("ann")) == ann

    async def test_every_write_in_a_unit_of_work_that_only_reads_is_refused(self, storage: Storage) -> None:
        ann = await add_user(storage)
        live, over = new_session(ann), new_session(ann, "over", expires_at=NOW - SECOND)
        await add_sessions(storage, live, over)
        await add_tokens(storage, new_token(ann), new_token(ann, b"2" * 32, expires_at=NOW - SECOND))
        await put_intents(storage, *(new_intent(name, at=NOW - HOUR) for name in "abc"))
        dead, held = await claim(storage), await claim(storage)  # and a third one is due
        async with storage.begin() as uow:
            await uow.outbox.bury(dead, at=NOW - HOUR, error="")
            await uow.reservations.hold(OLD_NAME, user_id=ann.id, until=NOW)
            await uow.login_codes.add(LIVE_CODE)
            await uow.login_codes.add(EXPIRED_CODE)
            assert await _is_known(uow, ann) is False
        sealed, unsealed = await _one_sealed_event_of_two(storage)
        before = await self._seen(storage, ann)
        for name, write in (_writes(ann, live, held) | _writes_of_seals(sealed, unsealed)).items():
            assert await is_refused(_in_a_read(storage, write)), name
            assert await self._seen(storage, ann) == before, name
        async with storage.begin() as uow:
            assert await uow.outbox.settle(held) is True
            assert await uow.outbox.purge(before=NOW, limit=10) == 1
            assert await uow.devices.purge(seen_before=NOW + HOUR, limit=10) == 1
            await uow.signing_keys.add_first(new_key())
        before = await self._seen(storage, ann)
        for name, write in _WRITES_TO_A_KEY.items():
            assert await is_refused(_in_a_read(storage, write)), name
            assert await self._seen(storage, ann) == before, name

    async def test_a_unit_of_work_inside_another_is_refused_and_the_outer_one_goes_on(
        self, storage: Storage
    ) -> None:
        async with storage.begin() as uow:
            with pytest.raises(RuntimeError):
                async with storage.begin():
                    pass
            await _everything(uow)
        assert await self._is_all_there(storage)
        await add_user(storage)

    async def test_reading_beside_a_unit_of_work_from_inside_is_refused_and_it_goes_on(
        self, storage: Storage
    ) -> None:
        """It would not see what the unit of work has written, and hold a second connection for that."""
        async with storage.begin() as uow:
            with pytest.raises(RuntimeError):
                async with storage.read():
                    pass
            await _everything(uow)
        assert await self._is_all_there(storage)

    async def test_a_cancelled_unit_of_work_is_rolled_back_and_the_next_one_works(
        self, storage: Storage
    ) -> None:
        inside = asyncio.Event()

        async def stall() -> None:
            async with storage.begin() as uow:
                await _everything(uow)
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(stall())
        arrival = asyncio.create_task(inside.wait())
        await asyncio.wait({task, arrival}, timeout=LONG_ENOUGH, return_when=asyncio.FIRST_COMPLETED)
        arrival.cancel()
        if task.done():
            await task  # it failed before it could stall
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await self._is_empty(storage)
        await add_user(storage)

    async def test_one_that_is_cancelled_while_it_waits_for_another_holds_nothing_up(
        self, storage: Storage
    ) -> None:
        ann = await add_user(storage)

        async def log_in() -> None:
            async with storage.begin() as uow:
                await uow.users.record_login(ann.id, verified=ann.password_hash, rehashed=None, at=NOW)

        async with storage.begin() as uow:
            await uow.users.record_login(ann.id, verified=ann.password_hash, rehashed=None, at=NOW - HOUR)
            waiting = asyncio.create_task(log_in())
            await asyncio.sleep(MOMENT)
            waiting.cancel()
            await asyncio.wait([waiting])
        assert waiting.cancelled()
        assert (await stored_user(storage, ann.id)).last_login_at == NOW - HOUR
        await log_in()
        assert (await stored_user(storage, ann.id)).last_login_at == NOW

    async def test_cancelling_at_any_moment_leaves_all_or_nothing_and_a_storage_that_works(
        self, storage: Storage
    ) -> None:
        chance = random.Random(1)  # noqa: S311 - the same moments each time

        async def register(number: int) -> None:
            async with storage.begin() as uow:
                user = await uow.users.add(new_user(f"user{number}"))
                await uow.sessions.add(new_session(user, f"session{number}"))

        async def interrupted(number: int) -> None:
            task = asyncio.create_task(register(number))
            await asyncio.sleep(chance.random() * 0.02)
            task.cancel()
            await asyncio.wait([task])

        for batch in range(10):
            await asyncio.gather(*(interrupted(batch * 6 + number) for number in range(6)))
        async with storage.read() as uow:
            for number in range(60):
                user = await uow.users.with_username(Username(f"user{number}"))
                session = await uow.sessions.get_with_user(f"session{number}")
                assert (user is None) == (session is None)
        await add_user(storage)

    async def test_many_units_of_work_one_after_the_other_do_not_use_up_the_storage(
        self, storage: Storage
    ) -> None:
        await add_user(storage)
        for number in range(MANY):
            with pytest.raises(UsernameTaken):
                await add_user(storage, email=f"{number}@example.org")
            with pytest.raises(Abandoned):
                async with storage.begin():
                    raise Abandoned
            with pytest.raises(Abandoned):
                async with storage.read():
                    raise Abandoned
            async with storage.read() as uow:
                assert await uow.users.get(0) is None
        await add_user(storage, "bob")

    async def _is_empty(self, storage: Storage) -> bool:
        async with storage.read() as uow:
            found = [
                await uow.users.with_username(Username("eve")),
                await uow.reservations.is_held(OLD_NAME),
                await uow.sessions.get_with_user("s"),
                await uow.login_codes.find(new_login_code().request),
                await uow.outbox.oldest(),
                *await uow.signing_keys.all(),
            ]
        return not any(found) and not await self.events_of(storage)

    async def _is_all_there(self, storage: Storage) -> bool:
        async with storage.read() as uow:
            user = await uow.users.with_username(Username("eve"))
            if user is None:
                return False
            token = new_token(user)
            found = [
                await uow.reservations.is_held(OLD_NAME),
                await uow.sessions.get_with_user("s"),
                await uow.one_time_tokens.find(token.digest, purpose=RESET, user_id=user.id, at=NOW),
                await uow.login_codes.find(new_login_code().request),
                await uow.outbox.oldest(),
                await uow.signing_keys.all(),
            ]
        async with storage.begin() as uow:
            was_seen = await _is_known(uow, user)
        events = await self.events_of(storage)
        return all(found) and was_seen and (events is None or len(events) == 1)

    async def _seen(self, storage: Storage, user: User) -> list[object]:
        token = new_token(user)
        async with storage.read() as uow:
            return [
                await uow.users.get(user.id),
                await uow.users.with_username(Username("bob")),
                await uow.reservations.is_held(OLD_NAME),
                await uow.reservations.is_held(NEW_NAME),
                await uow.sessions.get_with_user("s"),
                await uow.sessions.get_with_user("over"),
                await uow.sessions.get_with_user("new"),
                await uow.one_time_tokens.find(token.digest, purpose=RESET, user_id=user.id, at=NOW),
                await uow.login_codes.find(LIVE_CODE.request),
                await uow.login_codes.find(EXPIRED_CODE.request),
                await uow.login_codes.find(new_login_code().request),
                await uow.outbox.has_due(at=NOW),
                await uow.outbox.oldest(),
                await uow.signing_keys.all(),
                await self.events_of(storage),
                await uow.audit_seals.entries(after=0, limit=10),
                await uow.audit_seals.days(),
            ]


_WRITES_TO_A_KEY: Mapping[str, Callable[[UnitOfWork], Awaitable[object]]] = {
    "signing_keys.add_next": lambda uow: uow.signing_keys.add_next(new_key("next"), after="k"),
    "signing_keys.retire": lambda uow: uow.signing_keys.retire("k", at=NOW),
    "signing_keys.reseal": lambda uow: uow.signing_keys.reseal(new_key(sealed=b"another")),
}


async def _everything(uow: UnitOfWork) -> User:
    user = await uow.users.add(new_user("eve"))
    await uow.reservations.hold(OLD_NAME, user_id=user.id, until=NOW)
    await uow.sessions.add(new_session(user))
    assert await _is_known(uow, user) is False
    await uow.one_time_tokens.add(new_token(user))
    await uow.login_codes.add(new_login_code())
    await uow.outbox.put(new_intent())
    await uow.audit_log.append(LoggedIn(at=NOW, user_id=user.id))
    await uow.signing_keys.add_first(new_key())
    return user


async def _is_known(uow: UnitOfWork, user: User) -> bool:
    """Whether the device was seen; it is noted as seen by this."""
    return await uow.devices.see(user.id, new_device(), at=NOW, since=NOW - HOUR)


async def _add_two(storage: Storage, one: NewUser, other: NewUser) -> None:
    async with storage.begin() as uow:
        await uow.users.add(one)
        await uow.users.add(other)


async def _by_another_task(attempt: Coroutine[Any, Any, T]) -> T:
    """What another request gets meanwhile."""
    return await asyncio.wait_for(asyncio.create_task(attempt), LONG_ENOUGH)


async def _in_a_read(storage: Storage, write: Callable[[UnitOfWork], Awaitable[object]]) -> None:
    async with storage.read() as uow:
        await write(uow)


async def _one_sealed_event_of_two(storage: Storage) -> tuple[SealedDay, AuditEntry]:
    """The day of the first, and the second."""
    async with storage.begin() as uow:
        for at in (NOW, NOW + SECOND):
            await uow.audit_log.append(LoggedOut(at=at, user_id=7))
    async with storage.begin() as uow:
        first, second = await uow.audit_seals.entries(after=0, limit=2)
        day = SealedDay(day="2026-01-02", last_id=first.id, events=1, key_id="k")
        await uow.audit_seals.seal([(first.id, SEAL)], day=day, before=None)
    return day, second


def _writes_of_seals(
    day: SealedDay, entry: AuditEntry
) -> dict[str, Callable[[UnitOfWork], Awaitable[object]]]:
    longer = replace(day, last_id=entry.id, events=2)
    return {
        "audit_seals.seal": lambda uow: uow.audit_seals.seal([(entry.id, SEAL)], day=longer, before=day),
        "audit_seals.mark_purged": lambda uow: uow.audit_seals.mark_purged(day.day, at=NOW),
        "audit_seals.purge": lambda uow: uow.audit_seals.purge(until=entry.id, limit=10),
    }


def _writes(
    ann: User, live: Session, held: ClaimedIntent
) -> dict[str, Callable[[UnitOfWork], Awaitable[object]]]:
    """Every method that writes, each called so that it would find something to do."""
    token = new_token(ann)
    spending = {"purpose": RESET, "user_id": ann.id, "at": NOW}
    return {  # but for those of a key that is there, where there is a first one to add
        "users.add": lambda uow: uow.users.add(new_user("bob")),
        "users.save": lambda uow: uow.users.save(ann.disabled(at=NOW)),
        "users.record_login": lambda uow: uow.users.record_login(
            ann.id, verified=ann.password_hash, rehashed=None, at=NOW
        ),
        "users.add_or_find": lambda uow: uow.users.add_or_find(new_user("bob")),
        "users.erase": lambda uow: uow.users.erase(ann),
        "reservations.hold": lambda uow: uow.reservations.hold(NEW_NAME, user_id=None, until=NOW),
        "reservations.release": lambda uow: uow.reservations.release(OLD_NAME, user_id=ann.id),
        "reservations.release_from": lambda uow: uow.reservations.release_from(OLD_NAME, user_id=ann.id),
        "reservations.purge": lambda uow: uow.reservations.purge(ended_before=NOW + HOUR, limit=10),
        "sessions.add": lambda uow: uow.sessions.add(new_session(ann, "new")),
        "sessions.rotate": lambda uow: uow.sessions.rotate(live, replace(live, pending="n")),
        "sessions.revoke": lambda uow: uow.sessions.revoke("s", at=NOW),
        "sessions.revoke of an account": lambda uow: uow.sessions.revoke("s", at=NOW, user_id=ann.id),
        "sessions.touch": lambda uow: uow.sessions.touch("s", at=NOW + HOUR, unless_since=NOW),
        "sessions.revoke_all": lambda uow: uow.sessions.revoke_all(ann.id, at=NOW),
        "sessions.revoke_surplus": lambda uow: uow.sessions.revoke_surplus(ann.id, keep=0, at=NOW),
        "sessions.purge": lambda uow: uow.sessions.purge(expired_before=NOW, limit=10),
        "devices.see": lambda uow: uow.devices.see(ann.id, new_device("new"), at=NOW, since=NOW - HOUR),
        "devices.forget_surplus": lambda uow: uow.devices.forget_surplus(ann.id, keep=0),
        "devices.purge": lambda uow: uow.devices.purge(seen_before=NOW + HOUR, limit=10),
        "one_time_tokens.add": lambda uow: uow.one_time_tokens.add(new_token(ann, b"3" * 32)),
        "one_time_tokens.spend": lambda uow: uow.one_time_tokens.spend(token.digest, **spending),
        "one_time_tokens.void": lambda uow: uow.one_time_tokens.void(ann.id, at=NOW),
        "one_time_tokens.mark_sent": lambda uow: uow.one_time_tokens.mark_sent("i", at=NOW),
        "one_time_tokens.purge": lambda uow: uow.one_time_tokens.purge(expired_before=NOW, limit=10),
        "login_codes.add": lambda uow: uow.login_codes.add(new_login_code()),
        "login_codes.set_digest": lambda uow: uow.login_codes.set_digest(*LIVE, at=NOW),
        "login_codes.count_try": lambda uow: uow.login_codes.count_try(LIVE[0], most=5, at=NOW),
        "login_codes.spend": lambda uow: uow.login_codes.spend(LIVE[0], digest=LIVE[1], at=NOW),
        "login_codes.purge": lambda uow: uow.login_codes.purge(expired_before=NOW, limit=10),
        "outbox.put": lambda uow: uow.outbox.put(new_intent("new", at=NOW - 2 * HOUR)),
        "outbox.claim": lambda uow: uow.outbox.claim(lease_id="m", at=NOW, lease=HOUR),
        "outbox.settle": lambda uow: uow.outbox.settle(held),
        "outbox.postpone": lambda uow: uow.outbox.postpone(held, until=NOW, error=""),
        "outbox.bury": lambda uow: uow.outbox.bury(held, at=NOW, error=""),
        "outbox.release": lambda uow: uow.outbox.release(held),
        "outbox.retry": lambda uow: uow.outbox.retry("a", at=NOW),
        "outbox.purge": lambda uow: uow.outbox.purge(before=NOW, limit=10),
        "audit_log.append": lambda uow: uow.audit_log.append(LoggedIn(at=NOW, user_id=ann.id)),
        "audit_log.forget_clients": lambda uow: uow.audit_log.forget_clients(ann.id),
        "signing_keys.add_first": lambda uow: uow.signing_keys.add_first(new_key()),
    }
