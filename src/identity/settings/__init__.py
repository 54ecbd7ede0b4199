"""Everything a deployment can set, what it means, and the only code that reads the environment.

A setting is read from `IDENTITY_<NAME>` in the environment, else from `<name>` in the TOML file, else it has
its default. Each field of `Settings` states its type, its meaning and its reader (see `values`).
"""

from __future__ import annotations

import difflib
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

from msgspec import Struct, structs

from identity.domain.secrets import Secret
from identity.settings import values
from identity.settings.conflicts import conflicts
from identity.settings.values import as_text, duration, integer

__all__ = ["Row", "Settings", "SettingsError", "describe"]

_PREFIX = "IDENTITY_"
_SERVICE_LINK = re.compile(
    rf"{_PREFIX}(?:\w+_)?(?:SERVICE_(?:HOST|PORT)(?:_\w+)?|PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_\w+)?)"
)
_DAY, _HOUR, _MINUTE, _SECOND = (
    timedelta(days=1),
    timedelta(hours=1),
    timedelta(minutes=1),
    timedelta(seconds=1),
)


_SECRETS = frozenset({"secret", "secret_previous", "shared_key"})  # any characters will do


class SettingsError(Exception):
    """Settings that cannot be used: `problems` has one line each, `str()` lists them all. No secret shows."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(_one_line(problem) for problem in problems)
        super().__init__("\n".join(["The settings are wrong:", *(f"  - {line}" for line in self.problems)]))


def _one_line(text: str) -> str:
    """Names and values come from outside; a line break or an escape sequence there must not forge a line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Settings(Struct, frozen=True, kw_only=True):
    """The settings of one deployment. `load` checks them; the constructor trusts its caller.

    `repr()` hides the secret and the credentials in URLs.
    """

    database_url: Annotated[
        str,
        "Where accounts are kept: sqlite:///PATH, postgresql://user:password@host/name, "
        "mariadb://user:password@host/name, or memory: to forget them at exit.",
        values.database_url,
    ] = "sqlite:///identity.db"
    database_connections: Annotated[
        int,
        "Connections of each process to a server database for transactions, and as many again to read.",
        integer(1, 1000),
    ] = 5
    startup_wait: Annotated[
        timedelta,
        "How long a start waits for a server database that does not answer yet.",
        duration(least=0 * _SECOND, most=_HOUR),
    ] = 30 * _SECOND
    secret: Annotated[
        Secret | None,
        "At least 32 random bytes that protect the signing keys; if unset, SQLite has one made beside it.",
        values.secret,
    ] = None
    secret_file: Annotated[Path | None, "File to read the secret from instead.", Path] = None
    secret_previous: Annotated[
        Secret | None,
        "The secret before, while `identity keys reencrypt` has not been run on every database yet.",
        values.secret,
    ] = None
    token_algorithm: Annotated[
        str,
        "How tokens are signed: ES256, RS256 (3072 bits), or HS256 with IDENTITY_SHARED_KEY.",
        values.one_of("ES256", "RS256", "HS256"),
    ] = "ES256"
    shared_key: Annotated[
        Secret | None,
        "For HS256: at least 32 bytes that every service that verifies tokens has too, and could sign with.",
        values.secret,
    ] = None
    key_rotation: Annotated[
        timedelta,
        "How long a key signs before the next one does.",
        duration(least=2 * _DAY, most=3650 * _DAY),
    ] = 90 * _DAY
    mail_url: Annotated[
        str,
        "How mail leaves: console:, smtp://host:port, smtp+starttls://user:password@host:port, smtps://..., "
        "directory:PATH, memory: or package.module:Class.",
        values.mail_url,
    ] = "console:"
    mail_from: Annotated[str, "Sender of every mail.", values.mail_address] = "Identity <identity@localhost>"
    service_name: Annotated[
        str,
        "Name of this service in mails, not to be in passwords; if unset, the name in IDENTITY_MAIL_FROM.",
        values.line,
    ] = ""
    default_locale: Annotated[
        str,
        "Language of a mail whose reader has named none, or none that there is: en, de, or one of your own.",
        values.language_tag,
    ] = "en"
    public_url: Annotated[str, "URL at which clients reach this service.", values.http_url] = (
        "http://127.0.0.1:8000"
    )
    issuer: Annotated[str, "The iss claim of every token; IDENTITY_PUBLIC_URL if unset.", values.line] = ""
    audience: Annotated[str, "The aud claim of every access token.", values.line] = "identity"
    app_dir: Annotated[
        Path | None,
        "Directory of a built single-page app to answer at /, or bundled for the one that this installation "
        "was built with.",
        values.app_directory,
    ] = None
    frontend_url: Annotated[
        str,
        "URL of the single-page app; IDENTITY_PUBLIC_URL if IDENTITY_APP_DIR is set and this is not.",
        values.http_url,
    ] = "http://localhost:3000"
    reset_url: Annotated[
        str, "Link mailed to reset a password; {frontend} is IDENTITY_FRONTEND_URL.", values.link_url
    ] = "{frontend}/reset-password/{uidb64}/{token}"
    email_verification: Annotated[
        str,
        "off mails no link at registration; optional does; required also lets nobody log in unverified, and "
        "tells nobody which addresses are taken.",
        values.one_of("off", "optional", "required"),
    ] = "optional"
    verify_email_url: Annotated[
        str, "Link mailed to verify an address; {frontend} is IDENTITY_FRONTEND_URL.", values.link_url
    ] = "{frontend}/verify-email/{uidb64}/{token}"
    change_email_url: Annotated[
        str,
        "Link mailed to a new address, to confirm it; {frontend} is IDENTITY_FRONTEND_URL.",
        values.link_url,
    ] = "{frontend}/confirm-email/{uidb64}/{token}"
    undo_email_change_url: Annotated[
        str,
        "Link mailed to the address of before, to undo its change; {frontend} is IDENTITY_FRONTEND_URL.",
        values.link_url,
    ] = "{frontend}/undo-email-change/{uidb64}/{token}"
    undo_deletion_url: Annotated[
        str, "Link mailed to undo a deletion; {frontend} is IDENTITY_FRONTEND_URL.", values.link_url
    ] = "{frontend}/undo-deletion/{uidb64}/{token}"
    cors_origins: Annotated[
        tuple[str, ...], "Origins whose pages may call the API, separated by commas.", values.origins
    ] = ("http://localhost:3000", "http://localhost:5173")
    host: Annotated[str, "Address to listen on.", values.listen_address] = "127.0.0.1"
    port: Annotated[int, "Port to listen on; 0 takes any free one.", integer(0, 65535)] = 8000
    workers: Annotated[int, "Server processes; only 1 with memory:.", integer(1, 256)] = 1
    access_lifetime: Annotated[timedelta, "How long an access token lasts.", duration(most=_DAY)] = (
        5 * _MINUTE
    )
    refresh_idle: Annotated[
        timedelta,
        "How long a session lives unused, within IDENTITY_REFRESH_LIFETIME.",
        duration(most=365 * _DAY),
    ] = 7 * _DAY
    refresh_lifetime: Annotated[timedelta, "How long a session lives at most.", duration(most=365 * _DAY)] = (
        30 * _DAY
    )
    reuse_window: Annotated[
        timedelta,
        "How long a replaced refresh token is still honoured, for lost answers and several tabs; the longer, "
        "the later is theft noticed.",
        duration(most=10 * _MINUTE),
    ] = 60 * _SECOND
    reset_lifetime: Annotated[timedelta, "How long a reset link lasts.", duration(most=_DAY)] = 60 * _MINUTE
    verify_email_lifetime: Annotated[
        timedelta, "How long a link to verify an address lasts.", duration(most=30 * _DAY)
    ] = 2 * _DAY
    erasure_grace: Annotated[
        timedelta,
        "How long an account that its owner deletes is closed before it is erased, and they can undo it; 0s "
        "erases within the hour.",
        duration(least=0 * _SECOND, most=90 * _DAY),
    ] = 14 * _DAY
    audit_retention: Annotated[
        timedelta,
        "How long the audit log is kept; the default is a year, and time to look back over one.",
        duration(least=_DAY, most=3650 * _DAY),
    ] = 400 * _DAY  # PCI DSS 10.5.1: at least twelve months
    sessions_per_account: Annotated[
        int, "Live sessions an account may have; one more ends the oldest.", integer(1, 10_000)
    ] = 50
    superuser_login_lifetime: Annotated[
        timedelta,
        "How long after a login a superuser may administer accounts; then they log in again.",
        duration(least=_MINUTE, most=365 * _DAY),
    ] = 12 * _HOUR
    refresh_cookie: Annotated[
        bool,
        "Keep the refresh token in a cookie that scripts cannot read, instead of in bodies.",
        values.boolean,
    ] = False
    refresh_cookie_insecure: Annotated[
        bool,
        "For development on http://localhost only: a refresh cookie that travels without TLS.",
        values.boolean,
    ] = False
    login_code: Annotated[
        bool, "Let people log in by a code that is mailed to them, without their password.", values.boolean
    ] = False
    new_device_mail: Annotated[
        bool,
        "Mail the owner when somebody logs in from a browser and network not seen for 90 days.",
        values.boolean,
    ] = True
    hasher: Annotated[str, "How passwords are hashed: argon2 or package.module:Class.", values.hasher] = (
        "argon2"
    )
    # The floors are those of OWASP's Password Storage Cheat Sheet for Argon2id: 19 MiB, 2 iterations, 1 lane.
    argon2_time_cost: Annotated[int, "Argon2id iterations.", integer(2, 100)] = 2
    argon2_memory_cost: Annotated[
        int,
        "Argon2id memory for a hash, in KiB; `identity calibrate` proposes one.",
        integer(values.LEAST_MEMORY_COST, values.MOST_MEMORY_COST),
    ] = values.LEAST_MEMORY_COST
    argon2_parallelism: Annotated[int, "Argon2id lanes of a hash.", integer(1, 64)] = 1
    hashing_memory: Annotated[
        int | None,
        "Memory for hashing passwords in all workers together, in MiB; if unset, half of what there is.",
        integer(19, 4194304),
    ] = None
    password_min_length: Annotated[int, "Fewest characters of a new password.", integer(8, 64)] = (
        8  # NIST SP 800-63B, 3.1.1.2, and ASVS 6.2.1: no fewer
    )
    password_max_length: Annotated[int, "Most characters of a new password.", integer(64, 256)] = (
        256  # ASVS 6.2.9: at least 64
    )
    password_context_words: Annotated[
        tuple[str, ...],
        "Words not to be in passwords, such as other names of this service, separated by commas.",
        values.words,
    ] = ()
    common_passwords_file: Annotated[
        Path | None,
        "File of passwords to be refused beside the built-in list: UTF-8, one in a line, no comments.",
        values.text_file,
    ] = None
    login_free_failures: Annotated[
        int,
        "Wrong passwords in a row for one account before each further one doubles the wait.",
        integer(1, 100),
    ] = 5
    # NIST SP 800-63B, 3.2.2: no more than 100 in a row.
    login_failures: Annotated[
        int, "Wrong passwords in a row for one account before none is tried any more.", integer(1, 100)
    ] = 100
    address_failures: Annotated[
        int, "Wrong passwords from one address within five minutes.", integer(1, 1_000_000)
    ] = 30
    address_requests: Annotated[
        int,
        "Registrations from one address within five minutes; also forgotten passwords, mails to verify an "
        "address, login codes, bad links and bad refresh tokens, each.",
        integer(1, 1_000_000),
    ] = 100
    trusted_proxies: Annotated[
        tuple[str, ...],
        "Networks of the proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8, separated by commas.",
        values.networks,
    ] = ()
    webhook_url: Annotated[
        tuple[str, ...],
        "Who is told of events: a URL, after it the kinds of events, all if none are named, separated by "
        "spaces; several separated by commas.",
        values.webhooks,
    ] = ()
    webhook_private: Annotated[
        bool,
        "Let webhooks go to private addresses too, such as 10.0.0.0/8 and localhost, and without TLS.",
        values.boolean,
    ] = False
    templates: Annotated[
        Path | None,
        "Directory of mail templates that replace the built-in ones, or add languages.",
        values.directory,
    ] = None
    log_format: Annotated[
        str,
        "The log as text, a line for people, as json, an object for machines, or by auto text on a terminal "
        "and json elsewhere.",
        values.one_of("auto", "text", "json"),
    ] = "auto"
    access_log: Annotated[
        bool, "Log each request: its method, route and status, and how long it took.", values.boolean
    ] = False
    metrics_host: Annotated[str, "Address to answer Prometheus on, at /metrics.", values.listen_address] = (
        "127.0.0.1"
    )
    metrics_port: Annotated[
        int | None,
        "Port for that, of several workers the first of as many; 0 takes any free one. If unset, no metrics.",
        integer(0, 65535),
    ] = None
    auto_migrate: Annotated[
        bool, "Migrate a server database at start, instead of by `identity migrate`.", values.boolean
    ] = False
    deliver_mail: Annotated[
        bool,
        "Send mail and webhooks from the server process; false when `identity deliver-mail` runs as a "
        "process of its own.",
        values.boolean,
    ] = True
    shutdown_delay: Annotated[
        timedelta,
        "After SIGTERM readiness fails for this long before the listener closes, "
        "so that a load balancer notices.",
        duration(least=0 * _SECOND, most=5 * _MINUTE),
    ] = _SECOND

    def __post_init__(self) -> None:
        if not self.issuer:
            structs.force_setattr(self, "issuer", self.public_url)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, _shown(self, name)) for name in _names()]

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={text!r}' for name, text in self.__rich_repr__())})"

    @property
    def has_server_database(self) -> bool:
        return values.scheme(self.database_url) in values.SERVER_SCHEMES

    @property
    def metrics_ports(self) -> range:
        """One for each worker, but only 0 where any will do; empty where there are no metrics."""
        if self.metrics_port is None:
            return range(0)
        return range(self.metrics_port, self.metrics_port + (self.workers if self.metrics_port else 1))

    @property
    def database_path(self) -> Path | None:
        """The SQLite file; None for any other database."""
        path = self.database_url.removeprefix("sqlite:///")
        return Path(path) if path != self.database_url else None

    @property
    def secret_path(self) -> Path | None:
        """Where a generated secret is kept: beside the SQLite file; None for any other database."""
        return self.database_path.with_suffix(".secret") if self.database_path else None

    @classmethod
    def load(cls, environ: Mapping[str, str], config: Path | None = None) -> Settings:
        """Read and check every setting, from `environ` first and then from the TOML file `config`.

        A secret file is read here: its content is in `secret`. Raises SettingsError with all problems.
        """
        problems: list[str] = []
        links = _service_links(environ)
        if links:
            problems.append(
                f"{', '.join(links)}: probably a container platform's service links (Kubernetes, Docker) "
                'for a service named "identity"; rename that service or set enableServiceLinks: false'
            )
        variables = {
            name: environ[name] for name in environ if name.startswith(_PREFIX) and name not in links
        }
        problems += _unknown(variables, spelled=_variable)

        table: Mapping[str, object] = {}
        wrong: set[str] = set()
        try:
            table = _table(config) if config else {}
        except ValueError as error:
            problems.append(f"{config} {error}")
            wrong.update(_names())  # of which any could have been in it
        problems += (f"{line} (in {config})" for line in _unknown(table, spelled=str))

        read: dict[str, Any] = {}
        given: set[str] = set()
        for field in structs.fields(cls):
            source = _source(field, variables, table, config)
            if source is None:
                continue
            given.add(field.name)
            label, value = source
            try:
                read[field.name] = _read(field, value)
            except ValueError as error:
                problems.append(f"{label} {error}")
                wrong.add(field.name)
        if "secret_file" in read and "secret" not in given:
            try:
                read["secret"] = values.secret_in(read["secret_file"])
            except ValueError as error:
                problems.append(f"IDENTITY_SECRET_FILE {error}")

        if "app_dir" in read and "frontend_url" not in given:
            read["frontend_url"] = read.get("public_url", cls(**read).public_url)
        settings = cls(**read)
        problems += (line for names, line in conflicts(settings, given) if not wrong.intersection(names))
        if problems:
            raise SettingsError(problems)
        return settings


