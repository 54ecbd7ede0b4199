"""`identity keys`: the keys that sign tokens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from identity.entrypoints.cli.running import EX_CONFIG, EX_DATAERR, fail, print_json, ready, run, settings_of

if TYPE_CHECKING:
    from identity.container import Container
    from identity.domain.signing_key import SigningKey
    from identity.settings import Settings


@click.group()
def keys() -> None:
    """The keys that sign tokens."""


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print them as a JSON array.")
@click.pass_obj
def list_keys(config: Path | None, as_json: bool) -> None:
    """Show every key and what it does now."""

    async def work(container: Container) -> list[dict[str, str | None]]:
        await ready(container)
        return [
            {
                "kid": listed.key.kid,
                "algorithm": listed.key.algorithm,
                "state": listed.state,
                "created_at": listed.key.created_at.isoformat(timespec="seconds"),
                "signs_from": listed.key.signs_from.isoformat(timespec="seconds"),
                "retired_at": retired.isoformat(timespec="seconds")
                if (retired := listed.key.retired_at)
                else None,
            }
            for listed in await container.list_keys()()
        ]

    settings = settings_with_keys(config)
    rows = run(settings, work)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        end = f"  retired at {row['retired_at']}" if row["retired_at"] else ""
        click.echo(
            f"{row['kid']}  {row['algorithm']}  {row['state']:<9}  signs from {row['signs_from']}{end}"
        )
    if settings.shared_key is not None:
        click.echo("Tokens are signed with IDENTITY_SHARED_KEY; these keys only verify.", err=True)


@keys.command()
@click.option("--now", is_flag=True, help="Sign with it in ten seconds, not in a day.")
@click.pass_obj
def rotate(config: Path | None, now: bool) -> None:
    """Add the next key. The present one goes on verifying what it has signed."""

    async def work(container: Container) -> SigningKey | None:
        await ready(container)
        key: SigningKey | None = await container.rotate_keys()(soon=now)
        return key

    settings = settings_with_keys(config)
    key = run(settings, work)
    if settings.shared_key is not None:
        click.echo(
            "Tokens are still signed with IDENTITY_SHARED_KEY, which does not rotate; this key signs nothing "
            "until IDENTITY_TOKEN_ALGORITHM is another.",
            err=True,
        )
    if key is None:
        click.echo("A next key is waiting for its time already; with --now another one signs at once.")
    else:
        click.echo(f"Key {key.kid} signs from {key.signs_from.isoformat(timespec='seconds')} on.")


@keys.command(short_help="Refuse what a key has signed, at once.")
@click.argument("kid")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def retire(config: Path | None, kid: str, yes: bool) -> None:
    """Refuse every token that the key KID has signed, at once: for one that has leaked."""
    settings = settings_with_keys(config)
    from identity.application.signing_keys import NoSuchKey

    async def look(container: Container) -> None:
        await ready(container)
        if all(each.key.kid != kid or each.key.retired_at for each in await container.list_keys()()):
            raise NoSuchKey(kid)

    async def work(container: Container) -> None:
        await ready(container)
        await container.retire_key()(kid=kid)

    try:
        if not yes:
            run(settings, look)
            click.confirm("Whoever logged in with this key has to log in again. Retire it?", abort=True)
        run(settings, work)
    except NoSuchKey:
        fail(EX_DATAERR, f"there is no key {kid}, or it is retired already")
    click.echo(f"Key {kid} is retired. Every process knows within five seconds.")


@keys.command(short_help="Seal all keys under IDENTITY_SECRET.")
@click.pass_obj
def reencrypt(config: Path | None) -> None:
    """Seal all keys under IDENTITY_SECRET; what IDENTITY_SECRET_PREVIOUS sealed is opened with that."""

    async def work(container: Container) -> int:
        await ready(container)
        count: int = await container.reencrypt_keys()()
        return count

    count = run(settings_with_keys(config), work)
    click.echo(f"Keys sealed under the present secret: {count}.")


def settings_with_keys(config: Path | None) -> Settings:
    settings = settings_of(config)
    if settings.database_url == "memory:":
        fail(EX_CONFIG, "with memory: the server's keys are known to nobody else, and gone with it")
    return settings
