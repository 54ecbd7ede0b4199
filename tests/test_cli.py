"""The `identity` command: what each subcommand does, says and answers with its exit status."""

from __future__ import annotations

import asyncio
import json
import os
import re
import resource
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import click
import msgspec
import pytest
from click.testing import CliRunner, Result

from identity.application.mail import kinds_of_mail
from identity.application.throttling import Request
from identity.container import Container, build_container
from identity.domain.login_code import LoginCode
from identity.domain.names import Username
from identity.domain.one_time_token import OneTimeToken, Purpose
from identity.domain.secrets import Secret
from identity.domain.session import UNKNOWN_CLIENT, Client, Session
from identity.domain.user import User
from identity.entrypoints import cli
from identity.settings import Settings, describe

IDENTITY = Path(sys.executable).with_name("identity")
PASSWORD = "yourpassword123"
SECRET = "canary-Zq8pVt3LwX6nKs1RbYh5Jd0GmFc2"
SMTP_PASSWORD = "canary-smtp-4Tn9"
COMMANDS = (
    "serve",
    "migrate",
    "copy-to",
    "createsuperuser",
    "deliver-mail",
    "mail-test",
    "mail-preview",
    "purge",
    "audit",
    "calibrate",
    "keys",
    "users",
    "webhooks",
    "reset-link",
    "settings",
)
ARGUMENTS = {
    "mail-test": ("john@example.com",),
    "keys": ("list",),
    "audit": ("verify",),
    "users": ("list",),
    "webhooks": ("list",),
    "reset-link": ("john_doe",),
}
JOHN = ("--username", "john_doe", "--email", "john@example.com")

T = TypeVar("T")


@pytest.fixture(autouse=True)
def nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and a shell in which nothing of ours is set."""
    for name in [name for name in os.environ if name.startswith("IDENTITY_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv(cli.PASSWORD_VARIABLE, raising=False)
    folder = tmp_path / "deployment"
    folder.mkdir()
    monkeypatch.chdir(folder)


def identity(*arguments: str, typed: str | None = None, **variables: str) -> Result:
    """Runs the command in this process; what it does not catch itself fails the test."""
    result = CliRunner().invoke(cli.main, arguments, input=typed, env=variables, catch_exceptions=False)
    assert "Traceback" not in result.output
    return result


def succeeds(*arguments: str, typed: str | None = None, **variables: str) -> str:
    result = identity(*arguments, typed=typed, **variables)
    assert result.exit_code == 0, result.output
    return result.stdout


def in_the_house(work: Callable[[Container], Awaitable[T]], **variables: str) -> T:
    """Does something with the use cases and the storage of this deployment."""

    async def run() -> T:
        container = build_container(Settings.load(variables))
        try:
            return await work(container)
        finally:
            await container.storage().dispose()

    return asyncio.run(run())


def stored_user(name: str) -> User | None:
    async def find(container: Container) -> User | None:
        async with container.read()() as uow:
            return await uow.users.with_username(Username(name))

    return in_the_house(find)


def can_log_in(name: str, password: str = PASSWORD) -> bool:
    async def log_in(container: Container) -> bool:
        pair = await container.log_in()(username=name, password=Secret(password))
        return bool(pair.access)

    return in_the_house(log_in)


def ask_for_a_reset(email: str) -> None:
    async def ask(container: Container) -> None:
        await container.request_reset()(email=email)

    in_the_house(ask)


def is_mail_waiting() -> bool:
    async def look(container: Container) -> bool:
        async with container.read()() as uow:
            return await uow.outbox.oldest() is not None

    return in_the_house(look)


def create_john() -> None:
    succeeds("createsuperuser", "--noinput", *JOHN, SUPERUSER_PASSWORD=PASSWORD)


def mails(folder: str = "mail") -> list[Path]:
    return sorted(Path(folder).glob("*.eml"))


@pytest.fixture
def dead_port() -> Iterator[int]:
    """A port that refuses connections for as long as the test runs: it is taken, but nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


# Help


def test_help_lists_every_command() -> None:
    assert isinstance(cli.main, click.Group)
    assert set(cli.main.commands) == set(COMMANDS)
    text = succeeds("--help")
    listed = text.partition("Commands:\n")[2].partition("\n\n")[0]
    assert {line.split()[0] for line in listed.splitlines() if line.strip()} == set(COMMANDS)
    assert "--config" in text
    assert succeeds("-h") == text


