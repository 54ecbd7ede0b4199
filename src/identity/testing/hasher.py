"""What every `PasswordHasher` owes its port."""

from __future__ import annotations

import asyncio
import base64
import unicodedata
from collections.abc import Awaitable
from typing import ClassVar

import pytest

from identity.application.ports import PasswordHasher
from identity.domain.secrets import PasswordHash, Secret
from identity.testing.conformance import Conformance

STORED_CHARACTERS = 255
"""How long a hash a storage must be able to keep."""

_PASSWORD = "Correct horse battéry staple"
_ODD_PASSWORDS = {
    "empty": "",
    "blank": " ",
    "with white space around it": "\t a password \n",
    "with a NUL": "before\x00after",
    "of emoji": "🐎🔋👩‍👩‍👧",
    "with half a surrogate pair": "half \ud83d of a pair",
    "of 1,024 bytes": "long" * 256,
    "of 1,024 bytes beyond ASCII": "🐎" * 256,
}
# Without one that has a NUL more at its end: HMAC, and with it PBKDF2 and scrypt, cannot tell (RFC 2104, 2).
_OTHER_PASSWORDS = {
    "nothing": "",
    "another last character": _PASSWORD[:-1] + "f",
    "one character less": _PASSWORD[:-1],
    "one character more": _PASSWORD + "s",
    "a space after it": _PASSWORD + " ",
    "a space before it": " " + _PASSWORD,
    "a line break after it": _PASSWORD + "\n",
    "upper case": _PASSWORD.upper(),
    "lower case": _PASSWORD.lower(),
    "no accent": _PASSWORD.replace("é", "e"),
    "the accent as a character of its own": unicodedata.normalize("NFD", _PASSWORD),
}


