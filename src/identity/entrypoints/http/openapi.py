"""The OpenAPI document: what it says of our bodies and answers, and where it is served."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, ClassVar

import msgspec
from litestar import Litestar, Router
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    Operation,
    SecurityScheme,
    Tag,
)

from identity.domain.names import USERNAME_LIMIT
from identity.domain.password_policy import PasswordPolicy
from identity.entrypoints.http.body import FORM, JSON, REQUIRED, AnyRequest
from identity.entrypoints.http.documentation import CONTENT_SECURITY_POLICY, DocumentationPage
from identity.entrypoints.http.openapi_refusals import (
    COMMON_REFUSALS,
    REFUSAL_SCHEMAS,
    Node,
    common,
    field_errors,
    refusal,
    schema,
)

ACCOUNTS, SESSIONS, PASSWORDS = "Accounts", "Sessions", "Passwords"
PROFILE, EMAIL_CHANGE, HEALTH = "Profile", "E-mail change", "Health"
MY_DATA, ADMINISTRATION = "My data", "Administration"

BEARER: list[dict[str, list[str]]] = [{"bearer": []}]

_ABOUT = """\
Accounts, passwords, sessions, tokens and mail for single-page apps.

Bodies are JSON objects, or forms, of text fields without control characters; a number is taken as its text, \
and a field that is not listed is ignored. Every path is answered with and without its trailing slash."""

_HOW_TO_AUTHENTICATE = """\
Log in, and send the access token with each request: `Authorization: Bearer <access>`.

An access token lasts a few minutes. When a request is answered with 401, post {how} \
and send the request again with the new access token. If the refresh is answered with 401 as well, the \
session is over: log in again."""
_HOW_WITH_BODIES = "the refresh token to `/api/auth/token/refresh/`, keep both tokens of the answer,"
_HOW_WITH_COOKIE = (
    "an empty JSON object to `/api/auth/token/refresh/`, to which the browser adds the cookie that holds the "
    "refresh token,"
)


def openapi_config(address: str, *, cookie: bool) -> OpenAPIConfig:
    """The document at `/api/schema/openapi.json` and a page of it at `/api/schema/`, for one application.

    `address` is where the page's examples reach the service; `cookie`: the refresh token travels in one.
    """
    how = _HOW_TO_AUTHENTICATE.format(how=_HOW_WITH_COOKIE if cookie else _HOW_WITH_BODIES)
    return OpenAPIConfig(
        title="Identity",
        version=version("identity"),
        description=_ABOUT,
        tags=[
            Tag(name=ACCOUNTS, description="Opening an account."),
            Tag(name=SESSIONS, description="Logging in, staying logged in, logging out."),
            Tag(name=PASSWORDS, description="Changing a password, and replacing one that is lost."),
            Tag(name=PROFILE, description="What an account's owner sees of it, and changes in it."),
            Tag(name=EMAIL_CHANGE, description="Another address for an account, and the way back."),
            Tag(name=MY_DATA, description="A copy of all that is kept of an account, and its end."),
            Tag(name=ADMINISTRATION, description="For superusers who have logged in lately."),
            Tag(name=HEALTH, description="For load balancers and process managers."),
        ],
        components=Components(
            responses=COMMON_REFUSALS,
            security_schemes={
                "bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT", description=how)
            },
        ),
        openapi_router=Router(
            "/api/schema",
            route_handlers=[],
            include_in_schema=False,
            before_request=_refuse_unknown_path,
            response_headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY},
        ),
        render_plugins=[DocumentationPage(address), JsonRenderPlugin()],
    )


def complete(app: Litestar, *, policy: PasswordPolicy) -> None:
    """Finishes the document that Litestar derived from the routes.

    Paths are in order, for Litestar keeps those of one handler in a set, and have the slash that the contract
    writes. `$ref`s get what they refer to, new passwords the lengths of the `policy`. HEAD is left out: it is
    what HTTP says of any GET.
    """
    new_password = {**NEW_PASSWORD, "minLength": policy.shortest, "maxLength": policy.longest}
    document = app.openapi_schema
    paths = sorted(
        (f"{path}/" if path.startswith("/api/") else path, item)
        for path, item in (document.paths or {}).items()
    )
    document.paths = dict(paths)
    document.components.schemas |= REFUSAL_SCHEMAS
    for _, item in paths:
        item.head = None
        for operation in (item.get, item.post, item.patch, item.delete):
            if isinstance(operation, Documented):
                document.components.schemas |= {
                    name: _replacing(NEW_PASSWORD, new_password, each)
                    for name, each in operation.schemas.items()
                }


def named(name: str, **aliases: str) -> Callable[[Any, Any, list[Any]], str]:
    """An operation's id; `aliases` has those of further paths by their last part."""

    def operation_id(_handler: Any, method: Any, path: list[Any]) -> str:
        own = aliases.get(str(path[-1]), name)
        return f"{own}Head" if method == "HEAD" else own  # must differ, though `complete` leaves it out

    return operation_id


# Bodies


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What an operation takes: the struct's name, its fields, and an example."""

    name: str
    fields: dict[str, Node]
    required: list[str]
    example: dict[str, str]


def request_body(shape: type[msgspec.Struct], example: dict[str, str], **fields: Node) -> Body:
    described = msgspec.structs.fields(shape)
    names = [field.name for field in described]
    return Body(
        name=shape.__name__,
        fields={name: fields[name] for name in names},
        required=[field.name for field in described if field.required],
        example={name: example[name] for name in names},
    )


def text(description: str, **constraints: Any) -> Node:
    """A field that is not empty. One that is trimmed first gets no other limit: white space may exceed it."""
    return {"type": "string", "description": description, "minLength": 1, **constraints}


