"""`make storm`: how the service stands a storm of logins, in figures, beside what its hasher could do alone.

Everything runs on one machine: what asks takes cores away from what answers. `asking` says how much.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import uvloop
from tests.databases import Databases
from tests.server.commands import SECRET, Commands, Server
from tests.server.load import Outcome, keep_logging_in, keep_probing, login, percentile, profile
from tests.server.service import PASSWORD

from identity.adapters.argon2 import Argon2Hasher
from identity.container.hashing import hashing_slots
from identity.domain.secrets import Secret
from identity.settings import Settings
from identity.settings.values import LEAST_MEMORY_COST

ACCOUNTS = 200
CROWDS = (500, 2000)
SECONDS = 10.0
ALONE = 4.0  # seconds that the hasher is measured before and after each storm
LEAST_SHARE = 0.9  # of the hasher's throughput
LONGEST_PROFILE = 0.25  # seconds, 99th percentile
OPEN_FILES = 8192


@dataclass
class Row:
    database: str
    slots: int
    """Passwords that are hashed at once."""
    clients: int
    hasher: float
    """Passwords that the hasher alone verifies in a second, in as many threads as in the service."""
    logged_in: float
    """Answers with 200 in a second; the next ones as well."""
    unavailable: float
    throttled: float
    failed: int
    """Any other answer, or none."""
    login_p50: float
    login_p99: float
    refusal_p99: float
    profile_p50: float
    profile_p99: float
    memory: int
    """The most that the worker occupied, in MiB."""
    cpu: float
    """Seconds of a core that a login took, with its hash and its share of the refusals."""
    asking: float
    """Cores that the clients took."""
    verdict: str = ""

    @property
    def share(self) -> float:
        return self.logged_in / self.hasher


def hashes_in_a_second(slots: int, seconds: float) -> float:
    settings = Settings()
    hasher = Argon2Hasher(
        time_cost=settings.argon2_time_cost,
        memory_cost=settings.argon2_memory_cost,
        parallelism=settings.argon2_parallelism,
        threads=slots,
    )

    async def measure() -> float:
        password_hash = await hasher.hash(Secret(PASSWORD))
        began_at = time.perf_counter()
        count = 0

        async def lane() -> None:
            nonlocal count
            while time.perf_counter() < began_at + seconds:
                assert await hasher.verify(Secret(PASSWORD), password_hash)
                count += 1

        await asyncio.gather(*(lane() for _ in range(slots)))
        return count / (time.perf_counter() - began_at)

    return uvloop.run(measure())


def ask(port: int, requests: list[bytes], seconds: float) -> tuple[Outcome, float]:
    """And the seconds of a core that asking took."""
    before = time.process_time()
    outcome = uvloop.run(keep_logging_in(port, requests, seconds=seconds))
    return outcome, time.process_time() - before


def probe(port: int, request: bytes, seconds: float) -> list[float]:
    return uvloop.run(keep_probing(port, request, seconds=seconds))


def slots_here() -> list[int]:
    """As many as the service takes, and one less, which leaves a core to all that is no hash."""
    most = hashing_slots(Settings())
    return [most, most - 1] if most > 1 else [most]


def allow_open_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(OPEN_FILES, most), most))


def most_memory(process: int) -> int:
    """In KiB, since its start."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def core_seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def storm(
    server: Server, *, kind: str, slots: int, clients: int, seconds: float, processes: ProcessPoolExecutor
) -> Row:
    # Each account at an address of its own, as people are, and not all behind one.
    requests = [
        login(f"user{n}", PASSWORD, address=f"10.0.{n}.1") for n in (m % ACCOUNTS for m in range(clients))
    ]
    look = profile(server.log_in("user0")["access"])
    before = processes.submit(hashes_in_a_second, slots, ALONE).result()
    worked = core_seconds(server.process.pid)
    asking = processes.submit(ask, server.port, requests, seconds)
    probing = processes.submit(probe, server.port, look, seconds)
    probes, (outcome, asked) = probing.result(), asking.result()
    worked = core_seconds(server.process.pid) - worked
    after = processes.submit(hashes_in_a_second, slots, ALONE).result()
    statuses = outcome.statuses
    row = Row(
        database=kind,
        slots=slots,
        clients=clients,
        hasher=(before + after) / 2,
        logged_in=statuses[200] / seconds,
        unavailable=statuses[503] / seconds,
        throttled=statuses[429] / seconds,
        failed=sum(count for status, count in statuses.items() if status not in {200, 429, 503}),
        login_p50=percentile(outcome.login_seconds(200), 50),
        login_p99=percentile(outcome.login_seconds(200), 99),
        refusal_p99=percentile(outcome.login_seconds(503), 99),
        profile_p50=percentile(probes, 50),
        profile_p99=percentile(probes, 99),
        memory=most_memory(server.process.pid) // 1024,
        cpu=worked / max(statuses[200], 1),
        asking=asked / seconds,
    )
    row.verdict = ", ".join(missed(row)) or "holds"
    return row


