"""Attacks on access and refresh tokens: each is a token that some service somewhere has accepted.

Every attack starts from a genuine token of a live session. What is altered is signed with the service's own
key where the point is something else than the signature.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from identity.adapters.jwt.keys import OpenKey

# What is tried here does not get to the storage, or is the same on every one.
pytestmark = pytest.mark.parametrize("storage", ["memory"], indirect=True, scope="session")

INVALID_REFRESH = {"detail": "Token is invalid", "code": "token_not_valid"}
INVALID_ACCESS = {
    "detail": "Given token not valid for any token type",
    "code": "token_not_valid",
    "messages": [{"token_class": "AccessToken", "token_type": "access", "message": "Token is invalid"}],
}
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def segment(value):
    return b64(value if isinstance(value, bytes) else json.dumps(value).encode())


def by(algorithm, key):
    return lambda signed: jwt.get_algorithm_by_name(algorithm).sign(signed, key)


def es256(key):
    return by("ES256", key)


def hs(name, key):
    return lambda signed: hmac.digest(key, signed, name)


@dataclass(frozen=True)
class Token:
    """A genuine token, taken apart, and the means to put another together."""

    text: str
    key: OpenKey

    @property
    def segments(self):
        return self.text.split(".")

    @property
    def header(self):
        return json.loads(unb64(self.segments[0]))

    @property
    def claims(self):
        return json.loads(unb64(self.segments[1]))

    def but(self, *, header=None, claims=None, payload=None, sign=None):
        """The same token but for these members (`...` leaves one out), signed again."""
        head = segment(changed(self.header, header or {}))
        body = segment(changed(self.claims, claims or {}) if payload is None else payload)
        signature = (sign or by(self.key.algorithm, self.key.private))(f"{head}.{body}".encode())
        return f"{head}.{body}.{b64(signature)}"

    @property
    def signature(self):
        return unb64(self.segments[2])

    def signed_by(self, signature):
        return ".".join([*self.segments[:2], signature])

    def public(self, encoding, form=PublicFormat.SubjectPublicKeyInfo):
        return self.key.public.public_bytes(encoding, form)

    @property
    def alg(self):
        return self.key.algorithm


def changed(members, changes):
    return {name: value for name, value in {**members, **changes}.items() if value is not ...}


def foreign_key():
    return ec.generate_private_key(ec.SECP256R1())


def public_jwk(key):
    return json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(key.public_key()))


def forms_of_the_public_key(jwk, key):
    """Everything that a verifier could take for the secret of a MAC, when it is told that this is one."""
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {
        "as PEM": pem,
        "as PEM, trimmed": pem.strip(),
        "as DER": key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "as a JWK": json.dumps(jwk).encode(),
        "as a JWK without spaces": json.dumps(jwk, separators=(",", ":")).encode(),
        "as a JWK in order": json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode(),
        "as a key set": json.dumps({"keys": [jwk]}, separators=(",", ":")).encode(),
        **{f"as its {name}": jwk[name].encode() for name in ("x", "y", "n") if name in jwk},
        **{f"as the octets of its {name}": unb64(jwk[name]) for name in ("x", "y", "n") if name in jwk},
    }


def with_a_public_key_as_secret(form, *, name="sha256", alg="HS256"):
    return lambda t: t.but(
        header={"alg": alg}, sign=hs(name, forms_of_the_public_key(t.key.jwk(), t.key.public)[form])
    )


def nothing(_signed):
    return b""


def own_key(token, **header):
    """Signed with the attacker's key, which the header brings along or points at."""
    key = foreign_key()
    described = {name: public_jwk(key) if value == "the key" else value for name, value in header.items()}
    return token.but(header={"alg": "ES256", **described}, sign=es256(key))


def mirrored(token):
    """(r, n - s) is as valid a signature as (r, s), but has another text."""
    half = len(token.signature) // 2
    r, s = (int.from_bytes(part) for part in (token.signature[:half], token.signature[half:]))
    return token.signed_by(b64(r.to_bytes(half) + (P256_ORDER - s).to_bytes(half)))


