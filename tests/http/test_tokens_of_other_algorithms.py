"""The attacks of test_tokens.py on deployments that sign with RS256, or with HS256 and a shared key."""

from __future__ import annotations

import functools

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, SHA512
from tests.http.conftest import running
from tests.http.test_tokens import (
    ANYWHERE,
    FORMS,
    OF_A_KEY_PAIR,
    Token,
    assert_refused_everywhere,
    by,
    es256,
    foreign_key,
    forms_of_the_public_key,
    genuine_tokens,
    hs,
    with_a_public_key_as_secret,
)

from identity.domain.secrets import Secret

SHARED = "the key of an existing service, of more than 32 bytes"
DEPLOYMENTS = {
    "RS256": {"token_algorithm": "RS256"},
    "HS256": {"token_algorithm": "HS256", "shared_key": Secret(SHARED)},
}


@functools.cache
def foreign_rsa_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def rsa_signature(token, scheme, digest):
    return token.but(sign=lambda signed: token.key.private.sign(signed, scheme, digest))


OF_RS256 = {
    **OF_A_KEY_PAIR,
    **{
        f"HS256 with the public key {form}": with_a_public_key_as_secret(form)
        for form in ("as its n", "as the octets of its n")
    },
    "a foreign RSA key under the known kid": lambda t: t.but(sign=by("RS256", foreign_rsa_key())),
    "RS256 with a jwk of the attacker": lambda t: t.but(
        header={
            "jwk": jwt.get_algorithm_by_name("RS256").to_jwk(foreign_rsa_key().public_key(), as_dict=True)
        },
        sign=by("RS256", foreign_rsa_key()),
    ),
    "alg RS512 with the good key": lambda t: t.but(header={"alg": "RS512"}, sign=by("RS512", t.key.private)),
    "alg PS256 with the good key": lambda t: t.but(header={"alg": "PS256"}, sign=by("PS256", t.key.private)),
    "a PSS signature": lambda t: rsa_signature(
        t, padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=32), SHA256()
    ),
    "a signature over SHA-1": lambda t: rsa_signature(t, padding.PKCS1v15(), SHA1()),  # noqa: S303
    "a signature over SHA-512": lambda t: rsa_signature(t, padding.PKCS1v15(), SHA512()),
    "ES256 with a foreign key": lambda t: t.but(header={"alg": "ES256"}, sign=es256(foreign_key())),
    "a signature of ones": lambda t: t.but(sign=lambda _: b"\x01".rjust(384, b"\0")),
}
OF_HS256 = {
    "alg HS384 with the good key": lambda t: t.but(
        header={"alg": "HS384"}, sign=hs("sha384", SHARED.encode())
    ),
    "alg HS512 with the good key": lambda t: t.but(
        header={"alg": "HS512"}, sign=hs("sha512", SHARED.encode())
    ),
    "HS256 with the key in upper case": lambda t: t.but(sign=hs("sha256", SHARED.upper().encode())),
    "HS256 with the key and a line break": lambda t: t.but(sign=hs("sha256", f"{SHARED}\n".encode())),
    "HS256 with a part of the key": lambda t: t.but(sign=hs("sha256", SHARED[:32].encode())),
    "HS256 with zeros": lambda t: t.but(sign=hs("sha256", bytes(64))),
    "ES256 with a foreign key": lambda t: t.but(header={"alg": "ES256"}, sign=es256(foreign_key())),
    "RS256 with a foreign key": lambda t: t.but(header={"alg": "RS256"}, sign=by("RS256", foreign_rsa_key())),
}
ATTACKS = {
    "RS256": ANYWHERE | OF_RS256,
    "HS256": ANYWHERE | OF_HS256,
}


@pytest.fixture(scope="session")
async def deployments():
    """Both, and a session's tokens of each."""
    async with (
        running("memory:", sessions_per_account=10_000, **DEPLOYMENTS["RS256"]) as rs256,
        running("memory:", sessions_per_account=10_000, **DEPLOYMENTS["HS256"]) as hs256,
    ):
        found = {}
        for algorithm, service in (("RS256", rs256), ("HS256", hs256)):
            await service.register()
            found[algorithm] = service, await genuine_tokens(service)
        yield found


@pytest.mark.parametrize("algorithm", DEPLOYMENTS)
async def test_tokens_are_signed_by_the_algorithm_that_was_set(deployments, algorithm):
    service, genuine = deployments[algorithm]
    for token, typ in zip(genuine, ("at+jwt", "rt+jwt"), strict=True):
        assert token.header == {"alg": algorithm, "kid": token.key.kid, "typ": typ}
    access, refresh = (token.but() for token in genuine)
    assert (await service.profile(access)).status_code == 200
    assert (await service.refresh(refresh)).status_code == 200


@pytest.mark.parametrize(
    ("algorithm", "attack"), [(name, attack) for name, attacks in ATTACKS.items() for attack in attacks]
)
async def test_a_forged_token_is_invalid_wherever_it_is_presented(deployments, algorithm, attack):
    service, genuine = deployments[algorithm]
    await assert_refused_everywhere(service, genuine, ATTACKS[algorithm][attack])


@pytest.mark.parametrize("form", FORMS)
async def test_beside_a_shared_key_a_published_key_is_no_secret_either(deployments, form):
    """HS256 is an algorithm of this deployment, but not of the keys that it publishes."""
    service, genuine = deployments["HS256"]
    (jwk,) = (await service.get("/.well-known/jwks.json")).json()["keys"]
    secret = forms_of_the_public_key(jwk, jwt.PyJWK(jwk).key)[form]
    await assert_refused_everywhere(
        service, genuine, lambda t: t.but(header={"kid": jwk["kid"]}, sign=hs("sha256", secret))
    )


async def test_the_shared_key_under_the_id_of_a_published_one_is_refused(deployments):
    service, genuine = deployments["HS256"]
    (jwk,) = (await service.get("/.well-known/jwks.json")).json()["keys"]
    await assert_refused_everywhere(
        service,
        genuine,
        lambda t: t.but(header={"kid": jwk["kid"]}, sign=hs("sha256", SHARED.encode())),
    )


async def test_a_service_that_shares_the_key_takes_the_access_token_as_its_own(deployments):
    _, (access, _) = deployments["HS256"]
    claims = jwt.decode(
        access.text,
        SHARED,
        algorithms=["HS256"],
        audience="identity",
        options={"verify_exp": False, "verify_iat": False},  # the clock of this deployment stands still
    )
    assert (claims["token_type"], claims["user_id"]) == ("access", "1")


async def test_a_key_of_another_algorithm_goes_on_verifying_after_a_change_of_the_setting(
    tmp_path, empty_database
):
    url = f"sqlite:///{(tmp_path / 'identity.db').absolute()}"
    (tmp_path / "identity.db").write_bytes(empty_database.read_bytes())
    async with running(url) as before:
        await before.register()
        access, refresh = await before.log_in()
    for settings in DEPLOYMENTS.values():
        async with running(url, **settings) as after:
            assert (await after.profile(access)).status_code == 200
            renewed = await after.refresh(refresh)
            assert renewed.status_code == 200
            header = jwt.get_unverified_header(renewed.json()["access"])
            assert header["alg"] == ("HS256" if "shared_key" in settings else "ES256")


def test_a_token_taken_apart_and_put_together_again_is_what_it_was():
    key = foreign_key()
    token = Token(jwt.encode({"a": 1}, key, algorithm="ES256"), None)
    assert token.header["alg"] == "ES256"
    assert token.claims == {"a": 1}
