"""What is to be reached, and whether it was. All but memory, start and seeding are ratios within one round."""

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
    """The bound where there is little time and others use the machine: about half as ambitious."""
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


def beside(
    workload: str, other: str, *, database: str = "postgresql", figure: str = "per_second", inverse: bool = False
) -> Measure:
    """Our figure in parts of another subject's; or `inverse`ly."""

    def values(samples: Sequence[Sample]) -> list[float]:
        about = {"suite": "side by side", "workload": workload, "database": database}
        ours = having(samples, subject="identity", **about)
        theirs = having(samples, subject=other, **about)
        return ratios(theirs, ours, figure) if inverse else ratios(ours, theirs, figure)

    return values


def growing(suite: str, by: str, to: int, since: int, workload: str, figure: str) -> Measure:
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
    def ours(what: str, bound: float, workload: str, other: str, quick: float | None, figure: str = "") -> Target:
        if figure:  # a part of ours
            values = beside(workload, other, database=database, figure=figure, inverse=True)
        else:
            values = beside(workload, other, database=database)
        return Target(what, bound, values, quick=quick)

    yield ours("login: rate, of raw Argon2's in as many threads as cores", 0.85, "login", "hashing", 0.5)
    yield ours("login: part of the service's processor time that is hashing", 0.95, "login", "hashing", 0.6, "cpu")
    yield ours("login: rate, of Django's", 1.0, "login", "django", 0.7)
    yield ours("login: rate, of fastapi-users'", 1.0, "login", "fastapi-users", None)
    yield ours("profile: rate, of Django's", 8, "profile", "django", 4)
    yield ours("profile: rate, of fastapi-users'", 6, "profile", "fastapi-users", None)
    yield ours("profile: rate, of floor d1's", 1.0, "profile", "d1", 0.5)
    yield ours("profile: rate, of floor d2's", 0.75, "profile", "d2", None)
    yield ours("refresh: rate, of SimpleJWT's", 3, "refresh", "django", 1.5)
    yield Target(
        "profile: p99 while 8 clients log in, of its quiet p99", 5, crowded("identity"), at_most=True
    )
    yield Target("memory of an idle worker", 110, started("rss"), at_most=True, unit=" MB")
    yield Target("start to first answer, best of 5", 1.5, started("start"), at_most=True, unit=" s", best=True)
    for workload in ("login", "profile"):
        values = growing("users", "users", 1_000_000, 1_000, workload, "p50")
        what = f"{workload}: median time with a million users, of that with a thousand"
        yield Target(what, 1.1, values, at_most=True)
    yield Target("seeding a million users", 10, seeded(1_000_000), at_most=True, unit=" min")
    for workload in ("profile", "refresh", "login"):
        values = growing("clients", "connections", 64, 1, workload, "cpu")
        what = f"{workload}: processor time of a request, of 64 clients, of that of one"
        yield Target(what, 1.1, values, at_most=True)
    for workload in ("profile", "refresh", "login"):
        values = growing("workers", "workers", 2, 1, workload, "cpu")
        what = f"{workload}: processor time of a request with two workers, of that with one"
        yield Target(what, 1.1, values, at_most=True)


def quick_targets(database: str) -> list[Target]:
    return [replace(target, bound=target.quick) for target in targets(database) if target.quick is not None]


def judge(chosen: Sequence[Target], samples: Sequence[Sample]) -> list[Verdict]:
    return [Verdict(target, spread(target.values(samples))) for target in chosen]


def unclean(samples: Sequence[Sample]) -> list[Sample]:
    """Those slices in which requests were refused or broken: their figures count for nothing."""
    return [sample for sample in samples if not sample.get("clean", True)]
