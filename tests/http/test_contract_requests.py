"""What the contract says of any request: fields, bodies, media types, methods, paths and credentials."""

from __future__ import annotations

import json

import pytest

BODIES = {
    "/api/auth/register/": {
        "username": "mary",
        "email": "mary@example.com",
        "password": "yourpassword123",
    },
    "/api/auth/login/": {"username": "john_doe", "password": "yourpassword123"},
    "/api/auth/token/refresh/": {"refresh": "a.b.c"},
    "/api/auth/token/verify/": {"token": "a.b.c"},
    "/api/auth/logout/": {"refresh": "a.b.c"},
    "/api/auth/token/blacklist/": {"refresh": "a.b.c"},
    "/api/user/change-password/": {
        "old_password": "yourpassword123",
        "new_password": "yournewpassword123",
    },
    "/api/auth/verify-email/": {"uidb64": "MQ", "token": "wrong"},
    "/api/auth/resend-verification/": {"email": "john@example.com"},
    "/api/user/change-email/": {"new_email": "john@example.org", "password": "yourpassword123"},
    "/api/auth/confirm-email-change/": {"uidb64": "MQ", "token": "wrong"},
    "/api/auth/undo-email-change/": {"uidb64": "MQ", "token": "wrong"},
    "/api/auth/forgot-password/": {"email": "john@example.com"},
    "/api/auth/reset-password/": {"uidb64": "MQ", "token": "wrong", "password": "newpassword123"},
    "/api/user/delete/": {"password": "wrong"},
    "/api/auth/undo-deletion/": {"uidb64": "MQ", "token": "wrong"},
}
"""Every path to which a body is posted: its fields, each with a value that is in order."""

FIELDS = [(path, field) for path, body in BODIES.items() for field in body]
TRIMMED = [
    (path, field)
    for path, field in FIELDS
    if "password" not in field and not (field == "token" and "uidb64" in BODIES[path])
]
PUBLIC = [path for path in BODIES if path.startswith("/api/auth/")]
A_SESSION = "/api/user/sessions/{session_id}/"
BODILESS = {
    "/api/user/profile/": {"GET", "HEAD", "PATCH"},
    "/api/user/export/": {"GET", "HEAD"},
    "/api/user/sessions/": {"GET", "HEAD"},
    A_SESSION: {"DELETE"},
    "/api/user/sessions/revoke-others/": {"POST"},
    "/api/auth/logout-all/": {"POST"},
}
"""Every path to which none is posted, and its methods."""
PROTECTED = ["/api/user/change-password/", "/api/user/change-email/", "/api/user/delete/", *BODILESS]
PATHS = [*PUBLIC, *PROTECTED]

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
REQUIRED = "This field is required."


async def credentials(service, path):
    if path not in PROTECTED:
        return {}
    return {"Authorization": f"Bearer {service.access or (await service.log_in()).access}"}


async def send(service, path, content, content_type=JSON):
    """Posts these octets as they are, with credentials where the path asks for them."""
    headers = await credentials(service, path)
    if content_type is not None:
        headers["Content-Type"] = content_type
    answer = await service.client.post(path, content=content, headers=headers)
    return answer.status_code, answer.json()


async def send_json(service, path, body):
    return await send(service, path, json.dumps(body))


async def send_everywhere(service, content, content_type=JSON):
    return {path: await send(service, path, content, content_type) for path in BODIES}


def everywhere(status, body):
    return dict.fromkeys(BODIES, (status, body))


# Fields


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param("", "This field may not be blank.", id="empty"),
        pytest.param(None, "This field may not be null.", id="null"),
        pytest.param(True, "Not a valid string.", id="true"),
        pytest.param(False, "Not a valid string.", id="false"),
        pytest.param([], "Not a valid string.", id="empty list"),
        pytest.param(["text"], "Not a valid string.", id="list"),
        pytest.param({"$ne": ""}, "Not a valid string.", id="object"),
        pytest.param("nul\0l", "Null characters are not allowed.", id="NUL"),
        pytest.param("line\r\nbreak", "Null characters are not allowed.", id="line break"),
        pytest.param("esc\x1b[2Jape", "Null characters are not allowed.", id="escape"),
        pytest.param("next\x85line", "Null characters are not allowed.", id="C1 control"),
        pytest.param("half\ud800pair", "Null characters are not allowed.", id="lone surrogate"),
    ],
)
async def test_a_field_that_cannot_be_read_is_refused_wherever_it_stands(shared_service, value, message):
    answers = {
        (path, field): await send_json(shared_service, path, {**BODIES[path], field: value})
        for path, field in FIELDS
    }
    assert answers == {(path, field): (400, {field: [message]}) for path, field in FIELDS}


