"""What every `Tokens` adapter owes its port."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Protocol

import pytest

from identity.application.ports import Clock, Tokens
from identity.domain.errors import TokenFault, TokenRefused
from identity.domain.tokens import Claims, TokenKind
from identity.testing.conformance import Conformance

ACCESS, REFRESH = TokenKind.ACCESS, TokenKind.REFRESH
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
A_LITTLE = timedelta(minutes=5)
"""After its end an access token may be accepted at most this long."""
HEADER_CHARACTERS = 4096
"""What servers and proxies let pass in one header line, the rest of the line included, is not much more."""

_BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_NO_TOKENS = {
    "empty": "",
    "blank": " ",
    "dots": "...",
    "one word": "token",
    "three words": "a.b.c",
    "a NUL": "\x00",
    "letters beyond ASCII": "é.é.é",
    "half a surrogate pair": "\ud83d.a.b",
    "JSON": '{"user_id": 1}',
    "a JWT of empty objects": "e30.e30.e30",
    "a JWT that is not signed": "eyJhbGciOiJub25lIn0.eyJ1c2VyX2lkIjoiMSJ9.",
    "a megabyte of letters": "a" * 2**20,
    "a megabyte of dots": "." * 2**20,
}


class MovableClock(Clock, Protocol):
    """A clock that stands still until a test moves it, as `identity.adapters.memory.FixedClock` does."""

    def advance(self, step: timedelta) -> None: ...


class TokensConformance(Conformance):
    """Tests of a `Tokens` adapter.

    Takes the fixtures `clock`, the one by which the adapter judges; `tokens`; and `foreign_tokens`, the same
    adapter with another key.

        class TestPasetoTokens(TokensConformance):
            @pytest.fixture
            def clock(self):
                return FixedClock()

            @pytest.fixture
            def tokens(self, clock):
                return PasetoTokens(key=b"one", clock=clock)

            # and foreign_tokens, with key=b"another"
    """

    async def test_a_token_says_what_it_was_given(self, tokens: Tokens, clock: MovableClock) -> None:
        for kind in TokenKind:
            for user_id in (1, 2**63 - 1):
                claims = _claims(kind, clock, user_id=user_id)
                assert await tokens.read(await tokens.sign(claims), expected=kind) == claims

    async def test_each_claim_is_told_apart_from_another_s(self, tokens: Tokens, clock: MovableClock) -> None:
        several = [_claims(ACCESS, clock, user_id=user_id) for user_id in range(1, 9)]
        signed = await asyncio.gather(*(tokens.sign(claims) for claims in several))
        assert [await tokens.read(token, expected=ACCESS) for token in signed] == several

    async def test_reading_a_token_does_not_use_it_up(self, tokens: Tokens, clock: MovableClock) -> None:
        token = await tokens.sign(_claims(REFRESH, clock))
        assert await tokens.read(token, expected=REFRESH) == await tokens.read(token, expected=REFRESH)

    async def test_a_fraction_of_a_second_never_lengthens_a_life(
        self, tokens: Tokens, clock: MovableClock
    ) -> None:
        clock.advance(timedelta(microseconds=999_999))
        claims = _claims(REFRESH, clock, at_once=True)
        read = await tokens.read(await tokens.sign(claims), expected=REFRESH)
        assert claims.expires_at - SECOND < read.expires_at <= claims.expires_at
        assert claims.issued_at - SECOND < read.issued_at <= claims.issued_at

    async def test_a_token_fits_into_a_header(self, tokens: Tokens, clock: MovableClock) -> None:
        for kind in TokenKind:
            token = await tokens.sign(_claims(kind, clock, user_id=2**63 - 1))
            assert token.isascii()
            assert token.isprintable()
            assert " " not in token
            assert 0 < len(token) <= HEADER_CHARACTERS

    async def test_a_token_of_the_other_kind_is_refused(self, tokens: Tokens, clock: MovableClock) -> None:
        for kind, expected in ((ACCESS, REFRESH), (REFRESH, ACCESS)):
            token = await tokens.sign(_claims(kind, clock))
            assert await _fault(tokens, token, expected) is TokenFault.WRONG_TYPE

    async def test_either_kind_is_read_where_none_is_expected(
        self, tokens: Tokens, clock: MovableClock
    ) -> None:
        for kind in TokenKind:
            claims = _claims(kind, clock)
            assert await tokens.read(await tokens.sign(claims), expected=None) == claims

    async def test_a_token_is_good_until_its_end(self, tokens: Tokens, clock: MovableClock) -> None:
        signed = {kind: await tokens.sign(_claims(kind, clock)) for kind in TokenKind}
        clock.advance(HOUR - SECOND)
        for kind, token in signed.items():
            assert (await tokens.read(token, expected=kind)).kind is kind

    async def test_a_refresh_token_is_expired_from_its_end_on(
        self, tokens: Tokens, clock: MovableClock
    ) -> None:
        token = await tokens.sign(_claims(REFRESH, clock))
        for step in (HOUR, SECOND, 24 * HOUR):
            clock.advance(step)
            assert await _fault(tokens, token, REFRESH) is TokenFault.EXPIRED

    async def test_an_access_token_is_expired_a_little_after_its_end(
        self, tokens: Tokens, clock: MovableClock
    ) -> None:
        token = await tokens.sign(_claims(ACCESS, clock))
        for step in (HOUR + A_LITTLE, SECOND, 24 * HOUR):
            clock.advance(step)
            assert await _fault(tokens, token, ACCESS) is TokenFault.EXPIRED

    async def test_a_token_of_another_key_is_invalid(
        self, tokens: Tokens, foreign_tokens: Tokens, clock: MovableClock
    ) -> None:
        for kind in TokenKind:
            claims = _claims(kind, clock)
            token = await foreign_tokens.sign(claims)
            assert await foreign_tokens.read(token, expected=kind) == claims
            assert await _fault(tokens, token, kind) is TokenFault.INVALID

    async def test_a_token_that_was_changed_anywhere_is_invalid(
        self, tokens: Tokens, clock: MovableClock
    ) -> None:
        token = await tokens.sign(_claims(ACCESS, clock))
        unnoticed = [
            position
            for position, character in enumerate(token)
            if await _reads(tokens, token[:position] + _other(character) + token[position + 1 :])
        ]
        assert unnoticed == []

    async def test_a_token_that_was_cut_anywhere_is_invalid(
        self, tokens: Tokens, clock: MovableClock
    ) -> None:
        token = await tokens.sign(_claims(ACCESS, clock))
        cuts = range(1, len(token))
        assert [cut for cut in cuts if await _reads(tokens, token[:cut])] == []
        assert [cut for cut in cuts if await _reads(tokens, token[cut:])] == []

    async def test_the_parts_of_two_tokens_do_not_make_a_third(
        self, tokens: Tokens, clock: MovableClock
    ) -> None:
        mine, hers = [await tokens.sign(_claims(ACCESS, clock, user_id=user_id)) for user_id in (1, 2)]
        crossed = {mine[:cut] + hers[cut:] for cut in range(len(mine))} - {mine, hers}
        assert [token for token in crossed if await _reads(tokens, token)] == []

    async def test_a_token_with_something_around_it_is_invalid(
        self, tokens: Tokens, clock: MovableClock
    ) -> None:
        token = await tokens.sign(_claims(ACCESS, clock))
        forms = (
            "{}=",
            "{}==",
            "{} ",
            " {}",
            "{}\n",
            "\n{}",
            "{}.",
            ".{}",
            "{}\x00",
            "Bearer {}",
            '"{}"',
            "{}é",
        )
        assert [form for form in forms if await _reads(tokens, form.format(token))] == []

    async def test_what_is_no_token_is_invalid(self, tokens: Tokens) -> None:
        for name, text in _NO_TOKENS.items():
            for expected in (ACCESS, REFRESH, None):
                assert await _fault(tokens, text, expected) is TokenFault.INVALID, name

    async def test_of_several_faults_the_first_is_the_reason(
        self, tokens: Tokens, foreign_tokens: Tokens, clock: MovableClock
    ) -> None:
        genuine = await tokens.sign(_claims(REFRESH, clock))
        foreign = await foreign_tokens.sign(_claims(REFRESH, clock))
        assert await _fault(tokens, foreign, ACCESS) is TokenFault.INVALID
        clock.advance(HOUR + A_LITTLE)
        assert await _fault(tokens, foreign, REFRESH) is TokenFault.INVALID
        assert await _fault(tokens, foreign, ACCESS) is TokenFault.INVALID
        assert await _fault(tokens, genuine, ACCESS) is TokenFault.EXPIRED


def _claims(kind: TokenKind, clock: Clock, *, user_id: int = 1, at_once: bool = False) -> Claims:
    """Claims that end in an hour. Adapters may keep whole seconds only, so these are, unless `at_once`."""
    now = clock.now() if at_once else clock.now().replace(microsecond=0)
    return Claims(
        kind=kind,
        user_id=user_id,
        session_id=f"{user_id:032x}",
        jti=f"{user_id + 1:032x}",
        issued_at=now,
        expires_at=now + HOUR,
    )


def _other(character: str) -> str:
    """Another character, one that differs in a bit that counts.

    In base64 the last character may end in bits that no octet is made of (RFC 4648, 3.5). Turning over the
    first of its six bits always makes another value.
    """
    position = _BASE64URL.find(character)
    return _BASE64URL[position ^ 32] if position >= 0 else "A"


async def _reads(tokens: Tokens, token: str) -> bool:
    """Whether the token is accepted; if not, it is for being invalid and for nothing else."""
    try:
        await tokens.read(token, expected=None)
    except TokenRefused as refusal:
        return refusal.reason is not TokenFault.INVALID
    return True


async def _fault(tokens: Tokens, token: str, expected: TokenKind | None) -> TokenFault:
    with pytest.raises(TokenRefused) as refusal:
        await tokens.read(token, expected=expected)
    return refusal.value.reason
