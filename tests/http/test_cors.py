"""Which pages of other origins may call the API."""

from __future__ import annotations

import pytest

# What is tried here does not get to the storage, or is the same on every one.
pytestmark = pytest.mark.parametrize("storage", ["memory"], indirect=True, scope="session")

ALLOWED = ["http://localhost:3000", "http://localhost:5173"]
FOREIGN = [
    "null",
    "http://evil.example",
    "http://localhost",
    "https://localhost:3000",
    "http://localhost:30000",
    "http://localhost:3000.evil.example",
    "http://evil.example#http://localhost:3000",
    "http://evil.example/http://localhost:3000",
    "http://sub.localhost:3000",
    "http://LOCALHOST:3000",
    "http://localhost:3000/",
    "http://localhost:3000 http://evil.example",
    "*",
    "",
]
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type",
}


@pytest.mark.parametrize("origin", ALLOWED)
@pytest.mark.parametrize(
    "path",
    [
        "/api/auth/login/",
        "/api/user/profile/",
        "/api/user/change-password",
        "/api/user/sessions/0123456789abcdef0123456789abcdef/",
    ],
)
async def test_a_preflight_of_an_allowed_origin_is_granted(shared_service, path, origin):
    answer = await shared_service.client.options(path, headers={"Origin": origin, **PREFLIGHT})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert answer.headers["Vary"] == "Origin"
    methods = set(answer.headers["Access-Control-Allow-Methods"].split(", "))
    known = {"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS"}
    assert {"GET", "POST", "PATCH", "DELETE"} <= methods <= known
    headers = {name.lower() for name in answer.headers["Access-Control-Allow-Headers"].split(", ")}
    assert {"authorization", "content-type"} <= headers
    assert "*" not in headers
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/auth/login/", 200),
        ("POST", "/api/auth/register/", 400),
        ("GET", "/api/user/profile/", 401),
        ("GET", "/api/nowhere/", 404),
        ("GET", "/api/auth/login/", 405),
        ("DELETE", "/api/user/sessions/0123456789abcdef0123456789abcdef/", 401),
        ("DELETE", "/api/user/profile/", 401),
        ("PATCH", "/api/user/profile/", 401),
    ],
)
async def test_an_allowed_origin_may_read_every_answer_and_its_exposed_headers(
    shared_service, method, path, status
):
    answer = await shared_service.client.request(
        method,
        path,
        json={"username": "john_doe", "password": "yourpassword123"} if method == "POST" else None,
        headers={"Origin": ALLOWED[0]},
    )
    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED[0]
    assert answer.headers["Vary"] == "Origin"
    assert set(answer.headers["Access-Control-Expose-Headers"].split(", ")) == {"Retry-After", "X-Request-ID"}
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", FOREIGN)
async def test_another_origin_is_neither_granted_nor_reflected(shared_service, origin):
    for answer in (
        await shared_service.client.options("/api/auth/login/", headers={"Origin": origin, **PREFLIGHT}),
        await shared_service.client.post("/api/auth/login/", json={}, headers={"Origin": origin}),
        await shared_service.client.get("/api/user/profile/", headers={"Origin": origin}),
        await shared_service.client.get("/api/nowhere/", headers={"Origin": origin}),
    ):
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "evil" not in str(answer.headers) + answer.text


async def test_a_preflight_of_another_origin_is_refused(shared_service):
    answer = await shared_service.client.options(
        "/api/auth/login/", headers={"Origin": "http://evil.example", **PREFLIGHT}
    )
    assert_refused(answer)
    assert not [name for name in answer.headers if name.lower().startswith("access-control-allow-origin")]


