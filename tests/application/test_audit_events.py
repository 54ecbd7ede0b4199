"""Every use case, and the one event that it leaves behind in the transaction that does it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.application import scenarios as does
from tests.application.faults import FaultyWorld
from tests.application.scenarios import Scenario
from tests.application.test_every_call_fails_once import outcome
from tests.application.world import WRONG_PASSWORD

import identity.application
from identity.domain.events import vocabulary
from identity.domain.secrets import Secret

READS = "it only reads"
PART = "it is a part of others, which leave the event"

LEFT_BY: Mapping[str, Mapping[Scenario, str | None] | str] = {
    "AdministerUser": PART,
    "AnnounceEvents": PART,
    "Authenticate": "that a session is used is not noted here, but in the session",
    "Authorise": PART,
    "BeginSession": PART,
    "Calibrate": "it measures the hasher",
    "ChangePassword": {
        does.changes_the_password: "PasswordChanged",
        does.changes_the_password_too_weakly: None,
    },
    "CheckHealth": READS,
    "ComposeMail": PART,
    "ConfirmEmailChange": {does.confirms_another_address: "EmailChanged"},
    "ConfirmLoginCode": {
        does.logs_in_with_a_code: "LoggedInByCode",
        does.logs_in_with_a_spent_code: "LoginRefused",
    },
    "ConfirmPassword": {does.fails_to_delete_the_account: "PasswordRefused"},
    "CountRequest": "what is throttled is counted",
    "DeliverMail": "the outbox says what was mailed, and what could not be",
    "DeliverWebhook": "the outbox says what could not be sent, and an event would have to be sent in turn",
    "DemoteUser": {
        does.demotes_a_superuser: "SuperuserTaken",
        does.demotes_the_last_superuser: None,
    },
    "DisableUser": {does.disables_an_account: "AccountDisabled"},
    "EnableUser": {does.enables_an_account: "AccountEnabled"},
    "EndAllSessions": {does.ends_all_sessions: "AllSessionsEnded"},
    "EndOtherSessions": {does.ends_the_other_sessions: "OtherSessionsEnded"},
    "EndSession": {does.ends_a_session: "SessionEnded", does.ends_a_session_that_is_over: None},
    "EndUserSessions": {does.ends_the_sessions_of_another: "SessionsRevoked"},
    "EraseAccounts": {does.erases_accounts: "AccountErased"},
    "EraseUser": {does.erases_an_account: "AccountErased"},
    "ExportAuditLog": READS,
    "ExportData": {does.exports_the_data: "DataExported"},
    "FindUser": READS,
    "FollowLink": "bad links are counted",
    "ForceReset": {does.forces_a_reset: "PasswordResetForced"},
    "ForgiveFailures": PART,
    "HashPassword": PART,
    "JudgeRegistration": READS,
    "ListKeys": READS,
    "ListOutbox": READS,
    "ListSessions": READS,
    "LogIn": {
        does.logs_in: "LoggedIn",
        does.logs_in_by_address: "LoggedIn",
        does.logs_in_from_a_new_device: "LoggedIn",
        does.logs_in_once_too_often: "LoggedIn",
        does.logs_in_and_is_rehashed: "LoggedIn",
        does.fails_to_log_in: "LoginRefused",
        does.logs_in_before_it_is_verified: "LoginRefused",
    },
    "LogOut": {does.logs_out: "LoggedOut"},
    "MintLoginCode": PART,
    "MintResetLink": {does.mints_a_reset_link: "ResetLinkMinted"},
    "PromoteUser": {does.promotes_an_account: "SuperuserGranted"},
    "PublishKeys": READS,
    "PurgeAuditLog": {does.purges_the_audit_log: "AuditEventsPurged"},
    "PurgeExpired": {
        does.purges_what_nobody_verified: "RegistrationLapsed",
        does.purges_sessions: None,
        does.purges_devices: None,
        does.purges_reset_tokens: None,
        does.purges_login_codes: None,
    },
    "ReadAuditLog": READS,
    "ReencryptKeys": {does.reencrypts_keys: "KeysResealed"},
    "RefreshSession": {
        does.refreshes: None,  # there are too many; a counter has them
        does.refreshes_with_the_pending_token: None,
        does.replays_a_superseded_token: "RefreshTokenReused",
    },
    "RegisterBlindly": {
        does.registers_blindly: "UserRegistered",
        does.registers_with_an_address_that_is_taken: "AddressReused",
    },
    "RegisterUser": {
        does.registers: "UserRegistered",
        does.registers_and_is_mailed: "UserRegistered",
        does.registers_a_superuser: "SuperuserCreated",
    },
    "RequestDeletion": {
        does.deletes_the_account: "DeletionRequested",
        does.deletes_the_account_of_a_superuser: "DeletionRequested",
        does.fails_to_delete_the_account: "PasswordRefused",
    },
    "RequestEmailChange": {does.asks_for_another_address: "EmailChangeRequested"},
    "RequestLink": PART,
    "RequestLoginCode": {does.asks_for_a_login_code: "LoginCodeRequested"},
    "RequestReset": {does.forgets_the_password: "ResetRequested"},
    "RequestVerification": {does.asks_for_another_link: "VerificationRequested"},
    "RequireSuperuser": READS,
    "ResetPassword": {
        does.resets_the_password: "PasswordReset",
        does.resets_with_a_spent_link: None,
    },
    "RetireKey": {does.retires_the_key: "KeyRetired"},
    "RetryLetter": {does.retries_a_letter: "LetterRetried"},
    "RetryWebhooks": {
        does.retries_webhooks: "LetterRetried",
        does.retries_webhooks_of_which_none_is_dead: None,
    },
    "RotateKeys": {does.rotates_keys: "KeyAdded", does.rotates_keys_soon: "KeyAdded"},
    "RotateKeysWhenDue": {does.rotates_keys_when_due: "KeyAdded"},
    "SealAuditLog": "the day that it seals says so, and an event would have to be sealed in turn",
    "SearchUsers": READS,
    "ShowEndpoints": READS,
    "ShowProfile": READS,
    "ShowUser": READS,
    "SignTokens": PART,
    "TryEndpoint": "what it sends tells of nothing",
    "UndoDeletion": {
        does.undoes_the_deletion: "DeletionUndone",
        does.undoes_the_deletion_with_a_spent_link: None,
    },
    "UndoEmailChange": {
        does.undoes_a_change_of_address: "EmailChangeUndone",
        does.undoes_a_change_that_is_undone: None,
    },
    "UpdateProfile": {does.updates_the_profile: "ProfileChanged"},
    "VerifyAuditLog": READS,
    "VerifyEmail": {does.verifies_the_address: "EmailVerified"},
    "VerifyPassword": PART,
    "VerifyToken": READS,
    "VerifyUserEmail": {does.vouches_for_an_address: "EmailVouchedFor"},
}
"""By the name of each use case what it leaves in each of its ways, or why it leaves nothing."""

WAYS = [
    pytest.param(scenario, kind, id=f"{name}, {scenario.__name__}")
    for name, ways in LEFT_BY.items()
    if not isinstance(ways, str)
    for scenario, kind in ways.items()
]


@pytest.mark.parametrize(("scenario", "kind"), WAYS)
async def test_one_event_is_left_by(scenario: Scenario, kind: str | None) -> None:
    world, act = await made_ready(scenario)
    before = max(world.memory.committed().audit_notes)
    await outcome(act)
    numbers = world.memory.committed().audit_notes
    left = [event.kind for event, number in zip(world.memory.events, numbers, strict=True) if number > before]
    assert left == ([] if kind is None else [kind])
    assert all(call != "audit_log.append" for call in outside_of_the_transaction(world.tap.calls))


@pytest.mark.parametrize(("scenario", "kind"), WAYS)
async def test_no_secret_is_in_what_is_left_by(scenario: Scenario, kind: str | None) -> None:
    world, act = await made_ready(scenario)
    await outcome(act)
    words = " ".join(map(repr, world.memory.events))
    secrets = [WRONG_PASSWORD, *world.secrets_seen]
    assert not [secret for secret in secrets if secret.reveal() in words]
    for event in world.memory.events:
        assert len(event.subject) <= 64


def test_no_use_case_is_left_out() -> None:
    assert set(LEFT_BY) == use_cases()


def test_every_kind_is_left_by_somebody() -> None:
    """A kind for people who are administered elsewhere is listed where it is tried."""
    left = {kind for ways in LEFT_BY.values() if not isinstance(ways, str) for kind in ways.values()}
    assert {kind for kind in vocabulary() if kind.isidentifier()} >= left - {None}
    ours = {kind for kind, event in vocabulary().items() if event.__module__ == "identity.domain.events"}
    assert ours == left - {None}


async def made_ready(scenario: Scenario) -> tuple[Any, Callable[[], Any]]:
    world = RememberingWorld()
    await world.registered("alice")
    act = await scenario(world)
    world.tap.forget()
    return world, act


class RememberingWorld(FaultyWorld):
    """Knows the secrets that it gave out."""

    @property
    def secrets_seen(self) -> list[Secret]:
        texts = " ".join(mail.text for mail in self.mailer.sent)
        return [Secret(part) for part in texts.replace("/", " ").split() if len(part) >= 40]


def outside_of_the_transaction(calls: list[str]) -> list[str]:
    inside, outside = False, []
    for call in calls:
        inside = (inside or call == "begin") and call != "commit"
        if not inside:
            outside.append(call)
    return outside


def use_cases() -> set[str]:
    """Every class of the application that is one verb."""
    found = set()
    for module in pkgutil.iter_modules(identity.application.__path__, "identity.application."):
        for name, kind in vars(importlib.import_module(module.name)).items():
            if inspect.isclass(kind) and kind.__module__ == module.name and is_one_verb(kind):
                found.add(name)
    return found


def is_one_verb(kind: type) -> bool:
    verb = inspect.unwrap(inspect.getattr_static(kind, "__call__"))
    return inspect.iscoroutinefunction(verb) or inspect.isasyncgenfunction(verb)
