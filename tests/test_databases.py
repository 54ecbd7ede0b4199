"""The databases that tests use are not silently left out."""

from __future__ import annotations

import pytest
from tests.databases import SERVERS, server_url


@pytest.fixture(params=SERVERS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.delenv(SERVERS[request.param], raising=False)
    return request.param


def test_a_test_without_its_server_is_skipped_and_names_the_variable(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match=SERVERS[kind]):
        server_url(kind)


def test_where_everything_has_to_be_tested_it_fails_instead(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match=SERVERS[kind]):
        server_url(kind)
