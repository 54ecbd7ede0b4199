"""Which new passwords are acceptable here."""

from __future__ import annotations

from identity.domain.password_policy import PasswordPolicy
from identity.settings import Settings


def password_policy(settings: Settings, name: str) -> PasswordPolicy:
    """The service's `name` may not be in a password, neither as it is written nor in one word."""
    in_one_word = "".join(filter(str.isalnum, name))
    return PasswordPolicy(
        shortest=settings.password_min_length,
        longest=settings.password_max_length,
        service_names=(name, in_one_word, *settings.password_context_words),
    )


def common_passwords_kind(settings: Settings) -> str:
    return "file" if settings.common_passwords_file else "bundled"
