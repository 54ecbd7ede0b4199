"""What the tests of the use cases share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings
from tests.application.world import World

# The same examples on every run, and no complaint about a machine that is busy.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture
def world() -> World:
    """The whole service in memory, and nobody in it."""
    return World()


@pytest.fixture(scope="session")
def new_world() -> Callable[..., World]:
    """For a test that needs several, or one that is built in another way."""
    return World
