"""No secret is left anywhere: not in the log, in no refusal, and not in the database (HT-8)."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from tests.databases import KINDS, execute
from tests.receiver import Receiver, receiving
from tests.server.commands import AS_EVER, SECRET
from tests.server.service import eventually

from identity.adapters.sql.schema import metadata

pytestmark = pytest.mark.parametrize("kind", KINDS, scope="module")

PASSWORD, NEW, NEWEST = "canary-Aq3xW7-old", "canary-Bv9kZ2-new", "canary-Cm5tR8-newest"
WRONG, AS_A_NAME = "canary-Dp1yL6-wrong", "canary-Eh4jN0-typed-into-the-wrong-field"
ADDRESS = "john.appleseed@example.com"
LINK = re.compile(r"https://app\.example/([\w-]+)/([\w-]+)/([\w-]+)")


class Flow:
    """Every flow once, well and badly. Collects what was secret in it, and each refusal."""

    def __init__(self, server: Any, smtp: Any) -> None:
        self.server, self.smtp = server, smtp
        self.secrets = {PASSWORD, NEW, NEWEST, WRONG, AS_A_NAME, SECRET}
        self.refusals: list[str] = []

    def post(self, path: str, body: object, access: str | None = None) -> Any:
        answer = self.server.post(path, body, access=access)
        said = answer.json()
        if answer.is_error:
            self.refusals.append(answer.text + repr(answer.headers))
        else:
            self.secrets |= {said[name] for name in ("access", "refresh", "request") if name in said}
        return said

    def link(self, subject: str, *, to: str = ADDRESS) -> dict[str, str]:
        def arrived() -> list[Any]:
            return [mail for mail in self.smtp.mails if mail["To"] == to and subject in mail["Subject"]]

        text = html.unescape(eventually(arrived)[-1].get_body(("plain",)).get_content())
        found = LINK.search(text)
        assert found, text
        self.secrets.add(found[3])
        return {"uidb64": found[2], "token": found[3]}

    def code(self) -> str:
        (mail,) = eventually(lambda: [each for each in self.smtp.mails if "code" in each["Subject"]])
        (code,) = re.findall(r"^ +(\d{4} \d{4})\s", mail.get_body(("plain",)).get_content(), re.MULTILINE)
        self.secrets |= {code, code.replace(" ", "")}
        return code

    def run(self) -> None:
        post = self.post
        john = {"username": "john", "email": ADDRESS, "password": PASSWORD}
        post("/api/auth/register/", {**john, "username": AS_A_NAME * 9})
        post("/api/auth/register/", {**john, "password": [PASSWORD]})
        post("/api/auth/register/", john)
        post("/api/auth/register/", john)
        post("/api/auth/verify-email/", self.link("Confirm"))
        post("/api/auth/login/", {"username": "john", "password": WRONG})
        post("/api/auth/login/", {"username": AS_A_NAME, "password": WRONG})
        tokens = post("/api/auth/login/", {"username": "john", "password": PASSWORD})
        tokens = post("/api/auth/token/refresh/", {"refresh": tokens["refresh"]})
        for token in (*tokens.values(), f"{tokens['access']}x"):
            post("/api/auth/token/verify/", {"token": token})
            post("/api/auth/token/refresh/", {"refresh": token})
            self.badly(token)
        change = {"old_password": WRONG, "new_password": NEW}
        post("/api/user/change-password/", change, tokens["access"])
        post("/api/user/change-password/", {**change, "old_password": PASSWORD}, tokens["access"])
        post("/api/auth/forgot-password/", {"email": ADDRESS})
        reset = self.link("Reset")
        post("/api/auth/reset-password/", {**reset, "password": "short"})
        post("/api/auth/reset-password/", {**reset, "password": NEWEST})
        post("/api/auth/reset-password/", {**reset, "password": NEWEST})
        asked = post("/api/auth/login-code/", {"email": ADDRESS})
        confirmed = {"request": asked["request"], "code": self.code()}
        post("/api/auth/login-code/confirm/", {**confirmed, "code": "0000 0000"})
        tokens = post("/api/auth/login-code/confirm/", confirmed)
        post("/api/auth/login-code/confirm/", confirmed)
        new = {"new_email": "j.appleseed@example.org", "password": NEWEST}
        post("/api/user/change-email/", {**new, "password": WRONG}, tokens["access"])
        post("/api/user/change-email/", new, tokens["access"])
        post("/api/auth/confirm-email-change/", self.link("Confirm", to=new["new_email"]))
        post("/api/auth/undo-email-change/", self.link("address was changed"))
        tokens = post("/api/auth/login/", {"username": ADDRESS, "password": NEWEST})
        self.server.get("/api/user/export/", access=tokens["access"])
        post("/api/auth/logout/", {"refresh": tokens["refresh"]})
        tokens = post("/api/auth/login/", {"username": ADDRESS, "password": NEWEST})
        post("/api/user/delete/", {"password": WRONG}, tokens["access"])
        post("/api/user/delete/", {"password": NEWEST}, tokens["access"])
        post("/api/auth/undo-deletion/", self.link("will be deleted"))

    def badly(self, secret: str) -> None:
        """Where no secret belongs: in a path, a query, a header, a body that cannot be read."""
        client, body = self.server.client, b'{"password": "' + secret.encode()
        for answer in (
            client.get(f"/api/{quote(secret)}/", params={"token": secret}),
            client.get("/api/user/profile/", headers={"Authorization": f"Basic {secret}"}),
            client.get("/api/user/profile/", headers={"Authorization": f"Bearer {secret} {secret}"}),
            client.get("/api/user/profile/", headers={"Origin": "https://" + secret[:60]}),
            client.post("/api/auth/login/", content=body, headers={"Content-Type": "application/json"}),
            client.post("/api/auth/login/", content=body, headers={"Content-Type": f"text/{secret[:60]}"}),
        ):
            self.refusals.append(answer.text)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def dump(server: Any, kind: str) -> str:
    """All that the database holds, as text; octets in the form that this kind of database shows."""
    if kind == "sqlite":
        files = [server.database, *server.database.parent.glob(f"{server.database.name}-*")]
        return "".join(file.read_bytes().decode("latin-1") for file in files)
    statements = (f"SELECT * FROM {table}" for table in metadata.tables)  # noqa: S608
    return "\n".join(repr(execute(kind, server.database_url, each)) for each in statements)


def test_no_secret_is_in_the_log_in_a_refusal_or_in_the_database(
    serve: Any, smtp: Any, receiver: Receiver, new_database: Any, kind: str
) -> None:
    server = serve(
        mail_url=smtp.url,
        frontend_url="https://app.example",
        email_verification="optional",
        login_code="true",
        log_format="json",
        access_log="true",
        **{"secret": SECRET, **AS_EVER, **new_database(), **receiver.settings},
    )
    flow = Flow(server, smtp)
    flow.secrets.add("canary-of-the-url")
    flow.run()
    eventually(lambda: receiver.told("DeletionUndone"))
    held = dump(server, kind)
    assert server.stop() == 0
    held += dump(server, kind) if kind == "sqlite" else ""
    assert len(flow.secrets) > 24
    assert len(flow.refusals) > 25
    found = {
        place: [secret for secret in flow.secrets if secret in text]
        for place, text in {
            "log": server.text,
            "refusals": "".join(flow.refusals),
            "database": held,
            "webhooks": repr(receiver.taken),
        }.items()
    }
    assert found == {"log": [], "refusals": [], "database": [], "webhooks": []}
    assert ADDRESS in held  # the search sees what is there
    assert '"route": "/api/auth/login"' in server.text
    assert "appleseed" not in repr(receiver.taken)
    assert "appleseed" not in server.text  # nor is the log a list of people
