"""The family of refusals: stable codes, and a drawn tree that tells the truth."""

from __future__ import annotations

import inspect
import re
from datetime import timedelta

import pytest

from identity.domain import errors
from identity.domain.errors import (
    AccessTokenRefused,
    Conflict,
    EmailTaken,
    IdentityError,
    InvalidInput,
    TokenFault,
    TokenRefused,
    Unavailable,
    UsernameTaken,
)

CLASSES = {
    name: kind
    for name, kind in vars(errors).items()
    if inspect.isclass(kind) and issubclass(kind, IdentityError)
}

# Clients and operators rely on these. One may be added; none may be changed.
CODES = {
    "InvalidInput": "invalid_input",
    "UsernameTaken": "invalid_input",
    "EmailTaken": "invalid_input",
    "LoginRefused": "no_active_account",
    "WrongPassword": "incorrect_old_password",
    "IncorrectPassword": "incorrect_password",
    "LastSuperuser": "last_superuser",
    "OneTimeTokenRefused": "invalid_one_time_token",
    "TokenRefused": "token_not_valid",
    "AccessTokenRefused": "token_not_valid",
    "SessionNotFound": "session_not_found",
    "NotPermitted": "permission_denied",
    "LoginTooOld": "login_too_old",
    "AccountNotFound": "account_not_found",
    "DeadLetterNotFound": "dead_letter_not_found",
    "Throttled": "throttled",
    "Unavailable": "unavailable",
    "Conflict": "unavailable",
    "DeliveryDeferred": "delivery_deferred",
    "MailDeferred": "mail_deferred",
    "DeliveryRefused": "delivery_refused",
    "MailRefused": "mail_refused",
}


class TestCodes:
    def test_every_refusal_has_a_code_that_never_changes(self) -> None:
        assert {name: kind.code for name, kind in CLASSES.items() if kind is not IdentityError} == CODES

    def test_a_code_is_a_plain_word(self) -> None:
        assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in CODES.values())


class TestTheDrawnTree:
    drawn = re.findall(r"^    ((?:│   )*)(?:[├└]── )?(\w+) *(\w+)?", errors.__doc__ or "", flags=re.MULTILINE)

    def test_it_names_every_class_and_no_other(self) -> None:
        assert sorted(name for _, name, _ in self.drawn) == sorted(CLASSES)

    def test_every_class_hangs_below_its_parent(self) -> None:
        branches = re.findall(r"^    ((?:│   |[├└]── )*)(\w+)", errors.__doc__ or "", flags=re.MULTILINE)
        above: list[str] = []
        for indent, name in branches:
            depth = len(indent) // 4
            del above[depth:]
            assert CLASSES[name].__base__.__name__ == (above[-1] if above else "Exception")
            above.append(name)

    def test_it_tells_the_code_of_every_class_that_has_its_own(self) -> None:
        told = {name: code for _, name, code in self.drawn if code in CODES.values()}
        assert told == {name: kind.code for name, kind in CLASSES.items() if "code" in vars(kind)}


class TestWhatTheyCarry:
    def test_invalid_input_names_its_fields_but_not_in_its_text(self) -> None:
        refusal = InvalidInput({"username": ["one", "two"], "email": ("three",)})
        assert refusal.fields == {"username": ("one", "two"), "email": ("three",)}
        assert str(refusal) == "username, email"

    @pytest.mark.parametrize(
        ("refusal", "fields"),
        [
            (UsernameTaken(), {"username": ("A user with that username already exists.",)}),
            (EmailTaken(), {"email": ("A user with that email already exists.",)}),
        ],
    )
    def test_a_taken_name_is_invalid_input(
        self, refusal: InvalidInput, fields: dict[str, tuple[str]]
    ) -> None:
        assert isinstance(refusal, InvalidInput)
        assert refusal.fields == fields

    def test_a_refused_token_has_a_reason(self) -> None:
        assert TokenRefused().reason is TokenFault.INVALID
        assert TokenRefused(TokenFault.EXPIRED).reason is TokenFault.EXPIRED
        assert AccessTokenRefused(TokenFault.WRONG_TYPE).reason is TokenFault.WRONG_TYPE

    def test_what_is_unavailable_says_when_to_come_back(self) -> None:
        assert Unavailable("storage").retry_after == timedelta(seconds=5)
        assert Unavailable("hashing", retry_after=timedelta(seconds=2)).retry_after == timedelta(seconds=2)
        assert isinstance(Conflict("a race"), Unavailable)
        assert Conflict("a race").retry_after > timedelta()