# Not `email`: that is ASCII only, and clients generated from it would refuse addresses that we accept.
EMAIL = text("An e-mail address, of any script.", format="idn-email")
LINK_OWNER = text("The part of the mailed link that says whose it is.")
LINK_TOKEN = text("The part of the mailed link that is secret.")
USERNAME = text(
    f"At most {USERNAME_LIMIT} letters, digits and @ . + - _, not counting white space around them. An @ "
    "only where it is the account's own e-mail address."
)
PASSWORD = text("The account's password, exactly as it was set.", format="password")
NEW_PASSWORD = text(
    "Taken exactly as it is, white space included. Not a common one, not only digits, and not similar to the "
    "username, the e-mail address or the name of the service.",
    format="password",
)


# Queries


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryParameters:
    """What an operation takes behind the question mark, and an example of what may be wrong with it."""

    name: str
    parameters: list[Node]
    invalid: Node


def query(name: str, invalid: Node, **parameters: Node) -> QueryParameters:
    return QueryParameters(
        name=name,
        parameters=[
            {"name": each, "in": "query", "required": False, **about} for each, about in parameters.items()
        ],
        invalid=invalid,
    )


def text_parameter(description: str) -> Node:
    return {"description": description, "schema": {"type": "string"}}


def number_parameter(description: str, most: int) -> Node:
    return {"description": description, "schema": {"type": "integer", "minimum": 1, "maximum": most}}


# Answers


class Message(msgspec.Struct):
    message: str


class Nothing(msgspec.Struct):
    """An empty object."""


# Operations


class Documented(Operation):
    """An operation that brings the schemas it refers to."""

    schemas: ClassVar[Node] = {}


def operation(
    answer: msgspec.Struct | list[Any],
    *,
    takes: Body | None = None,
    takes_query: QueryParameters | None = None,
    forms: bool = True,
    invalid: Node | None = None,
    mistake: str | None = None,
    refuses: Mapping[int, Node] | None = None,
    depends: bool = True,
    is_throttled: bool = False,
) -> type[Operation]:
    """An operation that answers like this, and everything it may refuse with.

    Without `forms` it takes JSON only. `invalid` has examples of field errors besides missing fields,
    `mistake` is the `error` that it may answer with 400, `refuses` has its own refusals by status. What
    `depends` on nothing is never unavailable, and what `is_throttled` may be refused for asking too often.
    """
    refusals: dict[int, Any] = {500: common("InternalError")}
    if depends:
        refusals |= {503: common("Unavailable")}
    if is_throttled:
        refusals |= {429: common("Throttled")}
    if takes:
        refusals |= {
            400: _not_acceptable(takes, invalid or {}, mistake),
            408: common("TooSlow"),
            413: common("TooLarge"),
            415: common("UnsupportedMediaType"),
        }
    if takes_query:
        refusals |= {400: _not_acceptable_query(takes_query)}
    refusals |= refuses or {}

    @dataclass
    class Described(Documented):
        schemas = (_schemas(takes) if takes else {}) | (_query_schemas(takes_query) if takes_query else {})

        def __post_init__(self) -> None:
            # Litestar has the status and the schema of the answer from the handler; the rest is said here.
            # The 400 that it adds for a parameter is never answered: any text is one.
            derived: Node = {code: each for code, each in (self.responses or {}).items() if code < "400"}
            for response in derived.values():
                response.content[JSON].example = answer
            self.responses = {**derived, **{str(status): refusals[status] for status in sorted(refusals)}}
            queried: list[Any] = takes_query.parameters if takes_query else []
            self.parameters = [*(self.parameters or []), *queried] or None
            body: Any = _content(takes, forms=forms) if takes else None
            self.request_body = body
            self.security = self.security or []

    return Described


def _not_acceptable(takes: Body, invalid: Node, mistake: str | None) -> Node:
    return refusal(
        "Not acceptable. Nothing was changed.",
        f"{takes.name}Errors",
        "Detail",
        *(["Mistake"] if mistake else []),
        examples={
            **({"mistake": {"error": mistake}} if mistake else {}),
            **({"missing": {name: [REQUIRED] for name in takes.required}} if takes.required else {}),
            **invalid,
            "not JSON": {"detail": "JSON parse error - Expecting value: line 1 column 1 (char 0)"},
        },
    )


def _not_acceptable_query(takes: QueryParameters) -> Node:
    return refusal(
        "Some parameters are not acceptable.",
        f"{takes.name}Errors",
        "Detail",
        examples={
            "not acceptable": takes.invalid,
            "not UTF-8": {
                "detail": "Query parse error - 'utf-8' codec can't decode byte 0xff in position 0: invalid "
                "start byte"
            },
        },
    )


def _query_schemas(takes: QueryParameters) -> Node:
    return {f"{takes.name}Errors": field_errors(*(each["name"] for each in takes.parameters))}


def _content(takes: Body, *, forms: bool) -> Node:
    media = {"schema": schema(takes.name), "example": takes.example}
    return {"content": {JSON: media, **({FORM: media} if forms else {})}, "required": True}


def _schemas(takes: Body) -> Node:
    names = list(takes.fields)
    return {
        takes.name: {"type": "object", "properties": takes.fields, "required": takes.required},
        f"{takes.name}Errors": field_errors(*names),
    }


def _replacing(field: Node, other: Node, schema: Node) -> Any:
    fields = schema["properties"].items()
    return {**schema, "properties": {name: other if each is field else each for name, each in fields}}


def _refuse_unknown_path(request: AnyRequest) -> None:
    # Litestar would answer a page of its own to any other path below the document's.
    if request.path_params:
        raise NotFoundException
