"""Languages, by their tags: `de`, `de-AT`, `zh-Hant` (RFC 5646). Case makes no difference."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from identity.domain.text import Malformed

TAG_SYNTAX = "Enter a valid language tag."
TAG_LIMIT = 35  # RFC 5646, 4.4.1: room for any tag that is in use

# Every language has a subtag of two or three letters; longer ones are reserved (RFC 5646, 2.2.1).
_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")


def is_language_tag(text: str) -> bool:
    """Whether the text is well-formed, not whether there is such a language."""
    return len(text) <= TAG_LIMIT and _TAG.fullmatch(text) is not None


def parse_language_tag(text: str) -> str:
    """The tag without surrounding white space; empty if there is none.

    Raises:
        Malformed: it is not well-formed.
    """
    tag = text.strip()
    if tag and not is_language_tag(tag):
        raise Malformed(TAG_SYNTAX)
    return tag


def fallbacks(tag: str) -> Iterator[str]:
    """The tag in lower case and what to look for after it: `zh-hant-tw`, `zh-hant`, `zh` (RFC 4647, 3.4)."""
    subtags = tag.lower().split("-")
    while subtags:
        yield "-".join(subtags)
        subtags.pop()
        if subtags and len(subtags[-1]) == 1:  # it only announces the next one
            subtags.pop()


def look_up(tag: str, available: Collection[str]) -> str | None:
    """The one of the `available` tags that is nearest to `tag`; `None` if none is of its language."""
    spelled = {each.lower(): each for each in available}
    return next((spelled[each] for each in fallbacks(tag) if each in spelled), None)
