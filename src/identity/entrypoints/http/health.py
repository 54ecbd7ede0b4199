"""GET /health/live and /health/ready"""

from __future__ import annotations

import msgspec
from litestar import HttpMethod, Response, route
from litestar.datastructures import State
from litestar.di import NamedDependency

from identity.application.health import CheckHealth
from identity.domain.errors import Unavailable
from identity.entrypoints.http.openapi import HEALTH, named, operation
from identity.entrypoints.http.openapi_refusals import RETRY_AFTER, refusal


class Alive(msgspec.Struct):
    status: str


class Readiness(msgspec.Struct):
    status: str
    """`ready`, or what stands in the way: `stopping`, `database` or `schema`."""
    outbox_age_seconds: int | None = None


_METHODS = [HttpMethod.GET, HttpMethod.HEAD]


@route(
    "/health/live",
    http_method=_METHODS,
    operation_id=named("checkLiveness"),
    tags=[HEALTH],
    summary="Is the process running?",
    response_description="It is.",
    operation_class=operation(Alive("alive"), depends=False),
)
async def live() -> Alive:
    return Alive("alive")


@route(
    "/health/ready",
    http_method=_METHODS,
    summary="Should this process get requests?",
    operation_id=named("checkReadiness"),
    tags=[HEALTH],
    description="Asks the database. `outbox_age_seconds` is how long the oldest mail has been waiting, 0 if "
    "none has for a minute; mail that waits is no reason not to be ready.",
    response_description="It should.",
    operation_class=operation(
        Readiness("ready", outbox_age_seconds=0),
        refuses={
            503: refusal(
                "Not now: `stopping`, `database` or `schema` stands in the way.",
                "Readiness",
                headers=RETRY_AFTER,
                examples={"stopping": Readiness("stopping")},
            )
        },
    ),
)
async def ready(state: State, check_health: NamedDependency[CheckHealth]) -> Response[Readiness]:
    if state.get("stopping"):
        return _not_ready("stopping")
    try:
        health = await check_health()
    except Unavailable:
        return _not_ready("database")
    if not health.schema_is_current:
        return _not_ready("schema")
    return Response(Readiness("ready", int(health.outbox_age.total_seconds())))


def _not_ready(why: str) -> Response[Readiness]:
    return Response(Readiness(why), status_code=503, headers={"Retry-After": "1"})
