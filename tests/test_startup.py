"""What is checked before the service opens a socket, where the command line's tests do not reach."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dependency_injector.providers import Object

from identity.adapters.memory import MemoryStorage
from identity.application.ports import Schema, SchemaTooNew
from identity.container import Container, build_container
from identity.container.hashing import AHEAD, hashing_turns
from identity.entrypoints.server import SchemaOutdated, prepare
from identity.settings import Settings, SettingsError


class OldSchema:
    """Of a server database, which more than one version may be using."""

    def __init__(self) -> None:
        self.upgrades = 0

    async def is_current(self) -> bool:
        return self.upgrades > 0

    async def upgrade(self) -> None:
        self.upgrades += 1


class ContractedSchema(OldSchema):
    """A newer version has taken away what this one needs."""

    async def is_current(self) -> bool:
        raise SchemaTooNew("its revision is 0009_0009")


class ExpandedSchema(OldSchema):
    """A newer version has migrated it, and left all that this one needs."""

    async def is_current(self) -> bool:
        return True


def service_on(database_url: str, *, schema: Schema, auto_migrate: bool = False) -> Container:
    """The settings are of that database, the storage is memory."""
    container = build_container(Settings(database_url=database_url, auto_migrate=auto_migrate))
    container.storage.override(Object(MemoryStorage()))
    container.schema.override(Object(schema))
    return container


async def test_an_old_schema_of_a_server_database_is_left_to_the_operator() -> None:
    schema = OldSchema()
    with pytest.raises(SchemaOutdated) as refused:
        await prepare(service_on("postgresql://db/identity", schema=schema))
    assert "\n" not in str(refused.value)
    assert "identity migrate" in str(refused.value)
    assert schema.upgrades == 0


async def test_unless_it_is_to_be_migrated_at_the_start() -> None:
    schema = OldSchema()
    await prepare(service_on("postgresql://db/identity", schema=schema, auto_migrate=True))
    assert schema.upgrades == 1


async def test_the_embedded_database_is_migrated_at_the_start(tmp_path: Path) -> None:
    schema = OldSchema()
    await prepare(service_on(f"sqlite:///{tmp_path}/identity.db", schema=schema))
    assert schema.upgrades == 1


def test_attempts_are_counted_ahead_of_a_hasher_that_keeps_to_its_slots_and_of_no_other() -> None:
    assert hashing_turns(Settings(), 3) == 3 + AHEAD
    assert hashing_turns(Settings(hasher="package.module:Class"), 3) == 3


@pytest.mark.parametrize("sender", ["", "nobody", "a@b.example, c@d.example", "a@-ü.example"])
def test_a_sender_that_is_not_one_address_is_a_wrong_setting(sender: str) -> None:
    with pytest.raises(SettingsError, match="IDENTITY_MAIL_FROM"):
        build_container(Settings(mail_from=sender)).renderer()


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "Identity"),
        ({"mail_from": "Acme Cloud <no-reply@acme.example>"}, "Acme Cloud"),
        ({"mail_from": "no-reply@acme.example"}, "acme.example"),
        ({"mail_from": "Acme Cloud <no-reply@acme.example>", "service_name": "Acme ID"}, "Acme ID"),
    ],
)
def test_a_service_is_called_what_it_is_told_or_else_as_its_sender(
    settings: dict[str, str], name: str
) -> None:
    assert build_container(Settings(**settings)).service_name() == name


# A third party's adapter

MODULE = """
class Whole:
    async def hash(self, password): return "hash"
    async def verify(self, password, password_hash): return False
    def needs_rehash(self, password_hash): return False
    async def send(self, message): pass

class WithoutHash(Whole):
    hash = None

class BlockingVerify(Whole):
    def verify(self, password, password_hash): return False

class AsyncNeedsRehash(Whole):
    async def needs_rehash(self, password_hash): return False

class BlockingSend(Whole):
    def send(self, message): pass

class TakesArguments(Whole):
    def __init__(self, cost): pass

class Unset(Whole):
    def __init__(self): raise ValueError("ACME_TOKEN is missing,\\nset it")

class Missing(Whole):
    def __init__(self): {}["ACME_TOKEN"]

class ForeignError(Exception): pass

class Talkative(Whole):
    def __init__(self): raise ForeignError("cannot log in with canary-7Gd2")

class Sealed(ForeignError, ValueError): pass

class TalkativeValue(Whole):
    def __init__(self): raise Sealed("cannot log in with canary-7Gd2")
