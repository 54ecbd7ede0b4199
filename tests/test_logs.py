"""The log, read by people and by machines."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.entrypoints import logs
from identity.entrypoints.logs import FIELDS, JsonLines, Lines, configure_logging

FORGED = "2026-11-23 10:00:00,000 INFO identity: all is well"
SEPARATORS = ("\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029")


def entry(formatter: logging.Formatter, message: str, *, error: str | None = None) -> str:
    record = logging.LogRecord("identity", logging.WARNING, __file__, 1, "%s", (message,), None)
    if error is not None:
        try:
            raise ValueError(error)
        except ValueError:
            record.exc_info = sys.exc_info()
    return formatter.format(record)


@contextmanager
def answering(number: str) -> Iterator[None]:
    token = logs.request.set(lambda: number)
    yield
    logs.request.reset(token)


@pytest.mark.parametrize("separator", SEPARATORS, ids=repr)
def test_no_message_makes_a_second_entry(separator: str) -> None:
    text = entry(Lines(), f"refused{separator}{FORGED}")
    assert len(text.splitlines()) == 1
    assert len(entry(JsonLines(), f"refused{separator}{FORGED}").splitlines()) == 1


@pytest.mark.parametrize("separator", SEPARATORS, ids=repr)
def test_no_exception_makes_an_entry_of_its_own(separator: str) -> None:
    first, *others = entry(Lines(), "failed", error=f"bad{separator}{FORGED}").splitlines()
    assert first.endswith("WARNING identity: failed")
    assert all(line.startswith("    ") for line in others)
    assert len(entry(JsonLines(), "failed", error=f"bad{separator}{FORGED}").splitlines()) == 1


@given(st.text(st.characters()), st.text(st.characters()))
def test_nothing_that_moves_a_cursor_or_turns_text_around_gets_out(message: str, error: str) -> None:
    for formatter in (Lines(), JsonLines()):
        text = entry(formatter, message, error=error)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", text)
        text.encode("utf-8")


@given(st.text())
def test_a_machine_reads_back_what_was_said(message: str) -> None:
    said = json.loads(entry(JsonLines(), message, error="it broke"))
    assert said["message"] == message
    assert (said["level"], said["logger"]) == ("WARNING", "identity")
    assert said["exception"].endswith("ValueError: it broke")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", said["time"])


def test_people_read_letters_of_every_language_as_they_are() -> None:
    assert entry(Lines(), "Grüße, 你好 🦊").endswith("Grüße, 你好 🦊")


def test_an_entry_says_which_request_it_is_of() -> None:
    with answering("0123456789abcdef"):
        assert entry(Lines(), "slow").endswith(" WARNING identity: slow [request 0123456789abcdef]")
        assert json.loads(entry(JsonLines(), "slow"))["request_id"] == "0123456789abcdef"
    assert "request" not in entry(Lines(), "slow")
    assert "request_id" not in json.loads(entry(JsonLines(), "slow"))


def test_a_machine_gets_fields_of_their_own() -> None:
    record = logging.LogRecord("identity", logging.INFO, __file__, 1, "GET / 200", (), None)
    setattr(record, FIELDS, {"status": 200})
    assert json.loads(JsonLines().format(record))["status"] == 200


@pytest.fixture
def put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("put_back")
@pytest.mark.parametrize(
    ("form", "is_terminal", "expected"),
    [
        ("auto", True, Lines),
        ("auto", False, JsonLines),
        ("text", False, Lines),
        ("json", True, JsonLines),
    ],
)
def test_a_terminal_gets_lines_and_what_is_collected_gets_json(
    form: str, is_terminal: bool, expected: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging(form)
    (handler,) = logging.getLogger().handlers
    assert type(handler.formatter) is expected
