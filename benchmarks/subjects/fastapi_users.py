"""(c) fastapi-users with JWT and SQLAlchemy, under uvicorn with uvloop and httptools. It has no refresh."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from benchmarks.rows import insert, password_hash
from benchmarks.subjects import PASSWORD, PEERS, Api, Program, Service, free_port

API = Api(
    paths={"login": "/auth/jwt/login", "profile": "/users/me"},
    login_body=lambda name: urlencode({"username": f"{name}@example.com", "password": PASSWORD}),
    login_type="application/x-www-form-urlencoded",
    access="access_token",
)


class FastapiUsers:
    name, label = "fastapi-users", "fastapi-users"

    def __init__(self, folder: Path, *, connections: int) -> None:
        self._folder = folder
        self._connections = connections

    def prepare(self, database_url: str, *, users: int) -> None:
        self._program(database_url).run(PEERS / "python", "-m", "benchmarks.peers.fastapi_backend")
        columns = ("id", "email", "hashed_password", "is_active", "is_superuser", "is_verified")
        rows = (
            (uuid.uuid4(), f"user{n}@example.com", password_hash(), True, False, True) for n in range(users)
        )
        insert(database_url, '"user"', columns, rows)

    @contextlib.contextmanager
    def start(self, database_url: str, *, workers: int = 1) -> Iterator[Service]:
        port = free_port()
        command = [
            *(PEERS / "uvicorn", "benchmarks.peers.fastapi_backend:app", "--port", str(port)),
            *("--workers", str(workers), "--loop", "uvloop", "--http", "httptools", "--ws", "none"),
            *("--no-access-log", "--log-level", "error", "--no-proxy-headers", "--no-server-header"),
        ]
        with self._program(database_url).started(port, *command) as (process, seconds):
            yield Service(self.name, API, process, f"http://127.0.0.1:{port}", database_url, seconds)

    def _program(self, database_url: str) -> Program:
        environment = {
            "BENCH_DATABASE_URL": database_url,
            "BENCH_CONNECTIONS": str(self._connections),
            "BENCH_SECRET": "a secret of the benchmark, of more than 32 bytes",
        }
        return Program(self.name, self._folder, environment)
