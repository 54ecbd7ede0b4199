"""What `SigningKeys` owes."""

from __future__ import annotations

from identity.testing.samples import HOUR, NOW, new_key
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
