"""The bundled list of common passwords: what it knows, what it leaves alone, and that it ships."""

from __future__ import annotations

import gzip
from importlib import resources

import pytest

from identity.adapters.common_passwords import BundledCommonPasswords

PACKAGE = resources.files("identity.adapters")


@pytest.mark.parametrize(
    "password", ["password", "PassWord", "QWERTY123", "iloveyou", "Пароль", " 12345678\n"]
)
def test_a_common_password_is_found_in_any_case_and_with_white_space_around_it(password: str) -> None:
    assert password in BundledCommonPasswords()


@pytest.mark.parametrize(
    "password", ["yourpassword123", "yournewpassword123", "newpassword123", "youroldpassword123"]
)
def test_the_example_passwords_of_the_contract_are_not_common(password: str) -> None:
    assert password not in BundledCommonPasswords()


def test_the_list_ships_in_the_package_as_about_20_000_distinct_passwords_in_lower_case() -> None:
    words = gzip.decompress(PACKAGE.joinpath("common_passwords.txt.gz").read_bytes()).decode().splitlines()
    assert 19_000 < len(words) == len(set(words)) < 21_000
    assert all(word == word.lower().strip() != "" for word in words)


def test_the_notice_of_its_licence_ships_beside_the_list() -> None:
    notice = PACKAGE.joinpath("common_passwords.NOTICE.txt").read_text("utf-8")
    assert "Copyright (c) Django Software Foundation and individual contributors." in notice
