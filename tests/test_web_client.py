"""The client's types come from an OpenAPI document of its own, which has to be that of the service."""

from __future__ import annotations

from tests.web import openapi


def test_the_document_of_the_client_is_that_of_the_service():
    assert openapi.FILE.read_text(encoding="utf-8") == openapi.current(), (
        "web/client/openapi.json is stale: make client-types"
    )
