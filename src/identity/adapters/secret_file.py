"""A generated secret of the service, in a file that only its owner may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def create_secret_file(path: Path) -> None:
    """Makes the file, with a new secret of 256 bits, unless it is there.

    However many processes start at once, all find the same secret in it afterwards.

    Raises:
        OSError: the file cannot be made.
        PermissionError: it is there, and others than its owner may read it.
    """
    if not path.exists():
        _create(path)
    if path.stat().st_mode & 0o077:
        raise PermissionError(f"{path} holds the service's secret and may be read by others: chmod 600 it")


def _create(path: Path) -> None:
    # Written aside and linked into place: nobody ever reads half a secret, and only the first link succeeds.
    draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(descriptor)
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