def der_signature(token):
    half = len(token.signature) // 2
    der = encode_dss_signature(int.from_bytes(token.signature[:half]), int.from_bytes(token.signature[half:]))
    assert decode_dss_signature(der)
    return token.signed_by(b64(der))


ANYWHERE = {
    # The algorithm
    "alg none": lambda t: t.but(header={"alg": "none"}, sign=nothing),
    "alg None": lambda t: t.but(header={"alg": "None"}, sign=nothing),
    "alg NONE": lambda t: t.but(header={"alg": "NONE"}, sign=nothing),
    "alg nOnE": lambda t: t.but(header={"alg": "nOnE"}, sign=nothing),
    "alg none with a signature": lambda t: t.but(header={"alg": "none"}),
    "alg none of two segments": lambda t: t.but(header={"alg": "none"}, sign=nothing).rstrip("."),
    "alg empty": lambda t: t.but(header={"alg": ""}),
    "alg missing": lambda t: t.but(header={"alg": ...}),
    "alg null": lambda t: t.but(header={"alg": None}),
    "alg in lower case": lambda t: t.but(header={"alg": t.alg.lower()}),
    "alg with white space": lambda t: t.but(header={"alg": f"{t.alg} "}),
    "alg a list": lambda t: t.but(header={"alg": [t.alg]}),
    "alg ES384": lambda t: t.but(header={"alg": "ES384"}),
    "alg EdDSA": lambda t: t.but(header={"alg": "EdDSA"}),
    "HS256 with an empty key": lambda t: t.but(header={"alg": "HS256"}, sign=hs("sha256", b"")),
    "HS256 with the key's id": lambda t: t.but(
        header={"alg": "HS256"}, sign=hs("sha256", t.header["kid"].encode())
    ),
    "a bare digest": lambda t: t.but(sign=lambda signed: hashlib.sha256(signed).digest() * 2),
    # The signature
    "an empty signature": lambda t: t.signed_by(""),
    "no signature": lambda t: ".".join(t.segments[:2]),
    "a signature of zeros": lambda t: t.signed_by(b64(bytes(64))),
    "a signature of the group's order": lambda t: t.signed_by(b64(P256_ORDER.to_bytes(32) * 2)),
    "a signature cut short": lambda t: t.signed_by(b64(t.signature[:-1])),
    "a signature with an octet more": lambda t: t.signed_by(b64(t.signature + b"\0")),
    "another token's signature": lambda t: t.signed_by(t.but(claims={"jti": "0"}).split(".")[2]),
    "claims changed under the signature": lambda t: ".".join(
        [t.segments[0], segment({**t.claims, "sub": "2", "user_id": "2"}), t.segments[2]]
    ),
    # Members of the header
    "an unknown crit": lambda t: t.but(header={"crit": ["exploding"], "exploding": True}),
    "an empty crit": lambda t: t.but(header={"crit": []}),
    "crit exp": lambda t: t.but(header={"crit": ["exp"], "exp": 0}),
    "crit b64": lambda t: t.but(header={"crit": ["b64"], "b64": False}),
    "b64 false": lambda t: t.but(header={"b64": False}),
    "jwk of the attacker": lambda t: own_key(t, jwk="the key"),
    "jwk of the attacker and no kid": lambda t: own_key(t, jwk="the key", kid=...),
    "jku": lambda t: own_key(t, jku="https://evil.example/jwks.json"),
    "jku under a good signature": lambda t: t.but(header={"jku": "https://evil.example/jwks.json"}),
    "x5u": lambda t: own_key(t, x5u="https://evil.example/chain.pem"),
    "x5c": lambda t: own_key(t, x5c=["MIIB"]),
    "x5t": lambda t: own_key(t, x5t="AAAA"),
    "zip": lambda t: t.but(header={"zip": "DEF"}),
    "cty JWT": lambda t: t.but(header={"cty": "JWT"}),
    "typ JWT": lambda t: t.but(header={"typ": "JWT"}),
    "typ missing": lambda t: t.but(header={"typ": ...}),
    "typ of another kind": lambda t: t.but(
        header={"typ": {"at+jwt": "rt+jwt", "rt+jwt": "at+jwt"}[t.header["typ"]]}
    ),
    "header not an object": lambda t: ".".join([segment([]), *t.segments[1:]]),
    "header no JSON": lambda t: ".".join([segment(b"{"), *t.segments[1:]]),
    "header invalid UTF-8": lambda t: ".".join([segment(b'{"alg": "\xff"}'), *t.segments[1:]]),
    "header deeply nested": lambda t: ".".join([segment(b'{"kid":' + b"[" * 2500), *t.segments[1:]]),
    # Keys
    "a foreign key under the known kid": lambda t: t.but(sign=es256(foreign_key())),
    "an unknown kid": lambda t: t.but(header={"kid": "f" * 32}),
    "kid missing": lambda t: t.but(header={"kid": ...}),
    "kid empty": lambda t: t.but(header={"kid": ""}),
    "kid null": lambda t: t.but(header={"kid": None}),
    "kid a number": lambda t: t.but(header={"kid": 0}),
    "kid a list": lambda t: t.but(header={"kid": [t.header["kid"]]}),
    "kid an object": lambda t: t.but(header={"kid": {}}),
    "kid a path": lambda t: t.but(header={"kid": "../../../../dev/null"}, sign=hs("sha256", b"")),
    "kid SQL": lambda t: t.but(header={"kid": "' OR '1'='1"}),
    "kid with a lone surrogate": lambda t: t.but(header={"kid": "\ud800"}),
    # The form
    "padded segments": lambda t: ".".join(part + "=" * (-len(part) % 4 or 4) for part in t.segments),
    "a padded signature": lambda t: t.text + "==",
    "five segments": lambda t: f"{t.text}.{t.segments[1]}.{t.segments[2]}",
    "four segments": lambda t: f"{t.text}.",
    "one segment": lambda t: t.segments[0],
    "empty segments": lambda _: "..",
    "standard base64": lambda t: t.signed_by(base64.b64encode(b"\xfb\xff" * 32).decode().rstrip("=")),
    "an escaped NUL": lambda t: t.text + "%00",
    "over 4 KiB with a good signature": lambda t: t.but(claims={"padding": "x" * 4096}),
    "15 KiB of one segment": lambda _: "A" * 15_000,
    "7,000 dots": lambda _: "." * 7000,
    # The payload
    "payload deeply nested": lambda t: t.but(payload=b'{"a":' + b"[" * 2500 + b"]" * 2500 + b"}")[:4096],
    "payload deeply nested and signed": lambda t: t.but(payload=b'{"a":' + b"[" * 1200 + b"]" * 1200 + b"}"),
    "payload not an object": lambda t: t.but(payload=b"[]"),
    "payload null": lambda t: t.but(payload=b"null"),
    "payload no JSON": lambda t: t.but(payload=b"{"),
    "payload invalid UTF-8": lambda t: t.but(payload=b'{"sub": "\xff"}'),
    "payload empty": lambda t: t.but(payload=b"{}"),
    # Claims
    **{
        f"{claim} missing": lambda t, claim=claim: t.but(claims={claim: ...})
        for claim in ("exp", "iat", "sub", "jti", "sid", "iss", "aud", "token_type")
    },
    **{
        f"{claim} null": lambda t, claim=claim: t.but(claims={claim: None})
        for claim in ("exp", "iat", "sub", "jti", "sid", "iss", "aud", "token_type")
    },
    "another issuer": lambda t: t.but(claims={"iss": "https://evil.example"}),
    "the issuer with a slash": lambda t: t.but(claims={"iss": t.claims["iss"] + "/"}),
    "another audience": lambda t: t.but(claims={"aud": "another-service"}),
    "an empty audience": lambda t: t.but(claims={"aud": []}),
    "another token_type": lambda t: t.but(claims={"token_type": "sliding"}),
    "a user who is no number": lambda t: t.but(claims={"sub": "john_doe"}),
    "sid a list": lambda t: t.but(claims={"sid": [t.claims["sid"]]}),
    "sid an object": lambda t: t.but(claims={"sid": {}}),
    "exp no number": lambda t: t.but(claims={"exp": "tomorrow"}),
    "exp beyond any date": lambda t: t.but(claims={"exp": 10**30}),
}


