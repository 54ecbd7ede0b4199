"""What docs/operation.md has: its blocks, its table, and its shell commands with other names and paths."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
OPERATION = (ROOT / "docs" / "operation.md").read_text(encoding="utf-8")
SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def section(title: str) -> str:
    _, found, rest = OPERATION.partition(f"\n## {title}\n")
    assert found, f"docs/operation.md has no heading {title}"
    return rest.partition("\n## ")[0]


def blocks(title: str, language: str = "sh") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", section(title), re.MULTILINE | re.DOTALL)


def rows(title: str) -> list[tuple[str, ...]]:
    """Of the section's table, without its head."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines[2:]]


def replaced(text: str, names: Mapping[str, object]) -> str:
    """The text with each of the names, all of which are in it, replaced."""
    for name, other in names.items():
        assert name in text, f"{name} is not in {text}"
        text = text.replace(name, str(other))
    return text


def program(name: str) -> str:
    """Skips the test where it is not installed; where `CI` is set, fails it."""
    found = shutil.which(name, path=SEARCH_PATH)
    if not found:
        message = f"{name} is not installed"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    return found


class Shell:
    """Runs blocks. Commands that are about the whole machine do nothing, unless a test has a use for them."""

    def __init__(self, folder: Path) -> None:
        self._stubs = folder / "bin"
        self._stubs.mkdir(parents=True)
        for name in ("systemctl", "chown"):
            self.stub(name, "true")

    def stub(self, name: str, commands: str) -> None:
        script = self._stubs / name
        script.write_text(f"#!/bin/sh\n{commands}\n", encoding="utf-8")
        script.chmod(0o755)

    def start(self, block: str) -> subprocess.Popen[str]:
        path = os.pathsep.join([str(self._stubs), SEARCH_PATH])
        variables = {name: text for name, text in os.environ.items() if not name.startswith("IDENTITY_")}
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=ROOT,
            env=variables | {"PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, block: str) -> None:
        with self.start(block) as process:
            output, _ = process.communicate(timeout=60)
        assert process.returncode == 0, output
