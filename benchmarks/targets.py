"""What is to be reached, and whether it was. All but memory, start and seeding are ratios in one round."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from benchmarks.statistics import Sample, Spread, having, ratios, shown, spread

Measure = Callable[[Sequence[Sample]], list[float]]
"""From all samples the values of which the median counts."""


@dataclass(frozen=True)
class Target:
    what: str
    bound: float
    values: Measure
    at_most: bool = False
    unit: str = ""
    quick: float | None = None
    """The bound where there is little time and others use the machine: about half of what was measured."""
    best: bool = False
    """Whether the least value counts: what disturbs only ever adds."""

    @property
    def wanted(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.bound:g}{self.unit}"


@dataclass(frozen=True)
class Verdict:
    target: Target
    found: Spread | None
    """`None`: it was not measured, or no request of a slice may fail and some did."""

    @property
    def value(self) -> float | None:
        if self.found is None:
            return None
        return self.found.least if self.target.best else self.found.median

    @property
    def is_met(self) -> bool:
        if self.value is None:
            return False
        return self.value <= self.target.bound if self.target.at_most else self.value >= self.target.bound

    def __str__(self) -> str:
        value = "no figure" if self.value is None else f"{shown(self.value)}{self.target.unit}"
        return f"{self.target.what}: {value}, {self.target.wanted}: {'met' if self.is_met else 'MISSED'}"


def times(subject: str, workload: str, database: str) -> Measure:
    """How many requests we answer while the subject answers one."""

    def values(samples: Sequence[Sample]) -> list[float]:
        of_it = having(samples, suite="side by side", workload=workload, database=database)
        return ratios(having(of_it, subject="identity"), having(of_it, subject=subject), "per_second")

    return values


def hashing_share(database: str) -> Measure:
    """Which part of the processor time of our login a hash takes that does nothing else."""

    def values(samples: Sequence[Sample]) -> list[float]:
        of_it = having(samples, suite="side by side", workload="login", database=database)
        return ratios(having(of_it, subject="hashing"), having(of_it, subject="identity"), "cpu")

    return values


def growing(suite: str, by: str, to: int, *, since: int, workload: str, figure: str) -> Measure:
    """The figure when there is more of something, in parts of what it was with less."""

    def values(samples: Sequence[Sample]) -> list[float]:
        of_it = having(samples, suite=suite, workload=workload)
        return ratios(having(of_it, **{by: to}), having(of_it, **{by: since}), figure)

    return values


def crowded(subject: str) -> Measure:
    def values(samples: Sequence[Sample]) -> list[float]:
        of_it = having(samples, suite="crowd", subject=subject)
        quiet = having(of_it, logins=0)
        return ratios([sample for sample in of_it if sample["logins"]], quiet, "p99")

    return values


def started(figure: str) -> Measure:
    def values(samples: Sequence[Sample]) -> list[float]:
        return [sample[figure] for sample in having(samples, suite="start", subject="identity")]

    return values


def seeded(users: int) -> Measure:
    def values(samples: Sequence[Sample]) -> list[float]:
        return [sample["seconds"] / 60 for sample in having(samples, suite="seeding", users=users)]

    return values


def targets(database: str = "postgresql") -> Iterator[Target]:
    for subject, workload, bound, quick, of in (
        ("hashing", "login", 0.85, 0.4, "raw Argon2 in as many threads as cores"),
        ("django", "login", 1.0, 0.7, "Django + DRF + SimpleJWT"),
        ("fastapi-users", "login", 1.0, None, "fastapi-users"),
        ("django", "profile", 8, 2.5, "Django + DRF"),
        ("fastapi-users", "profile", 6, None, "fastapi-users"),
        ("d1", "profile", 1.0, 0.4, "floor d1"),
        ("d2", "profile", 0.75, None, "floor d2"),
        ("django", "refresh", 3, 2, "SimpleJWT with its blacklist"),
    ):
        yield Target(
            f"{workload}: rate, divided by that of {of}",
            bound,
            times(subject, workload, database),
            quick=quick,
        )
    yield Target(
        "login: part of the service's processor time that is hashing",
        0.95,
        hashing_share(database),
        quick=0.6,
    )
    yield Target(
        "profile: p99 while 8 clients log in, of its quiet p99", 5, crowded("identity"), at_most=True
    )
    yield Target("memory of an idle worker", 110, started("rss"), at_most=True, unit=" MB")
    yield Target(
        "start to first answer, best of 5", 1.5, started("start"), at_most=True, unit=" s", best=True
    )
    for workload, bound in (("login", 1.1), ("profile", 1.1), ("search", 1.5)):
        values = growing("users", "users", 1_000_000, since=1_000, workload=workload, figure="p50")
        what = f"{workload}: median time with a million users, of that with a thousand"
        yield Target(what, bound, values, at_most=True)
    yield Target("seeding a million users", 10, seeded(1_000_000), at_most=True, unit=" min")
    for workload in ("profile", "refresh", "login"):
        values = growing("clients", "connections", 64, since=1, workload=workload, figure="cpu")
        what = f"{workload}: processor time of a request, of 64 clients, of that of one"
        yield Target(what, 1.1, values, at_most=True)
    for workload in ("profile", "refresh", "login"):
        values = growing("workers", "workers", 2, since=1, workload=workload, figure="cpu")
        what = f"{workload}: processor time of a request with two workers, of that with one"
        yield Target(what, 1.1, values, at_most=True)


def quick_targets(database: str) -> list[Target]:
    return [replace(target, bound=target.quick) for target in targets(database) if target.quick is not None]


def judge(chosen: Sequence[Target], samples: Sequence[Sample]) -> list[Verdict]:
    return [Verdict(target, spread(target.values(samples))) for target in chosen]


def unclean(samples: Sequence[Sample]) -> list[Sample]:
    """Those slices in which requests were refused or broken: their figures count for nothing."""
    return [sample for sample in samples if not sample.get("clean", True)]