FORMS = (
    "as PEM",
    "as PEM, trimmed",
    "as DER",
    "as a JWK",
    "as a JWK without spaces",
    "as a JWK in order",
    "as a key set",
)
OF_A_KEY_PAIR = {
    **{f"HS256 with the public key {form}": with_a_public_key_as_secret(form) for form in FORMS},
    "HS512 with the public key as PEM": with_a_public_key_as_secret("as PEM", name="sha512", alg="HS512"),
    "a MAC with the public key as PEM": lambda t: t.but(
        sign=hs("sha256", forms_of_the_public_key(t.key.jwk(), t.key.public)["as PEM"])
    ),
    "jwk of the service": lambda t: t.but(header={"jwk": t.key.jwk()}),
}
OF_ES256 = {
    **OF_A_KEY_PAIR,
    **{
        f"HS256 with the public key {form}": with_a_public_key_as_secret(form)
        for form in ("as its x", "as its y", "as the octets of its x", "as the octets of its y")
    },
    "HS256 with the public key as a point": lambda t: t.but(
        header={"alg": "HS256"},
        sign=hs("sha256", t.public(Encoding.X962, PublicFormat.UncompressedPoint)),
    ),
    "alg RS256": lambda t: t.but(header={"alg": "RS256"}),
    "a signature in DER": der_signature,
}
ATTACKS = ANYWHERE | OF_ES256


