"""What this process may use of the machine it runs on."""

from __future__ import annotations

import os
from pathlib import Path

_OWN_GROUP = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")
_V1_CGROUPS = "memory"  # a directory in the other


def usable_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_memory() -> int:
    """In octets: what the control groups of this process allow, or else what the machine has."""
    return min([_physical_memory(), *(limit for path in _limits() if (limit := _read(path)))])


def _limits() -> list[Path]:
    """Also those of the groups around ours: each of them holds. A container may see its own at the root."""
    groups = {"memory.max": "", "memory.limit_in_bytes": ""}  # of versions 2 and 1
    try:
        lines = _OWN_GROUP.read_text("ascii", errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            groups["memory.max"] = group
        elif "memory" in controllers.split(","):
            groups["memory.limit_in_bytes"] = group
    roots = {"memory.max": _CGROUPS, "memory.limit_in_bytes": _CGROUPS / _V1_CGROUPS}
    return [limit for name, root in roots.items() for limit in _around(root, groups[name], name)]


def _around(root: Path, group: str, name: str) -> list[Path]:
    own = root / group.lstrip("/")
    return [each / name for each in (own, *own.parents) if each.is_relative_to(root)]


def _read(path: Path) -> int | None:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):  # not there, or "max"
        return None


def _physical_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
