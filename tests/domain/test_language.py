"""Which texts are language tags, and what is nearest to one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.domain.language import fallbacks, is_language_tag, look_up


@pytest.mark.parametrize(
    "tag", ["de", "de-AT", "zh-Hant-TW", "tlh", "sl-rozaj-biske-1994", "de-x-acme", "DE"]
)
def test_a_tag_is_a_language_and_what_narrows_it(tag: str) -> None:
    assert is_language_tag(tag)


@pytest.mark.parametrize(
    "text",
    [
        *("", "*", "d", "germ", "de_AT", "de-", "-de", "de--AT", "de-AT ", "de\n", "dé", "de-ＡＴ", "../de"),
        *("de-123456789", "de-x-" + "a" * 31, "en-" * 12 + "en"),
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert not is_language_tag(text)


def test_a_tag_has_35_characters_at_most() -> None:
    assert is_language_tag("de-x-" + "aaaaaaa-" * 3 + "aaaaaa")
    assert not is_language_tag("de-x-" + "aaaaaaa-" * 3 + "aaaaaaa")


def test_after_a_tag_comes_what_is_left_without_its_last_part() -> None:
    assert list(fallbacks("zh-Hant-CN-x-private1-private2")) == [
        *("zh-hant-cn-x-private1-private2", "zh-hant-cn-x-private1", "zh-hant-cn", "zh-hant", "zh"),
    ]  # the example of RFC 4647, 3.4


@pytest.mark.parametrize(
    ("tag", "found"),
    [("de-AT", "de-AT"), ("DE-at", "de-AT"), ("de-CH", "de"), ("de", "de"), ("en-GB", None), ("", None)],
)
def test_the_nearest_is_found_in_its_own_spelling(tag: str, found: str | None) -> None:
    assert look_up(tag, ["de", "de-AT", "pt-BR"]) == found


def test_a_language_is_not_found_in_its_regions() -> None:
    assert look_up("pt", ["pt-BR"]) is None


@given(st.text(max_size=50))
def test_any_text_can_be_looked_up(text: str) -> None:
    assert look_up(text, ["de"]) == ("de" if text.lower().split("-")[0] == "de" else None)
