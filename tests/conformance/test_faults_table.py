"""The table of planted faults is that of the tests."""

from __future__ import annotations

from tests.conformance.faults_table import FILE, table


def test_the_table_of_planted_faults_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == table()
