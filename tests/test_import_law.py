"""Who may import whom, held to by reading every import statement there is.

An import counts wherever it stands: at the top, inside a function, under `TYPE_CHECKING`, relative, or as a
literal name given to `import_module`.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import identity

SOURCE = Path(identity.__file__).parent

# For each room, the first that fits: what of `identity` it may import, and which third parties.
LAW: dict[str, tuple[set[str], set[str]]] = {
    "domain": ({"domain"}, set()),
    "application": ({"application", "domain"}, set()),
    "adapters.argon2": ({"adapters.argon2", "application", "domain"}, {"argon2"}),
    "adapters.jwt": ({"adapters.jwt", "application", "domain"}, {"jwt", "cryptography"}),
    "adapters.mail": ({"adapters.mail", "application", "domain"}, {"aiosmtplib", "jinja2", "idna"}),
    "adapters.sql": (
        {"adapters.sql", "application", "domain"},
        {"sqlalchemy", "alembic", "aiosqlite", "asyncpg", "asyncmy"},
    ),
    "adapters.http_webhooks": ({"adapters.http_webhooks", "application", "domain"}, {"httpcore"}),
    "adapters.*": ({"adapters.*", "application", "domain"}, set()),
    "adapters": (set(), set()),
    "testing": ({"testing", "application", "domain"}, {"pytest", "hypothesis"}),
    "settings": ({"settings", "domain.secrets"}, {"msgspec"}),
    "container": (
        {"container", "settings", "adapters", "application", "domain"},
        {"dependency_injector"},
    ),
    "entrypoints.metrics": (
        {"entrypoints", "application", "domain"},
        {"prometheus_client"},
    ),
    "entrypoints": (
        {"entrypoints", "container", "settings", "application", "domain"},
        {"litestar", "msgspec", "click", "uvicorn"},
    ),
    "": (set(), set()),  # `identity` itself
}


def violations(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """What the law forbids in the source of `module`, a name as in `domain.errors`."""
    room = next((room for room in LAW if _is_in(module, room)), None)
    if room is None:
        return [f"{module or 'identity'} is in none of the rooms"]
    inside, outside = LAW[room]
    own = ".".join(module.split(".")[: room.count(".") + 1])
    allowed = {own if name == room else name for name in inside}
    return [
        f"{module} imports {name}"
        for name in imports(module, source, is_package=is_package)
        if not _is_allowed(name, allowed, outside)
    ]


def imports(module: str, source: str, *, is_package: bool = False) -> Iterator[str]:
    """The full name of everything that the source imports."""
    here = ["identity", *filter(None, module.split("."))]
    package = here if is_package else here[:-1]
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=name, names=names, level=level):
                base = package[: len(package) - level + 1] if level else []
                origin = ".".join([*base, *([name] if name else [])])
                yield from (f"{origin}.{alias.name}" for alias in names)
            case ast.Call(func=ast.Name(id=function) | ast.Attribute(attr=function), args=[first, *_]):
                is_import = function in {"import_module", "__import__"}
                if is_import and isinstance(first, ast.Constant) and isinstance(first.value, str):
                    yield first.value


def _is_in(module: str, room: str) -> bool:
    if room.endswith(".*"):
        return module.startswith(room.removesuffix("*"))
    return module == room or (room != "" and module.startswith(f"{room}."))


def _is_allowed(name: str, inside: set[str], outside: set[str]) -> bool:
    top, _, rest = name.partition(".")
    if top == "identity":
        return any(_is_in(rest, room) for room in inside)
    return top in sys.stdlib_module_names or top in outside


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        yield ".".join(part for part in parts if part != "__init__"), path


class TestTheImportLaw:
    def test_is_kept_by_every_module(self) -> None:
        found = [
            violation
            for module, path in modules()
            for violation in violations(
                module, path.read_text(encoding="utf-8"), is_package=path.stem == "__init__"
            )
        ]
        assert found == []

    def test_has_no_room_that_stands_empty(self) -> None:
        standing = {name for name, _ in modules()}
        for room in LAW:
            assert any(_is_in(module, room) for module in standing), room

    def test_is_kept_when_the_core_is_imported(self) -> None:
        """A fresh interpreter that imports domain and application has loaded no third party's package."""
        program = """if True:
            import importlib, pkgutil, sys
            before = set(sys.modules)
            import identity.application, identity.domain
            for room in (identity.application, identity.domain):
                for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
                    importlib.import_module(module.name)
            loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
            print(*sorted(loaded - sys.stdlib_module_names))
            """
        run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert run.stdout.split() == ["identity"]