async def test_a_field_that_is_missing_is_refused_wherever_it_should_stand(shared_service):
    answers = {
        (path, field): await send_json(shared_service, path, without(BODIES[path], field))
        for path, field in FIELDS
    }
    assert answers == {(path, field): (400, {field: [REQUIRED]}) for path, field in FIELDS}


def without(body, field):
    return {name: value for name, value in body.items() if name != field}


async def test_a_field_of_white_space_is_blank_unless_it_is_a_secret(shared_service):
    answers = {
        (path, field): await send_json(shared_service, path, {**BODIES[path], field: " \u00a0 "})
        for path, field in TRIMMED
    }
    assert answers == {
        (path, field): (400, {field: ["This field may not be blank."]}) for path, field in TRIMMED
    }


@pytest.mark.parametrize(
    ("content", "content_type"),
    [
        pytest.param(b"", JSON, id="nothing"),
        pytest.param(b"", None, id="nothing and no media type"),
        pytest.param(b"", "text/plain", id="nothing of another media type"),
        pytest.param(b"{}", JSON, id="empty object"),
        pytest.param(b'{"unknown": 1}', JSON, id="only unknown fields"),
    ],
)
async def test_a_body_without_fields_lists_all_of_them_as_required(shared_service, content, content_type):
    assert await send_everywhere(shared_service, content, content_type) == {
        path: (400, {field: [REQUIRED] for field in body}) for path, body in BODIES.items()
    }


async def test_every_offending_field_is_in_one_answer_each_with_its_own_messages(shared_service):
    body = {"username": "jo hn", "email": "john", "password": "1"}
    assert await send_json(shared_service, "/api/auth/register/", body) == (
        400,
        {
            "username": [
                "Enter a valid username. This value may contain only letters, numbers, "
                "and @/./+/-/_ characters."
            ],
            "email": ["Enter a valid email address."],
            "password": [
                "This password is too short. It must contain at least 8 characters.",
                "This password is too common.",
                "This password is entirely numeric.",
            ],
        },
    )


async def test_fields_that_cannot_be_read_are_refused_beside_those_that_are_not_acceptable(shared_service):
    body = {"username": None, "email": "john@example.com", "password": "12345678"}
    assert await send_json(shared_service, "/api/auth/register/", body) == (
        400,
        {
            "username": ["This field may not be null."],
            "email": ["A user with that email already exists."],
            "password": ["This password is too common.", "This password is entirely numeric."],
        },
    )


async def test_all_fields_of_a_login_that_cannot_be_read_are_named(shared_service):
    body = {"username": ["john_doe"], "password": ""}
    assert await send_json(shared_service, "/api/auth/login/", body) == (
        400,
        {"username": ["Not a valid string."], "password": ["This field may not be blank."]},
    )


async def test_numbers_are_taken_as_their_text(service):
    await send(
        service, "/api/auth/register/", b'{"username": 4711, "email": "n@example.com", "password": 12.50e90}'
    )
    assert await service.can_log_in("4711", "12.50e90")
    status, _ = await send(service, "/api/auth/login/", b'{"username": 4711, "password": 12.50e90}')
    assert status == 200


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        (
            "/api/auth/forgot-password/",
            {"email": 5},
            (400, {"email": ["Enter a valid email address."]}),
        ),
        (
            "/api/auth/token/refresh/",
            {"refresh": 5},
            (401, {"detail": "Token is invalid", "code": "token_not_valid"}),
        ),
        (
            "/api/auth/reset-password/",
            {"uidb64": 1, "token": 2, "password": 3},
            (400, {"error": "Invalid or expired token."}),
        ),
        (
            "/api/user/change-password/",
            {"old_password": 1, "new_password": 98765432198765},
            (400, {"new_password": ["This password is entirely numeric."]}),
        ),
    ],
)
async def test_a_number_is_judged_as_its_text_would_be(shared_service, path, body, answer):
    assert await send_json(shared_service, path, body) == answer


