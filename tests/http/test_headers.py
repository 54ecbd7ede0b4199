"""What every answer carries, and what the answers are when it is not the client's fault."""

from __future__ import annotations

import logging
import re
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from identity.adapters.memory import PlainHasher
from identity.domain.errors import Conflict, Unavailable

# What is tried here does not get to the storage, or is the same on every one.
pytestmark = pytest.mark.parametrize("storage", ["memory"], indirect=True, scope="session")

REGISTRATION = {"username": "john_doe", "email": "john@example.com", "password": "yourpassword123"}
LOGIN = {"username": "john_doe", "password": "yourpassword123"}


class FailingHasher(PlainHasher):
    """Fails in whatever way it is told to."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    async def hash(self, password):
        raise self.error

    async def verify(self, password, password_hash):
        raise self.error


class FailingStorage:
    """Cannot begin."""

    def __init__(self, error):
        self.error = error

    @asynccontextmanager
    async def __call__(self):
        raise self.error
        yield


def carries_what_every_answer_carries(answer):
    headers = answer.headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert re.fullmatch(r"[\w-]{8,64}", headers["X-Request-ID"])
    for telling in ("Server", "X-Powered-By", "Via"):
        assert telling not in headers
    assert not re.search(r"litestar|uvicorn|python", str(headers), re.IGNORECASE)
    return True


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/health/live", None, 200),
        ("GET", "/health/ready", None, 200),
        ("POST", "/api/auth/login/", LOGIN, 200),
        ("OPTIONS", "/api/auth/login/", None, 204),
        ("HEAD", "/health/live", None, 200),
        ("POST", "/api/auth/register/", {}, 400),
        ("POST", "/api/auth/login/", [], 400),
        ("POST", "/api/auth/reset-password/", {"uidb64": "MQ", "token": "x", "password": "x"}, 400),
        ("GET", "/api/user/profile/", None, 401),
        ("POST", "/api/auth/login/", {**LOGIN, "password": "wrong"}, 401),
        ("GET", "/api/nowhere/", None, 404),
        ("GET", "/", None, 404),
        ("GET", "/api/auth/login/", None, 405),
        ("POST", "/api/auth/login/", {"padding": "x" * 20_000}, 413),
    ],
)
async def test_every_answer_carries_the_same_protection(shared_service, method, path, body, status):
    answer = await shared_service.client.request(method, path, json=body)
    assert answer.status_code == status
    assert carries_what_every_answer_carries(answer)


async def test_the_answer_to_an_unsupported_media_type_carries_it_too(shared_service):
    answer = await shared_service.client.post("/api/auth/login/", content=b"{}")
    assert answer.status_code == 415
    assert carries_what_every_answer_carries(answer)


async def test_the_answer_to_a_registration_carries_it_too(service):
    answer = await service.post("/api/auth/register/", REGISTRATION)
    assert answer.status_code == 201
    assert carries_what_every_answer_carries(answer)


async def test_the_answer_to_a_preflight_carries_it_too(shared_service):
    for origin in ("http://localhost:3000", "http://evil.example"):
        answer = await shared_service.client.options(
            "/api/auth/login/", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
        )
        assert carries_what_every_answer_carries(answer)


async def test_every_request_has_an_id_of_its_own_which_the_client_does_not_choose(shared_service):
    ids = set()
    for _ in range(5):
        answer = await shared_service.client.get("/health/live", headers={"X-Request-ID": "chosen-by-client"})
        ids.add(answer.headers["X-Request-ID"])
    assert len(ids) == 5
    assert "chosen-by-client" not in ids


# Our fault


@pytest.mark.parametrize("path", ["/api/auth/register/", "/api/auth/login/"])
async def test_a_failure_tells_the_client_nothing_but_a_number_to_ask_about(start, caplog, path):
    error = RuntimeError("canary: connection string of the database")
    service = await start(overrides={"hasher": FailingHasher(error)})
    with caplog.at_level(logging.ERROR):
        answer = await service.post(path, REGISTRATION)
    request_id = answer.headers["X-Request-ID"]
    assert (answer.status_code, answer.json()) == (
        500,
        {"detail": "Internal server error.", "code": "internal_error", "request_id": request_id},
    )
    assert answer.headers["Content-Type"] == "application/json"
    assert "canary" not in answer.text + str(answer.headers)
    assert carries_what_every_answer_carries(answer)
    assert request_id in caplog.text
    assert "canary" in caplog.text
    assert "yourpassword123" not in caplog.text


async def test_after_a_failure_nothing_is_half_done(start):
    service = await start(overrides={"hasher": FailingHasher(RuntimeError("canary"))})
    await service.post("/api/auth/register/", REGISTRATION)
    assert not service.has_mail_waiting()
    answer = await service.post("/api/auth/register/", REGISTRATION)
    assert answer.status_code == 500  # not 400, taken


async def test_an_allowed_origin_may_read_a_failure(start):
    service = await start(overrides={"hasher": FailingHasher(RuntimeError("canary"))})
    answer = await service.client.post(
        "/api/auth/login/", json=LOGIN, headers={"Origin": "http://localhost:3000"}
    )
    assert answer.status_code == 500
    assert answer.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"


# Not now


@pytest.mark.parametrize(
    ("error", "retry_after"),
    [
        (Unavailable("canary: 12 passwords wait", retry_after=timedelta(seconds=2)), "2"),
        (Unavailable("canary: 12 passwords wait", retry_after=timedelta(milliseconds=1200)), "2"),
        (Unavailable("canary: 12 passwords wait", retry_after=timedelta(0)), "1"),
        (Conflict("canary: lost four races"), "1"),
    ],
    ids=["2 s", "1.2 s", "0 s", "conflict"],
)
async def test_when_there_is_no_room_to_hash_the_client_is_told_when_to_come_again(start, error, retry_after):
    service = await start(overrides={"hasher": FailingHasher(error)})
    for path in ("/api/auth/register/", "/api/auth/login/"):
        answer = await service.post(path, REGISTRATION)
        assert answer.status_code == 503
        assert list(answer.json()) == ["detail"]
        assert answer.headers["Retry-After"] == retry_after
        assert "canary" not in answer.text + str(answer.headers)
        assert carries_what_every_answer_carries(answer)


async def test_without_the_storage_every_path_asks_to_come_again(start):
    access, refresh = await working_tokens(await start())
    down = FailingStorage(Unavailable("canary: database is locked"))
    service = await start(overrides={"read": down, "begin": down})
    for path, body in {
        "/api/auth/register/": REGISTRATION,
        "/api/auth/login/": LOGIN,
        "/api/auth/token/refresh/": {"refresh": refresh},
        "/api/auth/token/verify/": {"token": access},
        "/api/auth/logout/": {"refresh": refresh},
        "/api/user/profile/": None,
        "/api/user/change-password/": {
            "old_password": "yourpassword123",
            "new_password": "newpassword123",
        },
        "/api/auth/verify-email/": {"uidb64": "MQ", "token": "x"},
        "/api/auth/resend-verification/": {"email": "john@example.com"},
        "/api/auth/forgot-password/": {"email": "john@example.com"},
        "/api/auth/reset-password/": {"uidb64": "MQ", "token": "x", "password": "newpassword123"},
    }.items():
        answer = await (service.post(path, body, access=access) if body else service.get(path, access=access))
        assert answer.status_code == 503, path
        assert list(answer.json()) == ["detail"]
        assert answer.headers["Retry-After"] == "5"
        assert "canary" not in answer.text
        assert carries_what_every_answer_carries(answer)
    answer = await service.get("/health/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "database")
    assert carries_what_every_answer_carries(answer)


async def working_tokens(service):
    await service.register()
    return await service.log_in()
