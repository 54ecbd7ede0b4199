"""The OpenAPI document: what it says of our bodies and answers, and where it is served."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import msgspec
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPIMediaType,
    Operation,
    RequestBody,
    Schema,
    SecurityScheme,
)
from litestar.openapi.spec.enums import OpenAPIType

from identity.domain.secrets import Secret
from identity.entrypoints.http.body import FORM, JSON


class Message(msgspec.Struct):
    message: str


class Nothing(msgspec.Struct):
    """An empty object."""


class Detail(msgspec.Struct, omit_defaults=True):
    """A refusal of the request as a whole."""

    detail: str
    code: str = ""


class Mistake(msgspec.Struct):
    """A refusal in the words of the original's own views."""

    error: str


BEARER: list[dict[str, list[str]]] = [{"bearer": []}]

OPENAPI = OpenAPIConfig(
    title="Identity",
    version=version("identity"),
    description="Accounts, passwords, sessions, tokens and mail for single-page apps.",
    path="/api/schema",
    render_plugins=[JsonRenderPlugin()],
    components=Components(
        security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
    ),
)


def with_trailing_slashes(app: Litestar) -> None:
    """Lists the paths of the API with the slash that the contract writes; both forms are answered."""
    paths = app.openapi_schema.paths or {}
    app.openapi_schema.paths = {
        f"{path}/" if path.startswith("/api/") else path: item for path, item in paths.items()
    }


FieldErrors = dict[str, list[str]]
"""A refusal of fields: each with its messages."""


def takes(shape: type[msgspec.Struct]) -> type[Operation]:
    """An operation with a body of this shape, as JSON or as a form."""
    fields = msgspec.structs.fields(shape)
    schema = Schema(
        type=OpenAPIType.OBJECT,
        properties={field.name: _text_schema(field.type) for field in fields},
        required=[field.name for field in fields],
    )

    @dataclass
    class WithBody(Operation):
        def __post_init__(self) -> None:
            media = OpenAPIMediaType(schema=schema)
            self.request_body = RequestBody(content={JSON: media, FORM: media}, required=True)

    return WithBody


def refuses(*, invalid: Any = None, unauthorized: bool = False) -> dict[int, ResponseSpec]:
    """The refusals of an operation besides those that any operation may answer with."""
    responses = {503: _refusal(Detail, "Something the service depends on is down or busy; see Retry-After.")}
    if invalid is not None:
        responses |= {
            400: _refusal(invalid, "Not acceptable; nothing was changed."),
            408: _refusal(Detail, "The body did not arrive in time."),
            413: _refusal(Detail, "The body is too large."),
            415: _refusal(Detail, "Neither JSON nor a form."),
        }
    if unauthorized:
        responses[401] = _refusal(Detail, "Credentials missing or not good.")
    return responses


def _refusal(shape: Any, description: str) -> ResponseSpec:
    return ResponseSpec(shape, description=description, generate_examples=False)


def _text_schema(kind: Any) -> Schema:
    return Schema(type=OpenAPIType.STRING, format="password" if kind is Secret else None)
