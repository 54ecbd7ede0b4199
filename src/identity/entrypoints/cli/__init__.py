"""The `identity` command. Imports late, so that `--help` is quick."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from identity.entrypoints.cli.audit import audit
from identity.entrypoints.cli.copying import copy_to
from identity.entrypoints.cli.keys import keys
from identity.entrypoints.cli.mail_preview import mail_preview
from identity.entrypoints.cli.running import (
    EX_CONFIG,
    EX_DATAERR,
    EX_TEMPFAIL,
    EX_UNAVAILABLE,
    fail,
    print_json,
    ready,
    run,
    settings_of,
)
from identity.entrypoints.cli.users import reset_link, users
from identity.entrypoints.cli.webhooks import webhooks

if TYPE_CHECKING:
    from identity.application.calibration import Measurement
    from identity.container import Container
    from identity.settings import Settings

PASSWORD_VARIABLE = "SUPERUSER_PASSWORD"  # without our prefix: it is no setting of the service


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Settings are IDENTITY_* variables: `identity settings` shows them all. The options above stand "
    "before the command: identity --config identity.toml users list\n\n"
    "The exit status is 0 when it is done, 1 when a question was not answered with yes, 2 for a command that "
    "is written wrongly, 65 for bad input, 69 when something outside does not work, 75 when something was "
    "not delivered now, 78 when a setting, a file or the schema is wrong.",
)
@click.version_option(package_name="identity", message="%(package)s %(version)s")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TOML file with settings; IDENTITY_* variables win over it.",
)
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """Accounts, passwords, sessions, tokens and mail for single-page apps."""
    context.obj = config


@main.command(short_help="Answer HTTP requests, and deliver mail and webhooks.")
@click.pass_obj
def serve(config: Path | None) -> None:
    """Answer HTTP requests, and deliver mail and webhooks beside them."""
    settings = settings_of(config)
    from identity.entrypoints import logs, server

    logs.configure_logging(settings.log_format)
    for number in server.STOPPING_SIGNALS:
        signal.signal(number, lambda *_: sys.exit())
    run(settings, ready)
    try:
        server.check_metrics_ports(settings)
    except OSError as error:
        fail(
            EX_UNAVAILABLE,
            f"cannot listen on {settings.metrics_host} for metrics: {os.strerror(error.errno or 0)}; "
            "other addresses are set by IDENTITY_METRICS_HOST and IDENTITY_METRICS_PORT",
        )
    try:
        listener = server.listen(settings)
    except OSError as error:
        fail(
            EX_UNAVAILABLE,
            f"cannot listen on {settings.host}:{settings.port}: {os.strerror(error.errno or 0)}; "
            "another address is set by IDENTITY_HOST and IDENTITY_PORT",
        )
    server.serve(settings, listener)


@main.command()
@click.pass_obj
def migrate(config: Path | None) -> None:
    """Bring the database's schema up to date."""

    from identity.entrypoints.server import answering_schema

    async def upgrade(container: Container) -> bool:
        schema = await answering_schema(container)
        if await schema.is_current():
            return False
        await schema.upgrade()
        return True

    changed = run(settings_of(config), upgrade)
    click.echo("The schema is up to date now." if changed else "The schema was up to date already.")


main.add_command(copy_to)


