"""What every `CommonPasswords` owes its port."""

from __future__ import annotations

import pytest

from identity.application.ports import CommonPasswords
from identity.testing.conformance import Conformance

_ODD_TEXTS = {
    "empty": "",
    "blank": " ",
    "a line break": "\n",
    "a NUL": "\x00",
    "half a surrogate pair": "\ud83d",
    "two megabytes": "password" * 2**18,
}


class CommonPasswordsConformance(Conformance):
    """Tests of a `CommonPasswords`.

    Takes the fixtures `common_passwords` and, if it does not know "password", `common_password`, one of ASCII
    letters that it does know.

        class TestWordList(CommonPasswordsConformance):
            @pytest.fixture
            def common_passwords(self):
                return WordList(["password"])
    """

    @pytest.fixture
    def common_password(self) -> str:
        return "password"

    def test_a_common_password_is_found_in_any_case(
        self, common_passwords: CommonPasswords, common_password: str
    ) -> None:
        for spelling in (
            common_password.lower(),
            common_password.upper(),
            common_password.capitalize(),
            common_password.capitalize().swapcase(),
        ):
            assert spelling in common_passwords

    def test_a_password_of_one_s_own_is_not_found(
        self, common_passwords: CommonPasswords, common_password: str
    ) -> None:
        assert "dQw4w9WgXcQ-mine-alone" not in common_passwords
        assert f"{common_password}-dQw4w9WgXcQ" not in common_passwords
        assert f"dQw4w9WgXcQ-{common_password}" not in common_passwords

    def test_odd_texts_are_simply_not_found(
        self, common_passwords: CommonPasswords, common_password: str
    ) -> None:
        found = [name for name, text in _ODD_TEXTS.items() if text in common_passwords]
        assert found == []
        assert f"{common_password}\ud83d" not in common_passwords
        assert f"{common_password}\n{common_password}" not in common_passwords
