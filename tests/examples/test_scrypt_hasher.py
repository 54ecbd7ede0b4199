"""The example of a hasher: held to the conformance kit, and to what it says of itself."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Awaitable

import argon2
import pytest
from dependency_injector.providers import Object
from examples.scrypt_hasher import ScryptHasher

from identity.adapters.argon2 import Argon2Hasher
from identity.adapters.memory import MemoryStorage
from identity.application.ports import PasswordHasher
from identity.container import Container, build_container
from identity.domain.errors import LoginRefused
from identity.domain.names import Username
from identity.domain.secrets import PasswordHash, Secret
from identity.settings import Settings
from identity.testing.hasher import HasherConformance

PASSWORD = Secret("yourpassword123")


def cheapest_argon2() -> Argon2Hasher:
    return Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)


def cheap(ln: int = 4, r: int = 1, p: int = 1) -> ScryptHasher:
    return ScryptHasher(ln=ln, r=r, p=p, older=cheapest_argon2())


@pytest.fixture
def hasher() -> ScryptHasher:
    return cheap()


class TestScryptHasher(HasherConformance):
    @pytest.fixture
    async def outdated_hash(self) -> PasswordHash:
        return await cheap(ln=5).hash(self.password)


class TestScryptHasherAfterArgon2(HasherConformance):
    @pytest.fixture
    async def outdated_hash(self) -> PasswordHash:
        return await cheapest_argon2().hash(self.password)


# What it stores


async def test_a_password_is_stored_as_a_phc_string_with_owasp_s_parameters() -> None:
    stored = await ScryptHasher().hash(PASSWORD)
    assert stored.startswith("$scrypt$ln=17,r=8,p=1$")
    *_, salt, digest = stored.split("$")
    assert (len(salt), len(digest)) == (22, 43)


async def test_a_hash_that_another_implementation_made_verifies(hasher: ScryptHasher) -> None:
    """The one in the documentation of passlib, which writes the same form."""
    theirs = "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E"
    assert await hasher.verify(Secret("password"), PasswordHash(theirs))
    assert not await hasher.verify(Secret("Password"), PasswordHash(theirs))


@pytest.mark.parametrize("other", [{"ln": 5}, {"r": 2}, {"p": 2}, {"p": 12}])
async def test_a_hash_of_any_other_parameter_is_out_of_date(
    hasher: ScryptHasher, other: dict[str, int]
) -> None:
    assert hasher.needs_rehash(await cheap(**other).hash(PASSWORD))


# What a stored hash can ask of it


def stored_with(parameters: str, digest_size: int = 32) -> PasswordHash:
    def unpadded(octets: bytes) -> str:
        return b64encode(octets).decode().rstrip("=")

    return PasswordHash(f"$scrypt${parameters}${unpadded(bytes(16))}${unpadded(bytes(digest_size))}")


@pytest.mark.parametrize(
    "parameters",
    [
        "ln=63,r=8,p=1",
        "ln=99,r=99,p=99",
        "ln=30,r=1,p=1",
        "ln=19,r=8,p=1",  # memory
        "ln=10,r=99,p=99",  # steps
        "ln=17,r=1,p=64",
        "ln=16,r=1,p=1",  # N too large for r
        "ln=0,r=8,p=1",
        "ln=4,r=0,p=1",
        "ln=4,r=1,p=0",
        "ln=-4,r=1,p=1",
        "ln=4,r=1",
        "r=1,ln=4,p=1",
        "ln=٤,r=1,p=1",
        "ln=1000000000,r=1,p=1",
        "",
    ],
)
async def test_parameters_that_are_wrong_or_too_large_match_nothing_without_work(
    hasher: ScryptHasher, parameters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked: list[object] = []
    monkeypatch.setattr(hashlib, "scrypt", lambda *_, **arguments: worked.append(arguments) or bytes(32))
    assert await hasher.verify(PASSWORD, stored_with("ln=4,r=1,p=1")) is True, "the hash is well formed"
    assert len(worked) == 1
    assert await hasher.verify(PASSWORD, stored_with(parameters)) is False
    assert len(worked) == 1


async def test_the_beginning_of_a_digest_is_not_enough(
    hasher: ScryptHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hashlib, "scrypt", lambda *_, dklen, **__: bytes(dklen))
    assert await hasher.verify(PASSWORD, stored_with("ln=4,r=1,p=1"))
    for size in (0, 1, 16, 30, 31, 33, 64):
        assert not await hasher.verify(PASSWORD, stored_with("ln=4,r=1,p=1", size)), size


@pytest.mark.parametrize("parameters", [{"ln": 19}, {"ln": 16, "r": 1}, {"p": 4096, "ln": 10, "r": 8}])
def test_parameters_whose_hashes_it_would_not_verify_are_refused(parameters: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="too much"):
        ScryptHasher(**parameters)


# What it costs


class Bill:
    """The parameters of every hash that is computed, by either algorithm."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.items: list[str] = []
        scrypt, verify = hashlib.scrypt, argon2.PasswordHasher.verify

        def note_scrypt(password: bytes, *, n: int, r: int, p: int, **rest: object) -> bytes:
            self.items.append(f"scrypt {n} {r} {p}")
            return scrypt(password, n=n, r=r, p=p, **rest)  # type: ignore[arg-type]

        def note_argon2(own: argon2.PasswordHasher, stored: str, password: bytes) -> bool:
            self.items.append(" ".join(stored.split("$")[1:4]))
            return verify(own, stored, password)

        monkeypatch.setattr(hashlib, "scrypt", note_scrypt)
        monkeypatch.setattr(argon2.PasswordHasher, "verify", note_argon2)

    async def of(self, work: Awaitable[object]) -> list[str]:
        self.items.clear()
        await work
        return sorted(self.items)


