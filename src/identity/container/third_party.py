"""Adapters of somebody else, named in a setting."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from identity.settings import SettingsError


def third_party(path: str, *, setting: str, port: type) -> Any:
    """An instance of the class `package.module:Class`, made without arguments: its configuration is its own.

    Raises:
        SettingsError: there is no such class, it cannot be made, or it lacks a method of its port.
    """
    module, _, class_name = path.partition(":")
    try:
        adapter = getattr(importlib.import_module(module), class_name)()
    except Exception as error:
        raise SettingsError([f"{setting} {path}: {_reason(error)}"]) from error
    for name, method in inspect.getmembers(port, inspect.isfunction):
        if not name.startswith("_") and not _is_alike(getattr(adapter, name, None), method):
            definition = "async def" if inspect.iscoroutinefunction(method) else "def"
            parameters = ", ".join(inspect.signature(method).parameters)
            raise SettingsError([f"{setting} {path} has no `{definition} {name}({parameters})`"])
    return adapter


def _is_alike(attribute: object, method: object) -> bool:
    # Both ways: a coroutine that stands where an answer is expected would always be true.
    is_async = inspect.iscoroutinefunction(attribute)
    return callable(attribute) and is_async == inspect.iscoroutinefunction(method)


def _reason(error: Exception) -> str:
    kind = type(error)
    if kind is ModuleNotFoundError:
        return f"{error}; is it installed, or its folder in PYTHONPATH?"
    if kind.__module__ != "builtins":
        return kind.__qualname__  # without its words: some libraries repeat what they got, passwords as well
    return str(error) if kind is ValueError else f"{kind.__name__}: {error}"
