"""What `SigningKeys` owes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from identity.domain.signing_key import SigningKey
from identity.testing.samples import HOUR, NOW, SECOND, new_key
from identity.testing.storage.subject import Storage, StorageTests


class SigningKeysBehaviour(StorageTests):
    async def test_there_is_no_signing_key_at_first(self, storage: Storage) -> None:
        async with storage.read() as uow:
            assert await uow.signing_keys.all() == ()

    async def test_the_first_signing_key_is_read_back_as_it_was_added(self, storage: Storage) -> None:
        async with storage.begin() as uow:
            assert await uow.signing_keys.add_first(new_key()) is True
        async with storage.read() as uow:
            assert await uow.signing_keys.all() == (new_key(),)

    async def test_a_key_that_is_not_the_first_is_not_stored(self, storage: Storage) -> None:
        async with storage.begin() as uow:
            assert await uow.signing_keys.add_first(new_key()) is True
            assert await uow.signing_keys.add_first(new_key("other", at=NOW - HOUR)) is False
        async with storage.begin() as uow:
            assert await uow.signing_keys.add_first(new_key("other")) is False
            assert await uow.signing_keys.add_first(new_key(sealed=b"another")) is False
        async with storage.read() as uow:
            assert await uow.signing_keys.all() == (new_key(),)

    async def test_a_next_signing_key_is_read_back_as_it_was_added(self, storage: Storage) -> None:
        key = replace(_next_key(), algorithm="RS256", signs_from=NOW + 24 * HOUR, retired_at=NOW + HOUR)
        await _add(storage, new_key())
        assert await _add_next(storage, key) is True
        assert await _all(storage) == (new_key(), key)

    async def test_keys_are_read_from_the_oldest_to_the_newest_whenever_they_sign(
        self, storage: Storage
    ) -> None:
        keys = [
            replace(new_key(kid, at=NOW + number * SECOND), signs_from=NOW - number * HOUR)
            for number, kid in enumerate("mbzak")
        ]
        await _add(storage, keys[0])
        for before, key in pairwise(keys):
            assert await _add_next(storage, key, after=before.kid) is True
        assert await _all(storage) == tuple(keys)

    async def test_a_key_has_one_successor_at_most(self, storage: Storage) -> None:
        await _add(storage, new_key())
        assert await _add_next(storage, _next_key()) is True
        assert await _add_next(storage, _next_key("late")) is False
        async with storage.begin() as uow:
            assert await uow.signing_keys.add_next(_next_key("later"), after="k") is False
            assert await uow.signing_keys.add_next(_next_key("second"), after="next") is True
        assert [key.kid for key in await _all(storage)] == ["k", "next", "second"]

    async def test_a_key_whose_successor_is_retired_gets_no_other(self, storage: Storage) -> None:
        await _add(storage, new_key())
        await _add_next(storage, _next_key())
        async with storage.begin() as uow:
            assert await uow.signing_keys.retire("next", at=NOW) is True
        assert await _add_next(storage, _next_key("late")) is False

    async def test_a_key_that_follows_another_is_no_reason_for_a_first_one(self, storage: Storage) -> None:
        await _add(storage, new_key())
        await _add_next(storage, _next_key())
        async with storage.begin() as uow:
            assert await uow.signing_keys.add_first(new_key("first")) is False
        assert [key.kid for key in await _all(storage)] == ["k", "next"]

    async def test_a_key_is_retired_once_and_the_others_are_spared(self, storage: Storage) -> None:
        await _add(storage, new_key())
        await _add_next(storage, _next_key())
        async with storage.begin() as uow:
            assert await uow.signing_keys.retire("k", at=NOW + HOUR) is True
            assert await uow.signing_keys.retire("k", at=NOW + 2 * HOUR) is False
        async with storage.begin() as uow:
            assert await uow.signing_keys.retire("k", at=NOW + 3 * HOUR) is False
        assert await _all(storage) == (replace(new_key(), retired_at=NOW + HOUR), _next_key())

    async def test_a_key_that_is_not_there_is_neither_retired_nor_sealed_anew(self, storage: Storage) -> None:
        await _add(storage, new_key())
        async with storage.begin() as uow:
            for kid in ("K", "k ", "", "next"):
                assert await uow.signing_keys.retire(kid, at=NOW) is False, kid
                assert await uow.signing_keys.reseal(new_key(kid, sealed=b"another")) is False, kid
        assert await _all(storage) == (new_key(),)

    async def test_a_new_seal_replaces_the_old_one_and_nothing_else(self, storage: Storage) -> None:
        await _add(storage, new_key())
        await _add_next(storage, _next_key())
        async with storage.begin() as uow:
            await uow.signing_keys.retire("k", at=NOW)
            changed = replace(new_key("k", at=NOW + HOUR, sealed=b"another"), algorithm="RS256")
            assert await uow.signing_keys.reseal(changed) is True
            assert await uow.signing_keys.reseal(changed) is True
        sealed = replace(new_key(sealed=b"another"), retired_at=NOW)
        assert await _all(storage) == (sealed, _next_key())

    async def test_a_retirement_and_a_successor_are_stored_together_or_not_at_all(
        self, storage: Storage
    ) -> None:
        await _add(storage, new_key())
        try:
            async with storage.begin() as uow:
                await uow.signing_keys.retire("k", at=NOW)
                await uow.signing_keys.add_next(_next_key(), after="k")
                await uow.signing_keys.reseal(new_key(sealed=b"another"))
                raise _ChangedItsMind
        except _ChangedItsMind:
            pass
        assert await _all(storage) == (new_key(),)
        assert await _add_next(storage, _next_key()) is True


class _ChangedItsMind(Exception):
    """Ends a unit of work."""


def _next_key(kid: str = "next") -> SigningKey:
    return new_key(kid, at=NOW + SECOND)


async def _add(storage: Storage, key: SigningKey) -> None:
    async with storage.begin() as uow:
        assert await uow.signing_keys.add_first(key) is True


async def _add_next(storage: Storage, key: SigningKey, *, after: str = "k") -> bool:
    async with storage.begin() as uow:
        return await uow.signing_keys.add_next(key, after=after)


async def _all(storage: Storage) -> tuple[SigningKey, ...]:
    async with storage.read() as uow:
        return await uow.signing_keys.all()
