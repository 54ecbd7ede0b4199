"""The conformance kit, asked of every list of common passwords."""

from __future__ import annotations

import pytest

from identity.adapters.common_passwords import BundledCommonPasswords
from identity.adapters.memory import WordList
from identity.testing.common_passwords import CommonPasswordsConformance


class TestBundledCommonPasswords(CommonPasswordsConformance):
    @pytest.fixture
    def common_passwords(self) -> BundledCommonPasswords:
        return BundledCommonPasswords()


class TestWordList(CommonPasswordsConformance):
    @pytest.fixture
    def common_passwords(self) -> WordList:
        return WordList(["Password", "letmein"])