class HasherConformance(Conformance):
    """Tests of a `PasswordHasher`; let it have the cheapest parameters there are.

    Takes the fixtures `hasher` and `outdated_hash`, a hash of `password` that was made with other parameters.

        class TestScryptHasher(HasherConformance):
            @pytest.fixture
            def hasher(self):
                return ScryptHasher(n=2)

            @pytest.fixture
            async def outdated_hash(self):
                return await ScryptHasher(n=4).hash(self.password)

    One obligation is left to a test of your own, since it takes a stopwatch and the parameters of a
    deployment: verifying against `None` costs what verifying against a hash costs.
    """

    password: ClassVar[Secret] = Secret(_PASSWORD)
    salted: ClassVar[bool] = True
    """False only for a stand-in that no real password is given to."""

    @pytest.fixture
    def outdated_hash(self) -> PasswordHash:
        pytest.skip("the binding has no fixture `outdated_hash`")

    async def test_a_hash_does_not_show_the_password(self, hasher: PasswordHasher) -> None:
        password_hash = await hasher.hash(self.password)
        octets = _PASSWORD.encode()
        for shown in (_PASSWORD, octets.hex(), base64.b64encode(octets).decode().rstrip("=")):
            assert shown.lower() not in password_hash.lower()

    async def test_a_hash_is_one_printable_line_that_a_storage_can_keep(self, hasher: PasswordHasher) -> None:
        for password in (self.password, Secret(""), Secret(_ODD_PASSWORDS["of 1,024 bytes"])):
            password_hash = await hasher.hash(password)
            assert isinstance(password_hash, str)
            assert 0 < len(password_hash) <= STORED_CHARACTERS
            assert password_hash.isprintable()
            assert password_hash == password_hash.strip()

    async def test_two_hashes_of_one_password_differ(self, hasher: PasswordHasher) -> None:
        if not self.salted:
            pytest.skip("the binding says that the hasher has no salt")
        assert await hasher.hash(self.password) != await hasher.hash(self.password)

    async def test_a_password_matches_its_own_hash(self, hasher: PasswordHasher) -> None:
        assert await hasher.verify(self.password, await hasher.hash(self.password)) is True

    async def test_no_other_password_matches(self, hasher: PasswordHasher) -> None:
        password_hash = await hasher.hash(self.password)
        matching = [
            name
            for name, other in _OTHER_PASSWORDS.items()
            if await hasher.verify(Secret(other), password_hash) is not False
        ]
        assert matching == []

    async def test_any_text_can_be_a_password(self, hasher: PasswordHasher) -> None:
        for name, text in _ODD_PASSWORDS.items():
            password_hash = await hasher.hash(Secret(text))
            assert await hasher.verify(Secret(text), password_hash) is True, name
            assert await hasher.verify(self.password, password_hash) is False, name

    async def test_every_character_of_a_long_password_counts(self, hasher: PasswordHasher) -> None:
        for text in ("x" * 1024, "before\x00after", "half \ud83d"):
            password_hash = await hasher.hash(Secret(text))
            for other in (text[:-1] + "?", text[:-1] + "\udfff", text[:-1]):
                assert await hasher.verify(Secret(other), password_hash) is False, ascii(other[-10:])

    async def test_nobody_has_a_password_that_matches(self, hasher: PasswordHasher) -> None:
        for password in (self.password, Secret("")):
            assert await hasher.verify(password, None) is False

    async def test_what_is_no_hash_matches_nothing(self, hasher: PasswordHasher) -> None:
        password_hash = await hasher.hash(self.password)
        broken = [password_hash[:-1], password_hash[:-8], password_hash[: len(password_hash) // 2]]
        foreign = ["", " ", "$", "$argon2id$", "plain$", "md5$salt$digest", "!", "hash", _PASSWORD[:7]]
        for text in broken + foreign:
            for password in (self.password, Secret(""), Secret(text)):
                assert await hasher.verify(password, PasswordHash(text)) is False, text

    async def test_a_hash_beyond_ascii_matches_nothing(self, hasher: PasswordHasher) -> None:
        for text in (f"{await hasher.hash(self.password)}é", "é", "$argon2id$é"):
            assert await hasher.verify(self.password, PasswordHash(text)) is False, text

    async def test_the_event_loop_goes_on_meanwhile(self, hasher: PasswordHasher) -> None:
        password_hash = await hasher.hash(self.password)
        assert await _turns_during(hasher.hash(self.password))
        assert await _turns_during(hasher.verify(self.password, password_hash))
        assert await _turns_during(hasher.verify(self.password, None))

    async def test_passwords_that_are_hashed_at_once_are_kept_apart(self, hasher: PasswordHasher) -> None:
        passwords = [Secret(f"{_PASSWORD} {number}") for number in range(8)]
        hashes = await asyncio.gather(*(hasher.hash(password) for password in passwords))
        pairs = [(password, password_hash) for password in passwords for password_hash in hashes]
        matches = await asyncio.gather(*(hasher.verify(*pair) for pair in pairs))
        assert matches == [mine == its for mine in range(8) for its in range(8)]

    async def test_a_fresh_hash_is_up_to_date(self, hasher: PasswordHasher) -> None:
        assert hasher.needs_rehash(await hasher.hash(self.password)) is False

    async def test_a_hash_of_other_parameters_is_out_of_date(
        self, hasher: PasswordHasher, outdated_hash: PasswordHash
    ) -> None:
        assert hasher.needs_rehash(outdated_hash) is True

    async def test_a_hash_of_other_parameters_still_matches_its_password(
        self, hasher: PasswordHasher, outdated_hash: PasswordHash
    ) -> None:
        assert await hasher.verify(self.password, outdated_hash) is True
        assert await hasher.verify(Secret(_PASSWORD + " "), outdated_hash) is False


async def _turns_during(work: Awaitable[object]) -> int:
    """How often another task had its turn before the work was done. Asks no clock: machines may be busy."""
    turns = 0

    async def tick() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    ticker = asyncio.create_task(tick())
    try:
        await work
    finally:
        ticker.cancel()
        await asyncio.wait({ticker})
    return turns