"""


@pytest.fixture
def acme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "acme_at_the_start"
    folder.mkdir()
    (folder / "adapters.py").write_text(MODULE, encoding="utf-8")
    (folder / "broken.py").write_text("import no_such_package\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.startswith("acme_at_the_start")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("adapters:WithoutHash", " has no `async def hash(self, password)`"),
        ("adapters:BlockingVerify", " has no `async def verify(self, password, password_hash)`"),
        ("adapters:AsyncNeedsRehash", " has no `def needs_rehash(self, password_hash)`"),
    ],
)
@pytest.mark.usefixtures("acme")
async def test_a_hasher_without_a_method_of_its_port_ends_the_start(path: str, reason: str) -> None:
    assert await the_start_s_end(hasher=f"acme_at_the_start.{path}") == (
        f"IDENTITY_HASHER acme_at_the_start.{path}{reason}"
    )


@pytest.mark.usefixtures("acme")
async def test_a_mailer_that_would_block_ends_the_start() -> None:
    path = "acme_at_the_start.adapters:BlockingSend"
    assert await the_start_s_end(mail_url=path) == (
        f"IDENTITY_MAIL_URL {path} has no `async def send(self, message)`"
    )


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("adapters:Nobody", "AttributeError: module 'acme_at_the_start.adapters' has no attribute 'Nobody'"),
        ("nowhere:Whole", "No module named 'acme_at_the_start.nowhere'; is it installed, or its folder in"),
        ("broken:Whole", "No module named 'no_such_package'; is it installed, or its folder in PYTHONPATH?"),
        ("adapters:Unset", r"ACME_TOKEN is missing,\nset it"),
        ("adapters:Missing", "KeyError: 'ACME_TOKEN'"),
        ("adapters:TakesArguments", "TypeError: "),
        ("adapters:Talkative", "ForeignError"),
        ("adapters:TalkativeValue", "Sealed"),
    ],
)
@pytest.mark.parametrize("setting", ["hasher", "mail_url"])
@pytest.mark.usefixtures("acme")
async def test_an_adapter_that_cannot_be_made_ends_the_start_in_one_line_without_a_secret(
    setting: str, path: str, reason: str
) -> None:
    line = await the_start_s_end(**{setting: f"acme_at_the_start.{path}"})
    assert line.startswith(f"IDENTITY_{setting.upper()} acme_at_the_start.{path}: {reason}")
    assert line.isprintable()
    assert "canary" not in line


async def the_start_s_end(**settings: str) -> str:
    """The one problem for which the service does not start; nothing has been done by then."""
    schema = OldSchema()
    container = build_container(Settings(database_url="memory:", **settings))
    container.schema.override(Object(schema))
    with pytest.raises(SettingsError) as refused:
        await prepare(container)
    assert schema.upgrades == 0
    (line,) = refused.value.problems
    return line


@pytest.mark.usefixtures("acme")
async def test_adapters_with_every_method_are_taken() -> None:
    path = "acme_at_the_start.adapters:Whole"
    container = build_container(Settings(database_url="memory:", hasher=path, mail_url=path))
    await prepare(container)
    assert type(container.hasher()).__name__ == type(container.mailer()).__name__ == "Whole"
    assert container.hasher() is container.log_in().hasher


@pytest.mark.parametrize("python_path", [{}, {"PYTHONPATH": "."}])
def test_the_command_finds_an_adapter_in_its_folder_only_by_the_import_path(
    tmp_path: Path, python_path: dict[str, str]
) -> None:
    """Or whoever can write to the folder that the service is started in could choose what it runs."""
    (tmp_path / "acme").mkdir()
    (tmp_path / "acme" / "adapters.py").write_text(MODULE, encoding="utf-8")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("IDENTITY_", "PYTHONPATH"))}
    chosen = {"IDENTITY_HASHER": "acme.adapters:Whole", "IDENTITY_DATABASE_URL": "memory:"}
    run = subprocess.run(
        [Path(sys.executable).with_name("identity"), "deliver-mail", "--once"],
        cwd=tmp_path,
        env=inherited | chosen | python_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if python_path:
        assert (run.returncode, run.stderr) == (0, "")
    else:
        assert run.returncode == 78
        assert run.stderr.splitlines()[1:] == [
            "  - IDENTITY_HASHER acme.adapters:Whole: No module named 'acme'; "
            "is it installed, or its folder in PYTHONPATH?"
        ]


@pytest.mark.parametrize("auto_migrate", [False, True])
@pytest.mark.parametrize("database", ["postgresql://db/identity", "sqlite:///{folder}/identity.db"])
async def test_a_schema_that_a_newer_version_contracted_is_refused_and_left_alone(
    database: str, auto_migrate: bool, tmp_path: Path
) -> None:
    schema = ContractedSchema()
    url = database.format(folder=tmp_path)
    with pytest.raises(SchemaTooNew):
        await prepare(service_on(url, schema=schema, auto_migrate=auto_migrate))
    assert schema.upgrades == 0
    assert os.listdir(tmp_path) == []  # not even a secret was made


@pytest.mark.parametrize("auto_migrate", [False, True])
async def test_a_schema_that_a_newer_version_expanded_is_used_as_it_is(auto_migrate: bool) -> None:
    schema = ExpandedSchema()
    await prepare(service_on("postgresql://db/identity", schema=schema, auto_migrate=auto_migrate))
    assert schema.upgrades == 0
