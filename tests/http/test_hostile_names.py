"""No two accounts that differ in nothing but what nobody sees, on each storage."""

from __future__ import annotations

import json

import pytest

CHARACTERS = "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters."
SYNTAX = "Enter a valid email address."
NUL = "Null characters are not allowed."
NAME_TAKEN = "A user with that username already exists."
EMAIL_TAKEN = "A user with that email already exists."

NOT_A_TEXT = {
    "NUL": "\0",
    "half a pair": "\ud800",
    "the other half": "\udc00",
    "delete": "\x7f",
    "C1": "\x9b",
}
UNSEEN = {
    "zero width space": "\u200b",
    "zero width joiner": "\u200d",
    "zero width non-joiner": "\u200c",
    "byte order mark": "\ufeff",
    "word joiner": "\u2060",
    "soft hyphen": "\u00ad",
    "right-to-left override": "\u202e",
    "left-to-right embedding": "\u202a",
    "first strong isolate": "\u2068",
    "Arabic letter mark": "\u061c",
    "Hangul filler": "\u3164",
    "variation selector": "\ufe0f",
    "tag": "\U000e0061",
    "Khitan filler": "\U00016fe4",
    "a flood of marks": "\u0334" * 100,
}


async def register(service, **changes):
    body = {"username": "mary", "email": "mary@example.com", "password": "yourpassword123"} | changes
    answer = await service.client.post(
        "/api/auth/register/", content=json.dumps(body), headers={"Content-Type": "application/json"}
    )
    return answer.status_code, answer.json()


def spoilt(name, character):
    """The name with this character in front, within, in each part, and at the end."""
    return [name[:place] + character + name[place:] for place in (0, 2, len(name) - 2, len(name))]


@pytest.mark.parametrize("character", UNSEEN)
async def test_a_twin_of_a_name_that_nobody_could_tell_apart_is_refused(shared_service, character):
    for name in spoilt("john_doe", UNSEEN[character]):
        assert await register(shared_service, username=name) == (400, {"username": [CHARACTERS]})
    for email in spoilt("john@example.com", UNSEEN[character]):
        assert await register(shared_service, email=email) == (400, {"email": [SYNTAX]})


@pytest.mark.parametrize("character", NOT_A_TEXT)
async def test_what_no_text_holds_is_refused_by_name(shared_service, character):
    for name in spoilt("john_doe", NOT_A_TEXT[character]):
        assert await register(shared_service, username=name) == (400, {"username": [NUL]})
    for email in spoilt("john@example.com", NOT_A_TEXT[character]):
        assert await register(shared_service, email=email) == (400, {"email": [NUL]})


@pytest.mark.parametrize(
    "twin", ["ｊｏｈｎ_ｄｏｅ", "𝓳𝓸𝓱𝓷_𝓭𝓸𝓮", "𝗷𝗼𝗵𝗻_𝗱𝗼𝗲", "ʲᵒʰⁿ_ᵈᵒᵉ", "\u2003john_doe\u3000"]
)
async def test_the_same_letters_in_another_width_or_style_are_the_same_username(shared_service, twin):
    assert await register(shared_service, username=twin) == (400, {"username": [NAME_TAKEN]})


async def test_the_same_letters_taken_apart_are_the_same_address(service):
    composed, apart = "jo\u00df\u00e9@b\u00fccher.example", "jo\u00dfe\u0301@bu\u0308cher.example"
    assert (await register(service, email=composed))[0] == 201
    assert await register(service, username="anna", email=apart) == (400, {"email": [EMAIL_TAKEN]})
    assert await service.can_log_in(apart)


async def test_a_domain_in_another_width_is_refused(shared_service):
    for email in ("john@ｅｘａｍｐｌｅ.com", "john＠example.com", "john@example．com", "john@example。com"):
        assert await register(shared_service, email=email) == (400, {"email": [SYNTAX]})


async def test_a_name_that_nobody_could_tell_apart_logs_nobody_in(shared_service):
    for character in UNSEEN.values():
        for name in spoilt("john_doe", character) + spoilt("john@example.com", character):
            assert not await shared_service.can_log_in(name)


async def test_a_name_longer_than_any_logs_nobody_in_however_long_it_takes_to_normalise(shared_service):
    for name in ("x" * 15_000, "a" + "\u0345\u0334" * 3500, "\ufdfa" * 2500, "x@" + "\u0345\u0334" * 3500):
        assert not await shared_service.can_log_in(name)
    before = shared_service.hasher.count
    assert not await shared_service.can_log_in("x" * 15_000)
    assert shared_service.hasher.count == before + 1  # as for any other name