class Row(Struct, frozen=True, kw_only=True):
    """A setting as shown to a person: the name of its variable, and texts that hold no secret."""

    name: str
    value: str
    default: str
    meaning: str
    is_default: bool


def describe(settings: Settings) -> list[Row]:
    """All settings in the order of their declaration, secrets and credentials hidden."""
    defaults = Settings(issuer=settings.public_url)
    return [
        Row(
            name=_variable(field.name),
            value=_shown(settings, field.name),
            default=_shown(defaults, field.name),
            meaning=field.type.__metadata__[0],
            is_default=getattr(settings, field.name) == getattr(defaults, field.name),
        )
        for field in structs.fields(Settings)
    ]


def _shown(settings: Settings, name: str) -> str:
    text = as_text(getattr(settings, name))
    if name == "webhook_url":
        return values.without_paths(text)
    return values.without_credentials(text) if name in {"database_url", "mail_url"} else text


def _names() -> list[str]:
    return [field.name for field in structs.fields(Settings)]


def _variable(name: str) -> str:
    return _PREFIX + name.upper()


def _table(config: Path) -> Mapping[str, object]:
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"is not valid TOML: {error}") from None


def _service_links(environ: Mapping[str, str]) -> list[str]:
    """Names of variables such as IDENTITY_PORT=tcp://10.0.0.1:8000 and IDENTITY_SERVICE_HOST."""
    return sorted(
        name
        for name, value in environ.items()
        if _SERVICE_LINK.fullmatch(name)
        or (re.fullmatch(rf"{_PREFIX}(?:\w+_)?PORT", name) and re.match("(?:tcp|udp|sctp)://", value))
    )


