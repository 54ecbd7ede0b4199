"""The keys of this service as they are now: read again and again, opened once, left out when over."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from identity.adapters.jwt.keyring import RELOADED_EVERY, Keyring
from identity.adapters.jwt.keys import OpenKey, SealedKeys, shared_key
from identity.adapters.jwt.vault import Vault
from identity.adapters.memory import FixedClock, MemoryStorage, SeededRandomness
from identity.application.ports import UnitOfWork
from identity.application.signing_keys import HEARD_OF, ReencryptKeys, RetireKey, RotateKeys
from identity.domain.errors import Conflict, Unavailable
from identity.domain.secrets import Secret
from identity.domain.signing_key import MARGIN, SigningKey, UnreadableKey

SECRET = Secret("a secret of at least thirty-two bytes")
NEXT_SECRET = Secret("next year's secret, of thirty-two bytes")
LIFETIME = timedelta(days=30)
SECOND = timedelta(seconds=1)
HEARD_WITHIN = timedelta(seconds=5)
"""What the README promises of a retirement."""


class House:
    """A storage that processes share, and rings that each stand for one process."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()
        self.clock = FixedClock()
        self.randomness = SeededRandomness()
        self.reads = 0
        self.failures: list[Exception] = []
        self.while_reading: Callable[[], Any] = lambda: None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[UnitOfWork]:
        """Counts the readings, takes a moment for each, and fails as it is told."""
        self.reads += 1
        if self.failures:
            await asyncio.sleep(0)
            raise self.failures.pop(0)
        async with self.storage.read() as uow:
            yield uow
            self.while_reading()
            await asyncio.sleep(0)

    def sealed(
        self, *, secret: Secret = SECRET, previous: Secret | None = None, algorithm: str = "ES256"
    ) -> SealedKeys:
        vault = Vault(secret, purpose="signing-keys", previous=previous)
        return SealedKeys(vault=vault, randomness=self.randomness, algorithm=algorithm)

    def ring(self, *, shared: OpenKey | None = None, **sealed: Any) -> Keyring:
        return Keyring(
            read=self.read,
            begin=self.storage.begin,
            sealed=self.sealed(**sealed),
            clock=self.clock,
            longest_lifetime=LIFETIME,
            shared=shared,
        )

    async def rotate(self, **sealed: Any) -> SigningKey:
        """By another process."""
        rotate = RotateKeys(
            read=self.storage.read,
            begin=self.storage.begin,
            generator=self.sealed(**sealed),
            clock=self.clock,
        )
        key = await rotate(soon=True)
        assert key is not None
        return key

    async def retire(self, kid: str, **sealed: Any) -> None:
        """By another process."""
        await RetireKey(
            read=self.storage.read,
            begin=self.storage.begin,
            generator=self.sealed(**sealed),
            clock=self.clock,
            longest_lifetime=LIFETIME,
        )(kid=kid)

    async def keys(self) -> tuple[SigningKey, ...]:
        async with self.storage.read() as uow:
            return await uow.signing_keys.all()


@pytest.fixture
def house() -> House:
    return House()


async def kids_published(ring: Keyring) -> list[str]:
    return [key["kid"] for key in await ring.published()]


# The first key


async def test_the_first_key_is_made_where_there_is_none_and_signs_at_once(house: House) -> None:
    key = await house.ring().signing()
    (stored,) = await house.keys()
    assert (key.kid, key.algorithm) == (stored.kid, stored.algorithm) == (stored.kid, "ES256")
    assert stored.created_at == stored.signs_from == house.clock.now()


async def test_of_many_processes_that_start_at_once_one_makes_the_first_key(house: House) -> None:
    keys = await asyncio.gather(*(house.ring().signing() for _ in range(8)))
    assert len({key.kid for key in keys}) == 1
    assert len(await house.keys()) == 1


async def test_a_deadlock_over_the_first_key_is_tried_again(house: House) -> None:
    house.failures = [Conflict("a deadlock")]
    assert (await house.ring().signing()).kid == (await house.keys())[0].kid


# Reading again


async def test_the_keys_are_read_again_every_three_seconds_of_the_clock_and_no_sooner(house: House) -> None:
    ring = house.ring()
    kid = (await ring.signing()).kid
    assert timedelta(seconds=3) == RELOADED_EVERY
    for _ in range(3):
        house.reads = 0
        house.clock.advance(RELOADED_EVERY - timedelta.resolution)
        await ring.signing()
        await ring.verifying(kid)
        await ring.published()
        assert house.reads == 0
        house.clock.advance(timedelta.resolution)
        await ring.signing()
        await ring.verifying(kid)
        await ring.published()
        assert house.reads == 1


