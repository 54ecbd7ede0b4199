"""Form and length of a token are judged before anything else; one that was found genuine is remembered."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest

from identity.adapters.jwt import tokens as adapter
from identity.adapters.jwt.keyring import RELOADED_EVERY, Keyring
from identity.adapters.jwt.keys import OpenKey, SealedKeys
from identity.adapters.jwt.tokens import LEEWAY, LONGEST_TOKEN, JwtTokens
from identity.adapters.jwt.vault import Vault
from identity.adapters.memory import FixedClock, MemoryStorage, SeededRandomness
from identity.application.signing_keys import RetireKey
from identity.domain.errors import TokenFault, TokenRefused
from identity.domain.secrets import Secret
from identity.domain.tokens import Claims, TokenKind

LIFETIME = timedelta(minutes=5)
LONGEST_LIFETIME = timedelta(days=30)


class House:
    def __init__(self) -> None:
        self.clock = FixedClock()
        self.storage = MemoryStorage()
        vault = Vault(Secret("a secret of at least thirty-two bytes"), purpose="signing-keys")
        self.sealed = SealedKeys(vault=vault, randomness=SeededRandomness(), algorithm="ES256")
        self.keyring = Keyring(
            read=self.storage.read,
            begin=self.storage.begin,
            sealed=self.sealed,
            clock=self.clock,
            longest_lifetime=LONGEST_LIFETIME,
        )
        self.tokens = JwtTokens(
            keyring=self.keyring, issuer="https://id.example", audience="shop", clock=self.clock
        )
        self.checks = 0
        """How many signatures were checked."""

    def claims(self, number: int = 1, kind: TokenKind = TokenKind.ACCESS) -> Claims:
        now = self.clock.now()
        return Claims(
            kind=kind,
            user_id=number,
            session_id=f"{number:032x}",
            jti=f"{number:032x}",
            issued_at=now,
            expires_at=now + LIFETIME,
        )

    async def fault(self, token: str, *, expected: TokenKind | None = None) -> TokenFault:
        with pytest.raises(TokenRefused) as refusal:
            await self.tokens.read(token, expected=expected)
        return refusal.value.reason


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    house = House()
    honest = jwt.decode

    def counted(*args: Any, **kwargs: Any) -> Any:
        house.checks += 1
        return honest(*args, **kwargs)

    monkeypatch.setattr(jwt, "decode", counted)
    return house


# Form and length


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.b",
        "a.b.",
        "a.b.c.d",
        "a.b.c.d.e",
        "a.b=.c",
        "a.b.c=",
        "a b.c.d",
        "a.b.c\n",
        "ä.b.c",
        "a+b.c.d",
        "a/b.c.d",
        "a.b.\x00",
        "A" * 10_000_000,
        "." * 10_000_000,
        f"a.b.{'A' * (LONGEST_TOKEN - 3)}",
    ],
    ids=lambda text: f"{text[:8]!a} of {len(text)}",
)
async def test_nothing_of_a_wrong_form_or_length_is_parsed(
    house: House, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """TK-1."""
    parsed: list[str] = []
    monkeypatch.setattr(jwt, "get_unverified_header", parsed.append)
    assert await house.fault(text) is TokenFault.INVALID
    assert parsed == []
    assert house.checks == 0


async def test_the_longest_text_that_may_be_a_token_is_parsed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[str] = []

    def parse(token: str) -> dict[str, Any]:
        parsed.append(token)
        return {}

    monkeypatch.setattr(jwt, "get_unverified_header", parse)
    longest = f"a.b.{'A' * (LONGEST_TOKEN - 4)}"
    assert await house.fault(longest) is TokenFault.INVALID
    assert parsed == [longest]


# What a signature does not vouch for

CLAIMS_OF_NO_FORM = {
    "iat": [10**17, 1e17, 253402300799, -1, True, 0.5, "0", None],
    "exp": [10**17, 1e17, 253402300799, 253402300800, 2**63, 10**30, True, math.nan, math.inf, "0", None],
    "sid": ["", "\ud800", "\0", "0" * 31, "0" * 33, "0" * 31 + "\n", "F" * 32, "\u0660" * 32, 1, None, []],
    "jti": ["", "\ud800", "\0", "0" * 31, "g" * 32, 1, None],
    "sub": ["", "\u0661", " 1", "1\n", "+1", "01", "0", "-1", "1_0", "9" * 20, "9" * 2000, "john"],
}


@pytest.mark.parametrize(
    ("claim", "value"),
    [(claim, value) for claim, values in CLAIMS_OF_NO_FORM.items() for value in values],
    ids=lambda value: f"{value!a:.20}",
)
@pytest.mark.parametrize("kind", TokenKind)
async def test_a_token_that_is_signed_but_of_another_form_than_ours_is_invalid(
    house: House, kind: TokenKind, claim: str, value: object
) -> None:
    """With HS256 whoever shares the key can sign one."""
    token = await house.tokens.sign(house.claims(kind=kind))
    key = await house.keyring.signing()
    payload = jwt.decode(token, options={"verify_signature": False})
    header = jwt.get_unverified_header(token)
    assert await house.fault(resigned(payload | {claim: value}, key, header)) is TokenFault.INVALID
    assert await house.tokens.read(resigned(payload, key, header), expected=kind) == house.claims(kind=kind)


def resigned(payload: dict[str, Any], key: OpenKey, header: dict[str, Any]) -> str:
    # Not by jwt.encode, which has an opinion of its own on some claims.
    return jwt.api_jws.encode(json.dumps(payload).encode(), key.private, key.algorithm, headers=header)


# What is remembered


async def test_the_signature_of_an_access_token_is_checked_once(house: House) -> None:
    claims = house.claims()
    token = await house.tokens.sign(claims)
    for _ in range(5):
        assert await house.tokens.read(token, expected=TokenKind.ACCESS) == claims
    assert house.checks == 1


async def test_the_signature_of_a_refresh_token_is_checked_each_time(house: House) -> None:
    token = await house.tokens.sign(house.claims(kind=TokenKind.REFRESH))
    for _ in range(3):
        await house.tokens.read(token, expected=TokenKind.REFRESH)
    assert house.checks == 3


async def test_a_remembered_token_expires_at_its_time(house: House) -> None:
    token = await house.tokens.sign(house.claims())
    await house.tokens.read(token, expected=TokenKind.ACCESS)
    house.clock.advance(LIFETIME + LEEWAY - timedelta.resolution)
    await house.tokens.read(token, expected=TokenKind.ACCESS)
    house.clock.advance(timedelta.resolution)
    assert await house.fault(token) is TokenFault.EXPIRED
    assert house.checks == 1


async def test_a_remembered_token_is_of_the_future_again_when_the_clock_is_set_back(house: House) -> None:
    token = await house.tokens.sign(house.claims())
    await house.tokens.read(token, expected=TokenKind.ACCESS)
    house.clock.advance(-timedelta(minutes=1))
    assert await house.fault(token) is TokenFault.INVALID


async def test_a_remembered_token_is_refused_where_another_kind_is_expected(house: House) -> None:
    token = await house.tokens.sign(house.claims())
    await house.tokens.read(token, expected=TokenKind.ACCESS)
    assert await house.fault(token, expected=TokenKind.REFRESH) is TokenFault.WRONG_TYPE


async def test_a_remembered_token_is_refused_once_the_retirement_of_its_key_is_heard_of(
    house: House,
) -> None:
    token = await house.tokens.sign(house.claims())
    await house.tokens.read(token, expected=TokenKind.ACCESS)
    key = await house.keyring.signing()
    await RetireKey(
        read=house.storage.read,
        begin=house.storage.begin,
        generator=house.sealed,
        clock=house.clock,
        longest_lifetime=LONGEST_LIFETIME,
    )(kid=key.kid)
    house.clock.advance(RELOADED_EVERY)
    assert await house.fault(token) is TokenFault.INVALID


async def test_a_token_that_only_resembles_a_remembered_one_is_not_taken_for_it(house: House) -> None:
    token = await house.tokens.sign(house.claims())
    await house.tokens.read(token, expected=TokenKind.ACCESS)
    head, body, signature = token.split(".")
    for other in (
        token.swapcase(),
        token.lower(),
        f"{token} ",
        f" {token}",
        f"{token}=",
        f"{head}.{body}.{signature[::-1]}",
        f"{head}.{body}.",
        f"{head}.{body}",
        f"{body}.{head}.{signature}",
    ):
        assert await house.fault(other) is TokenFault.INVALID, other
    assert await house.tokens.read(token, expected=None) == house.claims()


async def test_what_was_refused_is_not_remembered(house: House) -> None:
    genuine = await house.tokens.sign(house.claims())
    forged = genuine[:-8] + ("AAAAAAAA" if not genuine.endswith("AAAAAAAA") else "BBBBBBBB")
    for _ in range(3):
        assert await house.fault(forged) is TokenFault.INVALID
    assert house.checks == 3


async def test_no_more_tokens_are_remembered_than_there_is_room_for_the_oldest_are_forgotten(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "MOST_VERIFIED", 3)
    tokens = [await house.tokens.sign(house.claims(number)) for number in range(1, 5)]
    for token in tokens[:3]:
        await house.tokens.read(token, expected=None)
    await house.tokens.read(tokens[0], expected=None)  # so that it is not the oldest
    await house.tokens.read(tokens[3], expected=None)
    house.checks = 0
    for token in (tokens[0], tokens[2], tokens[3]):
        await house.tokens.read(token, expected=None)
    assert house.checks == 0
    await house.tokens.read(tokens[1], expected=None)
    assert house.checks == 1


async def test_a_flood_of_tokens_leaves_as_many_as_are_permitted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At its real size, of tokens that need no signature."""
    claims = house.claims()

    async def kept(self: Keyring, kid: str) -> object:
        return await house.keyring.signing()

    monkeypatch.setattr(Keyring, "verifying", kept)
    key = await house.keyring.signing()
    monkeypatch.setattr(JwtTokens, "_header", lambda *_: {"kid": key.kid, "typ": "at+jwt"})
    payload = jwt.decode(await house.tokens.sign(claims), options={"verify_signature": False})
    monkeypatch.setattr(JwtTokens, "_payload", lambda *_: payload)
    for number in range(adapter.MOST_VERIFIED + 1):
        await house.tokens.read(str(number), expected=None)
    remembered = house.tokens._verified
    assert len(remembered) == adapter.MOST_VERIFIED
    assert "0" not in remembered
    assert "1" in remembered


async def test_what_is_remembered_is_what_the_token_says(house: House) -> None:
    both = [house.claims(1), replace(house.claims(2), jti="a" * 32)]
    tokens = [await house.tokens.sign(claims) for claims in both]
    for _ in range(2):
        assert [await house.tokens.read(token, expected=None) for token in tokens] == both
