"""Which key signs, and which keys' tokens are accepted, whatever became of the keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from identity.domain.signing_key import MARGIN, SigningKey, signing, verifying

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SECOND, HOUR, DAY = timedelta(seconds=1), timedelta(hours=1), timedelta(days=1)
LIFETIME = 30 * DAY
A_MOMENT = timedelta(microseconds=1)


def key(kid: str, signs_from: datetime = NOW, *, retired_at: datetime | None = None) -> SigningKey:
    return SigningKey(
        kid=kid,
        algorithm="ES256",
        sealed_private_key=b"",
        created_at=signs_from - DAY,
        signs_from=signs_from,
        retired_at=retired_at,
    )


def accepted(*keys: SigningKey, at: datetime) -> list[str]:
    return [key.kid for key in verifying(keys, at=at, longest_lifetime=LIFETIME)]


def signer(*keys: SigningKey, at: datetime) -> str | None:
    found = signing(keys, at=at)
    return found.kid if found else None


# What signs


def test_without_a_key_nothing_signs_and_nothing_verifies() -> None:
    assert signer(at=NOW) is None
    assert accepted(at=NOW) == []


def test_a_key_signs_from_its_time_on_until_that_of_its_successor() -> None:
    keys = key("old", NOW), key("new", NOW + DAY)
    assert signer(*keys, at=NOW) == "old"
    assert signer(*keys, at=NOW + DAY - A_MOMENT) == "old"
    assert signer(*keys, at=NOW + DAY) == "new"


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_the_order_in_which_keys_are_read_does_not_matter(order: tuple[int, ...]) -> None:
    keys = [key("a", NOW - DAY), key("b", NOW), key("c", NOW + DAY)]
    shuffled = [keys[number] for number in order]
    assert signer(*shuffled, at=NOW) == "b"
    assert accepted(*shuffled, at=NOW) == ["a", "b", "c"]


def test_of_two_keys_of_one_time_that_made_later_signs_then_that_of_the_greater_id() -> None:
    older, newer = replace(key("z"), created_at=NOW - 2 * DAY), key("a")
    assert signer(older, newer, at=NOW) == signer(newer, older, at=NOW) == "a"
    assert signer(key("a"), key("b"), at=NOW) == signer(key("b"), key("a"), at=NOW) == "b"


def test_a_retired_key_does_not_sign_and_the_one_before_does() -> None:
    keys = key("old", NOW - DAY), key("new", NOW, retired_at=NOW)
    assert signer(*keys, at=NOW) == "old"


def test_where_the_time_of_none_has_come_the_next_signs_since_a_clock_is_behind() -> None:
    keys = key("retired", NOW - DAY, retired_at=NOW), key("next", NOW + SECOND), key("later", NOW + DAY)
    assert signer(*keys, at=NOW) == "next"


def test_where_all_are_retired_nothing_signs_and_nothing_verifies() -> None:
    keys = key("a", NOW - DAY, retired_at=NOW), key("b", retired_at=NOW)
    assert signer(*keys, at=NOW) is None
    assert accepted(*keys, at=NOW) == []


# What verifies


def test_a_key_to_come_verifies_before_it_signs() -> None:
    assert accepted(key("present"), key("next", NOW + DAY), at=NOW) == ["present", "next"]


def test_a_key_verifies_until_the_last_token_that_it_signed_has_expired_and_a_little_longer() -> None:
    keys = key("old", NOW - DAY), key("new", NOW)
    end = NOW + LIFETIME + MARGIN
    assert accepted(*keys, at=end - A_MOMENT) == ["old", "new"]
    assert accepted(*keys, at=end) == ["new"]


def test_the_last_key_verifies_for_ever() -> None:
    assert accepted(key("only"), at=NOW + 3650 * DAY) == ["only"]


def test_a_retired_key_does_not_verify_whether_it_signed_or_was_to_sign() -> None:
    keys = key("old", NOW - DAY, retired_at=NOW), key("present"), key("next", NOW + DAY, retired_at=NOW)
    assert accepted(*keys, at=NOW) == ["present"]


def test_a_key_whose_successor_was_retired_verifies_until_that_of_the_one_after() -> None:
    """For where the clock is behind it signs again until then."""
    keys = key("old", NOW - DAY), key("leaked", NOW - HOUR, retired_at=NOW), key("new", NOW)
    assert signer(*keys, at=NOW - SECOND) == "old"
    assert accepted(*keys, at=NOW + LIFETIME + MARGIN - A_MOMENT) == ["old", "new"]


# Whatever happens


class Step(NamedTuple):
    """What somebody does, whose clock is off, some time after what was done before."""

    after: timedelta
    rotate_ahead: timedelta | None
    """`None`: retires a key instead, and puts another in its place when it is the one that signs."""
    which: int
    skew: timedelta


class History:
    """The keys and when each was added and retired in truth, whatever the clock said."""

    def __init__(self, steps: list[Step]) -> None:
        self.keys = {"0": key("0")}
        self.added = {"0": NOW}
        self.retired: dict[str, datetime] = {}
        self.end = NOW
        for step in steps:
            self.end += step.after
            self._take(step)

    def _take(self, step: Step) -> None:
        clock = self.end + step.skew
        if step.rotate_ahead is not None:
            self._add(clock + step.rotate_ahead)
            return
        unretired = [kid for kid in self.keys if kid not in self.retired]
        kid = unretired[step.which % len(unretired)]
        if signing(self.known(self.end), at=clock) == self.keys[kid]:
            self._add(clock)
        self.retired[kid] = self.end

    def _add(self, signs_from: datetime) -> None:
        kid = str(len(self.keys))
        self.keys[kid] = key(kid, signs_from)
        self.added[kid] = self.end

    def known(self, at: datetime) -> list[SigningKey]:
        """What the storage had at this moment."""
        return [
            replace(key, retired_at=at if kid in self.retired and self.retired[kid] <= at else None)
            for kid, key in self.keys.items()
            if self.added[kid] <= at
        ]


def seconds(least: float, most: float) -> st.SearchStrategy[timedelta]:
    return st.floats(least, most).map(lambda number: timedelta(seconds=number))


DAY_OR_TEN_SECONDS = st.sampled_from([None, 10 * SECOND, DAY])
SKEWS = st.one_of(st.sampled_from([-60 * SECOND, timedelta(), 60 * SECOND]), seconds(-60, 60))
GAPS = st.one_of(seconds(0, 120), seconds(0, 200 * DAY.total_seconds()))
STEPS = st.builds(Step, GAPS, DAY_OR_TEN_SECONDS, st.integers(0, 3), SKEWS)
HISTORIES = st.lists(STEPS, max_size=8).map(History)
# Around something that happens, or any time later.
MOMENTS = st.tuples(st.integers(0, 30), st.one_of(seconds(0, 5), seconds(-120, 120), GAPS))


BEHIND = st.one_of(st.just(5 * SECOND), seconds(0, 5))
LIFETIMES = st.one_of(st.just(LIFETIME), seconds(0, LIFETIME.total_seconds()))
REMAINDERS = st.one_of(st.just(A_MOMENT), seconds(1e-6, LIFETIME.total_seconds()))


def moment(history: History, pick: tuple[int, timedelta]) -> datetime:
    begin_to_sign = (key.signs_from for key in history.keys.values())
    events = [*history.added.values(), *history.retired.values(), *begin_to_sign]
    return max(NOW, events[pick[0] % len(events)] + pick[1])


class Presented(NamedTuple):
    """A token that is presented. Both clocks may be off by a minute."""

    signed: tuple[int, timedelta]
    behind: timedelta
    """For how long the signer may not have heard anything."""
    skew_of_signer: timedelta
    skew_of_verifier: timedelta
    lifetime: timedelta
    remaining: timedelta


PRESENTED = st.builds(Presented, MOMENTS, BEHIND, SKEWS, SKEWS, LIFETIMES, REMAINDERS)


@settings(max_examples=500)
@given(HISTORIES, PRESENTED)
def test_a_token_is_accepted_until_it_expires_unless_its_key_is_retired(
    history: History, token: Presented
) -> None:
    signed_at = moment(history, token.signed)
    known = history.known(max(NOW, signed_at - token.behind))
    its_key = signing(known, at=signed_at + token.skew_of_signer)
    assert its_key is not None
    expires_at = signed_at + token.skew_of_signer + token.lifetime
    on_its_clock = expires_at - min(token.remaining, token.lifetime)
    verified_at = on_its_clock - token.skew_of_verifier
    assume(verified_at >= signed_at)
    assume(history.retired.get(its_key.kid, verified_at + SECOND) > verified_at)
    assert its_key.kid in accepted(*history.known(verified_at), at=on_its_clock)


@given(HISTORIES, MOMENTS, SKEWS)
def test_there_is_always_a_key_that_signs_which_is_published_and_not_retired(
    history: History, pick: tuple[int, timedelta], skew: timedelta
) -> None:
    at = moment(history, pick)
    known = history.known(at)
    present = signing(known, at=at + skew)
    published = verifying(known, at=at + skew, longest_lifetime=LIFETIME)
    assert present in published
    assert all(key.retired_at is None for key in published)


@pytest.mark.parametrize(
    "change", [lambda k: k.with_seal(b"another"), lambda k: replace(k, algorithm="RS256")]
)
def test_neither_seal_nor_algorithm_has_a_say(change: Callable[[SigningKey], SigningKey]) -> None:
    keys = key("old", NOW - DAY), key("new", NOW)
    changed = [change(key) for key in keys]
    assert signer(*changed, at=NOW) == signer(*keys, at=NOW)
    assert accepted(*changed, at=NOW) == accepted(*keys, at=NOW)


def test_a_new_seal_changes_nothing_else() -> None:
    sealed = key("k", retired_at=NOW).with_seal(b"another")
    assert sealed.sealed_private_key == b"another"
    assert sealed == replace(key("k", retired_at=NOW), sealed_private_key=b"another")


def test_a_key_does_not_show_what_is_sealed_in_it() -> None:
    assert "canary" not in repr(key("k").with_seal(b"canary"))