async def test_a_clock_that_was_set_back_does_not_keep_the_keys_from_being_read_again(house: House) -> None:
    ring = house.ring()
    first = await ring.signing()
    await house.retire(first.kid)
    house.clock.advance(-timedelta(days=1))
    assert await ring.verifying(first.kid) is None


@pytest.mark.parametrize("age", [timedelta(), RELOADED_EVERY])
async def test_a_crowd_is_answered_by_one_reading(house: House, age: timedelta) -> None:
    ring = house.ring()
    kid = (await ring.signing()).kid
    house.clock.advance(age)
    house.reads = 0
    keys = await asyncio.gather(
        *(ring.verifying(kid) for _ in range(50)), *(ring.signing() for _ in range(50))
    )
    assert {key.kid for key in keys if key} == {kid}
    assert house.reads == (1 if age else 0)


async def test_a_crowd_of_unknown_keys_is_answered_by_two_readings(house: House) -> None:
    """By the one that goes on, which may have begun too early to see their key, no one but its own."""
    ring = house.ring()
    await ring.signing()
    house.reads = 0
    found = await asyncio.gather(*(ring.verifying(f"unknown {number}") for number in range(50)))
    assert set(found) == {None}
    assert house.reads == 2


async def test_a_key_of_this_moment_is_found_though_a_reading_that_cannot_see_it_goes_on(
    house: House,
) -> None:
    ring = house.ring()
    await ring.signing()
    searching: list[asyncio.Task[OpenKey | None]] = []
    added: list[SigningKey] = []

    async def rotate_and_search() -> OpenKey | None:
        added.append(await house.rotate())
        return await ring.verifying(added[0].kid)

    def once_it_was_read() -> None:
        house.while_reading = lambda: None
        searching.append(asyncio.create_task(rotate_and_search()))

    house.while_reading = once_it_was_read
    assert await ring.verifying("unknown") is None
    found = await searching[0]
    assert found is not None
    assert found.kid == added[0].kid


async def test_an_unknown_key_is_looked_for_at_once(house: House) -> None:
    ring = house.ring()
    await ring.signing()
    added = await house.rotate()
    found = await ring.verifying(added.kid)
    assert found is not None
    assert found.kid == added.kid
    assert await kids_published(ring) == [key.kid for key in await house.keys()]


async def test_a_key_that_is_known_to_be_retired_is_not_looked_for(house: House) -> None:
    ring = house.ring()
    first = await ring.signing()
    await house.retire(first.kid)
    house.clock.advance(RELOADED_EVERY)
    assert await ring.verifying(first.kid) is None
    house.reads = 0
    assert await ring.verifying(first.kid) is None
    assert house.reads == 0


