"""The port `CommonPasswords`, answered from a deployment's own file."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from pathlib import Path

from identity.application.ports import CommonPasswords


class CommonPasswordsFile:
    """Knows the passwords in a file beside those that it is given: UTF-8, one in a line.

    It compares as the bundled list does: in lower case, without the white space at both ends. Blank lines
    mean nothing; there are no comments, as a password may begin with any character.

    Raises:
        OSError: the file cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """

    def __init__(self, path: Path, *, besides: CommonPasswords) -> None:
        self._besides = besides
        # Their hashes alone: a million take 8 MB, where a set of them takes 100, and that in each worker.
        # The hash of any other password is among them by chance, once in 10 ** 13 times.
        with path.open(encoding="utf-8-sig") as lines:
            self._hashes = array(
                "q", sorted([hash(word) for line in lines if (word := line.lower().strip())])
            )

    def __contains__(self, password: str) -> bool:
        sought = hash(password.lower().strip())
        place = bisect_left(self._hashes, sought)
        is_in_the_file = place < len(self._hashes) and self._hashes[place] == sought
        return is_in_the_file or password in self._besides
