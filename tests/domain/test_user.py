"""What an account can say of itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from identity.domain.names import EmailAddress, Username
from identity.domain.one_time_token import UNDOING, Purpose
from identity.domain.secrets import PasswordHash
from identity.domain.user import NewUser

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = datetime(2026, 1, 2, tzinfo=UTC)
OPEN = NewUser(
    username=Username("alice"),
    email=EmailAddress("alice@example.com"),
    password_hash=PasswordHash("hash"),
    joined_at=NOW,
).with_id(1)
LEAVING = replace(OPEN, erasure_due_at=LATER)


def test_an_account_is_closed_by_an_operator_or_by_an_owner_who_is_leaving() -> None:
    assert not OPEN.is_closed
    assert OPEN.disabled(at=NOW).is_closed
    assert LEAVING.is_closed
    assert not LEAVING.is_disabled


def test_an_open_account_gets_every_mail_but_that_which_undoes_its_deletion() -> None:
    admitted = {purpose for purpose in Purpose if OPEN.admits(purpose)}
    assert admitted == set(Purpose) - {Purpose.UNDO_DELETION}
    assert OPEN.admits(None)


def test_an_account_that_awaits_its_erasure_gets_those_mails_only_that_undo_something() -> None:
    assert {purpose for purpose in Purpose if LEAVING.admits(purpose)} == UNDOING
    assert not LEAVING.admits(None)


def test_a_disabled_account_gets_none_even_if_it_awaits_its_erasure() -> None:
    for user in (OPEN, LEAVING):
        assert not any(user.disabled(at=NOW).admits(purpose) for purpose in (None, *Purpose))


def test_the_moment_at_which_an_address_was_verified_first_stays() -> None:
    verified = OPEN.verified(at=NOW)
    assert (OPEN.is_verified, verified.is_verified) == (False, True)
    assert verified.verified(at=LATER).email_verified_at == NOW


def test_what_undoes_something_is_named_so() -> None:
    assert {purpose for purpose in Purpose if purpose.startswith("undo_")} == UNDOING
