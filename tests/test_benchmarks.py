"""The arithmetic of the benchmarks, and that the quick check finds what became slow."""

from __future__ import annotations

import asyncio
import json
import math
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing, suppress
from typing import Any

import pytest
from benchmarks import processes
from benchmarks.cost import Costs, Habits, costs, need, needs
from benchmarks.machine import slug
from benchmarks.probe import probe
from benchmarks.report import quoted
from benchmarks.rows import password_hash
from benchmarks.seed import seed
from benchmarks.statistics import having, percentile, ratios, shown, spread
from benchmarks.subjects import ROOT
from benchmarks.targets import judge, quick_targets, targets, unclean
from tests.databases import Databases, execute, run

from identity.adapters.sql.migration import SqlSchema
from identity.adapters.sql.storage import SqlStorage
from identity.settings import Settings

RATES = {
    "profile": {"identity": 4192.0, "django": 757.0, "fastapi-users": 820.0, "d1": 4758.0, "d2": 12978.0},
    "refresh": {"identity": 1021.0, "django": 185.0},
    "login": {"identity": 74.6, "django": 40.4, "fastapi-users": 46.4, "hashing": 101.0},
}
"""Measured on 2026-11-23."""
GOOD: dict[str, float] = {"identity": 0.0240, "hashing": 0.0193}
"""Seconds of a core that a login takes, and a hash."""


def measured(
    rates: Mapping[str, Mapping[str, float]] = RATES, *, rounds: int = 3, **changes: Any
) -> list[dict[str, Any]]:
    """A run in which every round went as the others."""
    return [
        {
            "suite": "side by side",
            "database": "postgresql",
            "workload": workload,
            "subject": subject,
            "round": number,
            "per_second": rate,
            "cpu": GOOD.get(subject, 0.001),
            "database_cpu": 0.0005,
            "clean": True,
            **changes,
        }
        for number in range(rounds)
        for workload, subjects in rates.items()
        for subject, rate in subjects.items()
    ]


def slower(workload: str, times: float) -> dict[str, dict[str, float]]:
    ours = RATES[workload]["identity"] / times
    return {**RATES, workload: {**RATES[workload], "identity": ours}}


# Statistics


def test_the_spread_has_the_median_and_the_extremes() -> None:
    found = spread([5.0, 1.0, 100.0])
    assert found is not None
    assert (found.median, found.least, found.most, found.count) == (5.0, 1.0, 100.0, 3)
    assert spread([]) is None


def test_a_percentile_is_a_value_that_was_measured() -> None:
    times = [float(n) for n in range(1, 201)]
    assert percentile(times, 50) == 100.0
    assert percentile(times, 99) == 198.0
    assert percentile([7.0], 99) == 7.0
    assert math.isnan(percentile([], 50))


def test_ratios_are_of_one_round_each_and_a_round_that_lacks_one_has_none() -> None:
    ours = [{"round": 0, "x": 10.0}, {"round": 1, "x": 20.0}, {"round": 2, "x": 30.0}]
    theirs = [{"round": 1, "x": 10.0}, {"round": 0, "x": 2.0}]
    assert ratios(ours, theirs, "x") == [5.0, 2.0]


def test_a_slice_with_refused_requests_counts_for_nothing() -> None:
    samples = [{"subject": "identity", "clean": True}, {"subject": "identity", "clean": False}]
    assert having(samples, subject="identity") == samples[:1]
    assert unclean(samples) == samples[1:]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.01234, "0.0123"),
        (1.5, "1.50"),
        (15.25, "15.2"),
        (1234567.0, "1,234,567"),
        (math.inf, "inf"),
    ],
)
def test_figures_are_shown_with_three_digits(value: float, text: str) -> None:
    assert shown(value) == text


# Targets


def test_good_figures_meet_every_target_of_the_quick_check() -> None:
    assert [str(each) for each in judge(quick_targets("postgresql"), measured()) if not each.is_met] == []