class TestAPlantedViolation:
    @pytest.mark.parametrize(
        ("module", "source", "found"),
        [
            ("domain.user", "import msgspec", "msgspec"),
            ("domain.user", "from sqlalchemy import Table", "sqlalchemy.Table"),
            (
                "domain.user",
                "from identity.application.ports import Clock",
                "identity.application.ports.Clock",
            ),
            ("domain.user", "import identity.adapters.system", "identity.adapters.system"),
            ("domain.user", "from identity import settings", "identity.settings"),
            ("domain.user", "def late():\n    import click", "click"),
            ("domain.user", "if TYPE_CHECKING:\n    import litestar", "litestar"),
            ("domain.user", "try:\n    import orjson\nexcept ImportError:\n    pass", "orjson"),
            ("domain.user", "from ..application import ports", "identity.application.ports"),
            ("domain", "from .. import settings", "identity.settings"),
            ("domain.user", "importlib.import_module('msgspec')", "msgspec"),
            ("domain.user", "__import__('identity.container')", "identity.container"),
            ("application.login", "import argon2", "argon2"),
            (
                "application.login",
                "from identity.adapters.memory import FixedClock",
                "identity.adapters.memory.FixedClock",
            ),
            ("application.login", "from identity.settings import Settings", "identity.settings.Settings"),
            ("application.login", "import anyio", "anyio"),
            (
                "adapters.sql.storage",
                "from identity.adapters.memory import state",
                "identity.adapters.memory.state",
            ),
            ("adapters.sql.storage", "import jwt", "jwt"),
            ("adapters.sql.storage", "from identity.adapters import argon2", "identity.adapters.argon2"),
            (
                "adapters.system",
                "from identity.adapters.secret_file import x",
                "identity.adapters.secret_file.x",
            ),
            ("adapters.system", "import cryptography", "cryptography"),
            ("adapters.jwt.keyring", "from identity.settings import Settings", "identity.settings.Settings"),
            ("adapters.mail.smtp", "from identity.entrypoints import cli", "identity.entrypoints.cli"),
            ("adapters", "from identity.adapters import system", "identity.adapters.system"),
            ("testing.storage", "from identity.adapters import memory", "identity.adapters.memory"),
            (
                "settings.values",
                "from identity.domain.names import Username",
                "identity.domain.names.Username",
            ),
            ("settings", "from identity import container", "identity.container"),
            ("container", "from identity.entrypoints.http import app", "identity.entrypoints.http.app"),
            ("container", "import litestar", "litestar"),
            (
                "entrypoints.cli",
                "from identity.adapters.system import SystemClock",
                "identity.adapters.system.SystemClock",
            ),
            (
                "entrypoints.cli",
                "def serve():\n    from identity.adapters import sql",
                "identity.adapters.sql",
            ),
            ("entrypoints.http.app", "import sqlalchemy", "sqlalchemy"),
            ("entrypoints.worker", "import prometheus_client", "prometheus_client"),
            (
                "entrypoints.metrics.readings",
                "from identity.container import Container",
                "identity.container.Container",
            ),
            ("", "import identity.domain", "identity.domain"),
        ],
    )
    def test_is_found(self, module: str, source: str, found: str) -> None:
        is_package = module in {"", "domain", "adapters", "settings"}
        assert violations(module, source, is_package=is_package) == [f"{module} imports {found}"]

    def test_of_a_room_that_the_law_does_not_know_is_found(self) -> None:
        assert violations("utils.strings", "import re") == ["utils.strings is in none of the rooms"]

    @pytest.mark.parametrize(
        ("module", "source"),
        [
            (
                "domain.user",
                "from __future__ import annotations\nimport re\nfrom identity.domain import names",
            ),
            ("domain.user", "from . import names\nfrom .names import Username"),
            (
                "application.login",
                "from identity.domain.user import User\nfrom identity.application import ports",
            ),
            (
                "adapters.sql.storage",
                "import sqlalchemy.ext.asyncio\nfrom identity.adapters.sql import schema",
            ),
            ("adapters.memory.storage", "from identity.adapters.memory.state import State"),
            ("adapters.jwt.vault", "import jwt\nfrom cryptography.hazmat.primitives import hashes"),
            (
                "settings",
                "import msgspec\nfrom identity.domain import secrets\nfrom identity.settings import values",
            ),
            ("container", "import dependency_injector\nfrom identity.adapters.sql import storage"),
            ("entrypoints.cli", "import click\nfrom identity.container import Container"),
        ],
    )
    def test_is_not_seen_where_there_is_none(self, module: str, source: str) -> None:
        assert violations(module, source, is_package=module == "settings") == []
