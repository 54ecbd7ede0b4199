"""What tests of copying share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.adapters.lives import (
    Lived,
    live,
)
from tests.databases import Databases, run


@pytest.fixture(scope="session")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Lived]]:
    databases = Databases(tmp_path_factory.mktemp("lives"))
    known: dict[str, Lived] = {}

    def life(kind: str) -> Lived:
        if kind not in known:
            known[kind] = run(live(kind, databases.new(kind)))
        return known[kind]

    yield life
    databases.close()
