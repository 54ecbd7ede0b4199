"""GET /health/live and /health/ready"""

from __future__ import annotations

from datetime import timedelta

import pytest

from identity.domain.errors import Unavailable


class LockedDatabase:
    async def is_current(self) -> bool:
        raise Unavailable("database is locked")

    async def upgrade(self) -> None:
        """Not now."""


class OldSchema:
    async def is_current(self) -> bool:
        return False

    async def upgrade(self) -> None:
        """Stays old."""


async def test_a_running_process_is_alive(service):
    answer = await service.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})


async def test_with_a_current_schema_and_no_mail_waiting_the_service_is_ready(service):
    answer = await service.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "outbox_age_seconds": 0})


async def test_readiness_reports_the_age_of_the_outbox_and_does_not_fail_on_it(service):
    await service.forgot("nobody@example.com")
    service.clock.advance(timedelta(hours=3))
    answer = await service.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "outbox_age_seconds": 10800})
    await service.deliver()
    answer = await service.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready", "outbox_age_seconds": 0})


@pytest.mark.parametrize(("schema", "reason"), [(LockedDatabase(), "database"), (OldSchema(), "schema")])
async def test_without_a_database_of_the_current_schema_the_service_is_alive_but_not_ready(
    start, schema, reason
):
    service = await start(overrides={"schema": schema})
    answer = await service.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["status"] == reason
    assert answer.headers["Retry-After"] == "1"
    assert (await service.get("/health/live")).status_code == 200


async def test_a_process_that_stops_is_not_ready_and_still_answers(start):
    service = await start()
    service.client.app.state.stopping = True
    answer = await service.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["status"] == "stopping"
    assert answer.headers["Retry-After"] == "1"
    await service.register()
