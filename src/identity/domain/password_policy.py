"""Which new passwords are acceptable (NIST SP 800-63B, 3.1.1.2; OWASP ASVS 5.0, 6.2).

Length and known-bad words count, composition does not. A password is never trimmed or normalised.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from identity.domain.names import EmailAddress, Username
from identity.domain.secrets import Secret
from identity.domain.text import BLANK, CONTROL_CHARACTERS, has_control_characters, too_long

BYTE_LIMIT = 1024
TOO_COMMON = "This password is too common."
ALL_DIGITS = "This password is entirely numeric."
LIKE_USERNAME = "The password is too similar to the username."
LIKE_EMAIL = "The password is too similar to the email address."
LIKE_SERVICE = "The password is too similar to the name of this service."

# A name of one or two letters is part of most good passwords by chance; then only equality counts.
_SHORTEST_TELLING_NAME = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordPolicy:
    """Lengths are in Unicode code points."""

    shortest: int = 8
    longest: int = 256
    service_names: tuple[str, ...] = ()
    """The words that one who knows this service, and nothing of its users, would try first."""

    def problems(
        self, password: Secret, *, is_common: bool, username: Username | None, email: EmailAddress | None
    ) -> tuple[str, ...]:
        """Every message that applies, none for an acceptable password. A name of `None` is not compared."""
        text = password.reveal()
        if not text:
            return (BLANK,)
        if is_oversized(password) or len(text) > self.longest:
            return (too_long(self.longest),)
        if has_control_characters(text):
            return (CONTROL_CHARACTERS,)
        rules = {
            self._too_short: len(text) < self.shortest,
            TOO_COMMON: is_common or text.isspace(),
            ALL_DIGITS: text.isdigit(),
            LIKE_USERNAME: username is not None and _is_similar(text, username.value),
            LIKE_EMAIL: email is not None
            and (_is_similar(text, email.value) or _is_similar(text, email.local_part)),
            LIKE_SERVICE: any(_is_similar(text, name) for name in self.service_names),
        }
        return tuple(message for message, applies in rules.items() if applies)

    @property
    def _too_short(self) -> str:
        return f"This password is too short. It must contain at least {self.shortest} characters."


def is_oversized(password: Secret) -> bool:
    """Longer than any password this service has ever accepted: not worth a hash."""
    text = password.reveal()
    return len(text) > BYTE_LIMIT or len(text.encode(errors="surrogatepass")) > BYTE_LIMIT


def _is_similar(password: str, name: str) -> bool:
    password, name = _folded(password), _folded(name)
    if len(name) < _SHORTEST_TELLING_NAME:
        return password == name
    return name in password or password in name


def _folded(text: str) -> str:
    """Without differences of case and width, as usernames are compared."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
