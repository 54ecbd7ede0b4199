"""What the documents say is true: the walks are run, the tables and numbers are compared with the code."""

from __future__ import annotations

import gzip
import inspect
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from importlib import import_module, resources
from pathlib import Path

import click
import pytest
from litestar import Litestar

from identity.adapters.jwt import keyring
from identity.application import audit, composing, email_change, export, signing_keys
from identity.application.registration import VERIFIED_WITHIN
from identity.application.sessions import DEVICES_REMEMBERED, USE_NOTED_EVERY
from identity.container import build_container
from identity.domain import login_code, signing_key
from identity.domain.errors import (
    DeliveryDeferred,
    DeliveryRefused,
    IdentityError,
    InvalidInput,
    MailDeferred,
    MailRefused,
    Throttled,
    Unavailable,
)
from identity.domain.events import vocabulary
from identity.domain.names import DISPLAY_NAME_LIMIT
from identity.domain.password_policy import PasswordPolicy
from identity.domain.session import SLIDES
from identity.entrypoints import cli, worker
from identity.entrypoints.http import body, connection
from identity.entrypoints.http import signing_keys as http_keys
from identity.entrypoints.http.app import create_app
from identity.entrypoints.http.errors import REFUSALS
from identity.settings import Settings, describe
from identity.testing.mailer import MailerConformance

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "identity"
IDENTITY = Path(sys.executable).with_name("identity")
SEARCH_PATH = os.pathsep.join([str(IDENTITY.parent), os.environ["PATH"]])  # finds our `identity` and python
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

# Where the README speaks of a module of `application` that has no heading of its own.
UNDER_ANOTHER_HEADING = {
    "audit": ("Audit log", "identity audit verify"),
    "calibration": ("Login", "identity calibrate"),
    "courier": ("Mail", "tries again"),
    "letters": ("Administration", "The outbox"),
    "copying": ("Databases", "identity copy-to"),
    "mail_preview": ("Mail", "identity mail-preview"),
    "composing": ("Mail", "notices of a kind"),
    "email_change": ("E-mail change", "confirm-email-change"),
    "login_code": ("Login by code", "IDENTITY_LOGIN_CODE"),
    "links": ("Throttling", "bad links"),
    "outbox": ("Mail", "outbox"),
    "own_sessions": ("Sessions", "revoke-others"),
    "deletion": ("My data", "/api/user/delete/"),
    "audit_reading": ("Administration", "admin/audit/"),
    "outbox_administration": ("Administration", "dead letter"),
    "user_administration": ("Administration", "force-reset"),
    "export": ("My data", "/api/user/export/"),
    "health": ("Running it", "/health/ready"),
    "housekeeping": ("Commands", "identity purge"),
    "verification": ("E-mail verification", "verify-email"),
    "signing_keys": ("Keys", "identity keys rotate"),
}
NO_FEATURES = {"__init__", "ports", "conflicts"}


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", _without_blocks(text), re.MULTILINE)


def section(title: str) -> str:
    _, found, rest = README.partition(f"\n## {title}\n")
    assert found, f"the README has no heading {title}"
    return rest.partition("\n## ")[0]


def blocks(title: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", section(title), re.MULTILINE | re.DOTALL)


def table(title: str) -> list[tuple[str, ...]]:
    """The rows of the section's only table, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    rows = [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines]
    head, rule, *rest = rows
    assert set("".join(rule)) <= set("-|"), f"{title}: not one table"
    assert {len(row) for row in rest} == {len(head)}
    return rest


def flowing(text: str) -> str:
    """The text as one line, so that a phrase is found wherever it wraps."""
    return " ".join(text.split())


def _without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def environment(**more: str) -> dict[str, str]:
    """As a deployer's shell has it before anything is set."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("IDENTITY_", "PYTEST_"))}
    return inherited | more


# The walks


class Serving:
    """`identity serve`, or another command that ends in it, with what it has printed so far."""

    def __init__(self, directory: Path, folder: Path, command: Sequence[str | Path], **more: str) -> None:
        directory.mkdir()
        self.output, self.log = directory / "stdout", directory / "stderr"
        with self.output.open("wb") as output, self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=folder, env=environment(IDENTITY_PORT="0", **more), stdout=output, stderr=log
            )

    def address(self) -> str:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(r"running on (http://127\.0\.0\.1:\d+)", self.log.read_text(encoding="utf-8"))
            if found:
                return found[1]
            time.sleep(0.05)
        raise AssertionError(f"the server did not start: {self.log.read_text(encoding='utf-8')}")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    empty = tmp_path / "started here"
    empty.mkdir()
    service = Serving(tmp_path / "service", empty, [IDENTITY, "serve"])
    try:
        yield service
    finally:
        service.process.kill()
        service.process.wait()


