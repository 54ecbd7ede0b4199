"""What the README says of webhooks is true: its request, the code that verifies it, and the numbers."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.parser import Parser
from typing import Any

import pytest
from tests.test_readme import ROOT, blocks, flowing, section

from identity.adapters.http_webhooks import TIME_LIMIT
from identity.application.courier import FIRST_DELAY
from identity.application.housekeeping import DEAD_LETTERS_KEPT
from identity.application.webhooks import WEBHOOK_SCHEDULE
from identity.domain.events import LoggedIn
from identity.domain.session import Client
from identity.domain.webhook import SigningSecret, body_of

SECRET = SigningSecret(key=base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
BEFORE = SigningSecret(key=b"the one of before, of 32 octets.")
BODY = b'{"type":"LoggedIn","data":{}}'

Verify = Callable[[dict[str, str], bytes, str], bool]


def test_the_request_is_one_that_is_sent() -> None:
    (block,) = blocks("Webhooks", "http")
    head, _, body = block.partition("\n\n")
    line, _, fields = head.partition("\n")
    headers = {name.lower(): text for name, text in Parser().parsestr(fields).items()}
    assert line == "POST /hooks/identity HTTP/1.1"
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    data = json.loads(body)
    event = LoggedIn(
        at=datetime.fromisoformat(data["timestamp"]),
        user_id=1,
        session_id=data["data"]["session_id"],
        client=Client(request_id=data["data"]["request_id"]),
    )
    assert body.rstrip("\n") == body_of(event)
    signed = SECRET.signature(id=headers["webhook-id"], at=at, body=body.rstrip("\n").encode())
    assert headers["webhook-signature"] == signed
    assert timedelta() <= at - event.at < timedelta(seconds=2)


def in_python(headers: dict[str, str], body: bytes, secret: str) -> bool:
    (block,) = blocks("Webhooks", "python")
    named: dict[str, Any] = {}
    exec(block, named)  # noqa: S102 - that is what its reader does
    return named["is_genuine"](headers, body, secret)


def in_node(headers: dict[str, str], body: bytes, secret: str) -> bool:
    (block,) = blocks("Webhooks", "js")
    asked = json.dumps([headers, base64.b64encode(body).decode(), secret])
    script = (
        f"{block}\nconst [headers, body, secret] = {asked};\n"
        "console.log(isGenuine(headers, Buffer.from(body, 'base64'), secret));"
    )
    run = subprocess.run(["node", "-e", script], capture_output=True, text=True, timeout=60, check=True)
    return {"true": True, "false": False}[run.stdout.strip()]


WITHOUT_NODE = pytest.mark.skipif(not shutil.which("node"), reason="needs node")


@pytest.mark.parametrize("verify", [in_python, pytest.param(in_node, marks=WITHOUT_NODE)])
def test_a_receiver_of_ten_lines_takes_what_is_genuine_and_nothing_else(verify: Verify) -> None:
    now = datetime.now(UTC)

    def signed(at: datetime, *secrets: SigningSecret) -> dict[str, str]:
        signatures = " ".join(each.signature(id="an-id", at=at, body=BODY) for each in secrets)
        return {
            "webhook-id": "an-id",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signatures,
        }

    genuine = signed(now, SECRET)
    assert verify(genuine, BODY, SECRET.reveal())
    for secret in (SECRET, BEFORE):
        assert verify(signed(now, SECRET, BEFORE), BODY, secret.reveal())
    for headers, body in [
        (genuine, BODY + b" "),
        (signed(now, BEFORE), BODY),
        (signed(now - timedelta(seconds=302), SECRET), BODY),
        (signed(now + timedelta(seconds=310), SECRET), BODY),
        (genuine | {"webhook-id": "another"}, BODY),
        (genuine | {"webhook-timestamp": str(int(time.time()) - 60)}, BODY),
        (genuine | {"webhook-signature": genuine["webhook-signature"][:-1]}, BODY),
        (genuine | {"webhook-signature": "v1,\u00fc v2,x"}, BODY),
        (genuine | {"webhook-signature": ""}, BODY),
    ]:
        assert not verify(headers, body, SECRET.reveal())


def test_the_numbers_are_those_of_the_code() -> None:
    text = flowing(section("Webhooks"))
    assert f"Answer 2xx within {TIME_LIMIT.total_seconds():.0f} seconds" in text
    first = f"{FIRST_DELAY.total_seconds():.0f} seconds"
    assert f"{WEBHOOK_SCHEDULE.attempts} times, after {first} and then ever later" in text
    assert f"kept for {DEAD_LETTERS_KEPT.days} days" in text
    assert f"deleted after {DEAD_LETTERS_KEPT.days} days" in text


def test_whoever_runs_it_is_told_the_same() -> None:
    text = flowing((ROOT / "docs" / "operation.md").read_text(encoding="utf-8"))
    assert f"dead letters, kept for {DEAD_LETTERS_KEPT.days} days" in text
    assert re.findall(r"`identity webhooks (\w+)", text)
