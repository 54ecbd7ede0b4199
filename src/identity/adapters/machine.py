"""What this process may use of the machine it runs on."""

from __future__ import annotations

import os
from pathlib import Path

# Version 2, where a container sees its own group at the root, and version 1.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_OWN_GROUP = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_memory() -> int:
    """In octets: what the control groups of this process allow, or else what the machine has."""
    return min([_physical_memory(), *(limit for path in _limits() if (limit := _read(path)))])


def _limits() -> list[Path]:
    """Also those of the groups around ours: each of them holds."""
    paths = list(_LIMITS)
    try:
        lines = _OWN_GROUP.read_text("ascii", errors="replace").splitlines()
    except OSError:
        return paths
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:  # version 2
            own = _CGROUPS / group.lstrip("/")
            paths += [each / "memory.max" for each in (own, *own.parents) if each.is_relative_to(_CGROUPS)]
    return paths


def _read(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):  # not there, or "max"
        return None


def _physical_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
