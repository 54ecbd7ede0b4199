"""The OpenAPI document, held against the service it describes; and the page that shows it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from functools import partial
from html.parser import HTMLParser
from types import SimpleNamespace

import jsonschema_rs
import pytest
from litestar.routes import HTTPRoute
from litestar.testing import TestClient
from schemathesis.specs.openapi.definitions import OPENAPI_31

from identity.adapters.memory import FixedClock, PlainHasher
from identity.container import build_container
from identity.domain.errors import Throttled, Unavailable
from identity.domain.secrets import Secret
from identity.entrypoints.http import body
from identity.entrypoints.http.app import create_app
from identity.settings import Settings

OPERATIONS = {
    "register": "POST /api/auth/register/",
    "verifyEmail": "POST /api/auth/verify-email/",
    "requestVerification": "POST /api/auth/resend-verification/",
    "logIn": "POST /api/auth/login/",
    "requestLoginCode": "POST /api/auth/login-code/",
    "confirmLoginCode": "POST /api/auth/login-code/confirm/",
    "refreshSession": "POST /api/auth/token/refresh/",
    "verifyToken": "POST /api/auth/token/verify/",
    "logOut": "POST /api/auth/logout/",
    "blacklistToken": "POST /api/auth/token/blacklist/",
    "logOutEverywhere": "POST /api/auth/logout-all/",
    "listSessions": "GET /api/user/sessions/",
    "endSession": "DELETE /api/user/sessions/{session_id}/",
    "endOtherSessions": "POST /api/user/sessions/revoke-others/",
    "showProfile": "GET /api/user/profile/",
    "updateProfile": "PATCH /api/user/profile/",
    "requestEmailChange": "POST /api/user/change-email/",
    "confirmEmailChange": "POST /api/auth/confirm-email-change/",
    "undoEmailChange": "POST /api/auth/undo-email-change/",
    "changePassword": "POST /api/user/change-password/",
    "requestPasswordReset": "POST /api/auth/forgot-password/",
    "resetPassword": "POST /api/auth/reset-password/",
    "exportData": "GET /api/user/export/",
    "deleteAccount": "POST /api/user/delete/",
    "undoDeletion": "POST /api/auth/undo-deletion/",
    "searchUsers": "GET /api/admin/users/",
    "showUser": "GET /api/admin/users/{user_id}/",
    "disableUser": "POST /api/admin/users/{user_id}/disable/",
    "enableUser": "POST /api/admin/users/{user_id}/enable/",
    "forcePasswordReset": "POST /api/admin/users/{user_id}/force-reset/",
    "endUserSessions": "POST /api/admin/users/{user_id}/end-sessions/",
    "verifyUserEmail": "POST /api/admin/users/{user_id}/verify-email/",
    "promoteUser": "POST /api/admin/users/{user_id}/promote/",
    "demoteUser": "POST /api/admin/users/{user_id}/demote/",
    "readAuditLog": "GET /api/admin/audit/",
    "listOutbox": "GET /api/admin/outbox/",
    "retryLetter": "POST /api/admin/outbox/{letter_id}/retry/",
    "getKeys": "GET /.well-known/jwks.json",
    "checkLiveness": "GET /health/live",
    "checkReadiness": "GET /health/ready",
}
OF_SESSIONS = {"listSessions", "endSession", "endOtherSessions", "logOutEverywhere"}
WITH_SECRETS = {"logIn", "confirmLoginCode", "refreshSession", "verifyToken", "logOut", "blacklistToken"}
OF_ADMINISTRATORS = {name for name, place in OPERATIONS.items() if " /api/admin/" in place}
WITH_PARAMETERS = {"searchUsers", "readAuditLog", "listOutbox"}
OF_THE_LAST_SUPERUSER = {"disableUser", "demoteUser"}
PROTECTED = {
    *("showProfile", "updateProfile", "changePassword", "requestEmailChange", "exportData", "deleteAccount"),
    *OF_SESSIONS,
    *OF_ADMINISTRATORS,
}
THROTTLED = {
    *("logIn", "confirmLoginCode", "refreshSession", "register", "changePassword", "resetPassword"),
    *("verifyEmail", "updateProfile", "requestEmailChange", "confirmEmailChange", "undoEmailChange"),
    *("deleteAccount", "undoDeletion"),
}
BODILESS = {
    *("showProfile", "exportData", "getKeys", "checkLiveness", "checkReadiness"),
    *OF_SESSIONS,
    *OF_ADMINISTRATORS,
}


def make_app(clock=None, **settings):
    """With every route that a setting can add."""
    settings = {"database_url": "memory:", "mail_url": "memory:", "login_code": True, **settings}
    container = build_container(Settings(**settings))
    container.hasher.override(PlainHasher())
    if clock:
        container.clock.override(clock)
    return container, create_app(container)


@pytest.fixture(scope="module")
def app():
    return make_app()[1]


@pytest.fixture(scope="module")
def document(app):
    with TestClient(app) as client:
        return client.get("/api/schema/openapi.json").json()


@pytest.fixture(scope="module")
def operations(document):
    return {
        operation["operationId"]: operation
        for item in document["paths"].values()
        for operation in item.values()
    }


@pytest.fixture(scope="module")
def answer(app):
    """The page's."""
    with TestClient(app) as client:
        return client.get("/api/schema/")


