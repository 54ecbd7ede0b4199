"""The port `CommonPasswords`, answered from a list that ships inside this package.

The list is the one that Django's `CommonPasswordValidator` uses, about 20,000 passwords that Royce Williams
collected from Pwned Passwords, so whoever comes from a Django service is refused the same passwords.
Its origin and licence are in `common_passwords.NOTICE.txt` beside this file.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib import resources


class BundledCommonPasswords:
    """Knows whether a password is on the bundled list.

    It compares as Django does: in lower case, without the white space at both ends. The list is read when the
    first password is looked up, and once for the whole process.
    """

    __slots__ = ()

    def __contains__(self, password: str) -> bool:
        return password.lower().strip() in _words()


@cache
def _words() -> frozenset[str]:
    packed = resources.files(__package__).joinpath("common_passwords.txt.gz").read_bytes()
    return frozenset(gzip.decompress(packed).decode("utf-8").split("\n")) - {""}
