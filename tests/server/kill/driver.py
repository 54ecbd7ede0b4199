"""A process that forks: a child does what is asked, and dies at the point that was chosen; another looks.

Started by the tests with the shim preloaded. Takes an order a line, in JSON, and answers each in a line. It
has imported everything and has built the service, and has neither threads nor connections when it forks.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.server.kill.commands import COMMANDS
from tests.server.kill.control import NEVER, Control
from tests.server.kill.mistakes import plant
from tests.server.kill.service import AFTER_THE_CRASH, AT_WORK, Answer, Service

Tell = Callable[[Any], None]
A_MOMENT = 0.2  # seconds, for what a mistake leaves to be done later


class Driver:
    def __init__(self, folder: Path, control: Control) -> None:
        self.folder = folder
        self.control = control
        self.service = Service(folder)
        self.ready = asyncio.run(
            self.service.make_ready(lambda variant: self.service.copy_to(folder / variant))
        )
        self.before: Any = None
        self.done: Any = None

    def rehearse(self, *, variant: str, command: str, mistake: str = "") -> Any:
        """Lets the command come to its end: the calls that there are to be killed at."""
        self.service.copy_from(self.folder / variant)
        self.before = self.service.contents()
        end = self._act(variant=variant, command=command, at=NEVER, torn=False, mistake=mistake)
        log = self.control.log
        self.done = self.service.contents()
        return {**end, "log": log, "changed": self.done != self.before}

    def attempt(self, *, variant: str, command: str, at: int, torn: bool, mistake: str = "") -> Any:
        """Lets the command that was rehearsed last be killed at this point: what is wrong then."""
        end = self._act(variant=variant, command=command, at=at, torn=torn, mistake=mistake)
        return {**end, **self._look(command, end["said"][0] if end["said"] else None)}

    def _act(self, *, variant: str, command: str, at: int, torn: bool, mistake: str) -> dict[str, Any]:
        self.service.copy_from(self.folder / variant)

        async def act(tell: Tell) -> None:
            service = self.service
            if mistake:
                plant(mistake)
            async with service.running(after=AT_WORK, seed=2):
                self.control.arm(at, torn=torn)
                tell(asdict(await COMMANDS[command][0](service, self.ready)))
                tell(self.control.count)
                if mistake:
                    await asyncio.sleep(A_MOMENT)

        said, status = self._in_a_child(act)
        self.control.disarm()
        return {"killed": os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, "said": said}

    def _look(self, command: str, answer: Any) -> dict[str, Any]:
        """The service opens the database first, as after any crash."""

        async def act(tell: Tell) -> None:
            service = self.service
            async with service.running(after=AFTER_THE_CRASH, seed=3):
                async with service.container.read()() as uow:
                    await uow.users.get(1)
                for problem in service.damage():
                    tell(problem)
                stored = service.contents()
                if stored not in (self.before, self.done):
                    tell("half a state")
                if answer and stored != self.done:
                    tell("what was acknowledged is not there")
                is_done = stored == self.done
                known = Answer(**answer) if answer else None
                async for problem in COMMANDS[command][1](service, self.ready, known, is_done):
                    tell(problem)
                tell({"done": is_done})

        said, _ = self._in_a_child(act)
        ended = bool(said) and isinstance(said[-1], dict)
        problems = [each for each in said if isinstance(each, str)]
        return {
            "problems": problems if ended else [*problems, "looking at it has failed"],
            "done": ended and said[-1]["done"],
        }

    def _in_a_child(self, act: Callable[[Tell], Awaitable[None]]) -> tuple[list[Any], int]:
        """What it told, and how it ended."""
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            status = 1
            try:
                asyncio.run(act(lambda word: _write(writing, word)))
                status = 0
            except BaseException:  # noqa: BLE001 - it must not go on as its parent does
                _write(writing, traceback.format_exc())
            finally:
                os._exit(status)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            said = [json.loads(line) for line in pipe]
        return said, os.waitpid(child, 0)[1]


def _write(pipe: int, word: Any) -> None:
    os.write(pipe, json.dumps(word).encode() + b"\n")


def main() -> None:
    folder, control = sys.argv[1:]
    driver = Driver(Path(folder), Control(Path(control)))
    gc.freeze()  # else every child would copy all the pages that its garbage collector marks
    orders = {"rehearse": driver.rehearse, "attempt": driver.attempt}
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        print(json.dumps(orders[order.pop("do")](**order)), flush=True)


if __name__ == "__main__":
    main()
