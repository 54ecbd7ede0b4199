"""Whatever stops a start says so in the line, and with the status, that docs/operation.md has for it."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy.engine import make_url
from tests.databases import Databases
from tests.operation import rows

from identity.entrypoints import cli, logs

Variables = dict[str, str]
Failure = Callable[[pytest.FixtureRequest], Variables]
"""Brings it about, and returns the settings with which a start meets it."""
SECRET = "canary-" + secrets.token_urlsafe(32)
SQLITE = "sqlite:///identity.db"
ROWS = rows("When it does not start")


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder, a shell in which nothing of ours is set, and the process as it was afterwards."""
    for name in [name for name in os.environ if name.startswith("IDENTITY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logs, "configure_logging", lambda _: None)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def dead_port() -> Iterator[int]:
    """Nobody listens on it, and nobody else gets it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def identity(command: str, **variables: str) -> Result:
    return CliRunner().invoke(cli.main, command.split(), env=variables, catch_exceptions=False)


def migrated() -> Path:
    """An embedded database with a key, and the secret beside it."""
    assert identity("purge").exit_code == 0
    return Path("identity.db")


def a_wrong_value(_: pytest.FixtureRequest) -> Variables:
    return {"IDENTITY_PORT": "eighty"}


def an_unknown_setting(_: pytest.FixtureRequest) -> Variables:
    return {"IDENTITY_DATABSE_URL": SQLITE}


def no_secret(_: pytest.FixtureRequest) -> Variables:
    return {"IDENTITY_DATABASE_URL": "postgresql://db.example.com/identity"}


def a_secret_file_that_is_not_there(_: pytest.FixtureRequest) -> Variables:
    return {"IDENTITY_SECRET_FILE": "/etc/identity/no-secret"}


def printed_mail(_: pytest.FixtureRequest) -> Variables:
    return {"IDENTITY_HOST": "192.0.2.1"}


def no_mailer(_: pytest.FixtureRequest) -> Variables:
    return {"IDENTITY_MAIL_URL": "acme.mail:Mailer"}


def little_memory(_: pytest.FixtureRequest) -> Variables:
    return {"IDENTITY_HASHING_MEMORY": "19", "IDENTITY_WORKERS": "2"}


def the_embedded_secret_is_gone(_: pytest.FixtureRequest) -> Variables:
    migrated().with_suffix(".secret").unlink()
    return {}


def the_embedded_secret_is_open_to_others(_: pytest.FixtureRequest) -> Variables:
    migrated().with_suffix(".secret").chmod(0o644)
    return {}


def another_secret(_: pytest.FixtureRequest) -> Variables:
    migrated()
    return {"IDENTITY_SECRET": SECRET}


def no_folder(_: pytest.FixtureRequest) -> Variables:
    return {"IDENTITY_DATABASE_URL": "sqlite:///nowhere/identity.db"}


def no_database_file(_: pytest.FixtureRequest) -> Variables:
    Path("identity.db").write_text("no database" * 1000, encoding="utf-8")
    return {}


def nobody_at_the_database(request: pytest.FixtureRequest) -> Variables:
    port = request.getfixturevalue("dead_port")
    return {
        "IDENTITY_DATABASE_URL": f"postgresql://identity@127.0.0.1:{port}/identity",
        "IDENTITY_STARTUP_WAIT": "0s",
        "IDENTITY_SECRET": SECRET,
    }


def a_database_that_is_not_there(request: pytest.FixtureRequest) -> Variables:
    databases: Databases = request.getfixturevalue("databases")
    url = make_url(databases.new("postgresql")).set(database="nowhere").render_as_string(hide_password=False)
    return {"IDENTITY_DATABASE_URL": url, "IDENTITY_STARTUP_WAIT": "0s", "IDENTITY_SECRET": SECRET}


def an_old_schema(request: pytest.FixtureRequest) -> Variables:
    databases: Databases = request.getfixturevalue("databases")
    return {"IDENTITY_DATABASE_URL": databases.new("postgresql"), "IDENTITY_SECRET": SECRET}


def a_newer_schema(_: pytest.FixtureRequest) -> Variables:
    with contextlib.closing(sqlite3.connect(migrated(), isolation_level=None)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9009_9009'")
    return {}


def a_taken_port(request: pytest.FixtureRequest) -> Variables:
    return {"IDENTITY_PORT": str(request.getfixturevalue("taken_port"))}


def a_taken_port_for_metrics(request: pytest.FixtureRequest) -> Variables:
    return {"IDENTITY_METRICS_PORT": str(request.getfixturevalue("dead_port"))}


FAILURES: tuple[Failure, ...] = (
    a_wrong_value,
    an_unknown_setting,
    no_secret,
    a_secret_file_that_is_not_there,
    printed_mail,
    no_mailer,
    little_memory,
    the_embedded_secret_is_gone,
    the_embedded_secret_is_open_to_others,
    another_secret,
    no_folder,
    no_database_file,
    nobody_at_the_database,
    a_database_that_is_not_there,
    an_old_schema,
    a_newer_schema,
    a_taken_port,
    a_taken_port_for_metrics,
)
"""In the order of the document's rows."""


def test_each_row_of_the_document_has_its_test() -> None:
    assert len(ROWS) == len(FAILURES)


@pytest.mark.parametrize(("failure", "row"), list(zip(FAILURES, ROWS, strict=False)))
def test_a_start_that_fails_says_what_the_document_says(
    failure: Callable[[pytest.FixtureRequest], Variables],
    row: tuple[str, str, str],
    request: pytest.FixtureRequest,
) -> None:
    line, status, _ = row
    variables = failure(request)
    # A start that were to succeed would end there, too, and not with this line.
    taken = str(request.getfixturevalue("taken_port"))
    result = identity("serve", **{"IDENTITY_PORT": taken, **variables})
    said = result.stderr.splitlines()
    if said[0] == "identity: The settings are wrong:":
        said = [problem.removeprefix("  - ") for problem in said[1:]]
    (said_line,) = (each.removeprefix("identity: ") for each in said)
    pattern = ".+".join(map(re.escape, line.strip("`").split("…")))
    assert re.fullmatch(pattern, said_line), said_line
    assert (result.exit_code, result.stdout) == (int(status), "")
    assert SECRET not in result.stderr
