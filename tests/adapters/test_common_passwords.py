"""The lists of common passwords: what they know, and what they leave alone. That of the package ships."""

from __future__ import annotations

import gzip
from importlib import resources
from pathlib import Path

import pytest

from identity.adapters.common_passwords import BundledCommonPasswords
from identity.adapters.common_passwords_file import CommonPasswordsFile
from identity.adapters.memory import WordList

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


# A deployment's own file


def in_file(tmp_path: Path, content: bytes) -> CommonPasswordsFile:
    (tmp_path / "list.txt").write_bytes(content)
    return CommonPasswordsFile(tmp_path / "list.txt", besides=WordList(["password"]))


@pytest.mark.parametrize(
    "content",
    [
        b"one two\nzwei\n",
        b"one two\r\nzwei\r\n",
        b"\xef\xbb\xbfone two\rzwei",
        b"\n\n ZWEI \n  \nOne Two\nzwei\n\n",
    ],
    ids=["LF", "CRLF", "a byte order mark, CR", "blank lines"],
)
def test_each_line_of_a_file_is_a_password(tmp_path: Path, content: bytes) -> None:
    passwords = in_file(tmp_path, content)
    assert all(password in passwords for password in ("one two", "ZWEI", " zwei ", "password"))
    assert not any(password in passwords for password in ("", " ", "one", "two", "one two zwei"))


def test_a_line_is_no_comment_and_no_line_break_but_that_of_a_file_ends_it(tmp_path: Path) -> None:
    passwords = in_file(tmp_path, "# geheim\nein\u2028wort\x0bmehr\n".encode())
    assert "# geheim" in passwords
    assert "ein\u2028wort\x0bmehr" in passwords
    assert "wort" not in passwords


def test_a_file_of_a_hundred_thousand_is_told_apart_from_all_others(tmp_path: Path) -> None:
    passwords = in_file(tmp_path, "".join(f"word {number}\n" for number in range(100_000)).encode())
    assert all(f"Word {number}" in passwords for number in range(0, 100_000, 997))
    assert not any(f"ward {number}" in passwords for number in range(0, 100_000, 997))


def test_a_file_that_is_not_utf_8_or_not_there_is_no_list(tmp_path: Path) -> None:
    with pytest.raises(UnicodeDecodeError):
        in_file(tmp_path, "Schlüssel".encode("latin-1"))
    with pytest.raises(OSError, match=r"list\.txt"):
        CommonPasswordsFile(tmp_path / "no" / "list.txt", besides=WordList(["password"]))
