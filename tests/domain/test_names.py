"""What may be a username or an e-mail address, and which of them are the same."""

from __future__ import annotations

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.domain.names import EmailAddress, Username
from identity.domain.text import Malformed

BLANK = "This field may not be blank."
NUL = "Null characters are not allowed."
CHARACTERS = "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters."
SYNTAX = "Enter a valid email address."
USERNAME_TOO_LONG = "Ensure this field has no more than 150 characters."
EMAIL_TOO_LONG = "Ensure this field has no more than 254 characters."

ZERO_WIDTH = ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad"]
BIDI = ["\u202a", "\u202e", "\u2066", "\u2069", "\u200f", "\u061c"]
INVISIBLE = ["\u034f", "\u115f", "\u1160", "\u17b4", "\u180b", "\u3164", "\ufe0f", "\uffa0", "\U000e0100"]
CONTROL = ["\0", "\x07", "\x1b", "\x7f", "\x9b", "\r", "\n", "\r\n", "\ud800"]


def problems(kind: type[Username | EmailAddress], text: str) -> tuple[str, ...]:
    with pytest.raises(Malformed) as refusal:
        kind.parse(text)
    return refusal.value.problems


def is_accepted(kind: type[Username | EmailAddress], text: str) -> bool:
    try:
        kind.parse(text)
    except Malformed:
        return False
    return True


LETTERS = st.characters(categories=["L", "Nd"])
USERNAMES = st.text(LETTERS | st.sampled_from("@.+-_"), min_size=1, max_size=60).filter(
    lambda text: is_accepted(Username, text)
)
ASCII_NAMES = st.text(string.ascii_letters + string.digits + "@.+-_", min_size=1, max_size=150)
LABELS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,10}[A-Za-z0-9])?", fullmatch=True)
ASCII_DOMAINS = st.builds(
    lambda labels, last: ".".join([*labels, last]),
    st.lists(LABELS, min_size=1, max_size=3),
    st.from_regex(r"[A-Za-z]{2,10}", fullmatch=True),
)
ASCII_ADDRESSES = st.builds(
    lambda atoms, domain: f"{'.'.join(atoms)}@{domain}",
    st.lists(
        st.text(string.ascii_letters + string.digits + "!#$%&'*+-/=?^_`{|}~", min_size=1, max_size=9),
        min_size=1,
        max_size=4,
    ),
    ASCII_DOMAINS,
)
ADDRESSES = st.builds(
    lambda local_part, domain: f"{local_part}@{domain}",
    st.text(st.characters(categories=["L", "M", "Nd"]), min_size=1, max_size=15),
    st.text(st.characters(categories=["L", "M"]), min_size=1, max_size=15).map(
        lambda text: text + ".example"
    ),
).filter(lambda text: is_accepted(EmailAddress, text))


class TestWhichUsernamesAreAccepted:
    @pytest.mark.parametrize(
        "name",
        [
            "a",
            "alice",
            "Alice.B+c-d_9",
            "ålice",
            "Ñandú",
            "李雷",
            "ユーザー",
            "مستخدم",
            "пётр",
            "٣٤٥",
            "me@here",
        ],
    )
    def test_letters_and_digits_of_any_script_and_five_marks(self, name: str) -> None:
        assert Username.parse(name).value == name

    def test_surrounding_white_space_is_trimmed(self) -> None:
        assert Username.parse(" \t alice \n").value == "alice"

    @pytest.mark.parametrize("name", ["", " ", "\t\r\n", "\u3000\u2003", "\x1c\x85"])
    def test_nothing_but_white_space_is_blank(self, name: str) -> None:
        assert problems(Username, name) == (BLANK,)

    @pytest.mark.parametrize("mark", list(" !\"#$%&'()*,/:;<=>?[\\]^`{|}~"))
    def test_no_other_mark_of_ascii(self, mark: str) -> None:
        assert problems(Username, f"a{mark}b") == (CHARACTERS,)

    @pytest.mark.parametrize(
        "character", [*ZERO_WIDTH, *INVISIBLE, *BIDI, "\u2028", "\u00a0", "\ufffd", "😀", "\u0301"]
    )
    def test_nothing_that_does_not_show_or_reorders_what_does(self, character: str) -> None:
        assert problems(Username, f"a{character}b") == (CHARACTERS,)

    @pytest.mark.parametrize("character", CONTROL)
    def test_no_control_character_and_no_half_of_a_surrogate_pair(self, character: str) -> None:
        assert problems(Username, f"a{character}b") == (NUL,)

    @pytest.mark.parametrize("name", ["a＠b", "a﹫b", "⑴", "a℀b", "a／b"])
    def test_nothing_that_normalises_to_another_mark(self, name: str) -> None:
        assert problems(Username, name) == (CHARACTERS,)

    def test_150_characters_and_not_151(self) -> None:
        assert Username.parse("x" * 150).value == "x" * 150
        assert Username.parse(" " + "李" * 150 + " ").value == "李" * 150
        assert problems(Username, "x" * 151) == (USERNAME_TOO_LONG,)

    def test_a_name_whose_key_would_be_longer_than_150(self) -> None:
        assert Username.parse("ﬃ" * 50).key == "ffi" * 50
        assert problems(Username, "ﬃ" * 51) == (USERNAME_TOO_LONG,)

    @given(st.text(max_size=200))
    def test_any_text_is_accepted_or_refused_with_one_of_the_messages(self, text: str) -> None:
        try:
            name = Username.parse(text)
        except Malformed as malformed:
            (problem,) = malformed.problems
            assert problem in {BLANK, NUL, CHARACTERS, USERNAME_TOO_LONG}
        else:
            assert name.value == text.strip()
            assert 0 < len(name.key) <= 150


