"""The connections to a database server: so many and no more, and none that died while it lay idle."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from time import monotonic
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

LOCK_PATIENCE = timedelta(seconds=2)
ABANDONED = timedelta(seconds=15)
"""A transaction that idles for longer is of a process that hangs; it must not keep its locks."""
MIGRATION_PATIENCE = timedelta(minutes=5)
"""How long one process waits for another's migration."""
IDLE = 1.0  # seconds after which a connection is asked whether it still lives, before it is used
PING_PATIENCE = 1.0  # seconds
_USED_AT = "used_at"


def server_pools(
    url: URL, *, size: int, patience: timedelta, to_write: Mapping[str, Any], to_read: Mapping[str, Any]
) -> tuple[AsyncEngine, AsyncEngine]:
    """As `Dialect.engines`, with what the driver is told to connect `to_write` and `to_read`.

    Two pools, since on some servers a connection changes its mode by a round trip.
    """
    common: dict[str, Any] = {
        "pool_reset_on_return": None,  # a transaction is always ended before
        "hide_parameters": True,
        "pool_size": size,
        "max_overflow": 0,
        "pool_timeout": patience.total_seconds(),
        "pool_use_lifo": True,  # so that those not needed lie idle, and a restart costs few requests
    }
    writing = create_async_engine(
        url, connect_args=dict(to_write), isolation_level="READ COMMITTED", **common
    )
    reading = create_async_engine(
        url,
        connect_args=dict(to_read),
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        **common,
    )
    for engine in (writing, reading):
        _ask_the_idle(engine.sync_engine)
    return writing, reading


def _ask_the_idle(engine: Engine) -> None:
    @event.listens_for(engine, "checkin")
    def note(connection: Any, record: Any) -> None:
        record.info[_USED_AT] = monotonic()

    @event.listens_for(engine, "checkout")
    def ask(connection: Any, record: Any, proxy: Any) -> None:
        if monotonic() - record.info.get(_USED_AT, monotonic()) < IDLE:
            return
        silent = asyncio.get_running_loop().call_later(PING_PATIENCE, _abort, record.driver_connection)
        try:
            engine.dialect.do_ping(connection)
        except Exception as error:
            # Its neighbours have most likely died of the same.
            raise InvalidatePoolError from error
        finally:
            silent.cancel()


def _abort(connection: Any) -> None:
    getattr(connection, "terminate", connection.close)()
