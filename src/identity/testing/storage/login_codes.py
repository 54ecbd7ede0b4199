"""What `LoginCodes` owes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from identity.domain.login_code import LoginCode
from identity.domain.secrets import Digest
from identity.testing.samples import HOUR, MICROSECOND, NOW, SECOND, new_login_code
from identity.testing.storage.subject import (
    Storage,
    StorageTests,
    add_user,
    again_after_conflicts,
    all_at_once,
    assert_one_won,
    is_refused,
)

CODE = new_login_code()
THIS, OTHER = CODE.request, Digest(b"2" * 32)
RIGHT, WRONG = Digest(b"r" * 32), Digest(b"w" * 32)
LATER = NOW + SECOND


class LoginCodesBehaviour(StorageTests):
    async def test_a_code_is_read_back_as_it_was_added(self, storage: Storage) -> None:
        used = new_login_code(OTHER, digest=RIGHT, tries=3, spent_at=LATER)
        await _add(storage, CODE, used)
        assert await _find(storage) == CODE
        assert await _find(storage, OTHER) == used
        assert await _find(storage, Digest(b"3" * 32)) is None

    async def test_a_request_has_one_code(self, storage: Storage) -> None:
        await _add(storage, CODE)
        assert await is_refused(_add(storage, new_login_code(email_key="bob@example.org")))
        assert await _find(storage) == CODE

    async def test_an_address_may_have_any_number_of_codes(self, storage: Storage) -> None:
        await _add(storage, *(new_login_code(bytes([number]) * 32) for number in range(10)))
        assert await _set(storage, RIGHT, request=Digest(b"\x07" * 32)) is True
        assert await _find(storage, Digest(b"\x08" * 32)) == new_login_code(b"\x08" * 32)

    async def test_the_latest_digest_is_the_one_that_counts(self, storage: Storage) -> None:
        await _add(storage, CODE)
        for digest in (WRONG, RIGHT):
            assert await _set(storage, digest) is True
            assert await _find(storage) == replace(CODE, digest=digest)
        assert await _spend(storage, WRONG) is False
        assert await _spend(storage, RIGHT) is True

    async def test_a_new_digest_brings_no_new_tries(self, storage: Storage) -> None:
        await _add(storage, CODE)
        assert await _try(storage, most=1) is True
        assert await _set(storage, RIGHT) is True
        assert await _try(storage, most=1) is False

    async def test_tries_are_counted_until_there_were_as_many_as_may_be(self, storage: Storage) -> None:
        """Also of a code that has no digest: for nobody, as for somebody."""
        await _add(storage, CODE, new_login_code(OTHER))
        assert [await _try(storage, most=3) for _ in range(5)] == [True, True, True, False, False]
        assert await _find(storage) == replace(CODE, tries=3)
        assert await _find(storage, OTHER) == new_login_code(OTHER)

    async def test_a_code_is_spent_once_and_all_is_over_then(self, storage: Storage) -> None:
        await _add(storage, replace(CODE, digest=RIGHT), new_login_code(OTHER, digest=RIGHT))
        assert await _spend(storage, RIGHT, at=LATER) is True
        over = replace(CODE, digest=RIGHT, spent_at=LATER)
        assert await _find(storage) == over
        assert await _spend(storage, RIGHT, at=LATER) is False
        assert await _set(storage, WRONG) is False
        assert await _try(storage) is False
        assert await _find(storage) == over
        assert await _spend(storage, RIGHT, request=OTHER) is True

    async def test_only_the_right_digest_spends_a_code(self, storage: Storage) -> None:
        await _add(storage, CODE, new_login_code(OTHER, digest=RIGHT))
        assert await _spend(storage, RIGHT) is False, "it has none yet"
        assert await _set(storage, WRONG) is True
        assert await _spend(storage, RIGHT) is False, "that is another's"
        assert await _spend(storage, WRONG, request=Digest(b"3" * 32)) is False
        assert await _find(storage) == replace(CODE, digest=WRONG)

    async def test_a_code_is_good_until_the_moment_it_expires(self, storage: Storage) -> None:
        await _add(storage, CODE)
        almost = CODE.expires_at - MICROSECOND
        assert await _set(storage, RIGHT, at=CODE.expires_at) is False
        assert await _set(storage, RIGHT, at=almost) is True
        assert await _try(storage, at=CODE.expires_at) is False
        assert await _try(storage, at=almost) is True
        assert await _spend(storage, RIGHT, at=CODE.expires_at) is False
        assert await _spend(storage, RIGHT, at=almost) is True

    async def test_one_of_eight_spenders_of_a_code_wins(self, storage: Storage) -> None:
        await _add(storage, replace(CODE, digest=RIGHT))
        assert_one_won(await all_at_once(8, lambda _: _spend(storage, RIGHT)))

    async def test_of_eight_tries_at_once_no_more_are_counted_than_may_be(self, storage: Storage) -> None:
        await _add(storage, CODE)
        outcomes = await all_at_once(8, lambda _: again_after_conflicts(lambda: _try(storage, most=3)))
        assert outcomes == {True: 3, False: 5}
        assert await _find(storage) == replace(CODE, tries=3)

    async def test_codes_are_erased_with_the_account_that_has_their_address(self, storage: Storage) -> None:
        ann, bob = await add_user(storage, "ann"), await add_user(storage, "bob")
        await _add(
            storage,
            new_login_code(email_key=ann.email.key),
            new_login_code(OTHER, email_key=bob.email.key),
        )
        async with storage.begin() as uow:
            assert await uow.users.erase(ann) is True
        assert await _find(storage) is None
        assert await _find(storage, OTHER) is not None

    async def test_only_codes_that_expired_before_the_limit_are_purged(self, storage: Storage) -> None:
        early = new_login_code(OTHER, expires_at=NOW - MICROSECOND)
        await _add(storage, early, replace(CODE, expires_at=NOW))
        assert await _purge(storage, NOW) == 1
        assert await _purge(storage, NOW) == 0
        assert await _find(storage, OTHER) is None
        assert await _find(storage) is not None

    async def test_no_more_codes_are_purged_at_once_than_was_said(self, storage: Storage) -> None:
        codes = (new_login_code(bytes([number]) * 32, expires_at=NOW - HOUR) for number in range(5))
        await _add(storage, *codes)
        assert [await _purge(storage, NOW, limit=3) for _ in range(3)] == [3, 2, 0]


async def _add(storage: Storage, *codes: LoginCode) -> None:
    async with storage.begin() as uow:
        for code in codes:
            await uow.login_codes.add(code)


async def _find(storage: Storage, request: Digest = THIS) -> LoginCode | None:
    async with storage.read() as uow:
        return await uow.login_codes.find(request)


async def _set(storage: Storage, digest: Digest, *, request: Digest = THIS, at: datetime = NOW) -> bool:
    async with storage.begin() as uow:
        return await uow.login_codes.set_digest(request, digest, at=at)


async def _try(storage: Storage, *, most: int = 5, at: datetime = NOW) -> bool:
    async with storage.begin() as uow:
        return await uow.login_codes.count_try(THIS, most=most, at=at)


async def _spend(storage: Storage, digest: Digest, *, request: Digest = THIS, at: datetime = NOW) -> bool:
    async with storage.begin() as uow:
        return await uow.login_codes.spend(request, digest=digest, at=at)


async def _purge(storage: Storage, before: datetime, *, limit: int = 10) -> int:
    async with storage.begin() as uow:
        return await uow.login_codes.purge(expired_before=before, limit=limit)
