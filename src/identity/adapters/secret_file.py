"""A generated secret of the service, in a file that only its owner may read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from identity.domain.secrets import Secret


def read_or_create_secret(path: Path) -> Secret:
    """The secret in the file, which is made with a new one of 256 bits if it is not there.

    However many processes start at once, all get the same one.

    Raises:
        OSError: the file cannot be read, or cannot be made.
    """
    if not path.exists():
        _create(path)
    return Secret(path.read_text(encoding="utf-8").removesuffix("\n"))


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
