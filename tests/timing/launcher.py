"""Runs the `identity` command with what is to be planted in it.

`launcher.py PLANTED COMMAND serve`: a name in `PLANTED` below, and the path of the command.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))  # for the hashers

from identity.application.login import LogIn
from identity.domain.user import User
from identity.entrypoints import worker


def nothing() -> None:
    """The service as it is."""


def one_more_select() -> None:
    """A leak: what a known account is asked for once more, as when a role or a setting of it is looked up."""
    find = LogIn._find

    async def find_and_look_again(log_in: Any, username: str) -> tuple[User | None, str]:
        user, key = await find(log_in, username)
        if user is not None:
            async with log_in.read() as uow:
                await uow.users.get(user.id)
        return user, key

    LogIn._find = find_and_look_again  # type: ignore[method-assign]


def prompt_delivery() -> None:
    """No leak by itself: mail is looked for so often that a few requests see all that comes of one."""
    worker.PAUSE = 0.02


PLANTED = {each.__name__: each for each in (nothing, one_more_select, prompt_delivery)}

if __name__ == "__main__":
    PLANTED[sys.argv[1]]()
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
