"""A password hasher of another kind: scrypt (RFC 7914), taking over from the bundled Argon2id.

    IDENTITY_HASHER=examples.scrypt_hasher:ScryptHasher

New passwords are hashed with scrypt. A hash that the bundled hasher made still verifies and needs a rehash,
so each account moves over at its next login; when no hash begins with $argon2id$ any more, `older` can go.
There is no way back: the bundled hasher does not read scrypt.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import re
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor

from identity.adapters.argon2 import Argon2Hasher
from identity.application.ports import PasswordHasher
from identity.domain.secrets import PasswordHash, Secret

_SALT_SIZE, _DIGEST_SIZE = 16, 32  # bytes
# A digest of another size is none of ours: scrypt's shorter outputs are the beginnings of its longer ones.
_PHC = re.compile(
    r"\$scrypt\$ln=([1-9][0-9]?),r=([1-9][0-9]?),p=([1-9][0-9]?)\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})"
)
# A stored hash that wants more than these is not worked on.
_MOST_MEMORY = 256 * 2**20  # bytes, twice what the parameters below take
_MOST_STEPS = 2**22  # N * r * p, four times theirs
_MEMORY_OF_ALL = 1024 * 2**20  # bytes, for all hashes that run at once


class ScryptHasher:
    """Hashes to `$scrypt$ln=17,r=8,p=1$salt$digest`, a PHC string, in threads beside the event loop.

    Args:
        ln, r, p: the base-2 logarithm of scrypt's N, its block size and its parallelism. The defaults are
            what OWASP's Password Storage Cheat Sheet asks for at least: 128 MiB for every hash that runs.
        older: made the hashes that are not scrypt's; by default the bundled hasher with its default settings.
    """

    def __init__(self, *, ln: int = 17, r: int = 8, p: int = 1, older: PasswordHasher | None = None) -> None:
        if not _is_affordable(ln, r, p):
            raise ValueError("these parameters of scrypt take too much memory or time")
        self._parameters = ln, r, p
        self._older = older or Argon2Hasher(time_cost=2, memory_cost=19456, parallelism=1)
        at_once = min(os.cpu_count() or 1, _MEMORY_OF_ALL // _MOST_MEMORY)
        self._lane = ThreadPoolExecutor(at_once, thread_name_prefix="scrypt")
        # Random, so no password is known for it; an unknown account's is verified against it all the same.
        self._nobodys = self._phc(os.urandom(_SALT_SIZE), os.urandom(_DIGEST_SIZE))

    async def hash(self, password: Secret) -> PasswordHash:
        return await asyncio.get_running_loop().run_in_executor(self._lane, self._hash, password)

    async def verify(self, password: Secret, password_hash: PasswordHash | None) -> bool:
        # Always with both, or a stopwatch could tell an unknown account from one that has not moved over yet.
        is_older = password_hash is not None and password_hash.startswith("$argon2id$")
        olders, ours = (password_hash, None) if is_older else (None, password_hash)
        matches_olders = await self._older.verify(password, olders)
        matches_ours = await asyncio.get_running_loop().run_in_executor(
            self._lane, _matches, password, self._nobodys if ours is None else ours
        )
        return matches_olders or (matches_ours and ours is not None)

    def needs_rehash(self, password_hash: PasswordHash) -> bool:
        return not password_hash.startswith(f"{self._phc()}$")

    def _hash(self, password: Secret) -> PasswordHash:
        salt = os.urandom(_SALT_SIZE)
        return self._phc(salt, _digest(password, salt, *self._parameters))

    def _phc(self, *parts: bytes) -> PasswordHash:
        ln, r, p = self._parameters
        base64 = (b64encode(part).decode().rstrip("=") for part in parts)  # PHC strings have it unpadded
        return PasswordHash("$".join((f"$scrypt$ln={ln},r={r},p={p}", *base64)))


def _matches(password: Secret, password_hash: PasswordHash) -> bool:
    if not (match := _PHC.fullmatch(password_hash)):
        return False
    ln, r, p = (int(number) for number in match.group(1, 2, 3))
    salt, digest = b64decode(f"{match[4]}=="), b64decode(f"{match[5]}=")
    return _is_affordable(ln, r, p) and hmac.compare_digest(_digest(password, salt, ln, r, p), digest)


def _digest(password: Secret, salt: bytes, ln: int, r: int, p: int) -> bytes:
    octets, memory = password.reveal().encode(errors="surrogatepass"), _memory(ln, r, p)
    return hashlib.scrypt(octets, salt=salt, n=1 << ln, r=r, p=p, maxmem=memory, dklen=_DIGEST_SIZE)


def _memory(ln: int, r: int, p: int) -> int:
    return 128 * r * ((1 << ln) + p + 2)  # bytes, as OpenSSL counts them


def _is_affordable(ln: int, r: int, p: int) -> bool:
    is_valid = ln < 16 * r  # RFC 7914, 2
    return is_valid and (r * p) << ln <= _MOST_STEPS and _memory(ln, r, p) <= _MOST_MEMORY