@pytest.fixture(scope="session")
async def genuine(shared_service):
    """The access and the refresh token of a session that goes on."""
    return await genuine_tokens(shared_service)


async def genuine_tokens(service):
    key = service.in_the_app(service.container.keyring().signing)
    access, refresh = await service.log_in()
    return Token(access, key), Token(refresh, key)


async def test_an_access_token_from_the_future_is_invalid_but_a_refresh_token_outlives_a_clock_set_back(
    shared_service, genuine
):
    access, refresh = (token.but(claims={"iat": token.claims["iat"] + 31}) for token in genuine)
    answer = await shared_service.profile(access)
    assert (answer.status_code, answer.json()) == (401, INVALID_ACCESS)
    assert (await shared_service.refresh(refresh)).status_code == 200


async def test_a_genuine_token_that_is_put_together_again_is_good(shared_service, genuine):
    access, refresh = genuine
    assert (await shared_service.profile(access.but())).status_code == 200
    assert (await shared_service.refresh(refresh.but())).status_code == 200


@pytest.mark.parametrize("attack", ATTACKS)
async def test_a_forged_token_is_invalid_wherever_it_is_presented(shared_service, genuine, attack):
    await assert_refused_everywhere(shared_service, genuine, ATTACKS[attack])


async def assert_refused_everywhere(service, genuine, attack):
    access, refresh = genuine
    answer = await service.profile(attack(access))
    assert (answer.status_code, answer.json()) == (401, INVALID_ACCESS)
    for path, field, token in (
        ("/api/auth/token/verify/", "token", access),
        ("/api/auth/token/verify/", "token", refresh),
        ("/api/auth/token/refresh/", "refresh", refresh),
        ("/api/auth/logout/", "refresh", refresh),
    ):
        answer = await service.post(path, {field: attack(token)})
        assert (answer.status_code, answer.json()) == (401, INVALID_REFRESH), path
    assert (await service.profile(access.text)).status_code == 200


async def test_a_token_that_names_another_user_than_its_session_does_is_good_for_neither(
    shared_service, genuine
):
    access, refresh = (token.but(claims={"sub": "2", "user_id": "2"}) for token in genuine)
    assert (await shared_service.profile(access)).json() == INVALID_ACCESS
    assert (await shared_service.refresh(refresh)).status_code == 401


