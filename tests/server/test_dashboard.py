"""The dashboard and the alerts of deploy/ name what a server tells, all of it, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
import yaml
from tests.operation import DEPLOY, program
from tests.server.promql import mistakes, named

DASHBOARD, ALERTS = "grafana-dashboard.json", "prometheus-alerts.yml"
NOT_SHOWN = {"up"}


def panels():
    return [each for each in json.loads((DEPLOY / DASHBOARD).read_text("utf-8"))["panels"]]


def shown() -> list[str]:
    return [target["expr"] for panel in panels() for target in panel.get("targets", [])]


def alerts():
    (group,) = yaml.safe_load((DEPLOY / ALERTS).read_text("utf-8"))["groups"]
    return group["rules"]


EXPRESSIONS = [*shown(), *(rule["expr"] for rule in alerts())]


@pytest.fixture(scope="module")
def labels_of(everything):
    """Of each series that a server has told."""
    return {name: everything.labels(name) for name in everything.values}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_each_expression_names_what_a_server_tells(expression, labels_of):
    assert mistakes(expression, labels_of) == []