async def test_everybody_costs_the_same_known_or_not_moved_over_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hasher, wrong = ScryptHasher(), Secret("another")
    moved, older = await hasher.hash(PASSWORD), await build_container(Settings()).hasher().hash(PASSWORD)
    bill = Bill(monkeypatch)
    nobody = await bill.of(hasher.verify(wrong, None))
    assert nobody == ["argon2id v=19 m=19456,t=2,p=1", "scrypt 131072 8 1"]
    assert await bill.of(hasher.verify(wrong, moved)) == nobody
    assert await bill.of(hasher.verify(wrong, older)) == nobody
    assert await bill.of(hasher.verify(PASSWORD, moved)) == nobody


# Chosen by the setting


class Deployment:
    """One storage, and containers that come and go with their settings."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()
        self.secret = Secret("Zq8pVt3LwX6nKs1RbYh5Jd0GmFc2-Zq8pVt3Lw")

    def started(self, **settings: str) -> Container:
        container = build_container(Settings(database_url="memory:", secret=self.secret, **settings))
        container.storage.override(Object(self.storage))
        return container

    async def stored(self) -> PasswordHash:
        async with self.storage.read() as uow:
            user = await uow.users.with_username(Username("john_doe"))
            assert user
            return user.password_hash


async def test_accounts_move_over_from_argon2_at_their_next_login() -> None:
    deployment = Deployment()
    before = deployment.started()
    await before.register_user()(username="john_doe", email="john@example.com", password=PASSWORD)
    await before.log_in()(username="john_doe", password=PASSWORD)
    older = await deployment.stored()
    assert older.startswith("$argon2id$")

    after = deployment.started(hasher="examples.scrypt_hasher:ScryptHasher")
    with pytest.raises(LoginRefused):
        await after.log_in()(username="john_doe", password=Secret("another password"))
    assert await deployment.stored() == older
    assert (await after.log_in()(username="john_doe", password=PASSWORD)).access
    moved = await deployment.stored()
    assert moved.startswith("$scrypt$ln=17,r=8,p=1$")

    assert (await after.log_in()(username="john@example.com", password=PASSWORD)).access
    assert await deployment.stored() == moved
    with pytest.raises(LoginRefused):
        await after.log_in()(username="john_doe", password=Secret("another password"))


async def test_there_is_no_way_back() -> None:
    deployment = Deployment()
    after = deployment.started(hasher="examples.scrypt_hasher:ScryptHasher")
    await after.register_user()(username="john_doe", email="john@example.com", password=PASSWORD)
    with pytest.raises(LoginRefused):
        await deployment.started().log_in()(username="john_doe", password=PASSWORD)


def test_every_use_case_that_hashes_is_given_it() -> None:
    container = build_container(
        Settings(database_url="memory:", hasher="examples.scrypt_hasher:ScryptHasher")
    )
    for use_case in (container.register_user(), container.log_in(), container.change_password()):
        hasher: PasswordHasher = use_case.hash_password.hasher
        assert isinstance(hasher, ScryptHasher)
        assert hasher is container.hasher()
