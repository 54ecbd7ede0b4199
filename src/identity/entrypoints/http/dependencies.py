"""Handing use cases and values to the handlers that ask for them by name."""

from __future__ import annotations

from typing import Any

from litestar import Litestar
from litestar.di import Provide
from litestar.routes import HTTPRoute


def constant(value: Any) -> Provide:
    def provide() -> Any:
        return value

    provide.__annotations__["return"] = type(value)
    return Provide(provide, sync_to_thread=False)


def provide_in_turn(app: Litestar) -> None:
    """Litestar begins a task group for what can be provided side by side. Here that is next to nothing, and
    the task group cost more than the rest of the framework."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for _, kwargs in route.route_handler_map.values():
                kwargs.dependency_batches = [{each} for batch in kwargs.dependency_batches for each in batch]
