"""The whole flow, as a person and a front end go through it: every answer, and the mail that arrives."""

from __future__ import annotations

import html
import re
import sqlite3
import time
from contextlib import closing

import jwt
import pytest
from tests.databases import KINDS, execute
from tests.server.commands import AS_EVER
from tests.server.service import PASSWORD, eventually

pytestmark = pytest.mark.parametrize("kind", KINDS, scope="module")

JOHN = {"username": "john_doe", "email": "john@example.com", "password": "yourpassword123"}
TIME = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def linked(mail, page):
    """What the one link of a mail, which is to this page, carries."""
    text, markup = mail.iter_parts()
    (link,) = set(re.findall(r"https://app\.example/\S+", text.get_content()))
    assert set(re.findall(r'href="([^"]+)"', html.unescape(markup.get_content()))) == {link}
    found = re.fullmatch(rf"https://app\.example/{page}/([\w-]+)/([\w-]+)", link)
    assert found
    return {"uidb64": found[1], "token": found[2]}


def test_an_account_goes_from_registration_to_logout(serve, smtp, new_database):
    server = serve(mail_url=smtp.url, frontend_url="https://app.example", **AS_EVER, **new_database())

    def post(path, body, access=None):
        answer = server.post(path, body, access=access)
        return answer.status_code, answer.json()

    assert post("/api/auth/register/", JOHN) == (201, {"message": "User created successfully"})

    by_name = {"username": "john_doe", "password": JOHN["password"]}
    status, tokens = post("/api/auth/login/", by_name)
    assert (status, sorted(tokens)) == (200, ["access", "refresh"])
    by_address = {"username": "JOHN@Example.COM", "password": JOHN["password"]}
    status, tokens = post("/api/auth/login/", by_address)
    assert (status, sorted(tokens)) == (200, ["access", "refresh"])

    answer = server.get("/api/user/profile/", access=tokens["access"])
    profile = answer.json()
    assert answer.status_code == 200
    assert (profile["id"], profile["username"], profile["email"]) == (1, "john_doe", "john@example.com")
    assert TIME.fullmatch(profile["date_joined"])
    assert profile["last_updated"] == profile["date_joined"]

    status, refreshed = post("/api/auth/token/refresh/", {"refresh": tokens["refresh"]})
    assert (status, sorted(refreshed)) == (200, ["access", "refresh"])
    assert refreshed["refresh"] != tokens["refresh"]

    time.sleep(1.1)  # the times of a profile are whole seconds
    change = {"old_password": "yourpassword123", "new_password": "yournewpassword123"}
    changed = (200, {"message": "Password changed successfully"})
    assert post("/api/user/change-password/", change, refreshed["access"]) == changed
    assert "password" in smtp.arrives("john", "changed")["Subject"]
    later = server.get("/api/user/profile/", access=refreshed["access"]).json()
    assert TIME.fullmatch(later["last_updated"])
    assert later["last_updated"] > profile["last_updated"]
    assert later == {**profile, "last_updated": later["last_updated"]}

    asked = (200, {"message": "Password reset instructions sent to your email"})
    assert post("/api/auth/forgot-password/", {"email": "John@example.com"}) == asked
    reset = {**linked(smtp.arrives("john", "Reset"), "reset-password"), "password": "newpassword123"}

    assert post("/api/auth/reset-password/", reset) == (
        200,
        {"message": "Password has been reset successfully"},
    )
    refused = (401, {"detail": "No active account found with the given credentials"})
    for password in ("yourpassword123", "yournewpassword123"):
        assert post("/api/auth/login/", {"username": "john_doe", "password": password}) == refused
    status, tokens = post("/api/auth/login/", {"username": "john_doe", "password": "newpassword123"})
    assert status == 200

    assert post("/api/auth/reset-password/", reset) == (400, {"error": "Invalid or expired token."})

    assert post("/api/auth/logout/", {"refresh": tokens["refresh"]}) == (200, {})
    assert post("/api/auth/token/refresh/", {"refresh": tokens["refresh"]}) == (
        401,
        {"detail": "Token is blacklisted", "code": "token_not_valid"},
    )
    assert server.get("/api/user/profile/", access=tokens["access"]).status_code == 401
    assert jwt.get_unverified_header(tokens["access"])["alg"] == "ES256"
    assert server.stop() == 0
    assert len(smtp.to("john", "Reset")) == 1
    assert len(smtp.to("john", "changed")) == 2
    assert " ERROR " not in server.text


