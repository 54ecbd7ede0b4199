"""What is built from this tree: a wheel that is complete, and dependencies that are declared and locked."""

from __future__ import annotations

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import httpx
import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "identity"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
BUILT_APP = "src/identity/app"
OF_THE_TREE = ("pyproject.toml", "README.md", "LICENSE", ".gitignore", "src", "tests")
LOADED_BY_NAME = {"uvloop", "httptools", "aiosqlite"}

ACCOUNT = {"username": "john_doe", "email": "john@example.com", "password": "yourpassword123"}


def environment(**more: str) -> dict[str, str]:
    """Without the settings and the import path of whoever runs the tests."""
    return {k: v for k, v in os.environ.items() if not k.startswith("IDENTITY_") and k != "PYTHONPATH"} | more


def pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    run = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


def pretend_the_app_was_built(app: Path) -> None:
    shutil.rmtree(app, ignore_errors=True)
    (app / "assets").mkdir(parents=True)
    (app / "index.html").touch()
    (app / "assets" / "index-1a2b3c.js").touch()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that building leaves nothing in the checkout."""
    tree, built = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("built")
    for name in OF_THE_TREE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, tree / name)
    pretend_the_app_was_built(tree / BUILT_APP)
    pip("wheel", tree, "--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", built)
    (path,) = built.iterdir()
    return path


# The wheel


def test_the_wheel_holds_the_package_as_it_stands_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if not name.endswith("/")}
    information = f"identity-{PROJECT['version']}.dist-info"
    ours = {name for name in packed if not name.startswith((f"{information}/", "identity/app/"))}
    sources = [path for path in PACKAGE.rglob("*") if path.is_file() and ROOT / BUILT_APP not in path.parents]
    files = {path.relative_to(PACKAGE.parent).as_posix() for path in sources}
    assert ours == {name for name in files if "__pycache__" not in name}
    licences = {name.removeprefix(f"{information}/licenses/") for name in packed if "/licenses/" in name}
    assert licences == {"LICENSE", "src/identity/adapters/common_passwords.NOTICE.txt"}


def test_the_wheel_holds_the_app_where_that_was_built_though_git_ignores_it(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        app = {name for name in archive.namelist() if name.startswith("identity/app/")}
    assert app == {"identity/app/index.html", "identity/app/assets/index-1a2b3c.js"}
    assert f"/{BUILT_APP}/" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_the_wheel_holds_what_is_no_module(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        names = archive.namelist()
    for name in (
        "py.typed",
        "adapters/common_passwords.txt.gz",
        "adapters/common_passwords.NOTICE.txt",
        "adapters/mail/templates/base.html",
        "adapters/mail/templates/de/wording.jinja",
        "adapters/mail/templates/en/password_reset.txt",
        "adapters/mail/templates/en/password_reset.html",
        "adapters/sql/migrations/env.py",
    ):
        assert f"identity/{name}" in names
    versions = [name for name in names if name.startswith("identity/adapters/sql/migrations/versions/")]
    assert versions
    assert not [name for name in names if "test" in name.removeprefix("identity/testing/").rpartition("/")[0]]


def test_the_wheel_tells_what_it_is(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        information = f"identity-{PROJECT['version']}.dist-info"
        metadata = archive.read(f"{information}/METADATA").decode()
        entry_points = archive.read(f"{information}/entry_points.txt").decode()
    assert "\nLicense-Expression: MIT AND BSD-3-Clause\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert "identity = identity.entrypoints.cli:main" in entry_points
    assert "pure" not in wheel.name
    assert wheel.name.endswith("-py3-none-any.whl")


@pytest.fixture
def served_from_the_wheel(wheel: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`identity serve` of the installed wheel, started in an empty folder; the process and its address."""
    installed, empty, log = tmp_path / "installed", tmp_path / "empty", tmp_path / "log"
    pip("install", wheel, "--no-index", "--no-deps", "--target", installed)
    empty.mkdir()
    variables = environment(PYTHONPATH=str(installed), IDENTITY_PORT="0")
    where = [sys.executable, "-c", "import identity; print(identity.__file__)"]
    imported = subprocess.check_output(where, cwd=empty, env=variables, text=True)
    assert Path(imported.strip()).is_relative_to(installed)
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [installed / "bin" / "identity", "serve"],
            cwd=empty,
            env=variables,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        found, deadline = None, time.monotonic() + 30
        while not found and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
            found = re.search(r"running on (http://127\.0\.0\.1:\d+)", log.read_text(encoding="utf-8"))
        assert found, log.read_text(encoding="utf-8")
        yield process, found[1]
    finally:
        process.kill()
        process.wait()


