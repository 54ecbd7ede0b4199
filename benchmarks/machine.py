"""Where and with what something was measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks.subjects import PEERS, ROOT

OURS = (
    "litestar",
    "sqlalchemy",
    "asyncpg",
    "aiosqlite",
    "uvicorn",
    "uvloop",
    "msgspec",
    "pyjwt",
    "argon2-cffi",
)
THEIRS = ("django", "djangorestframework", "djangorestframework-simplejwt", "gunicorn", "psycopg")
THEIRS += ("fastapi", "fastapi-users", "sqlalchemy", "asyncpg", "uvicorn")


def machine() -> dict[str, str]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "PostgreSQL": _said("psql", "--version"),
        "wrk": _said("wrk", "-v").partition(" [")[0],
        "revision": _said("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "ours": ", ".join(f"{name} {version(name)}" for name in OURS),
        "peers": _peers(),
    }


def slug(about: dict[str, str]) -> str:
    words = re.sub(r"\(.*?\)|@.*|\b(CPU|Processor|processor)\b", " ", about["processor"])
    return re.sub(r"[^a-z0-9]+", "-", f"{words} {about['cores']} cores".lower()).strip("-")


def _processor() -> str:
    with suppress(OSError):
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


def _said(*command: str) -> str:
    with suppress(OSError):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return (done.stdout or done.stderr).strip().partition("\n")[0]
    return "none"


def _peers() -> str:
    code = f"from importlib.metadata import version\nfor name in {THEIRS!r}: print(name, version(name))"
    return _said_all(str(PEERS / "python"), "-c", code)


def _said_all(*command: str) -> str:
    with suppress(OSError):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return ", ".join(done.stdout.split("\n")).strip(", ")
    return "none"
