"""`identity keys`: the list, rotation, retirement, and another secret."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.test_cli import identity, in_the_house, nothing_set, succeeds

from identity.container import Container
from identity.domain.secrets import Secret
from identity.domain.tokens import TokenPair

__all__ = ["nothing_set"]  # a fixture

OLD, NEW, OTHER = (
    f"{word} secret, of at least thirty-two bytes" for word in ("the old", "the new", "another")
)
KID = "[0-9a-f]{32}"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"
COMMANDS = (("list",), ("rotate",), ("retire", "0" * 32, "--yes"), ("reencrypt",))


def listed(**variables: str) -> list[dict[str, Any]]:
    return json.loads(succeeds("keys", "list", "--json", **variables))


def states(**variables: str) -> dict[str, str]:
    return {key["kid"]: key["state"] for key in listed(**variables)}


def stored() -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect("identity.db")) as connection:
        return connection.execute("SELECT * FROM signing_keys ORDER BY kid").fetchall()


def logged_in() -> TokenPair:
    succeeds(
        "createsuperuser",
        "--noinput",
        "--username",
        "john_doe",
        "--email",
        "john@example.com",
        SUPERUSER_PASSWORD="yourpassword123",
    )

    async def log_in(container: Container) -> TokenPair:
        return await container.log_in()(username="john_doe", password=Secret("yourpassword123"))

    return in_the_house(log_in)


def is_good(refresh: str, **variables: str) -> bool:
    async def verify(container: Container) -> None:
        await container.verify_token()(token=refresh)

    try:
        in_the_house(verify, **variables)
    except Exception:  # noqa: BLE001 - whatever the reason
        return False
    return True


# The list


def test_the_list_shows_every_key_and_what_it_does() -> None:
    (line,) = succeeds("keys", "list").splitlines()
    assert re.fullmatch(rf"{KID}  ES256  signing    signs from {TIME}", line)
    succeeds("keys", "rotate")
    first, second = succeeds("keys", "list").splitlines()
    assert first == line
    assert re.fullmatch(rf"{KID}  ES256  next       signs from {TIME}", second)


def test_the_list_tells_when_a_key_was_retired() -> None:
    (kid,) = states()
    succeeds("keys", "retire", kid, "--yes")
    first, second = succeeds("keys", "list").splitlines()
    assert re.fullmatch(rf"{kid}  ES256  retired    signs from {TIME}  retired at {TIME}", first)
    assert "retired" not in second


def test_the_list_as_json_has_every_member_and_no_private_key() -> None:
    (key,) = listed()
    assert key.keys() == {"kid", "algorithm", "state", "created_at", "signs_from", "retired_at"}
    assert key["algorithm"] == "ES256"
    assert key["state"] == "signing"
    assert key["retired_at"] is None
    made = datetime.fromisoformat(key["created_at"])
    assert timedelta() <= datetime.now(UTC) - made < timedelta(minutes=1)
    assert key["signs_from"] == key["created_at"]


def test_the_list_tells_when_tokens_are_signed_with_a_shared_key() -> None:
    result = identity(
        "keys",
        "list",
        IDENTITY_TOKEN_ALGORITHM="HS256",
        IDENTITY_SHARED_KEY="a key of at least 32 bytes, shared",
    )
    assert result.exit_code == 0
    assert "IDENTITY_SHARED_KEY" in result.stderr
    assert "a key of" not in result.output


# Rotation


def test_rotate_adds_a_key_that_signs_in_a_day() -> None:
    (first,) = states()
    text = succeeds("keys", "rotate")
    match = re.fullmatch(rf"Key ({KID}) signs from ({TIME}) on\.\n", text)
    assert match
    assert states() == {first: "signing", match[1]: "next"}
    ahead = datetime.fromisoformat(match[2]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < ahead < timedelta(hours=24, minutes=1)


def test_rotate_says_so_when_a_next_key_is_waiting() -> None:
    succeeds("keys", "rotate")
    before = stored()
    text = succeeds("keys", "rotate")
    assert "waiting" in text
    assert "--now" in text
    assert stored() == before


def test_rotate_now_adds_a_key_that_signs_in_ten_seconds_even_if_another_is_waiting() -> None:
    succeeds("keys", "rotate")
    match = re.fullmatch(rf"Key ({KID}) signs from ({TIME}) on\.\n", succeeds("keys", "rotate", "--now"))
    assert match
    ahead = datetime.fromisoformat(match[2]) - datetime.now(UTC)
    assert timedelta() < ahead < timedelta(seconds=11)
    assert len(listed()) == 3


def test_rotate_makes_a_key_of_the_algorithm_that_is_set() -> None:
    succeeds("keys", "rotate", "--now")
    succeeds("keys", "rotate", "--now", IDENTITY_TOKEN_ALGORITHM="RS256")
    assert [key["algorithm"] for key in listed()] == ["ES256", "ES256", "RS256"]


def test_rotate_says_what_it_does_not_do_beside_a_shared_key() -> None:
    result = identity(
        "keys",
        "rotate",
        IDENTITY_TOKEN_ALGORITHM="HS256",
        IDENTITY_SHARED_KEY="a key of at least 32 bytes, shared",
    )
    assert result.exit_code == 0
    assert "IDENTITY_SHARED_KEY, which does not rotate" in result.stderr
    assert "a key of" not in result.output


# Retirement


def test_retire_takes_the_key_out_of_use_and_another_signs() -> None:
    tokens = logged_in()
    (kid,) = states()
    assert is_good(tokens.refresh)
    text = succeeds("keys", "retire", kid, "--yes")
    assert text == f"Key {kid} is retired. Every process knows within five seconds.\n"
    (retired, successor) = listed()
    assert (retired["kid"], retired["state"]) == (kid, "retired")
    assert retired["retired_at"] is not None
    assert successor["state"] == "signing"
    assert not is_good(tokens.refresh)


def test_retire_asks_first() -> None:
    (kid,) = states()
    result = identity("keys", "retire", kid, typed="n\n")
    assert result.exit_code == 1
    assert "log in again" in result.output
    assert states() == {kid: "signing"}
    result = identity("keys", "retire", kid, typed="y\n")
    assert result.exit_code == 0
    assert states()[kid] == "retired"


def test_retire_without_an_answer_does_nothing() -> None:
    (kid,) = states()
    assert identity("keys", "retire", kid, typed="").exit_code == 1
    assert states() == {kid: "signing"}


@pytest.mark.parametrize("yes", [["--yes"], []], ids=["unasked", "before it asks"])
@pytest.mark.parametrize("kid", ["", "0" * 32, "nonsense", "ü"])
def test_a_key_that_is_not_there_is_bad_input(kid: str, yes: list[str]) -> None:
    states()
    before = stored()
    result = identity("keys", "retire", kid, *yes)
    assert result.exit_code == 65
    assert result.stderr == f"identity: there is no key {kid}, or it is retired already\n"
    assert result.stdout == ""
    assert stored() == before


def test_a_key_is_retired_once() -> None:
    (kid,) = states()
    succeeds("keys", "retire", kid, "--yes")
    before = stored()
    assert identity("keys", "retire", kid, "--yes").exit_code == 65
    result = identity("keys", "retire", kid)
    assert (result.exit_code, result.stdout) == (65, "")
    assert stored() == before


def test_all_keys_can_be_retired_and_one_signs_nevertheless() -> None:
    succeeds("keys", "rotate")
    for kid in list(states()):
        succeeds("keys", "retire", kid, "--yes")
    assert sorted(states().values()) == ["retired", "retired", "signing"]


# Another secret


def test_the_secret_is_changed_without_logging_anybody_out() -> None:
    made_with_old = listed(IDENTITY_SECRET=OLD)
    assert identity("keys", "list", IDENTITY_SECRET=NEW).exit_code == 78
    both = {"IDENTITY_SECRET": NEW, "IDENTITY_SECRET_PREVIOUS": OLD}
    assert listed(**both) == made_with_old
    succeeds("keys", "rotate", **both)
    assert identity("keys", "rotate", "--now", IDENTITY_SECRET=OLD).exit_code == 78
    assert succeeds("keys", "reencrypt", **both) == "Keys sealed under the present secret: 2.\n"
    assert succeeds("keys", "reencrypt", **both) == "Keys sealed under the present secret: 2.\n"
    assert listed(IDENTITY_SECRET=NEW)[0] == made_with_old[0]
    assert identity("keys", "list", IDENTITY_SECRET=OLD).exit_code == 78


def test_the_generated_secret_beside_the_database_is_changed_in_the_same_way() -> None:
    tokens = logged_in()
    old = Path("identity.secret").read_text(encoding="utf-8").strip()
    succeeds("keys", "reencrypt", IDENTITY_SECRET=NEW, IDENTITY_SECRET_PREVIOUS=old)
    assert is_good(tokens.refresh, IDENTITY_SECRET=NEW)
    assert identity("keys", "list").exit_code == 78


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("previous", [{}, {"IDENTITY_SECRET_PREVIOUS": OTHER}])
def test_a_wrong_secret_ends_every_command_in_one_line_and_changes_nothing(
    command: tuple[str, ...], previous: dict[str, str]
) -> None:
    states(IDENTITY_SECRET=OLD)
    before = stored()
    result = identity("keys", *command, IDENTITY_SECRET=NEW, **previous)
    assert result.exit_code == 78
    (line,) = result.stderr.splitlines()
    assert line.startswith("identity: the signing keys in the database do not open with this secret")
    assert "IDENTITY_SECRET_PREVIOUS" in line
    assert not any(secret in result.output for secret in (OLD, NEW, OTHER))
    assert stored() == before


# Where it makes no sense


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_database_in_memory_has_no_keys_to_speak_of(command: tuple[str, ...]) -> None:
    result = identity("keys", *command, IDENTITY_DATABASE_URL="memory:")
    assert result.exit_code == 78
    assert "memory:" in result.stderr


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_wrong_settings_end_every_command(command: tuple[str, ...]) -> None:
    result = identity("keys", *command, IDENTITY_TOKEN_ALGORITHM="none")
    assert result.exit_code == 78
    assert "IDENTITY_TOKEN_ALGORITHM" in result.stderr
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_command_explains_itself(command: tuple[str, ...]) -> None:
    text = succeeds("keys", command[0], "--help")
    usage, _, rest = text.partition("\n\n")
    assert f"keys {command[0]} " in usage
    assert len(rest.splitlines()[0].split()) > 3
    assert list(Path().iterdir()) == []