class Page(HTMLParser):
    """What a page is made of. Raises if a tag is not closed where it should be."""

    def __init__(self, html):
        super().__init__()
        self.ids, self.links, self.sources, self.open, self.texts = [], [], [], [], {}
        self.attributes = set()
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.attributes |= set(given)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if "href" in given else []
        self.sources += [given["src"]] if "src" in given else []
        if tag not in {"meta", "link"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in self.open:
            self.texts[tag] = self.texts.get(tag, "") + data


# The page


@pytest.mark.parametrize("path", ["/api/schema", "/api/schema/"])
def test_the_page_is_html_on_both_slash_forms(app, answer, path):
    with TestClient(app) as client:
        same = client.get(path, follow_redirects=False)
    assert same.status_code == 200
    assert same.headers["content-type"] == "text/html; charset=utf-8"
    assert same.text == answer.text


def test_the_page_lists_every_operation_with_its_fields_and_answers(document, answer):
    page = Page(answer.text)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            [article] = re.findall(
                rf'<article id="{operation["operationId"]}">(.*?)</article>', answer.text, re.DOTALL
            )
            assert f"#{operation['operationId']}" in page.links
            text = Page(f"<article>{article}</article>").texts["article"]
            assert method.upper() in text
            assert path in text
            assert f'"$URL{path}"' in text
            assert operation["summary"] in text
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"][body.JSON]["schema"]
                assert all(name in text for name in resolved(document, schema)["properties"])
            for status, response in operation["responses"].items():
                assert status in text
                assert resolved(document, response)["description"].replace("`", "") in text


def test_the_page_shows_every_example(document, answer):
    text = Page(answer.text).texts["pre"]
    for example in examples(document):
        for word in leaves(example):
            assert word in text


def test_every_link_of_the_page_leads_somewhere_on_it_or_to_the_document(answer):
    page = Page(answer.text)
    assert len(page.ids) == len(set(page.ids))
    elsewhere = {link for link in page.links if not link.startswith("#")}
    assert elsewhere == {"/api/schema/openapi.json", "data:,"}
    assert {link.removeprefix("#") for link in page.links if link.startswith("#")} <= set(page.ids)


def test_the_page_needs_no_other_host_and_no_script(answer):
    page = Page(answer.text)
    without_examples = re.sub("<pre>.*?</pre>", "", answer.text, flags=re.DOTALL)
    assert not re.search(r"https?:|//|<script|javascript:|@import|url\(", without_examples)
    assert page.sources == []
    assert not any(name.startswith("on") or name == "style" for name in page.attributes)


def test_the_page_allows_its_own_style_by_its_hash_and_nothing_else(answer):
    [style] = re.findall("<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert answer.headers.get_list("content-security-policy") == [
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_stands_in_a_setting_is_text_on_the_page():
    _, app = make_app(public_url="http://a'b\"</code><script>alert(1)</script>")
    with TestClient(app) as client:
        html = client.get("/api/schema/").text
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html
    Page(html)


@pytest.mark.parametrize(
    "path", ["swagger", "redoc", "elements", "rapidoc", "scalar", "openapi.yaml", "openapi.yml", "x/y", "<x>"]
)
def test_nothing_else_is_below_the_page(app, path):
    with TestClient(app) as client:
        other = client.get(f"/api/schema/{path}")
    assert (other.status_code, other.json()) == (404, {"detail": "Not found."})


# The document


@pytest.mark.parametrize("path", ["/api/schema/openapi.json", "/api/schema/openapi.json/"])
def test_the_document_is_json_on_both_slash_forms(app, document, path):
    with TestClient(app) as client:
        same = client.get(path, follow_redirects=False)
    assert same.status_code == 200
    assert same.headers["content-type"] == "application/vnd.oai.openapi+json"
    assert same.json() == document


def test_the_document_is_valid_openapi_3_1(document):
    jsonschema_rs.validator_for(OPENAPI_31).validate(document)


def test_every_reference_leads_to_a_component_and_every_component_is_used(document):
    used = set(references(document))
    components = {
        f"#/components/{kind}/{name}"
        for kind in ("schemas", "responses")
        for name in document["components"][kind]
    }
    assert used == components


def test_every_operation_has_an_id_and_a_place_that_stay(document):
    ids = [
        (operation["operationId"], f"{method.upper()} {path}")
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]
    assert len(ids) == len(dict(ids))
    assert dict(ids) == OPERATIONS
    assert list(document["paths"]) == sorted(document["paths"])


def test_every_route_is_in_the_document(app, document):
    """With the trailing slash if it is of the API. HEAD and what only refuses a method are not in it."""
    routes = {
        (f"{path}/" if path.startswith("/api/") else path, method.lower())
        for route in app.routes
        if isinstance(route, HTTPRoute)
        for path in [route.path.replace(":str}", "}")]
        for method, (handler, _) in route.route_handler_map.items()
        if handler.resolve_include_in_schema() is not False and method not in {"HEAD", "OPTIONS"}
    }
    assert {(path, method) for path, item in document["paths"].items() for method in item} == routes


def test_every_operation_bears_one_tag_that_is_described(document, operations):
    described = {tag["name"] for tag in document["tags"] if tag["description"]}
    assert {tag for operation in operations.values() for tag in operation["tags"]} == described
    assert all(len(operation["tags"]) == 1 for operation in operations.values())


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_every_operation_documents_its_refusals(document, operations, operation_id):
    operation = operations[operation_id]
    refusals = {int(status) for status in operation["responses"] if status >= "400"}
    expected = {500, 503}
    if operation_id == "checkLiveness":
        expected -= {503}
    if operation_id not in BODILESS:
        expected |= {400, 408, 413, 415}
    if operation_id in PROTECTED | WITH_SECRETS:
        expected |= {401}
    if operation_id in OF_ADMINISTRATORS:
        expected |= {403}
    if operation_id in WITH_PARAMETERS | OF_THE_LAST_SUPERUSER:
        expected |= {400}
    if operation_id == "endSession" or operation_id in OF_ADMINISTRATORS - WITH_PARAMETERS:
        expected |= {404}
    if operation_id in THROTTLED:
        expected |= {429}
    assert refusals == expected
    assert operation["security"] == ([{"bearer": []}] if operation_id in PROTECTED else [])
    for status, name in {"401": "WWW-Authenticate", "429": "Retry-After", "503": "Retry-After"}.items():
        if status in operation["responses"]:
            assert resolved(document, operation["responses"][status])["headers"][name]["required"] is True


@pytest.mark.parametrize("operation_id", OPERATIONS)
def test_bodies_are_json_or_forms_and_every_field_is_described(document, operations, operation_id):
    if operation_id in BODILESS:
        assert "requestBody" not in operations[operation_id]
        return
    request_body = operations[operation_id]["requestBody"]
    as_json, as_form = (request_body["content"][name] for name in (body.JSON, body.FORM))
    assert request_body["required"] is True
    assert as_json == as_form
    schema = resolved(document, as_json["schema"])
    assert schema["required"] == ([] if operation_id == "updateProfile" else list(schema["properties"]))
    assert all(field["type"] == "string" and field["description"] for field in schema["properties"].values())


def test_every_field_of_a_success_that_is_always_there_is_required(document):
    schemas = document["components"]["schemas"]
    exported = {name for name in schemas if name.startswith("Export")}
    assert len(exported) == 6
    answers = ("Message", "Tokens", "Requested", "ProfileAnswer", "OwnSession", "Alive", "ScheduledDeletion")
    for name in (*answers, *exported):
        assert set(schemas[name]["required"]) == set(schemas[name]["properties"])


def test_every_example_is_of_its_schema(document):
    for media in medias(document):
        validator = jsonschema_rs.validator_for({**media["schema"], "components": document["components"]})
        for example in media_examples(media):
            validator.validate(example)


# Its examples, held against the service

JOHN = {"username": "john_doe", "email": "john@example.com", "password": "yourpassword123"}
TIME_OF_THE_EXAMPLES = datetime(2024, 12, 19, 10, tzinfo=UTC)


class Service:
    """Sends what the document says, by the ids of its operations."""

    def __init__(self, client, container, clock):
        self.client, self.container, self.clock = client, container, clock

    def send(
        self,
        operation_id,
        /,
        content=None,
        *,
        access=None,
        authorization=None,
        media_type=body.JSON,
        session_id="",
        user_id="",
        letter_id="",
        query="",
        **fields,
    ):
        method, _, path = OPERATIONS[operation_id].partition(" ")
        path = path.format(session_id=session_id, user_id=user_id, letter_id=letter_id) + query
        headers = {"Content-Type": media_type} if content is not None else {}
        authorization = authorization or (f"Bearer {access}" if access else None)
        headers |= {"Authorization": authorization} if authorization else {}
        fields = None if content is not None or operation_id in BODILESS else fields
        return self.client.request(method, path, headers=headers, content=content, json=fields)

    def log_in(self, password=JOHN["password"], *, username="john_doe"):
        tokens = self.send("logIn", username=username, password=password)
        assert tokens.status_code == 200, tokens.text
        return SimpleNamespace(**tokens.json())

    def deliver_mail(self):
        while self.client.blocking_portal.call(self.container.deliver_mail()):
            pass

    def mailed_token(self, page="reset-password"):
        self.deliver_mail()
        mails = "".join(mail.text for mail in self.container.mailer().sent)
        return re.findall(rf"/{page}/MQ/([\w-]+)", mails)[-1]

    def mailed_code(self):
        self.deliver_mail()
        mails = "".join(mail.text for mail in self.container.mailer().sent)
        return " ".join(re.findall(r"^ +(\d{4}) (\d{4})$", mails, re.MULTILINE)[-1])


@pytest.fixture
def service():
    """A service at the time of the examples, in which nobody has registered yet."""
    clock = FixedClock(TIME_OF_THE_EXAMPLES)
    container, app = make_app(clock)
    with TestClient(app) as client:
        yield Service(client, container, clock)


def example_body(operations, operation_id):
    return operations[operation_id]["requestBody"]["content"][body.JSON]["example"]


def example_answer(operations, operation_id):
    [status] = [status for status in operations[operation_id]["responses"] if status < "300"]
    return int(status), operations[operation_id]["responses"][status]["content"][body.JSON]["example"]


def test_the_examples_in_their_order_are_a_walk_through_the_service(service, operations):
    """Bodies are sent as they stand in the document, and answers are as they stand there, but for tokens."""

    def step(operation_id, access=None, **tokens):
        sent = {} if operation_id in BODILESS else example_body(operations, operation_id)
        got = service.send(operation_id, access=access, **{**sent, **tokens})
        status, expected = example_answer(operations, operation_id)
        assert got.status_code == status, got.text
        if operation_id == "listSessions":
            assert [list(each) for each in got.json()] == [list(each) for each in expected]
            return got.json()
        if operation_id == "exportData":
            assert [*got.json(), *got.json()["profile"]] == [*expected, *expected["profile"]]
            return None
        if {"access", "request"} & set(expected):
            assert set(got.json()) == set(expected)
        else:
            assert got.json() == expected
        return SimpleNamespace(**got.json())

    step("register")
    step("requestVerification")
    step("verifyEmail", token=service.mailed_token("verify-email"))
    session = step("logIn")
    step("showProfile", access=session.access)
    step("updateProfile", access=session.access)
    session = step("refreshSession", refresh=session.refresh)
    step("verifyToken", token=session.access)
    step("requestEmailChange", access=session.access)
    step("confirmEmailChange", token=service.mailed_token("confirm-email"))
    step("undoEmailChange", token=service.mailed_token("undo-email-change"))
    session = service.log_in()
    step("changePassword", access=session.access)
    [listed] = step("listSessions", access=session.access)
    step("endOtherSessions", access=session.access)
    step("endSession", access=session.access, session_id=listed["id"])
    step("requestPasswordReset")
    step("resetPassword", token=service.mailed_token())
    asked = step("requestLoginCode")
    step("confirmLoginCode", request=asked.request, code=service.mailed_code())
    step("logOutEverywhere", access=service.log_in("newpassword123").access)
    step("logOut", refresh=service.log_in("newpassword123").refresh)
    step("blacklistToken", refresh=service.log_in("newpassword123").refresh)
    step("exportData", access=service.log_in("newpassword123").access)
    step("deleteAccount", access=service.log_in("newpassword123").access, password="newpassword123")
    step("undoDeletion", token=service.mailed_token("undo-deletion"))
    step("checkLiveness")
    service.deliver_mail()
    step("checkReadiness")


# Where an example stands, and the request that it answers: an operation and what is sent. A text that begins
# with "$" stands for one of the tokens of `refusing_service`.
REFUSED = {
    ("register", "taken"): ("register", {**JOHN}),
    ("register", "weak password"): (
        "register",
        {"username": "jane", "email": "jane@example.com", "password": "1234567"},
    ),
    ("logIn", "refused"): ("logIn", {"username": "john_doe", "password": "another password"}),
    ("requestLoginCode", "not an address"): ("requestLoginCode", {"email": "john"}),
    ("confirmLoginCode", "refused"): ("confirmLoginCode", {"request": "x" * 43, "code": "4815 1623"}),
    ("changePassword", "mistake"): (
        "changePassword",
        {"access": "$access", "old_password": "another password", "new_password": "yournewpassword123"},
    ),
    ("changePassword", "similar password"): (
        "changePassword",
        {"access": "$access", "old_password": JOHN["password"], "new_password": "john_doe"},
    ),
    ("updateProfile", "not acceptable"): (
        "updateProfile",
        {"access": "$access", "display_name": "x" * 151, "locale": "german", "time_zone": "Vienna"},
    ),
    ("requestEmailChange", "mistake"): (
        "requestEmailChange",
        {"access": "$access", "new_email": "john.doe@example.org", "password": "another password"},
    ),
    ("requestEmailChange", "one's own"): (
        "requestEmailChange",
        {"access": "$access", "new_email": JOHN["email"], "password": JOHN["password"]},
    ),
    ("confirmEmailChange", "mistake"): (
        "confirmEmailChange",
        {"uidb64": "MQ", "token": "email_change_token"},
    ),
    ("undoEmailChange", "mistake"): ("undoEmailChange", {"uidb64": "MQ", "token": "undo_token"}),
    ("requestPasswordReset", "not an address"): ("requestPasswordReset", {"email": "john"}),
    ("requestVerification", "not an address"): ("requestVerification", {"email": "john"}),
    ("verifyEmail", "mistake"): ("verifyEmail", {"uidb64": "MQ", "token": "email_verification_token"}),
    ("resetPassword", "mistake"): (
        "resetPassword",
        {"uidb64": "MQ", "token": "password_reset_token", "password": "newpassword123"},
    ),
    ("resetPassword", "weak password"): (
        "resetPassword",
        {"uidb64": "MQ", "token": "$mailed", "password": "password1"},
    ),
    ("deleteAccount", "mistake"): ("deleteAccount", {"access": "$access", "password": "another password"}),
    ("deleteAccount", "last superuser"): (
        "deleteAccount",
        {"access": "$root", "password": JOHN["password"]},
    ),
    ("undoDeletion", "mistake"): ("undoDeletion", {"uidb64": "MQ", "token": "undo_deletion_token"}),
    ("NotAuthenticated", "no token"): ("showProfile", {}),
    ("NotAuthenticated", "not two values"): ("showProfile", {"authorization": "Bearer"}),
    ("NotAuthenticated", "bad token, or session over"): ("showProfile", {"access": "$over_access"}),
    ("NotAuthenticated", "expired token"): ("showProfile", {"access": "$old_access"}),
    ("NotAuthenticated", "refresh token"): ("showProfile", {"access": "$refresh"}),
    ("endSession", "no such session"): ("endSession", {"access": "$access", "session_id": "0" * 32}),
    ("searchUsers", "not acceptable"): ("searchUsers", {"access": "$root", "query": "?limit=0"}),
    ("searchUsers", "not UTF-8"): ("searchUsers", {"access": "$root", "query": "?search=%FF"}),
    ("readAuditLog", "not acceptable"): ("readAuditLog", {"access": "$root", "query": "?since=noon"}),
    ("readAuditLog", "not UTF-8"): ("readAuditLog", {"access": "$root", "query": "?kind=%FF"}),
    ("listOutbox", "not acceptable"): ("listOutbox", {"access": "$root", "query": "?state=x"}),
    ("listOutbox", "not UTF-8"): ("listOutbox", {"access": "$root", "query": "?after=%FF"}),
    ("disableUser", "last superuser"): ("disableUser", {"access": "$root", "user_id": "2"}),
    ("demoteUser", "last superuser"): ("demoteUser", {"access": "$root", "user_id": "2"}),
    ("retryLetter", "no such letter"): ("retryLetter", {"access": "$root", "letter_id": "0" * 32}),
    ("NotPermitted", "no superuser"): ("searchUsers", {"access": "$access"}),
    ("NotPermitted", "login too old"): ("searchUsers", {"access": "$stale"}),
    ("AccountNotFound", "no such account"): ("showUser", {"access": "$root", "user_id": "3"}),
    ("TokenRefused", "bad token"): ("verifyToken", {"token": "x"}),
    ("TokenRefused", "expired token"): ("refreshSession", {"refresh": "$old_refresh"}),
    ("TokenRefused", "access token where a refresh token is due"): ("logOut", {"refresh": "$access"}),
    ("TokenRefused", "session over"): ("refreshSession", {"refresh": "$over_refresh"}),
    ("TooLarge", "too large"): ("logIn", {"content": b" " * (body.SIZE_LIMIT + 1)}),
    ("UnsupportedMediaType", "text"): ("logIn", {"content": b"x", "media_type": "text/plain"}),
}
FOR_EACH_BODY = {"missing", "not JSON"}
BY_ITSELF = {
    ("TooSlow", "too slow"),
    ("InternalError", "failure"),
    ("Throttled", "throttled"),
    ("Unavailable", "unavailable"),
    ("checkReadiness", "stopping"),
}


def refusal_examples(document, operations):
    """Every example of a refusal, by where it stands: a common refusal or an operation, and its name."""
    own = [
        (operation_id, response)
        for operation_id, operation in operations.items()
        for status, response in operation["responses"].items()
        if status >= "400" and "$ref" not in response
    ]
    return {
        (place, name): example["value"]
        for place, response in [*document["components"]["responses"].items(), *own]
        for name, example in response["content"][body.JSON]["examples"].items()
    }


@pytest.fixture(scope="module")
def refusing_service():
    """A service that knows John, and tokens of his of every kind."""
    clock = FixedClock(TIME_OF_THE_EXAMPLES)
    container, app = make_app(clock)
    with TestClient(app) as client:
        service = Service(client, container, clock)
        assert service.send("register", **JOHN).status_code == 201
        root = {"username": "root", "email": "root@example.com", "password": Secret(JOHN["password"])}
        client.blocking_portal.call(partial(container.register_user(), **root, superuser=True))
        old = service.log_in()
        clock.advance(timedelta(days=31))
        before = service.log_in(username="root")
        clock.advance(timedelta(hours=12))
        stale = service.send("refreshSession", refresh=before.refresh).json()["access"]
        over = service.log_in()
        assert service.send("logOut", refresh=over.refresh).status_code == 200
        tokens = dict(vars(service.log_in()))
        tokens |= {f"old_{name}": token for name, token in vars(old).items()}
        tokens |= {f"over_{name}": token for name, token in vars(over).items()}
        assert service.send("requestPasswordReset", email=JOHN["email"]).status_code == 200
        tokens |= {"mailed": service.mailed_token()}
        tokens |= {"root": service.log_in(username="root").access, "stale": stale}
        yield service, tokens


def test_every_example_of_a_refusal_is_provoked_below(document, operations):
    places = refusal_examples(document, operations)
    assert {place for place in places if place[1] not in FOR_EACH_BODY} == set(REFUSED) | BY_ITSELF
    assert {place[0] for place in places if place[1] in FOR_EACH_BODY} == set(OPERATIONS) - BODILESS


@pytest.mark.parametrize("place", REFUSED, ids=": ".join)
def test_the_service_refuses_in_the_words_of_the_example(refusing_service, document, operations, place):
    service, tokens = refusing_service
    operation_id, sent = REFUSED[place]
    sent = {
        name: tokens[value[1:]] if isinstance(value, str) and value.startswith("$") else value
        for name, value in sent.items()
    }
    refused = service.send(operation_id, **sent)
    expected = refusal_examples(document, operations)[place]
    assert refused.json() == expected
    documented = resolved(document, operations[operation_id]["responses"][str(refused.status_code)])
    assert expected in media_examples(documented["content"][body.JSON])
    assert all(name in refused.headers for name in documented["headers"])


@pytest.mark.parametrize("operation_id", sorted(set(OPERATIONS) - BODILESS - {"updateProfile"}))
def test_the_service_refuses_an_empty_and_a_broken_body_as_in_the_examples(
    refusing_service, operations, operation_id
):
    service, tokens = refusing_service
    given = operations[operation_id]["responses"]["400"]["content"][body.JSON]["examples"]
    for name, content in {"missing": b"", "not JSON": b"x"}.items():
        refused = service.send(operation_id, content, access=tokens["access"])
        assert (refused.status_code, refused.json()) == (400, given[name]["value"])


@pytest.mark.parametrize(
    ("component", "error"),
    [
        ("InternalError", RuntimeError("broken")),
        ("Throttled", Throttled(timedelta(minutes=1))),
        ("Unavailable", Unavailable("broken")),
    ],
)
def test_the_service_fails_in_the_words_of_the_example(document, component, error):
    class BrokenClock:
        def now(self):
            raise error

    container, app = make_app(BrokenClock())
    with TestClient(app) as client:
        service = Service(client, container, None)
        failed = service.send("logIn", username="john_doe", password=JOHN["password"])
    response = document["components"]["responses"][component]
    [example] = media_examples(response["content"][body.JSON])
    if "request_id" in example:
        example = {**example, "request_id": failed.headers["x-request-id"]}
    assert failed.json() == example
    assert all(name in failed.headers for name in response["headers"])


def test_the_service_is_not_ready_in_the_words_of_the_example(operations):
    container, app = make_app()
    with TestClient(app) as client:
        app.state.stopping = True
        refused = Service(client, container, None).send("checkReadiness")
    response = operations["checkReadiness"]["responses"]["503"]
    assert refused.status_code == 503
    assert [refused.json()] == media_examples(response["content"][body.JSON])
    assert all(name in refused.headers for name in response["headers"])


async def test_the_service_gives_up_on_a_stalled_body_in_the_words_of_the_example(app, document, monkeypatch):
    impatient = SimpleNamespace(timeout=lambda _seconds: asyncio.timeout(0.01))
    monkeypatch.setattr(body, "asyncio", impatient)
    sent = []

    async def receive():
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"testserver"), (b"content-type", b"application/json"), (b"content-length", b"2")]
    scope = {"type": "http", "method": "POST", "path": "/api/auth/login/", "raw_path": b"/api/auth/login/"}
    scope |= {
        "query_string": b"",
        "headers": headers,
        "http_version": "1.1",
        "scheme": "http",
        "root_path": "",
    }
    scope |= {"server": ("testserver", 80), "client": ("testclient", 50000), "extensions": {}}
    await app(scope, receive, send)
    [example] = media_examples(document["components"]["responses"]["TooSlow"]["content"][body.JSON])
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"]) == example


# Reading the document


def resolved(document, node):
    while "$ref" in node:
        _, kind, name = node["$ref"].removeprefix("#/").split("/")
        node = document["components"][kind][name]
    return node


def nodes(node):
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(child)


def references(document):
    return [node["$ref"] for node in nodes(document) if "$ref" in node]


def medias(document):
    return [media for node in nodes(document) if "content" in node for media in node["content"].values()]


def media_examples(media):
    if "example" in media:
        return [media["example"]]
    return [example["value"] for example in media["examples"].values()]


def examples(document):
    return [example for media in medias(document) for example in media_examples(media)]


def leaves(value):
    """The texts in a value, and the names of its fields."""
    if isinstance(value, dict):
        return [*value, *(leaf for each in value.values() for leaf in leaves(each))]
    if isinstance(value, list):
        return [leaf for each in value for leaf in leaves(each)]
    return [value] if isinstance(value, str) and '"' not in value else []
