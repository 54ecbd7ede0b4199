"""All subjects at once on one kind of database; an idle one costs the others nothing to speak of."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.databases import Databases, execute

from benchmarks import processes
from benchmarks.site import CONNECTIONS, Site
from benchmarks.subjects import Service, Subject
from benchmarks.subjects.django_simplejwt import Django
from benchmarks.subjects.fastapi_users import FastapiUsers
from benchmarks.subjects.floors import ProfileFloor, hashing_floor
from benchmarks.subjects.identity import Identity
from identity.adapters.sql.sqlite import READERS
from identity.settings import Settings

USERS = 1000
OF_ADMINISTRATORS = "search"
"""A workload that no peer has: how it grows with users is what matters."""
SUBJECTS = {
    "profile": ("identity", "django", "fastapi-users", "d1", "d2"),
    "refresh": ("identity", "django"),
    "login": ("identity", "django", "fastapi-users", "hashing"),
}
IDLE = 1.0  # seconds after the last request until memory is looked at


class Stage:
    def __init__(self, kind: str, folder: Path, databases: Databases) -> None:
        self.kind = kind
        self._folder = folder
        self._folder.mkdir()
        self._databases = databases
        self._stack = ExitStack()
        self.sites: dict[str, Site] = {}
        self.choices: dict[str, str] = {}
        # Each process of ours has so many connections to read, and as many for transactions.
        self._readers = READERS if kind == "sqlite" else Settings().database_connections
        self._connections = READERS + 1 if kind == "sqlite" else 2 * Settings().database_connections

    def close(self) -> None:
        self.sites.clear()
        self._stack.close()

    def open(self, subjects: Sequence[str]) -> None:
        """Makes a database for each of the subjects, starts them, and logs in."""
        ours = self._put(Identity(self._folder))
        for peer in self._peers():
            if peer.name in subjects:
                self._put(peer)
        for name in ("d1", "d2"):
            if name in subjects:
                floor = ProfileFloor(self._folder, ours, cache=name == "d2", connections=self._readers)
                self._run(floor, ours.database_url, range(USERS))
                self.sites[name].use(self.sites["identity"].access_tokens())

    def sample(self, subject: str, workload: str, *, seconds: float, **about: Any) -> dict[str, Any]:
        about = {"database": self.kind, "connections": CONNECTIONS[workload], **about}
        if subject == "hashing":
            del about["warm_up"]
            return {
                "subject": subject,
                "workload": workload,
                **about,
                **hashing_floor(seconds),
                "clean": True,
            }
        return self.sites[subject].sample(workload, seconds=seconds, **about)

    def choose_django_worker(self, seconds: float) -> None:
        """Keeps the faster of gunicorn's synchronous and threaded workers, by the product of their rates."""
        threaded = self.sites["django"]
        sync = Django(self._folder, connections=self._connections, worker="sync")
        with self._at(sync, threaded.service.database_url, range(USERS)) as other:
            other.mint()
            products = []
            for site in (threaded, other):
                product = 1.0
                for workload, connections in CONNECTIONS.items():
                    sample = site.sample(workload, seconds=seconds, connections=connections)
                    product *= sample["per_second"] if sample["clean"] else 0.0
                products.append(product)
        if products[1] > products[0]:
            threaded.subject.name = "django-gthread"
            sync.name = "django"
            self._run(sync, threaded.service.database_url, range(USERS))
            self.sites["django"].mint()
        self.choices["gunicorn's worker class"] = "sync" if products[1] > products[0] else "gthread"
        if all(products):  # else one of them refused requests, or let them wait for seconds
            self.choices["sync against gthread, rates multiplied"] = f"{products[1] / products[0]:.2f}"

    def start_again(self, subject: str) -> dict[str, Any]:
        """The seconds to the first answer, and a worker's memory after one request of each kind."""
        site = self.sites[subject]
        with self._at(site.subject, site.service.database_url, range(USERS)) as fresh:
            fresh.mint(1)
            fresh.once("profile")
            if "refresh" in fresh.service.api.paths:
                fresh.once("refresh")
            time.sleep(IDLE)
            tree = [processes.memory([process]) for process in processes.tree(fresh.service.process)]
        worker = max(tree, key=lambda memory: memory.rss)
        return {
            "subject": subject,
            "database": self.kind,
            "start": fresh.service.start,
            "rss": worker.rss,
            "pss": worker.pss,
        }

    def add_workers(self, workers: int) -> None:
        """Another one of ours on the same database, with so many worker processes."""
        site = self.sites["identity"]
        name = f"identity x {workers}"
        self._run(site.subject, site.service.database_url, range(USERS), name=name, workers=workers)
        self.sites[name].mint()

    def grow(self, users: int) -> dict[str, Any]:
        """Another one of ours with so many users, of whom as many as ever log in, from all over the table."""
        subject = Identity(self._folder)
        url = self._databases.new(self.kind)
        began = time.monotonic()
        subject.prepare(url, users=users)
        seconds = time.monotonic() - began
        name = f"identity, {users} users"
        self._run(subject, url, range(0, users, users // USERS), name=name)
        self.sites[name].mint()
        return {"users": users, "seconds": seconds, "octets": database_size(self.kind, url)}

    def _peers(self) -> list[Django | FastapiUsers]:
        return [
            Django(self._folder, connections=self._connections),
            FastapiUsers(self._folder, connections=self._connections),
        ]

    def _put(self, subject: Subject) -> Service:
        url = self._databases.new(self.kind)
        subject.prepare(url, users=USERS)
        service = self._run(subject, url, range(USERS))
        self.sites[subject.name].mint()
        return service

    def _run(
        self, subject: Subject, url: str, users: Sequence[int], *, name: str | None = None, workers: int = 1
    ) -> Service:
        service = self._stack.enter_context(subject.start(url, workers=workers))
        name = name or subject.name
        self.sites[name] = Site(subject, service, self._folder / f"{name}-items-{service.port}", users)
        return service

    @contextmanager
    def _at(self, subject: Subject, url: str, users: Sequence[int]) -> Iterator[Site]:
        with subject.start(url) as service:
            yield Site(subject, service, self._folder / f"{subject.name}-items-{service.port}", users)


def database_size(kind: str, url: str) -> int | None:
    """Octets of the tables and indexes that grow with the accounts."""
    if kind != "postgresql":
        return None
    query = (
        "SELECT sum(pg_total_relation_size(name)) FROM unnest(ARRAY['users', 'sessions']::regclass[]) name"
    )
    return int(execute(kind, url, query)[0][0])
