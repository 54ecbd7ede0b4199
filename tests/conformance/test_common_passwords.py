"""The conformance kit, asked of every list of common passwords."""

from __future__ import annotations

from pathlib import Path

import pytest

from identity.adapters.common_passwords import BundledCommonPasswords
from identity.adapters.common_passwords_file import CommonPasswordsFile
from identity.adapters.memory import WordList
from identity.testing.common_passwords import CommonPasswordsConformance


class TestBundledCommonPasswords(CommonPasswordsConformance):
    @pytest.fixture
    def common_passwords(self) -> BundledCommonPasswords:
        return BundledCommonPasswords()


class TestCommonPasswordsFile(CommonPasswordsConformance):
    @pytest.fixture
    def common_passwords(self, tmp_path: Path) -> CommonPasswordsFile:
        (tmp_path / "list.txt").write_text("letmein\nPassword\n")
        return CommonPasswordsFile(tmp_path / "list.txt", besides=WordList([]))


class TestWhatStandsBesideTheFile(CommonPasswordsConformance):
    @pytest.fixture
    def common_passwords(self, tmp_path: Path) -> CommonPasswordsFile:
        (tmp_path / "list.txt").touch()
        return CommonPasswordsFile(tmp_path / "list.txt", besides=WordList(["password"]))


class TestWordList(CommonPasswordsConformance):
    @pytest.fixture
    def common_passwords(self) -> WordList:
        return WordList(["Password", "letmein"])
