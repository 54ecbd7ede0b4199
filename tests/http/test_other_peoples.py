"""HT-6: whatever one sends, to any route there is, nothing of another account is read or changed."""

from __future__ import annotations

import base64
import itertools

from litestar.routes import HTTPRoute

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")
PASSWORDS = {"john": "correct horse battery", "mary": "staple another way"}


async def two_accounts(service):
    """Each with two sessions."""
    tokens = {}
    for name, password in PASSWORDS.items():
        await service.register(name, f"{name}@example.com", password)
        tokens[name] = [await service.log_in(name, password), await service.log_in(name, password)]
    return tokens


async def state_of(service, tokens):
    """All that its owner sees of an account."""
    profile = (await service.profile(tokens[0].access)).json()
    sessions = (await service.get("/api/user/sessions/", access=tokens[0].access)).json()
    assert {(await service.profile(each.access)).status_code for each in tokens} == {200}
    return profile, sorted(sessions, key=lambda each: each["id"])


def reference(user_id):
    return base64.urlsafe_b64encode(str(user_id).encode()).decode().rstrip("=")


def paths(service, hers):
    """Every path there is, each parameter filled with what is hers."""
    templates = [route.path for route in service.client.app.routes if isinstance(route, HTTPRoute)]
    assert len(templates) > 15
    for template in templates:
        if "{" not in template:
            yield template
            continue
        before, _, rest = template.partition("{")
        after = rest.partition("}")[2]
        for value in hers:
            yield f"{before}{value}{after}"


async def test_no_request_with_ones_own_credentials_reads_or_changes_another_account(service):
    tokens = await two_accounts(service)
    before = await state_of(service, tokens["mary"])
    profile, sessions = before
    link = await service.reset_link("john@example.com")  # his own
    ids = [session["id"] for session in sessions]
    hers = [*ids, str(profile["id"]), "mary", "mary@example.com", reference(profile["id"])]
    everything = {
        "id": profile["id"],
        "user": profile["id"],
        "user_id": profile["id"],
        "sub": str(profile["id"]),
        "username": "mary",
        "email": "mary@example.com",
        "password": PASSWORDS["john"],
        "old_password": PASSWORDS["john"],
        "new_password": PASSWORDS["john"] + "!",
        "uidb64": reference(profile["id"]),
        "token": link.token,
        "session_id": ids[0],
        "sid": ids[0],
        "jti": ids[0],
        "refresh": ids[0],
        "access": ids[0],
    }
    claims = {
        "X-User": "mary",
        "X-User-Id": str(profile["id"]),
        "X-Forwarded-User": "mary",
        "X-Original-URL": f"/api/user/sessions/{ids[0]}/",
        "X-HTTP-Method-Override": "DELETE",
        "Cookie": f"sid={ids[0]}; user=mary; refresh={ids[0]}",
    }
    passwords = (PASSWORDS["john"], everything["new_password"])
    count = 0
    access = tokens["john"][0].access
    for path, method in itertools.product(paths(service, hers), METHODS):
        for how in ({"json": everything}, {"data": everything}, {}):
            if (await service.profile(access)).status_code != 200:  # he has ended his own session
                good = [each for each in passwords if await service.can_log_in("john", each)]
                access = (await service.log_in("john", good[0])).access
            answer = await service.client.request(
                method,
                path,
                params={"id": profile["id"], "user": "mary", "sid": ids[0]},
                headers={"Authorization": f"Bearer {access}", **claims},
                **how,
            )
            count += 1
            assert answer.status_code < 500
            assert not [each for each in (*ids, "mary@example.com") if each in answer.text], (method, path)
    assert count > 400
    assert await state_of(service, tokens["mary"]) == before
    assert await service.can_log_in("mary", PASSWORDS["mary"])
    assert not await service.can_log_in("mary", PASSWORDS["john"])


async def test_no_pair_of_ones_own_and_anothers_secrets_is_good(service):
    tokens = await two_accounts(service)
    before = await state_of(service, tokens["mary"])
    his, hers = await service.reset_link("john@example.com"), await service.reset_link("mary@example.com")
    assert his.uidb64 != hers.uidb64
    for link in (his._replace(uidb64=hers.uidb64), hers._replace(uidb64=his.uidb64)):
        answer = await service.reset(link, PASSWORDS["john"])
        assert (answer.status_code, answer.json()) == (400, {"error": "Invalid or expired token."})
    pairs = [("mary", "john"), ("mary@example.com", "john"), ("john", "mary"), ("john@example.com", "mary")]
    for name, owner in pairs:
        assert not await service.can_log_in(name, PASSWORDS[owner])
    for one, other in itertools.permutations([tokens["john"][0], tokens["mary"][0]]):
        for kind in ("access", "refresh"):
            mine, theirs = getattr(one, kind).split("."), getattr(other, kind).split(".")
            for mask in itertools.product((0, 1), repeat=3):
                if len(set(mask)) == 1:
                    continue  # whole
                mixed = ".".join((mine, theirs)[choice][part] for part, choice in enumerate(mask))
                if mixed in {getattr(one, kind), getattr(other, kind)}:
                    continue  # their heads are alike
                assert (await service.profile(mixed)).status_code == 401
                for path, field in (("refresh", "refresh"), ("verify", "token"), ("blacklist", "refresh")):
                    assert (await service.post(f"/api/auth/token/{path}/", {field: mixed})).status_code == 401
    assert await state_of(service, tokens["mary"]) == before
