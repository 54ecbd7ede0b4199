"""(a) This service, run by settings as an operator would run it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from tests.server.commands import SECRET, Commands

from benchmarks.seed import seed
from benchmarks.subjects import PASSWORD, Api, Service, free_port, wait_until_it_answers

API = Api(
    paths={
        "login": "/api/auth/login/",
        "profile": "/api/user/profile/",
        "refresh": "/api/auth/token/refresh/",
        "search": "/api/admin/users/?search=",
    },
    login_body=lambda name: json.dumps({"username": name, "password": PASSWORD}),
    login_type="application/json",
    access="access",
)
SETTINGS: dict[str, object] = {
    "access_lifetime": "1d",  # longer than the run; the peers' tokens as well
    "login_free_failures": 100,
    "login_failures": 100,
    "address_failures": 1_000_000,
    "address_requests": 1_000_000,
    "trusted_proxies": "127.0.0.1/32",  # the load is a proxy: its logins come from many addresses
}
"""Other than by default. The limits stay on, and count; nothing in the run comes near them."""


class Identity:
    name, label = "identity", "Identity"

    def __init__(self, folder: Path, **settings: object) -> None:
        self._folder = folder
        self._settings = {**SETTINGS, **settings}

    def prepare(self, database_url: str, *, users: int) -> None:
        with self._commands(database_url) as commands:
            command = commands.run("migrate")
            if command.process.returncode:
                raise RuntimeError(f"identity migrate: {command.text}")
        seed(database_url, users=users)

    @contextlib.contextmanager
    def start(self, database_url: str, *, workers: int = 1) -> Iterator[Service]:
        with self._commands(database_url) as commands:
            port = free_port()
            server = commands.serve(wait=False, workers=workers, port=port)
            seconds = wait_until_it_answers(port, server.process, server.output)
            url = f"http://127.0.0.1:{port}"
            yield Service(self.name, API, server.process.pid, url, database_url, seconds)

    def _commands(self, database_url: str) -> Commands:
        settings = {**self._settings, "database_url": database_url, "secret": SECRET}
        return Commands(self._folder / "identity", settings)
