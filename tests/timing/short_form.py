"""The short form of `make timing` (AU-7): no answer tells by its time whether there is an account.

Not a part of `make test`: it measures best when nothing runs beside it, so `.ci/run` runs it by itself.
To fail, a difference must be certain and larger than a fifth of a millisecond, three times in a row; or a
planted one must be missed as often. So a machine that does something else besides is no reason to fail.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.timing.sites import SITES, Site, measured

PAIRS = 60


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.name)
def test_times_tell_nothing_but_what_was_planted(site: Site, tmp_path: Path) -> None:
    rows = list(measured(site, tmp_path / "deployment", pairs=PAIRS, seed=site.name))
    assert {row.pair: row.found for row in rows if not row.is_as_expected} == {}
