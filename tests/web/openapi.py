"""Writes the OpenAPI document, with every route that a setting can add, for the client in `web/client`."""

from __future__ import annotations

import json
from pathlib import Path

from litestar.testing import TestClient

from identity.container import build_container
from identity.entrypoints.http.app import create_app
from identity.settings import Settings

FILE = Path(__file__).parents[2] / "web" / "client" / "openapi.json"


def current() -> str:
    container = build_container(Settings(database_url="memory:", mail_url="memory:", login_code=True))
    with TestClient(create_app(container)) as client:
        document = client.get("/api/schema/openapi.json").json()
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(current(), encoding="utf-8")