def _unknown(names: Iterable[str], *, spelled: Callable[[str], str]) -> Iterator[str]:
    """One line for each name that is none of the settings, as `spelled` where the names come from."""
    known = _names()
    for name in sorted(set(names).difference(map(spelled, known))):
        nearest = difflib.get_close_matches(name.removeprefix(_PREFIX).lower(), known, n=1)
        hint = f"; did you mean {spelled(nearest[0])}?" if nearest else ""
        if name == _variable("config"):
            hint = "; name the file with --config"
        yield f"{name} is not a setting{hint}"


def _source(
    field: structs.FieldInfo, variables: Mapping[str, str], table: Mapping[str, object], config: Path | None
) -> tuple[str, object] | None:
    """What to call the setting in an error, and its value, from the environment or else the TOML file."""
    variable, optional = _variable(field.name), field.default in {None, ""}
    if variable in variables and not (optional and variables[variable] == ""):  # empty means unset
        return variable, variables[variable]
    if field.name in table and not (optional and table[field.name] == ""):
        return f"{field.name} in {config}", table[field.name]
    return None


def _read(field: structs.FieldInfo, value: object) -> object:
    """The setting's value from a variable's text or a TOML value. Raises ValueError."""
    if isinstance(value, bool | int):
        value = str(value).lower()
    if (
        isinstance(value, list)
        and isinstance(field.default, tuple)
        and all(isinstance(v, str) for v in value)
    ):
        value = ",".join(value)
    if not isinstance(value, str):
        raise ValueError("has a TOML value of the wrong type")
    if field.name not in _SECRETS and any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in value):
        raise ValueError("must not contain line breaks, control characters or invalid UTF-8")
    reader: Callable[[str], object] = field.type.__metadata__[1]
    return reader(value)