# Bodies


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ("[]", "list"),
        ('[{"username": "john_doe"}]', "list"),
        ('"text"', "str"),
        ("true", "bool"),
        ("5", "int"),
        ("1.5", "float"),
    ],
)
async def test_a_body_that_is_not_an_object_is_refused(shared_service, content, kind):
    assert await send_everywhere(shared_service, content) == everywhere(
        400, {"non_field_errors": [f"Invalid data. Expected a dictionary, but got {kind}."]}
    )


async def test_a_body_of_null_is_refused(shared_service):
    status, body = await send(shared_service, "/api/auth/login/", "null")
    assert (status, list(body)) == (400, ["non_field_errors"])


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"{", id="cut off"),
        pytest.param(b" ", id="white space"),
        pytest.param(b"{'username': 'john_doe'}", id="single quotes"),
        pytest.param(b'{"username": "john_doe"} {}', id="two documents"),
        pytest.param(b'{"username": "john\ndoe"}', id="raw line feed in a string"),
        pytest.param(b'{"username": "\xff\xfe"}', id="invalid UTF-8"),
        pytest.param(b'{"username": "\xed\xa0\x80"}', id="surrogate in UTF-8"),
        pytest.param(b'{"username": "\xc0\x80"}', id="overlong NUL in UTF-8"),
        pytest.param('{"username": "john_doe"}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'\xef\xbb\xbf{"username": "john_doe"}', id="byte order mark"),
        pytest.param(b'{"username": NaN}', id="NaN"),
        pytest.param(b'{"username": -Infinity}', id="infinity"),
        pytest.param(b"[" * 1000, id="1,000 open brackets"),
        pytest.param(b'{"a":' * 3000, id="3,000 open objects"),
        pytest.param(b"[" * 33 + b"]" * 33, id="33 lists deep"),
        pytest.param(b'{"username":' * 33 + b"1" + b"}" * 33, id="33 objects deep"),
        pytest.param(b'{"username": "a", "username": "b"}', id="a key twice"),
        pytest.param(b'{"username": "a", "usern\\u0061me": "b"}', id="a key twice, once escaped"),
        pytest.param(b'{"x": {"y": 1, "y": 2}}', id="a key twice further down"),
    ],
)
async def test_a_body_that_cannot_be_parsed_is_refused(shared_service, content):
    answers = await send_everywhere(shared_service, content)
    for status, body in answers.values():
        assert (status, list(body)) == (400, ["detail"])
        assert body["detail"].startswith("JSON parse error - ")


async def test_a_parse_error_does_not_repeat_what_was_sent(shared_service):
    for content in (b'{"password": "canary", "password": "canary"}', b'"canary', b"canary"):
        _, body = await send(shared_service, "/api/auth/login/", content)
        assert "canary" not in body["detail"]


async def test_a_body_may_be_32_levels_deep(shared_service):
    content = '{"refresh":' + "[" * 31 + "]" * 31 + "}"
    assert await send(shared_service, "/api/auth/token/refresh/", content) == (
        400,
        {"refresh": ["Not a valid string."]},
    )


@pytest.mark.parametrize(
    "number", ["1e400", "-1e400", "1" * 5000, "1." + "1" * 5000, "-0"], ids=lambda text: text[:6]
)
async def test_a_number_beyond_any_range_is_only_a_text(shared_service, number):
    content = f'{{"username": {number}, "password": {number}}}'
    assert await send(shared_service, "/api/auth/login/", content) == (
        401,
        {"detail": "No active account found with the given credentials"},
    )


async def test_a_body_over_16_kib_is_too_large(shared_service):
    padding = "x" * (16 * 1024)
    answers = {
        path: await send_json(shared_service, path, {**body, "padding": padding})
        for path, body in BODIES.items()
    }
    assert answers == everywhere(413, {"detail": "Request body exceeds the limit of 16384 bytes."})


async def test_a_body_of_a_million_keys_is_too_large(shared_service):
    content = "{" + ",".join(f'"{number}":0' for number in range(1_000_000)) + "}"
    status, _ = await send(shared_service, "/api/auth/login/", content)
    assert status == 413


async def test_a_body_of_exactly_16_kib_is_read(shared_service):
    content = b'{"refresh": "a.b.c"}'.ljust(16 * 1024)
    status, _ = await send(shared_service, "/api/auth/token/refresh/", content)
    assert status == 401
    status, _ = await send(shared_service, "/api/auth/token/refresh/", content + b" ")
    assert status == 413


