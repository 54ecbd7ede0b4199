"""No two names differ in nothing but what nobody sees, for any character that Unicode has."""

from __future__ import annotations

import contextlib
import sys
import unicodedata

import pytest

from identity.domain.names import EmailAddress, Username
from identity.domain.text import CONTROL_CHARACTERS, Malformed

# Default_Ignorable_Code_Point (Unicode 16, DerivedCoreProperties.txt), and two marks that are as invisible.
IGNORABLE = [
    *(0x00AD, 0x034F, 0x061C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFEFF, 0xFFA0, 0x16FE4, 0x1107F),
    *range(0x180B, 0x1810),
    *range(0x200B, 0x2010),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    *range(0xFE00, 0xFE10),
    *range(0xFFF0, 0xFFF9),
    *range(0x1BCA0, 0x1BCA4),
    *range(0x1D173, 0x1D17B),
    *range(0xE0000, 0xE1000),
]
CATEGORIES = {"Cc", "Cf", "Cs", "Zs", "Zl", "Zp"}  # controls, formats, half pairs, and every kind of space
EVERY = map(chr, range(sys.maxunicode + 1))
UNSEEN = {*map(chr, IGNORABLE), *(each for each in EVERY if unicodedata.category(each) in CATEGORIES)}


@pytest.mark.parametrize(("kind", "name"), [(Username, "john_doe"), (EmailAddress, "john@example.com")])
def test_a_name_with_something_unseen_in_it_is_refused_or_trimmed(kind, name):
    accepted = set()
    for character in UNSEEN:
        for place in (0, 2, name.find("@") % len(name), len(name) - 2, len(name)):
            text = name[:place] + character + name[place:]
            with contextlib.suppress(Malformed):
                accepted.add((character, kind.parse(text).value))
    assert {value for _, value in accepted} == {name}
    assert all(character.isspace() for character, _ in accepted)


@pytest.mark.parametrize("kind", [Username, EmailAddress])
def test_a_name_of_nothing_but_what_is_unseen_is_refused(kind):
    for character in UNSEEN:
        for text in (character, character * 3, f"{character}@{character}.com"):
            with pytest.raises(Malformed):
                kind.parse(text)


@pytest.mark.parametrize("character", ["\0", "\ud800", "\x85", "\x7f"])
def test_what_no_text_holds_is_named(character):
    for kind, name in ((Username, "john_doe"), (EmailAddress, "john@example.com")):
        with pytest.raises(Malformed) as refusal:
            kind.parse(name[:2] + character + name[2:])
        assert refusal.value.problems == (CONTROL_CHARACTERS,)


def test_a_flood_of_marks_is_no_username_and_no_address():
    for marks in (1, 10, 140):
        with pytest.raises(Malformed):
            Username.parse("a" + "\u0334" * marks)
    for marks in (32, 100, 250):
        with pytest.raises(Malformed):
            EmailAddress.parse("a" + "\u0334" * marks + "@example.com")


@pytest.mark.parametrize(
    "twin",
    ["ｊｏｈｎ＿ｄｏｅ", "JOHN_DOE", "𝓳𝓸𝓱𝓷_𝓭𝓸𝓮", "𝗷𝗼𝗵𝗻_𝗱𝗼𝗲", "ⓙⓞⓗⓝ_ⓓⓞⓔ", "ʲᵒʰⁿ_ᵈᵒᵉ", "john＿doe"],
)
def test_the_same_letters_in_another_width_or_style_are_the_same_username_or_none(twin):
    with contextlib.suppress(Malformed):
        assert Username.parse(twin).key == "john_doe"


def test_the_same_letters_in_another_width_make_no_second_domain():
    for twin in ("john@ｅｘａｍｐｌｅ.com", "john＠example.com", "john@example．com", "john@example。com"):
        with pytest.raises(Malformed):
            EmailAddress.parse(twin)
