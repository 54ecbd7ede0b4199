"""`identity audit`: checking the audit log, and handing it out."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.test_cli import identity, in_the_house, nothing_set, succeeds

from identity.container import Container
from identity.domain.events import OPERATOR, KeyAdded, LoggedIn, LoginRefused
from identity.domain.session import Client
from identity.entrypoints.cli import main

__all__ = ["nothing_set"]  # a fixture

CLIENT = Client(address="192.0.2.7", user_agent="Mozilla/5.0 \x1b[31m🦊", request_id="0123456789abcdef")
MISSING = "event 2 was sealed after events that are missing since event the first\n"


def lived() -> None:
    """Three events of an hour ago, two of them sealed since."""

    async def live(container: Container) -> None:
        now = container.clock().now()
        async with container.begin()() as uow:
            for event in (
                LoggedIn(at=now - timedelta(hours=1), user_id=1, session_id="0" * 32, client=CLIENT),
                LoginRefused(at=now - timedelta(hours=1)),
                KeyAdded(at=now, actor=OPERATOR, subject="kid"),
            ):
                await uow.audit_log.append(event)
        assert await container.seal_audit_log()() == 2

    succeeds("migrate")
    in_the_house(live)


def verified(*arguments: str, **variables: str) -> tuple[int, dict[str, Any]]:
    result = identity("audit", "verify", "--json", *arguments, **variables)
    return result.exit_code, json.loads(result.stdout)


def execute(statement: str) -> None:
    with closing(sqlite3.connect("identity.db")) as connection, connection:
        connection.execute(statement)


def test_what_somebody_wrote_into_the_log_does_not_hide_what_is_printed_after_it() -> None:
    lived()
    execute("UPDATE audit_heads SET day = char(27) || '[8m'")
    result = CliRunner().invoke(main, ["audit", "verify"], color=True)  # as on a terminal
    assert result.exit_code == 65
    assert "\x1b" not in result.output
    assert "the day \\x1b[8m is not what it was" in result.stderr


def test_verify_shows_each_day_and_that_all_is_well() -> None:
    lived()
    day, summary = succeeds("audit", "verify").splitlines()
    assert day.split()[1:6] == ["2", "events", "until", "event", "2"]
    assert len(day.split()[6]) == 64
    assert summary == "2 sealed events checked, 1 not sealed yet: nothing is wrong."


def test_verify_as_json_has_the_heads() -> None:
    lived()
    status, result = verified()
    assert status == 0
    (day,) = result.pop("days")
    assert day.keys() == {"day", "events", "last_id", "head", "key_id", "purged_at"}
    assert result == {"good": True, "checked": 2, "unsealed": 1, "fault_count": 0, "faults": []}


def test_verify_names_what_is_wrong_and_ends_with_65() -> None:
    lived()
    execute("DELETE FROM audit_events WHERE id = 1")
    result = identity("audit", "verify")
    assert result.exit_code == 65
    assert result.stderr == MISSING
    assert result.stdout.endswith("1 sealed events checked, 1 not sealed yet: 1 fault.\n")
    status, told = verified()
    assert status == 65
    assert told["faults"] == [{"kind": "missing", "id": 2, "other": 0, "day": None, "text": MISSING.strip()}]


def test_verify_looks_for_a_head_that_was_noted_elsewhere() -> None:
    lived()
    head = verified()[1]["days"][0]["head"]
    assert verified("--head", head)[0] == 0
    result = identity("audit", "verify", "--head", "0" * 64)
    assert (result.exit_code, result.stderr) == (65, "the given head is not in the log\n")
    assert identity("audit", "verify", "--head", "0" * 63).exit_code == 2


def test_verify_under_another_secret_says_that_it_cannot_check() -> None:
    lived()
    secret = Path("identity.secret").read_text("utf-8").strip()
    other = "another secret, of at least thirty-two bytes"
    result = identity("audit", "verify", IDENTITY_SECRET=other)
    assert result.exit_code == 65
    assert "sealed under a secret that is not given" in result.stderr
    assert verified(IDENTITY_SECRET=other, IDENTITY_SECRET_PREVIOUS=secret)[0] == 0


def test_verify_makes_neither_a_secret_nor_a_key() -> None:
    lived()
    Path("identity.secret").unlink()
    result = identity("audit", "verify")
    assert (result.exit_code, result.stdout) == (78, "")
    assert "the secret under which the log was sealed" in result.stderr
    assert not Path("identity.secret").exists()


def test_export_prints_every_event_as_a_line_of_json() -> None:
    lived()
    text = succeeds("audit", "export")
    assert text.isascii()
    assert "\x1b" not in text
    first, second, third = map(json.loads, text.splitlines())
    assert first == {
        "id": 1,
        "at": first["at"],
        "kind": "LoggedIn",
        "result": "done",
        "user_id": 1,
        "actor": "owner",
        "actor_id": None,
        "subject": "",
        "session_id": "0" * 32,
        "request_id": "0123456789abcdef",
        "address": "192.0.2.7",
        "user_agent": CLIENT.user_agent,
        "seal": first["seal"],
    }
    assert len(first["seal"]) == 64
    assert (second["kind"], second["result"], second["user_id"]) == ("LoginRefused", "refused", None)
    assert (third["subject"], third["actor"], third["seal"]) == ("kid", "operator", None)


def test_export_of_what_happened_between_two_times() -> None:
    lived()
    at = json.loads(succeeds("audit", "export").splitlines()[-1])["at"]
    assert len(succeeds("audit", "export", "--since", at).splitlines()) == 1
    assert len(succeeds("audit", "export", "--until", at).splitlines()) == 2
    assert succeeds("audit", "export", "--since", "2200-01-01") == ""
    assert identity("audit", "export", "--since", "yesterday").exit_code == 2


@pytest.mark.parametrize("command", ["verify", "export"])
def test_a_log_in_memory_is_nobody_s_but_the_server_s(command: str) -> None:
    result = identity("audit", command, IDENTITY_DATABASE_URL="memory:", IDENTITY_MAIL_URL="memory:")
    assert (result.exit_code, result.stdout) == (78, "")


@pytest.mark.parametrize("command", ["verify", "export"])
def test_in_the_wrong_folder_it_is_the_database_that_is_said_to_be_missing(command: str) -> None:
    result = identity("audit", command)
    assert (result.exit_code, result.stdout) == (78, "")
    assert f"there is no database: {Path('identity.db').absolute()} is missing" in result.stderr
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("command", ["verify", "export"])
def test_a_database_that_is_not_up_to_date_is_left_as_it_is(command: str) -> None:
    Path("identity.db").touch()
    Path("identity.secret").write_text("a secret, of at least thirty-two bytes")
    result = identity("audit", command)
    assert result.exit_code == 78
    assert "identity migrate" in result.stderr
