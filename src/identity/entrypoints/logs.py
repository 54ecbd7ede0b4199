"""The log: lines for people, or JSON for machines; each with its request, and none that a client could forge.

What clients send can be in a message or an exception. In JSON no character of it ends a line; in lines for
people, whatever could end one, or move a terminal's cursor, is shown as an escape.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

FIELDS = "fields"
"""The attribute of a record for what a machine would like to have by itself."""
request: ContextVar[Callable[[], str] | None] = ContextVar("request", default=None)
"""Tells the number of the request that is being answered."""

# Control characters, line and paragraph separators, what reverses the order of text, and lone surrogates.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NOISY = ("alembic", "uvicorn")


def configure_logging(form: str = "auto") -> None:
    """Writes to standard error. `auto` are lines for people on a terminal, and JSON elsewhere."""
    handler = logging.StreamHandler()
    is_for_people = sys.stderr.isatty() if form == "auto" else form == "text"
    handler.setFormatter(Lines() if is_for_people else JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in _NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)


class Lines(logging.Formatter):
    """`2026-11-23 10:15:00,123 INFO identity: running on http://127.0.0.1:8000`. A traceback is indented, so
    that no line of it can be taken for an entry of its own."""

    def format(self, record: logging.LogRecord) -> str:
        at = self.formatTime(record)
        number = _request_id()
        suffix = f" [request {number}]" if number else ""
        first = f"{at} {record.levelname} {record.name}: {_printable(record.getMessage())}{suffix}"
        if record.exc_info is None:
            return first
        traceback = self.formatException(record.exc_info).split("\n")
        return "\n".join([first, *(f"    {_printable(line)}" for line in traceback)])


class JsonLines(logging.Formatter):
    """One object a line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if number := _request_id():
            entry["request_id"] = number
        if record.exc_info is not None:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def _request_id() -> str:
    numbered = request.get()
    return numbered() if numbered is not None else ""


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)
