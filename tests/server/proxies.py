"""A real nginx or Caddy in front of servers, and clients who ask it without a pause."""

from __future__ import annotations

import os
import ssl
import subprocess
import threading
from pathlib import Path

import httpx
from tests.operation import DEPLOY, program, replaced
from tests.server.service import PASSWORD, SOON, eventually
from tests.servers import free_port

HOST = "id.example.com"
CLIENT = "127.0.0.2"  # from which requests come; the proxy itself is 127.0.0.1
LOADS = 3


class Proxy:
    """A real one, on free ports, with the configuration that the document names, in front of `replicas`."""

    process: subprocess.Popen[bytes]

    def __init__(self, folder: Path, replicas: list[int]) -> None:
        self.folder, self.replicas = folder, replicas
        self.port, self.plain_port = free_port(), free_port()
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        folder.mkdir()
        self._make_certificate()

    @property
    def log(self) -> str:
        return (self.folder / "error.log").read_text("utf-8")

    def client(self) -> httpx.Client:
        """Comes from an address of its own, believes our certificate, and connects for each request anew."""
        transport = httpx.HTTPTransport(
            verify=ssl.create_default_context(cafile=self.certificate),
            local_address=CLIENT,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.port}",
            headers={"Host": HOST},
            transport=transport,
            timeout=SOON,
        )

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(SOON)

    def _make_certificate(self) -> None:
        subprocess.run(
            [
                *(program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
                *(
                    "-nodes",
                    "-days",
                    "1",
                    "-subj",
                    "/CN=id.example.com",
                    "-keyout",
                    self.key,
                    "-out",
                    self.certificate,
                ),
                *("-addext", "subjectAltName=DNS:id.example.com,IP:127.0.0.1"),
            ],
            check=True,
            capture_output=True,
        )


class Nginx(Proxy):
    def __init__(self, folder: Path, replicas: list[int]) -> None:
        super().__init__(folder, replicas)
        self.config = folder / "identity.conf"
        names = {
            "127.0.0.1:8001": f"127.0.0.1:{replicas[0]}",
            "127.0.0.1:8002": f"127.0.0.1:{replicas[1]}",
            "/etc/letsencrypt/live/id.example.com/fullchain.pem": self.certificate,
            "/etc/letsencrypt/live/id.example.com/privkey.pem": self.key,
            "    listen [::]:80;\n": "",  # not every machine has IPv6
            "    listen [::]:443 ssl;\n": "",
            "listen 80;": f"listen 127.0.0.1:{self.plain_port};",
            "listen 443 ssl;": f"listen 127.0.0.1:{self.port} ssl;",
        }
        config = replaced((DEPLOY / "nginx.conf").read_text("utf-8"), names)
        self.config.write_text(config, encoding="utf-8")
        temporary = "".join(
            f"{name}_temp_path {folder}/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            ("user root;\n" if os.geteuid() == 0 else "")
            + f"daemon off;\nworker_processes 2;\npid {folder}/pid;\nerror_log {folder}/error.log;\n"
            f"events {{}}\nhttp {{\naccess_log {folder}/access.log;\n{temporary}include {self.config};\n}}\n",
            encoding="utf-8",
        )
        self.command = [
            program("nginx"),
            "-p",
            str(folder),
            "-e",
            f"{folder}/error.log",
            "-c",
            f"{folder}/nginx.conf",
        ]
        self.process = subprocess.Popen(self.command)


class Caddy(Proxy):
    def __init__(self, folder: Path, replicas: list[int]) -> None:
        super().__init__(folder, replicas)
        site = f"{HOST}:{self.port} {{\n\tbind 127.0.0.1\n\ttls {self.certificate} {self.key}\n"
        names = {
            "127.0.0.1:8001": f"127.0.0.1:{replicas[0]}",
            "127.0.0.1:8002": f"127.0.0.1:{replicas[1]}",
            f"{HOST} {{\n": site,
        }
        ports = f"http_port {self.plain_port}\n\thttps_port {self.port}"
        # A client that calls it by its address names no host in the handshake.
        everywhere = f"{{\n\tadmin off\n\tdefault_sni {HOST}\n\t{ports}\n}}\n"
        config = replaced((DEPLOY / "Caddyfile").read_text("utf-8"), names)
        (folder / "Caddyfile").write_text(everywhere + config, encoding="utf-8")
        with (folder / "error.log").open("wb") as log:
            self.process = subprocess.Popen(
                [program("caddy"), "run", "--config", folder / "Caddyfile"],
                env=os.environ | {"HOME": str(folder), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": ""},
                stderr=log,
            )


class Load:
    """Requests without a pause, each on a connection of its own, and which of them failed."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy, self._over = proxy, threading.Event()
        self.failures: list[str] = []
        self._rounds = [0] * LOADS
        self._threads = [threading.Thread(target=self._ask, args=[number]) for number in range(LOADS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def go_on(self, rounds: int) -> None:
        """Returns when every client has made so many more rounds."""
        goal = [done + rounds for done in self._rounds]
        eventually(lambda: all(done >= enough for done, enough in zip(self._rounds, goal, strict=True)))

    def _ask(self, number: int) -> None:
        credentials = {"username": "john", "password": PASSWORD}
        with self._proxy.client() as client:
            while not self._over.is_set():
                try:
                    tokens = client.post("/api/auth/login/", json=credentials)
                    tokens.raise_for_status()
                    bearer = {"Authorization": f"Bearer {tokens.json()['access']}"}
                    client.get("/api/user/profile/", headers=bearer).raise_for_status()
                    refresh = {"refresh": tokens.json()["refresh"]}
                    client.post("/api/auth/token/refresh/", json=refresh).raise_for_status()
                    client.get("/.well-known/jwks.json").raise_for_status()
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                self._rounds[number] += 1
