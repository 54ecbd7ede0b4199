"""`identity webhooks`: what waits for whom, secrets, a webhook to try, and having dead ones tried again."""

from __future__ import annotations

import base64
import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.receiver import Receiver, receiving
from tests.test_cli import JOHN, identity, in_the_house, nothing_set, succeeds

from identity.container import Container
from identity.domain.webhook import Endpoint

__all__ = ["nothing_set"]  # a fixture

HOOKS, OTHER = "https://a.example/hooks?token=t", "https://b.example"
BOTH = {"IDENTITY_WEBHOOK_URL": f"{HOOKS},{OTHER} LoggedIn LoginRefused"}
OLD, NEW = (f"{word} secret, of at least thirty-two bytes" for word in ("the old", "the new"))


@pytest.fixture(autouse=True)
def database(nothing_set: None) -> None:
    async def migrate(container: Container) -> None:
        await container.schema().upgrade()

    in_the_house(migrate)


def register(**variables: str) -> None:
    """One event, `SuperuserCreated`: the first key is there already."""
    succeeds("webhooks", "list")
    succeeds("createsuperuser", "--noinput", *JOHN, SUPERUSER_PASSWORD="yourpassword123", **variables)


def bury(queue: str | None = None) -> None:
    """Makes what waits for the endpoint, or for any, dead letters."""
    with closing(sqlite3.connect("identity.db")) as connection, connection:
        connection.execute(
            "UPDATE outbox SET dead_at = due_at, attempts = 16, error = 'answered 500' "
            "WHERE queue LIKE 'webhook:%' AND (? IS NULL OR queue = ?)",
            (queue, queue),
        )


def queued() -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect("identity.db")) as connection:
        return connection.execute(
            "SELECT kind, queue, attempts, dead_at IS NOT NULL FROM outbox "
            "WHERE queue <> 'mail' ORDER BY kind"
        ).fetchall()


def queue_of(url: str) -> str:
    return Endpoint(url=url).queue


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def of(receiver: Receiver) -> dict[str, str]:
    """The variables by which it is told of all."""
    return {f"IDENTITY_{name.upper()}": text for name, text in receiver.settings.items()}


# The list


def test_the_list_shows_each_endpoint_and_how_much_waits_for_it() -> None:
    register(**BOTH)
    head, first, second = succeeds("webhooks", "list", **BOTH).splitlines()
    assert head.split() == ["URL", "KINDS", "WAITING", "OLDEST", "DEAD", "QUEUE"]
    waits = rf"{re.escape(HOOKS)} +all +1 +\d{{4}}-\d\d-\d\d \d\d:\d\dZ +0 +{queue_of(HOOKS)}"
    assert re.fullmatch(waits, first)
    assert re.fullmatch(rf"{OTHER} +LoggedIn LoginRefused +0 +- +0 +{queue_of(OTHER)}", second)


def test_the_list_as_json_has_every_member() -> None:
    register(**BOTH)
    bury()
    first, second = json.loads(succeeds("webhooks", "list", "--json", **BOTH))
    assert first == {
        "url": HOOKS,
        "kinds": [],
        "queue": queue_of(HOOKS),
        "waiting": 0,
        "dead": 1,
        "oldest": None,
    }
    assert (second["kinds"], second["waiting"], second["dead"]) == (["LoggedIn", "LoginRefused"], 0, 0)


def test_the_list_shows_what_waits_for_whom_the_settings_do_not_name_any_more() -> None:
    register(**BOTH)
    (line,) = succeeds("webhooks", "list").splitlines()[1:]
    assert re.fullmatch(rf"- +- +1 +\S+ \S+ +0 +{queue_of(HOOKS)}", line)
    (member,) = json.loads(succeeds("webhooks", "list", "--json"))
    assert (member["url"], member["kinds"], member["waiting"]) == (None, None, 1)


# Secrets


def test_a_secret_is_that_by_which_receivers_verify() -> None:
    secret = succeeds("webhooks", "secret", HOOKS, **BOTH).strip()
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert secret != succeeds("webhooks", "secret", OTHER, **BOTH).strip()
    assert secret == succeeds("webhooks", "secret", HOOKS, **BOTH).strip()
    narrower = {"IDENTITY_WEBHOOK_URL": f"{HOOKS} LoggedIn"}
    assert secret == succeeds("webhooks", "secret", HOOKS, **narrower).strip()


def test_a_secret_changes_with_the_service_s_and_both_sign_meanwhile(receiver: Receiver) -> None:
    old, new = {**of(receiver), "IDENTITY_SECRET": OLD}, {**of(receiver), "IDENTITY_SECRET": NEW}
    before = succeeds("webhooks", "secret", receiver.url, **old).strip()
    both = {**new, "IDENTITY_SECRET_PREVIOUS": OLD}
    after = succeeds("webhooks", "secret", receiver.url, **both).strip()
    assert before != after
    succeeds("webhooks", "test", receiver.url, **both)
    (taken,) = receiver.taken
    assert taken.is_signed_by(after, before)


# Trying one


def test_a_webhook_to_try_is_received_and_can_be_verified(receiver: Receiver) -> None:
    said = succeeds("webhooks", "test", receiver.url, **of(receiver))
    assert said == "The webhook was received.\n"
    (taken,) = receiver.taken
    assert taken.said["type"] == "Test"
    secret = succeeds("webhooks", "secret", receiver.url, **of(receiver)).strip()
    assert taken.is_signed_by(secret)
    assert "Test" not in [kind for kind, *_ in queued()]


