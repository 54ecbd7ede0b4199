"""How one setting is read from text, and shown as text.

A reader takes the text and returns the value, or raises ValueError with the rest of a sentence that begins
with the setting's name. A reader of URLs never repeats its text: a wrong URL may still hold a password.
"""

from __future__ import annotations

import ipaddress
import re
import string
from collections.abc import Callable
from datetime import timedelta
from email.errors import ObsoleteHeaderDefect
from email.headerregistry import HeaderRegistry
from pathlib import Path
from typing import Any

from identity.domain.secrets import Secret

HIDDEN = "**********"
BUNDLED_APP = Path(__file__).parents[1] / "app"
LEAST_MEMORY_COST = 19456  # KiB; OWASP's floor for Argon2id with two iterations and one lane
MOST_MEMORY_COST = 4194304
SERVER_SCHEMES = frozenset({"postgresql", "postgres", "mariadb", "mysql"})

_SECRET_FILE_LIMIT = 64 * 1024  # bytes
_EXAMPLE_SECRETS = (  # how the values in frameworks' templates and tutorials begin
    "django-insecure",
    "changeme",
    "change-me",
    "change_me",
    "example",
    "insecure",
    "your-secret",
    "your_secret",
    "your-256-bit-secret",
    "a-string-secret-at-least",
    "a-valid-string-secret",
    "do not use this value",
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "404e635266556a586e3272357538782f413f4428472b4b6250645367566b5970",
    "aym1sysppbydfgzld3umj1qzkobwvmkoqq",  # RFC 7515, A.1.1
)
_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}

_HOST_NAME = "[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"  # matches an IPv4 address too
_HOST = rf"(?:{_HOST_NAME}|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{1,5}})?"
_AUTHORITY = rf"(?:{_HOST_NAME}|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{{1,5}}))?"
_HTTP_URL = re.compile(rf"https?://{_AUTHORITY}(?:/[^\s?#]*)?(?P<extra>[?#]\S*)?")
_ORIGIN = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]*)://{_AUTHORITY}")
# Printable ASCII but for : / ? # [ ] @ (RFC 3986, 2.2), which mean something else where they stand.
_UNRESERVED = r'[!"$-.0-9;->A-Z\\^-~]'
# Reserved characters in a user or password must be percent-encoded, or the URL could be read in two ways.
_SMTP_URL = re.compile(
    rf"(?P<scheme>smtp|smtp\+starttls|smtps)://(?P<login>{_UNRESERVED}+:(?:{_UNRESERVED}|:)+@)?{_AUTHORITY}"
)
_LOGIN = rf"(?:(?:{_UNRESERVED}|:)*@)?"
_HOSTS = rf"(?:{_HOST}(?:,{_HOST})*)?"  # several, of which one is the primary; none for a socket
_SERVER_URL = re.compile(
    rf"(?:postgres(?:ql)?://{_LOGIN}(?P<hosts>{_HOSTS})|(?:mariadb|mysql)://{_LOGIN}(?P<host>(?:{_HOST})?))"
    r"/[!\"$-.0->@-~]+(?:\?[!\"$-~]*)?"
)
_HASHER_CLASS = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")
_CLASS_PATH = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+:[^\W\d]\w*")


