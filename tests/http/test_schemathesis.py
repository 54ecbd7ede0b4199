"""The service against its own OpenAPI document: whatever arrives, the answer is one that is documented.

schemathesis sends what the document allows and what it forbids, as JSON and as a form, with and without
credentials and with other methods, and holds each answer to the document: its status, media type, headers and
schema, and never 5xx. That good input is accepted is in the tests of each feature.
"""

from __future__ import annotations

import asyncio

import schemathesis
from litestar.testing import TestClient

from identity.adapters.memory import PlainHasher
from identity.container import build_container
from identity.domain.secrets import Secret
from identity.entrypoints.http.app import create_app
from identity.settings import Settings

CHECKS = {
    # A body of the right shape may still be refused for what is in it: a name that is taken, a weak password,
    # a token that nobody issued, a control character. And an id of the right shape may be nobody's, and who
    # guesses passwords has to wait; and not everybody is a superuser.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "403", "404", "429"]},
    # The document says string, for that is what clients should send; but a number is taken as its text.
    "negative_data_rejection": {"enabled": False},
}


ENDS_EVERY_SESSION = "/api/auth/logout-all/"
PASSWORD = "yourpassword123"


class Service:
    """A service that knows the account of the document's examples, and one more."""

    def __init__(self) -> None:
        self.container = build_container(
            Settings(database_url="memory:", mail_url="memory:", login_code=True)
        )
        self.container.hasher.override(PlainHasher())
        self.app = create_app(self.container)
        with TestClient(self.app) as client:
            for name in ("john_doe", "mary"):
                body = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
                assert client.post("/api/auth/register/", json=body).status_code == 201
        self.john = self.logged_in("john_doe")
        for name in ("root", "other_root"):
            register = self.container.register_user()
            asyncio.run(
                register(
                    username=name, email=f"{name}@example.com", password=Secret(PASSWORD), superuser=True
                )
            )
        self.root = self.logged_in("root")

    def headers(self, method: str, path: str) -> dict[str, str]:
        """A superuser's where that harms nobody: who is disabled tests nothing any more."""
        if path == ENDS_EVERY_SESSION:
            return self.logged_in("mary")
        return self.root if path.startswith("/api/admin/") and method == "GET" else self.john

    def logged_in(self, name: str) -> dict[str, str]:
        """The headers of one who is. While the schema drives the application no other client can."""
        pair = asyncio.run(self.container.log_in()(username=name, password=Secret(PASSWORD)))
        return {"Authorization": f"Bearer {pair.access}"}


service = Service()
schema = schemathesis.openapi.from_asgi(
    "/api/schema/openapi.json",
    service.app,
    config=schemathesis.Config.from_dict(
        {"generation": {"max-examples": 15, "deterministic": True}, "checks": CHECKS}
    ),
)


@schema.parametrize()
def test_whatever_arrives_is_answered_as_documented(case):
    case.call_and_validate(headers=service.headers(case.method, case.operation.path))


def test_nothing_that_arrived_has_logged_john_out():
    """Or all that came after it was refused for that, and nothing else was tested."""
    with TestClient(service.app) as client:
        assert client.get("/api/user/profile/", headers=service.john).status_code == 200
