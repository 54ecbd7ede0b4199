"""What is measured, as steps in an order that puts beside each other what is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from benchmarks.site import CONNECTIONS, SECONDS, WARM_UP
from benchmarks.stage import OF_ADMINISTRATORS, SUBJECTS, Stage

T = TypeVar("T")

PEERS = ("identity", "django", "fastapi-users")
NEEDED = {
    "side-by-side": {subject for subjects in SUBJECTS.values() for subject in subjects},
    "crowd": PEERS,
    "start": PEERS,
    "clients": ("identity",),
    "workers": ("identity",),
}
"""The subjects that have to run."""
CROWD = 8  # clients that do nothing but log in
PROBING = 8.0  # seconds
SHORTER: Mapping[str, float] = {"profile": 3, "refresh": 3, "login": 5, OF_ADMINISTRATORS: 3}
"""Seconds of a slice where only ours is compared with itself."""
CLIENTS = (1, 8, 64, 512)
USERS = (1_000, 100_000, 1_000_000)
STARTS = 5
_AROUND = 0.6  # seconds that a slice takes besides its load: wrk's start, and tokens that were lost
_SEEDING = 20_000  # users and their sessions in a second


@dataclass(frozen=True)
class Step:
    what: str
    seconds: float
    """That it will take, roughly."""
    run: Callable[[], dict[str, Any] | None]
    """Measures, and answers a sample if there is one."""


def opening(stage: Stage, workloads: Sequence[str], subjects: Sequence[str] | None = None) -> Iterator[Step]:
    """Starts all that have one of the workloads, or of these only some."""
    having = {subject for workload in workloads for subject in SUBJECTS[workload]}
    subjects = sorted(having if subjects is None else having.intersection(subjects))
    label = f"{stage.kind}: making databases, starting"
    yield Step(label, 3 + 6 * len(set(subjects) & set(PEERS)), lambda: stage.open(subjects))


def closing(stage: Stage) -> Iterator[Step]:
    yield Step(f"{stage.kind}: stopping", 2, stage.close)


def choosing(stage: Stage) -> Iterator[Step]:
    yield Step(f"{stage.kind}: gunicorn's worker class", 30, lambda: stage.choose_django_worker(2))


def side_by_side(
    stage: Stage,
    *,
    rounds: int,
    workloads: Sequence[str],
    subjects: Sequence[str] | None = None,
    seconds: Mapping[str, float] = SECONDS,
    warm_up_once: bool = False,
) -> Iterator[Step]:
    """Every subject after the other, another one first in each round."""
    for number in range(rounds):
        for workload in workloads:
            having = [each for each in SUBJECTS[workload] if subjects is None or each in subjects]
            for subject in _rotated(having, number):
                about = {"suite": "side by side", "round": number}
                label = f"{stage.kind}, round {number + 1} of {rounds}: {workload}, {subject}"
                warm_up = 0.0 if warm_up_once and number else WARM_UP
                yield _slice(stage, subject, workload, label, seconds=seconds, warm_up=warm_up, **about)


def crowd(stage: Stage, *, rounds: int) -> Iterator[Step]:
    """The profile now and then, while nobody and while everybody logs in."""
    for number in range(rounds):
        for subject in _rotated(PEERS, number):
            for logins in (0, CROWD):

                def run(subject: str = subject, logins: int = logins, number: int = number) -> dict[str, Any]:
                    probed = stage.sites[subject].probe(PROBING, logins=logins)
                    return {"suite": "crowd", "database": stage.kind, "round": number, **probed}

                beside = f"while {logins} clients log in" if logins else "quiet"
                label = f"{stage.kind}, round {number + 1} of {rounds}: profile {beside}, {subject}"
                yield Step(label, PROBING + (5 if logins else 1), run)


def clients(stage: Stage, *, rounds: int, workloads: Sequence[str]) -> Iterator[Step]:
    for number in range(rounds):
        for workload in workloads:
            for count in _rotated(CLIENTS, number):
                label = f"{stage.kind}, round {number + 1} of {rounds}: {workload}, {count} clients"
                about = {"suite": "clients", "round": number, "connections": count}
                # As many refresh tokens as there are clients are lost with each load.
                warm_up = 0.0 if workload == "refresh" else WARM_UP
                yield _slice(stage, "identity", workload, label, seconds=SHORTER, warm_up=warm_up, **about)


def workers(stage: Stage, *, rounds: int, workloads: Sequence[str]) -> Iterator[Step]:
    yield Step(f"{stage.kind}: starting two workers", 10, lambda: stage.add_workers(2))
    for number in range(rounds):
        for workload in workloads:
            for subject, count in _rotated([("identity", 1), ("identity x 2", 2)], number):
                label = f"{stage.kind}, round {number + 1} of {rounds}: {workload}, {count} of our workers"
                about = {"suite": "workers", "round": number, "workers": count}
                yield _slice(stage, subject, workload, label, seconds=SHORTER, **about)


def starts(stage: Stage) -> Iterator[Step]:
    for number in range(STARTS):
        for subject in _rotated(PEERS, number):

            def run(subject: str = subject, number: int = number) -> dict[str, Any]:
                return {"suite": "start", "round": number, **stage.start_again(subject)}

            yield Step(f"{stage.kind}: start {number + 1} of {STARTS}, {subject}", 4, run)


def users(stage: Stage, *, rounds: int, workloads: Sequence[str]) -> Iterator[Step]:
    for count in USERS:

        def run(count: int = count) -> dict[str, Any]:
            return {"suite": "seeding", "database": stage.kind, **stage.grow(count)}

        yield Step(f"{stage.kind}: seeding {count:,} users", 8 + count / _SEEDING, run)
    for number in range(rounds):
        for workload in (*workloads, OF_ADMINISTRATORS):
            for count in _rotated(USERS, number):
                label = f"{stage.kind}, round {number + 1} of {rounds}: {workload}, {count:,} users"
                about = {"suite": "users", "round": number, "users": count}
                yield _slice(stage, f"identity, {count} users", workload, label, seconds=SHORTER, **about)


def _slice(
    stage: Stage,
    subject: str,
    workload: str,
    label: str,
    *,
    seconds: Mapping[str, float] = SECONDS,
    warm_up: float = WARM_UP,
    **about: Any,
) -> Step:
    def run() -> dict[str, Any]:
        return stage.sample(subject, workload, seconds=seconds[workload], warm_up=warm_up, **about)

    connections = about.get("connections", CONNECTIONS[workload])
    minting = connections / 40 if workload == "refresh" else 0
    return Step(label, seconds[workload] + warm_up + _AROUND + minting, run)


def _rotated(sequence: Sequence[T], number: int) -> list[T]:
    start = number % len(sequence)
    return [*sequence[start:], *sequence[:start]]
