"""Load from a process of its own, wrk, and what the requests cost on the other side."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes
from benchmarks.subjects import Service

SCRIPT = Path(__file__).with_name("load.lua")
LATE = 20  # seconds that wrk may take longer than it was told


@dataclass(frozen=True)
class Slice:
    """What one subject did in some seconds."""

    requests: int
    """That were answered with a status below 400."""
    per_second: float
    p50: float
    """Seconds, as the next."""
    p99: float
    refused: int
    """Answers with a status of 400 or more."""
    broken: int
    """Requests without an answer."""
    cpu: float
    """Seconds of a core of all processes of the subject, for one request; refused ones have their part."""
    database_cpu: float | None
    """Of the database's processes, where these are on this machine and not the subject's own."""
    rss: float
    """MB, of all processes of the subject, at the end."""

    @property
    def is_clean(self) -> bool:
        return self.requests > 0 and not self.refused and not self.broken


def wrk() -> str:
    """Raises `SystemExit` where it is missing."""
    program = shutil.which("wrk")
    if program is None:
        sys.exit("wrk is missing, which makes the load: `apt-get install wrk`, or `brew install wrk`.")
    return program


def measure(service: Service, workload: str, *, items: Path, connections: int, seconds: float) -> Slice:
    before = _core_seconds(service)
    told = _run(service, workload, items, connections, seconds)
    after = _core_seconds(service)
    ours, theirs = (processes.spent(*each) for each in zip(before, after, strict=True))
    answered = int(told["requests"])
    good = answered - int(told["refused"])
    return Slice(
        requests=good,
        per_second=good / told["seconds"],
        p50=told["p50"],
        p99=told["p99"],
        refused=int(told["refused"]),
        broken=int(told["broken"]),
        cpu=ours / max(answered, 1),
        database_cpu=theirs / max(answered, 1) if after[1] else None,
        rss=processes.memory(processes.tree(service.process)).rss,
    )


def _core_seconds(service: Service) -> tuple[dict[int, float], dict[int, float]]:
    """Of the subject's processes, and of the database's that serve it."""
    ours, theirs = processes.tree(service.process), processes.backends(service.database)
    return processes.core_seconds(ours), processes.core_seconds(theirs)


def command(service: Service, *, connections: int, seconds: float) -> Sequence[str]:
    whole = max(1, round(seconds))
    return [
        wrk(),
        "-t1",
        f"-c{connections}",
        f"-d{whole}s",
        "--timeout",
        "30s",
        "-s",
        str(SCRIPT),
        service.url,
    ]


def environment(service: Service, workload: str, items: Path) -> dict[str, str]:
    return {
        **os.environ,
        "BENCH_MODE": workload,
        "BENCH_PATH": service.api.paths[workload],
        "BENCH_CONTENT_TYPE": service.api.login_type if workload == "login" else "application/json",
        "BENCH_ITEMS": str(items),
    }


def _run(service: Service, workload: str, items: Path, connections: int, seconds: float) -> dict[str, float]:
    done = subprocess.run(
        command(service, connections=connections, seconds=seconds),
        env=environment(service, workload, items),
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + LATE,
    )
    for line in done.stdout.splitlines():
        if line.startswith("BENCH "):
            told: dict[str, float] = json.loads(line.removeprefix("BENCH "))
            return told
    raise RuntimeError(f"wrk: {done.stdout}{done.stderr}")
