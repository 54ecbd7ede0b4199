"""GET /api/user/export/"""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

EXPORT = "/api/user/export/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture
async def john(service):
    await service.register()
    service.client.headers["User-Agent"] = FIREFOX
    return await service.log_in()


async def exported(service, tokens):
    answer = await service.get(EXPORT, access=tokens.access)
    assert answer.status_code == 200, answer.text
    return answer


async def test_the_document_has_all_that_is_kept_of_the_account(service, john):
    service.clock.advance(timedelta(minutes=1))
    over = await service.log_in()
    await service.post("/api/auth/logout/", {"refresh": over.refresh})
    document = (await exported(service, john)).json()
    login, later = "2026-01-01T12:00:00Z", "2026-01-01T12:01:00Z"
    ended, live = document["sessions"]
    client = {"user_agent": FIREFOX, "address": live["address"]}
    assert document == {
        "exported_at": later,
        "profile": {
            "id": 1,
            "username": "john_doe",
            "email": "john@example.com",
            "email_verified_at": None,
            "display_name": "",
            "locale": "",
            "time_zone": "",
            "date_joined": login,
            "last_updated": login,
            "last_login_at": later,
            "superuser_since": None,
        },
        "sessions": [
            {
                "id": ended["id"],
                "created_at": later,
                "last_used_at": later,
                "expires_at": "2026-01-31T12:01:00Z",
                "ended_at": later,
                "is_over": True,
                **client,
            },
            {
                "id": live["id"],
                "created_at": login,
                "last_used_at": later,
                "expires_at": "2026-01-31T12:00:00Z",
                "ended_at": None,
                "is_over": False,
                **client,
            },
        ],
        "devices": [{"last_seen_at": later}],
        "reserved_names": [],
        "events": [
            {"at": later, "kind": "LoggedOut", "session_id": ended["id"], **client},
            {"at": later, "kind": "LoggedIn", "session_id": ended["id"], **client},
            {"at": login, "kind": "LoggedIn", "session_id": live["id"], **client},
            {**document["events"][-1], "at": login, "kind": "UserRegistered", "session_id": None},
        ],
    }
    assert live["address"]


async def test_it_is_a_file_to_keep(service, john):
    answer = await exported(service, john)
    assert answer.headers["content-disposition"] == 'attachment; filename="identity-1-2026-01-01.json"'
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"


async def test_the_next_one_tells_of_the_one_before(service, john):
    await exported(service, john)
    document = (await exported(service, john)).json()
    assert document["events"][0]["kind"] == "DataExported"


async def test_it_has_no_secrets_and_nothing_of_others(service, john):
    await service.register("mary", "mary@example.com")
    mary = await service.log_in("mary")
    await service.reset_link()
    text = (await exported(service, john)).text
    hers = (await exported(service, mary)).json()
    for secret in (service.user().password_hash, john.access, john.refresh, "mary"):
        assert secret not in text
    for session in hers["sessions"]:
        assert session["id"] not in text
    assert set(json.loads(text)) == set(hers)


async def test_only_the_owner_gets_it(service, john):
    answer = await service.get(EXPORT)
    assert (answer.status_code, answer.json()["detail"]) == (
        401,
        "Authentication credentials were not provided.",
    )
    assert (await service.get(EXPORT, access=john.refresh)).status_code == 401
    answer = await service.post(EXPORT, {}, access=john.access)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
