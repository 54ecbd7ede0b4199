"""The life of signing keys: added, published ahead, signing, verifying, retired, sealed anew."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.application.world import Tap

from identity.adapters.memory import FixedClock, MemoryStorage
from identity.application.signing_keys import (
    HEARD_OF,
    ListKeys,
    NoSuchKey,
    PublishKeys,
    ReencryptKeys,
    RetireKey,
    RotateKeys,
    RotateKeysWhenDue,
)
from identity.domain.errors import Conflict
from identity.domain.signing_key import (
    MARGIN,
    PUBLISHED_AHEAD,
    SigningKey,
    UnreadableKey,
    signing,
    verifying,
)

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)
PERIOD = 90 * DAY
LIFETIME = 30 * DAY


class Generator:
    """Numbers the keys, and seals by writing down under which secret."""

    def __init__(self) -> None:
        self.algorithm = "ES256"
        self.secret = b"this year's"
        self._numbers = itertools.count(1)

    async def generate(self, *, at: datetime, signs_from: datetime) -> SigningKey:
        await asyncio.sleep(0)  # others run meanwhile
        return SigningKey(
            kid=f"{next(self._numbers):02}",
            algorithm=self.algorithm,
            sealed_private_key=self.secret,
            created_at=at,
            signs_from=signs_from,
        )

    def resealed(self, key: SigningKey) -> SigningKey:
        if key.sealed_private_key == b"of unknown origin":
            raise UnreadableKey(key.kid)
        return key.with_seal(self.secret)


class House:
    """The use cases, and ways to look at what they did."""

    def __init__(self) -> None:
        self.tap = Tap()
        self.clock = FixedClock()
        self.storage = MemoryStorage()
        self.generator = Generator()
        ports: dict[str, Any] = {
            "read": self.tap.on_storage("read", self.storage.read),
            "begin": self.tap.on_storage("begin", self.storage.begin),
            "generator": self.tap.on("generator", self.generator),
            "clock": self.clock,
        }
        self.rotate = RotateKeys(**ports)
        self.retire = RetireKey(**ports, longest_lifetime=LIFETIME)
        self.reencrypt = ReencryptKeys(begin=ports["begin"], generator=ports["generator"], clock=self.clock)
        self.list = ListKeys(read=ports["read"], clock=self.clock, longest_lifetime=LIFETIME)

    def when_due(self, *, algorithm: str = "ES256", period: timedelta = PERIOD) -> RotateKeysWhenDue:
        return RotateKeysWhenDue(
            read=self.storage.read,
            rotate_keys=self.rotate,
            clock=self.clock,
            period=period,
            algorithm=algorithm,
        )

    async def first(self) -> SigningKey:
        key = await self.generator.generate(at=self.clock.now(), signs_from=self.clock.now())
        async with self.storage.begin() as uow:
            assert await uow.signing_keys.add_first(key)
        return key

    async def keys(self) -> tuple[SigningKey, ...]:
        async with self.storage.read() as uow:
            return await uow.signing_keys.all()

    async def signer(self) -> SigningKey | None:
        return signing(await self.keys(), at=self.clock.now())

    async def accepted(self) -> list[str]:
        keys = await self.keys()
        return [key.kid for key in verifying(keys, at=self.clock.now(), longest_lifetime=LIFETIME)]

    async def states(self) -> dict[str, str]:
        return {listed.key.kid: listed.state for listed in await self.list()}


@pytest.fixture
def house() -> House:
    return House()


# Rotation


async def test_the_next_key_is_stored_a_day_before_it_signs_and_longer_than_it_takes_to_hear_of_it(
    house: House,
) -> None:
    first = await house.first()
    now = house.clock.now()
    added = await house.rotate()
    assert added is not None
    assert (await house.keys()) == (first, added)
    assert added.signs_from == now + HEARD_OF + PUBLISHED_AHEAD
    assert await house.signer() == first
    house.clock.advance(PUBLISHED_AHEAD)
    assert await house.signer() == first
    house.clock.advance(HEARD_OF)
    assert await house.signer() == added


async def test_a_rotation_for_now_signs_as_soon_as_every_process_has_heard_of_it(house: House) -> None:
    first = await house.first()
    added = await house.rotate(soon=True)
    assert added is not None
    house.clock.advance(HEARD_OF - SECOND)
    assert await house.signer() == first
    house.clock.advance(SECOND)
    assert await house.signer() == added


async def test_the_key_before_is_accepted_until_the_last_token_that_it_signed_has_expired(
    house: House,
) -> None:
    first = await house.first()
    added = await house.rotate(soon=True)
    assert added is not None
    house.clock.advance(HEARD_OF + LIFETIME + MARGIN - SECOND)
    assert await house.accepted() == [first.kid, added.kid]
    house.clock.advance(SECOND)
    assert await house.accepted() == [added.kid]


async def test_no_second_next_key_is_made_while_one_is_waiting(house: House) -> None:
    await house.first()
    assert await house.rotate() is not None
    house.clock.advance(PUBLISHED_AHEAD)
    assert await house.rotate() is None
    assert len(await house.keys()) == 2
    house.clock.advance(HEARD_OF)
    assert await house.rotate() is not None


async def test_a_rotation_for_now_does_not_wait_for_the_one_that_is_waiting(house: House) -> None:
    await house.first()
    waiting = await house.rotate()
    urgent = await house.rotate(soon=True)
    house.clock.advance(HEARD_OF)
    assert await house.signer() == urgent
    house.clock.advance(PUBLISHED_AHEAD)
    assert await house.signer() == waiting


@pytest.mark.parametrize("soon", [False, True])
async def test_of_many_rotations_at_once_one_wins(house: House, soon: bool) -> None:
    await house.first()
    outcomes = await asyncio.gather(*(house.rotate(soon=soon) for _ in range(8)))
    assert len([key for key in outcomes if key is not None]) == 1
    assert len(await house.keys()) == 2


async def test_a_rotation_makes_the_first_key_where_there_is_none(house: House) -> None:
    added = await house.rotate()
    assert (await house.keys()) == (added,)
    assert await house.signer() == added


async def test_a_rotation_is_tried_again_after_a_conflict(house: House) -> None:
    await house.first()
    house.tap.fail_once("signing_keys.add_next", Conflict("a deadlock"))
    added = await house.rotate()
    assert added in await house.keys()


@pytest.mark.parametrize("back", [SECOND, HOUR, 30 * DAY])
async def test_a_clock_that_was_set_back_keeps_no_key_from_being_added(house: House, back: timedelta) -> None:
    first = await house.first()
    second = await house.rotate(soon=True)
    house.clock.advance(HEARD_OF - back)
    third = await house.rotate(soon=True)
    fourth = await house.rotate(soon=True)
    assert await house.keys() == (first, second, third, fourth)


# On schedule


async def test_nothing_is_due_before_the_period_is_nearly_over(house: House) -> None:
    await house.first()
    rotate_when_due = house.when_due()
    house.clock.advance(PERIOD - PUBLISHED_AHEAD - 3 * HOUR)
    assert await rotate_when_due() is None
    assert len(await house.keys()) == 1


@pytest.mark.parametrize("late", [timedelta(), 17 * timedelta(minutes=1), HOUR - SECOND])
async def test_no_key_signs_for_longer_than_the_period_though_only_every_hour_somebody_looks(
    house: House, late: timedelta
) -> None:
    await house.first()
    rotate_when_due = house.when_due()
    house.clock.advance(late)
    signed_since: dict[str, datetime] = {}
    for _ in range(int(2.5 * PERIOD / HOUR)):
        await rotate_when_due()
        signer = await house.signer()
        assert signer is not None
        since = signed_since.setdefault(signer.kid, house.clock.now())
        assert house.clock.now() - min(since, signer.signs_from) <= PERIOD
        house.clock.advance(HOUR)
    assert len(signed_since) == 3
    keys = await house.keys()
    for key in keys[1:]:
        assert key.signs_from - key.created_at >= PUBLISHED_AHEAD


async def test_what_is_due_is_done_once(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    await house.first()
    house.clock.advance(PERIOD)
    rotate_when_due = house.when_due()
    outcomes = await asyncio.gather(*(rotate_when_due() for _ in range(8)))
    (added,) = [key for key in outcomes if key is not None]
    assert [key.kid for key in await house.keys()] == ["01", added.kid]
    assert await rotate_when_due() is None
    assert [record.getMessage() for record in caplog.records] == [
        f"signing key {added.kid} will sign from {added.signs_from.isoformat()} on"
    ]


async def test_nothing_is_due_where_there_is_no_key_yet(house: House) -> None:
    assert await house.when_due()() is None
    assert await house.keys() == ()


async def test_another_algorithm_makes_a_rotation_due_once(house: House) -> None:
    first = await house.first()
    house.generator.algorithm = "RS256"
    rotate_when_due = house.when_due(algorithm="RS256")
    added = await rotate_when_due()
    assert added is not None
    assert added.algorithm == "RS256"
    assert await rotate_when_due() is None
    assert await house.signer() == first
    house.clock.advance(PUBLISHED_AHEAD + HEARD_OF)
    assert await house.signer() == added
    assert await rotate_when_due() is None


async def test_two_replicas_with_different_algorithms_make_one_key_a_day_at_most(house: House) -> None:
    """As while an update goes on, or when one was forgotten."""
    await house.first()
    for hour in range(72):
        house.generator.algorithm = ("ES256", "RS256")[hour % 2]
        await house.when_due(algorithm=house.generator.algorithm)()
        house.clock.advance(HOUR)
    assert len(await house.keys()) <= 1 + 3


async def test_a_retired_key_does_not_count_as_the_newest(house: House) -> None:
    await house.first()
    house.clock.advance(PERIOD)
    rotate_when_due = house.when_due()
    waiting = await rotate_when_due()
    assert waiting is not None
    await house.retire(kid=waiting.kid)
    another = await rotate_when_due()
    assert another is not None
    assert another.kid != waiting.kid


# Retirement


async def test_the_retirement_of_the_key_that_signs_brings_a_new_one_that_signs_at_once(house: House) -> None:
    first = await house.first()
    house.clock.advance(DAY)
    await house.retire(kid=first.kid)
    retired, new = await house.keys()
    assert retired == replace(first, retired_at=house.clock.now())
    assert new.signs_from == house.clock.now()
    assert await house.signer() == new
    assert await house.accepted() == [new.kid]


async def test_the_retirement_of_the_key_to_come_leaves_the_present_one(house: House) -> None:
    first = await house.first()
    waiting = await house.rotate()
    assert waiting is not None
    await house.retire(kid=waiting.kid)
    assert await house.accepted() == [first.kid]
    house.clock.advance(2 * DAY)
    assert await house.signer() == first
    assert len(await house.keys()) == 2


async def test_the_retirement_of_a_key_that_only_verifies_brings_no_other(house: House) -> None:
    first = await house.first()
    second = await house.rotate(soon=True)
    house.clock.advance(HEARD_OF)
    await house.retire(kid=first.kid)
    assert await house.signer() == second
    assert len(await house.keys()) == 2


async def test_whichever_keys_are_retired_one_after_the_other_one_signs(house: House) -> None:
    await house.first()
    await house.rotate()
    for _ in range(6):
        for key in await house.keys():
            if key.retired_at is None:
                await house.retire(kid=key.kid)
                assert await house.signer() is not None
        house.clock.advance(SECOND)


async def test_a_key_is_retired_once(house: House) -> None:
    first = await house.first()
    await house.retire(kid=first.kid)
    before = house.storage.committed()
    house.clock.advance(SECOND)
    with pytest.raises(NoSuchKey):
        await house.retire(kid=first.kid)
    assert house.storage.committed() == before


@pytest.mark.parametrize("kid", ["", "02", "0", "01 ", "\x00"])
async def test_a_key_that_is_not_there_cannot_be_retired(house: House, kid: str) -> None:
    await house.first()
    before = house.storage.committed()
    with pytest.raises(NoSuchKey):
        await house.retire(kid=kid)
    assert house.storage.committed() == before


async def test_of_many_retirements_of_one_key_one_wins_and_one_new_key_signs(house: House) -> None:
    first = await house.first()
    outcomes = await asyncio.gather(*(house.retire(kid=first.kid) for _ in range(8)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes if outcome is not None] == [NoSuchKey] * 7
    assert len(await house.keys()) == 2


async def test_a_rotation_at_the_same_time_does_not_keep_a_retirement_from_bringing_a_new_key(
    house: House,
) -> None:
    for retires_first in (True, False):
        house = House()
        first = await house.first()
        both = [house.retire(kid=first.kid), house.rotate()]
        await asyncio.gather(*(both if retires_first else reversed(both)))
        signer = await house.signer()
        assert signer is not None
        assert signer.signs_from == house.clock.now()


async def test_a_retirement_that_never_wins_a_race_retires_nothing(house: House) -> None:
    first = await house.first()

    class Always(dict[str, Any]):
        def pop(self, name: str) -> Any:  # type: ignore[override]
            return self[name]

    house.tap.answers = Always({"signing_keys.add_next": False})
    with pytest.raises(Conflict):
        await house.retire(kid=first.kid)
    assert await house.keys() == (first,)


async def test_a_retirement_does_not_bring_back_a_key_that_had_expired(house: House) -> None:
    expired = await house.first()
    present = await house.rotate(soon=True)
    assert present is not None
    house.clock.advance(HEARD_OF + LIFETIME + MARGIN)
    assert await house.accepted() == [present.kid]
    await house.retire(kid=present.kid)
    (successor,) = await house.accepted()
    assert successor not in {expired.kid, present.kid}
    assert (await house.states())[expired.kid] == "retired"


async def test_a_clock_that_was_set_back_keeps_no_key_from_being_retired(house: House) -> None:
    first = await house.first()
    house.clock.advance(-HOUR)
    await house.retire(kid=first.kid)
    signer = await house.signer()
    assert signer is not None
    assert signer.kid != first.kid
    await house.retire(kid=signer.kid)
    assert len(await house.keys()) == 3


# The list


async def test_the_list_says_what_every_key_does_now(house: House) -> None:
    first = await house.first()
    leaked = await house.rotate(soon=True)
    assert leaked is not None
    await house.retire(kid=leaked.kid)
    second = await house.rotate(soon=True)
    house.clock.advance(HEARD_OF + LIFETIME + MARGIN)
    third = await house.rotate(soon=True)
    house.clock.advance(HEARD_OF)
    fourth = await house.rotate()
    assert second is not None
    assert third is not None
    assert fourth is not None
    assert await house.states() == {
        first.kid: "expired",
        leaked.kid: "retired",
        second.kid: "verifying",
        third.kid: "signing",
        fourth.kid: "next",
    }


async def test_where_the_clock_is_behind_the_key_that_signs_ahead_of_its_time_is_listed_so(
    house: House,
) -> None:
    first = await house.first()
    house.clock.advance(-SECOND)
    assert await house.states() == {first.kid: "signing"}


async def test_what_is_published_is_what_the_port_says() -> None:
    class Published:
        async def published(self) -> tuple[Mapping[str, str], ...]:
            return ({"kid": "k"},)

    assert await PublishKeys(public_keys=Published())() == ({"kid": "k"},)


# Another secret


async def test_every_key_that_is_not_retired_is_sealed_under_the_present_secret(house: House) -> None:
    retired = await house.first()
    await house.retire(kid=retired.kid)
    await house.rotate()
    house.generator.secret = b"next year's"
    assert await house.reencrypt() == 2
    seals = {key.kid: key.sealed_private_key for key in await house.keys()}
    assert seals == {retired.kid: b"this year's", "02": b"next year's", "03": b"next year's"}
    assert await house.reencrypt() == 2


async def test_where_one_key_does_not_open_none_is_sealed_anew(house: House) -> None:
    await house.first()
    last = await house.rotate()
    assert last is not None
    async with house.storage.begin() as uow:
        await uow.signing_keys.reseal(last.with_seal(b"of unknown origin"))
    before = house.storage.committed()
    house.generator.secret = b"next year's"
    with pytest.raises(UnreadableKey):
        await house.reencrypt()
    assert house.storage.committed() == before


async def test_a_retired_key_that_does_not_open_is_left_alone(house: House) -> None:
    first = await house.first()
    async with house.storage.begin() as uow:
        await uow.signing_keys.reseal(first.with_seal(b"of unknown origin"))
    await house.retire(kid=first.kid)
    house.generator.secret = b"next year's"
    assert await house.reencrypt() == 1


async def test_sealing_anew_is_tried_again_after_a_conflict(house: House) -> None:
    await house.first()
    house.generator.secret = b"next year's"
    house.tap.fail_once("signing_keys.reseal", Conflict("a deadlock"))
    assert await house.reencrypt() == 1
    (key,) = await house.keys()
    assert key.sealed_private_key == b"next year's"


async def test_no_key_is_made_inside_a_transaction(house: House) -> None:
    """Law 3: an RSA key takes a second at times."""
    first = await house.first()
    await house.rotate()
    await house.retire(kid=first.kid)
    inside = False
    for call in house.tap.calls:
        inside = (inside or call == "begin") and call != "commit"
        assert not (inside and call == "generator.generate")
    assert house.tap.calls.count("generator.generate") == 2
