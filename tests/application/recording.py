"""What a use case asks of the world: every call of every port that it holds, whichever ports these are."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any, TypeVar

from tests.application.world import Tap

from identity.application.ports import BeginUnitOfWork, ReadUnitOfWork

T = TypeVar("T")


def recorded(use_case: T, tap: Tap) -> T:
    """The same use case with the tap before each of its ports, and before those of the use cases in it.

    A port is a field whose type is a protocol. So one that is new is recorded without a word here.
    """
    hints = typing.get_type_hints(type(use_case))
    tapped: dict[str, Any] = {}
    for field in dataclasses.fields(use_case):  # type: ignore[arg-type]
        value, kinds = getattr(use_case, field.name), _kinds(hints[field.name])
        if kinds & {BeginUnitOfWork, ReadUnitOfWork}:
            tapped[field.name] = tap.on_storage(field.name, value)
        elif any(getattr(kind, "_is_protocol", False) for kind in kinds):
            tapped[field.name] = None if value is None else tap.on(field.name, value)
        elif dataclasses.is_dataclass(value) and type(value).__module__.startswith("identity.application."):
            tapped[field.name] = recorded(value, tap)
        elif callable(value):
            raise TypeError(f"{type(use_case).__name__}.{field.name} is neither a port nor a value")
    return dataclasses.replace(use_case, **tapped)  # type: ignore[type-var]


def _kinds(hint: Any) -> set[Any]:
    """What a field may hold: of `Port | None`, both."""
    return set(typing.get_args(hint)) if isinstance(hint, types.UnionType) else {hint}
