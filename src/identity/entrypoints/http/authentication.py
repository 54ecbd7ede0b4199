"""Whose request this is, and where it came from."""

from __future__ import annotations

from litestar import HttpMethod, Response, route
from litestar.di import NamedDependency
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import HTTPRouteHandler

from identity.application.administration import RequireSuperuser
from identity.application.sessions import Authenticate, Principal
from identity.domain.session import Client
from identity.domain.text import has_control_characters
from identity.entrypoints.http.body import AnyRequest, sole_header
from identity.entrypoints.http.errors import BadAuthorizationHeader, CredentialsMissing
from identity.entrypoints.http.forwarded import TrustedProxies
from identity.entrypoints.http.headers import request_id

_USER_AGENT_LIMIT = 256
_EVERY_METHOD = [method for method in HttpMethod if method is not HttpMethod.OPTIONS]


async def provide_principal(request: AnyRequest, authenticate: NamedDependency[Authenticate]) -> Principal:
    """The principal that the request's Bearer token speaks for (RFC 6750, 2.1).

    Raises:
        CredentialsMissing: no Authorization header, or another scheme.
        BadAuthorizationHeader: not two values.
        AccessTokenRefused: the token is not good, or its session is over.
    """
    parts = sole_header(request, "authorization").split()
    if not parts or parts[0].lower() != "bearer":
        raise CredentialsMissing
    if len(parts) != 2:
        raise BadAuthorizationHeader
    return await authenticate(access=parts[1])


async def provide_administrator(
    principal: NamedDependency[Principal], require_superuser: NamedDependency[RequireSuperuser]
) -> Principal:
    """The principal, if that is a superuser who has logged in lately.

    Raises:
        NotPermitted, LoginTooOld: it is not.
    """
    return await require_superuser(principal=principal)


def provide_client(request: AnyRequest, trusted_proxies: NamedDependency[TrustedProxies]) -> Client:
    """Where the request came from: the connection's peer, or who a trusted proxy says it was asked by."""
    peer = request.client.host if request.client else ""
    user_agent = request.headers.get("user-agent", "")[:_USER_AGENT_LIMIT]
    return Client(
        address=trusted_proxies.client_of(peer, request.headers.getall("x-forwarded-for", [])),
        user_agent="" if has_control_characters(user_agent) else user_agent,
        request_id=request_id(request.scope),
    )


def options(path: str, *allowed: HttpMethod) -> HTTPRouteHandler:
    """Answers OPTIONS where handlers share a path, of which Litestar's own answer knows the first only. To be
    registered before them."""

    @route(
        path,
        http_method=HttpMethod.OPTIONS,
        status_code=204,
        include_in_schema=False,
        name=f"{path} options",
        sync_to_thread=False,
    )
    def answer() -> Response[None]:
        allow = ", ".join(sorted([*allowed, HttpMethod.OPTIONS]))
        return Response(None, status_code=204, headers={"Allow": allow})

    return answer


def other_methods(path: str, *allowed: HttpMethod, for_administrators: bool = False) -> HTTPRouteHandler:
    """Answers the methods that a protected path does not have: 401 without credentials, and where it is for
    administrators 403 for who is none, else 405."""

    def refusal() -> MethodNotAllowedException:
        return MethodNotAllowedException(headers={"Allow": ", ".join([*allowed, HttpMethod.OPTIONS])})

    async def refuse(principal: NamedDependency[Principal]) -> None:
        raise refusal()

    async def refuse_administrator(administrator: NamedDependency[Principal]) -> None:
        raise refusal()

    answering = route(
        path,
        http_method=[method for method in _EVERY_METHOD if method not in allowed],
        include_in_schema=False,
        name=f"{path} other methods",
    )
    return answering(refuse_administrator if for_administrators else refuse)
