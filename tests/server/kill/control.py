"""The other end of shim.c: building it, choosing where a process is to be killed, and what it has counted."""

from __future__ import annotations

import mmap
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

HEAD = struct.Struct("=qqq")
LOGGED = 65536
NEVER = 2**62
"""A point that is not reached: all calls are counted."""
CALLS = {"w": "write", "t": "truncate", "s": "sync", "u": "unlink", "r": "rename"}
FILES = {"d": "the database", "w": "the log", "s": "the index of the log", "j": "the journal"}


def built(folder: Path) -> Path:
    """The shim, compiled. Skips the test where that cannot be done; where `CI` is set, fails it."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        message = "killing at every write needs a C compiler named cc, and Linux"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    library = folder / "shim.so"
    source = Path(__file__).with_name("shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", library, source, "-ldl"], check=True)
    return library


class Control:
    """What is shared with the processes that have the shim preloaded."""

    def __init__(self, file: Path) -> None:
        self.file = file
        if not file.exists():
            file.write_bytes(bytes(HEAD.size + 2 * LOGGED))
        with file.open("r+b") as opened:
            self._shared = mmap.mmap(opened.fileno(), 0)

    def environment(self, library: Path, database: Path) -> dict[str, str]:
        return {
            "LD_PRELOAD": str(library),
            "KILL_CONTROL": str(self.file),
            "KILL_DATABASE": str(database.resolve()),
        }

    def arm(self, at: int = NEVER, *, torn: bool = False) -> None:
        """From now on calls are counted, and the one with this number is the last thing that is tried."""
        HEAD.pack_into(self._shared, 0, 0, torn, 0)
        HEAD.pack_into(self._shared, 0, at, torn, 0)

    def disarm(self) -> None:
        HEAD.pack_into(self._shared, 0, 0, 0, self.count)

    @property
    def count(self) -> int:
        return HEAD.unpack_from(self._shared, 0)[2]

    @property
    def log(self) -> list[str]:
        """Two letters for each call that was counted: keys of `CALLS` and `FILES`."""
        count = self.count
        assert count <= LOGGED
        letters = self._shared[HEAD.size : HEAD.size + 2 * count].decode()
        return [letters[number : number + 2] for number in range(0, 2 * count, 2)]
