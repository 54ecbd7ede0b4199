"""docs/operation.md and the files of deploy/ are tried: what they say is run, with other ports and paths."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import subprocess

import httpx
import pytest
from sqlalchemy.engine import make_url
from tests.operation import DEPLOY, OPERATION, ROOT, Shell, blocks, program, replaced, section
from tests.server.commands import IDENTITY
from tests.server.proxies import CLIENT, HOST, Caddy, Load, Nginx
from tests.server.service import SOON, eventually
from tests.servers import free_port

from identity.settings import Settings

UNIT = "identity@.service"
EXPOSED = 1.5  # of 10, as `systemd-analyze security` counts
PROGRAMS = {
    "sqlite": ["sqlite3"],
    "postgresql": ["pg_dump", "pg_restore"],
    "mariadb": ["mariadb-dump", "mariadb"],
}
"""With which each database is copied and restored, in the order of the document."""
SETTINGS = "/etc/identity/identity.toml"


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path / "shell")


@pytest.fixture
def config(tmp_path):
    """The settings that the document shows, with a secret that can be read."""
    (block,) = blocks("With systemd", "toml")
    assert block.startswith(f"# {SETTINGS}\n")
    secret, config = tmp_path / "secret", tmp_path / "identity.toml"
    secret.write_text(secrets.token_urlsafe(32), encoding="utf-8")
    config.write_text(replaced(block, {"/etc/identity/secret": secret}), encoding="utf-8")
    return config


# systemd


def analyze(*arguments):
    done = subprocess.run(
        [program("systemd-analyze"), *arguments], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_systemd_has_nothing_to_say_against_the_unit(tmp_path):
    unit = replaced((DEPLOY / UNIT).read_text("utf-8"), {"/opt/identity/bin/identity": IDENTITY})
    file = tmp_path / "identity@8001.service"
    file.write_text(unit, encoding="utf-8")
    status, said = analyze("verify", "--man=no", str(file))
    assert (status, [line for line in said.splitlines() if "identity@" in line]) == (0, [])


def test_the_unit_exposes_as_little_as_the_document_says(tmp_path):
    file = tmp_path / "identity@8001.service"
    shutil.copy(DEPLOY / UNIT, file)
    status, said = analyze("security", "--offline=true", f"--threshold={EXPOSED * 10:.0f}", str(file))
    assert status == 0, said
    assert f"gives it less than {EXPOSED} of 10" in " ".join(section("With systemd").split())


def test_the_settings_and_the_secret_of_the_document_are_taken(tmp_path, shell, config):
    install, setup, commands = blocks("With systemd")
    assert "pip install ." in install  # tried by .ci/install
    (tmp_path / "secret").unlink()
    units = tmp_path / "units"
    units.mkdir()
    shell.stub("runuser", 'shift 3; exec "$@"')
    database = {
        '"postgresql://identity:password@db.example.com/identity"': f'"sqlite:///{tmp_path}/identity.db"'
    }
    config.write_text(replaced(config.read_text("utf-8"), database), encoding="utf-8")
    places = {
        SETTINGS: config,
        "/etc/identity/secret": tmp_path / "secret",
        "/opt/identity/bin/identity": IDENTITY,
        "/etc/systemd/system/": f"{units}/",
    }
    shell.run(replaced(setup, places))
    made = (tmp_path / "secret").read_text("utf-8")
    command = {name: places[name] for name in (SETTINGS, "/opt/identity/bin/identity")}
    shell.run(replaced(commands, command | {"/var/lib/identity": tmp_path}))
    shell.run(replaced(setup, places))
    settings = Settings.load({}, config)
    assert settings.secret.reveal() == (tmp_path / "secret").read_text("utf-8").strip() == made.strip()
    assert (tmp_path / "identity.db").exists()
    assert [file.name for file in units.iterdir()] == [UNIT]
    assert f"--config {SETTINGS} serve" in (DEPLOY / UNIT).read_text("utf-8")


# A proxy


def listening(proxy):
    def listens():
        assert proxy.process.poll() is None, proxy.log
        with contextlib.suppress(httpx.TransportError), proxy.client() as client:
            return client.get("/")

    eventually(listens)
    return proxy


@pytest.fixture
def nginx(tmp_path):
    with contextlib.closing(Nginx(tmp_path / "nginx", [free_port(), free_port()])) as nginx:
        yield listening(nginx)


@pytest.fixture
def caddy(tmp_path):
    with contextlib.closing(Caddy(tmp_path / "caddy", [free_port(), free_port()])) as caddy:
        yield listening(caddy)


@pytest.mark.parametrize("kind", ["postgresql"], scope="module")
def test_replicas_behind_nginx_are_restarted_without_one_failed_request(commands, shell, config, nginx):
    (proxies,) = Settings.load({}, config).trusted_proxies
    how = {"trusted_proxies": proxies, "deliver_mail": "false"}

    def start(port):
        return commands.serve(port=port, wait=False, **how)

    servers = [start(port) for port in nginx.replicas]
    for server in servers:
        server.wait_until_it_listens()
        server.wait_until_ready()
    servers[0].register("john")
    what_is_passed_on(nginx, servers[0])

    (block,) = blocks("Behind nginx")
    one, other = nginx.replicas
    names = {"/etc/nginx/conf.d/identity.conf": nginx.config, "8001": one, "8002": other}
    asked, done = nginx.folder / "asked", nginx.folder / "done"
    os.mkfifo(asked)
    os.mkfifo(done)
    shell.stub("nginx", f'exec {" ".join(nginx.command)} "$@"')
    shell.stub("systemctl", f'echo "$1 $2" > {asked}; read -r _ < {done}')
    before = nginx.config.read_text("utf-8")
    with Load(nginx) as load:
        load.go_on(1)
        restart = shell.start(replaced(block, names))
        for port, server in zip(nginx.replicas, tuple(servers), strict=True):
            assert asked.read_text("utf-8") == f"restart identity@{port}\n"
            assert server.stop() == 0
            load.go_on(2)
            servers.append(start(port))
            done.write_text("done\n", encoding="utf-8")
        output, _ = restart.communicate(timeout=SOON)
        load.go_on(2)
    assert restart.returncode == 0, output
    assert load.failures == []
    assert nginx.config.read_text("utf-8") == before
    assert "[error]" not in nginx.log
    assert "[crit]" not in nginx.log
    assert " ERROR " not in "".join(server.text for server in servers)


@pytest.mark.parametrize("kind", ["postgresql"], scope="module")
def test_replicas_behind_caddy_are_restarted_without_one_failed_request(commands, config, caddy):
    (proxies,) = Settings.load({}, config).trusted_proxies
    how = {"trusted_proxies": proxies, "deliver_mail": "false"}
    servers = [commands.serve(port=port, **how) for port in caddy.replicas]
    servers[0].register("john")
    eventually(lambda: is_passed_on(caddy))
    what_is_passed_on(caddy, servers[0])
    with Load(caddy) as load:
        load.go_on(1)
        for port, server in zip(caddy.replicas, tuple(servers), strict=True):
            assert server.stop() == 0
            load.go_on(2)
            servers.append(commands.serve(port=port, **how))
            eventually(lambda at=port: caddy.log.count(f'host is up","host":"127.0.0.1:{at}') == 2)
        load.go_on(2)
    assert load.failures == []
    assert " ERROR " not in "".join(server.text for server in servers)


def is_passed_on(proxy):
    with proxy.client() as client:
        return client.get("/.well-known/jwks.json").status_code == 200


def what_is_passed_on(proxy, server):
    """The API and nothing else, with the address of the client, whatever that claims."""
    lying = {"X-Forwarded-For": "203.0.113.9"}
    with proxy.client() as client:
        for header in ({}, lying):
            wrong = {"username": "john", "password": "not his password"}
            answer = client.post("/api/auth/login/", json=wrong, headers=header)
            assert answer.status_code == 401
        addresses = server.rows("SELECT client_address FROM audit_events WHERE kind = 'LoginRefused'")
        assert addresses == [(CLIENT,)] * 2
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert client.get("/.well-known/jwks.json").json()["keys"]
        for path in ("/", "/health/ready", "/health/live", "/.well-known/other"):
            assert client.get(path).status_code == 404
    host = {"Host": HOST}
    plain = httpx.get(f"http://127.0.0.1:{proxy.plain_port}/api/?x=1", headers=host, trust_env=False)
    assert plain.status_code in {301, 308}
    assert plain.headers["Location"] == f"https://{HOST}/api/?x=1"


def test_caddy_has_nothing_to_say_against_its_file(tmp_path):
    command = [program("caddy"), "validate", "--adapter", "caddyfile", "--config", DEPLOY / "Caddyfile"]
    done = subprocess.run(
        command, env=os.environ | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# Backup and restore


def names_of(kind, url, database):
    """What the document calls the database, and what it is called here."""
    if kind == "postgresql":
        return {f"postgresql://identity@db.example.com/{database}": url}
    at = make_url(url)
    password = f" --password={at.password}" if at.password else ""
    port = f" --port={at.port}" if at.port else ""
    place = f"-h {at.host}{port} -u {at.username}{password}"
    return {f"-h db.example.com -u identity {database}": f"{place} {at.database}"}


@pytest.mark.parametrize("kind", PROGRAMS, scope="module")
def test_a_copy_that_is_restored_is_served_with_its_secret_and_not_without(
    tmp_path, commands, shell, databases, kind
):
    for name in PROGRAMS[kind]:
        program(name)
    number = list(PROGRAMS).index(kind)
    backup_block, restore_block = (blocks(title)[number] for title in ("Backup", "Restore"))
    there, restored, backup = tmp_path / "deployment", tmp_path / "restored", tmp_path / "backup"
    restored.mkdir()
    how = {"deliver_mail": "false"}
    if kind == "sqlite":
        places, new_places = {"/var/lib/identity": there}, {"/var/lib/identity": restored}
        new = {"folder": restored}
    else:
        there.mkdir()
        (there / "secret").write_text(commands.settings["secret"] + "\n", encoding="utf-8")
        url, new_url = commands.settings["database_url"], databases.new(kind)
        places = {"/etc/identity": there, **names_of(kind, url, "identity")}
        new_places = {"/etc/identity": restored, **names_of(kind, new_url, "restored")}
        new = {"folder": restored, "database_url": new_url, "auto_migrate": "false"}

    server = commands.serve(**how)
    server.register("john")
    unused, used, later = (server.log_in("john") for _ in range(3))
    refreshed = server.post("/api/auth/token/refresh/", {"refresh": used["refresh"]}).json()
    shell.run(replaced(backup_block, {"/var/backups/identity/$(date +%F)": backup, **places}))
    after = server.post("/api/auth/token/refresh/", {"refresh": later["refresh"]}).json()
    server.register("mary")
    for file in backup.iterdir():
        assert file.stat().st_mode & 0o077 == 0, file

    shell.run(replaced(restore_block, {"/var/backups/identity/2026-11-23": backup, **new_places}))
    if kind == "sqlite":
        secret = (restored / "identity.secret").read_text("utf-8").strip()
    else:
        secret = (restored / "secret").read_text("utf-8").strip()
        assert secret == commands.settings["secret"]
        new["secret"] = secret
    without_its_secret(commands, restored, kind, {**new, **how})

    copy = commands.serve(**{**how, **new})
    assert copy.port != server.port
    assert copy.can_log_in("john")
    assert not copy.can_log_in("mary")
    for tokens in (unused, refreshed):
        assert copy.get("/api/user/profile/", access=tokens["access"]).status_code == 200
        answer = copy.post("/api/auth/token/refresh/", {"refresh": tokens["refresh"]})
        assert answer.status_code == 200, answer.text
    assert copy.post("/api/auth/token/refresh/", {"refresh": after["refresh"]}).status_code == 401
    assert copy.audited("john").count("RefreshTokenReused") == 1
    assert copy.rows("SELECT kind FROM outbox WHERE kind = 'session_reused'") == [("session_reused",)]
    copy.register("mary")
    verified = commands.run("audit", "verify", **{**how, **new})
    assert verified.process.returncode == 0, verified.text


def without_its_secret(commands, restored, kind, settings):
    """Each start ends with the lines that the document shows."""
    gone, another = blocks("Restore", "text")
    ended = commands.run("serve", **{**settings, "port": 0, "secret": secrets.token_urlsafe(32)})
    assert (ended.process.returncode, ended.text) == (78, another)
    if kind == "sqlite":
        secret = restored / "identity.secret"
        aside = secret.rename(restored / "aside")
        ended = commands.run("serve", **{**settings, "port": 0})
        assert (ended.process.returncode, ended.text) == (78, gone)
        aside.rename(secret)


def test_what_the_document_names_is_there():
    for link in re.findall(r"\]\(([^)#]+)", OPERATION):
        assert (ROOT / "docs" / link).exists(), link
