"""`identity webhooks`: other systems that are told of events."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from identity.entrypoints.cli.running import (
    EX_DATAERR,
    EX_TEMPFAIL,
    EX_UNAVAILABLE,
    fail,
    lasting_settings_of,
    print_json,
    ready,
    run,
)
from identity.entrypoints.cli.tables import print_table, time_of

if TYPE_CHECKING:
    from identity.application.letters import Backlog
    from identity.container import Container
    from identity.domain.webhook import Endpoint

WHERE_THEY_WAIT = "the outbox and the secret are in the process of the server alone"

_url = click.argument("url")


@click.group(short_help="Other systems that are told of events.")
def webhooks() -> None:
    """The endpoints in IDENTITY_WEBHOOK_URL: how much waits for them, and their secrets.

    URL is one of them, as it is written there. The exit status is 65 when it is none of them.
    """


@webhooks.command("list", short_help="Show every endpoint, and how much waits for it.")
@click.option("--json", "as_json", is_flag=True, help="Print them as a JSON array.")
@click.pass_obj
def list_endpoints(config: Path | None, as_json: bool) -> None:
    """Show every endpoint, and how many webhooks wait for it or were given up.

    One without a URL is not in the settings any more: what waits for it is deleted after 30 days. The log and
    the metrics call an endpoint by its queue. In JSON no kinds, [], are all kinds.
    """

    async def work(container: Container) -> tuple[tuple[Endpoint | None, Backlog], ...]:
        await ready(container)
        shown: tuple[tuple[Endpoint | None, Backlog], ...] = await container.show_endpoints()()
        return shown

    found = run(lasting_settings_of(config, otherwise=WHERE_THEY_WAIT), work)
    if as_json:
        print_json(
            [
                {
                    "url": endpoint.url if endpoint else None,
                    "kinds": sorted(endpoint.kinds) if endpoint else None,
                    "queue": backlog.queue,
                    "waiting": backlog.waiting,
                    "dead": backlog.dead,
                    "oldest": backlog.oldest.isoformat(timespec="seconds") if backlog.oldest else None,
                }
                for endpoint, backlog in found
            ]
        )
        return
    print_table(
        ("URL", "KINDS", "WAITING", "OLDEST", "DEAD", "QUEUE"),
        [
            (
                endpoint.url if endpoint else "",
                " ".join(sorted(endpoint.kinds)) or "all" if endpoint else "",
                str(backlog.waiting),
                time_of(backlog.oldest),
                str(backlog.dead),
                backlog.queue,
            )
            for endpoint, backlog in found
        ],
    )


@webhooks.command(short_help="Print the secret by which an endpoint verifies.")
@_url
@click.pass_obj
def secret(config: Path | None, url: str) -> None:
    """Print the secret by which the endpoint at URL verifies its webhooks.

    It follows from the URL and the service's secret, and changes with either.
    """

    async def work(container: Container) -> str:
        await ready(container)
        return _named(container, url).secrets[0].reveal()

    click.echo(run(lasting_settings_of(config, otherwise=WHERE_THEY_WAIT), work))


@webhooks.command(short_help="Send an endpoint a webhook to try it, now.")
@_url
@click.pass_obj
def test(config: Path | None, url: str) -> None:
    """Send the endpoint at URL a webhook of the type Test, now and without the outbox.

    The exit status is 0 when it was received, 75 when it was not but may be later, 69 when it never will be.
    """
    from identity.domain.errors import DeliveryDeferred, DeliveryRefused

    async def work(container: Container) -> None:
        await ready(container)
        await container.try_endpoint()(_named(container, url))

    try:
        run(lasting_settings_of(config, otherwise=WHERE_THEY_WAIT), work)
    except DeliveryDeferred as deferral:
        fail(EX_TEMPFAIL, f"not received, but it may be later: {deferral}")
    except DeliveryRefused as refusal:
        fail(EX_UNAVAILABLE, f"not received: {refusal}")
    click.echo("The webhook was received.")


@webhooks.command(short_help="Have what was given up tried again.")
@click.argument("url", required=False)
@click.pass_obj
def retry(config: Path | None, url: str | None) -> None:
    """Have what was given up tried again: the dead letters of the endpoint at URL, or of all of them.

    They are due at once, and the processes that deliver send them. What waits for its next attempt is left as
    it is.
    """
    from identity.domain.events import OPERATOR

    async def work(container: Container) -> int:
        await ready(container)
        wanted: Sequence[Endpoint] = [_named(container, url)] if url else container.endpoints()
        retried: int = await container.retry_webhooks()(by=OPERATOR, endpoints=wanted)
        return retried

    retried = run(lasting_settings_of(config, otherwise=WHERE_THEY_WAIT), work)
    click.echo(f"{retried} webhooks are tried again." if retried != 1 else "1 webhook is tried again.")


def _named(container: Container, url: str) -> Endpoint:
    named: Endpoint | None = next((each for each in container.endpoints() if each.url == url), None)
    if named is None:
        fail(EX_DATAERR, f"{url} is not in IDENTITY_WEBHOOK_URL")
    return named
