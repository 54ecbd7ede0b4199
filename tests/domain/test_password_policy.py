"""Which new passwords are acceptable, and what is said about the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.domain.names import EmailAddress, Username
from identity.domain.password_policy import PasswordPolicy, is_oversized
from identity.domain.secrets import Secret

BLANK = "This field may not be blank."
NUL = "Null characters are not allowed."
TOO_LONG = "Ensure this field has no more than 256 characters."
TOO_SHORT = "This password is too short. It must contain at least 8 characters."
TOO_COMMON = "This password is too common."
ALL_DIGITS = "This password is entirely numeric."
LIKE_USERNAME = "The password is too similar to the username."
LIKE_EMAIL = "The password is too similar to the email address."
LIKE_SERVICE = "The password is too similar to the name of this service."


def problems(
    password: str,
    *,
    is_common: bool = False,
    username: str | None = None,
    email: str | None = None,
    policy: PasswordPolicy | None = None,
) -> tuple[str, ...]:
    return (policy or PasswordPolicy()).problems(
        Secret(password),
        is_common=is_common,
        username=None if username is None else Username(username),
        email=None if email is None else EmailAddress(email),
    )


class TestAcceptable:
    @pytest.mark.parametrize("password", ["yourpassword123", "yournewpassword123", "newpassword123"])
    def test_the_examples_of_the_contract(self, password: str) -> None:
        assert problems(password, username="johndoe", email="john@example.com") == ()

    @pytest.mark.parametrize(
        "password",
        [
            "abcdefgh",
            "correct horse battery staple",
            "ÄÖÜäöüßẞ",
            "1234567x",
            "a\u200bb\u202ecdef",
        ],
    )
    def test_any_composition(self, password: str) -> None:
        assert problems(password) == ()


def test_white_space_alone_is_too_common() -> None:
    assert problems(" " * 8) == (TOO_COMMON,)


class TestLength:
    def test_nothing_is_blank_and_nothing_else(self) -> None:
        assert problems("", is_common=True, username="", email="") == (BLANK,)

    def test_seven_code_points_are_refused_and_eight_accepted(self) -> None:
        assert problems("abcdefg") == (TOO_SHORT,)
        assert problems("😀" * 7) == (TOO_SHORT,)
        assert problems("😀" * 8) == ()

    def test_64_cjk_characters_are_accepted(self) -> None:
        assert problems("密" * 64) == ()

    def test_256_code_points_are_accepted_and_257_refused(self) -> None:
        assert problems("x" * 256) == ()
        assert problems("😀" * 256) == ()  # exactly 1024 bytes
        assert problems("x" * 257) == (TOO_LONG,)

    def test_a_huge_one_is_refused_for_that_alone(self) -> None:
        assert problems("1" * 1_000_000, is_common=True, username="1" * 10) == (TOO_LONG,)

    def test_the_message_names_the_length_that_is_set(self) -> None:
        strict = PasswordPolicy(shortest=15)
        assert problems("abcdefgh", policy=strict) == (
            "This password is too short. It must contain at least 15 characters.",
        )

    def test_composed_characters_are_not_normalised(self) -> None:
        assert problems("e\u0301" * 4) == ()
        assert problems("é" * 4) == (TOO_SHORT,)

    @pytest.mark.parametrize(
        ("password", "oversized"),
        [
            ("x" * 1024, False),
            ("x" * 1025, True),
            ("😀" * 256, False),
            ("😀" * 256 + "x", True),
            ("\ud800" * 341, False),
            ("\ud800" * 342, True),
            ("x" * 10_000_000, True),
        ],
    )
    def test_1024_bytes_are_worth_a_hash_and_more_are_not(self, password: str, oversized: bool) -> None:
        assert is_oversized(Secret(password)) is oversized


class TestCharacters:
    @pytest.mark.parametrize("character", ["\0", "\n", "\r", "\t", "\x1b", "\x7f", "\x85", "\ud800"])
    def test_control_characters_are_refused_wherever_they_stand(self, character: str) -> None:
        for password in (character + "abcdefgh", "abcd" + character + "efgh", "abcdefgh" + character):
            assert problems(password) == (NUL,)

    @pytest.mark.parametrize("password", ["74109632", "٠١٢٣٤٥٦٧", "０１２３４５６７", "²²²²²²²²"])
    def test_digits_of_any_script_alone_are_refused(self, password: str) -> None:
        assert problems(password) == (ALL_DIGITS,)

    @pytest.mark.parametrize("password", ["7410963.", "-7410963", "7410 9632"])
    def test_digits_and_anything_else_are_accepted(self, password: str) -> None:
        assert problems(password) == ()


class TestKnownToOthers:
    @pytest.mark.parametrize("password", [" " * 8, "\u3000" * 8, "\u00a0\u2003" * 8])
    def test_nothing_but_white_space_is_common_enough(self, password: str) -> None:
        assert problems(password) == (TOO_COMMON,)

    def test_a_common_one_is_refused(self) -> None:
        assert problems("password1", is_common=True) == (TOO_COMMON,)

    @pytest.mark.parametrize(
        "password", ["wonderland", "WonderLand", "xxwonderlandxx", "MyWONDERLAND", "wonder-wonderland"]
    )
    def test_one_that_is_or_holds_the_username_is_refused(self, password: str) -> None:
        assert problems(password, username="Wonderland") == (LIKE_USERNAME,)

    def test_one_that_is_a_part_of_the_username_is_refused(self) -> None:
        assert problems("wonderla", username="alice.in.wonderland") == (LIKE_USERNAME,)

    @pytest.mark.parametrize(
        "password",
        [
            "wonderland@example.com",
            "WONDERLAND@EXAMPLE.COM",
            "my wonderland@example.com!",
            "wonderland",
            "xWonderlandx",
        ],
    )
    def test_one_that_is_or_holds_the_address_or_its_local_part_is_refused(self, password: str) -> None:
        assert problems(password, username="bob", email="Wonderland@example.com") == (LIKE_EMAIL,)

    @pytest.mark.parametrize("password", ["example.com", "land@example", "wonderla"])
    def test_one_that_is_a_part_of_the_address_is_refused(self, password: str) -> None:
        assert problems(password, username="bob", email="wonderland@example.com") == (LIKE_EMAIL,)

    def test_case_is_folded_not_only_lowered(self) -> None:
        assert problems("GROSSE-STRASSE", username="straße") == (LIKE_USERNAME,)

    @pytest.mark.parametrize("password", ["ｗｏｎｄｅｒｌａｎｄ", "Ｗonderlandﬁne", "wonderⅼand"])
    def test_width_makes_no_difference(self, password: str) -> None:
        assert problems(password, username="Wonderland") == (LIKE_USERNAME,)
        assert problems("xx-wonderland", username="ＷＯＮＤＥＲＬＡＮＤ") == (LIKE_USERNAME,)
        assert problems(password, email="wonderland@example.com") == (LIKE_EMAIL,)

    @pytest.mark.parametrize(
        "password", ["acme cloud", "my ACME CLOUD", "ＡＣＭＥ　ＣＬＯＵＤ", "e cloud-", "widgetron1"]
    )
    def test_one_like_a_name_of_the_service_is_refused(self, password: str) -> None:
        policy = PasswordPolicy(service_names=("Acme Cloud", "e cloud", "Widgetron"))
        assert problems(password, policy=policy) == (LIKE_SERVICE,)
        assert LIKE_SERVICE not in problems(password)

    def test_a_name_of_the_service_of_one_or_two_letters_or_none_is_in_many_good_passwords(self) -> None:
        policy = PasswordPolicy(service_names=("", "I", "ID"), shortest=1)
        assert problems("correct identity horse", policy=policy) == ()
        assert problems("id", policy=policy) == (LIKE_SERVICE,)

    @pytest.mark.parametrize("name", ["a", "ab", "李雷"])
    def test_a_name_of_one_or_two_letters_is_in_many_good_passwords(self, name: str) -> None:
        assert problems(f"correct {name} horse", username=name, email=f"{name}@x.example") == ()

    def test_unless_the_password_is_that_name(self) -> None:
        assert problems("ab", username="AB", email="ab@x.example") == (TOO_SHORT, LIKE_USERNAME, LIKE_EMAIL)

    def test_three_letters_are_a_telling_name(self) -> None:
        assert problems("correct bob horse", username="bob") == (LIKE_USERNAME,)

    def test_names_that_are_not_known_are_not_compared(self) -> None:
        assert problems("wonderland", username=None, email=None) == ()


class TestEachThatApplies:
    def test_all_five(self) -> None:
        assert problems("12345", is_common=True, username="12345", email="12345@example.com") == (
            TOO_SHORT,
            TOO_COMMON,
            ALL_DIGITS,
            LIKE_USERNAME,
            LIKE_EMAIL,
        )

    def test_some(self) -> None:
        assert problems("alice", username="alice", email="a@example.com") == (TOO_SHORT, LIKE_USERNAME)
        assert problems("12345678", is_common=True) == (TOO_COMMON, ALL_DIGITS)

    @given(st.text(max_size=300), st.booleans(), st.text(min_size=1, max_size=20))
    def test_every_text_is_judged_and_each_message_said_once(
        self, password: str, is_common: bool, name: str
    ) -> None:
        found = problems(password, is_common=is_common, username=name, email=f"{name}@example.com")
        assert len(set(found)) == len(found)
        assert set(found) <= {
            BLANK, NUL, TOO_LONG, TOO_SHORT, TOO_COMMON, ALL_DIGITS, LIKE_USERNAME, LIKE_EMAIL,
        }  # fmt: skip
        if not found:
            assert 8 <= len(password) <= 256
            assert not is_common
            assert not password.isdigit()
