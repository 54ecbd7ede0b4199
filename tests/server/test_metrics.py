"""What Prometheus is told by servers that have had something to do: nobody's name is in it, no client can
fill it, and the dashboard, the alerts and the README speak of all of it and of nothing else."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys

import httpx
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from tests.operation import DEPLOY, ROOT, Shell, blocks, program, replaced
from tests.server.promql import mistakes, named
from tests.server.scraping import Scrape, addresses, scrape
from tests.server.service import PASSWORD, SOON, eventually

from identity.application.courier import Outcome
from identity.application.throttling import Buckets, Request
from identity.domain.session import Client

QUICKLY = {"identity.entrypoints.worker:PAUSE": 0.05}
LOGIN = "/api/auth/login/"
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text("utf-8"))
ALERTS = "prometheus-alerts.yml"
(GROUP,) = yaml.safe_load((DEPLOY / ALERTS).read_text("utf-8"))["groups"]
RULES = GROUP["rules"]
SHOWN = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]


@pytest.fixture(scope="module")
def server(shared_commands):
    """Has been asked for something of each kind."""
    server = shared_commands.serve(metrics_port=0, address_failures=2, limits=QUICKLY, workers=1)
    server.register("john")
    tokens = server.log_in("john")
    wrong = {"username": "john", "password": "canary-wrong-password"}
    for status in (401, 401, 429, 429):
        assert server.post(LOGIN, wrong).status_code == status
    assert server.post(LOGIN, {"username": "john"}).status_code == 400
    refresh = "/api/auth/token/refresh/"
    for token, status in ((tokens["refresh"], 200), ("canary-no-token", 401)):
        assert server.post(refresh, {"refresh": token}).status_code == status
    server.forgot("john")
    eventually(server.mail_in_the_output)
    return server


@pytest.fixture(scope="module")
def seen(server) -> Scrape:
    (address,) = addresses(server)
    return eventually(
        lambda: (one := scrape(address)).happened("identity_deliveries_total", "outcome") and one
    )


def test_requests_are_counted_by_route_and_status(seen):
    """The checks for readiness, with which tests begin, are left out."""
    requests = seen.happened("identity_http_requests_total", "method", "route", "status")
    assert {labels: count for labels, count in requests.items() if "ready" not in labels[1]} == {
        ("POST", "/api/auth/register", "201"): 1,
        ("POST", "/api/auth/login", "200"): 1,
        ("POST", "/api/auth/login", "401"): 2,
        ("POST", "/api/auth/login", "429"): 2,
        ("POST", "/api/auth/login", "400"): 1,
        ("POST", "/api/auth/token/refresh", "200"): 1,
        ("POST", "/api/auth/token/refresh", "401"): 1,
        ("POST", "/api/auth/forgot-password", "200"): 1,
    }
    timed = {"method": "POST", "route": "/api/auth/login"}
    assert seen("identity_http_request_seconds_count", **timed) == 6
    assert 0 < seen("identity_http_request_seconds_sum", **timed) < 6 * SOON
    assert seen("identity_http_request_seconds_bucket", le="+Inf", **timed) == 6


def test_logins_and_refreshes_are_counted_by_outcome(seen):
    assert seen.happened("identity_logins_total", "kind", "outcome") == {
        ("password", "succeeded"): 1,
        ("password", "refused"): 2,
        ("password", "throttled"): 2,
        ("password", "invalid"): 1,
    }
    assert seen("identity_logins_total", kind="code", outcome="refused") == 0
    assert seen.happened("identity_refreshes_total", "outcome") == {"succeeded": 1, "refused": 1}


def test_the_throttle_s_decisions_are_counted_by_limit(seen):
    assert seen.happened("identity_throttle_decisions_total", "limit", "decision") == {
        ("account", "allowed"): 3,
        ("address", "allowed"): 3,
        ("address", "refused"): 2,
        ("register", "allowed"): 1,
        ("refused refresh", "allowed"): 1,
        ("forgot password", "allowed"): 1,
    }


def test_mails_are_counted_by_what_became_of_them(seen):
    assert seen.happened("identity_deliveries_total", "queue", "outcome") == {("mail", "sent"): 1}


def test_the_lane_the_connections_and_the_process_are_described(seen):
    assert seen("identity_hashing_slots") >= 1
    assert seen("identity_hashing_in_use") == seen("identity_hashing_waiting") == 0
    assert seen("identity_hashing_refused_total") == seen("identity_scrape_errors_total") == 0
    assert seen("identity_database_pool_size", pool="write") == 1  # of SQLite
    assert seen("identity_database_pool_size", pool="read") == 4
    for pool in ("write", "read"):
        states = {"in_use", "idle"}
        assert sum(seen("identity_database_connections", pool=pool, state=state) for state in states) >= 1
    assert seen("identity_info", version="0.1.0", python=sys.version.split()[0]) == 1
    assert seen("process_resident_memory_bytes") > 10_000_000
    assert 0 < seen("process_cpu_seconds_total") < 600
    assert 0 < seen("process_open_fds") < seen("process_max_fds")


def test_nobody_s_name_address_or_token_is_in_it(seen):
    for canary in ("john", "example.com", PASSWORD, "canary", "127.0.0.1", "eyJ"):
        assert canary not in seen.text


def test_it_is_valid_open_metrics_where_that_is_asked_for(server):
    (address,) = addresses(server)
    form = "application/openmetrics-text"
    for accept in (form, f"{form};version=1.0.0;q=0.6,text/plain", f"{form};version=x"):
        answer = httpx.get(address, headers={"Accept": accept}, trust_env=False)
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        names = {family.name for family in open_metrics(answer.text)}
        assert {"identity_logins", "identity_http_request_seconds", "process_open_fds"} < names
    for accept in ("", "*/*", "text/plain; version=1.0.0", "text/plain; version=\xff", "x" * 1000):
        answer = httpx.get(address, headers={"Accept": accept.encode("latin-1")}, trust_env=False)
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_it_is_not_on_the_service_s_own_port(server):
    assert server.get("/metrics").status_code == server.get("/metrics/").status_code == 404
    (address,) = addresses(server)
    assert httpx.get(address.removesuffix("metrics"), trust_env=False).status_code == 404


def test_no_client_can_make_labels(server):
    (address,) = addresses(server)
    server.get("/api/nowhere/")
    server.client.request("PROPFIND", "/api/nowhere/")
    server.get("/api/user/sessions/0/")
    server.client.request("DELETE", "/api/user/sessions/0/")
    before = scrape(address)
    for number in range(30):
        server.get(f"/api/{number}/canary")
        server.client.request("DELETE", f"/api/user/sessions/canary-{number}/?canary={number}")
        server.client.request(f"CANARY{number}", f"/api/user/profile/{number}")
    after = scrape(address)
    series = {name: set(samples) for name, samples in after.values.items()}
    assert series == {name: set(samples) for name, samples in before.values.items()}
    assert "canary" not in after.text.lower()
    unknown = {"method": "GET", "route": "-", "status": "404"}
    assert after("identity_http_requests_total", **unknown) == 30 + before(
        "identity_http_requests_total", **unknown
    )


def test_each_worker_counts_for_itself_and_tells_of_the_outbox_that_all_have(serve):
    first = two_free_ports()
    server = serve(metrics_port=first, workers=2, deliver_mail="false")
    both = addresses(server, count=2)
    assert sorted(both) == [f"http://127.0.0.1:{port}/metrics" for port in (first, first + 1)]
    asked = "/api/nowhere/"
    for _ in range(20):
        assert server.get(asked).status_code == 404
    unknown = {"method": "GET", "route": "-", "status": "404"}
    server.register("john")
    server.forgot("john")
    for each in map(scrape, both):
        assert each("identity_outbox_letters", queue="mail", state="waiting") == 1
        assert each("identity_outbox_letters", queue="mail", state="dead") == 0
        assert 0 <= each("identity_outbox_oldest_seconds", queue="mail") < SOON
    counts = [
        scrape(each).values["identity_http_requests_total"].get(tuple(sorted(unknown.items())), 0)
        for each in both
    ]
    assert sum(counts) == 20
    assert server.stop() == 0
    assert " ERROR " not in server.text


def two_free_ports() -> int:
    for _ in range(100):
        with socket.create_server(("127.0.0.1", 0)) as one:
            port = one.getsockname()[1]
            try:
                socket.create_server(("127.0.0.1", port + 1)).close()
            except OSError:
                continue
        return port
    raise AssertionError("no two ports beside each other are free")


def test_who_does_not_ask_for_them_does_not_load_them():
    program = """if True:
        import sys
        from identity.entrypoints.server import build_app
        from identity.settings import Settings
        app = build_app(Settings(database_url="memory:"))
        assert app.observers == ()
        print("prometheus_client" in sys.modules)
        build_app(Settings(database_url="memory:", metrics_port=0))
        print("prometheus_client" in sys.modules)
        """
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]


# What is made of it


@pytest.mark.parametrize("expression", [*SHOWN, *(rule["expr"] for rule in RULES)])
def test_an_expression_of_the_dashboard_or_of_an_alert_names_what_is_told(seen, expression):
    assert mistakes(expression, seen.labels_of) == []


@pytest.mark.parametrize(
    ("expression", "mistake"),
    [
        ("sum(rate(identity_login_total[5m]))", "no metric identity_login_total"),
        ("identity_http_request_seconds", "no metric identity_http_request_seconds"),
        ("sum by (result) (identity_logins_total)", "no label result to group by"),
        ("identity_logins_total{result!='x'}", "no label result of identity_logins_total"),
        (
            "identity_logins_total{outcome='refused'} / on (queue) identity_refreshes_total",
            "no label queue to group by",
        ),
    ],
)
def test_a_planted_mistake_in_an_expression_is_found(seen, expression, mistake):
    assert mistakes(expression, seen.labels_of) == [mistake]


def test_the_names_by_which_the_dashboard_calls_lines_are_labels(seen):
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            labels = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            metrics, grouped_by = named(target["expr"])
            assert labels <= (grouped_by or {"instance"}), target
            assert metrics


def test_the_dashboard_shows_all_that_is_told(seen):
    shown = {name for expression in SHOWN for name in named(expression).metrics}
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in seen.values} == {
        re.sub("_(bucket|sum|count)$", "", name) for name in shown
    }
    assert {panel["id"] for panel in DASHBOARD["panels"]} == set(range(1, len(DASHBOARD["panels"]) + 1))


def test_an_alert_says_what_it_is_about_by_labels_that_its_expression_leaves(seen):
    assert len({rule["alert"] for rule in RULES}) == len(RULES)
    for rule in RULES:
        used = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        kept = set(", ".join(re.findall(r"\bby \(([^)]*)\)", rule["expr"])).split(", "))
        of_metrics = (seen.labels_of.get(each, set()) for each in named(rule["expr"]).metrics)
        assert used <= (kept if "by (" in rule["expr"] else {"instance"}.union(*of_metrics)), rule["alert"]


def promtool(*arguments):
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_takes_the_alerts():
    promtool("check", "rules", str(DEPLOY / ALERTS))


def test_the_readme_has_each_metric_with_its_labels_and_what_it_means(seen):
    _, _, section = (ROOT / "README.md").read_text("utf-8").partition("\n## Metrics\n")
    section = section.partition("\n## ")[0]
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split(" | "))
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    assert rows == [
        (
            f"`{name}`",
            ", ".join(f"`{label}`" for label in labels) or "none",
            family.documentation,
        )
        for name, labels, family in seen.ours()
    ]
    (sample,) = re.findall(r"^```text\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    for line in sample.splitlines():
        name, selector = re.fullmatch(r"(\w+)(?:{(.*)})? [0-9.e+-]+", line).groups()
        assert set(re.findall(r"(\w+)=", selector or "")) == seen.labels_of[name]


def test_the_readme_has_each_outcome_each_limit_and_each_figure_of_the_process(seen):
    _, _, section = (ROOT / "README.md").read_text("utf-8").partition("\n## Metrics\n")
    told = {" ".join(words.split()) for words in re.findall(r"`([^`]+)`", section.partition("\n## ")[0])}
    outcomes = {dict(labels)["outcome"] for labels in seen.values["identity_logins_total"]}
    client = Client(address="192.0.2.7")
    limits = {bucket.limit for bucket in Buckets(key=b"a key").of_login("john", client)} | set(Request)
    assert outcomes | limits | {"notice"} | set(Outcome) <= told
    assert {name for name in seen.values if name.startswith("process_")} <= told


def test_the_settings_for_two_replicas_are_those_of_the_document(tmp_path):
    (block,) = blocks("Metrics")
    folder = tmp_path / "units"
    Shell(tmp_path / "shell").run(replaced(block, {"/etc/systemd/system": folder}))
    (file,) = folder.glob("*/*.conf")
    assert file.parent.name == "identity@.service.d"
    assert file.read_text("utf-8") == "[Service]\nEnvironment=IDENTITY_METRICS_PORT=1%i\n"


def test_prometheus_takes_the_configuration_of_the_document(tmp_path):
    (block,) = blocks("Metrics", "yaml")
    (job,) = yaml.safe_load(block)["scrape_configs"]
    assert job["job_name"] == "identity"  # as the alerts have it
    assert {label: text for rule in RULES for label, text in re.findall(r'(job)="(\w+)"', rule["expr"])} == {
        "job": "identity"
    }
    (tmp_path / ALERTS).write_text((DEPLOY / ALERTS).read_text("utf-8"), encoding="utf-8")
    file = tmp_path / "prometheus.yml"
    file.write_text(block, encoding="utf-8")
    promtool("check", "config", str(file))