@main.command()
@click.option("--username", help="Asked for if not given.")
@click.option("--email", help="Asked for if not given.")
@click.option(
    "--noinput",
    is_flag=True,
    help=f"Ask nothing; the password is read from {PASSWORD_VARIABLE} or else from standard input.",
)
@click.pass_obj
def createsuperuser(config: Path | None, username: str | None, email: str | None, noinput: bool) -> None:
    """Open an account with every permission.

    \b
    Example, without a terminal:
      identity createsuperuser --noinput --username root --email root@example.com < password-file

    The exit status is 65 when a name or the password is refused; standard error says why.
    """
    settings = settings_of(config)
    from identity.domain.errors import InvalidInput

    if settings.database_url == "memory:":
        fail(EX_CONFIG, "with memory: the account would be gone with this command")
    if noinput and not (username and email):
        raise click.UsageError("--noinput takes --username and --email too.")
    if noinput and PASSWORD_VARIABLE not in os.environ and sys.stdin.isatty():
        raise click.UsageError(f"--noinput takes the password from {PASSWORD_VARIABLE} or standard input.")
    while True:
        name = username or click.prompt("Username")
        address = email or click.prompt("E-mail address")
        password = _password(noinput)
        try:
            _open_superuser(settings, name, address, password)
        except InvalidInput as refusal:
            for field, messages in refusal.fields.items():
                for message in messages:
                    click.echo(f"{field}: {message}", err=True)
            if noinput or (username and email and "password" not in refusal.fields):
                sys.exit(EX_DATAERR)
            username = None if "username" in refusal.fields else name
            email = None if "email" in refusal.fields else address
        else:
            click.echo(f"Superuser {name.strip()} created.")
            return


def _open_superuser(settings: Settings, username: str, email: str, password: str) -> None:
    """Raises `InvalidInput`."""
    from identity.domain.secrets import Secret

    async def register(container: Container) -> None:
        await ready(container)
        await container.register_user()(
            username=username, email=email, password=Secret(password), superuser=True
        )

    run(settings, register)


@main.command("deliver-mail", short_help="Deliver the mail and webhooks that wait in the outbox.")
@click.option("--once", is_flag=True, help="Stop when nothing more is due.")
@click.pass_obj
def deliver_mail(config: Path | None, once: bool) -> None:
    """Deliver the mail and webhooks that wait in the outbox, as a process of its own.

    For servers with IDENTITY_DELIVER_MAIL=false. With --once the exit status is 75 when something was tried
    and not delivered.
    """
    settings = settings_of(config)
    from identity.entrypoints import logs, server
    from identity.entrypoints.worker import working

    logs.configure_logging(settings.log_format)

    async def deliver_due(container: Container) -> tuple[Counter[str], Counter[str]]:
        await ready(container)
        mails, webhooks = Counter[str](), Counter[str]()
        while outcome := await container.deliver_mail()():
            mails[outcome.value] += 1
        for deliver in container.deliver_webhooks():
            while outcome := await deliver():
                webhooks[outcome.value] += 1
        return mails, webhooks

    async def deliver_for_ever(container: Container) -> None:
        await ready(container)
        stopping = asyncio.Event()
        for number in server.STOPPING_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        async with working(
            deliveries=(container.deliver_mail(), *container.deliver_webhooks()),
            purge_expired=container.purge_expired(),
            rotate_keys_when_due=container.rotate_keys_when_due(),
            seal_audit_log=container.seal_audit_log(),
        ):
            await stopping.wait()

    if once:
        mails, webhooks = run(settings, deliver_due)
        click.echo(f"Mails: {_counts(mails)}.")
        if settings.webhook_url:
            click.echo(f"Webhooks: {_counts(webhooks)}.")
        if any(outcomes["deferred"] or outcomes["dead"] for outcomes in (mails, webhooks)):
            sys.exit(EX_TEMPFAIL)
    else:
        run(settings, deliver_for_ever)


def _counts(outcomes: Counter[str]) -> str:
    return ", ".join(f"{outcomes[word]} {word}" for word in ("sent", "dropped", "deferred", "dead"))


