"""Running the service: checks before the start, the HTTP server, and an orderly stop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from litestar import Litestar
from uvicorn import Config, Server
from uvicorn.supervisors import Multiprocess

from identity.application.letters import Backlog
from identity.application.ports import Schema
from identity.container import Container, build_container
from identity.domain.errors import Unavailable
from identity.entrypoints.http.app import create_app
from identity.entrypoints.http.connection import LimitedProtocol
from identity.entrypoints.logs import configure_logging
from identity.entrypoints.worker import Delivery, working
from identity.settings import Settings, SettingsError, describe

if TYPE_CHECKING:
    from identity.entrypoints.metrics import Metrics

log = logging.getLogger("identity")

STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT)
IDLE_LIMIT = 5  # seconds between two requests on one connection
STARTUP_PAUSE = 0.5  # seconds between two attempts to reach the database
GRACE = 30  # seconds that accepted requests get to finish
PARENT_PAUSE = 1.0  # seconds between two looks of a worker for its parent


class SchemaOutdated(Exception):
    """The database has another schema than this version needs."""


async def prepare(container: Container) -> None:
    """Finds what can be found wrong before a socket is opened, and migrates an embedded database.

    Raises:
        SettingsError: the hasher, mailer or a template cannot be used, the keys' secret is missing, or a
            webhook is for events that there are not.
        SchemaOutdated: the schema is old, and migrating is left to `identity migrate`.
        SchemaTooNew: a newer version has migrated it.
        UnreadableKey: the signing keys do not open with this secret.
        Unavailable: the database does not answer.
        OSError: the secret's file cannot be read or written.
    """
    settings = container.settings()
    container.hasher()
    container.mailer()
    container.renderer()
    schema = await answering_schema(container)
    if not await schema.is_current():
        if settings.has_server_database and not settings.auto_migrate:
            raise SchemaOutdated(
                "the database's schema is not the one this version needs: run `identity migrate`, "
                "or set IDENTITY_AUTO_MIGRATE=true"
            )
        await schema.upgrade()
    await _find_secret(container)
    container.endpoints()
    await container.keyring().signing()


async def answering_schema(container: Container) -> Schema:
    """The schema, once the database answers: it may start at the same time as this process.

    Raises:
        Unavailable: a server database does not answer within `startup_wait`, or an embedded one does not.
    """
    settings = container.settings()
    schema: Schema = container.schema()
    loop = asyncio.get_running_loop()
    end = loop.time() + settings.startup_wait.total_seconds()
    is_first = True
    while True:
        try:
            await schema.is_current()
        except Unavailable as error:
            if not settings.has_server_database or loop.time() >= end:
                raise
            if is_first:
                log.warning("waiting for the database: %s", error)
            is_first = False
            await asyncio.sleep(STARTUP_PAUSE)
        else:
            return schema


async def _find_secret(container: Container) -> None:
    # A new secret would be made where there is none, and be of no use.
    path = container.settings().secret_path
    if container.settings().secret is not None or path is None or path.exists():
        return
    async with container.read()() as uow:
        if await uow.signing_keys.all():
            raise SettingsError(
                [f"{path} is missing, and with it the secret of this database: restore it from your backup"]
            )


def build_app(settings: Settings, *, parent: int | None = None) -> Litestar:
    """The HTTP application with all that runs beside it.

    `parent`: the process of which this one is a worker, and with which it ends.
    """
    configure_logging(settings.log_format)
    container = build_container(settings)
    metrics = metrics_of(container) if settings.metrics_ports else None
    return create_app(
        container,
        lifespan=functools.partial(_running, container, settings, metrics, parent),
        observers=[metrics.request] if metrics else [],
        on_crowd=metrics.crowd if metrics else None,
    )


def metrics_of(container: Container) -> Metrics:
    """What to tell of these adapters, where the settings ask for metrics."""
    from identity.entrypoints.metrics import Metrics, Sources  # who does not ask for them does without

    async def backlog() -> tuple[Backlog, ...]:
        async with container.read()() as uow:
            found: tuple[Backlog, ...] = await uow.outbox.backlog()
            return found

    return Metrics(
        Sources(
            lane=container.lane(),
            decisions=container.limiter().decisions,
            pools=container.storage().pools,
            backlog=backlog,
            clock=container.clock(),
        )
    )


def serve(settings: Settings, listener: socket.socket) -> None:
    """Serves until SIGTERM or SIGINT, and returns once every accepted request is answered."""
    config = Config(
        functools.partial(build_app, settings, parent=os.getpid() if settings.workers > 1 else None),
        factory=True,
        workers=settings.workers,
        http=LimitedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_LIMIT,
        timeout_graceful_shutdown=GRACE,
        timeout_worker_healthcheck=GRACE,  # a worker that is slow to start is not a dead one
    )
    # uvicorn raises the signal that stopped it once more when it is done, but an orderly stop is no failure.
    # Before uvicorn takes them over, a signal ends the start.
    for number in STOPPING_SIGNALS:
        signal.signal(number, lambda *_: sys.exit(0))
    _announce(settings, listener)
    if settings.workers > 1:
        Workers(config, [listener]).run()
    else:
        Server(config).run(sockets=[listener])


def check_metrics_ports(settings: Settings) -> None:
    """Raises `OSError` where one is taken. None is kept: each worker process takes its own."""
    if settings.metrics_ports:
        from identity.entrypoints.metrics.listener import listen

        for port in settings.metrics_ports:
            listen(settings.metrics_host, [port]).close()


def listen(settings: Settings) -> socket.socket:
    """Takes the address and port that the settings name, or raises `OSError`."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    listener.set_inheritable(True)
    return listener


