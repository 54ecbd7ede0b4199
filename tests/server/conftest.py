"""The real command as a process of its own: real sockets, a real database and a real mail server."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.databases import Databases
from tests.server.commands import CHEAPLY, SECRET, Commands, Server
from tests.server.forked import Forker
from tests.server.mail_server import MailServer
from tests.server.service import eventually


@pytest.fixture(name="eventually", scope="session")
def eventually_fixture() -> Callable[[Callable[[], Any]], Any]:
    return eventually


@pytest.fixture(scope="module")
def kind() -> str:
    """Of the database. A module that runs on several is parametrised with it, in the scope of the module."""
    return "sqlite"


@pytest.fixture(scope="module")
def new_database(databases: Databases, kind: str) -> Callable[[], dict[str, object]]:
    """Makes a database without any table: the settings of a server that is to use it."""
    return lambda: _settings_for(databases.new(kind))


def _settings_for(url: str) -> dict[str, object]:
    for_a_server = {"secret": SECRET, "auto_migrate": "true"}
    return {"database_url": url, **({} if url.startswith("sqlite:") else for_a_server)}


@pytest.fixture(scope="session")
def forker() -> Iterator[Forker | None]:
    if not hasattr(os, "pidfd_open"):  # which only Linux has
        yield None
        return
    with contextlib.closing(Forker()) as forker:
        yield forker


@pytest.fixture
def commands(tmp_path: Path, databases: Databases, kind: str, forker: Forker | None) -> Iterator[Commands]:
    settings = {} if kind == "sqlite" else _settings_for(databases.migrated(kind))
    with Commands(tmp_path / "deployment", {**CHEAPLY, **settings}, forker) as commands:
        yield commands


@pytest.fixture(scope="module")
def shared_commands(
    tmp_path_factory: pytest.TempPathFactory,
    kind: str,
    new_database: Callable[[], dict[str, object]],
    forker: Forker | None,
) -> Iterator[Commands]:
    """For servers that several tests of a module use."""
    settings = {**CHEAPLY, **({} if kind == "sqlite" else new_database())}
    with Commands(tmp_path_factory.mktemp("shared") / "deployment", settings, forker) as commands:
        yield commands


@pytest.fixture
def serve(commands: Commands) -> Callable[..., Server]:
    return commands.serve


@pytest.fixture
def verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many passwords were verified so far, by servers with the hasher of counted_hasher.py."""
    file = tmp_path / "verified"
    file.touch()
    paths = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("VERIFIED", str(file))
    monkeypatch.setenv("HASHING_SECONDS", "0.01")
    return lambda: len(file.read_text(encoding="ascii").splitlines())


@pytest.fixture
def smtp() -> Iterator[MailServer]:
    with contextlib.closing(MailServer()) as server:
        server.start()
        yield server


@pytest.fixture(scope="module")
def shared_smtp(kind: str) -> Iterator[MailServer]:
    """For servers that several tests of a module use, on one kind of database."""
    with contextlib.closing(MailServer()) as server:
        server.start()
        yield server
