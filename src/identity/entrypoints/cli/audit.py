"""`identity audit`: what happened, and whether the log of it is as it was written."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from identity.entrypoints.cli.running import (
    EX_CONFIG,
    EX_DATAERR,
    EX_UNAVAILABLE,
    fail,
    lasting_settings_of,
    print_json,
    run,
)
from identity.entrypoints.cli.tables import shown

if TYPE_CHECKING:
    from identity.application.audit import Verification
    from identity.container import Container
    from identity.domain.audit_seal import AuditEntry, SealedDay

WHERE_THE_LOG_IS = "the audit log is in the process of the server alone"


class Head(click.ParamType[bytes]):
    name = "hex"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> bytes:
        try:
            head = bytes.fromhex(value)
        except ValueError:
            head = b""
        if len(head) != 32:
            self.fail("it has 64 hexadecimal digits, as the log of the service has it", param, context)
        return head


class Time(click.ParamType[datetime]):
    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> datetime:
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            self.fail("it is written as 2026-01-31 or 2026-01-31T12:00:00+00:00", param, context)
        return time if time.tzinfo else time.replace(tzinfo=UTC)


@click.group()
def audit() -> None:
    """The audit log: check its seals, and hand it out."""


@audit.command(short_help="Check that nothing was altered, deleted, moved or inserted.")
@click.option(
    "--head", type=Head(), help="A head or seal that was noted elsewhere, and has to be in the log."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def verify(config: Path | None, head: bytes | None, as_json: bool) -> None:
    """Check that nothing was altered, deleted, moved or inserted. Changes nothing.

    Prints a line for each sealed day: its events, the id of the last, and the head, which is that event's
    seal. Each fault is a line on standard error. The service may run or not. IDENTITY_SECRET_PREVIOUS checks
    the days before the secret was changed.

    The exit status is 65 when something is wrong, 0 otherwise.
    """
    settings = lasting_settings_of(config, otherwise=WHERE_THE_LOG_IS)

    async def work(container: Container) -> Verification:
        await _readable(container)
        verification: Verification = await container.verify_audit_log()(head=head)
        return verification

    result = run(settings, work)
    if as_json:
        print_json(_as_json(result))
    else:
        _print(result)
    if not result.is_good:
        sys.exit(EX_DATAERR)


@audit.command(short_help="Print every event, as one JSON object in a line.")
@click.option("--since", type=Time(), help="Only what happened then or later.")
@click.option("--until", type=Time(), help="Only what happened before.")
@click.pass_obj
def export(config: Path | None, since: datetime | None, until: datetime | None) -> None:
    """Print every event, as one JSON object in a line, the earliest first.

    A TIME is a day, 2026-01-31, or a moment, 2026-01-31T12:00:00+00:00; in UTC unless it says otherwise. What
    is not sealed yet has no seal.

    \b
    Example, of a month:
      identity audit export --since 2026-01-01 --until 2026-02-01 > january.jsonl
    """
    settings = lasting_settings_of(config, otherwise=WHERE_THE_LOG_IS)

    async def work(container: Container) -> None:
        await _readable(container)
        async for entry in container.export_audit_log()(since=since, until=until):
            click.echo(json.dumps(_line(entry)))

    try:
        run(settings, work)
    except BrokenPipeError:  # `| head` has seen enough
        sys.exit(EX_UNAVAILABLE)


async def _readable(container: Container) -> None:
    """Unlike other commands it neither migrates nor makes a key: what is to be checked stays as it is."""
    from identity.entrypoints.server import SchemaOutdated, answering_schema

    path = container.settings().secret_path
    if container.settings().secret is None and path is not None and not path.exists():
        fail(EX_CONFIG, f"{path} is missing, and with it the secret under which the log was sealed")
    if not await (await answering_schema(container)).is_current():
        raise SchemaOutdated(
            "the database's schema is not the one this version needs: run `identity migrate`"
        )


def _print(result: Verification) -> None:
    for day in result.days:
        end = f"purged at {day.purged_at:%Y-%m-%d}" if day.purged_at else f"until event {day.last_id}"
        click.echo(f"{shown(day.day)}  {day.events:>9} events  {end:<20}  {day.seal.hex()}")
    for fault in result.faults:
        click.echo(shown(str(fault)), err=True)
    more = result.fault_count - len(result.faults)
    if more:
        click.echo(f"and {more} more", err=True)
    faults = "1 fault" if result.fault_count == 1 else f"{result.fault_count} faults"
    state = "nothing is wrong" if result.is_good else faults
    click.echo(f"{result.checked} sealed events checked, {result.unsealed} not sealed yet: {state}.")


def _as_json(result: Verification) -> dict[str, Any]:
    return {
        "good": result.is_good,
        "checked": result.checked,
        "unsealed": result.unsealed,
        "days": [_day(day) for day in result.days],
        "fault_count": result.fault_count,
        "faults": [
            {
                "kind": fault.tampering.name.lower(),
                "id": fault.id,
                "other": fault.other,
                "day": fault.day,
                "text": str(fault),
            }
            for fault in result.faults
        ],
    }


def _day(day: SealedDay) -> dict[str, Any]:
    return {
        "day": day.day,
        "events": day.events,
        "last_id": day.last_id,
        "head": day.seal.hex(),
        "key_id": day.key_id,
        "purged_at": day.purged_at.isoformat() if day.purged_at else None,
    }


def _line(entry: AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "at": entry.at.isoformat(timespec="microseconds"),
        "kind": entry.kind,
        "result": entry.result,
        "user_id": entry.user_id,
        "actor": entry.role,
        "actor_id": entry.actor_id,
        "subject": entry.subject,
        "session_id": entry.session_id,
        "request_id": entry.request_id,
        "address": entry.address,
        "user_agent": entry.user_agent,
        "seal": entry.seal.hex() if entry.seal else None,
    }