@pytest.mark.parametrize(
    ("workload", "times", "missed"),
    [
        (
            "profile",
            2.3,
            {"profile: rate, divided by that of Django + DRF", "profile: rate, divided by that of floor d1"},
        ),
        ("refresh", 3, {"refresh: rate, divided by that of SimpleJWT with its blacklist"}),
        (
            "login",
            2.8,
            {
                "login: rate, divided by that of raw Argon2 in as many threads as cores",
                "login: rate, divided by that of Django + DRF + SimpleJWT",
            },
        ),
    ],
)
def test_a_planted_slow_down_is_found(workload: str, times: float, missed: set[str]) -> None:
    verdicts = judge(quick_targets("postgresql"), measured(slower(workload, times)))
    assert {each.target.what for each in verdicts if not each.is_met} == missed


def test_work_beside_the_hash_is_found() -> None:
    samples = measured()
    for sample in samples:
        if sample["workload"] == "login" and sample["subject"] == "identity":
            sample["cpu"] *= 2
    (missed,) = [each for each in judge(quick_targets("postgresql"), samples) if not each.is_met]
    assert str(missed) == (
        "login: part of the service's processor time that is hashing: 0.402, at least 0.6: MISSED"
    )


def test_one_round_that_was_disturbed_decides_nothing() -> None:
    samples = measured()
    samples[0]["per_second"] /= 10
    assert all(each.is_met for each in judge(quick_targets("postgresql"), samples))


def test_what_was_not_measured_well_is_not_met() -> None:
    verdicts = judge(quick_targets("postgresql"), measured(clean=False))
    assert not any(each.is_met for each in verdicts)
    assert "no figure" in str(verdicts[0])


def test_the_quick_check_asks_for_less_than_the_targets_and_for_some_half_of_what_was_measured() -> None:
    full = {target.what: target.bound for target in targets()}
    for verdict in judge(quick_targets("postgresql"), measured()):
        bound = verdict.target.bound
        assert bound < full[verdict.target.what], verdict
        assert verdict.value is not None
        assert 0.3 * verdict.value < bound < 0.8 * verdict.value, verdict


def test_the_readme_quotes_the_latest_run_with_its_machine_and_its_date() -> None:
    runs = {file: json.loads(file.read_text()) for file in (ROOT / "benchmarks" / "results").glob("*.json")}
    latest = max(file for file in runs if having(runs[file]["samples"], suite="side by side"))
    run = runs[latest]
    about, readme = run["about"], (ROOT / "README.md").read_text()
    assert quoted(run["samples"]) in readme
    machine = f"{about['date']}: {about['processor']}, {about['cores']} cores, Linux"
    assert machine in readme
    assert f"(benchmarks/results/{latest.with_suffix('.md').name})" in readme
    needed = needs(costs(run["samples"]))
    assert needed.partition("\n\n")[2].strip() in (ROOT / "docs" / "scaling.md").read_text()


def test_the_best_start_counts_and_the_median_memory() -> None:
    starts = [
        {"suite": "start", "subject": "identity", "round": n, "start": start, "rss": rss}
        for n, (start, rss) in enumerate([(1.2, 100.0), (3.0, 120.0), (1.6, 90.0)])
    ]
    found = {
        each.target.what: each.value for each in judge(list(targets()), starts) if each.value is not None
    }
    assert found == {"memory of an idle worker": 100.0, "start to first answer, best of 5": 1.2}


# What a deployment needs


def test_ten_times_the_users_need_ten_times_as_much() -> None:
    of_one = Costs(
        service={"login": 0.025, "refresh": 0.001, "profile": 0.0005},
        database={"login": 0.002, "refresh": 0.0004, "profile": 0.0001},
        octets=1000.0,
    )
    habits = Habits(active=0.1, logins=1, refreshes=10, profiles=100, peak=8.64, utilisation=0.5)
    small, large = need(1_000_000, of_one, habits), need(10_000_000, of_one, habits)
    # A hundred thousand people a day, 8.64 of whom would be 1e-4 of the seconds of a day: ten at once.
    assert small.per_second == pytest.approx({"login": 10, "refresh": 100, "profile": 1000})
    assert small.service_cores == pytest.approx((0.25 + 0.1 + 0.5) / 0.5)
    assert small.database_cores == pytest.approx((0.02 + 0.04 + 0.1) / 0.5)
    assert small.gigabytes == pytest.approx(1.0)
    assert large.service_cores == pytest.approx(10 * small.service_cores)


