"""(d) The floors: what is left when a service has neither framework, layers nor throttle."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.subjects import ROOT, Api, Program, Service, free_port, own_program
from identity.settings import Settings


class ProfileFloor:
    """On the database, the tokens and the keys of a service that runs."""

    def __init__(self, folder: Path, ours: Service, *, cache: bool, connections: int) -> None:
        self.name = "d2" if cache else "d1"
        self.label = "floor d2 (token cached)" if cache else "floor d1 (token verified)"
        self._folder, self._ours, self._cache, self._connections = folder, ours, cache, connections

    def prepare(self, database_url: str, *, users: int) -> None:
        """Nothing: what it reads is there."""

    @contextlib.contextmanager
    def start(self, database_url: str, *, workers: int = 1) -> Iterator[Service]:
        port = free_port()
        command = own_program(
            *("uvicorn", "benchmarks.floors.profile:app", "--port", str(port), "--workers", str(workers)),
            *("--loop", "uvloop", "--http", "httptools", "--ws", "none", "--lifespan", "on"),
            *("--no-access-log", "--log-level", "error", "--no-proxy-headers", "--no-server-header"),
        )
        environment = {
            "BENCH_DATABASE_URL": database_url,
            "BENCH_CONNECTIONS": str(self._connections),
            "BENCH_KEYS": json.dumps(self._ours.ask("GET", "/.well-known/jwks.json", headers={})),
            "BENCH_CACHE": str(int(self._cache)),
            "BENCH_AUDIENCE": Settings().audience,
        }
        api = Api(paths={"profile": "/"}, login_body=str, login_type="", access="access")
        program = Program(self.name, self._folder, environment)
        with program.started(port, *command) as (process, seconds):
            yield Service(self.name, api, process, f"http://127.0.0.1:{port}", database_url, seconds)


def hashing_floor(seconds: float) -> dict[str, Any]:
    """Raw Argon2id: `per_second`, and the seconds of a core that a hash takes, `cpu`."""
    printed = subprocess.check_output(own_program("benchmarks.floors.hashing", str(seconds)), cwd=ROOT)
    figures: dict[str, Any] = json.loads(printed)
    return figures
