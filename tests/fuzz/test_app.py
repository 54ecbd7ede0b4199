"""Requests that are nearly right, to every route of the application, in this process.

Whatever arrives: never a 5xx and nothing in the log, one of the three documented envelopes with the headers
that every answer has, at once; and nothing of another account is shown or changed.
"""

from __future__ import annotations

import pytest
from litestar.routes import HTTPRoute
from tests.fuzz.grammar import requests, right, routes
from tests.fuzz.rounds import run
from tests.fuzz.service import Service

EXAMPLES = 250


@pytest.fixture(params=[False, True], ids=["body", "cookie"])
def service(request):
    """The refresh token in bodies, and in a cookie."""
    service = Service(refresh_cookie=request.param, refresh_cookie_insecure=request.param)
    yield service
    service.close()
    print(f"{service.count} requests to the application")


OF_CHANGES = {
    "/api/auth/confirm-email-change",
    "/api/auth/undo-email-change",
    "/api/auth/undo-deletion",
}
"""Whose links are good for an account that is being changed, which nobody's here is."""


def test_every_route_is_fuzzed_and_every_body_is_known(service):
    table = {route.path: route for route in routes(service.app)}
    assert set(table) == {route.path for route in service.app.routes if isinstance(route, HTTPRoute)}
    document = service.app.openapi_schema.to_schema()["paths"]
    with_body = {
        path.rstrip("/")
        for path, operations in document.items()
        if any("requestBody" in operations.get(method, {}) for method in ("post", "patch"))
    }
    assert {path for path, route in table.items() if route.body is not None} == with_body
    assert len(with_body) == 17


def test_what_is_spoilt_would_be_right_otherwise(service):
    for route in routes(service.app):
        answers = {method: service.exchange(right(route, method)) for method in route.methods - {"OPTIONS"}}
        statuses = {answer.status for answer in answers.values()}
        if route.path.startswith("/api/admin/"):  # he is no superuser, who could change what is hers
            assert statuses == {403}, (route.path, answers)
            continue
        assert min(statuses) < 300 or (route.path in OF_CHANGES and 400 in statuses), (route.path, answers)


def test_whatever_arrives_is_answered_as_documented(service):
    run(requests(routes(service.app)), service.holds, examples=EXAMPLES, of_each_seed=500)
    assert service.count >= EXAMPLES
