"""Reading what stands behind the question mark: as strictly as a body, with all problems in one answer."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl

from litestar.exceptions import HTTPException

from identity.domain.errors import InvalidInput
from identity.domain.text import CONTROL_CHARACTERS, has_control_characters
from identity.entrypoints.http.body import AnyRequest

PARAMETERS_LIMIT = 100
LARGEST_ID = 2**63 - 1

GIVEN_TWICE = "This parameter may be given once only."
NOT_A_TIME = "Enter a time with its zone, such as 2024-12-19T10:00:00Z."


class Query:
    """The parameters of a request; one that is blank counts as not given, and others are ignored.

    Raises:
        HTTPException: 400 not parseable.
    """

    def __init__(self, request: AnyRequest) -> None:
        try:
            self._pairs = parse_qsl(
                request.scope["query_string"].decode(),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=PARAMETERS_LIMIT,
            )
        except ValueError as error:
            raise HTTPException(f"Query parse error - {error}", status_code=400) from None
        self._problems: dict[str, list[str]] = {}

    def judge(self) -> None:
        """Raises `InvalidInput` with whatever was wrong with what was read so far."""
        if self._problems:
            raise InvalidInput(self._problems)

    def text(self, name: str) -> str:
        given = [value.strip() for key, value in self._pairs if key == name]
        if len(given) > 1:  # is read differently by different parsers, a proxy's and ours among them
            return self._refuse(name, GIVEN_TWICE)
        if given and has_control_characters(given[0]):
            return self._refuse(name, CONTROL_CHARACTERS)
        return given[0] if given else ""

    def number(self, name: str, *, most: int = LARGEST_ID) -> int | None:
        """At least 1."""
        text = self.text(name)
        if not text:
            return None
        digits = text if text.isascii() and text.isdigit() and len(text) <= len(str(LARGEST_ID)) else "0"
        if not 1 <= int(digits) <= most:
            self._refuse(name, f"Enter a whole number from 1 to {most}.")
        return int(digits)

    def time(self, name: str) -> datetime | None:
        text = self.text(name)
        if not text:
            return None
        try:
            at = datetime.fromisoformat(text)
            if at.tzinfo is not None:
                at = at.astimezone(UTC)
                if at.year >= 1970:
                    return at
        except (ValueError, OverflowError):
            pass
        self._refuse(name, NOT_A_TIME)
        return None

    def choice(self, name: str, *choices: str) -> str:
        """One of these, of which the first is meant where none is given."""
        text = self.text(name) or choices[0]
        return text if text in choices else self._refuse(name, f"Choose one of {', '.join(choices)}.")

    def _refuse(self, name: str, problem: str) -> str:
        self._problems.setdefault(name, []).append(problem)
        return ""
