"""GET /.well-known/jwks.json"""

from __future__ import annotations

import re
from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from identity.adapters.jwt.vault import Vault
from identity.application.signing_keys import HEARD_OF
from identity.domain.secrets import Secret
from identity.domain.signing_key import SigningKey

PATH = "/.well-known/jwks.json"
RELOADED = timedelta(seconds=3)


async def rotate(service, *, soon=True):
    async def call():
        return await service.container.rotate_keys()(soon=soon)

    return service.in_the_app(call)


async def retire(service, kid):
    async def call():
        await service.container.retire_key()(kid=kid)

    service.in_the_app(call)


async def kids(service):
    return [key["kid"] for key in (await service.get(PATH)).json()["keys"]]


async def fetch(service, *, if_none_match):
    return await service.client.get(PATH, headers={"If-None-Match": if_none_match})


async def test_the_answer_is_a_key_set_of_public_keys(start):
    """TK-6, to the letter: the private key is 1, so the public one is the curve's own base point."""
    service = await start()  # which has no key of its own yet
    private = ec.derive_private_key(1, ec.SECP256R1())
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    vault = Vault(Secret("s" * 32), purpose="signing-keys")
    key = SigningKey(
        kid="5f0c1e6b9a3d42785f0c1e6b9a3d4278",
        algorithm="ES256",
        sealed_private_key=vault.seal(der, row="5f0c1e6b9a3d42785f0c1e6b9a3d4278"),
        created_at=service.clock.now(),
        signs_from=service.clock.now(),
    )

    async def store():
        async with service.container.begin()() as uow:
            await uow.signing_keys.add_first(key)

    service.in_the_app(store)
    answer = await service.get(PATH)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "keys": [
            {
                "kty": "EC",
                "crv": "P-256",
                "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
                "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
                "kid": "5f0c1e6b9a3d42785f0c1e6b9a3d4278",
                "alg": "ES256",
                "use": "sig",
            }
        ]
    }


async def test_an_rsa_key_has_its_public_members_only(start):
    """TK-6."""
    service = await start(token_algorithm="RS256")
    (key,) = (await service.get(PATH)).json()["keys"]
    assert key.keys() == {"kty", "n", "e", "kid", "alg", "use"}
    assert (key["kty"], key["e"], key["alg"], key["use"]) == ("RSA", "AQAB", "RS256", "sig")
    assert len(key["n"]) == 512


async def test_a_shared_key_is_not_in_the_key_set(start):
    """TK-6."""
    shared = "a key that we share with another service"
    service = await start(token_algorithm="HS256", shared_key=Secret(shared))
    await service.register()
    access, _ = await service.log_in()
    answer = await service.get(PATH)
    (key,) = answer.json()["keys"]
    assert key["kty"] == "EC"
    assert key["kid"] != jwt.get_unverified_header(access)["kid"]
    assert shared not in answer.text


async def test_the_key_of_a_token_is_in_the_key_set_and_verifies_it(service):
    await service.register()
    access, _ = await service.log_in()
    keys = jwt.PyJWKSet.from_dict((await service.get(PATH)).json())
    key = keys[jwt.get_unverified_header(access)["kid"]]
    claims = jwt.decode(
        access, key, audience="identity", options={"verify_exp": False, "verify_iat": False}
    )  # the clock of this service stands still
    assert claims["sub"] == "1"


async def test_it_needs_no_token_and_heeds_none(service):
    plain = await service.get(PATH)
    with_a_bad_token = await service.get(PATH, access="forged")
    assert plain.status_code == with_a_bad_token.status_code == 200
    assert plain.content == with_a_bad_token.content


async def test_both_slash_forms_are_answered(service):
    assert (await service.get(f"{PATH}/")).json() == (await service.get(PATH)).json()


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_other_methods_are_refused(service, method):
    answer = await service.client.request(method, PATH)
    assert answer.status_code == 405
    assert set(answer.headers["allow"].split(", ")) >= {"GET", "HEAD"}


# Rotation


async def test_the_next_key_is_published_before_it_signs_and_the_old_one_after(service):
    (first,) = await kids(service)
    added = await rotate(service)
    service.clock.advance(RELOADED)
    assert await kids(service) == [first, added.kid]
    service.clock.advance(HEARD_OF)
    assert await kids(service) == [first, added.kid]


