"""The service against its own OpenAPI document: whatever arrives, the answer is one that is documented.

schemathesis sends what the document allows and what it forbids, as JSON and as a form, with and without
credentials and with other methods, and holds each answer to the document: its status, media type, headers and
schema, and never 5xx. That good input is accepted is in the tests of each feature.
"""

from __future__ import annotations

import schemathesis
from litestar.testing import TestClient

from identity.adapters.memory import PlainHasher
from identity.container import build_container
from identity.entrypoints.http.app import create_app
from identity.settings import Settings

CHECKS = {
    # A body of the right shape may still be refused for what is in it: a name that is taken, a weak password,
    # a token that nobody issued, a control character.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401"]},
    # The document says string, for that is what clients should send; but a number is taken as its text.
    "negative_data_rejection": {"enabled": False},
}


def documented() -> schemathesis.BaseSchema:
    """The document, bound to a service that knows the account of its examples, and logged in to it."""
    container = build_container(Settings(database_url="memory:", mail_url="memory:"))
    container.hasher.override(PlainHasher())
    app = create_app(container)
    john = {"username": "john_doe", "email": "john@example.com", "password": "yourpassword123"}
    with TestClient(app) as client:
        assert client.post("/api/auth/register/", json=john).status_code == 201
        access = client.post("/api/auth/login/", json=john).json()["access"]
    config = schemathesis.Config.from_dict(
        {
            "generation": {"max-examples": 50, "deterministic": True},
            "headers": {"Authorization": f"Bearer {access}"},
            "checks": CHECKS,
        }
    )
    return schemathesis.openapi.from_asgi("/api/schema/openapi.json", app, config=config)


schema = documented()


@schema.parametrize()
def test_whatever_arrives_is_answered_as_documented(case):
    case.call_and_validate()
