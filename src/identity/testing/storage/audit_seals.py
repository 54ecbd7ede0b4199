"""What `AuditSeals` owes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from identity.domain.audit_seal import FIRST, AuditEntry, Seal, SealedDay, client_digest
from identity.domain.errors import Conflict
from identity.domain.events import OPERATOR, Actor, Event, KeyAdded, LoggedIn, LoggedOut, LoginRefused
from identity.domain.session import Client
from identity.testing.samples import HOUR, NOW, SECOND
from identity.testing.storage.subject import Storage, StorageTests, all_at_once, assert_one_won

CLIENT = Client(address="192.0.2.7", user_agent="Mozilla/5.0 🦊 ' \" \\ %s", request_id="0123456789abcdef")
DAY = SealedDay(day="2026-01-02", last_id=0, events=0, key_id="0123456789abcdef", seal=Seal(b"\x00\xff" * 16))
MANY = 120  # more than a statement may take at once


class AuditSealsBehaviour(StorageTests):
    async def test_entries_are_read_as_they_were_noted(self, storage: Storage) -> None:
        await _append(
            storage,
            LoggedIn(at=NOW + SECOND, user_id=7, session_id="s", client=CLIENT),
            LoginRefused(at=NOW, actor=Actor.administrator(9)),
            KeyAdded(at=NOW, actor=OPERATOR, subject="k" * 64),
        )
        first, second, third = await _entries(storage)
        assert (first.at, first.kind, first.user_id, first.session_id) == (NOW + SECOND, "LoggedIn", 7, "s")
        assert (first.role, first.actor_id, first.subject, first.seal) == ("owner", None, "", None)
        assert Client(address=first.address, user_agent=first.user_agent) == CLIENT
        assert first.request_id == CLIENT.request_id
        assert (second.user_id, second.role, second.actor_id) == (None, "administrator", 9)
        assert (third.subject, third.session_id) == ("k" * 64, None)

    async def test_entries_have_a_digest_of_where_they_came_from_each_under_its_own_salt(
        self, storage: Storage
    ) -> None:
        await _append(storage, *(LoggedIn(at=NOW, user_id=7, client=CLIENT) for _ in range(2)))
        one, other = await _entries(storage)
        assert one.client_salt is not None
        assert one.client_digest == client_digest(CLIENT, one.client_salt)
        assert one.client_digest != other.client_digest

    async def test_a_client_that_is_forgotten_takes_its_salt_along_and_leaves_its_digest(
        self, storage: Storage
    ) -> None:
        await _append(storage, *(LoggedIn(at=NOW, user_id=user, client=CLIENT) for user in (7, 8)))
        forgotten, kept = await _entries(storage)
        async with storage.begin() as uow:
            await uow.audit_log.forget_clients(7)
        expected = replace(forgotten, address="", user_agent="", client_salt=None)
        assert await _entries(storage) == (expected, kept)
        assert expected.digest() == forgotten.digest()

    async def test_entries_are_read_from_one_on_in_the_order_of_their_ids(self, storage: Storage) -> None:
        await _append(storage, *(LoggedOut(at=NOW - number * SECOND, user_id=7) for number in range(5)))
        ids = [entry.id for entry in await _entries(storage)]
        assert ids == sorted(set(ids))
        async with storage.read() as uow:
            page = await uow.audit_seals.entries(after=ids[0], limit=3)
            assert [entry.id for entry in page] == ids[1:4]
            assert await uow.audit_seals.entries(after=ids[-1], limit=3) == ()

    async def test_seals_are_kept_with_their_entries_and_the_day_with_its_last(
        self, storage: Storage
    ) -> None:
        entries = await _some(storage, MANY)
        sealed, rest = entries[:-1], entries[-1:]
        seals = [(entry.id, Seal(bytes([number]) * 32)) for number, entry in enumerate(sealed)]
        day = replace(DAY, last_id=sealed[-1].id, events=len(sealed))
        async with storage.begin() as uow:
            await uow.audit_seals.seal(seals, day=day, before=None)
        expected = [replace(entry, seal=seal) for entry, (_, seal) in zip(sealed, seals, strict=True)]
        assert await _entries(storage) == (*expected, *rest)
        async with storage.read() as uow:
            assert await uow.audit_seals.days() == (day,)
            assert await uow.audit_seals.last_day() == day

    async def test_days_are_read_by_the_last_entry_that_was_sealed_on_them(self, storage: Storage) -> None:
        async with storage.read() as uow:
            assert await uow.audit_seals.last_day() is None
        one, two, three = await _some(storage, 3)
        first = await _seal(storage, one, "2026-01-02", before=None)
        await _seal(storage, two, "2026-01-01", before=None)
        grown = await _seal(storage, three, "2026-01-01", before=await _last_day(storage))
        async with storage.read() as uow:
            assert await uow.audit_seals.days() == (first, grown)
            assert await uow.audit_seals.last_day() == grown

    async def test_what_is_sealed_is_not_sealed_again(self, storage: Storage) -> None:
        one, two = await _some(storage, 2)
        await _seal(storage, one, "2026-01-01", before=None)
        before = await _entries(storage)
        seals = [(entry.id, Seal(b"x" * 32)) for entry in (two, one)]
        with pytest.raises(Conflict):
            async with storage.begin() as uow:
                await uow.audit_seals.seal(seals, day=replace(DAY, last_id=two.id), before=None)
        with pytest.raises(Conflict):
            await _seal(storage, replace(two, id=two.id + 1), "2026-01-02", before=None)
        assert await _entries(storage) == before
        async with storage.read() as uow:
            assert len(await uow.audit_seals.days()) == 1

    async def test_a_day_is_not_gone_on_with_unless_it_is_as_it_was(self, storage: Storage) -> None:
        one, two, three = await _some(storage, 3)
        first = await _seal(storage, one, "2026-01-01", before=None)
        second = await _seal(storage, two, "2026-01-01", before=first)
        before = await _entries(storage)
        for outdated in (None, first, replace(second, seal=FIRST)):
            with pytest.raises(Conflict):
                await _seal(storage, three, "2026-01-01", before=outdated)
        assert await _entries(storage) == before
        assert await _last_day(storage) == second

    async def test_of_eight_who_seal_at_once_one_does(self, storage: Storage) -> None:
        first, *entries = await _some(storage, 4)
        before = await _seal(storage, first, "2026-01-01", before=None)

        async def seal(number: int) -> bool:
            seals = [(entry.id, Seal(bytes([number]) * 32)) for entry in entries]
            day = replace(before, last_id=entries[-1].id, seal=Seal(bytes([number]) * 32))
            async with storage.begin() as uow:
                await uow.audit_seals.seal(seals, day=day, before=before)
            return True

        assert_one_won(await all_at_once(8, seal))
        _, *sealed = await _entries(storage)
        assert len({entry.seal for entry in sealed}) == 1
        day = await _last_day(storage)
        assert day is not None
        assert day.seal == sealed[0].seal

    async def test_a_day_is_marked_as_purged_once(self, storage: Storage) -> None:
        (one,) = await _some(storage, 1)
        day = await _seal(storage, one, "2026-01-01", before=None)
        for name, at, is_marked in [
            ("2026-01-02", NOW, False),
            (day.day, NOW, True),
            (day.day, NOW + HOUR, False),
        ]:
            async with storage.begin() as uow:
                assert await uow.audit_seals.mark_purged(name, at=at) is is_marked
        assert await _last_day(storage) == replace(day, purged_at=NOW)

    async def test_the_first_entries_are_purged_and_no_more_at_once_than_was_said(
        self, storage: Storage
    ) -> None:
        ids = [entry.id for entry in await _some(storage, 5)]
        for limit, purged, left in [(2, 2, ids[2:]), (9, 1, ids[3:]), (9, 0, ids[3:])]:
            async with storage.begin() as uow:
                assert await uow.audit_seals.purge(until=ids[2], limit=limit) == purged
            assert [entry.id for entry in await _entries(storage)] == left

    async def test_an_id_is_not_given_again_when_all_that_was_sealed_is_purged(
        self, storage: Storage
    ) -> None:
        (one,) = await _some(storage, 1)
        await _seal(storage, one, "2026-01-01", before=None)
        async with storage.begin() as uow:
            await uow.audit_seals.purge(until=one.id, limit=9)
        (two,) = await _some(storage, 1)
        assert two.id > one.id


async def _append(storage: Storage, *events: Event) -> None:
    async with storage.begin() as uow:
        for event in events:
            await uow.audit_log.append(event)


async def _some(storage: Storage, count: int) -> tuple[AuditEntry, ...]:
    await _append(storage, *(LoggedOut(at=NOW, user_id=7, client=CLIENT) for _ in range(count)))
    return await _entries(storage)


async def _entries(storage: Storage) -> tuple[AuditEntry, ...]:
    async with storage.read() as uow:
        return await uow.audit_seals.entries(after=0, limit=1000)


async def _last_day(storage: Storage) -> SealedDay | None:
    async with storage.read() as uow:
        return await uow.audit_seals.last_day()


async def _seal(storage: Storage, entry: AuditEntry, day: str, *, before: SealedDay | None) -> SealedDay:
    sealed = replace(DAY, day=day, last_id=entry.id, events=1, seal=Seal(bytes([entry.id % 256]) * 32))
    async with storage.begin() as uow:
        await uow.audit_seals.seal([(entry.id, Seal(b"s" * 32))], day=sealed, before=before)
    return sealed