def missed(row: Row) -> list[str]:
    """What the row does not reach."""
    return [
        text
        for is_missed, text in (
            (row.share < LEAST_SHARE, f"below {LEAST_SHARE:.0%} of the hasher"),
            (row.profile_p99 > LONGEST_PROFILE, f"profile above {LONGEST_PROFILE * 1000:.0f} ms"),
            (row.failed > 0, "other answers"),
        )
        if is_missed
    ]


COLUMNS: dict[str, Callable[[Row], str]] = {
    "database": lambda row: row.database,
    "slots": lambda row: str(row.slots),
    "clients": lambda row: str(row.clients),
    "200/s": lambda row: f"{row.logged_in:.1f}",
    "hasher/s": lambda row: f"{row.hasher:.1f}",
    "share": lambda row: f"{row.share:.0%}",
    "503/s": lambda row: f"{row.unavailable:.1f}",
    "429/s": lambda row: f"{row.throttled:.1f}",
    "other": lambda row: str(row.failed),
    "login p50": lambda row: f"{row.login_p50:.2f} s",
    "p99": lambda row: f"{row.login_p99:.2f} s",
    "503 p99": lambda row: f"{row.refusal_p99:.2f} s",
    "profile p50": lambda row: f"{row.profile_p50 * 1000:.0f} ms",
    "p99 ": lambda row: f"{row.profile_p99 * 1000:.0f} ms",
    "RSS": lambda row: f"{row.memory} MiB",
    "CPU/login": lambda row: f"{row.cpu * 1000:.0f} ms",
    "asking": lambda row: f"{row.asking:.2f}",
    "verdict": lambda row: row.verdict,
}


def table(rows: list[Row]) -> str:
    lines = [list(COLUMNS), *([show(row) for show in COLUMNS.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in lines
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make storm", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each storm lasts")
    parser.add_argument("--clients", type=int, nargs="+", default=CROWDS)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    parser.add_argument("--slots", type=int, nargs="+", default=slots_here(), help="hashes at once")
    chosen = parser.parse_args()
    allow_open_files()
    rows = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        databases = Databases(folder)
        stack.callback(databases.close)
        spawn = multiprocessing.get_context("spawn")
        processes = stack.enter_context(ProcessPoolExecutor(2, mp_context=spawn))
        for kind, slots in itertools.product(chosen.databases, chosen.slots):
            if kind != "sqlite" and f"TEST_{kind.upper()}_URL" not in os.environ:
                print(f"{kind}: TEST_{kind.upper()}_URL is not set", file=sys.stderr)
                continue
            settings: dict[str, Any] = {
                "deliver_mail": "false",
                "trusted_proxies": "127.0.0.1/32",
                "hashing_memory": slots * LEAST_MEMORY_COST // 1024,
            }
            if kind != "sqlite":
                settings |= {"database_url": databases.new(kind), "auto_migrate": "true", "secret": SECRET}
            with Commands(folder / f"{kind}-{slots}") as commands:
                server = commands.serve(**settings)
                for number in range(ACCOUNTS):
                    server.register(f"user{number}")
                for clients in chosen.clients:
                    row = storm(
                        server,
                        kind=kind,
                        slots=slots,
                        clients=clients,
                        seconds=chosen.seconds,
                        processes=processes,
                    )
                    rows.append(row)
                    print(f"{kind}, {slots} slots, {clients} clients: {row.verdict}", file=sys.stderr)
                assert "Traceback" not in server.text, server.text[-4000:]
    if chosen.json:
        print(json.dumps([{**asdict(row), "share": row.share} for row in rows], indent=2))
    else:
        print(table(rows))
    sys.exit(any(missed(row) for row in rows))


if __name__ == "__main__":
    main()
