"""Reading a request's body: strictly, within limits, and with every field's problem in one answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from litestar.exceptions import HTTPException, InternalServerException

from identity.domain.errors import InvalidInput
from identity.domain.secrets import Secret
from identity.domain.text import BLANK, CONTROL_CHARACTERS, has_control_characters

SIZE_LIMIT = 16 * 1024  # octets
TIME_LIMIT = 15.0  # seconds, from the first octet of the body to the last
DEPTH_LIMIT = 32
FORM_FIELDS_LIMIT = 100

REQUIRED = "This field is required."
NULL = "This field may not be null."
NOT_A_STRING = "Not a valid string."

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

AnyRequest = Request[Any, Any, Any]
T = TypeVar("T", bound=msgspec.Struct)


class Unreadable(InvalidInput):
    """Some fields could not be read. `readable` holds the others, to be judged in the same answer."""

    def __init__(self, problems: Mapping[str, tuple[str, ...]], readable: Mapping[str, Any]) -> None:
        super().__init__(problems)
        self.readable = readable


async def read_body(request: AnyRequest, shape: type[T]) -> T:
    """The body as a struct whose fields are all `str`, trimmed, or `Secret`, exactly as received.
    One that has a default may be missing, or blank.

    Raises:
        Unreadable: a field is missing, null, blank, not a string, or holds control characters.
        InvalidInput: the body is not an object.
        HTTPException: 400 not parseable, 408 too slow, 413 too large, 415 neither JSON nor a form.
    """
    content = await _content(request)
    document = _parse(request, content) if content else {}
    if not isinstance(document, dict):
        got = _type_name(document, content)
        raise InvalidInput({"non_field_errors": [f"Invalid data. Expected a dictionary, but got {got}."]})
    values: dict[str, Any] = {}
    problems: dict[str, tuple[str, ...]] = {}
    for field in msgspec.structs.fields(shape):
        if not field.required and field.name not in document:
            continue
        problem, text = _text(document, field.name, trimmed=field.type is not Secret)
        if problem and (field.required or problem != BLANK):
            problems[field.name] = (problem,)
        else:
            values[field.name] = Secret(text) if field.type is Secret else text
    if problems:
        raise Unreadable(problems, values)
    return shape(**values)


def sole_header(request: AnyRequest, name: str) -> str:
    """A header that is to be sent once. Given twice it is one with a comma, and good for neither."""
    wanted = name.encode()
    return ", ".join(value.decode("latin-1") for key, value in request.scope["headers"] if key == wanted)


async def _content(request: AnyRequest) -> bytes:
    """The whole body. Any refusal closes the connection, for what is still on its way is never read."""
    if _declared_length(request) > SIZE_LIMIT:
        _refuse_and_close(413, f"Request body exceeds the limit of {SIZE_LIMIT} bytes.")
    received = bytearray()
    try:
        async with asyncio.timeout(TIME_LIMIT):
            async for chunk in request.stream():
                received += chunk
                if len(received) > SIZE_LIMIT:
                    _refuse_and_close(413, f"Request body exceeds the limit of {SIZE_LIMIT} bytes.")
    except InternalServerException:  # Litestar's word for a client that went away
        _refuse_and_close(400, "Request body ended early.")
    except TimeoutError:
        _refuse_and_close(408, f"Request body was not received within {TIME_LIMIT:.0f} seconds.")
    return bytes(received)


def _declared_length(request: AnyRequest) -> int:
    text = request.headers.get("content-length", "")
    if not (text.isascii() and text.isdigit()):
        return 0
    digits = text.lstrip("0")
    return int(digits or 0) if len(digits) < 20 else SIZE_LIMIT + 1


def _refuse_and_close(status: int, detail: str) -> NoReturn:
    raise HTTPException(detail, status_code=status, headers={"Connection": "close"})


def _parse(request: AnyRequest, content: bytes) -> Any:
    content_type = sole_header(request, "content-type")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == JSON:
        return _parse_json(content)
    if media_type == FORM and not _is_a_strangers(request):
        return _parse_form(content)
    raise HTTPException(f'Unsupported media type "{content_type}" in request.', status_code=415)


def _is_a_strangers(request: AnyRequest) -> bool:
    """Whether a browser says that the form is of another site's page, which is none of those that may call.

    Nobody asks it first, as for JSON; and it could guess passwords at its visitors' expense.
    """
    cors, origin = request.app.cors_config, request.headers.get("origin", "")
    is_allowed = cors is not None and cors.is_origin_allowed(origin)
    return request.headers.get("sec-fetch-site") == "cross-site" and not is_allowed


def _parse_json(content: bytes) -> Any:
    try:
        document = json.loads(
            content.decode(),
            object_pairs_hook=_without_repetition,
            parse_int=str,
            parse_float=str,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise _unparseable("JSON", "nested too deeply") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors
        raise _unparseable("JSON", str(error)) from None
    if _is_deeper(document, DEPTH_LIMIT):
        raise _unparseable("JSON", "nested too deeply")
    return document


def _parse_form(content: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            content.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=FORM_FIELDS_LIMIT,
        )
        return _without_repetition(pairs)
    except ValueError as error:
        raise _unparseable("Form", str(error)) from None


def _unparseable(what: str, why: str) -> HTTPException:
    return HTTPException(f"{what} parse error - {why}", status_code=400)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # What stands twice is read differently by different parsers, a proxy's and ours among them.
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a key is given twice")
    return document


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"Out of range float values are not JSON compliant: {name}")


def _is_deeper(value: Any, limit: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return limit == 0 or any(_is_deeper(child, limit - 1) for child in children)


def _type_name(document: Any, content: bytes) -> str:
    """As Python's `json` would have read it: our reading leaves numbers as their text."""
    if isinstance(document, str) and not content.lstrip().startswith(b'"'):
        return "int" if document.lstrip("-").isdigit() else "float"
    return type(document).__name__


def _text(document: dict[str, Any], name: str, *, trimmed: bool) -> tuple[str | None, str]:
    """The problem of the field, if it has one, and its text."""
    if name not in document:
        return REQUIRED, ""
    value = document[name]
    if value is None:
        return NULL, ""
    if not isinstance(value, str):  # numbers have been read as their text
        return NOT_A_STRING, ""
    text = value.strip() if trimmed else value
    if not text:
        return BLANK, ""
    if has_control_characters(text):
        return CONTROL_CHARACTERS, ""
    return None, text
