"""What the OpenAPI document says of refusals: their schemas, and examples that tests provoke."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from identity.entrypoints.http.body import FORM, JSON, SIZE_LIMIT, TIME_LIMIT
from identity.entrypoints.http.errors import UNAVAILABLE

Node = dict[str, Any]  # a part of the document, in its own words


def refusal(
    description: str, *schemas: str, examples: Node, headers: Mapping[str, Node] | None = None
) -> Node:
    """A refusal with a body of one of these schemas, and examples of it by name."""
    references = [schema(name) for name in schemas]
    return {
        "description": description,
        "headers": dict(headers or {}),
        "content": {
            JSON: {
                "schema": references[0] if len(references) == 1 else {"oneOf": references},
                "examples": {name: {"value": value} for name, value in examples.items()},
            }
        },
    }


def schema(name: str) -> Node:
    return {"$ref": f"#/components/schemas/{name}"}


def common(name: str) -> Node:
    return {"$ref": f"#/components/responses/{name}"}


def _exactly(*optional: str, **properties: Node) -> Node:
    required = [name for name in properties if name not in optional]
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def field_errors(*names: str) -> Node:
    properties = dict.fromkeys([*names, "non_field_errors"], _TEXTS)
    return _exactly(*properties, **properties) | {
        "description": "Every field that is not acceptable, with its messages for the person who typed; "
        "`non_field_errors` if the body is no object.",
        "minProperties": 1,
    }


_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT, "minItems": 1}

REFUSAL_SCHEMAS: Node = {
    "Detail": _exactly(
        "code",
        detail=_TEXT,
        code={"type": "string", "description": "Stays the same when the words of `detail` change."},
    ),
    "AccessTokenRefused": _exactly(
        detail=_TEXT,
        code={"const": "token_not_valid"},
        messages={
            "type": "array",
            "minItems": 1,
            "items": _exactly(
                token_class={"const": "AccessToken"}, token_type={"const": "access"}, message=_TEXT
            ),
        },
    ),
    "Mistake": _exactly(error=_TEXT),
    "InternalError": _exactly(
        detail=_TEXT,
        code={"const": "internal_error"},
        request_id={"type": "string", "description": "The number of the request in the log."},
    ),
}

CHALLENGE: Node = {
    "WWW-Authenticate": {
        "schema": _TEXT,
        "required": True,
        "description": 'How to authenticate: `Bearer realm="api"`.',
    }
}
RETRY_AFTER: Node = {
    "Retry-After": {
        "schema": {"type": "integer", "minimum": 1},
        "required": True,
        "description": "Seconds until it is worth another try.",
    }
}


def _access_token_refused(message: str) -> Node:
    return {
        "detail": "Given token not valid for any token type",
        "code": "token_not_valid",
        "messages": [{"token_class": "AccessToken", "token_type": "access", "message": message}],
    }


def _token_refused(detail: str) -> Node:
    return {"detail": detail, "code": "token_not_valid"}


COMMON_REFUSALS: Node = {
    "NotAuthenticated": refusal(
        "The request does not say whose it is, or its access token is not good, or the session is over.",
        "Detail",
        "AccessTokenRefused",
        headers=CHALLENGE,
        examples={
            "no token": {"detail": "Authentication credentials were not provided."},
            "not two values": {
                "detail": "Authorization header must contain two space-delimited values",
                "code": "bad_authorization_header",
            },
            "bad token, or session over": _access_token_refused("Token is invalid"),
            "expired token": _access_token_refused("Token is expired"),
            "refresh token": _access_token_refused("Token has wrong type"),
        },
    ),
    "TokenRefused": refusal(
        "The token is not good, or its session is over.",
        "Detail",
        headers=CHALLENGE,
        examples={
            "bad token": _token_refused("Token is invalid"),
            "expired token": _token_refused("Token is expired"),
            "access token where a refresh token is due": _token_refused("Token has wrong type"),
            "session over": _token_refused("Token is blacklisted"),
        },
    ),
    "NotPermitted": refusal(
        "The account is not a superuser's, or its session began too long ago.",
        "Detail",
        examples={
            "no superuser": {"detail": "You do not have permission to perform this action."},
            "login too old": {"detail": "Log in again to continue.", "code": "login_too_old"},
        },
    ),
    "AccountNotFound": refusal(
        "There is no account with this id.",
        "Detail",
        examples={"no such account": {"detail": "No such account.", "code": "account_not_found"}},
    ),
    "TooSlow": refusal(
        "The body did not arrive in time.",
        "Detail",
        examples={"too slow": {"detail": f"Request body was not received within {TIME_LIMIT:.0f} seconds."}},
    ),
    "TooLarge": refusal(
        "The body is too large.",
        "Detail",
        examples={"too large": {"detail": f"Request body exceeds the limit of {SIZE_LIMIT} bytes."}},
    ),
    "UnsupportedMediaType": refusal(
        "The body is neither JSON nor a form.",
        "Detail",
        examples={"text": {"detail": 'Unsupported media type "text/plain" in request.'}},
    ),
    "Throttled": refusal(
        "Too often, for this account or from this address.",
        "Detail",
        headers=RETRY_AFTER,
        examples={"throttled": {"detail": "Request was throttled. Expected available in 60 seconds."}},
    ),
    "InternalError": refusal(
        "Our fault. The log has the reason, under the number given here.",
        "InternalError",
        examples={
            "failure": {
                "detail": "Internal server error.",
                "code": "internal_error",
                "request_id": "5f0c1e6b9a3d4278",
            }
        },
    ),
    "Unavailable": refusal(
        "Something that the service depends on is down or busy. Nothing was changed.",
        "Detail",
        headers=RETRY_AFTER,
        examples={"unavailable": {"detail": UNAVAILABLE}},
    ),
}
SESSION_NOT_FOUND = refusal(
    "The account has no such session, or it is over already.",
    "Detail",
    examples={"no such session": {"detail": "Not found.", "code": "session_not_found"}},
)
ACCOUNT_NOT_FOUND = common("AccountNotFound")
NOT_PERMITTED = common("NotPermitted")
DEAD_LETTER_NOT_FOUND = refusal(
    "There is no such letter, or it is not dead: it waits, or was sent.",
    "Detail",
    examples={"no such letter": {"detail": "No such dead letter.", "code": "dead_letter_not_found"}},
)


def last_superuser(fate: str) -> Node:
    return refusal(
        "There has to be a superuser whose account is open, and there is no other.",
        "Mistake",
        examples={"last superuser": {"error": f"The last superuser cannot be {fate}."}},
    )


ORIGIN_REFUSED = refusal(
    "The request does not come from a page of an allowed origin.",
    "Detail",
    examples={"another origin": {"detail": "Origin not allowed.", "code": "origin_not_allowed"}},
)
NOT_JSON = refusal(
    "The request is not `application/json`.",
    "Detail",
    examples={"form": {"detail": f'Unsupported media type "{FORM}" in request.'}},
)
NOT_AUTHENTICATED = common("NotAuthenticated")
TOKEN_REFUSED = common("TokenRefused")
