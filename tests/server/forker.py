"""Runs the `identity` command in forks of itself: of a start, importing is what costs the processor most.

Each order that comes on the socket that descriptor 0 is brings two descriptors: where the fork is to tell of
itself, first its process id and then its exit status, and its output.
"""

import asyncio
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import tempfile
from typing import Any

import identity

# As launcher.py: worker processes import this module under another name, and need the same limits.
if "LIMITS" in os.environ:
    importlib.import_module("launcher")

NOT_OF_A_SERVER = ("identity.testing", "identity.adapters.sql.migrations", "identity.__main__")
OF_OTHERS = (
    "aiosqlite",
    "alembic.command",
    "asyncmy",
    "asyncpg",
    "greenlet",
    "httptools",
    "sqlalchemy.dialects.mysql.asyncmy",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "uvicorn.lifespan.on",
    "uvicorn.loops.auto",
    "uvicorn.supervisors",
    "uvloop",
)
ORDER_LIMIT = 1024 * 1024  # octets


def import_all() -> None:
    for module in pkgutil.walk_packages(identity.__path__, "identity."):
        if not module.name.startswith(NOT_OF_A_SERVER):
            importlib.import_module(module.name)
    for name in OF_OTHERS:
        importlib.import_module(name)


def start_once() -> None:
    """So that what a start finds out about the code and the schema is known to every fork."""
    from identity.container import build_container
    from identity.entrypoints.http.app import create_app
    from identity.settings import Settings

    async def migrate(container: Any) -> None:
        await container.schema().upgrade()
        await container.storage().dispose()

    with tempfile.TemporaryDirectory() as folder:
        container = build_container(Settings(database_url=f"sqlite:///{folder}/identity.db"))
        asyncio.run(migrate(container))
        create_app(container)
    gc.collect()
    gc.freeze()


def forks() -> dict[str, Any] | None:
    """Forks for each order and tells of each end, until nobody gives orders. In a fork, returns its order."""
    orders = socket.socket(fileno=0)
    selector = selectors.DefaultSelector()
    selector.register(orders, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is orders:
                text, descriptors, _, _ = socket.recv_fds(orders, ORDER_LIMIT, 2)
                if not text:
                    return None
                teller, output = descriptors
                child = os.fork()
                if child == 0:
                    orders.close()
                    become(order := json.loads(text), teller, output)
                    return order
                os.close(output)
                selector.register(os.pidfd_open(child), selectors.EVENT_READ, (child, teller))
            else:
                child, teller = key.data
                _, status = os.waitpid(child, 0)
                with socket.socket(fileno=teller) as end:
                    end.send(str(os.waitstatus_to_exitcode(status)).encode())
                selector.unregister(key.fileobj)
                os.close(key.fileobj)


def become(order: dict[str, Any], teller: int, output: int) -> None:
    os.setsid()
    with socket.socket(fileno=teller) as end:
        end.send(str(os.getpid()).encode())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.umask(0o022)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.stdout.reconfigure(write_through=True)
    sys.path[:0] = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = ["identity", *order["arguments"]]


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the tests say what becomes of the forks
    import_all()
    start_once()
    if forks() is None:
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ["LIMITS"] != "null":
        importlib.import_module("launcher")
    else:
        del os.environ["LIMITS"]
    from identity.entrypoints.cli import main as command

    command()


if __name__ == "__main__":
    main()
