"""Which language whoever asks would like to be written to in."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from litestar.di import NamedDependency

from identity.domain.language import is_language_tag, look_up
from identity.entrypoints.http.body import AnyRequest

RANGES_LIMIT = 32
"""Nobody reads more languages; what follows is not read."""

# RFC 9110, 12.5.4 and 12.4.2
_RANGE = re.compile(
    r"(?P<tag>[A-Za-z0-9-]+)(?:[ \t]*;[ \t]*[Qq]=(?P<weight>0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?"
)


class Languages:
    """The languages that mail is written in, to be chosen from."""

    def __init__(self, locales: Collection[str]) -> None:
        self._locales = locales

    def preferred(self, values: Iterable[str]) -> str:
        """The tag of the one that comes first by the `Accept-Language` header, or "" for none of them.

        What is not well-formed in the header is passed over: it is a wish, and no reason to refuse anybody.
        """
        parts = ",".join(values).split(",", RANGES_LIMIT)[:RANGES_LIMIT]
        ranges = filter(None, (_RANGE.fullmatch(part.strip(" \t")) for part in parts))
        weighed = [
            (float(each["weight"] or 1), each["tag"]) for each in ranges if is_language_tag(each["tag"])
        ]
        for weight, tag in sorted(weighed, key=lambda pair: -pair[0]):
            locale = look_up(tag, self._locales) if weight else None
            if locale:
                return locale
        return ""


def provide_language(request: AnyRequest, languages: NamedDependency[Languages]) -> str:
    return languages.preferred(request.headers.getall("accept-language", []))
