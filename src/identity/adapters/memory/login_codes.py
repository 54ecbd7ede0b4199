"""Codes to log in with, over the state that a unit of work sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from identity.adapters.memory.state import View, drop
from identity.domain.login_code import LoginCode
from identity.domain.secrets import Digest


@dataclass(frozen=True, slots=True)
class MemoryLoginCodes:
    view: View

    async def add(self, code: LoginCode) -> None:
        codes = self.view.changed().login_codes
        if code.request in codes:
            raise ValueError("the same request twice")
        codes[code.request] = code

    async def find(self, request: Digest) -> LoginCode | None:
        return self.view.seen().login_codes.get(request)

    async def set_digest(self, request: Digest, digest: Digest, *, at: datetime) -> bool:
        code = self._live(request, at)
        return code is not None and self._put(replace(code, digest=digest))

    async def count_try(self, request: Digest, *, most: int, at: datetime) -> bool:
        code = self._live(request, at)
        return code is not None and code.tries < most and self._put(replace(code, tries=code.tries + 1))

    async def spend(self, request: Digest, *, digest: Digest, at: datetime) -> bool:
        code = self._live(request, at)
        return code is not None and code.digest == digest and self._put(replace(code, spent_at=at))

    async def purge(self, *, expired_before: datetime, limit: int) -> int:
        codes = self.view.changed().login_codes
        return drop(codes, lambda code: code.expires_at < expired_before, limit)

    def _live(self, request: Digest, at: datetime) -> LoginCode | None:
        code = self.view.changed().login_codes.get(request)
        is_live = code is not None and code.spent_at is None and at < code.expires_at
        return code if is_live else None

    def _put(self, code: LoginCode) -> bool:
        self.view.changed().login_codes[code.request] = code
        return True
