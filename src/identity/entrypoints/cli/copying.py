"""`identity copy-to`: moving to another database."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from identity.entrypoints.cli.running import EX_DATAERR, fail, print_json, run, settings_of

if TYPE_CHECKING:
    from identity.application.copying import CopiedTable, CopyProgress
    from identity.container import Container
    from identity.settings import Settings

VARIABLE = "TARGET_DATABASE_URL"  # without our prefix: it is no setting of the service


# What is too much, Click would print, and it may be a URL with a password.
@click.command(
    "copy-to",
    short_help="Copy everything into another database.",
    context_settings={"allow_extra_args": True},
)
@click.argument("url", required=False, envvar=VARIABLE)
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.pass_context
def copy_to(context: click.Context, url: str | None, as_json: bool) -> None:
    """Copy everything into the database at URL, which has to be empty.

    Any of SQLite, PostgreSQL and MariaDB into any other; URL is written as in IDENTITY_DATABASE_URL. Read
    from TARGET_DATABASE_URL instead, its password is not in the list of processes.

    Stop the service first: what is written meanwhile is not in the copy. The target is migrated, filled in
    one transaction, and compared row by row; when anything is wrong it stays empty, and the status is 65.
    With the same secret sessions go on there.
    """
    settings = settings_of(context.obj)
    from identity.application.copying import CopyRefused

    if context.args:
        raise click.UsageError("Name one target only.")
    if not url:
        raise click.UsageError(f"Name the target, as URL or in {VARIABLE}.")
    _check(settings, url)

    async def work(container: Container) -> tuple[CopiedTable, ...]:
        try:
            copied: tuple[CopiedTable, ...] = await container.copier()(url, tell=_tell)
        finally:
            click.echo(_begin_line(), err=True, nl=False)
        return copied

    try:
        tables = run(settings, work)
    except CopyRefused as refusal:
        fail(EX_DATAERR, str(refusal))
    if as_json:
        print_json(
            {
                "tables": [
                    {"name": table.name, "rows": table.rows, "sha256": table.sha256.hex()} for table in tables
                ],
                "rows": sum(table.rows for table in tables),
            }
        )
    else:
        for table in tables:
            click.echo(f"{table.name:<16} {table.rows:>9}")
        click.echo(f"{'all':<16} {sum(table.rows for table in tables):>9}  copied, compared and the same")
    click.echo(_reminder(settings), err=as_json)


def _check(settings: Settings, url: str) -> None:
    from identity.settings import values

    if settings.database_url == "memory:":
        fail(EX_DATAERR, "what memory: has is known to the server alone, and cannot be copied")
    if url == "memory:":
        fail(EX_DATAERR, "a copy in memory: would be gone with this command")
    try:
        values.database_url(url)
    except ValueError as error:
        fail(EX_DATAERR, f"the target's URL {error}")


def _tell(progress: CopyProgress) -> None:
    """A line for each table that is copied; on a terminal, in the same line before, how far it has come."""
    is_done = progress.rows == progress.total and not progress.is_comparing
    verb = "comparing" if progress.is_comparing else "copying"
    if is_done:
        click.echo(f"{_begin_line()}copied {progress.table}: {progress.rows:,}", err=True)
    elif sys.stderr.isatty():
        line = f"{verb} {progress.table}: {progress.rows:,} of {progress.total:,}"
        click.echo(f"{_begin_line()}{line}", err=True, nl=False)


def _begin_line() -> str:
    """On a terminal, wipes out what it has been told last."""
    return "\r\x1b[K" if sys.stderr.isatty() else ""


def _reminder(settings: Settings) -> str:
    where = "that of this one"
    if settings.secret is None and settings.secret_path is not None:
        where = f"the one in {settings.secret_path}"
    return (
        f"The secret is not in a database: give the new deployment {where}, "
        "by IDENTITY_SECRET_FILE or IDENTITY_SECRET."
    )