class TestWhichUsernamesAreTheSame:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("alice", "ALICE"),
            ("alice", "ａｌｉｃｅ"),
            ("alice", "ＡＬＩＣＥ"),
            ("file", "ﬁle"),
            ("straße", "STRASSE"),
            ("k", "\u212a"),  # the Kelvin sign
            ("å", "\u212b"),  # the Ångström sign
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
            ("user1", "user①"),
        ],
    )
    def test_case_width_and_compatibility_forms_make_no_difference(self, one: str, other: str) -> None:
        assert Username.parse(one).key == Username.parse(other).key

    @pytest.mark.parametrize(
        ("one", "other"),
        [("alice", "alicе"), ("mike", "mıke"), ("admin", "ádmin"), ("a.b", "ab"), ("a_b", "a-b")],
    )
    def test_a_mark_an_accent_or_another_script_does(self, one: str, other: str) -> None:
        assert Username.parse(one).key != Username.parse(other).key

    def test_the_name_is_kept_as_it_was_typed(self) -> None:
        assert str(Username.parse(" ＡLice ")) == "ＡLice"

    @given(USERNAMES)
    def test_the_key_of_a_key_is_the_key(self, text: str) -> None:
        key = Username.parse(text).key
        assert Username(key).key == key

    @given(USERNAMES)
    def test_the_key_does_not_depend_on_normalisation_or_case_folding(self, text: str) -> None:
        key = Username.parse(text).key
        variants = [unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD")]
        assert {Username(variant).key for variant in [*variants, text.casefold(), text.lower()]} == {key}

    @given(ASCII_NAMES)
    def test_in_ascii_upper_lower_and_swapped_case_are_the_same_name(self, text: str) -> None:
        variants = {text, text.upper(), text.lower(), text.swapcase()}
        assert {Username.parse(variant).key for variant in variants} == {text.lower()}

    @given(USERNAMES)
    def test_only_a_visible_at_sign_looks_like_an_address(self, text: str) -> None:
        name = Username.parse(text)
        assert name.looks_like_an_address == ("@" in text) == ("@" in name.key)

    def test_what_is_stored_is_not_judged_again(self) -> None:
        assert Username("no longer allowed!").value == "no longer allowed!"


class TestWhichAddressesAreAccepted:
    @pytest.mark.parametrize(
        "address",
        [
            "alice@example.com",
            "Alice.B+tag@Example.Co.UK",
            "!#$%&'*+-/=?^_`{|}~@example.com",
            "a@b.co",
            "1@2.example",
            "用户@例子.广告",
            "jösé@exämple.com",
            "a@xn--exmple-cua.com",
            "o'brien@example.com",
            f"{'l' * 64}@example.com",
            f"a@{'d' * 63}.com",
        ],
    )
    def test_a_dot_atom_and_a_domain_name(self, address: str) -> None:
        assert EmailAddress.parse(address).value == address

    def test_surrounding_white_space_is_trimmed(self) -> None:
        assert EmailAddress.parse("\r\n alice@example.com \r\n").value == "alice@example.com"

    @pytest.mark.parametrize("address", ["", "  ", "\r\n"])
    def test_nothing_but_white_space_is_blank(self, address: str) -> None:
        assert problems(EmailAddress, address) == (BLANK,)

    @pytest.mark.parametrize(
        "address",
        [
            "alice",
            "@example.com",
            "alice@",
            "@",
            "alice@localhost",
            ".alice@example.com",
            "alice.@example.com",
            "al..ice@example.com",
            "alice@.example.com",
            "alice@example.com.",
            "alice@example..com",
            "alice@-example.com",
            "alice@example-.com",
            "alice@exam_ple.com",
            f"{'l' * 65}@example.com",
            f"{'é' * 33}@example.com",
            f"a@{'d' * 64}.com",
        ],
    )
    def test_no_empty_or_oversized_part(self, address: str) -> None:
        assert problems(EmailAddress, address) == (SYNTAX,)

    @pytest.mark.parametrize(
        "address",
        [
            "a@x.com,b@y.com",
            "a@x,b@y",
            "a@x.com;b@y.com",
            "a@x.com b@y.com",
            "a@x.com@y.com",
            "Alice <alice@example.com>",
            "<alice@example.com>",
            "alice@example.com>",
            "mailto:alice@example.com",
            "alice@example.com?bcc=b@y.com",
            "alice%example.com@",
        ],
    )
    def test_never_more_than_one_address_and_nothing_around_it(self, address: str) -> None:
        assert problems(EmailAddress, address) == (SYNTAX,)

    @pytest.mark.parametrize(
        "address",
        [
            '"alice"@example.com',
            '"a b"@example.com',
            '"a@b"@example.com',
            "al\\ice@example.com",
            "alice(comment)@example.com",
            "alice@(comment)example.com",
        ],
    )
    def test_no_quoted_local_part_and_no_comment(self, address: str) -> None:
        assert problems(EmailAddress, address) == (SYNTAX,)

    @pytest.mark.parametrize("encoded", ["?utf-8?q?a=0D=0ABcc=3A_eve=40evil.example?", "?x?B?YQ?", "??Q??"])
    def test_no_encoded_word_that_mail_software_would_decode(self, encoded: str) -> None:
        assert problems(EmailAddress, f"={encoded}=@example.com") == (SYNTAX,)

    @pytest.mark.parametrize(
        "address", ["a@[127.0.0.1]", "a@[IPv6:::1]", "a@127.0.0.1", "a@1.2.3.٤", "a@::1", "a@example.123"]
    )
    def test_no_address_of_the_internet_protocol(self, address: str) -> None:
        assert problems(EmailAddress, address) == (SYNTAX,)

    @pytest.mark.parametrize("character", CONTROL)
    def test_no_control_character_that_could_end_a_header(self, character: str) -> None:
        assert problems(EmailAddress, f"a{character}b@example.com") == (NUL,)
        assert problems(EmailAddress, f"a@example.com{character}bcc:b@y.com") == (NUL,)

    @pytest.mark.parametrize(
        "character", [*ZERO_WIDTH, *INVISIBLE, *BIDI, "\u2028", "\u2029", "\u00a0", "\u3000"]
    )
    def test_nothing_that_does_not_show(self, character: str) -> None:
        assert problems(EmailAddress, f"a{character}b@example.com") == (SYNTAX,)
        assert problems(EmailAddress, f"ab@exam{character}ple.com") == (SYNTAX,)

    @pytest.mark.parametrize(
        "address",
        ["a＠example.com", "a@ｅxample.com", "a@example。com", "a@ex①mple.com", "a@exa℀mple.com", "a@ﬁ.com"],
    )
    def test_no_domain_that_would_be_another_one_in_the_dns(self, address: str) -> None:
        assert problems(EmailAddress, address) == (SYNTAX,)

    def test_254_characters_and_not_255(self) -> None:
        longest = f"{'l' * 64}@{'d' * 60}.{'d' * 60}.{'d' * 59}.example"
        assert len(longest) == 254
        assert EmailAddress.parse(f" {longest} ").value == longest
        assert problems(EmailAddress, longest.replace("@", "@d")) == (EMAIL_TOO_LONG,)

    def test_an_address_whose_key_would_be_longer_than_254(self) -> None:
        domain = ".".join(["İ" * 20] * 11)  # in lower case each of these is two characters
        assert problems(EmailAddress, f"a@{domain}.example") == (EMAIL_TOO_LONG,)

    @given(st.text(max_size=40) | st.builds("{}@{}".format, st.text(max_size=10), st.text(max_size=10)))
    def test_any_text_is_accepted_or_refused_with_one_of_the_messages(self, text: str) -> None:
        try:
            address = EmailAddress.parse(text)
        except Malformed as malformed:
            (problem,) = malformed.problems
            assert problem in {BLANK, NUL, SYNTAX, EMAIL_TOO_LONG}
        else:
            assert address.value == text.strip()
            assert address.value.count("@") == 1
            assert not any(character.isspace() for character in address.value)

    @given(ASCII_ADDRESSES)
    def test_every_plain_address_is_accepted(self, text: str) -> None:
        address = EmailAddress.parse(text)
        assert address.value == text
        assert address.local_part == text.partition("@")[0]


class TestWhichAddressesAreTheSame:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("alice@example.com", "ALICE@EXAMPLE.COM"),
            ("jösé@example.com", "JO\u0308SE\u0301@example.com"),
            ("kate@example.com", "\u212aate@example.com"),  # the Kelvin sign is canonically a K
            ("пётр@example.com", "ПЁТР@example.com"),
        ],
    )
    def test_case_and_canonical_form_make_no_difference(self, one: str, other: str) -> None:
        assert EmailAddress.parse(one).key == EmailAddress.parse(other).key

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("mike@example.com", "mıke@example.com"),
            ("mike@example.com", "mİke@example.com"),
            ("strasse@example.com", "straße@example.com"),
            ("a@fass.example", "a@faß.example"),
            ("file@example.com", "ﬁle@example.com"),
            ("alice@example.com", "ａlice@example.com"),
            ("sam@example.com", "ſam@example.com"),
            ("admin@example.com", "ádmin@example.com"),
            ("alice@example.com", "alice+tag@example.com"),
            ("a.b@example.com", "ab@example.com"),
        ],
    )
    def test_whoever_might_be_somebody_else_is(self, one: str, other: str) -> None:
        assert EmailAddress.parse(one).key != EmailAddress.parse(other).key

    def test_mail_goes_to_the_address_as_it_was_typed(self) -> None:
        assert str(EmailAddress.parse(" Alice@Example.COM ")) == "Alice@Example.COM"

    @given(ADDRESSES)
    def test_the_key_of_a_key_is_the_key(self, text: str) -> None:
        key = EmailAddress.parse(text).key
        assert EmailAddress(key).key == key

    @given(ADDRESSES)
    def test_the_key_does_not_depend_on_canonical_form_or_lower_case(self, text: str) -> None:
        key = EmailAddress.parse(text).key
        variants = [unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text), text.lower()]
        assert {EmailAddress(variant).key for variant in variants} == {key}

    @given(ASCII_ADDRESSES)
    def test_in_ascii_upper_lower_and_swapped_case_are_the_same_address(self, text: str) -> None:
        variants = {text, text.upper(), text.lower(), text.swapcase()}
        assert {EmailAddress.parse(variant).key for variant in variants} == {text.lower()}

    @given(ADDRESSES, ASCII_ADDRESSES)
    def test_no_address_beyond_ascii_is_the_same_as_one_within(self, beyond: str, within: str) -> None:
        key = EmailAddress.parse(beyond).key
        if not unicodedata.normalize("NFC", beyond).isascii():
            assert not key.isascii()
            assert key != EmailAddress.parse(within).key

    def test_what_is_stored_is_not_judged_again(self) -> None:
        assert EmailAddress('"no longer"@allowed').local_part == '"no longer"'


def test_a_username_is_an_address_only_where_no_other_address_could_be_the_same_username() -> None:
    wide = "alic\uff45@example.com"
    assert Username("Alice@example.com").is_address(EmailAddress("alice@example.com"))
    assert not Username(wide).is_address(EmailAddress(wide))
    assert Username.of_address(EmailAddress(wide)) is None
