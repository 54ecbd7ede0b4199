"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from tests import figures
from tests.databases import Databases

# Else each of some two hundred processes that tests start would compile the whole service once more.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: half of the time goes into waiting for servers to stall or to start."""
    return (os.cpu_count() or 1) + 2


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    databases = Databases(tmp_path_factory.mktemp("databases"))
    yield databases
    databases.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures.show(terminalreporter)