def test_the_installed_wheel_serves(served_from_the_wheel: tuple[subprocess.Popen[bytes], str]) -> None:
    process, address = served_from_the_wheel
    with httpx.Client(base_url=address, trust_env=False, timeout=30) as client:
        registered = client.post("/api/auth/register/", json=ACCOUNT)
        assert (registered.status_code, registered.json()["message"]) == (201, "User created successfully")
        common = client.post(
            "/api/auth/register/", json={**ACCOUNT, "username": "mary", "password": "password123"}
        )
        assert "This password is too common." in common.json()["password"]
        entered = client.post("/api/auth/login/", json=ACCOUNT)
        bearer = {"Authorization": f"Bearer {entered.json()['access']}"}
        assert client.get("/api/user/profile/", headers=bearer).json()["username"] == "john_doe"
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def test_the_changelog_speaks_of_the_version_that_is_built() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changelog, re.MULTILINE)
    assert newest
    assert newest[1] == PROJECT["version"]


# Dependencies


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def parsed(requirement: str) -> tuple[str, str]:
    """The canonical name, and which versions are meant, without extras and markers."""
    match = re.fullmatch(r"([\w.-]+?)(?:\[[\w,-]+\])?((?:[<>=]=?[\w.]+,?)+) *(?:;.*)?", requirement)
    assert match, requirement
    return canonical(match[1]), match[2]


def permits(specifier: str, version: str) -> bool:
    """Whether the version is within `>=1.2,<2`: no more of the language than we use."""

    def numbers(text: str) -> list[int]:
        return [int(part) for part in text.split(".")]

    bounds = re.findall(r"(>=|<)([\d.]+)", specifier)
    assert ",".join(map("".join, bounds)) == specifier
    return all(
        numbers(version) >= numbers(bound) if operator == ">=" else numbers(version) < numbers(bound)
        for operator, bound in bounds
    )


DECLARED = dict(map(parsed, PROJECT["dependencies"]))
FOR_TESTING = dict(map(parsed, PROJECT["optional-dependencies"]["testing"]))
FOR_DEVELOPMENT = dict(map(parsed, PROJECT["optional-dependencies"]["dev"]))


def imported_modules(folder: Path) -> set[str]:
    """The top names of all modules that are not ours and not the standard library's."""
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.add(node.module)
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names - {"identity"}


def test_every_module_that_is_imported_belongs_to_a_declared_dependency_and_every_one_is_used() -> None:
    owners = packages_distributions()
    imported = imported_modules(PACKAGE)
    assert {"litestar", "sqlalchemy", "argon2"} <= imported
    kit = imported_modules(PACKAGE / "testing")
    assert kit == set(FOR_TESTING)
    imported -= kit
    used = {module: {canonical(owner) for owner in owners[module]} for module in imported}
    assert {module: names for module, names in used.items() if not names & set(DECLARED)} == {}
    assert set(DECLARED) - set().union(*used.values()) == LOADED_BY_NAME


def locked() -> dict[str, tuple[str, list[str]]]:
    """What stands in the lock file: each version, and its hashes."""
    found = {}
    for line in LOCK.replace("\\\n", " ").splitlines():
        requirement, *hashes = line.split(" --hash=")
        name, specifier = parsed(requirement.strip())
        assert specifier.startswith("=="), requirement
        found[name] = specifier.removeprefix("=="), [part.strip() for part in hashes]
    return found


def test_the_lock_has_every_declared_dependency_in_a_version_that_is_permitted() -> None:
    lock = locked()
    for name, specifier in {**DECLARED, **FOR_DEVELOPMENT}.items():
        version, _ = lock[name]
        assert permits(specifier, version), name


def test_the_lock_has_a_hash_for_each_line_and_the_address_of_no_registry() -> None:
    for name, (_, hashes) in locked().items():
        assert hashes, name
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in hashes), name
    assert "://" not in LOCK
    assert not re.search("^[ #]*-", LOCK.replace("    --hash=", ""), re.MULTILINE)  # no option, no comment