@pytest.mark.parametrize(
    ("status", "exit_code", "says"),
    [
        (503, 75, "identity: not received, but it may be later: answered 503\n"),
        (302, 75, "identity: not received, but it may be later: answered 302\n"),
        (410, 69, "identity: not received: answered 410: the endpoint is gone for good\n"),
    ],
)
def test_a_webhook_that_was_not_received_says_why_by_its_status(
    receiver: Receiver, status: int, exit_code: int, says: str
) -> None:
    receiver.status = status
    result = identity("webhooks", "test", receiver.url, **of(receiver))
    assert (result.exit_code, result.stderr) == (exit_code, says)
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["secret", "test", "retry"])
def test_an_endpoint_that_is_not_in_the_settings_is_bad_input(command: str) -> None:
    result = identity("webhooks", command, f"{HOOKS}/other", **BOTH)
    assert result.exit_code == 65
    assert result.stderr == f"identity: {HOOKS}/other is not in IDENTITY_WEBHOOK_URL\n"


def test_an_endpoint_at_an_address_inside_is_refused_though_its_url_does_not_show_it() -> None:
    result = identity("webhooks", "test", "https://2130706433/", IDENTITY_WEBHOOK_URL="https://2130706433/")
    assert result.exit_code == 69
    assert "2130706433 is 127.0.0.1, no address of the public internet" in result.stderr


# Dead ones


def test_dead_webhooks_are_tried_again_of_one_endpoint_or_of_all() -> None:
    everything = {"IDENTITY_WEBHOOK_URL": f"{HOOKS},{OTHER}"}
    register(**everything)
    bury()
    assert succeeds("webhooks", "retry", OTHER, **everything) == "1 webhook is tried again.\n"
    retried = [("LetterRetried", queue, 0, 0) for queue in sorted((queue_of(HOOKS), queue_of(OTHER)))]
    assert sorted(queued()) == sorted(
        [*retried, ("SuperuserCreated", queue_of(HOOKS), 16, 1), ("SuperuserCreated", queue_of(OTHER), 0, 0)]
    )
    bury()
    assert succeeds("webhooks", "retry", **everything) == "4 webhooks are tried again.\n"
    assert succeeds("webhooks", "retry", **everything) == "0 webhooks are tried again.\n"


def test_without_any_endpoint_none_is_tried_again() -> None:
    register(**BOTH)
    bury()
    assert succeeds("webhooks", "retry") == "0 webhooks are tried again.\n"
    assert [dead for *_, dead in queued()] == [1]


# What the others say


@pytest.mark.parametrize(
    "command", [("list",), ("secret", HOOKS), ("test", HOOKS), ("retry",)], ids=lambda command: command[0]
)
def test_a_database_in_memory_has_no_webhooks_to_speak_of(command: tuple[str, ...]) -> None:
    result = identity("webhooks", *command, IDENTITY_DATABASE_URL="memory:", **BOTH)
    assert (result.exit_code, result.stdout) == (78, "")
    assert "memory:" in result.stderr


def test_delivering_once_tells_of_webhooks_too(receiver: Receiver) -> None:
    register(**of(receiver))
    said = succeeds("deliver-mail", "--once", **of(receiver))
    assert said.splitlines()[-2:] == [
        "Mails: 0 sent, 0 dropped, 0 deferred, 0 dead.",
        "Webhooks: 1 sent, 0 dropped, 0 deferred, 0 dead.",
    ]
    (taken,) = receiver.taken
    assert taken.said["type"] == "SuperuserCreated"


def test_delivering_once_ends_with_75_when_a_webhook_has_to_wait(receiver: Receiver) -> None:
    receiver.status = 500
    register(**of(receiver))
    result = identity("deliver-mail", "--once", **of(receiver))
    assert result.exit_code == 75
    assert result.stdout.splitlines()[-1] == "Webhooks: 0 sent, 0 dropped, 1 deferred, 0 dead."


def test_without_endpoints_nothing_is_said_of_webhooks() -> None:
    register()
    assert "Webhooks" not in succeeds("deliver-mail", "--once")
    assert queued() == []


@pytest.mark.parametrize("command", [("list",), ("secret", HOOKS), ("test", HOOKS), ("retry",)])
def test_in_the_wrong_folder_no_database_and_no_secret_is_made(command: tuple[str, ...]) -> None:
    Path("identity.db").unlink()
    result = identity("webhooks", *command, **BOTH)
    assert (result.exit_code, result.stdout) == (78, "")
    assert f"there is no database: {Path('identity.db').absolute()} is missing" in result.stderr
    assert list(Path().iterdir()) == []


def test_a_kind_that_there_is_not_is_refused_with_the_nearest() -> None:
    wrong = {"IDENTITY_WEBHOOK_URL": f"{HOOKS} LogedIn,{OTHER} Xyzzy"}
    result = identity("webhooks", "list", **wrong)
    assert result.exit_code == 78
    assert "IDENTITY_WEBHOOK_URL: LogedIn is no kind of event; did you mean LoggedIn?" in result.stderr
    assert "IDENTITY_WEBHOOK_URL: Xyzzy is no kind of event" in result.stderr
    assert "token=t" not in result.stderr


def test_the_settings_show_no_path_of_an_endpoint() -> None:
    said = succeeds("settings", **BOTH)
    assert "https://a.example/" in said
    assert "token=t" not in said
