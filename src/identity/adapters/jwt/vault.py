"""Sealing what must not be readable at rest, under the service's secret."""

from __future__ import annotations

import os
from contextlib import suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from identity.domain.secrets import Secret
from identity.domain.signing_key import UnreadableKey

_NONCE_BYTES = 12  # NIST SP 800-38D, 8.2.1


class Vault:
    """AES-256-GCM under a key derived from the service's secret, another for each purpose."""

    def __init__(self, secret: Secret, *, purpose: str, previous: Secret | None = None) -> None:
        """`previous` opens what was sealed before the service's secret was changed."""
        self._aead = _aead(secret, purpose)
        self._previous = None if previous is None else _aead(previous, purpose)

    def seal(self, plaintext: bytes, *, row: str) -> bytes:
        """`row` is bound to the seal: moved to another row, it does not open."""
        nonce = os.urandom(_NONCE_BYTES)
        return nonce + self._aead.encrypt(nonce, plaintext, row.encode())

    def open(self, sealed: bytes, *, row: str) -> bytes:
        """Raises `UnreadableKey`: it was sealed under another secret, for another row, or altered."""
        for aead in (self._aead, self._previous):
            if aead is not None:
                with suppress(InvalidTag, ValueError):
                    return aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], row.encode())
        raise UnreadableKey(row)


def derived_key(secret: Secret, purpose: str) -> bytes:
    """256 bits by HKDF (RFC 5869), of no use for any other purpose."""
    return HKDF(SHA256(), 32, salt=None, info=f"identity/{purpose}".encode()).derive(secret.reveal().encode())


def _aead(secret: Secret, purpose: str) -> AESGCM:
    return AESGCM(derived_key(secret, purpose))
