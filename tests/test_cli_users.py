"""`identity users` and `identity reset-link`: tables for people, JSON and exit statuses for scripts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.test_cli import PASSWORD, can_log_in, identity, in_the_house, nothing_set, stored_user, succeeds

from identity.container import Container
from identity.domain.errors import LoginRefused
from identity.domain.secrets import Secret

__all__ = ["nothing_set"]  # a fixture

COMMANDS = ("show", "disable", "enable", "force-reset", "promote", "demote", "erase")
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\dZ"


@pytest.fixture
def people() -> None:
    """Root, the superuser, is the first account, John the second."""

    async def register(container: Container) -> None:
        await container.schema().upgrade()
        for name, superuser in (("root", True), ("john_doe", False)):
            await container.register_user()(
                username=name, email=f"{name}@example.com", password=Secret(PASSWORD), superuser=superuser
            )

    in_the_house(register)


def as_json(*arguments: str) -> Any:
    return json.loads(succeeds(*arguments, "--json"))


def refused(*arguments: str, typed: str | None = None) -> str:
    result = identity(*arguments, typed=typed)
    assert result.exit_code == 65
    assert result.stdout == ""
    return result.stderr


def happened() -> list[str]:
    """What the audit log has, the latest first."""

    async def read(container: Container) -> list[str]:
        entries = await container.read_audit_log()()
        return [f"{each.event.actor.role.value}: {each.event.kind}" for each in entries]

    return in_the_house(read)


# Seeing


@pytest.mark.usefixtures("people")
def test_accounts_are_listed_in_a_table() -> None:
    can_log_in("root")
    lines = succeeds("users", "list").splitlines()
    assert lines[:2] == [
        "ID  USERNAME  E-MAIL                STATE       LAST LOGIN",
        "2   john_doe  john_doe@example.com  unverified  -",
    ]
    assert re.fullmatch(rf"1   root      root@example.com      superuser   {TIME}", lines[2])
    assert len(succeeds("users", "list", "JOHN").splitlines()) == 2
    assert succeeds("users", "list", "nobody") == "ID  USERNAME  E-MAIL  STATE  LAST LOGIN\n"


@pytest.mark.usefixtures("people")
def test_accounts_are_listed_as_json_part_by_part() -> None:
    both = as_json("users", "list")
    assert [user["username"] for user in both] == ["john_doe", "root"]
    assert "password_hash" not in both[0]
    first = identity("users", "list", "--json", "--limit", "1")
    assert json.loads(first.stdout) == both[:1]
    (after,) = re.findall(r"^There are more: --after (\S+)$", first.stderr, re.MULTILINE)
    second = identity("users", "list", "--json", "--limit", "1", "--after", after)
    assert json.loads(second.stdout) == both[1:]
    assert second.stderr == ""


@pytest.mark.usefixtures("people")
def test_an_account_is_shown_by_any_of_its_names() -> None:
    can_log_in("john_doe")
    for name in ("2", "JOHN_DOE", "john_doe@example.com"):
        shown = as_json("users", "show", name)
        assert shown["account"]["id"] == 2
    assert [event["kind"] for event in shown["events"]] == ["LoggedIn", "UserRegistered"]
    assert [session["is_over"] for session in shown["sessions"]] == [False]
    text = succeeds("users", "show", "2")
    assert re.search(r"^username: +john_doe$", text, re.MULTILINE)
    assert re.search(r"^disabled at: +-$", text, re.MULTILINE)
    assert re.search(rf"^{TIME}  {TIME}  live ", text, re.MULTILINE)
    assert re.search(rf"^{TIME}  LoggedIn        owner", text, re.MULTILINE)


# Acting


@pytest.mark.usefixtures("people")
def test_an_account_is_disabled_and_enabled() -> None:
    for _ in range(2):
        assert succeeds("users", "disable", "john_doe") == "john_doe (2) is disabled.\n"
    with pytest.raises(LoginRefused):
        can_log_in("john_doe")
    assert succeeds("users", "enable", "2") == "john_doe (2) is enabled.\n"
    assert can_log_in("john_doe")
    operators = [each for each in happened() if each.startswith("operator")]
    assert operators[:2] == ["operator: AccountEnabled", "operator: AccountDisabled"]


@pytest.mark.usefixtures("people")
def test_a_reset_is_forced() -> None:
    account = as_json("users", "force-reset", "john_doe")
    assert (account["username"], account["has_password"]) == ("john_doe", False)
    with pytest.raises(LoginRefused):
        can_log_in("john_doe")
    assert "/reset-password/" in succeeds("deliver-mail", "--once")


@pytest.mark.usefixtures("people")
def test_superusers_are_made_and_unmade_but_not_the_last() -> None:
    assert succeeds("users", "promote", "john_doe") == "john_doe (2) is a superuser.\n"
    assert succeeds("users", "demote", "root") == "root (1) is no superuser.\n"
    for command, fate in (("demote", "demoted"), ("disable", "disabled")):
        assert refused("users", command, "2") == f"identity: the last superuser cannot be {fate}\n"
    assert refused("users", "erase", "2", "--yes") == "identity: the last superuser cannot be deleted\n"


@pytest.mark.usefixtures("people")
def test_an_account_is_erased_when_that_is_confirmed() -> None:
    result = identity("users", "erase", "john_doe", typed="n\n")
    assert result.exit_code == 1
    assert stored_user("john_doe")
    assert "john_doe (2) is erased." in succeeds("users", "erase", "john_doe", typed="y\n")
    assert stored_user("john_doe") is None
    assert happened()[0] == "operator: AccountErased"


@pytest.mark.usefixtures("people")
def test_a_reset_link_is_printed_and_sets_a_password() -> None:
    link = succeeds("reset-link", "john_doe@example.com").strip()
    found = re.fullmatch(r"http://localhost:3000/reset-password/([\w-]+)/([\w-]+)", link)
    assert found

    async def reset(container: Container) -> None:
        await container.reset_password()(
            uidb64=found[1], token=Secret(found[2]), password=Secret("another one 42")
        )

    in_the_house(reset)
    assert can_log_in("john_doe", "another one 42")
    assert "operator: ResetLinkMinted" in happened()
    assert as_json("reset-link", "2")["link"].startswith("http://localhost:3000/reset-password/Mg/")


@pytest.mark.usefixtures("people")
def test_no_link_is_printed_for_a_closed_account() -> None:
    succeeds("users", "disable", "john_doe")
    assert "a link would not work" in refused("reset-link", "john_doe")


# Refusals


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize("name", ["nobody", "3", "nobody@example.com", "", "x" * 300, "🦊", "\x1b[2J"])
def test_an_account_that_is_not_there_is_refused(name: str) -> None:
    for command in COMMANDS:
        told = refused("users", command, name)
        assert told.startswith("identity: there is no account")
        assert "\x1b" not in told
    assert refused("reset-link", name).startswith("identity: there is no account")


@pytest.mark.usefixtures("people")
def test_a_wrong_cursor_is_refused() -> None:
    assert refused("users", "list", "--after", "x") == "identity: after: Invalid cursor.\n"


@pytest.mark.parametrize("command", [*(("users", each) for each in COMMANDS), ("reset-link",)])
def test_a_database_in_memory_has_no_accounts_to_administer(command: tuple[str, ...]) -> None:
    result = identity(*command, "john_doe", IDENTITY_DATABASE_URL="memory:")
    assert result.exit_code == 78


@pytest.mark.parametrize("command", [*(("users", each) for each in COMMANDS), ("reset-link",)])
def test_in_the_wrong_folder_no_database_is_made(command: tuple[str, ...]) -> None:
    result = identity(*command, "john_doe")
    assert (result.exit_code, result.stdout) == (78, "")
    assert f"there is no database: {Path('identity.db').absolute()} is missing" in result.stderr
    assert list(Path().iterdir()) == []


@pytest.mark.usefixtures("people")
def test_who_is_closed_is_not_said_to_be_mailed_a_link() -> None:
    assert "is mailed a link" in succeeds("users", "force-reset", "john_doe")
    succeeds("users", "disable", "john_doe")
    assert "No link is mailed" in succeeds("users", "force-reset", "john_doe")


@pytest.mark.parametrize("command", [*(("users", each) for each in COMMANDS), ("reset-link",)])
def test_the_help_says_who_may_be_named_and_what_the_status_means(command: tuple[str, ...]) -> None:
    told = " ".join(succeeds(*command, "--help").split())
    assert "USER is an id, a username or an e-mail address; digits are always an id." in told
    assert "The exit status is 65 when there is no such account" in told


@pytest.mark.parametrize("command", [*(("users", each) for each in COMMANDS[1:]), ("reset-link",)])
def test_the_help_says_what_becomes_of_sessions_and_mail(command: tuple[str, ...]) -> None:
    told = succeeds(*command, "--help").lower()
    assert "sessions" in told
    assert "mail" in told
