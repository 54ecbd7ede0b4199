"""What a deployment of so many users needs, by what a login, a refresh and a profile were found to cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.statistics import Sample, having, spread

DAY = 86_400  # seconds
WORKLOADS = ("login", "refresh", "profile")


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
