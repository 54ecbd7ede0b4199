"""How the values in a mail are put into words; the filters of the templates."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

# Not strftime's: those depend on the locale of the process.
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_UNITS = ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute"))

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


def duration(length: timedelta) -> str:
    """In the largest unit that divides it, never more than it is: "1 hour", "90 minutes", "45 seconds"."""
    if length < timedelta(minutes=1):
        return _counted(length // timedelta(seconds=1), "second")
    whole_minutes = length - length % timedelta(minutes=1)
    unit, name = next((unit, name) for unit, name in _UNITS if not whole_minutes % unit)
    return _counted(whole_minutes // unit, name)


def moment(at: datetime) -> str:
    """In UTC, to the minute: "22 November 2026, 13:02 UTC"."""
    at = at.astimezone(UTC)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}, {at:%H:%M} UTC"


def device(user_agent: str) -> str:
    """The browser and the system that a User-Agent header claims, or the program, or "".

    In words of our own: whoever sends the header must not be able to write into the mail.
    """
    if not user_agent.startswith("Mozilla/"):
        product = _PRODUCT.match(user_agent)
        return product[0] if product else ""
    browser = next((name for mark, name in _BROWSERS.items() if mark in user_agent), "")
    system = next((name for mark, name in _SYSTEMS.items() if mark in user_agent), "")
    return f"{browser or 'Browser'} on {system}" if system else browser


def _counted(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
