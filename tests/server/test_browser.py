"""The refresh cookie between a real server and a client that keeps cookies as a browser does."""

from __future__ import annotations

import httpx
import pytest

PAGE = "http://localhost:3000"
CREDENTIALS = {"username": "john", "password": "yourpassword123"}


@pytest.fixture
def server(serve):
    server = serve(refresh_cookie="true", refresh_cookie_insecure="true", cors_origins=PAGE)
    server.register("john")
    return server


@pytest.fixture
def browser(server):
    with httpx.Client(base_url=server.url, headers={"Origin": PAGE}, trust_env=False, timeout=20) as browser:
        yield browser


def test_a_browser_logs_in_goes_on_and_logs_out_without_ever_seeing_the_refresh_token(browser):
    answer = browser.post("/api/auth/login/", json=CREDENTIALS)
    assert list(answer.json()) == ["access"]
    tokens = [browser.cookies["refresh"]]
    for _ in range(3):
        answer = browser.post("/api/auth/token/refresh/", json={})
        assert list(answer.json()) == ["access"]
        tokens.append(browser.cookies["refresh"])
    assert len(set(tokens)) == 4
    bearer = {"Authorization": f"Bearer {answer.json()['access']}"}
    assert browser.get("/api/user/profile/", headers=bearer).json()["username"] == "john"
    assert browser.post("/api/auth/logout/", json={}).json() == {}
    assert "refresh" not in browser.cookies
    assert browser.get("/api/user/profile/", headers=bearer).status_code == 401
    assert browser.post("/api/auth/token/refresh/", json={}).status_code == 401


def test_a_refused_request_leaves_the_connection_and_the_session_in_order(browser):
    browser.post("/api/auth/login/", json=CREDENTIALS)
    for _ in range(3):
        answer = browser.post("/api/auth/logout/", json={"x": "y" * 9000}, headers={"Origin": "null"})
        assert (answer.status_code, answer.json()["code"]) == (403, "origin_not_allowed")
        assert browser.post("/api/auth/logout/", data={"x": "y"}).status_code == 415
        assert browser.post("/api/auth/token/refresh/", json={}).status_code == 200


def test_two_origins_on_the_wire_are_refused(server, browser):
    twice = [("Origin", PAGE), ("Origin", "http://evil.example")]
    with httpx.Client(trust_env=False, timeout=20) as client:
        answer = client.post(browser.base_url.join("/api/auth/login/"), json=CREDENTIALS, headers=twice)
    assert answer.status_code == 403
