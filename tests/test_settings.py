"""Settings: where they are read from, what is refused, and what is never shown."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.settings import Row, Settings, SettingsError, describe

SECRET = "canary-Zq8pVt3LwX6nKs1RbYh5Jd0GmFc2"
DEFAULTS = {row.name: row.default for row in describe(Settings())}


def load(config: Path | None = None, **variables: str) -> Settings:
    return Settings.load({f"IDENTITY_{name}": value for name, value in variables.items()}, config)


def problems(config: Path | None = None, **variables: str) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refusal:
        load(config, **variables)
    return refusal.value.problems


def problem(config: Path | None = None, **variables: str) -> str:
    (only,) = problems(config, **variables)
    return only


def row(settings: Settings, name: str) -> Row:
    (found,) = (row for row in describe(settings) if row.name == name)
    return found


@pytest.fixture
def toml(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "identity.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


# Where settings come from


def test_without_any_source_every_setting_has_its_default():
    settings = load()
    assert settings == Settings()
    assert all(row.is_default and row.value == row.default for row in describe(settings))
    assert settings.database_url == "sqlite:///identity.db"
    assert settings.mail_url == "console:"
    assert settings.secret is None
    assert settings.access_lifetime == timedelta(minutes=5)
    assert settings.cors_origins == ("http://localhost:3000", "http://localhost:5173")


@pytest.mark.parametrize("name", [name for name, default in DEFAULTS.items() if default])
def test_every_default_as_shown_is_accepted_and_means_itself(name: str):
    assert Settings.load({name: DEFAULTS[name]}) == Settings()


def test_the_environment_wins_over_the_file(toml):
    config = toml('port = 9000\naudience = "file"\n')
    settings = load(config, PORT="9001")
    assert settings.port == 9001
    assert settings.audience == "file"


def test_the_file_takes_toml_types_and_the_texts_of_the_environment(toml):
    settings = load(
        toml(
            'port = 9000\nworkers = "2"\nauto_migrate = true\naccess_lifetime = 120\nrefresh_idle = "3d"\n'
            'cors_origins = ["https://a.example", "https://b.example"]\n'
        )
    )
    assert (settings.port, settings.workers, settings.auto_migrate) == (9000, 2, True)
    assert (settings.access_lifetime, settings.refresh_idle) == (timedelta(minutes=2), timedelta(days=3))
    assert settings.cors_origins == ("https://a.example", "https://b.example")


def test_other_programs_variables_are_none_of_our_business():
    assert Settings.load({"PATH": "/bin", "PORT": "tcp://10.0.0.1:1", "identity_port": "x"}) == Settings()


def test_an_empty_optional_setting_is_unset(toml):
    assert load(SECRET="", SECRET_FILE="", ISSUER="", TEMPLATES="") == Settings()
    assert load(toml('issuer = "urn:file"'), ISSUER="").issuer == "urn:file"


def test_an_empty_required_setting_is_refused():
    assert problem(PORT="") == 'IDENTITY_PORT must be a whole number from 0 to 65535, not ""'
    assert problem(AUDIENCE="") == "IDENTITY_AUDIENCE must not be empty"


def test_the_issuer_is_the_public_url_unless_set():
    assert load(PUBLIC_URL="https://id.example").issuer == "https://id.example"
    assert load(PUBLIC_URL="https://id.example", ISSUER="urn:id").issuer == "urn:id"
    assert row(load(PUBLIC_URL="https://id.example"), "IDENTITY_ISSUER").is_default


# What is refused, and how it is said


def test_every_wrong_setting_is_reported_in_one_message(toml):
    config = toml('port = "many"\nworker = 3\nhost = 1.5\n')
    with pytest.raises(SettingsError) as refusal:
        load(config, DATABSE_URL="memory:", WORKERS="0", MAIL_URL="smtp:host", RESET_URL="{frontend}/x")
    lines = refusal.value.problems
    for name in ("port in", "worker is", "host in", "DATABSE_URL", "WORKERS", "MAIL_URL", "RESET_URL"):
        assert sum(name in line for line in lines) == 1, name
    assert len(lines) == 7
    assert str(refusal.value).splitlines() == ["The settings are wrong:", *(f"  - {line}" for line in lines)]


def test_an_unknown_setting_is_refused_with_the_nearest_name(toml):
    assert (
        problem(DATABSE_URL="memory:")
        == "IDENTITY_DATABSE_URL is not a setting; did you mean IDENTITY_DATABASE_URL?"
    )
    assert problem(FAVOURITE_COLOUR="blue") == "IDENTITY_FAVOURITE_COLOUR is not a setting"
    config = toml("prot = 1\n")
    assert problem(config) == f"prot is not a setting; did you mean port? (in {config})"


def test_the_file_is_named_on_the_command_line_only():
    assert problem(CONFIG="identity.toml") == "IDENTITY_CONFIG is not a setting; name the file with --config"


def test_an_unreadable_or_broken_file_is_one_of_the_problems(toml, tmp_path: Path):
    assert "cannot be read" in problem(tmp_path / "absent.toml")
    assert "cannot be read" in problem(tmp_path)
    broken = toml(f'secret = "{SECRET}\nport = 1')
    found = problems(broken, WORKERS="0", HOST="192.0.2.7")
    assert len(found) == 2, "what depends on the unread file is not judged"
    assert "is not valid TOML" in found[0]
    assert SECRET not in str(found)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'audience = "caf\xe9"')
    assert "is not valid TOML" in problem(latin)


def test_a_service_link_of_the_platform_is_named_as_the_culprit():
    line = problem(PORT="tcp://10.0.0.1:8000")
    assert line.startswith("IDENTITY_PORT: ")
    assert "service links" in line
    assert "enableServiceLinks: false" in line


def test_all_service_links_share_one_line_beside_the_other_problems():
    links = {
        "IDENTITY_SERVICE_HOST": "10.0.0.1",
        "IDENTITY_SERVICE_PORT": "8000",
        "IDENTITY_SERVICE_PORT_HTTP": "8000",
        "IDENTITY_PORT": "tcp://10.0.0.1:8000",
        "IDENTITY_PORT_8000_TCP": "tcp://10.0.0.1:8000",
        "IDENTITY_PORT_8000_TCP_PROTO": "tcp",
        "IDENTITY_PORT_8000_TCP_PORT": "8000",
        "IDENTITY_PORT_8000_TCP_ADDR": "10.0.0.1",
        "IDENTITY_DB_SERVICE_HOST": "10.0.0.2",
        "IDENTITY_DB_PORT": "tcp://10.0.0.2:5432",
    }
    with pytest.raises(SettingsError) as refusal:
        Settings.load({**links, "IDENTITY_WORKERS": "0"})
    first, second = refusal.value.problems
    assert first.startswith(", ".join(sorted(links)) + ": ")
    assert second.startswith("IDENTITY_WORKERS")


def test_no_name_or_value_forges_a_line():
    lines = problems(**{"X\n\x1b[31mroot": "", "AUDIENCE": "a\r\nb", "PORT": "1\u2028", "HOST": "\udcff"})
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "identity.db"),
        ("DATABASE_URL", "sqlite://"),
        ("DATABASE_URL", "sqlite:///"),
        ("DATABASE_URL", "sqlite:///:memory:"),
        ("DATABASE_URL", "sqlite:///dir/"),
        ("DATABASE_URL", "sqlite:///a.db?mode=ro"),
        ("DATABASE_URL", "sqlite:///identity.secret"),
        ("DATABASE_URL", "sqlite+aiosqlite:///a.db"),
        ("DATABASE_URL", "oracle://host/db"),
        ("DATABASE_URL", "postgresql:"),
        ("DATABASE_URL", "postgresql://host"),
        ("DATABASE_URL", "postgresql://host/"),
        ("DATABASE_URL", "postgresql://host:0/identity"),
        ("DATABASE_URL", "postgresql://h1:5432,h2:70000/identity"),
        ("DATABASE_URL", "postgresql://user:pass@word@host/identity"),
        ("DATABASE_URL", "postgresql://user:pass/word@host/identity"),
        ("DATABASE_URL", "postgresql+asyncpg://host/identity"),
        ("DATABASE_URL", "mariadb://host:port/identity"),
        ("DATABASE_URL", "mysql://host/identity#x"),
        ("MAIL_URL", "console"),
        ("MAIL_URL", "directory:"),
        ("MAIL_URL", "smtp:localhost"),
        ("MAIL_URL", "smtp://"),
        ("MAIL_URL", "smtp://host:0"),
        ("MAIL_URL", "smtp://host:70000"),
        ("MAIL_URL", "smtp://user:password@host"),
        ("MAIL_URL", "smtps://user@host"),
        ("MAIL_URL", "smtps://user:pass@word@host"),
        ("MAIL_URL", "smtps://host/path"),
        ("MAIL_URL", "module:Class"),
        ("MAIL_FROM", "nobody"),
        ("MAIL_FROM", "a@"),
        ("MAIL_FROM", "<>"),
        ("MAIL_FROM", "[é("),
        ("MAIL_FROM", "\\b?%<.;a_"),
        ("MAIL_FROM", "a@b, c@d"),
        ("MAIL_FROM", "group: a@b;"),
        ("MAIL_FROM", "a@b\nBcc: c@d"),
        ("PUBLIC_URL", "id.example"),
        ("PUBLIC_URL", "ftp://id.example"),
        ("PUBLIC_URL", "https://user:password@id.example"),
        ("PUBLIC_URL", "https://id.example/?a=b"),
        ("FRONTEND_URL", "https://id.example/#/"),
        ("FRONTEND_URL", "http://localhost:99999"),
        ("RESET_URL", "{frontend}/{uidb64}"),
        ("RESET_URL", "{frontend}/{uidb64}/{token}/{user}"),
        ("RESET_URL", "{frontend}/{uidb64}/{token.__class__}/{token}"),
        ("RESET_URL", "{frontend}/{uidb64}/{token!r}"),
        ("RESET_URL", "{frontend}/{uidb64}/{token"),
        ("RESET_URL", "{frontend}/{uidb64}/{token}/{}"),
        ("RESET_URL", "/reset/{uidb64}/{token}"),
        ("RESET_URL", "{frontend}.evil.example/{uidb64}/{token}"),
        ("RESET_URL", "https://{token}.example/{uidb64}"),
        ("RESET_URL", "javascript:{uidb64}{token}"),
        ("CORS_ORIGINS", "*"),
        ("CORS_ORIGINS", "null"),
        ("CORS_ORIGINS", "http://localhost:3000/"),
        ("CORS_ORIGINS", "http://localhost:3000,"),
        ("CORS_ORIGINS", "https://App.example"),
        ("CORS_ORIGINS", "https://app.example:443"),
        ("CORS_ORIGINS", "https://*.example"),
        ("CORS_ORIGINS", "https://user@app.example"),
        ("HOST", "127.0.0.1:8000"),
        ("HOST", "[::1]"),
        ("HOST", "two words"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "8_000"),
        ("PORT", "٨٠٠٠"),
        ("PORT", "9" * 5000),
        ("WORKERS", "0"),
        ("ACCESS_LIFETIME", "0"),
        ("ACCESS_LIFETIME", "5 m"),
        ("ACCESS_LIFETIME", "-5m"),
        ("ACCESS_LIFETIME", "2d"),
        ("ACCESS_LIFETIME", "9" * 30 + "d"),
        ("REFRESH_LIFETIME", "366d"),
        ("REUSE_WINDOW", "11m"),
        ("RESET_LIFETIME", "25h"),
        ("ERASURE_GRACE", "91d"),
        ("ERASURE_GRACE", "-1s"),
        ("UNDO_DELETION_URL", "{frontend}/{token}"),
        ("SHUTDOWN_DELAY", "1w"),
        ("SESSIONS_PER_ACCOUNT", "0"),
        ("HASHER", ""),
        ("HASHER", "scrypt"),
        ("HASHER", "Argon2"),
        ("HASHER", "acme.passwords"),
        ("HASHER", "acme.passwords:Hasher()"),
        ("HASHER", "acme.passwords:Hasher\n"),
        ("HASHER", "acme/passwords.py:Hasher"),
        ("ARGON2_TIME_COST", "1"),
        ("ARGON2_MEMORY_COST", "19455"),
        ("ARGON2_PARALLELISM", "0"),
        ("HASHING_MEMORY", "18"),
        ("HASHING_MEMORY", "1 GiB"),
        ("LOGIN_FREE_FAILURES", "0"),
        ("LOGIN_FAILURES", "0"),
        ("LOGIN_FAILURES", "101"),
        ("ADDRESS_FAILURES", "0"),
        ("ADDRESS_REQUESTS", "0"),
        ("TRUSTED_PROXIES", "*"),
        ("TRUSTED_PROXIES", "10.0.0.1/8"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,0.0.0.0/0"),
        ("TRUSTED_PROXIES", "::/0"),
        ("TRUSTED_PROXIES", "10.0.0.0/8;192.168.0.0/16"),
        ("TRUSTED_PROXIES", "proxy.example"),
        ("TRUSTED_PROXIES", "10.0.0.1:8080"),
        ("TRUSTED_PROXIES", "167772161"),
        ("TEMPLATES", "no/such/directory"),
        ("SERVICE_NAME", " "),
        ("PASSWORD_MIN_LENGTH", "7"),
        ("PASSWORD_MIN_LENGTH", "65"),
        ("PASSWORD_MAX_LENGTH", "63"),
        ("PASSWORD_MAX_LENGTH", "257"),
        ("COMMON_PASSWORDS_FILE", "no/such/file"),
        ("COMMON_PASSWORDS_FILE", "."),
        ("DEFAULT_LOCALE", "de_AT"),
        ("DEFAULT_LOCALE", "german"),
        ("DEFAULT_LOCALE", "de-"),
        ("AUTO_MIGRATE", "perhaps"),
        ("DELIVER_MAIL", ""),
    ],
)
def test_a_wrong_value_is_one_problem_that_names_the_setting(name: str, value: str):
    assert problem(**{name: value}).startswith(f"IDENTITY_{name} ")


@pytest.mark.parametrize(
    "text", ["port = 1.5", "port = [1]", "port = true", 'host = ["a"]', "cors_origins = [1]"]
)
def test_a_toml_value_of_another_type_is_refused(toml, text: str):
    config = toml(text)
    assert problem(config).startswith(f"{text.split(maxsplit=1)[0]} in {config} ")


# What is accepted


def test_port_0_takes_any_free_port():
    assert load(PORT="0").port == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "memory:"),
        ("DATABASE_URL", "sqlite:////var/lib/identity/identity.db"),
        ("MAIL_URL", "memory:"),
        ("MAIL_URL", "directory:mail"),
        ("MAIL_URL", "smtp://localhost"),
        ("MAIL_URL", "smtp://[::1]:1025"),
        ("MAIL_URL", "smtp+starttls://mail.example:587"),
        ("MAIL_URL", "smtps://me%40example.org:p%2Fw%40rd@mail.example:465"),
        ("MAIL_URL", "acme.mail:Mailer"),
        ("HASHER", "argon2"),
        ("HASHER", "acme.passwords:Hasher"),
        ("HASHER", "acme.security.passwords:Hasher"),
        ("MAIL_FROM", "a@example.org"),
        ("MAIL_FROM", '"Smith, J." <j@example.org>'),
        ("MAIL_FROM", "J. Smith <j@example.org>"),
        ("MAIL_FROM", "Żółw <z@example.org>"),
        ("FRONTEND_URL", "https://example.org/app"),
        ("RESET_URL", "{frontend}/#/reset?uid={uidb64}&token={token}"),
        ("RESET_URL", "https://example.org/{uidb64}/{token}"),
        ("HOST", "::1"),
        ("HOST", "localhost"),
    ],
)
def test_a_right_value_is_kept_as_written(name: str, value: str):
    assert getattr(load(**{name: value}), name.lower()) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("1", True), ("YES", True), ("on", True), ("False", False), ("0", False), ("no", False)],
)
def test_a_switch_understands_the_usual_words(text: str, value: bool):
    assert load(AUTO_MIGRATE=text, DELIVER_MAIL=text) == Settings(auto_migrate=value, deliver_mail=value)


def test_origins_are_separated_by_commas_and_may_be_none():
    assert load(CORS_ORIGINS="https://a.example, http://b.example:8080").cors_origins == (
        "https://a.example",
        "http://b.example:8080",
    )
    assert load(CORS_ORIGINS="").cors_origins == ()


def test_trusted_proxies_are_networks_or_addresses_and_none_unless_set(toml):
    assert load().trusted_proxies == ()
    assert load(TRUSTED_PROXIES="").trusted_proxies == ()
    found = ("10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32")
    assert load(TRUSTED_PROXIES="10.0.0.0/8, 192.0.2.1,2001:0DB8::/32").trusted_proxies == found
    config = toml('trusted_proxies = ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]')
    assert load(config).trusted_proxies == found
    assert row(load(config), "IDENTITY_TRUSTED_PROXIES").value == ",".join(found)


def test_a_trailing_slash_of_a_base_url_is_dropped():
    settings = load(PUBLIC_URL="https://id.example/", FRONTEND_URL="https://app.example/a/")
    assert (settings.public_url, settings.frontend_url) == ("https://id.example", "https://app.example/a")


def test_the_lengths_of_a_password_have_a_range_that_a_refusal_names():
    assert problems(PASSWORD_MIN_LENGTH="7", PASSWORD_MAX_LENGTH="1000") == (
        'IDENTITY_PASSWORD_MIN_LENGTH must be a whole number from 8 to 64, not "7"',
        'IDENTITY_PASSWORD_MAX_LENGTH must be a whole number from 64 to 256, not "1000"',
    )
    settings = load(PASSWORD_MIN_LENGTH="64", PASSWORD_MAX_LENGTH="64")
    assert (settings.password_min_length, settings.password_max_length) == (64, 64)


def test_words_of_a_context_are_separated_by_commas(toml):
    assert load(PASSWORD_CONTEXT_WORDS=" Acme Cloud,,Widgetron ").password_context_words == (
        "Acme Cloud",
        "Widgetron",
    )
    config = toml('password_context_words = ["Acme", "Widgetron"]')
    assert load(config).password_context_words == ("Acme", "Widgetron")


def test_a_file_of_common_passwords_can_be_read_and_is_utf_8(tmp_path: Path):
    path = tmp_path / "list.txt"
    path.write_text("geheim-ß\n", encoding="utf-8")
    assert load(COMMON_PASSWORDS_FILE=str(path)).common_passwords_file == path
    path.write_bytes("geheim-ß\n".encode("latin-1"))
    assert problems(COMMON_PASSWORDS_FILE=str(path), PORT="x", WORKERS="x") == (
        'IDENTITY_PORT must be a whole number from 0 to 65535, not "x"',
        'IDENTITY_WORKERS must be a whole number from 1 to 256, not "x"',
        f'IDENTITY_COMMON_PASSWORDS_FILE must name a file in UTF-8, which "{path}" is not',
    )
    missing = tmp_path / "missing.txt"
    assert problem(COMMON_PASSWORDS_FILE=str(missing)) == (
        f'IDENTITY_COMMON_PASSWORDS_FILE must name a file that can be read, not "{missing}": '
        "No such file or directory"
    )


def test_an_app_directory_has_an_index(tmp_path: Path):
    for there in (tmp_path, tmp_path / "nowhere"):
        message = (
            f'IDENTITY_APP_DIR must be bundled, or a directory with an index.html, which "{there}" is not'
        )
        assert problems(APP_DIR=str(there)) == (message,)
    (tmp_path / "index.html").touch()
    assert load(APP_DIR=str(tmp_path)).app_dir == tmp_path


def test_the_bundled_app_is_that_of_the_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("identity.settings.values.BUNDLED_APP", tmp_path)
    message = "IDENTITY_APP_DIR is bundled, but this installation was built without the app"
    assert problems(APP_DIR="bundled") == (message,)
    (tmp_path / "index.html").touch()
    assert load(APP_DIR="bundled").app_dir == tmp_path


def test_links_lead_to_the_app_that_is_answered_beside_the_api_unless_another_is_named(tmp_path: Path):
    (tmp_path / "index.html").touch()
    served = {"APP_DIR": str(tmp_path), "PUBLIC_URL": "https://id.example.com"}
    assert load(**served).frontend_url == "https://id.example.com"
    assert load(APP_DIR=str(tmp_path)).frontend_url == "http://127.0.0.1:8000"
    assert load(**served, FRONTEND_URL="https://app.example.com").frontend_url == "https://app.example.com"
    assert load(PUBLIC_URL="https://id.example.com").frontend_url == "http://localhost:3000"


def test_templates_must_be_a_directory_that_exists(tmp_path: Path):
    assert load(TEMPLATES=str(tmp_path)).templates == tmp_path


@given(st.integers(1, 24 * 60 * 60), st.sampled_from(["", "s"]))
def test_a_duration_is_shown_in_a_form_that_reads_back_as_itself(seconds: int, unit: str):
    settings = load(ACCESS_LIFETIME=f"{seconds}{unit}")
    assert settings.access_lifetime == timedelta(seconds=seconds)
    shown = row(settings, "IDENTITY_ACCESS_LIFETIME").value
    assert len(shown) <= len(f"{seconds}s")
    assert load(ACCESS_LIFETIME=shown) == settings


@given(st.text(), st.sampled_from(sorted(DEFAULTS)))
def test_any_text_is_accepted_or_refused_in_one_line(text: str, name: str):
    try:
        Settings.load({name: text})
        refused: tuple[str, ...] = ()
    except SettingsError as refusal:
        refused = refusal.problems
    assert all(line.isprintable() for line in refused)


# Settings that must agree with one another


def test_lifetimes_need_not_agree_for_the_shorter_one_decides():
    assert load(REFRESH_IDLE="31d", REFRESH_LIFETIME="1d", ACCESS_LIFETIME="1s")


def test_an_access_token_has_another_audience_than_a_refresh_token():
    assert problem(AUDIENCE="https://id.example", ISSUER="https://id.example") == (
        "IDENTITY_AUDIENCE must differ from IDENTITY_ISSUER"
    )


def test_no_more_failures_are_free_than_there_may_be():
    assert problem(LOGIN_FREE_FAILURES="11", LOGIN_FAILURES="10") == (
        "IDENTITY_LOGIN_FREE_FAILURES must not be more than IDENTITY_LOGIN_FAILURES"
    )
    assert problem(LOGIN_FAILURES="4").startswith("IDENTITY_LOGIN_FREE_FAILURES ")
    assert load(LOGIN_FREE_FAILURES="10", LOGIN_FAILURES="10").login_failures == 10
    assert problem(LOGIN_FREE_FAILURES="many", LOGIN_FAILURES="4").startswith("IDENTITY_LOGIN_FREE_FAILURES ")


def test_the_memory_for_hashing_is_that_of_the_machine_unless_set():
    assert load(HASHING_MEMORY="").hashing_memory is None
    assert load(HASHING_MEMORY="512").hashing_memory == 512


def test_a_stop_may_be_immediate():
    assert load(SHUTDOWN_DELAY="0").shutdown_delay == timedelta(0)


def test_a_database_in_memory_has_one_worker():
    assert load(WORKERS="4").workers == 4
    assert problem(DATABASE_URL="memory:", WORKERS="2").startswith("IDENTITY_WORKERS must be 1 with memory:")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "id.example"])  # noqa: S104
def test_the_console_mailer_beyond_loopback_must_be_asked_for(host: str, toml):
    assert problem(HOST=host).startswith("IDENTITY_MAIL_URL must be set")
    assert load(HOST=host, MAIL_URL="console:").mail_url == "console:"
    assert load(toml('mail_url = "console:"'), HOST=host).host == host
    assert load(HOST=host, MAIL_URL="directory:mail").host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
def test_the_console_mailer_is_the_default_on_loopback(host: str):
    assert load(HOST=host).mail_url == "console:"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://host/identity",
        "postgres://user@host:5432/identity",
        "postgresql://user:p%40ss@h1:5432,h2:5433/identity?target_session_attrs=read-write&sslmode=require",
        "postgresql:///identity?host=/run/postgresql",
        "postgresql://user:password@[2001:db8::1]:5432/identity",
        "mariadb://user:password@host:3306/identity?ssl_ca=/etc/ssl/ca.pem",
        "mysql:///identity?unix_socket=/run/mysqld/mysqld.sock",
    ],
)
def test_a_server_database_is_a_url(url: str):
    settings = load(DATABASE_URL=url, SECRET=SECRET)
    assert settings.database_url == url
    assert settings.has_server_database


def test_a_server_database_requires_a_secret(tmp_path: Path):
    required = "IDENTITY_SECRET or IDENTITY_SECRET_FILE is required with a server database"
    file = tmp_path / "secret"
    file.write_text(SECRET)
    assert required in problems(DATABASE_URL="postgresql://host/identity")
    assert load(DATABASE_URL="postgresql://host/identity", SECRET=SECRET)
    assert load(DATABASE_URL="postgresql://host/identity", SECRET_FILE=str(file))
    assert required not in problems(DATABASE_URL="postgresql://host/identity", SECRET="short")


# Secrets


def test_a_secret_file_is_read_without_its_last_line_break(tmp_path: Path):
    file = tmp_path / "secret"
    for ending in ("", "\n", "\r\n"):
        file.write_bytes(f" {SECRET}\n{ending}".encode())
        settings = load(SECRET_FILE=str(file))
        assert settings.secret is not None
        assert settings.secret.reveal() == f" {SECRET}" + ("\n" if ending else "")
        assert settings.secret_file == file


def test_a_secret_is_given_once(tmp_path: Path, toml):
    file = tmp_path / "secret"
    file.write_text(SECRET)
    both = "IDENTITY_SECRET and IDENTITY_SECRET_FILE are both set; keep one of them"
    assert problem(SECRET=SECRET, SECRET_FILE=str(file)) == both
    assert problem(toml(f"secret_file = '{file}'"), SECRET=SECRET) == both


@pytest.mark.parametrize(
    "weak",
    [
        "x" * 31,
        "ż" * 15,
        "x" * 64,
        "changeme" * 5,
        "secret" * 6,
        "0123456789abcdef" * 4,
        "django-insecure-Zq8pVt3LwX6nKs1RbYh5Jd0GmFc2",
        "Change-Me-Zq8pVt3LwX6nKs1RbYh5Jd0GmFc2",
        "your-256-bit-secret-your-256-bit-secret-or-so",
    ],
)
def test_a_weak_secret_refuses_the_start_wherever_it_comes_from(weak: str, tmp_path: Path):
    file = tmp_path / "secret"
    file.write_text(weak, encoding="utf-8")
    for line in (problem(SECRET=weak), problem(SECRET_FILE=str(file))):
        assert line.startswith("IDENTITY_SECRET")
        assert weak not in line


def test_a_secret_is_any_text_of_32_bytes():
    for text in ("0f9c2b7e4d8a1c6f3b5e7a9d2c4f6e8b", "Łódź ze żółtą flagą na ćwierć masztu"):
        secret = load(SECRET=text).secret
        assert secret is not None
        assert secret.reveal() == text


def test_a_secret_file_that_cannot_be_used_is_refused_without_its_name_or_content(tmp_path: Path):
    binary, huge = tmp_path / "binary", tmp_path / "huge"
    binary.write_bytes(b"\xff" * 40)
    huge.write_text(SECRET * 3000)
    assert problem(SECRET_FILE=SECRET) == "IDENTITY_SECRET_FILE cannot be read: No such file or directory"
    assert problem(SECRET_FILE=str(tmp_path)).startswith("IDENTITY_SECRET_FILE cannot be read: ")
    assert problem(SECRET_FILE=str(binary)) == "IDENTITY_SECRET_FILE must hold valid UTF-8"
    assert problem(SECRET_FILE=str(huge)) == "IDENTITY_SECRET_FILE must hold at most 65536 bytes"


def test_a_secret_never_appears_in_an_error_or_a_repr(toml, tmp_path: Path):
    shown: list[object] = []
    for settings in (
        load(SECRET=SECRET, MAIL_URL=f"smtps://user:{SECRET}@host"),
        Settings(database_url=f"postgresql://user:{SECRET}@host/db?password={SECRET}&ssl=on"),
        Settings(database_url=f"mysql://{SECRET}@host/db"),
    ):
        shown += [repr(settings), str(settings), f"{settings}", settings.__rich_repr__(), describe(settings)]
    file = tmp_path / "secret"
    file.write_text(f"\udcff{SECRET}", encoding="utf-8", errors="surrogateescape")
    config = toml(f'secrt = "{SECRET}"\nmail_url = "smtp://user:{SECRET}@host"\nsecret = ["{SECRET}"]')
    shown += [
        problems(SECRET=SECRET[:31], DATABASE_URL=f"oracle://user:{SECRET}@host/db"),
        problems(SECRET=f"{SECRET}\udcff", MAIL_URL=f"smtps://user:{SECRET}@@host"),
        problems(SECRET_FILE=str(file), DATABASE_URL=f"postgresql://user:{SECRET}@host/db"),
        problems(PUBLIC_URL=f"https://user:{SECRET}@host", CORS_ORIGINS=f"https://u:a/b@{SECRET}@host"),
        problems(SECRTE=SECRET),
        problems(HASHER=SECRET),
        problems(config),
        problems(toml(f"secret = {SECRET}")),
    ]
    assert SECRET[:31] not in str(shown)


def test_an_error_carries_no_secret_in_its_traceback():
    script = (
        "import os; from identity.settings import Settings;"
        "Settings.load({'IDENTITY_SECRET': os.environ['CANARY'], 'IDENTITY_MAIL_URL': os.environ['CANARY']})"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={"CANARY": SECRET[:31]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "SettingsError: The settings are wrong:" in run.stderr
    assert SECRET[:31] not in run.stderr


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///identity.db", "identity.secret"),
        ("sqlite:///dir/identity.db", "dir/identity.secret"),
        ("sqlite:////var/lib/accounts", "/var/lib/accounts.secret"),
    ],
)
def test_a_generated_secret_belongs_beside_the_sqlite_file(url: str, path: str):
    assert load(DATABASE_URL=url).secret_path == Path(path)


@pytest.mark.parametrize("url", ["memory:", "postgresql://host/identity"])
def test_no_other_database_has_a_place_for_a_generated_secret(url: str):
    assert Settings(database_url=url).secret_path is None


# Keys


def test_tokens_are_signed_by_es256_unless_set():
    settings = load()
    assert (settings.token_algorithm, settings.shared_key) == ("ES256", None)
    assert load(TOKEN_ALGORITHM="RS256").token_algorithm == "RS256"
    assert settings.key_rotation == timedelta(days=90)


@pytest.mark.parametrize(
    "name", ["none", "None", "es256", "HS512", "EdDSA", "PS256", " ES256", "ES256,RS256", ""]
)
def test_no_other_algorithm_signs(name: str):
    line = problem(TOKEN_ALGORITHM=name)
    assert line == f'IDENTITY_TOKEN_ALGORITHM must be one of ES256, RS256, HS256, not "{name}"'


def test_hs256_and_a_shared_key_go_together():
    together = "IDENTITY_TOKEN_ALGORITHM=HS256 and IDENTITY_SHARED_KEY go together"
    assert problem(TOKEN_ALGORITHM="HS256") == together
    assert problem(SHARED_KEY=SECRET) == together
    assert problem(SHARED_KEY=SECRET, TOKEN_ALGORITHM="RS256") == together
    settings = load(SHARED_KEY=SECRET, TOKEN_ALGORITHM="HS256")
    assert settings.shared_key is not None
    assert settings.shared_key.reveal() == SECRET


def test_the_shared_key_is_not_the_service_s_own_secret():
    """Which nobody else may have."""
    assert problem(SHARED_KEY=SECRET, SECRET=SECRET, TOKEN_ALGORITHM="HS256") == (
        "IDENTITY_SHARED_KEY must differ from IDENTITY_SECRET"
    )
    for own in ({"SECRET_PREVIOUS": SECRET}, {"SECRET_PREVIOUS": SECRET, "SECRET": f"{SECRET}, new"}):
        assert problem(SHARED_KEY=SECRET, TOKEN_ALGORITHM="HS256", **own) == (
            "IDENTITY_SHARED_KEY must differ from IDENTITY_SECRET_PREVIOUS"
        )


WELL_KNOWN = {
    "the example of jwt.io": "a-string-secret-at-least-256-bits-long",
    "its example for HS512": "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
    "its example of before": "your-256-bit-secret-your-256-bit-secret",
    "of Django's template": "django-insecure-Zq8pVt3LwX6nKs1RbYh5Jd0GmFc2",
    "of FastAPI's tutorial": "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "of a tutorial of Spring": "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
    "of RFC 7515": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    "of NestJS": "DO NOT USE THIS VALUE. INSTEAD, CREATE A COMPLEX SECRET AND KEEP IT SAFE",
    "secret, again and again": "secret" * 6,
}


@pytest.mark.parametrize("name", ["SHARED_KEY", "SECRET", "SECRET_PREVIOUS"])
@pytest.mark.parametrize("key", WELL_KNOWN)
def test_a_key_that_everybody_knows_refuses_the_start(name: str, key: str):
    """TK-3."""
    others = {"TOKEN_ALGORITHM": "HS256"} if name == "SHARED_KEY" else {}
    line = problem(**others, **{name: WELL_KNOWN[key]})
    assert line == f"IDENTITY_{name} begins as a known example does, or repeats itself; generate a random one"


@pytest.mark.parametrize("name", ["SHARED_KEY", "SECRET", "SECRET_PREVIOUS"])
@pytest.mark.parametrize("key", ["secret", "K7gNU3sdo-OL0wNhqoVWhr3g6s1xYv7", "ż" * 15, "\x00" * 31])
def test_a_key_of_less_than_256_bits_refuses_the_start(name: str, key: str):
    """TK-3."""
    assert len(key.encode()) < 32
    others = {"TOKEN_ALGORITHM": "HS256"} if name == "SHARED_KEY" else {}
    assert problem(**others, **{name: key}) == f"IDENTITY_{name} must be at least 32 bytes long"


@pytest.mark.parametrize("name", ["SHARED_KEY", "SECRET", "SECRET_PREVIOUS"])
def test_a_key_may_have_any_characters(name: str):
    others = {"TOKEN_ALGORITHM": "HS256"} if name == "SHARED_KEY" else {}
    text = f"{SECRET}\nsecond line\tand \x7f more"
    settings = load(**others, **{name: text})
    assert getattr(settings, name.lower()).reveal() == text


def test_no_key_is_shown():
    settings = load(
        SECRET=SECRET,
        SECRET_PREVIOUS=f"{SECRET} 1",
        SHARED_KEY=f"{SECRET} 2",
        TOKEN_ALGORITHM="HS256",
    )
    for name in ("IDENTITY_SECRET", "IDENTITY_SECRET_PREVIOUS", "IDENTITY_SHARED_KEY"):
        assert row(settings, name).value == "**********"
    assert SECRET not in repr(settings)
    assert SECRET not in str(describe(settings))


def test_the_previous_secret_is_unset_when_it_is_empty():
    assert load(SECRET=SECRET, SECRET_PREVIOUS="").secret_previous is None


@pytest.mark.parametrize("text", ["47h", "1d", "0", "never", "3651d"])
def test_a_key_signs_for_two_days_at_least(text: str):
    """Its successor is published a day before it signs."""
    assert problem(KEY_ROTATION=text).startswith("IDENTITY_KEY_ROTATION must be ")
    assert load(KEY_ROTATION="2d").key_rotation == timedelta(days=2)


# How settings are shown


def test_each_setting_is_described_once_in_the_order_of_its_declaration():
    rows = describe(Settings())
    assert [row.name for row in rows] == [
        f"IDENTITY_{field.name.upper()}" for field in msgspec.structs.fields(Settings)
    ]
    assert all(row.meaning.endswith(".") and len(row.meaning) > 10 for row in rows)


def test_a_description_tells_what_differs_from_the_default():
    settings = load(PORT="9000", REFRESH_IDLE="36h", DELIVER_MAIL="off")
    changed = {row.name: (row.value, row.default) for row in describe(settings) if not row.is_default}
    assert changed == {
        "IDENTITY_PORT": ("9000", "8000"),
        "IDENTITY_REFRESH_IDLE": ("36h", "7d"),
        "IDENTITY_DELIVER_MAIL": ("false", "true"),
    }


def test_a_description_hides_secrets_and_credentials_and_shows_the_rest():
    settings = load(SECRET=SECRET, MAIL_URL="smtp+starttls://user:p%40ss@host:587")
    assert row(settings, "IDENTITY_SECRET").value == "**********"
    assert row(settings, "IDENTITY_MAIL_URL").value == "smtp+starttls://user:**********@host:587"
    server = Settings(database_url="postgresql://user:p/w@db.example:5432/identity?password=x&ssl=on")
    assert row(server, "IDENTITY_DATABASE_URL").value == (
        "postgresql://user:**********@db.example:5432/identity?password=**********&ssl=on"
    )


def test_settings_cannot_be_changed():
    with pytest.raises(AttributeError):
        load().port = 1  # type: ignore[misc]


# The refresh cookie

HTTPS = {"PUBLIC_URL": "https://id.example", "REFRESH_COOKIE": "true"}
INSECURE = {"REFRESH_COOKIE": "true", "REFRESH_COOKIE_INSECURE": "true"}


def test_the_refresh_cookie_is_off_unless_asked_for():
    assert not load().refresh_cookie
    assert not load().refresh_cookie_insecure


def test_the_refresh_cookie_travels_over_tls():
    assert load(**HTTPS).refresh_cookie
    assert load(**{**HTTPS, "PUBLIC_URL": "https://id.example:8443/base"}).refresh_cookie
    assert problem(REFRESH_COOKIE="true").startswith(
        "IDENTITY_REFRESH_COOKIE needs an IDENTITY_PUBLIC_URL with https://"
    )
    assert "IDENTITY_REFRESH_COOKIE_INSECURE=true" in problem(REFRESH_COOKIE="true")
    assert problem(PUBLIC_URL="http://id.example", REFRESH_COOKIE="true").startswith(
        "IDENTITY_REFRESH_COOKIE "
    )


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost:8000", "http://[::1]:8000"])
def test_the_insecure_refresh_cookie_is_for_loopback(url: str):
    assert load(**INSECURE, PUBLIC_URL=url).refresh_cookie_insecure


@pytest.mark.parametrize(
    "more",
    [
        {"REFRESH_COOKIE": "false"},
        {"HOST": "0.0.0.0", "MAIL_URL": "directory:mail"},  # noqa: S104
        {"PUBLIC_URL": "http://id.example"},
        {"PUBLIC_URL": "https://id.example"},
        {"PUBLIC_URL": "https://localhost:8000"},
        {"PUBLIC_URL": "http://localhost.evil.example"},
    ],
)
def test_the_insecure_refresh_cookie_is_refused_anywhere_else(more: dict[str, str]):
    assert problem(**{**INSECURE, **more}).startswith("IDENTITY_REFRESH_COOKIE_INSECURE goes with ")


# Webhooks

HOOKS = "https://a.example/hooks"


@pytest.mark.parametrize(
    ("text", "endpoints"),
    [
        ("", ()),
        (HOOKS, (HOOKS,)),
        (f" {HOOKS}  LoggedIn   LoginRefused ", (f"{HOOKS} LoggedIn LoginRefused",)),
        (f"{HOOKS} LoggedIn,https://b.example", (f"{HOOKS} LoggedIn", "https://b.example")),
        (f"{HOOKS}, https://b.example:8443/x?token=y%2C ,", (HOOKS, "https://b.example:8443/x?token=y%2C")),
        ("https://[2606:4700::1111]/", ("https://[2606:4700::1111]/",)),
        (f"{HOOKS},{HOOKS}/", (HOOKS, f"{HOOKS}/")),
    ],
)
def test_webhooks_go_to_urls_each_with_its_kinds(text: str, endpoints: tuple[str, ...]):
    assert load(WEBHOOK_URL=text).webhook_url == endpoints


def test_a_file_has_a_list_of_webhooks(toml):
    file = toml(f'webhook_url = ["{HOOKS} LoggedIn", "https://b.example"]\nwebhook_private = false\n')
    assert load(file).webhook_url == (f"{HOOKS} LoggedIn", "https://b.example")


@pytest.mark.parametrize(
    "url",
    [
        *("a.example", "ftp://a.example", "https://", "https://a.example:0/", "https://a.example:65536"),
        *("https://user:canary@a.example/", "https://a.example/#canary", "https://a.example/?a=b#canary"),
        *("https://a.example/ü", "https://ü.example/", "LoggedIn https://a.example", "HTTPS"),
        "https://a.example/a,b",
    ],
)
def test_what_is_no_url_gets_no_webhooks_and_is_not_shown(url: str):
    line = problem(WEBHOOK_URL=url)
    assert line.startswith("IDENTITY_WEBHOOK_URL must be https:// URLs with host")
    assert "canary" not in line


def test_what_can_be_no_kind_of_event_is_refused():
    assert problem(WEBHOOK_URL=f"{HOOKS} logged_in").startswith(
        "IDENTITY_WEBHOOK_URL has after a URL what is"
    )


def test_one_url_is_named_once():
    assert problem(WEBHOOK_URL=f"{HOOKS} LoggedIn,{HOOKS}") == "IDENTITY_WEBHOOK_URL has one URL twice"


@pytest.mark.parametrize(
    "url",
    [
        *("http://a.example/canary", "https://localhost/canary", "https://127.0.0.1:8443/canary"),
        *(
            "https://10.0.0.1/canary",
            "https://[::1]/canary",
            "https://[fd00::1]/canary",
            "https://169.254.1.1",
        ),
    ],
)
def test_webhooks_go_to_private_addresses_and_without_tls_only_where_that_is_allowed(url: str):
    line = problem(WEBHOOK_URL=f"{HOOKS},{url} LoggedIn")
    assert "IDENTITY_WEBHOOK_PRIVATE=true" in line
    assert "canary" not in line
    assert load(WEBHOOK_URL=url, WEBHOOK_PRIVATE="true").webhook_url == (url,)


def test_of_the_urls_of_webhooks_only_the_hosts_are_shown():
    text = "https://a.example/canary/x?y=canary LoggedIn,https://b.example:8443?canary,https://c.example"
    settings = load(WEBHOOK_URL=text)
    shown = row(settings, "IDENTITY_WEBHOOK_URL")
    assert shown.value == (
        "https://a.example/********** LoggedIn,https://b.example:8443?**********,https://c.example"
    )
    assert not shown.is_default
    assert "canary" not in repr(settings)
    assert "canary" not in str(list(settings.__rich_repr__()))


# Metrics


def test_there_are_no_metrics_unless_a_port_is_set():
    assert list(load().metrics_ports) == []
    assert list(load(METRICS_PORT="").metrics_ports) == []


def test_each_worker_has_a_port_for_metrics():
    assert list(load(METRICS_PORT="9100").metrics_ports) == [9100]
    assert list(load(METRICS_PORT="9100", WORKERS="3").metrics_ports) == [9100, 9101, 9102]
    assert list(load(METRICS_PORT="0", WORKERS="3").metrics_ports) == [0]
    assert list(load(METRICS_PORT="65533", WORKERS="3").metrics_ports) == [65533, 65534, 65535]
    assert (
        problem(METRICS_PORT="65533", WORKERS="4")
        == "IDENTITY_METRICS_PORT leaves no port for each of IDENTITY_WORKERS"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"METRICS_PORT": "8000"},
        {"METRICS_PORT": "7998", "WORKERS": "3"},
        {"METRICS_PORT": "8000", "METRICS_HOST": "0.0.0.0"},  # noqa: S104
        {"METRICS_PORT": "8000", "METRICS_HOST": "::"},
        {"METRICS_PORT": "8000", "HOST": "0.0.0.0", "MAIL_URL": "directory:mail"},  # noqa: S104
    ],
)
def test_metrics_are_not_answered_where_the_service_is(settings: dict[str, str]):
    assert problem(**settings) == (
        "IDENTITY_METRICS_PORT, and the ports after it for further IDENTITY_WORKERS, must differ from "
        "IDENTITY_PORT"
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"METRICS_PORT": "8001"},
        {"METRICS_PORT": "7998", "WORKERS": "2"},
        {"METRICS_PORT": "8000", "METRICS_HOST": "127.0.0.2"},
        {"METRICS_PORT": "0", "PORT": "0"},
    ],
)
def test_metrics_may_be_answered_anywhere_else(settings: dict[str, str]):
    assert load(**settings).metrics_ports