@pytest.mark.skipif(
    "CI" not in os.environ and not (shutil.which("bash") and shutil.which("curl")),
    reason="needs bash and curl",
)
def test_the_walk_with_curl_answers_what_its_comments_say(serving: Serving, tmp_path: Path) -> None:
    walk = "".join(blocks("A walk through it", "sh"))
    wait_for_the_link = (
        'until link=$(grep -om1 "http://localhost:3000/reset-password/[^ ]*" "$PRINTED"); do sleep 0.1; done'
    )
    script, links = re.subn(r"^link=http.*\.\.\.$", wait_for_the_link, walk, flags=re.MULTILINE)
    assert links == 1
    script, addresses = re.subn(r"http://127\.0\.0\.1:8000\b", serving.address(), script)
    assert addresses == 1
    options = 'write-out = "\\n"\nnoproxy = "*"\n'  # an answer does not end its line
    (tmp_path / ".curlrc").write_text(options, encoding="utf-8")

    run = subprocess.run(
        ["bash", "-c", f"set -eu\n{script}"],
        env=environment(PRINTED=str(serving.output), CURL_HOME=str(tmp_path), PATH=SEARCH_PATH),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (run.returncode, run.stderr) == (0, "")
    promised = [line.removeprefix("# ") for line in walk.splitlines() if line.startswith("# {")]
    answers = run.stdout.splitlines()
    assert len(answers) == len(promised) > 0
    for answer, promise in zip(answers, promised, strict=True):
        is_beginning = promise.endswith(",")
        assert answer.startswith(promise) if is_beginning else answer == promise
    assert serving.stop() == 0


def test_the_walk_leaves_out_no_endpoint_of_the_original_api() -> None:
    walk = "".join(blocks("A walk through it", "sh"))
    for endpoint in ("register", "login", "token/refresh", "logout", "forgot-password", "reset-password"):
        assert f"$api/auth/{endpoint}/" in walk
    for endpoint in ("profile", "change-password"):
        assert f"$api/user/{endpoint}/" in walk


def test_the_python_block_prints_what_its_comment_says(tmp_path: Path) -> None:
    (block,) = blocks("From Python", "python")
    promised = re.findall(r"^print\(.*\)  # (.*)$", block, re.MULTILINE)
    run = subprocess.run(
        [sys.executable, "-c", block],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stderr == ""
    assert run.stdout.splitlines() == promised != []
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """A folder with nothing but the files of "Write an adapter"; each block begins with its file's name."""
    folder = tmp_path / "adapter"
    for block in blocks("Write an adapter", "python"):
        name = re.match(r"# ([\w/]+\.py)\n", block)
        assert name
        path = folder / name[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block, encoding="utf-8")
    return folder


def kit_outcomes(output: str) -> dict[str, str]:
    """What became of each test, from the output of `pytest -v`."""
    return dict(
        re.findall(r"^test_mail\.py::TestMailer::(\w+) (PASSED|SKIPPED|FAILED|ERROR)", output, re.MULTILINE)
    )


def kit_tests(*, that_take: str = "self") -> set[str]:
    functions = inspect.getmembers(MailerConformance, inspect.isfunction)
    tests = {name: function for name, function in functions if name.startswith("test_")}
    return {name for name, function in tests.items() if that_take in inspect.signature(function).parameters}


@pytest.mark.skipif("CI" not in os.environ and not shutil.which("bash"), reason="needs bash")
def test_the_walk_to_an_adapter_of_one_s_own_passes_the_kit_and_starts_the_service(
    adapter: Path, tmp_path: Path
) -> None:
    (walk,) = blocks("Write an adapter", "sh")
    assert re.search(r"^pip install '\S+\[testing\]'", walk, re.MULTILINE)
    script = f"pip() {{ :; }}\n{walk}"  # what it would install is here
    script, served = re.subn(r"^identity serve$", "exec identity serve", script, flags=re.MULTILINE)
    assert served == 1
    command = ["bash", "-c", f"set -eu\n{script}"]
    service = Serving(tmp_path / "service", adapter, command, PATH=SEARCH_PATH, PYTEST_ADDOPTS="-v")
    try:
        service.address()
        printed = service.output.read_text("utf-8")
        assert service.stop() == 0
        logged = service.log.read_text("utf-8")
    finally:
        service.process.kill()
        service.process.wait()

    skipped = kit_tests(that_take="mailer_that_is_refused")  # nobody refuses a file
    assert kit_outcomes(printed) == {name: "SKIPPED" if name in skipped else "PASSED" for name in kit_tests()}
    assert "A test mail to you@example.com was handed over." in printed
    (mail,) = (adapter / "mail").iterdir()
    assert json.loads(mail.read_text("utf-8"))["to"] == "you@example.com"
    assert "mail by acme.mail:Mailer" in logged


@pytest.mark.parametrize(
    ("line", "instead", "found_by"),
    [
        ("await asyncio.to_thread(.*)", "pass", "test_a_mail_that_is_handed_over_arrives"),
        (
            "if any(.*):",
            "if False:",
            "test_a_line_break_in_a_header_is_refused_and_nothing_leaves",
        ),
        (
            "except OSError as error:",
            "except KeyError as error:",
            "test_a_mail_to_a_server_that_is_not_there_is_deferred_without_its_link",
        ),
    ],
    ids=["returns without sending", "believes every header", "raises what nobody expects"],
)
def test_a_broken_adapter_of_one_s_own_fails_the_kit(
    adapter: Path, line: str, instead: str, found_by: str
) -> None:
    module = adapter / "acme" / "mail.py"
    source, changed = re.subn(line, instead, module.read_text("utf-8"))
    assert changed == 1
    module.write_text(source, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "test_mail.py"],
        cwd=adapter,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == pytest.ExitCode.TESTS_FAILED
    outcomes = kit_outcomes(run.stdout)
    assert outcomes.keys() == kit_tests()
    assert outcomes[found_by] == "FAILED"


def test_the_examples_that_the_readme_names_are_all_that_there_are() -> None:
    named = set(re.findall(r"\]\((examples/[\w/]+\.py)\)", README))
    assert named == {path.relative_to(ROOT).as_posix() for path in (ROOT / "examples").rglob("*.py")}


def test_the_readme_begins_with_the_two_commands_and_the_makefile_has_them() -> None:
    first = re.search(r"^```sh\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert first
    assert [line.split("#")[0].strip() for line in first[1].splitlines()] == ["make serve", "make test"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"^(serve|test):", makefile, re.MULTILINE) == ["serve", "test"]


# The tables


def test_the_settings_table_is_that_of_the_code() -> None:
    expected = [
        (f"`{row.name}`", f"`{row.default}`" if row.default else "none", row.meaning)
        for row in describe(Settings())
    ]
    assert table("Settings") == expected


def test_every_variable_that_a_document_names_is_a_setting() -> None:
    known = {row.name for row in describe(Settings())}
    for name in (*DOCUMENTS, "Makefile", ".ci/run"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert set(re.findall(r"IDENTITY_[A-Z0-9_]*[A-Z0-9]", text)) <= known, name


@pytest.fixture(scope="module")
def app() -> Litestar:
    return create_app(build_container(Settings(database_url="memory:", login_code=True)))


def test_the_routes_table_is_that_of_the_app(app: Litestar) -> None:
    described = {
        f"{method.upper()} {path}": operation["summary"]
        for path, item in app.openapi_schema.to_schema()["paths"].items()
        for method, operation in item.items()
        if method in {"get", "post", "put", "patch", "delete"}
    }
    in_the_readme = dict(table("Routes"))
    about_the_api = {row: text for row, text in in_the_readme.items() if row.startswith("GET /api/schema/")}
    assert {row: text for row, text in in_the_readme.items() if row not in about_the_api} == described
    assert set(about_the_api) == {"GET /api/schema/", "GET /api/schema/openapi.json"}


def test_the_routes_table_leaves_out_nothing_that_the_app_answers(app: Litestar) -> None:
    served = {
        (method, route.path.replace(":str}", "}"))
        for route in app.routes
        for handler in getattr(route, "route_handlers", [])
        for method in handler.http_methods
        if method not in {"HEAD", "OPTIONS"} and not (handler.name or "").endswith("other methods")
    }
    served.discard(("GET", "/api/schema/{path}"))  # the framework's own "not found" below the schema
    told = {tuple(row.split(" ")) for row, _ in table("Routes")}
    assert served == {(method, path.rstrip("/")) for method, path in told}


def test_every_path_that_the_readme_names_is_a_route() -> None:
    told = {row.split(" ")[1] for row, _ in table("Routes")}
    named = {path.rstrip(".") for path in re.findall(r"(?<![\w.])/(?:api|health)/[\w/.-]+", README)}
    named |= {f"/api/{path}" for path in re.findall(r"\$api/([\w/-]+)", README)}
    served = [re.compile(re.sub(r"\{\w+\}", r"[\\w-]+", path)) for path in told]
    assert not {path for path in named if not any(each.fullmatch(path) for each in served)}


def refusals() -> Iterator[tuple[type[IdentityError], IdentityError]]:
    """A sample of each kind that reaches a client."""
    fields = {"username": ["This field is required."], "email": ["Enter a valid email address."]}
    for kind in REFUSALS:
        if issubclass(kind, InvalidInput):
            yield kind, kind(fields)
        elif issubclass(kind, Throttled):
            yield kind, kind(timedelta(minutes=1))
        elif issubclass(kind, Unavailable):
            yield kind, kind("the database")
        else:
            yield kind, kind()


def test_the_errors_table_is_that_of_the_code() -> None:
    expected = []
    for kind, sample in refusals():
        refusal = REFUSALS[kind](sample)
        expected.append((f"`{kind.code}`", str(refusal.status), refusal.body))
    told = [(code, status, json.loads(text.strip("`"))) for code, status, text in table("Errors")]
    assert told == expected


def kinds_of_refusal(kind: type[IdentityError] = IdentityError) -> Iterator[type[IdentityError]]:
    for child in kind.__subclasses__():
        yield child
        yield from kinds_of_refusal(child)


def test_every_refusal_that_can_reach_a_client_is_in_the_errors_table() -> None:
    for module in PACKAGE.rglob("*.py"):
        if "migrations" not in module.parts and not module.stem.startswith("__"):
            import_module(".".join(module.relative_to(PACKAGE.parent).with_suffix("").parts))
    ours = {kind for kind in kinds_of_refusal() if kind.__module__.startswith("identity.")}
    of_deliveries = {DeliveryDeferred, DeliveryRefused, MailDeferred, MailRefused}
    assert of_deliveries < ours
    assert {kind for kind in ours if not set(kind.__mro__) & set(REFUSALS)} == of_deliveries
    told = {code.strip("`") for code, _, _ in table("Errors")}
    assert {kind.code for kind in ours - of_deliveries} == told


def test_the_commands_table_is_that_of_the_command_line() -> None:
    context = click.Context(cli.main)
    assert isinstance(cli.main, click.Group)
    commands: dict[str, click.Command] = {}
    for name, command in cli.main.commands.items():
        below = command.commands.items() if isinstance(command, click.Group) else ()
        commands |= {f"{name} {part}": each for part, each in below} or {name: command}
    expected = {}
    for name, command in commands.items():
        arguments = [p.make_metavar(context) for p in command.params if isinstance(p, click.Argument)]
        options = {option for p in command.params if isinstance(p, click.Option) for option in p.opts}
        expected[" ".join(["identity", name, *arguments])] = options
    rows = {command.strip("`"): text for command, text in table("Commands")}
    assert list(rows) == list(expected)
    for command, text in rows.items():
        assert set(re.findall(r"--[a-z-]+", text)) <= expected[command]


def test_the_commands_section_names_the_variable_and_the_statuses_of_the_code() -> None:
    text = flowing(section("Commands"))
    assert f"`{cli.PASSWORD_VARIABLE}`" in text
    assert f"Exit status {cli.EX_DATAERR} means bad input" in text
    assert f"{cli.EX_UNAVAILABLE} that something outside does not work" in text
    assert f"{cli.EX_TEMPFAIL} that mail or a webhook did not go out now" in text
    assert f"{cli.EX_CONFIG} that a setting, a file or the schema is wrong" in text


# The prose


def test_the_vocabulary_of_the_audit_log_is_that_of_the_code() -> None:
    expected = {
        (f"`{kind}`", flowing(event.__doc__ or ""))
        for kind, event in vocabulary().items()
        if event.__module__ == "identity.domain.events"
    }
    rows = table("Audit log")
    assert set(rows) == expected
    assert len(rows) == len(expected)
    refusals = {kind for kind, event in vocabulary().items() if event.result == "refused"}
    assert refusals == {"LoginRefused", "PasswordRefused"}


def test_every_feature_has_a_heading_in_the_readme() -> None:
    titles = {title.lower() for title in headings(README)}
    features = {path.stem for path in (PACKAGE / "application").glob("*.py")} - NO_FEATURES
    assert {"registration", "login", "sessions", "passwords", "mail"} <= features
    for feature in sorted(features - titles):
        assert feature in UNDER_ANOTHER_HEADING, f"{feature} has no heading"
        title, word = UNDER_ANOTHER_HEADING[feature]
        assert word in section(title)


def test_the_house_is_drawn_as_it_stands() -> None:
    (drawing,) = blocks("The house", "")
    told = set(re.findall(r"^  (\w+(?:/|\.py)) ", drawing, re.MULTILINE))
    rooms = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in PACKAGE.iterdir()
        if path.name not in {"__pycache__", "__init__.py", "__main__.py", "py.typed", "app"}  # which is built
    }
    assert told == rooms


def spelled(number: int) -> str:
    words = {1: "one", 2: "two", 3: "three", 5: "five", 7: "seven", 8: "eight", 10: "ten", 12: "twelve"}
    return {**words, 30: "thirty"}[number]


def common_passwords() -> int:
    packed = resources.files("identity.adapters").joinpath("common_passwords.txt.gz").read_bytes()
    return len(set(gzip.decompress(packed).decode().split("\n")) - {""})


def phrases() -> Sequence[str]:
    """Each number that the README quotes, in its words, made from the code's constant."""
    defaults, policy = Settings(), PasswordPolicy()
    second, minute, hour, day = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
    max_age = int(http_keys.CACHE_CONTROL.rpartition("=")[2])
    assert day == signing_key.PUBLISHED_AHEAD
    assert 5 * second > keyring.RELOADED_EVERY
    assert defaults.reuse_window == minute
    assert minute == USE_NOTED_EVERY
    assert defaults.reset_lifetime == hour
    assert day == composing.LINKS_COUNTED_FOR
    assert defaults.shutdown_delay == timedelta(seconds=1)
    assert hour.total_seconds() == worker.HOURLY
    assert minute.total_seconds() == worker.EVERY_MINUTE
    return (
        f"http://{defaults.host}:{defaults.port}/api/schema/",
        f"{policy.shortest} to {policy.longest} characters",
        f"none of {common_passwords():,} common ones",
        f"An access token lasts {spelled(defaults.access_lifetime // minute)} minutes",
        f"unused for {spelled(defaults.refresh_idle // day)} days",
        f"or {spelled(defaults.refresh_lifetime // day)} days old",
        f"An account has at most {defaults.sessions_per_account};",
        "retired more than a minute ago",
        f"same new token is given, for {spelled(SLIDES * defaults.reuse_window // minute)} minutes in all",
        "(noted once a minute)",
        f"not seen for {DEVICES_REMEMBERED.days} days",
        f"reads them again every {spelled(keyring.RELOADED_EVERY // second)} seconds",
        f"a key signs for {defaults.key_rotation // day} days",
        f"with `--now` the next one signs in {spelled(signing_keys.HEARD_OF // second)} seconds",
        f"may be kept for {spelled(max_age // 60)} minutes",
        f"good until it expires, {spelled(defaults.access_lifetime // minute)} minutes at most",
        "good once and for an hour",
        f"good once and for {spelled(defaults.verify_email_lifetime // day)} days",
        f"kept for {spelled(VERIFIED_WITHIN // day)} days either way",
        f"one line of at most {DISPLAY_NAME_LIMIT} characters",
        f"`POST /api/auth/confirm-email-change/`, within {email_change.CONFIRMED_WITHIN // hour} hours",
        f"undoes the change, good for {email_change.UNDONE_WITHIN // hour} hours",
        f"by a code of {spelled(login_code.DIGITS)} digits",
        f"for {spelled(login_code.LIFETIME // minute)} minutes from the asking",
        f"and for {spelled(login_code.MOST_TRIES)} tries",
        f"at most {spelled(composing.LINKS_A_DAY)} are mailed to an account in a day",
        f"Within {spelled(int(worker.PAUSE))} seconds the first terminal prints the mail",
        f"began with a login less than {spelled(defaults.superuser_login_lifetime // hour)} hours ago",
        f"mailed a link, {spelled(composing.LINKS_A_DAY)} in a day at most",
        "the server does so every hour",
        f"{export.MOST_EVENTS:,} events and {export.MOST_SESSIONS:,} sessions at most",
        f"After {defaults.erasure_grace // day} days (`IDENTITY_ERASURE_GRACE`) the account is erased",
        f"seals what is older than {spelled(audit.SETTLED_AFTER // minute)} minutes",
        "a second later the listener closes",
        f"does not arrive within {body.TIME_LIMIT:.0f} seconds, 413 beyond {body.SIZE_LIMIT // 1024} KiB",
        f"{connection.HEAD_TIME_LIMIT:.0f} seconds and "
        f"{connection.HEAD_SIZE_LIMIT // 1024} KiB for a request's head",
        f"{body.TIME_LIMIT:.0f} seconds and {body.SIZE_LIMIT // 1024} KiB for its body",
        f"JSON {body.DEPTH_LIMIT} levels deep",
    )


@pytest.mark.parametrize("phrase", phrases())
def test_the_readme_quotes_the_numbers_of_the_code(phrase: str) -> None:
    assert phrase in flowing(README)


def anchors(path: Path) -> set[str]:
    """The fragments that a rendered document's headings can be reached by."""
    titles = headings(path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    text = _without_blocks((ROOT / document).read_text(encoding="utf-8"))
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    for target in targets:
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, fragment = target.partition("#")
        path = ROOT / name if name else ROOT / document
        assert path.is_file(), target
        assert not fragment or fragment in anchors(path), target


def test_contributing_is_short() -> None:
    assert len(CONTRIBUTING.splitlines()) < 60


def test_every_path_that_contributing_names_is_there() -> None:
    named = set(re.findall(r"(?<![\w<>/.-])((?:[\w.-]+/)+[\w.-]*)(?![\w<>/])", CONTRIBUTING))
    named |= set(re.findall(r"`(\w+\.py)`", CONTRIBUTING))
    named -= {".venv/bin/python"}  # stands there once `make` has run
    assert "domain/errors.py" in named
    rooms = (ROOT, PACKAGE, PACKAGE / "application", PACKAGE / "entrypoints" / "http", ROOT / "tests")
    missing = {name for name in named if not any((room / name).exists() for room in rooms)}
    assert missing <= {"test_passwords.py"}  # in each of the folders of tests/ that the sentence speaks of
    assert list((ROOT / "tests").rglob("test_passwords.py"))


def test_the_command_for_one_test_finds_tests() -> None:
    command = re.search(r"^\.venv/bin/python (-m pytest .*)$", CONTRIBUTING, re.MULTILINE)
    assert command
    run = subprocess.run(
        [sys.executable, *command[1].split(), "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
