"""The conformance kit, asked of every renderer."""

from __future__ import annotations

import pytest

from identity.adapters.mail.jinja import JinjaRenderer
from identity.application import mail as mails
from identity.application.mail import Mail
from identity.testing.renderer import RendererConformance, every_mail


class TestJinjaRenderer(RendererConformance):
    @pytest.fixture
    def renderer(self) -> JinjaRenderer:
        return JinjaRenderer(service="Acme Cloud")


def test_the_kit_knows_every_kind_of_mail() -> None:
    kinds = {kind for kind in vars(mails).values() if isinstance(kind, type) and issubclass(kind, Mail)}
    assert {type(mail) for mail in every_mail()} == kinds - {Mail}