def test_an_address_is_verified_before_anybody_logs_in(serve, smtp, new_database):
    server = serve(mail_url=smtp.url, email_verification="required", **new_database())

    def post(path, body):
        answer = server.post(path, body)
        return answer.status_code, answer.json()

    opened = (201, {"message": "User created successfully"})
    refused = (401, {"detail": "No active account found with the given credentials"})
    john = {"username": "john_doe", "password": JOHN["password"]}
    assert post("/api/auth/register/", JOHN) == opened
    first = smtp.arrives("john", "Confirm").get_body(("plain",)).get_content()
    assert post("/api/auth/login/", john) == refused
    eventually(lambda: len(smtp.to("john", "Confirm")) == 2)  # the fresh link

    found = re.search(r"http://localhost:3000/verify-email/([\w-]+)/([\w-]+)", first)
    assert found
    link = {"uidb64": found[1], "token": found[2]}
    assert post("/api/auth/verify-email/", link) == (200, {"message": "Email verified successfully"})
    assert post("/api/auth/verify-email/", link) == (400, {"error": "Invalid or expired token."})
    status, tokens = post("/api/auth/login/", john)
    assert status == 200
    assert server.get("/api/user/profile/", access=tokens["access"]).json()["email_verified"] is True

    assert post("/api/auth/register/", JOHN | {"username": "johnny"}) == opened
    assert "john_doe" in smtp.arrives("john", "already").get_body(("plain",)).get_content()
    taken = (400, {"username": ["A user with that username already exists."]})
    new = {"username": "johnny", "email": "new@example.com", "password": JOHN["password"]}
    assert post("/api/auth/register/", new) == taken


def test_an_address_is_changed_and_taken_back(serve, smtp):
    server = serve(mail_url=smtp.url, frontend_url="https://app.example")
    old, new = "john@example.com", "johnny@example.com"

    def post(path, body, access=None):
        answer = server.post(path, body, access=access)
        return answer.status_code, answer.json()

    def names(access):
        profile = server.get("/api/user/profile/", access=access).json()
        return profile["username"], profile["email"]

    opened = (201, {"message": "User created successfully"})
    assert post("/api/auth/register/", {**JOHN, "username": old}) == opened
    first = server.log_in(old)
    asked = (200, {"message": "Confirmation instructions sent to your new email"})
    change = {"new_email": new, "password": PASSWORD}
    assert post("/api/user/change-email/", change, first["access"]) == asked
    confirmation = linked(smtp.arrives("johnny", "Confirm"), "confirm-email")
    assert names(first["access"]) == (old, old)

    changed = (200, {"message": "Email changed successfully"})
    assert post("/api/auth/confirm-email-change/", confirmation) == changed
    smtp.arrives("johnny", "address now")
    undo = linked(smtp.arrives("john", "was changed"), "undo-email-change")
    second = server.log_in(new)
    assert names(first["access"]) == names(second["access"]) == (new, new)
    assert not server.can_log_in(old)

    assert post("/api/auth/undo-email-change/", undo) == (200, {"message": "Email change undone"})
    for session in (first, second):
        assert server.get("/api/user/profile/", access=session["access"]).status_code == 401
        assert post("/api/auth/token/refresh/", {"refresh": session["refresh"]})[0] == 401
    assert names(server.log_in(old)["access"]) == (old, old)
    assert not server.can_log_in(new)
    for path, link in (("confirm", confirmation), ("undo", undo)):
        refused = (400, {"error": "Invalid or expired token."})
        assert post(f"/api/auth/{path}-email-change/", link) == refused
    smtp.arrives("john", "was restored")
    assert server.stop() == 0
    assert [len(smtp.to(name)) for name in ("john", "johnny")] == [2, 2]
    assert " ERROR " not in server.text


