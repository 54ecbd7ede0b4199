"""GET /health/live and /health/ready"""

from __future__ import annotations

import msgspec
from litestar import HttpMethod, Response, route
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec

from identity.application.health import CheckHealth
from identity.domain.errors import Unavailable


class Alive(msgspec.Struct):
    status: str


class Readiness(msgspec.Struct):
    status: str
    """`ready`, or what stands in the way: `stopping`, `database` or `schema`."""
    outbox_age_seconds: int | None = None


_METHODS = [HttpMethod.GET, HttpMethod.HEAD]


@route("/health/live", http_method=_METHODS, summary="Is the process running?")
async def live() -> Alive:
    return Alive("alive")


@route(
    "/health/ready",
    http_method=_METHODS,
    summary="Should this process get requests?",
    responses={503: ResponseSpec(Readiness, description="Not now.", generate_examples=False)},
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
