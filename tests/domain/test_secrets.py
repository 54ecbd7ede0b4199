"""Secrets do not show themselves."""

from __future__ import annotations

import copy
import hashlib
import logging
import traceback
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import PasswordHash, Secret
from identity.domain.signing_key import SigningKey
from identity.domain.tokens import TokenPair
from identity.domain.user import NewUser, User

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CANARY = "canary-5c7e"


class TestSecret:
    @pytest.mark.parametrize(
        "shown", [repr, str, "{}".format, "{0!r:>40}".format, lambda s: f"{s} {[s]} {(s,)}"]
    )
    def test_it_is_redacted_however_it_is_shown(self, shown) -> None:
        assert CANARY not in shown(Secret(CANARY))

    def test_it_is_redacted_in_a_log_line_and_in_a_traceback(self, caplog: pytest.LogCaptureFixture) -> None:
        secret = Secret(CANARY)
        with pytest.raises(ValueError, match="Secret") as raised:
            raise ValueError(secret)
        logging.getLogger("test").error("refused %s", secret, exc_info=raised.value)
        assert CANARY not in "".join(traceback.format_exception(raised.value))
        assert "**" in caplog.text
        assert CANARY not in caplog.text

    def test_it_does_not_tell_its_length(self) -> None:
        assert repr(Secret("a")) == repr(Secret("a" * 40)) == "Secret('**********')"

    def test_it_is_revealed_only_when_asked(self) -> None:
        assert Secret(CANARY).reveal() == CANARY

    def test_an_empty_one_is_false(self) -> None:
        assert not Secret("")
        assert Secret(" ")

    def test_it_cannot_be_changed(self) -> None:
        with pytest.raises(AttributeError):
            Secret("a")._value = "b"  # type: ignore[misc]
        assert copy.copy(Secret("a")) == Secret("a") != Secret("b")

    @given(st.text(st.characters(exclude_categories=["Cs"])))
    def test_its_digest_is_sha_256_of_its_utf_8(self, text: str) -> None:
        assert Secret(text).digest() == hashlib.sha256(text.encode()).digest()

    def test_half_a_surrogate_pair_has_a_digest_too(self) -> None:
        assert len(Secret("\ud800").digest()) == 32
        assert Secret("\ud800").digest() != Secret("\ud801").digest()


class TestEntitiesThatHoldSecrets:
    @pytest.mark.parametrize(
        "entity",
        [
            NewUser(
                username=Username("alice"),
                email=EmailAddress("alice@example.com"),
                password_hash=PasswordHash(CANARY),
                joined_at=NOW,
            ),
            User(
                id=1,
                username=Username("alice"),
                email=EmailAddress("alice@example.com"),
                password_hash=PasswordHash(CANARY),
                joined_at=NOW,
                password_changed_at=NOW,
            ),
            SigningKey(
                kid="k",
                algorithm="ES256",
                sealed_private_key=CANARY.encode(),
                created_at=NOW,
                signs_from=NOW,
            ),
            TokenPair(access=CANARY, refresh=CANARY),
        ],
        ids=lambda entity: type(entity).__name__,
    )
    def test_they_do_not_show_them_either(self, entity: object) -> None:
        assert CANARY not in repr(entity)
        assert CANARY not in str(entity)


class TestUser:
    def test_a_new_password_is_dated_and_changes_nothing_else(self) -> None:
        user = User(
            id=1,
            username=Username("alice"),
            email=EmailAddress("alice@example.com"),
            password_hash=PasswordHash("old"),
            joined_at=NOW,
            password_changed_at=NOW,
        )
        later = NOW.replace(year=2027)
        changed = user.with_password(PasswordHash("new"), at=later)
        assert (changed.password_hash, changed.password_changed_at) == ("new", later)
        assert (changed.id, changed.username, changed.email, changed.version) == (
            1,
            user.username,
            user.email,
            1,
        )
        assert user.password_hash == "old"

    def test_a_disabled_account_says_since_when(self) -> None:
        user = User(
            id=1,
            username=Username("alice"),
            email=EmailAddress("alice@example.com"),
            password_hash=PasswordHash("old"),
            joined_at=NOW,
            password_changed_at=NOW,
        )
        assert not user.is_disabled
        assert user.disabled(at=NOW).is_disabled
        assert user.disabled(at=NOW).disabled_at == NOW
