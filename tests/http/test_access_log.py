"""The log of requests: what was asked and answered, and nothing that was sent."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.http.conftest import PASSWORD, Service

from identity.entrypoints.logs import FIELDS

# What is tried here does not get to the storage, or is the same on every one.
pytestmark = pytest.mark.parametrize("storage", ["memory"], indirect=True, scope="session")

Start = Callable[..., Awaitable[Service]]


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What a machine gets of each request, without the time that it took."""
    records = [each for each in caplog.records if each.name == "identity.access"]
    found = [dict(getattr(each, FIELDS)) for each in records]
    for each in found:
        assert each.pop("milliseconds") >= 0
    return found


async def test_each_request_is_a_line_if_wanted(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    service = await start(access_log=True)
    caplog.set_level(logging.INFO)
    await service.post("/api/auth/login/", {"username": "nobody", "password": PASSWORD})
    await service.get("/api/user/profile/")
    await service.client.request("PROPFIND", "/health/live")
    assert logged(caplog) == [
        {"method": "POST", "route": "/api/auth/login", "status": 401},
        {"method": "GET", "route": "/api/user/profile", "status": 401},
        {"method": "PROPFIND", "route": "-", "status": 405},
    ]


async def test_without_being_asked_for_there_is_none(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await service.get("/health/live")
    assert logged(caplog) == []


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/nowhere/canary-4711/", "-"),
        ("/api/user/sessions/canary-4711/", "/api/user/sessions/{session_id}"),
        ("/api/user/profile/?token=canary-4711", "/api/user/profile"),
    ],
)
async def test_what_stands_in_a_path_or_behind_it_is_not_logged(
    start: Start, caplog: pytest.LogCaptureFixture, path: str, route: str
) -> None:
    service = await start(access_log=True)
    caplog.set_level(logging.INFO)
    await service.client.get(path, headers={"Authorization": "Bearer canary-4711", "X-Request-ID": "canary"})
    assert [each["route"] for each in logged(caplog)] == [route]
    assert "canary" not in " ".join(each.getMessage() for each in caplog.records if "access" in each.name)
