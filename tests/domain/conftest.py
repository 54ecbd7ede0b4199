"""What the tests of the domain share."""

from __future__ import annotations

from hypothesis import settings

# The same examples on every run, and no complaint about a machine that is busy.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")
