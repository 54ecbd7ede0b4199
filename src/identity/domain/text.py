"""What every text field has in common: it is not blank, not too long, and free of control characters."""

from __future__ import annotations

import unicodedata

BLANK = "This field may not be blank."
CONTROL_CHARACTERS = "Null characters are not allowed."


class Malformed(ValueError):
    """A text that a `parse()` does not accept. `problems` are its messages, at least one."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems


def too_long(limit: int) -> str:
    return f"Ensure this field has no more than {limit} characters."


def has_control_characters(text: str) -> bool:
    """Whether the text holds a control character (Unicode category Cc) or half a surrogate pair (Cs)."""
    return any(unicodedata.category(character) in {"Cc", "Cs"} for character in text)


def parse_line(text: str, *, limit: int) -> str:
    """The text without surrounding white space.

    Raises:
        Malformed: it is blank, longer than `limit` code points, or holds control characters.
    """
    line = text.strip()
    if not line:
        raise Malformed(BLANK)
    if has_control_characters(line):
        raise Malformed(CONTROL_CHARACTERS)
    if len(line) > limit:
        raise Malformed(too_long(limit))
    return line
