"""What stands behind the question mark: whatever it is, it is read or refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.exceptions import HTTPException

from identity.domain.errors import InvalidInput
from identity.entrypoints.http.query import LARGEST_ID, Query


def query(octets: bytes) -> Query:
    request: Any = SimpleNamespace(scope={"query_string": octets})
    return Query(request)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode(errors="surrogatepass")))
def test_whatever_octets_arrive_are_read_or_refused(octets: bytes) -> None:
    with suppress(HTTPException, InvalidInput):
        given = query(b"a=" + octets)
        text, number, time = given.text("a"), given.number("a"), given.time("a")
        given.judge()
        assert not text or (number is not None and time is not None)  # which nothing is both of


@given(st.integers(-10, 10) | st.integers(LARGEST_ID - 5, LARGEST_ID + 5))
def test_numbers_are_taken_from_one_to_the_largest_id(number: int) -> None:
    given = query(f"a={number}".encode())
    is_good = 1 <= number <= LARGEST_ID
    assert not is_good or given.number("a") == number
    if not is_good:
        given.number("a")
        with pytest.raises(InvalidInput):
            given.judge()


@given(st.datetimes(datetime(1971, 1, 1), datetime(9998, 1, 1), timezones=st.timezones()))  # noqa: DTZ001
def test_times_are_taken_with_their_zone(at: datetime) -> None:
    at = at.replace(fold=0)
    text = at.isoformat().replace("+", "%2B")
    given = query(f"a={text}".encode())
    assert given.time("a") == datetime.fromisoformat(at.isoformat()).astimezone(UTC)
    given.judge()
