"""The refresh token in a cookie, which no script can read, a stranger's in the page neither.

A cookie is sent by the browser, not by the app, so a request has to show that a page of ours made it: by its
`Origin`, which no page can forge, and by `application/json`, which no form can send.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from litestar.datastructures import Cookie
from litestar.exceptions import HTTPException

from identity.domain.errors import IdentityError, TokenFault, TokenRefused
from identity.entrypoints.http.body import JSON, AnyRequest, sole_header
from identity.entrypoints.http.cors import ORIGIN_REFUSED

log = logging.getLogger(__name__)

NAME = "__Host-refresh"  # RFC 6265bis, 4.1.3.2: from this very host, over TLS, for all its paths
INSECURE_NAME = "refresh"


class OriginRefused(IdentityError):
    """A request that a cookie vouches for does not come from a page of ours."""

    code = "origin_not_allowed"


class RefreshCookie:
    """Args:
    origins: whose pages may log in, refresh and log out, besides the service's own at `public_url`.
    lifetime: of a session, at most.
    insecure: travels without TLS, for development.
    """

    def __init__(
        self, *, origins: Sequence[str], public_url: str, lifetime: timedelta, insecure: bool = False
    ) -> None:
        self._origins = frozenset([*origins, _origin(public_url)])
        self._lifetime = round(lifetime.total_seconds())
        self._insecure = insecure
        self._has_told = False
        self.name = INSECURE_NAME if insecure else NAME

    def check(self, request: AnyRequest) -> None:
        """Raises `OriginRefused`, or `HTTPException` 415: the request is not one of our pages' scripts'."""
        sent = request.headers.getall("origin", [])
        if len(sent) != 1 or sent[0] not in self._origins:
            request.scope["state"][ORIGIN_REFUSED] = True
            raise OriginRefused
        content_type = sole_header(request, "content-type")
        if content_type.partition(";")[0].strip().lower() != JSON:
            raise HTTPException(f'Unsupported media type "{content_type}" in request.', status_code=415)

    def token(self, request: AnyRequest) -> str:
        """Raises `TokenRefused`: there is no such cookie, or more than one."""
        # Not `request.cookies`: of two it takes the last, and it trims \x85 and \xa0 from names, so that what
        # a neighbouring host has set under such a name would pass for ours.
        pairs = [
            pair.partition("=") for line in request.headers.getall("cookie", []) for pair in line.split(";")
        ]
        tokens = [value.strip(" \t") for name, _, value in pairs if name.strip(" \t") == self.name]
        if not tokens and not self._has_told:
            self._has_told = True
            log.info(
                "a page sent no refresh cookie: its visitor is not logged in, it sends no credentials, "
                "or it is of another site than this service"
            )
        if len(tokens) != 1 or not tokens[0]:
            raise TokenRefused(TokenFault.INVALID)
        return tokens[0]

    def holding(self, token: str) -> Cookie:
        return self._cookie(token, max_age=self._lifetime)

    def emptied(self) -> Cookie:
        return self._cookie("", max_age=0)

    def _cookie(self, value: str, *, max_age: int) -> Cookie:
        return Cookie(
            key=self.name,
            value=value,
            max_age=max_age,
            path="/",
            secure=not self._insecure,
            httponly=True,
            samesite="strict",
        )


def _origin(url: str) -> str:
    """As a browser sends it: in lower case and without the scheme's own port."""
    parts = urlsplit(url.lower())
    return f"{parts.scheme}://{parts.netloc.removesuffix({'http': ':80', 'https': ':443'}[parts.scheme])}"
