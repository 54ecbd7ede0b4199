"""What a deployment of so many users needs, by what a login, a refresh and a profile were found to cost.

`python -m benchmarks.cost RESULTS.json --users 3000000 --active 0.5` puts habits of one's own in.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from benchmarks.statistics import Sample, having, shown, spread
from benchmarks.tables import table

DAY = 86_400  # seconds
WORKLOADS = ("login", "refresh", "profile")
SIZES = (1_000_000, 10_000_000, 100_000_000)


@dataclass(frozen=True)
class Habits:
    """What is assumed of people. Put your own figures here: no measurement of ours can tell them."""

    active: float = 0.2
    """Part of all users who come on one day."""
    logins: float = 0.2
    """Of an active user in a day: a session lasts for 30 days, or 7 unused."""
    refreshes: float = 12.0
    """Of an active user in a day: an hour, in which each access token lasts five minutes."""
    profiles: float = 60.0
    """Requests of an active user in a day that read the session and the account."""
    peak: float = 5.0
    """The busiest second, in means of the day."""
    utilisation: float = 0.5
    """Part of the cores that the peak may take: the rest is for what fails, and for short waits."""

    def per_second(self, users: int) -> dict[str, float]:
        """Requests in the busiest second, by workload."""
        daily = users * self.active * self.peak / DAY
        return {
            "login": daily * self.logins,
            "refresh": daily * self.refreshes,
            "profile": daily * self.profiles,
        }


@dataclass(frozen=True)
class Costs:
    service: Mapping[str, float]
    """Seconds of a core of the service for one request, by workload."""
    database: Mapping[str, float]
    """The same of the database."""
    octets: float
    """That an account with one session takes in the database, indexes included."""


@dataclass(frozen=True)
class Need:
    users: int
    per_second: Mapping[str, float]
    service_cores: float
    database_cores: float
    gigabytes: float


HABITS = Habits()


def costs(samples: Sequence[Sample], *, database: str = "postgresql") -> Costs | None:
    """`None` unless all three workloads were measured on a server whose processes could be seen."""
    service, storage = {}, {}
    for workload in WORKLOADS:
        about = {"suite": "side by side", "subject": "identity", "workload": workload, "database": database}
        found = [sample for sample in having(samples, **about) if sample["database_cpu"] is not None]
        ours = spread(sample["cpu"] for sample in found)
        theirs = spread(sample["database_cpu"] for sample in found)
        if ours is None or theirs is None:
            return None
        service[workload], storage[workload] = ours.median, theirs.median
    seeded = [sample for sample in samples if sample["suite"] == "seeding" and sample["octets"]]
    largest = max(seeded, key=lambda sample: int(sample["users"]), default=None)
    return Costs(service, storage, largest["octets"] / largest["users"] if largest else 0.0)


def need(users: int, costs: Costs, habits: Habits = HABITS) -> Need:
    per_second = habits.per_second(users)

    def cores(of_one: Mapping[str, float]) -> float:
        return sum(per_second[workload] * of_one[workload] for workload in WORKLOADS) / habits.utilisation

    return Need(users, per_second, cores(costs.service), cores(costs.database), users * costs.octets / 1e9)


def needs(costs: Costs, sizes: Iterable[int] = SIZES, habits: Habits = HABITS) -> str:
    """The table, and what it assumes."""
    rows = []
    for users in sizes:
        found = need(users, costs, habits)
        rates = [found.per_second[workload] for workload in WORKLOADS]
        rest = [found.service_cores, found.database_cores, found.gigabytes]
        rows.append([f"{users:,}", *map(shown, [*rates, *rest])])
    head = ["users", *(f"{workload}/s" for workload in WORKLOADS), "cores", "database cores", "database GB"]
    assumed = (
        f"Assumed: {habits.active:.0%} of the users come on a day. Each of these logs in {habits.logins:g}",
        f"times, refreshes {habits.refreshes:g} times and asks {habits.profiles:g} times. The busiest second",
        f"has {habits.peak:g} times the mean, and takes {habits.utilisation:.0%} of the cores.",
    )
    return "\n".join(assumed) + "\n\n" + table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("results", type=Path, nargs="+", help="as `make bench` writes them; the last counts")
    parser.add_argument("--users", type=int, nargs="+", default=SIZES)
    for habit in fields(Habits):
        parser.add_argument(f"--{habit.name}", type=float, default=habit.default)
    chosen = vars(parser.parse_args())
    results = json.loads(max(chosen["results"]).read_text(encoding="utf-8"))
    found = costs(results["samples"])
    if found is None:
        sys.exit("These results lack one of login, refresh and profile on PostgreSQL.")
    habits = Habits(**{habit.name: chosen[habit.name] for habit in fields(Habits)})
    print(needs(found, chosen["users"], habits))


if __name__ == "__main__":
    main()
