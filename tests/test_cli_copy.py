"""`identity copy-to`: its words and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.test_cli import create_john, identity, nothing_set, succeeds

from identity.adapters.sql.schema import metadata
from identity.entrypoints.cli.copying import VARIABLE

__all__ = ["nothing_set"]  # a fixture

URL = "sqlite:///other/target.db"
CANARY = "canary-Hq7zB2mWx9"


@pytest.fixture(autouse=True)
def no_target(nothing_set: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    Path("other").mkdir()


def test_copy_to_tells_of_each_table_and_reminds_of_the_secret() -> None:
    create_john()
    result = identity("copy-to", URL)
    assert result.exit_code == 0, result.output
    names = [table.name for table in metadata.sorted_tables]
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == [f"copied {n}" for n in names]
    assert "copied users: 1\n" in result.stderr
    *tables, total, reminder = result.stdout.splitlines()
    assert [line.split()[0] for line in tables] == names
    assert "users                    1" in tables
    assert total.endswith("copied, compared and the same")
    assert reminder == (
        "The secret is not in a database: give the new deployment the one in identity.secret, "
        "by IDENTITY_SECRET_FILE or IDENTITY_SECRET."
    )


def test_the_copy_serves_with_the_secret_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    create_john()
    succeeds("copy-to", URL)
    monkeypatch.setenv("IDENTITY_DATABASE_URL", URL)
    assert identity("keys", "list").exit_code == 78
    monkeypatch.setenv("IDENTITY_SECRET_FILE", "identity.secret")
    succeeds("keys", "list")
    assert "nothing is wrong" in succeeds("audit", "verify")


def test_copy_to_as_json_is_for_scripts() -> None:
    create_john()
    result = identity("copy-to", URL, "--json", IDENTITY_SECRET="canary-Zq8pVt3LwX6nKs1RbYh5Jd0GmFc2")
    told = json.loads(result.stdout)
    assert told.keys() == {"tables", "rows"}
    assert [table["name"] for table in told["tables"]] == [table.name for table in metadata.sorted_tables]
    assert {tuple(table) for table in told["tables"]} == {("name", "rows", "sha256")}
    assert told["rows"] == sum(table["rows"] for table in told["tables"]) > 1
    assert "give the new deployment that of this one, by IDENTITY_SECRET_FILE" in result.stderr


def test_the_target_is_read_from_a_variable_too_and_no_target_is_a_usage_error() -> None:
    create_john()
    succeeds("copy-to", **{VARIABLE: URL})
    assert Path("other/target.db").exists()
    result = identity("copy-to")
    assert result.exit_code == 2
    assert f"Name the target, as URL or in {VARIABLE}." in result.stderr
    assert VARIABLE in succeeds("copy-to", "--help")


def refusal(*arguments: str, **variables: str) -> str:
    """The one line in which it is said."""
    result = identity("copy-to", *arguments, **variables)
    assert (result.exit_code, result.stdout) == (65, ""), result.output
    (line,) = result.stderr.splitlines()
    return line


def test_what_cannot_be_copied_or_copied_to_is_refused_in_one_line() -> None:
    assert "identity.db is missing" in refusal(URL)
    assert not list(Path().glob("*.*"))
    create_john()
    assert refusal("sqlite:///identity.db") == "identity: the target is the database that is to be copied"
    assert "would be gone with this command" in refusal("memory:")
    assert "cannot be copied" in refusal(URL, IDENTITY_DATABASE_URL="memory:")
    assert refusal("oracle://x").startswith("identity: the target's URL must be sqlite:///PATH, ")
    assert not list(Path("other").iterdir())
    succeeds("copy-to", URL)
    assert refusal(URL) == "identity: the target is not empty: it has rows in audit_events"


def test_a_database_that_does_not_answer_ends_it_with_69_and_no_password_is_told() -> None:
    create_john()
    for url, status in (
        (f"postgresql://ann:{CANARY}@127.0.0.1:1/identity", 69),
        (f"mariadb://ann:{CANARY}@127.0.0.1:1/identity", 69),
        (f"mariadb://ann:{CANARY}@127.0.0.1:1/identity?sslmode=1", 65),
        (f"postgresql://ann:{CANARY}@127.0.0.1:1", 65),
        (f"postgresql://ann:{CANARY}/@@127.0.0.1/identity", 65),
    ):
        for arguments, variables in (((url,), {}), ((), {VARIABLE: url})):
            result = identity("copy-to", *arguments, **variables)
            assert result.exit_code == status, result.output
            assert CANARY not in result.output
            assert len(result.stderr.splitlines()) == 1
    twice = identity("copy-to", URL, f"postgresql://ann:{CANARY}@db/identity")
    assert twice.exit_code == 2
    assert "Name one target only." in twice.stderr
    assert CANARY not in twice.output
    assert "the target: " in identity("copy-to", f"postgresql://ann:{CANARY}@127.0.0.1:1/identity").stderr


def test_on_a_terminal_it_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    create_john()
    from identity.entrypoints.cli import copying

    class Terminal:
        @property
        def stderr(self) -> Terminal:
            return self

        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(copying, "sys", Terminal())
    result = identity("copy-to", URL)
    assert result.exit_code == 0, result.output
    # Without the sequence that wipes the line: where it is not written to a terminal, Click leaves it out.
    assert "\rcopying users: 0 of 1\rcopied users: 1\n" in result.stderr
    assert "\rcomparing users: 1 of 1\r" in result.stderr
    assert result.stderr.endswith("\r")
    assert "\r" not in result.stdout
