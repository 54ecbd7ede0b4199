"""kill -9 at every call by which SQLite changes a file, or makes it durable, and in the middle of each write.

The command is done as a whole or not at all, what was acknowledged is there, the database opens without
repair, and a client that tries again ends where it would have ended. Every 47th point of each command is
tried on one state of the files, every 61st of two of them on the others, and all where `FAULTS=all` is set
(`make faults`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests import figures
from tests.sampling import ALL, sampled
from tests.server.kill.control import CALLS, FILES, Control, built

ROOT = Path(__file__).parents[2]
COMMANDS = ("register", "login", "refresh", "change", "reset")
VARIANTS = {"open": "with a log", "full": "with a log that is full", "closed": "without a log"}
EVERY = {"open": 47, "full": 61, "closed": 61}  # odd: of most writes there are two points, whole and torn

PASSWORD, NEW_PASSWORD = "yourpassword123", "yournewpassword123"

Point = tuple[int, bool]
"""The number of a call, and whether the first half of its octets is written."""


class Driver:
    """See kill/driver.py."""

    def __init__(self, folder: Path) -> None:
        house = folder / "house"
        house.mkdir()
        control = Control(folder / "control")
        environment = control.environment(built(folder), house / "identity.db")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.kill.driver", house, control.file],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"

    def close(self) -> None:
        self._process.communicate()

    def rehearse(self, **what: str) -> tuple[list[str], int]:
        """The calls that there are to be killed at, and how many of them come before the answer."""
        end = self._order("rehearse", **what)
        assert not end["killed"]
        answer, calls_before = end["said"]
        assert answer["status"] in {200, 201}, answer
        assert end["changed"]
        return end["log"], calls_before

    def attempt(self, point: Point, **what: str) -> dict[str, Any]:
        return self._order("attempt", at=point[0], torn=point[1], **what)

    def _order(self, do: str, **what: object) -> Any:
        assert self._process.stdin
        print(json.dumps({"do": do, **what}), file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the process that forks has ended"
        return json.loads(line)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    driver = Driver(tmp_path_factory.mktemp("kill"))
    yield driver
    driver.close()


def points(log: list[str]) -> list[Point]:
    assert log, "the shim has seen no call at all: SQLite goes another way here"
    return [
        (number, torn)
        for number, call in enumerate(log, 1)
        for torn in ([False, True] if call[0] == "w" else [False])
    ]


def named(point: Point, log: list[str]) -> str:
    number, torn = point
    call, file = log[number - 1]
    return f"killed {'within' if torn else 'before'} call {number}, {CALLS[call]} of {FILES[file]}"


@pytest.mark.parametrize(
    ("command", "variant"),
    [
        (command, variant)
        for variant in VARIANTS
        for command in COMMANDS
        if ALL or variant == "open" or command in {"login", "reset"}
    ],
)
def test_a_command_that_is_killed_is_done_or_not_and_can_be_tried_again(
    driver: Driver, command: str, variant: str, record_property: Callable[[str, Any], None]
) -> None:
    log, calls_before_the_answer = driver.rehearse(command=command, variant=variant)
    before_the_answer = set(log[:calls_before_the_answer])
    assert {"ww", "sw"} <= before_the_answer, "answered before it was written to the log and made durable"
    assert ("wd" in before_the_answer) >= (variant == "full"), "the log was not copied into the database"
    assert "wd" in log
    every = points(log)
    tried = sampled(every, EVERY[variant])  # the last come after the answer, whatever the log was like
    wrong, seen = [], Counter()
    for point in tried:
        after = driver.attempt(point, command=command, variant=variant)
        if not after["killed"]:
            wrong.append(f"{named(point, log)}: it was not")
        wrong += [f"{named(point, log)}: {problem}" for problem in after["problems"]]
        seen[bool(after["said"]), after["done"]] += 1
    calls = Counter(CALLS[call] for call, _ in log)
    kinds = ", ".join(f"{count} {call}" for call, count in sorted(calls.items()))
    figures.note(
        record_property,
        table=f"kill -9 at every write of SQLite, {VARIANTS[variant]}",
        use_case=command,
        tried=len(tried),
        of=len(every),
        kinds=kinds,
    )
    assert not wrong, "\n".join(wrong)
    # Killed before it was done and after, and after it was acknowledged: else the points are the wrong ones.
    assert seen[False, False] > 0
    assert seen[True, True] > 0


@pytest.mark.parametrize(
    ("mistake", "command", "found"),
    [
        ("reset in two transactions", "reset", "half a state"),
        ("registration after the answer", "register", "what was acknowledged is not there"),
    ],
)
def test_a_mistake_that_is_planted_is_found(driver: Driver, mistake: str, command: str, found: str) -> None:
    what = {"command": command, "variant": "open", "mistake": mistake}
    log, _ = driver.rehearse(**what)
    tried = sampled(points(log), every=3)
    assert any(found in driver.attempt(point, **what)["problems"] for point in tried)


# The same through the front door


@pytest.mark.parametrize("at", range(1, 13) if ALL else [6])
def test_the_server_that_is_killed_within_a_write_goes_on_as_it_was(
    commands: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    control = Control(tmp_path / "control")
    preloaded = control.environment(built(tmp_path), commands.folder / "identity.db")
    for name, value in preloaded.items():
        monkeypatch.setenv(name, value)
    server = commands.serve(deliver_mail="false", anew=True)
    server.register("john")
    server.register("jane")
    access = server.log_in("john")["access"]
    control.arm(at, torn=True)
    body = {"old_password": PASSWORD, "new_password": NEW_PASSWORD}
    with pytest.raises(httpx.TransportError):
        server.post("/api/user/change-password/", body, access=access)
    assert server.process.wait(timeout=20) == -signal.SIGKILL
    control.disarm()

    server = commands.serve(deliver_mail="false")
    assert server.rows("PRAGMA integrity_check") == [("ok",)]
    assert server.can_log_in("jane")
    old, new = (server.can_log_in("john", password) for password in (PASSWORD, NEW_PASSWORD))
    assert old != new
    assert server.audited("john").count("PasswordChanged") == new
    assert server.post("/api/user/change-password/", body, access=access).status_code == (400 if new else 200)
    assert server.can_log_in("john", NEW_PASSWORD)
    assert not server.can_log_in("john")