def test_costs_are_the_medians_of_our_own_clean_slices() -> None:
    seeded = {"suite": "seeding", "users": 1000, "octets": 900_000}
    found = costs([*measured(), seeded])
    assert found is not None
    assert found.service == {"login": 0.024, "refresh": 0.024, "profile": 0.024}
    assert found.database["login"] == 0.0005
    assert found.octets == 900.0
    assert costs(measured({"login": RATES["login"]})) is None


# What the rest stands on


def test_the_processor_time_of_children_counts() -> None:
    spin = "import time\nwhile time.process_time() < 0.1: pass\nprint(flush=True)\ninput()"
    before = processes.core_seconds(processes.tree(os.getpid()))
    with subprocess.Popen(
        [sys.executable, "-c", spin], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in processes.tree(os.getpid())
        assert processes.spent(before, processes.core_seconds(processes.tree(os.getpid()))) >= 0.08
        assert processes.memory([child.pid]).rss > processes.memory([child.pid]).pss > 0
        child.communicate(b"\n")


@pytest.mark.parametrize(
    ("answer", "counted"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "times"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "times"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", "times"),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}", "refused"),
        (b"", "broken"),
    ],
)
async def test_the_prober_tells_answers_from_refusals_however_they_end(answer: bytes, counted: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
                if not answer or b"close" in answer:
                    break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        found = await probe(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 0.1)
    counts = {name: len(each) if isinstance(each, list) else each for name, each in found.items()}
    assert counts == {"times": 0, "refused": 0, "broken": 0, counted: 2}


def test_a_process_that_has_ended_takes_nothing_back() -> None:
    assert processes.spent({1: 5.0, 2: 30.0}, {1: 6.0, 3: 0.5}) == 1.5


def test_the_name_of_a_machine_names_a_file() -> None:
    about = {"processor": "AMD EPYC 7B13 (Milan) 64-Core Processor @ 2.45GHz", "cores": "2"}
    assert slug(about) == "amd-epyc-7b13-64-core-2-cores"


async def migrate(url: str) -> None:
    storage = SqlStorage(url)
    await SqlSchema(storage).upgrade()
    await storage.dispose()


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    if not url.startswith("sqlite:"):
        return execute("postgresql", url, query)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_seeded_users_have_the_service_s_own_hash_and_a_session_each(
    kind: str, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.rows.BATCH", 2)
    url = databases.new(kind)
    run(migrate(url))
    seed(url, users=5)
    query = "SELECT username, password_hash FROM users JOIN sessions ON user_id = users.id ORDER BY username"
    assert rows(url, query) == [(f"user{n}", password_hash()) for n in range(5)]
    settings = Settings()
    memory, passes = settings.argon2_memory_cost, settings.argon2_time_cost
    assert password_hash().startswith(
        f"$argon2id$v=19$m={memory},t={passes},p={settings.argon2_parallelism}$"
    )


def test_the_peers_hash_with_the_same_parameters() -> None:
    settings = Settings()
    django = (ROOT / "benchmarks" / "peers" / "django_backend" / "hasher.py").read_text(encoding="utf-8")
    fastapi = (ROOT / "benchmarks" / "peers" / "fastapi_backend.py").read_text(encoding="utf-8")
    for name in ("time_cost", "memory_cost", "parallelism"):
        value = getattr(settings, f"argon2_{name}")
        assert f"{name} = {value}\n" in django
        assert f"{name}={value}" in fastapi