def _announce(settings: Settings, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    shown = {row.name: row.value for row in describe(settings)}
    log.info("accounts in %s, mail by %s", shown["IDENTITY_DATABASE_URL"], shown["IDENTITY_MAIL_URL"])
    log.info("running on http://%s (its API is described at /api/schema/)", address)


@contextlib.asynccontextmanager
async def _running(
    container: Container, settings: Settings, metrics: Metrics | None, parent: int | None, app: Litestar
) -> AsyncIterator[None]:
    _announce_stop(app, delay=settings.shutdown_delay.total_seconds())
    deliveries: list[Delivery] = []
    if settings.deliver_mail:
        deliveries = [container.deliver_mail(), *container.deliver_webhooks()]
    try:
        # Not left to the first request: by then the keys may be sealed under a secret that comes after ours.
        with contextlib.suppress(Unavailable):
            await container.keyring().signing()
        # What lives as long as the process need not be looked through again and again.
        gc.collect()
        gc.freeze()
        async with (
            _ending_with(parent),
            working(
                deliveries=deliveries,
                purge_expired=container.purge_expired(),
                rotate_keys_when_due=container.rotate_keys_when_due(),
                seal_audit_log=container.seal_audit_log(),
                on_delivery=None if metrics is None else metrics.delivery,
            ),
            _exposed(metrics, settings),
        ):
            yield
    finally:
        await container.storage().dispose()


@contextlib.asynccontextmanager
async def _ending_with(parent: int | None) -> AsyncIterator[None]:
    """Stops a worker whose parent was killed: it would keep the port from the next."""
    if parent is None:
        yield
        return
    watching = asyncio.create_task(_stop_without(parent))
    try:
        yield
    finally:
        watching.cancel()


async def _stop_without(parent: int) -> None:
    while os.getppid() == parent:  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(PARENT_PAUSE)
    log.error("the parent of this worker is gone")
    os.kill(os.getpid(), signal.SIGTERM)


@contextlib.asynccontextmanager
async def _exposed(metrics: Metrics | None, settings: Settings) -> AsyncIterator[None]:
    if metrics is None:
        yield
        return
    from identity.entrypoints.metrics.listener import answering, listen

    try:
        listener = listen(settings.metrics_host, settings.metrics_ports)
    except OSError as error:  # they were free when the service started, which is now more important
        log.error("no metrics of this process: %s", error)
        yield
        return
    async with answering(metrics.exposed, listener):
        yield


def _announce_stop(app: Litestar, *, delay: float) -> None:
    """On the first signal to stop, fails the readiness check for `delay` seconds before uvicorn hears of it.

    So a load balancer learns in time to send requests elsewhere. A second signal is passed on at once.
    """
    loop = asyncio.get_running_loop()
    # Always as SIGTERM: a SIGINT that comes second makes uvicorn drop the requests that it has accepted, and
    # Ctrl-C reaches a worker twice, from the terminal and through its parent.
    stop: Any = signal.getsignal(signal.SIGTERM)

    def announce(_: int, frame: FrameType | None) -> None:
        if app.state.get("stopping"):
            stop(signal.SIGTERM, frame)
        else:
            app.state.stopping = True
            loop.call_soon_threadsafe(loop.call_later, delay, stop, signal.SIGTERM, frame)

    for number in STOPPING_SIGNALS:
        signal.signal(number, announce)


class Workers(Multiprocess):
    """Several server processes on one socket. One that is still starting leaves Ctrl-C to its parent."""

    def init_processes(self) -> None:
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited
        try:
            super().init_processes()
        finally:
            signal.signal(signal.SIGINT, handler)
