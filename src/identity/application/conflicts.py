"""Running a use case again when another transaction got in its way."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from identity.domain.errors import Conflict

ATTEMPTS = 4  # the first, and three more

P = ParamSpec("P")
T = TypeVar("T")


def retried_on_conflict(call: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """Runs the whole use case again, from its first read, when it ends in a `Conflict`; at most three times.

    Its transaction was rolled back, so nothing of the earlier attempt is left. The last `Conflict` is let
    through, and is as good as `Unavailable` to the caller.
    """

    @functools.wraps(call)
    async def retried(*args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(ATTEMPTS - 1):
            try:
                return await call(*args, **kwargs)
            except Conflict:
                continue
        return await call(*args, **kwargs)

    return retried
