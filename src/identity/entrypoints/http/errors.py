"""From refusals to answers: what each means in HTTP, in the contract's three envelopes."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from litestar import Response
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap

from identity.domain.errors import (
    AccessTokenRefused,
    AccountNotFound,
    DeadLetterNotFound,
    IdentityError,
    IncorrectPassword,
    InvalidInput,
    LastSuperuser,
    LoginRefused,
    LoginTooOld,
    NotPermitted,
    OneTimeTokenRefused,
    SessionNotFound,
    Throttled,
    TokenFault,
    TokenRefused,
    Unavailable,
    WrongPassword,
)
from identity.entrypoints.http.body import AnyRequest
from identity.entrypoints.http.headers import request_id
from identity.entrypoints.http.refresh_cookie import OriginRefused

log = logging.getLogger(__name__)

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="api"'}
UNAVAILABLE = "Service temporarily unavailable, try again later."

_FAULTS = {
    TokenFault.INVALID: "Token is invalid",
    TokenFault.EXPIRED: "Token is expired",
    TokenFault.WRONG_TYPE: "Token has wrong type",
    TokenFault.BLACKLISTED: "Token is blacklisted",
}


class CredentialsMissing(IdentityError):
    """A request that must say whose it is does not."""

    code = "not_authenticated"


class BadAuthorizationHeader(IdentityError):
    code = "bad_authorization_header"


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


def _invalid_input(error: InvalidInput) -> Refusal:
    return Refusal(400, {name: list(messages) for name, messages in error.fields.items()})


def _last_superuser(error: LastSuperuser) -> Refusal:
    return Refusal(400, {"error": f"The last superuser cannot be {error.fate}."})


def _token_refused(error: TokenRefused) -> Refusal:
    return Refusal(401, {"detail": _FAULTS[error.reason], "code": error.code}, CHALLENGE)


def _access_token_refused(error: AccessTokenRefused) -> Refusal:
    message = {"token_class": "AccessToken", "token_type": "access", "message": _FAULTS[error.reason]}
    return Refusal(
        401,
        {"detail": "Given token not valid for any token type", "code": error.code, "messages": [message]},
        CHALLENGE,
    )


def _throttled(error: Throttled) -> Refusal:
    seconds = _seconds(error.retry_after)
    detail = f"Request was throttled. Expected available in {seconds} second{'s' if seconds > 1 else ''}."
    return Refusal(429, {"detail": detail}, {"Retry-After": str(seconds)})


def _unavailable(error: Unavailable) -> Refusal:
    return Refusal(503, {"detail": UNAVAILABLE}, {"Retry-After": str(_seconds(error.retry_after))})


def _seconds(time: timedelta) -> int:
    return max(1, math.ceil(time.total_seconds()))


def _constant(status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> Any:
    return lambda _error: Refusal(status, body, headers or {})


REFUSALS: dict[type[IdentityError], Callable[[Any], Refusal]] = {
    InvalidInput: _invalid_input,
    WrongPassword: _constant(400, {"error": "Incorrect old password"}),
    IncorrectPassword: _constant(400, {"error": "Incorrect password"}),
    LastSuperuser: _last_superuser,
    OneTimeTokenRefused: _constant(400, {"error": "Invalid or expired token."}),
    LoginRefused: _constant(401, {"detail": "No active account found with the given credentials"}, CHALLENGE),
    CredentialsMissing: _constant(
        401, {"detail": "Authentication credentials were not provided."}, CHALLENGE
    ),
    BadAuthorizationHeader: _constant(
        401,
        {
            "detail": "Authorization header must contain two space-delimited values",
            "code": BadAuthorizationHeader.code,
        },
        CHALLENGE,
    ),
    TokenRefused: _token_refused,
    AccessTokenRefused: _access_token_refused,
    SessionNotFound: _constant(404, {"detail": "Not found.", "code": SessionNotFound.code}),
    AccountNotFound: _constant(404, {"detail": "No such account.", "code": AccountNotFound.code}),
    DeadLetterNotFound: _constant(404, {"detail": "No such dead letter.", "code": DeadLetterNotFound.code}),
    NotPermitted: _constant(403, {"detail": "You do not have permission to perform this action."}),
    LoginTooOld: _constant(403, {"detail": "Log in again to continue.", "code": LoginTooOld.code}),
    OriginRefused: _constant(403, {"detail": "Origin not allowed.", "code": OriginRefused.code}),
    Throttled: _throttled,
    Unavailable: _unavailable,
}
"""Every refusal that reaches a client. A subclass is answered as its nearest ancestor here."""


def answer_refusal(_: AnyRequest, error: IdentityError) -> Response[dict[str, Any]]:
    ancestor = next(kind for kind in type(error).__mro__ if kind in REFUSALS)
    return _answer(REFUSALS[ancestor](error))


def answer_http_exception(request: AnyRequest, error: HTTPException) -> Response[dict[str, Any]]:
    if error.status_code >= 500:
        return answer_failure(request, error)
    method = request.scope["state"].get("method", request.method)  # see Application
    details = {404: "Not found.", 405: f'Method "{method}" not allowed.'}
    detail = details.get(error.status_code, error.detail)
    return _answer(Refusal(error.status_code, {"detail": detail}, error.headers or {}))


def answer_failure(request: AnyRequest, error: Exception) -> Response[dict[str, Any]]:
    """Our fault: the reason goes to the log, the client gets a number to ask about."""
    number = request_id(request.scope)
    log.error("request %s failed", number, exc_info=error)
    body = {"detail": "Internal server error.", "code": "internal_error", "request_id": number}
    return _answer(Refusal(500, body))


def _answer(refusal: Refusal) -> Response[dict[str, Any]]:
    return Response(
        refusal.body, status_code=refusal.status, headers=refusal.headers, media_type="application/json"
    )


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    IdentityError: answer_refusal,
    HTTPException: answer_http_exception,
    Exception: answer_failure,
}