async def test_a_body_that_is_larger_than_declared_is_judged_by_what_arrives(shared_service):
    answer = await shared_service.client.post(
        "/api/auth/login/",
        content=b" " * 20_000,
        headers={"Content-Type": JSON, "Content-Length": "2"},
    )
    assert answer.status_code == 413


# Media types


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "text/plain;charset=UTF-8",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonp",
        "",
    ],
)
async def test_what_is_neither_json_nor_a_form_is_an_unsupported_media_type(shared_service, media_type):
    assert await send_everywhere(shared_service, b'{"username": "john_doe"}', media_type) == everywhere(
        415, {"detail": f'Unsupported media type "{media_type}" in request.'}
    )


async def test_a_body_without_a_media_type_is_not_guessed_at(shared_service):
    assert await send_everywhere(shared_service, b"{}", content_type=None) == everywhere(
        415, {"detail": 'Unsupported media type "" in request.'}
    )


@pytest.mark.parametrize("media_type", ["application/json; charset=utf-8", "Application/JSON ;charset=UTF-8"])
async def test_json_is_recognised_however_its_media_type_is_written(shared_service, media_type):
    body = json.dumps(BODIES["/api/auth/login/"])
    status, _ = await send(shared_service, "/api/auth/login/", body, media_type)
    assert status == 200


async def test_an_urlencoded_form_is_as_good_as_json(service):
    form = {"username": "jörg", "email": "joerg+x@example.com", "password": "pass word&ä=%41"}
    answer = await service.client.post("/api/auth/register/", data=form)
    assert (answer.status_code, answer.json()) == (201, {"message": "User created successfully"})
    answer = await service.client.post("/api/auth/login/", data=form)
    assert answer.status_code == 200
    access = answer.json()["access"]
    assert (await service.profile(access)).json()["email"] == "joerg+x@example.com"
    answer = await service.client.post(
        "/api/user/change-password/",
        data={"old_password": form["password"], "new_password": " spaces around "},
        headers={"Authorization": f"Bearer {access}"},
    )
    assert (answer.status_code, answer.json()) == (200, {"message": "Password changed successfully"})
    assert await service.can_log_in("jörg", " spaces around ")


async def test_a_form_without_values_has_blank_fields(shared_service):
    answers = {
        path: await send(shared_service, path, "&".join(f"{field}=" for field in body), FORM)
        for path, body in BODIES.items()
    }
    assert answers == {
        path: (400, {field: ["This field may not be blank."] for field in body})
        for path, body in BODIES.items()
    }


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"email=a%40example.com&email=b%40example.com", id="a key twice"),
        pytest.param(b"email=%ff%fe", id="invalid UTF-8"),
        pytest.param("email=ä@example.com".encode(), id="not percent-encoded"),
        pytest.param(b"&".join(b"f%d=" % number for number in range(1000)), id="1,000 fields"),
    ],
)
async def test_a_form_that_cannot_be_parsed_is_refused(shared_service, content):
    status, body = await send(shared_service, "/api/auth/forgot-password/", content, FORM)
    assert (status, list(body)) == (400, ["detail"])
    assert body["detail"].startswith("Form parse error - ")


# Methods


METHODS = {
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "TRACE",
    "CONNECT",
    "PROPFIND",
    "QUERY",
    "MADE-UP",
}
ALLOWED = {path: {"POST", "OPTIONS"} for path in BODIES} | {
    **{path: {*methods, "OPTIONS"} for path, methods in BODILESS.items()},
    "/health/live": {"GET", "HEAD", "OPTIONS"},
    "/health/ready": {"GET", "HEAD", "OPTIONS"},
}


@pytest.mark.parametrize("path", ALLOWED)
async def test_a_method_that_a_path_does_not_have_is_not_allowed(shared_service, path):
    headers = await credentials(shared_service, path)
    for method in METHODS - ALLOWED[path]:
        answer = await shared_service.client.request(method, path, headers=headers)
        assert answer.status_code == 405, method
        assert set(answer.headers["Allow"].split(", ")) == ALLOWED[path], method
        if method != "HEAD":
            assert answer.json() == {"detail": f'Method "{method}" not allowed.'}


@pytest.mark.parametrize("path", PROTECTED)
async def test_a_protected_path_asks_who_it_is_before_it_looks_at_the_method(shared_service, path):
    for method in METHODS:
        answer = await shared_service.client.request(method, path)
        assert answer.status_code == 401, method
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="api"'
        if method != "HEAD":
            assert answer.json() == {"detail": "Authentication credentials were not provided."}


