"""What the conformance classes have in common."""

from __future__ import annotations

import pytest


class Conformance:
    """Runs asynchronous tests on asyncio, by the anyio plugin that comes with anyio, in any project."""

    pytestmark = pytest.mark.anyio

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"