async def test_a_retired_key_is_not_published_any_more(service):
    (first,) = await kids(service)
    await retire(service, first)
    service.clock.advance(RELOADED)
    (successor,) = await kids(service)
    assert successor != first


async def test_tokens_of_a_retired_key_are_refused_and_those_of_its_successor_are_good(service):
    await service.register()
    (first,) = await kids(service)
    access, refresh = await service.log_in()
    assert (await service.profile(access)).status_code == 200
    await retire(service, first)
    service.clock.advance(RELOADED)
    assert (await service.profile(access)).status_code == 401
    assert (await service.refresh(refresh)).status_code == 401
    assert (await service.post("/api/auth/token/verify/", {"token": access})).status_code == 401
    access, refresh = await service.log_in()
    assert (await service.profile(access)).status_code == 200
    assert (await service.refresh(refresh)).status_code == 200


async def test_tokens_of_before_a_rotation_stay_good(service):
    await service.register()
    access, refresh = await service.log_in()
    await rotate(service)
    service.clock.advance(HEARD_OF)
    assert (await service.profile(access)).status_code == 200
    renewed = (await service.refresh(refresh)).json()
    assert jwt.get_unverified_header(renewed["access"])["kid"] != jwt.get_unverified_header(access)["kid"]
    assert (await service.profile(renewed["access"])).status_code == 200


# Caches


async def test_caches_may_keep_it_for_five_minutes(service):
    answer = await service.get(PATH)
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert re.fullmatch('"[0-9a-f]{32}"', answer.headers["etag"])
    assert "set-cookie" not in answer.headers


async def test_the_tag_stays_while_the_keys_do_and_changes_with_them(service):
    tag = (await service.get(PATH)).headers["etag"]
    service.clock.advance(RELOADED)
    assert (await service.get(PATH)).headers["etag"] == tag
    await rotate(service)
    service.clock.advance(RELOADED)
    answer = await fetch(service, if_none_match=tag)
    assert answer.status_code == 200
    assert answer.headers["etag"] != tag


@pytest.mark.parametrize(
    "form", ["{}", "W/{}", '"another", {}', '{}, "another"', 'W/"another",W/{}', "*", " * ", '"a,b" , {}']
)
async def test_who_has_it_already_gets_304_without_a_body(service, form):
    tag = (await service.get(PATH)).headers["etag"]
    answer = await fetch(service, if_none_match=form.format(tag))
    assert answer.status_code == 304
    assert answer.content == b""
    assert answer.headers["etag"] == tag
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert "content-type" not in answer.headers
    assert answer.headers.get("content-length", "0") == "0"


@pytest.mark.parametrize("form", ['""', "", '"another"', "{bare}", '"{bare}x"', "W/", ",,,", '"*"', "\t"])
async def test_who_has_another_gets_it_anew(service, form):
    fresh = await service.get(PATH)
    bare = fresh.headers["etag"].strip('"')
    answer = await fetch(service, if_none_match=form.format(bare=bare))
    assert answer.status_code == 200
    assert answer.json() == fresh.json()


async def test_an_endless_list_of_tags_is_looked_through_in_no_time(service):
    answer = await fetch(service, if_none_match='"x", ' * 200_000)
    assert answer.status_code == 200


async def test_head_has_the_headers_of_get_and_no_body(service):
    got = await service.get(PATH)
    head = await service.client.head(PATH)
    assert head.status_code == 200
    assert head.content == b""
    for name in ("etag", "cache-control", "content-type", "content-length", "access-control-allow-origin"):
        assert head.headers[name] == got.headers[name], name
    assert (
        await service.client.head(PATH, headers={"If-None-Match": got.headers["etag"]})
    ).status_code == 304


# Pages of other origins


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000", None])
@pytest.mark.parametrize("is_known", [False, True])
async def test_pages_of_any_origin_may_read_it_for_there_is_no_secret_in_it(service, origin, is_known):
    headers = {"Origin": origin} if origin else {}
    if is_known:
        headers["If-None-Match"] = (await service.get(PATH)).headers["etag"]
    answer = await service.client.get(PATH, headers=headers)
    assert answer.status_code == (304 if is_known else 200)
    (allowed,) = answer.headers.get_list("access-control-allow-origin")
    # An origin of IDENTITY_CORS_ORIGINS is named as everywhere; a cache must not give that to another one.
    assert allowed == "*" or (allowed == origin and answer.headers["vary"] == "Origin")
    assert "access-control-allow-credentials" not in answer.headers
