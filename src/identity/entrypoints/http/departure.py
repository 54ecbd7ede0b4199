"""Waiting for one's turn to have a password hashed, and clients that go away meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from litestar.exceptions import HTTPException

from identity.application.ports import HashingLane
from identity.entrypoints.http.body import AnyRequest

T = TypeVar("T")

LOOKED_AFTER_EVERY = 0.05  # seconds


class WhileConnected:
    """Runs what hashes a password. Where its client goes away while it waits for its turn, it gives up.

    Elsewhere it goes on to its end, as a change that was begun. The request's body must have been read.

    Raises:
        HTTPException: the client went away; nobody will see this answer.
    """

    def __init__(self, request: AnyRequest, lane: HashingLane) -> None:
        self._request = request
        self._lane = lane

    async def __call__(self, work: Awaitable[T]) -> T:
        task = asyncio.ensure_future(work)
        departure = asyncio.create_task(self._give_up_once_gone(task))
        try:
            return await task
        except asyncio.CancelledError:
            if departure.done() and not departure.cancelled():
                raise HTTPException("The client went away.", status_code=400) from None
            task.cancel()
            raise
        finally:
            departure.cancel()

    async def _give_up_once_gone(self, task: asyncio.Future[Any]) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            """Of a body that has been read nothing more is expected."""
        while not task.done():
            if isinstance(task, asyncio.Task) and self._lane.is_waiting(task):
                task.cancel()
                return
            await asyncio.sleep(LOOKED_AFTER_EVERY)


def providing_while_connected(lane: HashingLane) -> Callable[[AnyRequest], WhileConnected]:
    def provide(request: AnyRequest) -> WhileConnected:
        return WhileConnected(request, lane)

    return provide
