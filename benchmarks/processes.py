"""What processes cost, by /proc: processor time and memory."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024 / 1_000_000  # in MB


@dataclass(frozen=True)
class Memory:
    rss: float
    """In MB, what several share counted for each."""
    pss: float
    """In MB, what several share divided among them."""


def tree(root: int) -> list[int]:
    """The process and all that it has started, and these in turn."""
    children: dict[int, list[int]] = {}
    for process in _processes():
        with suppress(OSError):
            children.setdefault(int(_fields(process)[1]), []).append(process)
    found = [root]
    for process in found:
        found += children.get(process, [])
    return found


def backends(database: str) -> list[int]:
    """The processes of a PostgreSQL server on this machine that serve connections to this database."""
    found = []
    for process in _processes():
        with suppress(OSError):
            title = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
            if title.startswith("postgres:") and f" {database} " in title:
                found.append(process)
    return found


def core_seconds(processes: list[int]) -> dict[int, float]:
    """Of each of the processes that is still there, with those of its children that have ended."""
    seconds = {}
    for process in processes:
        with suppress(OSError):
            seconds[process] = sum(map(int, _fields(process)[11:15])) / _TICKS
    return seconds


def spent(before: dict[int, float], after: dict[int, float]) -> float:
    """Seconds of a core from then to now. What a process spent that ended in between is not known."""
    return sum(seconds - before.get(process, 0.0) for process, seconds in after.items())


def memory(processes: list[int]) -> Memory:
    sizes = {"Rss": 0, "Pss": 0}
    for process in processes:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]:
            name, _, value = line.partition(":")
            if name in sizes:
                sizes[name] += int(value.split()[0])
    return Memory(rss=sizes["Rss"] * _KIB, pss=sizes["Pss"] * _KIB)


def _processes() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _fields(process: int) -> list[str]:
    """From /proc/PID/stat those behind the name, which may have spaces: the state is the first."""
    return (
        Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    )