async def test_neither_kind_of_token_does_for_the_other_however_it_is_labelled(shared_service, genuine):
    access, refresh = genuine
    for changes in (
        {"claims": {"token_type": "access"}},
        {"header": {"typ": "at+jwt"}},
        {"claims": {"token_type": "access"}, "header": {"typ": "at+jwt"}},
    ):
        answer = await shared_service.profile(refresh.but(**changes))
        assert (answer.status_code, answer.json()) == (401, INVALID_ACCESS)
    for changes in (
        {"claims": {"token_type": "refresh"}},
        {"header": {"typ": "rt+jwt"}},
        {"claims": {"token_type": "refresh"}, "header": {"typ": "rt+jwt"}},
    ):
        answer = await shared_service.refresh(access.but(**changes))
        assert (answer.status_code, answer.json()) == (401, INVALID_REFRESH)


async def test_a_mirrored_signature_makes_no_second_life_for_a_token(service):
    await service.register()
    access, refresh = await service.log_in()
    key = service.in_the_app(service.container.keyring().signing)
    await service.post("/api/auth/logout/", {"refresh": mirrored(Token(refresh, key))})
    for text in (access, mirrored(Token(access, key))):
        assert (await service.profile(text)).status_code == 401


async def test_a_clock_half_a_minute_behind_is_forgiven(shared_service, genuine):
    access, _ = genuine
    answer = await shared_service.profile(access.but(claims={"iat": access.claims["iat"] + 30}))
    assert answer.status_code == 200


async def test_a_token_is_for_one_deployment_only(start):
    ours = await start()
    await ours.register()
    access, refresh = await ours.log_in()
    theirs = await start(public_url="https://other.example")
    assert (await theirs.profile(access)).json() == INVALID_ACCESS
    assert (await theirs.refresh(refresh)).json() == INVALID_REFRESH


async def test_logging_out_holds_from_the_next_request_on(service):
    await service.register()
    access, refresh = await service.log_in()
    assert (await service.profile(access)).status_code == 200
    await service.post("/api/auth/logout/", {"refresh": refresh})
    assert (await service.profile(access)).json() == INVALID_ACCESS


async def test_a_disabled_account_is_refused_on_every_path_from_the_next_request_on(service):
    await service.register()
    access, refresh = await service.log_in()
    link = await service.reset_link()
    assert (await service.profile(access)).status_code == 200
    service.disable()
    change = {"old_password": "yourpassword123", "new_password": "yournewpassword123"}
    assert (await service.profile(access)).json() == INVALID_ACCESS
    assert (await service.post("/api/user/change-password/", change, access=access)).json() == INVALID_ACCESS
    assert (await service.refresh(refresh)).status_code == 401
    assert (await service.post("/api/auth/token/verify/", {"token": access})).status_code == 401
    assert (await service.post("/api/auth/token/verify/", {"token": refresh})).status_code == 401
    assert not await service.can_log_in()
    assert not await service.can_log_in("john@example.com")
    assert (await service.reset(link)).json() == {"error": "Invalid or expired token."}
    assert (await service.forgot()).status_code == 200
    assert await service.deliver() == []


async def test_an_expired_token_is_not_good_again_when_its_session_is(service):
    await service.register()
    access, refresh = await service.log_in()
    service.clock.advance(timedelta(minutes=6))
    assert (await service.refresh(refresh)).status_code == 200
    answer = await service.profile(access)
    assert answer.json()["messages"][0]["message"] == "Token is expired"


async def test_tokens_are_signed_es256_and_say_what_they_are(shared_service):
    access, refresh = await shared_service.log_in()
    headers = [jwt.get_unverified_header(token) for token in (access, refresh)]
    assert [header.pop("typ") for header in headers] == ["at+jwt", "rt+jwt"]
    assert headers[0] == headers[1]
    assert headers[0].pop("kid")
    assert headers[0] == {"alg": "ES256"}
