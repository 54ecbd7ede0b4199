"""POST /api/user/delete/ and /api/auth/undo-deletion/"""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from tests.http.conftest import Link

from identity.domain.secrets import Secret

DELETE, UNDO = "/api/user/delete/", "/api/auth/undo-deletion/"
PASSWORD = "yourpassword123"
GRACE = timedelta(days=14)

SCHEDULED = {"message": "Account scheduled for deletion", "erased_after": "2026-01-15T12:00:00Z"}
UNDONE = (200, {"message": "Account deletion undone successfully"})
INCORRECT = (400, {"error": "Incorrect password"})
LAST_SUPERUSER = (400, {"error": "The last superuser cannot be deleted."})
BAD_LINK = (400, {"error": "Invalid or expired token."})
NO_ACCOUNT = (401, {"detail": "No active account found with the given credentials"})
REQUIRED = "This field is required."


@pytest.fixture
async def john(service):
    await service.register()
    return await service.log_in()


async def delete(service, access, password=PASSWORD):
    answer = await service.post(DELETE, {"password": password}, access=access)
    return answer.status_code, answer.json()


async def undo(service, link):
    answer = await service.post(UNDO, link._asdict())
    return answer.status_code, answer.json()


async def undo_link(service):
    [link] = [
        found
        for mail in await service.deliver()
        for found in re.findall(r"http://localhost:3000/undo-deletion/([\w-]+)/([\w-]+)", mail.text)
    ]
    return Link(*link)


def erase(service):
    return service.in_the_app(service.container.purge_expired()).accounts


@pytest.mark.parametrize("path", [DELETE, DELETE.rstrip("/")])
async def test_a_deleted_account_is_refused_on_every_path_as_a_disabled_one_is(service, john, path):
    other = await service.log_in()
    reset = await service.reset_link()
    answer = await service.post(path, {"password": PASSWORD}, access=john.access)
    assert (answer.status_code, answer.json()) == (200, SCHEDULED)
    for tokens in (john, other):
        for method, protected in [
            ("GET", "/api/user/profile/"),
            ("GET", "/api/user/sessions/"),
            ("GET", "/api/user/export/"),
            ("POST", "/api/user/change-password/"),
            ("POST", DELETE),
            ("POST", "/api/auth/logout-all/"),
        ]:
            refused = await service.client.request(
                method, protected, headers={"Authorization": f"Bearer {tokens.access}"}, json={}
            )
            assert (refused.status_code, refused.json()["code"]) == (401, "token_not_valid")
        assert (await service.refresh(tokens.refresh)).json()["detail"] == "Token is blacklisted"
        verified = await service.post("/api/auth/token/verify/", {"token": tokens.access})
        assert verified.status_code == 401
    for name in ("john_doe", "john@example.com"):
        refused = await service.post("/api/auth/login/", {"username": name, "password": PASSWORD})
        assert (refused.status_code, refused.json()) == NO_ACCOUNT
    assert (await service.reset(reset)).json() == BAD_LINK[1]
    await service.deliver()
    assert (await service.forgot()).status_code == 200
    assert await service.deliver() == []
    taken = {"username": "john_doe", "email": "john@example.com", "password": PASSWORD}
    assert set((await service.post("/api/auth/register/", taken)).json()) == {"username", "email"}


async def test_a_mailed_link_opens_it_again_and_works_once(service, john):
    await delete(service, john.access)
    link = await undo_link(service)
    assert not await service.can_log_in()
    assert await undo(service, link) == UNDONE
    assert await service.can_log_in()
    assert (await service.profile(john.access)).status_code == 401
    assert await undo(service, link) == BAD_LINK
    [notice] = await service.deliver()
    assert notice.subject == "Your Identity account stays"
    service.clock.advance(GRACE)
    assert erase(service) == 0


async def test_opening_the_link_changes_nothing(service, john):
    await delete(service, john.access)
    link = await undo_link(service)
    for path in (UNDO, f"{UNDO}{link.uidb64}/{link.token}/"):
        assert (await service.client.get(path)).status_code in {404, 405}
    assert await undo(service, link) == UNDONE


async def test_after_the_grace_it_is_erased_and_nothing_brings_it_back(service, john):
    user_id = service.user().id
    await delete(service, john.access)
    link = await undo_link(service)
    service.clock.advance(GRACE - timedelta(seconds=1))
    assert erase(service) == 0
    service.clock.advance(timedelta(seconds=1))
    assert erase(service) == 1
    assert await undo(service, link) == BAD_LINK
    assert not await service.can_log_in()
    assert (await service.refresh(john.refresh)).status_code == 401
    await service.register()
    assert service.user().id > user_id
    assert (await service.profile(john.access)).status_code == 401


async def test_a_wrong_password_is_refused_and_counted_as_one_of_a_change_is(start):
    service = await start(is_throttled=True)
    await service.register()
    access, _ = await service.log_in()
    for _ in range(3):
        assert await delete(service, access, "another password") == INCORRECT
    for _ in range(2):
        body = {"old_password": "another password", "new_password": "yournewpassword123"}
        assert (await service.post("/api/user/change-password/", body, access=access)).status_code == 400
    refused = await service.post(DELETE, {"password": PASSWORD}, access=access)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
    service.clock.advance(timedelta(seconds=1))
    assert (await delete(service, access))[0] == 200


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"password": [REQUIRED]}),
        ({"password": ""}, {"password": ["This field may not be blank."]}),
        ({"password": None}, {"password": ["This field may not be null."]}),
        ({"password": []}, {"password": ["Not a valid string."]}),
    ],
)
async def test_without_a_password_nothing_is_deleted(service, john, body, fields):
    answer = await service.post(DELETE, body, access=john.access)
    assert (answer.status_code, answer.json()) == (400, fields)
    assert (await service.profile(john.access)).status_code == 200


async def test_without_both_parts_of_a_link_nothing_is_undone(service):
    answer = await service.post(UNDO, {})
    assert (answer.status_code, answer.json()) == (400, {"uidb64": [REQUIRED], "token": [REQUIRED]})
    assert await undo(service, Link("MQ", "x")) == BAD_LINK
    assert await undo(service, Link("x", "x")) == BAD_LINK


async def test_the_last_superuser_is_refused(service, john):
    async def create():
        await service.container.register_user()(
            username="root", email="root@example.com", password=Secret(PASSWORD), superuser=True
        )

    service.in_the_app(create)
    root = await service.log_in("root")
    assert await delete(service, root.access, "another password") == INCORRECT
    assert await delete(service, root.access) == LAST_SUPERUSER
    assert (await service.profile(root.access)).status_code == 200
    assert (await delete(service, john.access))[0] == 200


async def test_the_grace_is_a_setting(reused):
    service = await reused(erasure_grace=timedelta(0))
    await service.register()
    status, body = await delete(service, (await service.log_in()).access)
    assert (status, body["erased_after"]) == (200, "2026-01-01T12:00:00Z")
    assert await service.deliver() == []
    assert erase(service) == 1


async def test_the_link_is_a_setting(reused):
    service = await reused(undo_deletion_url="https://app.example.org/stay?u={uidb64}&t={token}")
    await service.register()
    await delete(service, (await service.log_in()).access)
    [mail] = await service.deliver()
    [link] = re.findall(r"https://app\.example\.org/stay\?u=([\w-]+)&t=([\w-]+)", mail.text)
    assert await undo(service, Link(*link)) == UNDONE
