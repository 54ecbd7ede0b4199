"""How every command begins and ends: its settings, a container of its own, and its exit status."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

if TYPE_CHECKING:
    from identity.container import Container
    from identity.settings import Settings

T = TypeVar("T")

# sysexits.h
EX_DATAERR = 65
EX_UNAVAILABLE = 69
EX_TEMPFAIL = 75
EX_CONFIG = 78


def settings_of(config: Path | None) -> Settings:
    """The settings of this process. Ends it with status 78 and one message when any is wrong."""
    from identity.settings import Settings, SettingsError

    try:
        return Settings.load(os.environ, config)
    except SettingsError as error:
        fail(EX_CONFIG, str(error))


def lasting_settings_of(config: Path | None, *, otherwise: str) -> Settings:
    """Those of a command that is about what the service has already. Ends the process with status 78 where
    the database is in memory, saying what is `otherwise`, and where SQLite would make the file, as in the
    wrong folder."""
    settings = settings_of(config)
    if settings.database_url == "memory:":
        fail(EX_CONFIG, f"with memory: {otherwise}")
    path = settings.database_path
    if path is not None and not path.exists():
        fail(
            EX_CONFIG,
            f"there is no database: {path.absolute()} is missing; the settings and, if the path is not "
            "absolute, the folder have to be the service's",
        )
    return settings


def run(settings: Settings, work: Callable[[Container], Coroutine[Any, Any, T]]) -> T:
    """Does the work with a container of its own. What an operator must mend ends the process in one line."""
    from identity.application.ports import SchemaTooNew
    from identity.container import build_container
    from identity.domain.errors import Unavailable
    from identity.domain.signing_key import UnreadableKey
    from identity.entrypoints.server import SchemaOutdated
    from identity.settings import SettingsError

    async def work_with_container() -> T:
        container = build_container(settings)
        try:
            return await work(container)
        finally:
            await container.storage().dispose()

    try:
        return asyncio.run(work_with_container())
    except SettingsError as error:
        fail(EX_CONFIG, str(error))
    except Unavailable as error:
        fail(EX_UNAVAILABLE, f"cannot use the database: {error}")
    except SchemaOutdated as error:
        fail(EX_CONFIG, str(error))
    except SchemaTooNew as error:
        fail(EX_CONFIG, f"the database was migrated by a newer version of identity: {error}")
    except UnreadableKey:
        fail(
            EX_CONFIG,
            "the signing keys in the database do not open with this secret: set the IDENTITY_SECRET or "
            "IDENTITY_SECRET_FILE they were made with, or that as IDENTITY_SECRET_PREVIOUS",
        )
    except OSError as error:
        fail(EX_CONFIG, str(error))


async def ready(container: Container) -> None:
    from identity.entrypoints.server import prepare

    await prepare(container)


def print_json(value: Any) -> None:
    import json

    click.echo(json.dumps(value, indent=2))


def fail(status: int, message: str) -> NoReturn:
    click.echo(f"identity: {message}", err=True)
    sys.exit(status)
