"""The filters of the templates: they bring a value down to what a locale's `wording.jinja` puts into words.

Its macros are `moment(at)`, `duration(count, unit)` with a unit of second, minute, hour or day, and
`device(browser, system)`, one of which may be empty. Being macros, they can say "2 godziny" and "5 godzin".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from jinja2 import Environment, TemplateRuntimeError

_SECOND, _MINUTE = timedelta(seconds=1), timedelta(minutes=1)
_UNITS = {timedelta(days=1): "day", timedelta(hours=1): "hour", _MINUTE: "minute"}

# The first that is found decides: most browsers also claim to be those below them.
_BROWSERS = {
    "Edg": "Edge",
    "OPR/": "Opera",
    "SamsungBrowser/": "Samsung Internet",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "Chrome/": "Chrome",
    "CriOS/": "Chrome",
    "Safari/": "Safari",
}
_SYSTEMS = {
    "Windows": "Windows",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Android": "Android",
    "CrOS": "ChromeOS",
    "Macintosh": "macOS",
    "Linux": "Linux",
}
_PRODUCT = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}(?=[/ ]|$)")  # RFC 9110, 10.1.5


class Wording:
    """The words of one locale for the values in a mail."""

    def __init__(self, templates: Environment) -> None:
        self._templates = templates

    def duration(self, length: timedelta) -> str:
        """In the largest unit that divides it, never more than it is: "1 hour", "90 minutes"."""
        if length < _MINUTE:
            return self._said("duration", length // _SECOND, "second")
        whole_minutes = length - length % _MINUTE
        unit, name = next((unit, name) for unit, name in _UNITS.items() if not whole_minutes % unit)
        return self._said("duration", whole_minutes // unit, name)

    def moment(self, at: datetime) -> str:
        """In UTC, to the minute: "22 November 2026, 13:02 UTC"."""
        return self._said("moment", at.astimezone(UTC))

    def device(self, user_agent: str) -> str:
        """The browser and the system that a User-Agent header claims, or the program, or "".

        In words of our own: whoever sends the header must not be able to write into the mail.
        """
        if not user_agent.startswith("Mozilla/"):
            product = _PRODUCT.match(user_agent)
            return product[0] if product else ""
        browser = next((name for mark, name in _BROWSERS.items() if mark in user_agent), "")
        system = next((name for mark, name in _SYSTEMS.items() if mark in user_agent), "")
        return self._said("device", browser, system) if browser or system else ""

    def _said(self, macro: str, *values: object) -> str:
        module = self._templates.get_template("wording.jinja").module
        if not hasattr(module, macro):
            raise TemplateRuntimeError(f"wording.jinja has no macro {macro}")
        # Plain text again, whatever Jinja takes it for, so that the template that asked escapes it.
        return str(getattr(module, macro)(*values)).strip()