@pytest.mark.parametrize(
    "asks",
    [
        {"Access-Control-Request-Method": "canary-9fK2"},
        {"Access-Control-Request-Headers": "canary-9fK2"},
        {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-canary-9fK2"},
    ],
    ids=["method", "header", "both"],
)
async def test_a_preflight_for_what_no_page_may_send_is_refused_without_repeating_it(shared_service, asks):
    for path in ("/api/auth/login/", "/api/nowhere/"):
        answer = await shared_service.client.options(
            path, headers={"Origin": ALLOWED[0], **PREFLIGHT, **asks}
        )
        assert_refused(answer)


def assert_refused(preflight):
    assert (preflight.status_code, preflight.json()) == (400, {"detail": "Cross-origin request not allowed."})
    assert preflight.headers["Content-Type"] == "application/json"
    assert preflight.headers["Content-Length"] == str(len(preflight.content))
    assert "canary" not in str(preflight.headers)


async def test_a_page_of_an_allowed_origin_ends_a_session_and_one_of_another_is_not_let_ask(
    shared_service,
):
    access, _ = await shared_service.log_in()
    headers = {"Authorization": f"Bearer {access}", "Origin": ALLOWED[0]}
    answer = await shared_service.client.get("/api/user/sessions/", headers=headers)
    (session_id,) = [each["id"] for each in answer.json() if each["is_current"]]
    path = f"/api/user/sessions/{session_id}/"
    asks = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization"}
    refused = await shared_service.client.options(path, headers={"Origin": "http://evil.example", **asks})
    assert refused.status_code == 400
    granted = await shared_service.client.options(path, headers={"Origin": ALLOWED[0], **asks})
    assert granted.status_code == 204
    ended = await shared_service.client.delete(path, headers=headers)
    assert (ended.status_code, ended.json()) == (200, {})
    assert ended.headers["Access-Control-Allow-Origin"] == ALLOWED[0]


async def test_the_developer_of_a_refused_page_finds_its_origin_in_the_log_once(start, caplog):
    service = await start()
    for origin in ("http://127.0.0.1:3000", ALLOWED[0], "http://127.0.0.1:3000", "x\x1b[2J\u2028y" * 50):
        headers = {"Origin": origin.encode(), **PREFLIGHT}
        await service.client.options("/api/auth/login/", headers=headers)
        await service.client.post("/api/auth/login/", json={}, headers={"Origin": origin.encode()})
    told = [
        record.getMessage() for record in caplog.records if "IDENTITY_CORS_ORIGINS" in record.getMessage()
    ]
    assert "'http://127.0.0.1:3000'" in told[0]
    assert len(told) == 2
    assert told[1].isprintable()
    assert len(told[1]) < 200


@pytest.mark.parametrize("header", ["X-CSRFToken", "X-Requested-With", "Accept, X-Requested-With"])
async def test_headers_that_apps_of_django_backends_send_are_allowed(shared_service, header):
    asks = {**PREFLIGHT, "Access-Control-Request-Headers": header}
    answer = await shared_service.client.options("/api/auth/login/", headers={"Origin": ALLOWED[0], **asks})
    assert answer.status_code == 204


@pytest.mark.parametrize(
    ("asks", "found"),
    [
        ({"Access-Control-Request-Headers": "X-Tenant, content-type, X-Trace"}, "'x-tenant, x-trace'"),
        ({"Access-Control-Request-Headers": "x\x1b[2J\u2028y" * 50}, "x\\x1b[2j"),
        ({"Access-Control-Request-Method": "PUT"}, "'PUT'"),
    ],
)
async def test_the_developer_of_an_allowed_page_finds_what_is_not_allowed_in_the_log(
    start, caplog, asks, found
):
    service = await start()
    headers = {"Origin": ALLOWED[0], **PREFLIGHT, **asks}
    headers = {name: value.encode() for name, value in headers.items()}
    for _ in range(2):
        assert (await service.client.options("/api/auth/login/", headers=headers)).status_code == 400
    (told,) = [each.getMessage() for each in caplog.records if "was refused" in each.getMessage()]
    assert f"'{ALLOWED[0]}'" in told
    assert found in told
    assert "IDENTITY_CORS_ORIGINS" not in told
    assert told.isprintable()
    assert len(told) < 300


async def test_made_up_origins_do_not_fill_the_log(start, caplog):
    service = await start()
    for number in range(50):
        headers = {"Origin": f"http://{number}.example", **PREFLIGHT}
        await service.client.options("/api/auth/login/", headers=headers)
    assert len([record for record in caplog.records if "IDENTITY_CORS_ORIGINS" in record.getMessage()]) == 20


async def test_the_origins_are_a_setting(start):
    service = await start(cors_origins=("https://app.example",))
    for origin, allowed in (("https://app.example", True), (ALLOWED[0], False)):
        answer = await service.client.get("/health/live", headers={"Origin": origin})
        assert ("Access-Control-Allow-Origin" in answer.headers) is allowed


async def test_without_any_origin_in_the_setting_none_is_granted(start):
    service = await start(cors_origins=())
    for origin in (*ALLOWED, "null", "http://evil.example"):
        answer = await service.client.get("/health/live", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in answer.headers