async def test_a_crowd_shares_the_failure_of_one_reading(house: House) -> None:
    """One after the other they would wait for as long as the database takes to fail, times their number."""
    ring = house.ring()
    kid = (await ring.signing()).kid
    house.clock.advance(RELOADED_EVERY)
    house.reads = 0
    house.failures = [Unavailable("the database")]
    outcomes = await asyncio.gather(*(ring.verifying(kid) for _ in range(20)), return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert house.reads == 1


async def test_a_reading_that_failed_is_not_taken_for_one_that_succeeded(house: House) -> None:
    ring = house.ring()
    kid = (await ring.signing()).kid
    house.clock.advance(RELOADED_EVERY)
    house.failures = [Unavailable("the database") for _ in range(2)]
    for _ in range(2):
        with pytest.raises(Unavailable):
            await ring.verifying(kid)
    found = await ring.verifying(kid)
    assert found is not None


async def test_an_unknown_key_is_not_refused_because_the_reading_of_another_failed(house: House) -> None:
    """The first asks for a reading, the others for one that began after they came: that one finds the key."""
    ring = house.ring()
    await ring.signing()
    added = await house.rotate()
    house.failures = [Unavailable("the database")]
    outcomes = await asyncio.gather(*(ring.verifying(added.kid) for _ in range(4)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Unavailable, OpenKey, OpenKey, OpenKey]


async def test_a_crowd_with_unknown_keys_waits_for_two_readings_though_both_fail(house: House) -> None:
    ring = house.ring()
    await ring.signing()
    house.reads = 0
    house.failures = [Unavailable("the database") for _ in range(20)]
    outcomes = await asyncio.gather(
        *(ring.verifying(f"unknown {n}") for n in range(20)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert house.reads == 2


async def test_a_crowd_is_answered_though_the_one_who_came_first_has_gone(house: House) -> None:
    ring = house.ring()
    kid = (await ring.signing()).kid
    house.clock.advance(RELOADED_EVERY)
    house.reads = 0
    first, *others = [asyncio.create_task(ring.verifying(kid)) for _ in range(4)]
    await asyncio.sleep(0)
    first.cancel()
    assert {key.kid for key in await asyncio.gather(*others) if key} == {kid}
    assert first.cancelled()
    assert house.reads == 1


async def test_a_reading_that_is_cancelled_leaves_the_ring_in_order(house: House) -> None:
    ring = house.ring()
    kid = (await ring.signing()).kid
    house.clock.advance(RELOADED_EVERY)
    reading = asyncio.create_task(ring.signing())
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (await ring.signing()).kid == kid


# Rotation and retirement


async def test_a_rotation_reaches_every_process_before_it_signs(house: House) -> None:
    rings = [house.ring() for _ in range(3)]
    first = {(await ring.signing()).kid for ring in rings}
    added = await house.rotate()
    house.clock.advance(HEARD_WITHIN)
    for ring in rings:
        assert added.kid in await kids_published(ring)
        assert {(await ring.signing()).kid} == first
    house.clock.advance(HEARD_OF - HEARD_WITHIN)
    for ring in rings:
        assert (await ring.signing()).kid == added.kid
        assert await ring.verifying(first.copy().pop()) is not None


async def test_an_old_key_verifies_and_is_published_until_its_last_token_has_expired(house: House) -> None:
    ring = house.ring()
    first = await ring.signing()
    added = await house.rotate()
    house.clock.advance(HEARD_OF + LIFETIME + MARGIN - timedelta.resolution)
    assert await ring.verifying(first.kid) == first
    assert await kids_published(ring) == [first.kid, added.kid]
    house.clock.advance(timedelta.resolution)
    assert await ring.verifying(first.kid) is None
    assert await kids_published(ring) == [added.kid]


async def test_a_retirement_reaches_every_process_within_five_seconds(house: House) -> None:
    rings = [house.ring() for _ in range(3)]
    retired = await rings[0].signing()
    for ring in rings:
        house.clock.advance(SECOND)
        await ring.signing()
    await house.retire(retired.kid)
    house.clock.advance(HEARD_WITHIN)
    for ring in rings:
        assert await ring.verifying(retired.kid) is None
        assert (await ring.signing()).kid != retired.kid
        assert retired.kid not in await kids_published(ring)


async def test_a_change_of_algorithm_leaves_the_old_keys_in_use(house: House) -> None:
    first = await house.ring().signing()
    ring = house.ring(algorithm="RS256")
    assert (await ring.signing()).kid == first.kid
    added = await house.rotate(algorithm="RS256")
    house.clock.advance(HEARD_OF)
    signing = await ring.signing()
    assert (signing.kid, signing.algorithm) == (added.kid, "RS256")
    old = await ring.verifying(first.kid)
    assert old is not None
    assert old.algorithm == "ES256"
    at_another_replica = await house.ring(algorithm="ES256").signing()
    assert (at_another_replica.kid, at_another_replica.algorithm) == (added.kid, "RS256")


# Keys that do not open


async def test_keys_of_another_secret_end_the_start_and_are_not_replaced(house: House) -> None:
    await house.ring().signing()
    before = await house.keys()
    other = house.ring(secret=NEXT_SECRET)
    for _ in range(2):
        with pytest.raises(UnreadableKey):
            await other.signing()
    assert await house.keys() == before


async def test_a_key_of_another_secret_that_comes_later_is_logged_once_and_left_out(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """As on a replica that has not been given the new secret yet."""
    ring = house.ring()
    first = await ring.signing()
    added = await house.rotate(secret=NEXT_SECRET, previous=SECRET)
    for _ in range(5):
        house.clock.advance(HEARD_OF)
        assert (await ring.signing()).kid == first.kid
        assert await ring.verifying(added.kid) is None
        assert await ring.verifying(first.kid) == first
        assert await kids_published(ring) == [first.kid]
    assert errors(caplog) == [f"signing key {added.kid} does not open with this secret"]


async def test_a_key_that_did_not_open_is_tried_again_when_it_was_sealed_anew(house: House) -> None:
    ring = house.ring()
    await ring.signing()
    added = await house.rotate(secret=NEXT_SECRET, previous=SECRET)
    assert await ring.verifying(added.kid) is None
    vault = house.sealed(secret=SECRET, previous=NEXT_SECRET)
    await ReencryptKeys(begin=house.storage.begin, generator=vault, clock=house.clock)()
    house.clock.advance(HEARD_OF)
    assert (await ring.signing()).kid == added.kid


async def test_where_no_key_is_left_that_opens_nothing_is_signed(house: House) -> None:
    ring = house.ring()
    first = await ring.signing()
    await house.retire(first.kid, secret=NEXT_SECRET, previous=SECRET)
    house.clock.advance(RELOADED_EVERY)
    with pytest.raises(UnreadableKey):
        await ring.signing()


@pytest.mark.parametrize("is_later", [False, True], ids=["at the start", "later"])
async def test_a_key_for_an_algorithm_of_a_newer_version_is_logged_once_and_left_out(
    house: House, caplog: pytest.LogCaptureFixture, is_later: bool
) -> None:
    ring = house.ring()
    first = await ring.signing()
    newer = replace(first_of(await house.keys()), kid="newer", algorithm="ML-DSA-65")
    async with house.storage.begin() as uow:
        await uow.signing_keys.add_next(newer, after=first.kid)
    if not is_later:
        ring = house.ring()
    for _ in range(3):
        house.clock.advance(RELOADED_EVERY)
        assert (await ring.signing()).kid == first.kid
        assert await ring.verifying("newer") is None
    assert errors(caplog) == ["signing key newer is for ML-DSA-65, which this version does not know"]


async def test_a_key_is_opened_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    honest = SealedKeys.open

    def open_and_tell(self: SealedKeys, key: SigningKey) -> OpenKey:
        opened.append(key.kid)
        return honest(self, key)

    monkeypatch.setattr(SealedKeys, "open", open_and_tell)
    ring = house.ring()
    first = await ring.signing()
    added = await house.rotate()
    for _ in range(5):
        house.clock.advance(RELOADED_EVERY)
        await ring.signing()
    assert opened == [first.kid, added.kid]


async def test_a_retired_key_is_not_opened(house: House) -> None:
    first = await house.ring().signing()
    await house.retire(first.kid)
    retired = first_of(await house.keys())
    async with house.storage.begin() as uow:
        await uow.signing_keys.reseal(retired.with_seal(b"broken"))
    assert (await house.ring().signing()).kid != first.kid


# Another secret


async def test_after_sealing_anew_the_previous_secret_is_not_needed(house: House) -> None:
    old_ring = house.ring()
    first = await old_ring.signing()
    added = await house.rotate()
    new_ring = house.ring(secret=NEXT_SECRET, previous=SECRET)
    assert (await new_ring.signing()).kid == first.kid
    vault = house.sealed(secret=NEXT_SECRET, previous=SECRET)
    assert await ReencryptKeys(begin=house.storage.begin, generator=vault, clock=house.clock)() == 2
    without = house.ring(secret=NEXT_SECRET)
    opened = await without.verifying(first.kid)
    assert opened is not None
    assert opened.public.public_numbers() == first.public.public_numbers()
    assert await without.verifying(added.kid) is not None
    with pytest.raises(UnreadableKey):
        await house.ring(secret=SECRET).signing()


async def test_a_process_with_the_old_secret_goes_on_while_keys_are_sealed_anew(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    ring = house.ring()
    first = await ring.signing()
    vault = house.sealed(secret=NEXT_SECRET, previous=SECRET)
    await ReencryptKeys(begin=house.storage.begin, generator=vault, clock=house.clock)()
    house.clock.advance(RELOADED_EVERY)
    assert await ring.signing() == first
    assert errors(caplog) == []


async def test_sealing_anew_keeps_the_key_and_moves_to_no_other_row(house: House) -> None:
    await house.ring().signing()
    (before,) = await house.keys()
    resealed = house.sealed(secret=NEXT_SECRET, previous=SECRET).resealed(before)
    assert replace(resealed, sealed_private_key=before.sealed_private_key) == before
    assert resealed.sealed_private_key != before.sealed_private_key
    with pytest.raises(UnreadableKey):
        house.sealed(secret=NEXT_SECRET).open(replace(resealed, kid="another"))


# Kinds of keys


@pytest.fixture(scope="session")
async def rsa_key() -> SigningKey:
    house = House()
    return await house.sealed(algorithm="RS256").generate(at=house.clock.now(), signs_from=house.clock.now())


async def test_an_es256_key_is_of_the_curve_p_256(house: House) -> None:
    key = await house.ring().signing()
    assert isinstance(key.private, ec.EllipticCurvePrivateKey)
    assert isinstance(key.private.curve, ec.SECP256R1)


async def test_an_rs256_key_has_3072_bits_and_the_usual_exponent(house: House, rsa_key: SigningKey) -> None:
    key = house.sealed().open(rsa_key)
    assert (key.kid, key.algorithm) == (rsa_key.kid, "RS256")
    assert isinstance(key.private, rsa.RSAPrivateKey)
    assert key.private.key_size == 3072
    assert key.private.public_key().public_numbers().e == 65537


async def test_a_key_pair_is_used_for_no_other_algorithm_than_its_own(
    house: House, rsa_key: SigningKey
) -> None:
    for other in ("ES256", "PS256", "HS256", ""):
        with pytest.raises(UnreadableKey):
            house.sealed().open(replace(rsa_key, algorithm=other))


@pytest.mark.parametrize(
    ("algorithm", "members"),
    [("ES256", {"kty", "crv", "x", "y"}), ("RS256", {"kty", "n", "e"})],
)
async def test_a_published_key_has_public_members_only(
    house: House, rsa_key: SigningKey, algorithm: str, members: set[str]
) -> None:
    """TK-6."""
    sealed = rsa_key
    if algorithm == "ES256":
        now = house.clock.now()
        sealed = await house.sealed().generate(at=now, signs_from=now)
    key = house.sealed().open(sealed)
    jwk = key.jwk()
    assert jwk.keys() == members | {"kid", "alg", "use"}
    assert (jwk["kid"], jwk["alg"], jwk["use"]) == (key.kid, algorithm, "sig")
    half = jwt.PyJWK(dict(jwk)).key
    assert half.public_numbers() == key.private.public_key().public_numbers()


def test_a_key_shows_nothing_of_its_private_half() -> None:
    key = shared_key(Secret("canary-canary-canary-canary-canary"))
    assert "canary" not in repr(key)


# A shared key


async def test_a_shared_key_signs_and_verifies_and_is_not_published(house: House) -> None:
    shared = shared_key(SECRET)
    ring = house.ring(shared=shared)
    assert await ring.signing() == shared
    assert await ring.verifying(shared.kid) == shared
    assert shared.algorithm == "HS256"
    assert await kids_published(ring) == [key.kid for key in await house.keys()]
    assert all(key["kty"] == "EC" for key in await ring.published())


async def test_beside_a_shared_key_those_of_before_go_on_verifying(house: House) -> None:
    first = await house.ring().signing()
    ring = house.ring(shared=shared_key(SECRET))
    found = await ring.verifying(first.kid)
    assert found is not None
    assert found.algorithm == "ES256"


async def test_beside_a_shared_key_a_retirement_is_heard_of_too(house: House) -> None:
    first = await house.ring().signing()
    ring = house.ring(shared=shared_key(SECRET))
    assert await ring.verifying(first.kid) is not None
    await house.retire(first.kid)
    house.clock.advance(HEARD_WITHIN)
    assert await ring.verifying(first.kid) is None


def test_the_id_of_a_shared_key_is_the_same_everywhere_and_tells_nothing_of_it() -> None:
    one, same, other = (shared_key(Secret(text)).kid for text in ("k" * 32, "k" * 32, "k" * 31 + "l"))
    assert one == same
    assert len(one) == len(other) == 32
    assert sum(a == b for a, b in zip(one, other, strict=True)) < 16
    digest = hashlib.sha256(b"k" * 32).hexdigest()
    assert one not in {digest[:32], digest[32:]}  # which may stand in a list of digests


def test_a_shared_key_is_the_text_that_simplejwt_has() -> None:
    token = jwt.encode({"a": 1}, "k" * 31 + "é", algorithm="HS256")
    assert jwt.decode(token, shared_key(Secret("k" * 31 + "é")).public, algorithms=["HS256"]) == {"a": 1}


def first_of(keys: Iterable[SigningKey]) -> SigningKey:
    return next(iter(keys))


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
