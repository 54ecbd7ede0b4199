"""A service that runs, what is sent to it, and slices of load on it."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import load
from benchmarks.statistics import percentile
from benchmarks.subjects import ROOT, Service, Subject, own_program

SESSIONS = 200
"""Whose tokens are sent."""
MINTERS = 4
CONNECTIONS: Mapping[str, int] = {"profile": 32, "refresh": 32, "login": 8, "search": 8}
SECONDS: Mapping[str, float] = {"profile": 4, "refresh": 4, "login": 8, "search": 4}
"""Of one slice. A login takes a hundred times as long as a profile, so that fewer come to be counted."""
WARM_UP = 1.0
SEARCHED = ("user", "user1", "user12", "user123", "user9@", "nobody")
"""Prefixes that every account has, that fewer have, and that none has."""


@dataclass
class Site:
    """A service that runs, and what is sent to it."""

    subject: Subject
    service: Service
    folder: Path
    users: Sequence[int]
    """The numbers of those who log in: the first `SESSIONS` for tokens only, the others to be measured.

    A session of a user who logs in again and again would be ended as surplus.
    """
    _minted: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        body = self.service.api.login_body
        bodies = "\n".join(body(f"user{user}") for user in self.users[SESSIONS:])
        self.items("login").write_text(f"{bodies}\n")

    def items(self, workload: str) -> Path:
        return self.folder / workload

    def mint(self, count: int = SESSIONS) -> None:
        """Logs in so many times, and keeps the tokens."""
        users = [self.users[(self._minted + n) % SESSIONS] for n in range(count)]
        self._minted += count
        with ThreadPoolExecutor(MINTERS) as threads:
            pairs = list(threads.map(lambda user: self.service.log_in(f"user{user}"), users))
        self.use([pair[self.service.api.access] for pair in pairs])
        if "search" in self.service.api.paths and users[0] == 0:
            token = pairs[0][self.service.api.access]  # of the superuser
            self.items("search").write_text("".join(f"{token} {prefix}\n" for prefix in SEARCHED))
        if "refresh" in self.service.api.paths:
            with self.items("refresh").open("a") as file:
                file.writelines(f"{pair['refresh']}\n" for pair in pairs)

    def use(self, tokens: Sequence[str]) -> None:
        with self.items("profile").open("a") as file:
            file.writelines(f"{token}\n" for token in tokens)

    def access_tokens(self) -> list[str]:
        return self.items("profile").read_text().split()

    def once(self, workload: str) -> None:
        """One request, the first of what would be sent."""
        item = self.items(workload).read_text().split()[0]
        path = self.service.api.paths[workload]
        if workload == "profile":
            self.service.ask("GET", path, headers={"Authorization": f"Bearer {item}"})
        else:
            head = {"Content-Type": "application/json"}
            self.service.ask("POST", path, headers=head, body=json.dumps({"refresh": item}))

    def sample(
        self, workload: str, *, seconds: float, connections: int, warm_up: float = WARM_UP, **about: object
    ) -> dict[str, Any]:
        """A slice of load, after a shorter one that does not count."""
        if warm_up:
            self._load(workload, connections, warm_up)
        figures = self._load(workload, connections, seconds)
        return {
            "subject": self.subject.name,
            "workload": workload,
            "connections": connections,
            **about,
            **asdict(figures),
            "clean": figures.is_clean,
        }

    def probe(self, seconds: float, *, logins: int) -> dict[str, Any]:
        """The profile 20 times a second, while so many clients do nothing but log in."""
        with ExitStack() as stack:
            if logins:
                storm = subprocess.Popen(
                    load.command(self.service, connections=logins, seconds=seconds + 3),
                    env=load.environment(self.service, "login", self.items("login")),
                    stdout=subprocess.DEVNULL,
                )
                stack.callback(storm.wait)
                stack.callback(storm.kill)
                time.sleep(WARM_UP)
            arguments = (str(self.service.port), self.service.api.paths["profile"], str(seconds))
            command = own_program("benchmarks.probe", *arguments)
            printed = subprocess.check_output(command, cwd=ROOT, input=self.access_tokens()[0], text=True)
        found: dict[str, Any] = json.loads(printed)
        return {
            "subject": self.subject.name,
            "workload": "profile",
            "connections": logins,
            "logins": logins,
            "p50": percentile(found["times"], 50),
            "p99": percentile(found["times"], 99),
            **found,
            "clean": not found["refused"] and not found["broken"],
        }

    def _load(self, workload: str, connections: int, seconds: float) -> load.Slice:
        self._replenish(workload, connections)
        items = self.items(workload)
        return load.measure(self.service, workload, items=items, connections=connections, seconds=seconds)

    def _replenish(self, workload: str, connections: int) -> None:
        """Those refresh tokens are lost whose answers came after the end: one for a connection at most."""
        if workload == "refresh":
            there = len(self.items("refresh").read_text().split())
            if there < connections:
                self.mint(max(connections - there, SESSIONS))