@main.command("mail-test", short_help="Send a test mail.")
@click.argument("address")
@click.pass_obj
def mail_test(config: Path | None, address: str) -> None:
    """Send a test mail to ADDRESS, now and without the outbox.

    The exit status is 0 when the mail server took it, 75 when it did not but may later, 69 when it never
    will.
    """
    settings = settings_of(config)
    from identity.application.mail import TestMail
    from identity.domain.errors import MailDeferred, MailRefused
    from identity.domain.names import EmailAddress, Username
    from identity.domain.text import Malformed

    async def send(container: Container) -> None:
        to = EmailAddress.parse(address)
        message = container.renderer().render(
            TestMail(to=to, username=Username(to.local_part)),
            id=container.randomness().identifier(),
            date=container.clock().now(),
        )
        await container.mailer().send(message)

    try:
        run(settings, send)
    except Malformed as malformed:
        fail(EX_DATAERR, " ".join(malformed.problems))
    except MailDeferred as deferral:
        fail(EX_TEMPFAIL, f"not sent, but it may work later: {deferral}")
    except MailRefused as refusal:
        fail(EX_UNAVAILABLE, f"not sent: {refusal}")
    click.echo(f"A test mail to {address} was handed over.")


main.add_command(mail_preview)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print the counts as JSON.")
@click.pass_obj
def purge(config: Path | None, as_json: bool) -> None:
    """Delete what is long expired. The server does so every hour by itself.

    That is, too, accounts whose erasure is due, and those that were not verified in time.
    """

    async def work(container: Container) -> dict[str, int]:
        from dataclasses import asdict

        await ready(container)
        return asdict(await container.purge_expired()())

    counts = run(settings_of(config), work)
    if as_json:
        print_json(counts)
    else:
        words = ", ".join(f"{count} {what.replace('_', ' ')}" for what, count in counts.items())
        click.echo(f"Deleted {words}.")


main.add_command(audit)


@main.command(short_help="Propose the memory for Argon2id.")
@click.option(
    "--within",
    default=150,
    show_default=True,
    type=click.IntRange(20, 5000),
    help="Milliseconds a login may take to hash.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def calibrate(config: Path | None, within: int, as_json: bool) -> None:
    """Find the most memory that Argon2id may use for a password on this machine."""
    settings = settings_of(config)
    if settings.hasher != "argon2":
        fail(EX_CONFIG, f"IDENTITY_HASHER={settings.hasher} is calibrated by its own means")
    from datetime import timedelta

    limit = timedelta(milliseconds=within)

    async def work(container: Container) -> list[Measurement]:
        measured = []
        async for each in container.calibrate()(within=limit):
            measured.append(each)
            if not as_json:
                click.echo(
                    f"{each.memory_cost:>9} KiB {each.duration.total_seconds() * 1000:>8.1f} ms", err=True
                )
        return measured

    fitting = [each for each in run(settings, work) if each.duration <= limit]
    if not fitting:
        fail(
            EX_UNAVAILABLE,
            f"this machine needs more than {within} ms even at the floor: allow more by --within, or fewer "
            "by IDENTITY_ARGON2_TIME_COST",
        )
    best = max(fitting, key=lambda each: each.memory_cost)
    milliseconds = best.duration.total_seconds() * 1000
    if as_json:
        print_json({"memory_cost": best.memory_cost, "milliseconds": round(milliseconds, 1)})
    else:
        click.echo(f"IDENTITY_ARGON2_MEMORY_COST={best.memory_cost}")


main.add_command(keys)
main.add_command(users)
main.add_command(webhooks)
main.add_command(reset_link)


@main.command("settings", short_help="Show every setting.")
@click.option("--json", "as_json", is_flag=True, help="Print them as a JSON array.")
@click.pass_obj
def show_settings(config: Path | None, as_json: bool) -> None:
    """Show every setting with its value, default and meaning; secrets hidden."""
    settings = settings_of(config)
    import msgspec

    from identity.settings import describe

    rows = describe(settings)
    if as_json:
        print_json(msgspec.to_builtins(rows))
        return
    for row in rows:
        click.echo(f"{click.style(row.name, bold=True)}={row.value}")
        default = "" if row.is_default else f" Default: {row.default or '(none)'}"
        click.echo(f"    {row.meaning}{default}")


def _password(noinput: bool) -> str:
    if not noinput:
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    if PASSWORD_VARIABLE in os.environ:
        return os.environ[PASSWORD_VARIABLE]
    return sys.stdin.readline().removesuffix("\n")
