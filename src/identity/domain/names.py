"""The two names of an account, each kept as it was typed and compared by a canonical `key`; and the name that
it shows, which is compared with none.

`parse()` judges input; the plain constructor trusts what storage holds, so that a rule that is tightened
later never makes an old row unreadable.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Self

from identity.domain.text import Malformed, parse_line, too_long

USERNAME_LIMIT = 150
DISPLAY_NAME_LIMIT = 150
EMAIL_LIMIT = 254  # RFC 5321, 4.5.3.1.3: a path has 256 octets, two of which are the angle brackets
LOCAL_PART_LIMIT = 64  # RFC 5321, 4.5.3.1.1
LABEL_LIMIT = 63  # RFC 1035, 2.3.4

USERNAME_CHARACTERS = (
    "Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters."
)
EMAIL_SYNTAX = "Enter a valid email address."
DISPLAY_NAME_CHARACTERS = (
    "Enter a valid display name. This value may not contain line breaks or invisible characters."
)

# Letters and marks that nobody sees: Unicode's Default_Ignorable_Code_Point, beyond what is refused anyway,
# and the joiner of Brahmi numbers and the filler of Khitan, which are not in it.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U0001107f\U00016fe4\U000e0000-\U000e0fff]"
)
# Format characters (bidirectional controls, joiners of no width), and separators of lines and paragraphs.
_UNSEEN_CATEGORIES = frozenset({"Cf", "Zl", "Zp"})
_ENCODED_WORD = re.compile(r"=\?[^?]*\?[BbQq]\?")  # RFC 2047, 2: mail software takes it for what it encodes
_USERNAME = re.compile(r"[\w.@+-]+")
_ASCII_ATOM = frozenset("!#$%&'*+-/=?^_`{|}~")  # RFC 5322, 3.2.3: atext besides letters and digits


@dataclass(frozen=True, slots=True)
class Username:
    """The name somebody goes by. Two that differ only in case or width are the same name."""

    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises `Malformed` with the message of the first rule it breaks."""
        line = parse_line(text, limit=USERNAME_LIMIT)
        name = cls(line)
        forms = (line, unicodedata.normalize("NFKC", line))
        if _INVISIBLE.search(line) or not all(_USERNAME.fullmatch(form) for form in forms):
            raise Malformed(USERNAME_CHARACTERS)
        if len(name.key) > USERNAME_LIMIT:
            raise Malformed(too_long(USERNAME_LIMIT))
        return name

    @classmethod
    def of_address(cls, address: EmailAddress) -> Self | None:
        """The name that is this address; `None` for one that a name cannot be."""
        try:
            name = cls.parse(address.value)
        except Malformed:
            return None
        return name if name.is_address(address) else None

    def is_address(self, address: EmailAddress) -> bool:
        """Not one of an address whose key is another's as a name: of two such, one would be the other's."""
        return EmailAddress(self.value).key == address.key == self.key

    @property
    def key(self) -> str:
        """NFKC and case folding, as identifiers are compared (Unicode UAX 31, R5)."""
        return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", self.value).casefold())

    @property
    def looks_like_an_address(self) -> bool:
        return "@" in self.value

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class EmailAddress:
    """A mailbox. Mail is sent to `value`, exactly as its owner typed it."""

    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """An address that is a dot-atom, an `@` and a domain name (RFC 5321; RFC 6531 beyond ASCII).

        Quoted local parts, comments and address literals are not accepted.

        Raises:
            Malformed: with the message of the first rule it breaks.
        """
        line = parse_line(text, limit=EMAIL_LIMIT)
        local_part, at, domain = line.rpartition("@")
        if not at or _INVISIBLE.search(line) or not _is_dot_atom(local_part) or not _is_domain_name(domain):
            raise Malformed(EMAIL_SYNTAX)
        address = cls(line)
        if len(address.key) > EMAIL_LIMIT:
            raise Malformed(too_long(EMAIL_LIMIT))
        return address

    @property
    def key(self) -> str:
        """NFC and lower case; not case folding, which would make one of faß.example and fass.example."""
        return unicodedata.normalize("NFC", unicodedata.normalize("NFC", self.value).lower())

    @property
    def local_part(self) -> str:
        return self.value.rpartition("@")[0]

    def __str__(self) -> str:
        return self.value


def parse_display_name(text: str) -> str:
    """How somebody would like to be called, without surrounding white space; empty if they do not say.

    Raises:
        Malformed: it is too long, or holds what nobody sees.
    """
    if not text.strip():
        return ""
    line = parse_line(text, limit=DISPLAY_NAME_LIMIT)
    if _INVISIBLE.search(line) or any(unicodedata.category(each) in _UNSEEN_CATEGORIES for each in line):
        raise Malformed(DISPLAY_NAME_CHARACTERS)
    return line


def _is_dot_atom(text: str) -> bool:
    if _ENCODED_WORD.search(text) or len(text.encode()) > LOCAL_PART_LIMIT:
        return False
    return all(
        atom and all(_is_word(character) or character in _ASCII_ATOM for character in atom)
        for atom in text.split(".")
    )


def _is_domain_name(text: str) -> bool:
    # A name that compatibility mapping would change is another name by the time it reaches the DNS.
    if unicodedata.normalize("NFKC", text.lower()) != unicodedata.normalize("NFC", text.lower()):
        return False
    labels = text.split(".")
    return len(labels) > 1 and not labels[-1].isdigit() and all(_is_label(label) for label in labels)


def _is_label(text: str) -> bool:
    return (
        0 < len(text.encode()) <= LABEL_LIMIT
        and all(_is_word(character) or character == "-" for character in text)
        and not text.startswith("-")
        and not text.endswith("-")
    )


def _is_word(character: str) -> bool:
    """A letter, a digit, or a mark that belongs to one."""
    return character.isalnum() or unicodedata.category(character).startswith("M")
