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
    print_json,
    run,
    settings_of,
)
from identity.entrypoints.cli.tables import shown

if TYPE_CHECKING:
    from identity.application.audit import Verification
    from identity.container import Container
    from identity.domain.audit_seal import AuditEntry, SealedDay
    from identity.settings import Settings


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


@audit.command()
@click.option("--head", type=Head(), help="A seal that was noted elsewhere, and has to be in the log.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def verify(config: Path | None, head: bytes | None, as_json: bool) -> None:
    """Check that nothing was altered, deleted, moved or inserted. Changes nothing.

    The service may run or not. Ends with status 65 when something is wrong.
    """
    settings = _settings_with_a_log(config)

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


@audit.command()
@click.option("--since", type=Time(), help="Only what happened then or later; UTC unless it says otherwise.")
@click.option("--until", type=Time(), help="Only what happened before.")
@click.pass_obj
def export(config: Path | None, since: datetime | None, until: datetime | None) -> None:
    """Print every event, as one JSON object in a line."""
    settings = _settings_with_a_log(config)

    async def work(container: Container) -> None:
        await _readable(container)
        async for entry in container.export_audit_log()(since=since, until=until):
            click.echo(json.dumps(_line(entry)))

    try:
        run(settings, work)
    except BrokenPipeError:  # `| head` has seen enough
        sys.exit(EX_UNAVAILABLE)


def _settings_with_a_log(config: Path | None) -> Settings:
    settings = settings_of(config)
    if settings.database_url == "memory:":
        fail(EX_CONFIG, "with memory: the audit log is in the process of the server alone")
    return settings


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
    state = "nothing is wrong" if result.is_good else f"{result.fault_count} faults"
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
