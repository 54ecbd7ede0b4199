"""The account's id as it stands in a mailed link, and what strangers write in its place."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.domain.user import parse_user_reference, user_reference


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class TestUserReference:
    @pytest.mark.parametrize(
        ("user_id", "reference"), [(7, "Nw"), (1, "MQ"), (42, "NDI"), (12345, "MTIzNDU")]
    )
    def test_it_is_written_as_the_original_wrote_it(self, user_id: int, reference: str) -> None:
        assert user_reference(user_id) == reference
        assert parse_user_reference(reference) == user_id

    @given(st.integers(min_value=1, max_value=2**63 - 1))
    def test_what_was_written_is_read_back(self, user_id: int) -> None:
        assert parse_user_reference(user_reference(user_id)) == user_id

    @pytest.mark.parametrize(
        "reference",
        [
            "",
            "7",
            "Nw=",
            "Nw==",
            "Nw\n",
            " Nw",
            "N w",
            "Nx",  # the same byte, other padding bits
            "N",
            "Nw.Nw",
            "Nw/..",
            "../../etc/passwd",
            "＋Ｎｗ",
            "Nw\0",
            "\ud800",
            "😀",
            "null",
            "-1",
            "None",
            "A" * 10_000,
            "=" * 100,
            *map(
                encoded,
                [
                    b"0",
                    b"-7",
                    b"+7",
                    b" 7",
                    b"7 ",
                    b"07",
                    b"7.0",
                    b"7e0",
                    b"0x7",
                    b"1_0",
                    b"\xd9\xa7",
                    b"7\0",
                    b"",
                ],
            ),
            encoded(str(2**63).encode()),
            encoded(b"9" * 23),
            encoded(b"9" * 5000),
            encoded(b"7' OR 1=1"),
        ],
    )
    def test_anything_else_names_nobody(self, reference: str) -> None:
        assert parse_user_reference(reference) is None

    @given(st.text(max_size=40) | st.text("ABCDMNOTQYZxjkw0123456789-_=", max_size=34))
    def test_each_account_has_one_reference_only(self, reference: str) -> None:
        user_id = parse_user_reference(reference)
        assert user_id is None or user_reference(user_id) == reference

    @given(st.binary(max_size=24))
    def test_whatever_is_encoded(self, raw: bytes) -> None:
        user_id = parse_user_reference(encoded(raw))
        assert user_id is None or str(user_id).encode() == raw
