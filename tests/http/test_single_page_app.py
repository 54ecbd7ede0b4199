"""A single-page app at / beside the API."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from tests.http.conftest import Service

from identity.entrypoints.http.single_page_app import NOT_OF_THE_APP
from identity.entrypoints.logs import FIELDS

# What is tried here does not get to the storage, or is the same on every one.
pytestmark = pytest.mark.parametrize("storage", ["memory"], indirect=True, scope="session")

Start = Callable[..., Awaitable[Service]]

INDEX = '<!doctype html><script type="module" src="/assets/index-4f2a.js"></script>'
SCRIPT = "console.log('hello');\n" * 200


@pytest.fixture
def app_dir(tmp_path: Path) -> Path:
    files = {"index.html": INDEX, "assets/index-4f2a.js": SCRIPT, "robots.txt": "", ".env": "SECRET=1"}
    for name, text in files.items():
        path = tmp_path / "app" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "outside.txt").write_text("not of the app")
    return tmp_path / "app"


@pytest.fixture
async def service(start: Start, app_dir: Path) -> Service:
    return await start(app_dir=app_dir)


async def get(service: Service, path: str, **headers: str) -> httpx.Response:
    return await service.client.get(path, headers={"Accept-Encoding": "identity", **headers})


@pytest.mark.parametrize(
    "path",
    ["/", "/index.html", "/login", "/login/", "/reset-password/MQ/3q2-7w_x", "/admin/users", "//evil/"],
)
async def test_every_page_of_the_app_is_its_index(service: Service, path: str) -> None:
    answer = await get(service, path)
    assert (answer.status_code, answer.text) == (200, INDEX)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


async def test_pages_may_run_no_script_and_style_but_the_apps_own(service: Service) -> None:
    answer = await get(service, "/")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert (policy["script-src"], policy["style-src"], policy["connect-src"]) == ("'self'",) * 3
    assert (policy["base-uri"], policy["frame-ancestors"]) == ("'none'", "'none'")
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"  # a mailed link has a token in its path
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "x-request-id" in answer.headers


async def test_an_asset_with_a_digest_in_its_name_is_kept_for_ever(service: Service) -> None:
    answer = await get(service, "/assets/index-4f2a.js")
    assert (answer.status_code, answer.text) == (200, SCRIPT)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    ("accepts", "is_gzipped"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0, br", False),
        ("", False),
    ],
)
async def test_it_is_compressed_for_those_who_accept_it(
    service: Service, accepts: str, is_gzipped: bool
) -> None:
    request = service.client.build_request(
        "GET", "/assets/index-4f2a.js", headers={"Accept-Encoding": accepts}
    )
    answer = await service.client.send(request, stream=True)
    raw = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert answer.headers["content-length"] == str(len(raw))
    assert answer.headers["vary"] == "accept-encoding"
    assert (answer.headers.get("content-encoding") == "gzip") is is_gzipped
    assert (gzip.decompress(raw) if is_gzipped else raw) == SCRIPT.encode()


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_what_the_browser_has_already_is_not_sent_again(service: Service, coding: str) -> None:
    headers = {"Accept-Encoding": coding}
    first = await service.client.get("/assets/index-4f2a.js", headers=headers)
    tag = first.headers["etag"]
    for known in (tag, f'"another", W/{tag}'):
        again = await service.client.get("/assets/index-4f2a.js", headers={**headers, "If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    changed = await service.client.get(
        "/assets/index-4f2a.js", headers={**headers, "If-None-Match": '"another"'}
    )
    assert changed.status_code == 200


async def test_head_answers_as_get_without_the_body(service: Service) -> None:
    answer = await service.client.head("/login", headers={"Accept-Encoding": "identity"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(INDEX))


@pytest.mark.parametrize("path", ["/api/nowhere/", "/api", "/API/../api/x", "/health/x", "/.well-known/x"])
async def test_what_is_the_services_own_is_refused_in_json_as_ever(service: Service, path: str) -> None:
    answer = await get(service, path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PROPFIND"])
async def test_other_methods_are_none_of_the_apps(service: Service, method: str) -> None:
    answer = await service.client.request(method, "/login")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


@pytest.mark.parametrize(
    "path",
    [
        "/assets/index-0000.js",
        "/favicon.ico",
        "/.env",
        "/assets/../../outside.txt",
        "/%2e%2e/outside.txt",
        "/assets/%2e%2e%2f%2e%2e%2foutside.txt",
        "/assets\\..\\..\\outside.txt",
        "/robots.txt%00.html",
    ],
)
async def test_a_file_that_the_app_does_not_have_is_not_found(service: Service, path: str) -> None:
    answer = await get(service, path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


async def test_the_api_goes_on_beside_it(service: Service) -> None:
    await service.register()
    assert (await service.profile((await service.log_in()).access)).status_code == 200
    assert (await service.get("/health/live")).json() == {"status": "alive"}


async def test_without_an_app_there_is_nothing_at_the_root(start: Start) -> None:
    answer = await get(await start(), "/")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


async def test_no_route_of_the_service_is_taken_for_a_page(service: Service) -> None:
    app = service.client.app
    assert isinstance(app, Litestar)
    assert {route.path.split("/")[1] for route in app.routes} == NOT_OF_THE_APP


async def test_the_log_has_no_path_of_a_page(
    start: Start, app_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = await start(app_dir=app_dir, access_log=True)
    caplog.set_level(logging.INFO)
    await get(service, "/reset-password/MQ/canary-4711")
    (record,) = (each for each in caplog.records if each.name == "identity.access")
    assert getattr(record, FIELDS)["route"] == "/{page}"
    assert "canary" not in record.getMessage()