def line(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be empty")
    return text


def boolean(text: str) -> bool:
    if text.lower() not in {"true", "1", "yes", "on", "false", "0", "no", "off"}:
        raise ValueError(f'must be true or false, not "{text}"')
    return text.lower() in {"true", "1", "yes", "on"}


def integer(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch("[0-9]{1,18}", text) or not least <= int(text) <= most:
            raise ValueError(f'must be a whole number from {least} to {most}, not "{text}"')
        return int(text)

    return read


def duration(*, least: timedelta = timedelta(seconds=1), most: timedelta) -> Callable[[str], timedelta]:
    """Reads `300`, `300s`, `5m`, `12h` or `30d`; a number without a unit means seconds."""

    def read(text: str) -> timedelta:
        match = re.fullmatch("([0-9]{1,9})([smhd]?)", text)
        if not match:
            raise ValueError(f'must be a duration such as 300, 300s, 5m, 12h or 30d, not "{text}"')
        value = int(match[1]) * _UNITS[match[2] or "s"]
        if not least <= value <= most:
            raise ValueError(f'must be {as_text(least)} to {as_text(most)}, not "{text}"')
        return value

    return read


def one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f'must be one of {", ".join(words)}, not "{text}"')
        return text

    return read


def networks(text: str) -> tuple[str, ...]:
    """Addresses and networks in CIDR notation."""
    try:
        found = [ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip()]
    except ValueError as error:
        raise ValueError(f"must be networks such as 10.0.0.0/8, separated by commas: {error}") from None
    if any(not network.prefixlen for network in found):
        raise ValueError("must not be everybody's network: anybody could claim any address")
    return tuple(map(str, found))


def words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def text_file(text: str) -> Path:
    """A file in UTF-8 that can be read, of any length."""
    try:
        with Path(text).open(encoding="utf-8") as lines:
            for _ in lines:
                pass
    except OSError as error:
        raise ValueError(f'must name a file that can be read, not "{text}": {error.strerror}') from None
    except ValueError:
        raise ValueError(f'must name a file in UTF-8, which "{text}" is not') from None
    return Path(text)


def directory(text: str) -> Path:
    if not Path(text).is_dir():
        raise ValueError(f'must be an existing directory, not "{text}"')
    return Path(text)


def app_directory(text: str) -> Path:
    path = BUNDLED_APP if text == "bundled" else Path(text)
    if not (path / "index.html").is_file():
        if path is BUNDLED_APP:
            raise ValueError("is bundled, but this installation was built without the app")
        raise ValueError(f'must be bundled, or a directory with an index.html, which "{text}" is not')
    return path


def language_tag(text: str) -> str:
    if not re.fullmatch("[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*", text):  # RFC 5646, 2.1
        raise ValueError(f'must be a language tag such as en or de-AT, not "{text}"')
    return text


def secret(text: str) -> Secret:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise ValueError("must be valid UTF-8") from None
    if size < 32:
        raise ValueError("must be at least 32 bytes long")
    repeats = any(text[period:] == text[:-period] for period in range(1, 17))
    if repeats or text.lower().startswith(_EXAMPLE_SECRETS):
        raise ValueError("begins as a known example does, or repeats itself; generate a random one")
    return Secret(text)


def secret_in(path: Path) -> Secret:
    try:
        with path.open("rb") as file:
            content = file.read(_SECRET_FILE_LIMIT + 1)
        text = content.decode()
    except UnicodeDecodeError:
        raise ValueError("must hold valid UTF-8") from None
    except OSError as error:
        # Without the path: it could be the secret itself, put into the wrong variable.
        raise ValueError(f"cannot be read: {error.strerror}") from None
    if len(content) > _SECRET_FILE_LIMIT:
        raise ValueError(f"must hold at most {_SECRET_FILE_LIMIT} bytes")
    return secret(text.removesuffix("\n").removesuffix("\r"))


def database_url(text: str) -> str:
    path = text.removeprefix("sqlite:///")
    if path != text:
        # Without a file SQLite would keep everything in memory; *.secret is where the secret goes.
        if not path or path.endswith(("/", ".", ":memory:", ".secret")) or "?" in path or "#" in path:
            raise ValueError("must name a database file after sqlite:///, such as sqlite:///identity.db")
    elif text != "memory:" and not _is_server_url(text):
        raise ValueError(
            "must be sqlite:///PATH, memory:, postgresql://user:password@host[:port]/database or "
            "mariadb://user:password@host[:port]/database, user and password percent-encoded"
        )
    return text


def _is_server_url(text: str) -> bool:
    match = _SERVER_URL.fullmatch(text)
    ports = re.findall(":([0-9]+)(?=,|$)", match["hosts"] or match["host"] or "") if match else []
    return match is not None and all(1 <= int(port) <= 65535 for port in ports)


def mail_url(text: str) -> str:
    if text in {"console:", "memory:"} or re.fullmatch("directory:.+", text) or _CLASS_PATH.fullmatch(text):
        return text
    match = _SMTP_URL.fullmatch(text)
    if not match or not _has_usable_port(match):
        raise ValueError(
            "must be console:, memory:, directory:PATH, package.module:Class (with a dot), "
            "smtp://host[:port], or smtp+starttls:// or smtps:// with [user:password@]host[:port], user and "
            "password percent-encoded"
        )
    if match["login"] and match["scheme"] == "smtp":
        raise ValueError("would send the password in clear text; use smtp+starttls:// or smtps://")
    return text


def hasher(text: str) -> str:
    if text != "argon2" and not _HASHER_CLASS.fullmatch(text):
        raise ValueError("must be argon2 or package.module:Class")
    return text


def mail_address(text: str) -> str:
    try:
        header: Any = HeaderRegistry()("From", text)
        (group,) = header.groups
        (address,) = group.addresses
        # Obsolete, but common and harmless: J. Smith <j@example.org> without quotes.
        sound = all(isinstance(defect, ObsoleteHeaderDefect) for defect in header.defects)
        valid = sound and group.display_name is None and address.username and address.domain
    except Exception:  # noqa: BLE001 - the standard parser meets some input with an IndexError or TypeError
        valid = False
    if not valid:
        raise ValueError(f'must be one address such as "Name <name@example.org>", not "{text}"')
    return text


def http_url(text: str) -> str:
    match = _HTTP_URL.fullmatch(text)
    if not match or match["extra"] or not _has_usable_port(match):
        raise ValueError(
            "must be http:// or https:// with host[:port][/path], without user, query or fragment"
        )
    return text.rstrip("/")


def link_url(text: str) -> str:
    try:
        placeholders = [parsed[1:] for parsed in string.Formatter().parse(text) if parsed[1] is not None]
    except ValueError:
        raise ValueError("has a brace without its counterpart") from None
    names = {name for name, _, _ in placeholders}
    if names - {"frontend", "uidb64", "token"} or any(spec or conv for _, spec, conv in placeholders):
        raise ValueError("may have no placeholders but {frontend}, {uidb64} and {token}")
    if not names >= {"uidb64", "token"}:
        raise ValueError("must contain {uidb64} and {token}")
    # The greatest port, so that text joined to {frontend} without a slash does not pass as part of the host.
    match = _HTTP_URL.fullmatch(text.replace("{frontend}", "http://localhost:65535", 1))
    if not match or not _has_usable_port(match):
        raise ValueError("must begin with {frontend}/, http:// or https://")
    return text


def origins(text: str) -> tuple[str, ...]:
    """Empty text is no origin: a front end served from this service's own origin needs none."""
    found = tuple(part.strip() for part in text.split(",")) if text.strip() else ()
    for origin in found:
        match = _ORIGIN.fullmatch(origin)
        implied = match and (match["scheme"], match["port"]) in {("http", "80"), ("https", "443")}
        if not match or not _has_usable_port(match) or implied or origin != origin.lower():
            raise ValueError(
                f'has "{without_credentials(origin)}", not scheme://host[:port] as browsers send it: '
                "lower case, no path or trailing slash, no default port, neither * nor null"
            )
    return found


def webhooks(text: str) -> tuple[str, ...]:
    """Each a URL, and after spaces the kinds of events that it is told of."""
    found = tuple(" ".join(part.split()) for part in text.split(",") if part.strip())
    for endpoint in found:
        url, *kinds = endpoint.split()
        match = _HTTP_URL.fullmatch(url)
        if not match or "#" in (match["extra"] or "") or not _has_usable_port(match) or not url.isascii():
            raise ValueError(
                "must be https:// URLs with host[:port][/path][?query], what is not ASCII and commas in them "
                "percent-encoded, separated by commas; after each, separated by spaces, the kinds of events "
                "that it is told of, if not of all"
            )
        if not all(re.fullmatch("[A-Z][A-Za-z]+", kind) for kind in kinds):
            raise ValueError(
                "has after a URL what is no kind of event: a kind is written like UserRegistered"
            )
    if len({endpoint.split()[0] for endpoint in found}) < len(found):
        raise ValueError("has one URL twice")
    return found


def listen_address(text: str) -> str:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        if not re.fullmatch(_HOST_NAME, text):
            raise ValueError(f'must be an IP address or a host name, without a port, not "{text}"') from None
    return text


def scheme(url: str) -> str:
    return url.partition(":")[0]


def is_private(host: str) -> bool:
    """Whether the host of a URL is plainly none of the public internet."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost"


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def as_text(value: object) -> str:
    """The text that a reader turns into `value`; a secret stays hidden."""
    if isinstance(value, Secret):
        return HIDDEN
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, timedelta):
        for unit, size in _UNITS.items():
            if value >= size and not value % size:
                return f"{value // size}{unit}"
        return f"{value.total_seconds():g}s"
    return "" if value is None else str(value)


def without_paths(urls: str) -> str:
    """Hides what may be a token of the receiver's."""
    return re.sub(r"(://[^/?,\s]+[/?])[^,\s]+", rf"\1{HIDDEN}", urls)


def without_credentials(url: str) -> str:
    """Hides whatever may be a password, greedily: a wrong URL may hold an unescaped `@` or `/` in it."""
    url = re.sub(r"://([^:@]*):.*@", rf"://\1:{HIDDEN}@", url)
    url = re.sub(r"://[^:@]*@", f"://{HIDDEN}@", url)
    return re.sub(r"([?&][^=&]*(?:pass|secret|token)[^=&]*=)[^&]*", rf"\1{HIDDEN}", url, flags=re.IGNORECASE)


def _has_usable_port(match: re.Match[str]) -> bool:
    return match["port"] is None or 1 <= int(match["port"]) <= 65535
