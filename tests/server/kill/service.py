"""The service in this process: made ready, asked for one thing, and looked at after it was killed.

Its HTTP application, use cases, tokens and SQLite storage are those that `identity serve` runs. Time, chance
and the hash are stand-ins, so that every run stores the same, but for what is random in the audit log, and
can be compared.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import re
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from dependency_injector.providers import Object
from litestar import Litestar
from tests.application.sqlite_file import NOT_OF_A_COMMAND, repeatable

from identity.adapters.memory import FixedClock, PlainHasher, SeededRandomness
from identity.adapters.sql.schema import metadata
from identity.container import build_container
from identity.domain.secrets import Secret
from identity.entrypoints.http.app import create_app
from identity.settings import Settings

PASSWORD, NEW_PASSWORD = "yourpassword123", "yournewpassword123"
HOME, ELSEWHERE = "192.0.2.7", "203.0.113.9"
AT_WORK, AFTER_THE_CRASH = timedelta(seconds=30), timedelta(seconds=40)
LATER = timedelta(minutes=3)  # the reuse window is over, the access token not yet
LINK = re.compile(r"/reset-password/([\w-]+)/([\w-]+)")
LOG_IS_FULL = 1000 * (24 + 4096) + 32  # octets: from then on a commit copies it into the database
ENDINGS = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    body: Any


class Service:
    """On the database `identity.db` of a folder."""

    def __init__(self, folder: Path) -> None:
        self.database = folder / "identity.db"
        self.mail = folder / "mail"
        self.container = build_container(
            Settings(
                database_url=f"sqlite:///{self.database}",
                mail_url=f"directory:{self.mail}",
                secret=Secret("s" * 32),
            )
        )
        self.clock, self._randomness = FixedClock(), SeededRandomness()
        self._began = self.clock.at
        self.container.clock.override(Object(self.clock))
        self.container.randomness.override(Object(self._randomness))
        self.container.hasher.override(Object(PlainHasher()))
        self._app: Litestar = create_app(self.container)

    @asynccontextmanager
    async def running(self, *, after: timedelta, seed: int) -> AsyncIterator[None]:
        """With other random numbers than when it ran before."""
        self._randomness.__init__(seed)  # type: ignore[misc]
        self.at(after)
        try:
            yield
        finally:
            await self.container.storage().dispose()

    def at(self, after: timedelta) -> None:
        self.clock.at = self._began + after

    async def post(self, path: str, *, access: str = "", address: str = HOME, **body: str) -> Answer:
        return await self._ask("POST", path, access=access, address=address, json=body)

    async def _ask(self, method: str, path: str, *, access: str, address: str = HOME, **how: Any) -> Answer:
        transport = httpx.ASGITransport(self._app, client=(address, 1))
        headers = {"Authorization": f"Bearer {access}"} if access else {}
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            response = await client.request(method, f"/api/{path}/", headers=headers, **how)
        return Answer(status=response.status_code, body=response.json())

    async def can_log_in(self, name: str, password: str = PASSWORD) -> bool:
        answer = await self.post("auth/login", username=name, password=password)
        assert answer.status in {200, 401}, answer
        return answer.status == 200

    async def refreshed(self, refresh: str) -> dict[str, str] | None:
        answer = await self.post("auth/token/refresh", refresh=refresh)
        assert answer.status in {200, 401}, answer
        return answer.body if answer.status == 200 else None

    async def is_known_by(self, access: str) -> bool:
        return (await self._ask("GET", "user/profile", access=access)).status == 200

    # Making ready

    async def make_ready(self, keep: Callable[[str], None]) -> dict[str, Any]:
        """Alice with two sessions and a reset link. Calls `keep` when the files are as a variant says."""
        async with self.running(after=timedelta(), seed=1):
            await self.container.schema().upgrade()
            await self.register("alice")
            other = (await self.post("auth/login", username="alice", password=PASSWORD)).body
            first = (await self.post("auth/login", username="alice", password=PASSWORD)).body
            tokens = await self.refreshed(first["refresh"])
            await self.post("auth/forgot-password", email="alice@example.com")
            assert await self.container.deliver_mail()()
            keep("open")
            fill_the_log(self.database)
            keep("full")
        keep("closed")
        return {"tokens": tokens, "other": other, "link": self.link()}

    async def register(self, name: str) -> Answer:
        return await self.post("auth/register", username=name, email=f"{name}@example.com", password=PASSWORD)

    def link(self) -> dict[str, str]:
        (file,) = self.mail.glob("*.eml")
        mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
        found = LINK.search(mail.get_body(("plain",)).get_content())  # type: ignore[union-attr]
        assert found
        return {"uidb64": found[1], "token": found[2]}

    # Files

    def copy_to(self, folder: Path) -> None:
        folder.mkdir()
        for ending in ENDINGS:
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(f"{self.database}{ending}", folder)

    def copy_from(self, folder: Path) -> None:
        for ending in ENDINGS:
            Path(f"{self.database}{ending}").unlink(missing_ok=True)
        for file in folder.iterdir():
            shutil.copy(file, self.database.parent)

    def contents(self) -> dict[str, list[list[str]]]:
        """All that is stored, in words that can be compared."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            return {
                table.name: [[repr(value) for value in row] for row in rows]
                for table in metadata.sorted_tables
                if table.name not in NOT_OF_A_COMMAND
                for rows in [
                    connection.execute(f"SELECT {repeatable(table.name)} FROM {table.name} ORDER BY 1, 2")  # noqa: S608
                ]
            }

    def damage(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            found = [text for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"]
            return found + [
                f"a row points nowhere: {row}" for row in connection.execute("PRAGMA foreign_key_check")
            ]

    def noted(self, kind: str) -> int:
        """How often this is in the audit log or among the mail that waits."""
        with contextlib.closing(sqlite3.connect(self.database)) as connection:
            statement = (
                "SELECT (SELECT count(*) FROM audit_events WHERE kind = :kind) "
                "+ (SELECT count(*) FROM outbox WHERE kind = :kind)"
            )
            return connection.execute(statement, {"kind": kind}).fetchone()[0]


def fill_the_log(database: Path) -> None:
    """Without changing anything: the next to commit copies the log into the database."""
    log = Path(f"{database}-wal")
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        while log.stat().st_size < LOG_IS_FULL:
            for step in (1, -1):  # what does not change at all is not written
                connection.execute("UPDATE users SET version = version + ?", [step])
