"""What `Devices` owes."""

from __future__ import annotations

from datetime import datetime

from identity.domain.secrets import Digest
from identity.domain.user import User
from identity.testing.samples import HOUR, MICROSECOND, NOW, SECOND, new_device
from identity.testing.storage.subject import Storage, StorageTests, add_user, is_refused

LONG_AGO = NOW - 1000 * HOUR
NAMES = ["early", "late", "again"]


class DevicesBehaviour(StorageTests):
    async def test_a_device_is_known_once_it_was_seen(self, storage: Storage) -> None:
        ann = await add_user(storage)
        assert await _see(storage, ann, at=NOW, since=LONG_AGO) is False
        assert await _see(storage, ann, at=NOW, since=LONG_AGO) is True
        assert await _see(storage, ann, at=NOW + HOUR, since=LONG_AGO) is True

    async def test_a_device_is_that_of_one_account(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        assert await _see(storage, ann, at=NOW, since=LONG_AGO) is False
        assert await _see(storage, bob, at=NOW, since=LONG_AGO) is False
        assert await _see(storage, ann, new_device("other"), at=NOW, since=LONG_AGO) is False
        assert await _see(storage, ann, at=NOW, since=LONG_AGO) is True

    async def test_a_device_is_known_while_it_was_seen_later_than_the_limit(self, storage: Storage) -> None:
        ann = await add_user(storage)
        await _see(storage, ann, at=NOW, since=LONG_AGO)
        assert await _see(storage, ann, at=NOW, since=NOW - MICROSECOND) is True
        assert await _see(storage, ann, at=NOW, since=NOW) is False
        assert await _see(storage, ann, at=NOW + HOUR, since=NOW) is False
        assert await _see(storage, ann, at=NOW + HOUR, since=NOW) is True  # for it was seen again meanwhile

    async def test_a_clock_that_is_behind_does_not_make_a_device_less_known(self, storage: Storage) -> None:
        ann = await add_user(storage)
        await _see(storage, ann, at=NOW, since=LONG_AGO)
        assert await _see(storage, ann, at=NOW - HOUR, since=LONG_AGO) is True
        assert await _see(storage, ann, at=NOW, since=NOW - MICROSECOND) is True

    async def test_a_device_of_nobody_is_not_noted(self, storage: Storage) -> None:
        ann = await add_user(storage)

        async def see() -> None:
            async with storage.begin() as uow:
                await uow.devices.see(ann.id + 1, new_device(), at=NOW, since=LONG_AGO)

        assert await is_refused(see())
        async with storage.begin() as uow:
            assert await uow.devices.purge(seen_before=NOW + HOUR, limit=10) == 0

    async def test_only_devices_last_seen_before_the_limit_are_purged(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        await _see(storage, ann, new_device("early"), at=NOW - MICROSECOND, since=LONG_AGO)
        await _see(storage, bob, new_device("early"), at=NOW - HOUR, since=LONG_AGO)
        await _see(storage, ann, new_device("late"), at=NOW, since=LONG_AGO)
        await _see(storage, ann, new_device("again"), at=NOW - HOUR, since=LONG_AGO)
        await _see(storage, ann, new_device("again"), at=NOW, since=LONG_AGO)
        async with storage.begin() as uow:
            assert await uow.devices.purge(seen_before=NOW, limit=10) == 2
            assert await uow.devices.purge(seen_before=NOW, limit=10) == 0
        known = [await _see(storage, ann, new_device(name), at=NOW, since=LONG_AGO) for name in NAMES]
        assert known == [False, True, True]
        assert await _see(storage, bob, new_device("early"), at=NOW, since=LONG_AGO) is False

    async def test_the_devices_seen_longest_ago_are_forgotten_when_there_are_too_many(
        self, storage: Storage
    ) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        for age in (3, 1, 4, 2, 5):
            await _see(storage, ann, new_device(str(age)), at=NOW - age * SECOND, since=LONG_AGO)
        await _see(storage, bob, new_device("5"), at=NOW - HOUR, since=LONG_AGO)
        async with storage.begin() as uow:
            for user in (ann, bob):
                for _ in range(2):
                    await uow.devices.forget_surplus(user.id, keep=3)
            await uow.devices.forget_surplus(ann.id + bob.id, keep=0)
        known = [
            await _see(storage, ann, new_device(str(age)), at=NOW, since=LONG_AGO) for age in range(1, 6)
        ]
        assert known == [True, True, True, False, False]
        assert await _see(storage, bob, new_device("5"), at=NOW, since=LONG_AGO) is True

    async def test_no_more_devices_are_purged_at_once_than_was_said(self, storage: Storage) -> None:
        ann = await add_user(storage)
        for number in range(5):
            await _see(storage, ann, new_device(str(number)), at=NOW - SECOND, since=LONG_AGO)
        for count in (3, 2, 0):
            async with storage.begin() as uow:
                assert await uow.devices.purge(seen_before=NOW, limit=3) == count


async def _see(
    storage: Storage, user: User, device: Digest | None = None, *, at: datetime, since: datetime
) -> bool:
    async with storage.begin() as uow:
        return await uow.devices.see(user.id, device or new_device(), at=at, since=since)
