"""(b) Django, DRF and SimpleJWT under gunicorn."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.rows import insert, password_hash
from benchmarks.subjects import PASSWORD, PEERS, Api, Program, Service, free_port

API = Api(
    paths={
        "login": "/api/auth/login/",
        "profile": "/api/user/profile/",
        "refresh": "/api/auth/token/refresh/",
    },
    login_body=lambda name: json.dumps({"username": name, "password": PASSWORD}),
    login_type="application/json",
    access="access",
)


class Django:
    label = "Django + DRF + SimpleJWT"

    def __init__(self, folder: Path, *, connections: int, worker: str = "gthread") -> None:
        self.name = "django" if worker == "gthread" else f"django-{worker}"
        self._folder = folder
        self._connections = connections
        self._worker = worker

    def prepare(self, database_url: str, *, users: int) -> None:
        self._program(database_url).run(PEERS / "python", "-m", "django", "migrate", "--verbosity", "0")
        now = datetime.now(UTC)
        columns = ("username", "email", "password", "first_name", "last_name", "date_joined")
        columns += ("is_superuser", "is_staff", "is_active")
        rows = (
            (f"user{n}", f"user{n}@example.com", f"argon2{password_hash()}", "", "", now, False, False, True)
            for n in range(users)
        )
        insert(database_url, "auth_user", columns, rows)

    @contextlib.contextmanager
    def start(self, database_url: str, *, workers: int = 1) -> Iterator[Service]:
        port = free_port()
        threads = ["--threads", str(self._connections)] if self._worker == "gthread" else []
        command = [
            *(PEERS / "gunicorn", "benchmarks.peers.django_backend.wsgi", "--bind", f"127.0.0.1:{port}"),
            *("--workers", str(workers), "--worker-class", self._worker, *threads),
            *("--keep-alive", "5", "--log-level", "error", "--timeout", "120"),
        ]
        with self._program(database_url).started(port, *command) as (process, seconds):
            yield Service(self.name, API, process, f"http://127.0.0.1:{port}", database_url, seconds)

    def _program(self, database_url: str) -> Program:
        environment = {
            "DJANGO_SETTINGS_MODULE": "benchmarks.peers.django_backend.settings",
            "BENCH_DATABASE_URL": database_url,
            "BENCH_SECRET": "a secret of the benchmark, of more than 32 bytes",
        }
        return Program(self.name, self._folder, environment)