def test_a_mailed_code_logs_in_once(serve, smtp):
    server = serve(mail_url=smtp.url, login_code="true")
    server.register("john")

    def post(path, body):
        answer = server.post(path, body)
        return answer.status_code, answer.json()

    status, asked = post("/api/auth/login-code/", {"email": "John@example.com"})
    assert (status, sorted(asked)) == (200, ["message", "request"])
    assert asked["message"] == "Login code sent to your email"
    text, markup = (part.get_content() for part in smtp.arrives("john", "sign-in code").iter_parts())
    (code,) = re.findall(r"^ +(\d{4} \d{4})\s", text, re.MULTILINE)
    assert re.findall(r">(\d{4})</span>", markup) == code.split()
    right = {"request": asked["request"], "code": code.replace(" ", "")}
    wrong = {**right, "code": f"{(int(right['code']) + 1) % 10**8:08}"}

    refused = post("/api/auth/login/", {"username": "john", "password": "not his password"})
    assert refused == (401, {"detail": "No active account found with the given credentials"})
    assert post("/api/auth/login-code/confirm/", wrong) == refused
    status, tokens = post("/api/auth/login-code/confirm/", right)
    assert (status, sorted(tokens)) == (200, ["access", "refresh"])
    profile = server.get("/api/user/profile/", access=tokens["access"]).json()
    assert (profile["username"], profile["email_verified"]) == ("john", True)
    assert post("/api/auth/login-code/confirm/", right) == refused
    assert server.stop() == 0
    assert " ERROR " not in server.text


def test_an_account_is_deleted_kept_after_all_and_deleted_for_good(serve, commands, smtp, kind):
    server = serve(mail_url=smtp.url, frontend_url="https://app.example")
    server.register("john")
    server.register("mary")
    ((mary,),) = server.rows("SELECT id FROM users WHERE username = ?", "mary")

    def deletes():
        access = server.log_in("john")["access"]
        exported = server.get("/api/user/export/", access=access)
        assert exported.json()["profile"]["email"] == "john@example.com"
        answer = server.post("/api/user/delete/", {"password": PASSWORD}, access=access)
        assert (answer.status_code, sorted(answer.json())) == (200, ["erased_after", "message"])
        assert not server.can_log_in("john")

    deletes()
    undo = linked(smtp.arrives("john", "will be deleted"), "undo-deletion")
    undone = server.post("/api/auth/undo-deletion/", undo)
    assert (undone.status_code, undone.json()) == (200, {"message": "Account deletion undone successfully"})
    assert "stays" in smtp.arrives("john", "stays")["Subject"]
    assert server.post("/api/auth/undo-deletion/", undo).json() == {"error": "Invalid or expired token."}

    deletes()
    weeks_pass = "UPDATE users SET erasure_due_at = joined_at WHERE username = 'john'"
    if kind == "sqlite":
        with closing(sqlite3.connect(server.database, isolation_level=None)) as connection:
            connection.execute(weeks_pass)
    else:
        execute(kind, server.database_url, weeks_pass)
    assert "1 accounts" in commands.run("purge").text
    assert server.rows("SELECT username FROM users") == [("mary",)]
    assert server.post("/api/auth/undo-deletion/", undo).status_code == 400
    server.register("john")
    assert server.rows("SELECT id FROM users WHERE username = ?", "john") == [(mary + 1,)]
    assert server.stop() == 0
    assert " ERROR " not in server.text