@pytest.mark.parametrize(
    "group", [(), *((name,) for name in COMMANDS if hasattr(cli.main.commands[name], "commands"))]
)
def test_no_explanation_in_a_list_of_commands_is_cut_off(group: tuple[str, ...]) -> None:
    assert "..." not in succeeds(*group, "--help").partition("Commands:\n")[2]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    text = succeeds(command, "--help")
    usage, _, rest = text.partition("\n\n")
    assert usage.startswith((f"Usage: main {command} ", f"Usage: identity {command} "))
    assert len(rest.splitlines()[0].split()) > 3
    assert list(Path().iterdir()) == []


def test_the_version_is_that_of_the_package() -> None:
    assert succeeds("--version") == f"identity {version('identity')}\n"


def test_help_takes_less_than_three_tenths_of_a_second() -> None:
    def seconds() -> float:
        """Of work: the other tests want the same cores at the same time, which would count as waiting."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([IDENTITY, "--help"], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.3


def test_help_imports_neither_the_framework_nor_the_database() -> None:
    program = (
        "import sys\n"
        "from identity.entrypoints.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "print('imported:', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    run = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    imported = set(run.stdout.rpartition("imported:")[2].split())
    assert {"identity", "click"} <= imported
    unwanted = {"litestar", "sqlalchemy", "uvicorn", "alembic", "msgspec", "cryptography", "jinja2", "argon2"}
    assert not imported & unwanted


def test_an_unknown_command_is_a_usage_error() -> None:
    assert identity("sevre").exit_code == 2


# Settings


def test_settings_shows_every_setting_with_its_value_default_and_meaning() -> None:
    text = succeeds("settings", IDENTITY_PORT="9000", IDENTITY_ISSUER="https://id.example.com")
    for row in describe(Settings(port=9000, issuer="https://id.example.com")):
        assert f"{row.name}={row.value}\n" in text
        assert row.meaning in text
    assert "Port to listen on; 0 takes any free one. Default: 8000\n" in text
    assert "IDENTITY_HOST=127.0.0.1\n    Address to listen on.\n" in text


@pytest.mark.parametrize("option", [(), ("--json",)])
def test_settings_shows_no_secret(option: tuple[str, ...]) -> None:
    text = succeeds(
        "settings",
        *option,
        IDENTITY_SECRET=SECRET,
        IDENTITY_MAIL_URL=f"smtps://john:{SMTP_PASSWORD}@mail.example.com",
    )
    assert SECRET not in text
    assert SMTP_PASSWORD not in text
    assert "mail.example.com" in text


def test_settings_as_json_is_what_the_code_says() -> None:
    rows = json.loads(succeeds("settings", "--json", IDENTITY_PORT="9000"))
    assert rows == msgspec.to_builtins(describe(Settings(port=9000)))


def test_settings_touches_nothing() -> None:
    succeeds("settings")
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_wrong_settings_end_every_command_with_one_message_that_names_them_all(command: str) -> None:
    result = identity(
        command,
        *ARGUMENTS.get(command, ()),
        IDENTITY_PORT="eighty",
        IDENTITY_WORKERS="0",
        IDENTITY_SECRET="too short",
        IDENTITY_DATABSE_URL="memory:",
    )
    assert result.exit_code == 78
    assert result.stdout == ""
    first, *problems = result.stderr.splitlines()
    assert first == "identity: The settings are wrong:"
    named = [problem.split()[1] for problem in problems]
    assert sorted(named) == ["IDENTITY_DATABSE_URL", "IDENTITY_PORT", "IDENTITY_SECRET", "IDENTITY_WORKERS"]
    assert "too short" not in result.stderr
    assert list(Path().iterdir()) == []


def test_a_port_that_a_container_platform_has_set_is_named_as_the_culprit() -> None:
    result = identity("serve", IDENTITY_PORT="tcp://10.0.0.1:8000")
    assert result.exit_code == 78
    assert "IDENTITY_PORT" in result.stderr
    assert "service links" in result.stderr
    assert 'a service named "identity"' in result.stderr


@pytest.mark.parametrize("mailer", ["nowhere.at_all:Mailer", "identity.container:Nobody"])
@pytest.mark.parametrize("command", ["mail-test john@example.com", "deliver-mail --once"])
def test_a_mailer_class_that_is_not_there_is_a_wrong_setting(command: str, mailer: str) -> None:
    result = identity(*command.split(), IDENTITY_MAIL_URL=mailer)
    assert result.exit_code == 78, result.output
    assert "IDENTITY_MAIL_URL" in result.stderr


@pytest.mark.parametrize("mailer", ["nowhere.at_all:Mailer", "identity.container:Nobody"])
def test_a_server_does_not_start_without_its_mailer_class(mailer: str) -> None:
    run = subprocess.run(
        [IDENTITY, "serve"],
        env=os.environ | {"IDENTITY_MAIL_URL": mailer, "IDENTITY_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 78, run.stderr
    assert "IDENTITY_MAIL_URL" in run.stderr
    assert "Traceback" not in run.stderr


def test_settings_come_from_the_file_that_config_names_and_variables_win() -> None:
    Path("identity.toml").write_text('port = 9000\naudience = "shop"\n', encoding="utf-8")
    text = succeeds("--config", "identity.toml", "settings", IDENTITY_AUDIENCE="blog")
    assert "IDENTITY_PORT=9000\n" in text
    assert "IDENTITY_AUDIENCE=blog\n" in text


def test_what_is_wrong_in_the_file_is_reported_with_its_name() -> None:
    Path("identity.toml").write_text("port = 90000\nprot = 1\n", encoding="utf-8")
    result = identity("--config", "identity.toml", "settings")
    assert result.exit_code == 78
    assert "port in identity.toml must be a whole number from 0 to 65535" in result.stderr
    assert "prot is not a setting; did you mean port? (in identity.toml)" in result.stderr


def test_a_file_that_is_not_there_is_reported_with_its_name() -> None:
    result = identity("--config", "missing.toml", "settings")
    assert result.exit_code == 78
    assert "missing.toml" in result.stderr
    assert result.stdout == ""


# Superusers


def test_createsuperuser_asks_for_what_it_needs() -> None:
    typed = f"john_doe\njohn@example.com\n{PASSWORD}\n{PASSWORD}\n"
    text = succeeds("createsuperuser", typed=typed)
    assert "Superuser john_doe created." in text
    assert PASSWORD not in text
    john = stored_user("john_doe")
    assert john is not None
    assert john.superuser_since == john.joined_at
    assert can_log_in("john_doe")
    assert can_log_in("john@example.com")


def test_createsuperuser_asks_again_for_a_weak_password_and_for_nothing_else() -> None:
    typed = f"john_doe\njohn@example.com\n12345678\n12345678\n{PASSWORD}\n{PASSWORD}\n"
    result = identity("createsuperuser", typed=typed)
    assert result.exit_code == 0, result.output
    assert "password: This password is too common." in result.stderr
    assert "password: This password is entirely numeric." in result.stderr
    assert (result.stdout.count("Username"), result.stdout.count("E-mail address")) == (1, 1)
    assert can_log_in("john_doe")


def test_createsuperuser_holds_the_password_to_the_policy_of_the_deployment() -> None:
    Path("list.txt").write_text("correct horse battery\n", encoding="utf-8")
    deployment = {
        "IDENTITY_SERVICE_NAME": "Acme Cloud",
        "IDENTITY_COMMON_PASSWORDS_FILE": "list.txt",
        "IDENTITY_PASSWORD_MIN_LENGTH": "15",
    }
    for password, message in (
        ("Correct Horse Battery", "This password is too common."),
        ("my acmecloud password", "The password is too similar to the name of this service."),
        ("x-john_doe-password", "The password is too similar to the username."),
        ("yourpassword12", "This password is too short. It must contain at least 15 characters."),
    ):
        result = identity("createsuperuser", "--noinput", *JOHN, SUPERUSER_PASSWORD=password, **deployment)
        assert result.exit_code == 65
        assert f"password: {message}\n" in result.stderr
    succeeds("createsuperuser", "--noinput", *JOHN, SUPERUSER_PASSWORD=PASSWORD, **deployment)


def test_createsuperuser_asks_again_when_the_two_passwords_differ() -> None:
    typed = f"john_doe\njohn@example.com\n{PASSWORD}\nanother one\n{PASSWORD}\n{PASSWORD}\n"
    assert "Superuser john_doe created." in succeeds("createsuperuser", typed=typed)
    assert can_log_in("john_doe")


def test_createsuperuser_asks_again_for_a_taken_name_and_for_a_wrong_address() -> None:
    create_john()
    typed = (
        f"John_Doe\nmary\n{PASSWORD}\n{PASSWORD}\n"  # both wrong
        f"mary\nmary@example.com\n{PASSWORD}\n{PASSWORD}\n"
    )
    result = identity("createsuperuser", typed=typed)
    assert result.exit_code == 0, result.output
    assert "username: A user with that username already exists." in result.stderr
    assert "email: Enter a valid email address." in result.stderr
    assert "Superuser mary created." in result.stdout
    assert can_log_in("mary")


def test_createsuperuser_keeps_the_name_that_was_good_when_the_address_is_taken() -> None:
    create_john()
    typed = f"mary\nJOHN@example.com\n{PASSWORD}\n{PASSWORD}\nmary@example.com\n{PASSWORD}\n{PASSWORD}\n"
    result = identity("createsuperuser", typed=typed)
    assert result.exit_code == 0, result.output
    assert "email: A user with that email already exists." in result.stderr
    assert result.stdout.count("Username") == 1
    assert can_log_in("mary")


def test_createsuperuser_with_options_asks_for_the_password_alone() -> None:
    text = succeeds("createsuperuser", *JOHN, typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert "Username" not in text
    assert "E-mail" not in text
    assert can_log_in("john_doe")


def test_createsuperuser_that_is_broken_off_leaves_no_account() -> None:
    result = identity("createsuperuser", typed="john_doe\njohn@example.com\n")
    assert result.exit_code == 1
    assert "Aborted" in result.stderr
    succeeds("migrate")
    assert stored_user("john_doe") is None


def test_createsuperuser_without_input_reads_the_password_from_the_environment() -> None:
    text = succeeds("createsuperuser", "--noinput", *JOHN, SUPERUSER_PASSWORD=PASSWORD)
    assert text == "Superuser john_doe created.\n"
    john = stored_user("john_doe")
    assert john is not None
    assert john.superuser_since is not None
    assert can_log_in("john_doe")


@pytest.mark.parametrize("ending", ["\n", ""])
def test_createsuperuser_without_input_reads_the_password_from_standard_input(ending: str) -> None:
    succeeds("createsuperuser", "--noinput", *JOHN, typed=f"{PASSWORD}{ending}")
    assert can_log_in("john_doe")


def test_createsuperuser_takes_the_password_exactly_as_it_is() -> None:
    password = "  two  spaces at each end  "
    succeeds("createsuperuser", "--noinput", *JOHN, typed=f"{password}\n")
    assert can_log_in("john_doe", password)


def test_createsuperuser_takes_no_password_as_an_argument() -> None:
    assert isinstance(cli.main, click.Group)
    options = {option for p in cli.main.commands["createsuperuser"].params for option in p.opts}
    assert options == {"--username", "--email", "--noinput"}
    assert identity("createsuperuser", *JOHN, "--password", PASSWORD).exit_code == 2
    assert identity("createsuperuser", *JOHN, PASSWORD).exit_code == 2


@pytest.mark.parametrize("given", [(), JOHN[:2], JOHN[2:]])
def test_createsuperuser_without_input_wants_both_names(given: tuple[str, ...]) -> None:
    result = identity("createsuperuser", "--noinput", *given, SUPERUSER_PASSWORD=PASSWORD)
    assert result.exit_code == 2
    assert "--username and --email" in result.stderr
    assert list(Path().iterdir()) == []


def test_createsuperuser_without_input_refuses_with_every_reason() -> None:
    create_john()
    result = identity(
        "createsuperuser",
        "--noinput",
        *("--username", "JOHN_DOE", "--email", "not an address"),
        SUPERUSER_PASSWORD="short",
    )
    assert result.exit_code == 65
    assert result.stderr.splitlines() == [
        "email: Enter a valid email address.",
        "username: A user with that username already exists.",
        "password: This password is too short. It must contain at least 8 characters.",
    ]
    assert result.stdout == ""


def test_createsuperuser_without_input_and_without_a_password_is_refused() -> None:
    result = identity("createsuperuser", "--noinput", *JOHN, typed="")
    assert result.exit_code == 65
    assert result.stderr == "password: This field may not be blank.\n"


# Mail


def test_a_test_mail_goes_into_a_directory() -> None:
    text = succeeds("mail-test", "john@example.com", IDENTITY_MAIL_URL="directory:mail")
    assert text == "A test mail to john@example.com was handed over.\n"
    (mail,) = mails()
    assert b"To: john@example.com" in mail.read_bytes()


def test_a_test_mail_goes_to_the_console() -> None:
    text = succeeds("mail-test", "john@example.com", IDENTITY_MAIL_URL="console:")
    assert "To: john@example.com\n" in text
    assert "Subject: " in text
    assert text.endswith("A test mail to john@example.com was handed over.\n")


def test_a_test_mail_needs_no_database() -> None:
    succeeds("mail-test", "john@example.com")
    assert list(Path().iterdir()) == []


def test_a_mail_server_that_does_not_answer_is_reported_as_temporary(dead_port: int) -> None:
    result = identity("mail-test", "john@example.com", IDENTITY_MAIL_URL=f"smtp://127.0.0.1:{dead_port}")
    assert result.exit_code == 75
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("identity: not sent, but it may work later: ")


def test_a_mail_that_will_never_go_out_is_reported_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "modules" / "our_mail"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "refusing.py").write_text(
        "from identity.domain.errors import MailRefused\n\n\n"
        "class Mailer:\n"
        "    async def send(self, message):\n"
        "        raise MailRefused('no such mailbox')\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path / "modules")
    result = identity("mail-test", "john@example.com", IDENTITY_MAIL_URL="our_mail.refusing:Mailer")
    assert result.exit_code == 69
    assert result.stderr == "identity: not sent: no such mailbox\n"


def test_a_test_mail_to_what_is_no_address_is_refused() -> None:
    result = identity("mail-test", "john")
    assert result.exit_code == 65
    assert result.stderr == "identity: Enter a valid email address.\n"


def test_deliver_mail_once_sends_what_is_due_and_stops() -> None:
    create_john()
    ask_for_a_reset("john@example.com")
    assert succeeds("deliver-mail", "--once", IDENTITY_MAIL_URL="directory:mail") == (
        "Mails: 1 sent, 0 dropped, 0 deferred, 0 dead.\n"
    )
    (mail,) = mails()
    assert b"http://localhost:3000/reset-password/MQ/" in mail.read_bytes().replace(b"=\n", b"")
    assert succeeds("deliver-mail", "--once", IDENTITY_MAIL_URL="directory:mail") == (
        "Mails: 0 sent, 0 dropped, 0 deferred, 0 dead.\n"
    )
    assert len(mails()) == 1


def test_deliver_mail_once_keeps_what_it_cannot_send(dead_port: int) -> None:
    create_john()
    ask_for_a_reset("john@example.com")
    result = identity("deliver-mail", "--once", IDENTITY_MAIL_URL=f"smtp://127.0.0.1:{dead_port}")
    assert (result.exit_code, result.stdout) == (75, "Mails: 0 sent, 0 dropped, 1 deferred, 0 dead.\n")
    assert is_mail_waiting()


def test_deliver_mail_goes_on_until_it_is_told_to_stop() -> None:
    create_john()
    ask_for_a_reset("john@example.com")
    variables = os.environ | {"IDENTITY_MAIL_URL": "directory:mail"}
    with subprocess.Popen([IDENTITY, "deliver-mail"], env=variables, stderr=subprocess.PIPE) as process:
        try:
            deadline = time.monotonic() + 30
            while not mails() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            assert len(mails()) == 1
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            _, log = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, b"Traceback" in log) == (0, False)
    assert not is_mail_waiting()


# The database


def test_migrate_says_whether_it_had_anything_to_do() -> None:
    assert succeeds("migrate") == "The schema is up to date now.\n"
    assert succeeds("migrate") == "The schema was up to date already.\n"
    assert stat.S_IMODE(Path("identity.db").stat().st_mode) == 0o600


def test_a_database_that_does_not_answer_is_reported_in_one_line() -> None:
    Path("identity.db").write_text("this is no database, and was never one" * 100, encoding="utf-8")
    for command in ("migrate", "purge", "serve", "deliver-mail"):
        result = identity(command)
        assert result.exit_code == 69
        (line,) = result.stderr.splitlines()
        assert line.startswith("identity: cannot use the database: ")


def test_another_secret_than_that_of_the_database_is_reported_in_one_line() -> None:
    create_john()
    result = identity("serve", IDENTITY_SECRET="another-secret-of-at-least-32-bytes!")
    assert result.exit_code == 78
    (line,) = result.stderr.splitlines()
    assert "do not open with this secret" in line


def test_a_database_of_a_newer_version_is_refused_in_one_line() -> None:
    create_john()
    with closing(sqlite3.connect("identity.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    for command in ("migrate", "serve"):
        result = identity(command)
        assert result.exit_code == 78
        (line,) = result.stderr.splitlines()
        assert line.startswith("identity: the database was migrated by a newer version of identity: ")


def test_a_secret_that_is_lost_is_missed_and_not_replaced() -> None:
    create_john()
    Path("identity.secret").unlink()
    result = identity("serve")
    assert result.exit_code == 78
    assert "identity.secret is missing" in result.stderr
    assert not Path("identity.secret").exists()


@pytest.mark.parametrize("content", [b"", b"short\n", b"\xff" * 40])
def test_a_secret_file_without_a_good_secret_is_refused(content: bytes) -> None:
    Path("identity.secret").touch(mode=0o600)
    Path("identity.secret").write_bytes(content)
    result = identity("serve")
    assert result.exit_code == 78
    assert "the secret in identity.secret" in result.stderr


def test_a_secret_file_that_others_may_read_is_refused() -> None:
    create_john()
    assert stat.S_IMODE(Path("identity.secret").stat().st_mode) == 0o600
    Path("identity.secret").chmod(0o644)
    result = identity("serve")
    assert result.exit_code == 78
    assert "chmod 600" in result.stderr


def test_a_template_that_is_wrong_is_found_at_the_start() -> None:
    Path("templates/en").mkdir(parents=True)
    Path("templates/en/password_reset.txt").write_text("Subject: x\n\n{{ nope }}\n", encoding="utf-8")
    result = identity("serve", IDENTITY_TEMPLATES="templates")
    assert result.exit_code == 78
    assert "password_reset.txt" in result.stderr


def previews(directory: str) -> set[str]:
    return {str(path.relative_to(directory)) for path in Path(directory).rglob("*.*")}


def test_mail_preview_writes_every_mail_in_every_locale_and_a_page_that_links_them() -> None:
    told = succeeds("mail-preview")
    mails = {f"{locale}/{kind.name()}" for locale in ("de", "en") for kind in kinds_of_mail()}
    files = {f"{mail}.{ending}" for mail in mails for ending in ("html", "txt")}
    assert previews("mail-preview") == files | {"index.html"}
    assert told == f"{len(mails)} mails: {Path('mail-preview/index.html').resolve().as_uri()}\n"
    index = Path("mail-preview/index.html").read_text("utf-8")
    assert set(re.findall('href="([^"]*)"', index)) == files
    assert "Ihr Passwort für Identity wurde geändert" in index
    text = Path("mail-preview/de/password_reset.txt").read_text("utf-8")
    assert text.startswith("Subject: Passwort für Identity zurücksetzen\n\nGuten Tag john_doe,\n")
    assert Path("mail-preview/en/test.html").read_text("utf-8").startswith("<!doctype html>")
    assert not Path("identity.db").exists()


def test_mail_preview_uses_the_deployment_s_own_templates_and_may_be_of_one_locale() -> None:
    Path("templates/de").mkdir(parents=True)
    Path("templates/de/test.txt").write_text("Subject: <b>Probe</b>\n\n{{ service }}\n", encoding="utf-8")
    variables = {"IDENTITY_TEMPLATES": "templates", "IDENTITY_SERVICE_NAME": "Acme & Co"}
    succeeds("mail-preview", "a/folder", "--locale", "de-AT", **variables)
    assert {path.partition("/")[0] for path in previews("a/folder")} == {"de", "index.html"}
    assert Path("a/folder/de/test.txt").read_text("utf-8") == "Subject: <b>Probe</b>\n\nAcme & Co\n"
    assert "&lt;b&gt;Probe&lt;/b&gt;" in Path("a/folder/index.html").read_text("utf-8")


def test_mail_preview_says_which_locales_there_are() -> None:
    result = identity("mail-preview", "--locale", "fr")
    assert (result.exit_code, result.stderr) == (
        65,
        "identity: there are no templates in fr, only in de, en\n",
    )
    assert not Path("mail-preview").exists()


def test_mail_preview_into_what_is_no_folder_is_refused() -> None:
    Path("mail-preview").touch()
    assert identity("mail-preview").exit_code == 2
    Path("mail").mkdir()
    Path("mail/en").touch()
    assert identity("mail-preview", "mail").exit_code == 78


def test_a_default_locale_that_there_are_no_templates_in_is_found_at_the_start() -> None:
    result = identity("serve", IDENTITY_DEFAULT_LOCALE="fr")
    assert result.exit_code == 78
    assert "IDENTITY_DEFAULT_LOCALE fr: there are mail templates in de, en only" in result.stderr


@pytest.mark.parametrize("command", ["serve", "mail-test john@example.com", "deliver-mail --once"])
def test_a_sender_whose_domain_is_none_is_a_wrong_setting(command: str) -> None:
    result = identity(*command.split(), IDENTITY_MAIL_FROM="x <a@☃.example>")
    assert result.exit_code == 78
    assert result.stdout == ""
    assert "IDENTITY_MAIL_FROM" in result.stderr


def test_a_mailer_class_that_cannot_send_is_refused() -> None:
    result = identity("serve", IDENTITY_MAIL_URL="collections.abc:Sized")
    assert result.exit_code == 78
    result = identity("serve", IDENTITY_MAIL_URL="identity.adapters.system:SystemClock")
    assert result.exit_code == 78
    assert "has no `async def send(self, message)`" in result.stderr


def test_purge_tells_what_it_deleted() -> None:
    def deleted(count: int) -> str:
        return (
            f"{count} sessions, {count} devices, {count} one time tokens, {count} login codes, "
            f"0 dead letters, {count} rate limits, 0 reservations, 0 audit events, "
            "0 accounts"
        )

    assert succeeds("purge") == f"Deleted {deleted(0)}.\n"
    expire_one_of_each()
    one = deleted(1)
    assert succeeds("purge") == f"Deleted {one}.\n"


def test_purge_tells_what_it_deleted_as_json() -> None:
    create_john()
    expire_one_of_each(user_id=1)
    for count in (1, 0):
        kinds = ["sessions", "devices", "one_time_tokens", "login_codes", "rate_limits"]
        none = dict.fromkeys(["dead_letters", "reservations", "audit_events", "accounts"], 0)
        assert json.loads(succeeds("purge", "--json")) == dict.fromkeys(kinds, count) | none


def expire_one_of_each(user_id: int = 1) -> None:
    """As if somebody had failed to log in, logged in, and asked for a reset and a code, 100 days ago."""

    async def add(container: Container) -> None:
        long_ago = container.clock().now() - timedelta(days=100)
        async with container.begin()() as uow:
            await uow.sessions.add(
                Session(
                    id="0" * 32,
                    user_id=user_id,
                    current="1" * 32,
                    created_at=long_ago,
                    last_used_at=long_ago,
                    expires_at=long_ago + timedelta(days=30),
                )
            )
            await uow.devices.see(user_id, UNKNOWN_CLIENT.device, at=long_ago, since=long_ago)
            await uow.one_time_tokens.add(
                OneTimeToken(
                    digest=Secret("long ago").digest(),
                    purpose=Purpose.RESET_PASSWORD,
                    user_id=user_id,
                    email_key="john@example.com",
                    intent_id="2" * 32,
                    created_at=long_ago,
                    expires_at=long_ago + timedelta(hours=1),
                )
            )
            await uow.login_codes.add(
                LoginCode(
                    request=Secret("long ago").digest(),
                    email_key="john@example.com",
                    created_at=long_ago,
                    expires_at=long_ago + timedelta(minutes=10),
                )
            )
        of_address = container.buckets().of_request(Request.REGISTER, Client(address="192.0.2.7"))
        await container.limiter().count(of_address, at=long_ago)

    if stored_user("john_doe") is None:
        create_john()
    in_the_house(add)