async def test_a_protected_path_asks_who_it_is_before_it_looks_at_the_body(shared_service):
    answer = await shared_service.client.post(
        "/api/user/change-password/", content=b"{", headers={"Content-Type": "text/plain"}
    )
    assert (answer.status_code, answer.json()) == (
        401,
        {"detail": "Authentication credentials were not provided."},
    )


async def test_options_answers_without_credentials(shared_service):
    for path in PATHS:
        for form in (path, path.removesuffix("/")):
            answer = await shared_service.client.options(form)
            assert answer.status_code == 204, form
            assert set(answer.headers["Allow"].split(", ")) == ALLOWED[path], form


@pytest.mark.parametrize(
    "path", ["/api/user/profile/", "/api/user/sessions/", "/health/live", "/health/ready"]
)
async def test_head_answers_as_get_does_without_the_body(shared_service, path):
    headers = await credentials(shared_service, path)
    get = await shared_service.client.get(path, headers=headers)
    head = await shared_service.client.head(path, headers=headers)
    assert (get.status_code, head.status_code) == (200, 200)
    assert head.content == b""
    for name in ("Content-Type", "Content-Length", "Cache-Control"):
        assert head.headers[name] == get.headers[name]


# Paths


async def test_every_path_answers_alike_with_and_without_the_trailing_slash(shared_service):
    for path in PATHS:
        for method in ("GET", "POST"):
            with_slash = await shared_service.client.request(method, path)
            without = await shared_service.client.request(method, path.removesuffix("/"))
            assert 400 <= with_slash.status_code < 500
            assert (without.status_code, without.json()) == (with_slash.status_code, with_slash.json())


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api",
        "/api/",
        "/api/auth/",
        "/api/auth/registers/",
        "/api/auth/register/1/",
        "/api/user/profile/2/",
        "/api/user/2/",
        "/API/AUTH/LOGIN/",
        "/api/auth/login/%00",
        "/api/auth/login/%ff",
        "/api/auth/login/..%2f..%2f",
        "/api/auth/login.json",
        "/admin/",
        "/health",
    ],
)
async def test_an_unknown_path_is_not_found(shared_service, path):
    for method in ("GET", "POST", "PUT", "DELETE"):
        answer = await shared_service.client.request(method, path)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


async def test_openapi_lists_the_paths_with_the_trailing_slash(shared_service):
    answer = await shared_service.get("/api/schema/openapi.json")
    assert answer.status_code == 200
    paths = {path for path in answer.json()["paths"] if not path.startswith("/api/admin/")}
    assert paths == {*PATHS, "/.well-known/jwks.json", "/health/live", "/health/ready"}


# Credentials where none are asked for


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer stale", "Bearer a b", "Bearer e30.e30.e30", "Basic am9obg=="]
)
async def test_bad_credentials_on_a_public_path_are_ignored(shared_service, authorization):
    for path in PUBLIC:
        answer = await shared_service.client.post(path, json={}, headers={"Authorization": authorization})
        assert (answer.status_code, answer.json()) == (400, {field: [REQUIRED] for field in BODIES[path]})


async def test_stale_credentials_do_not_hinder_a_login(shared_service):
    stale = (await shared_service.log_in()).refresh
    for access in (stale, "stale"):
        answer = await shared_service.post(
            "/api/auth/login/", {"username": "john_doe", "password": "yourpassword123"}, access=access
        )
        assert answer.status_code == 200


@pytest.mark.parametrize(
    ("origin", "site", "status"),
    [
        ("https://evil.example", "cross-site", 415),
        ("null", "cross-site", 415),
        (None, "cross-site", 415),
        ("http://localhost:3000", "cross-site", 401),
        ("https://evil.example", "same-site", 401),
        ("https://evil.example", None, 401),
        (None, None, 401),
    ],
)
async def test_a_form_of_a_stranger_s_page_is_refused_so_that_it_guesses_nothing_at_its_visitor_s_expense(
    service, origin, site, status
):
    headers = {"Origin": origin, "Sec-Fetch-Site": site}
    answer = await service.client.post(
        "/api/auth/login/",
        data={"username": "nobody", "password": "wrong password"},
        headers={name: text for name, text in headers.items() if text},
    )
    assert answer.status_code == status
