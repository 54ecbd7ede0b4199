"""What a server tells of itself to Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from tests.server.service import SOON, eventually

ANNOUNCED = re.compile(r"metrics on (http://127\.0\.0\.1:[0-9]+/metrics)")

Labels = tuple[tuple[str, str], ...]


class Scrape:
    """The samples of one answer."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.values: dict[str, dict[Labels, float]] = {}
        for family in self.families.values():
            for sample in family.samples:
                labels = tuple(sorted(sample.labels.items()))
                assert labels not in self.values.setdefault(sample.name, {}), (sample.name, labels)
                self.values[sample.name][labels] = sample.value

    def __call__(self, name: str, **labels: str) -> float:
        return self.values[name][tuple(sorted(labels.items()))]

    def happened(self, name: str, *by: str) -> Mapping[str | tuple[str, ...], float]:
        """The samples that are not zero, by these labels."""
        return {
            tuple(dict(labels)[each] for each in by) if len(by) > 1 else dict(labels)[by[0]]: value
            for labels, value in self.values.get(name, {}).items()
            if value
        }

    @property
    def labels_of(self) -> dict[str, set[str]]:
        """Of each series."""
        return {
            name: {label for labels in samples for label, _ in labels}
            for name, samples in self.values.items()
        }

    def ours(self) -> Iterator[tuple[str, list[str], Any]]:
        """The name, the labels and the family of each metric that is not one of any process."""
        for family in self.families.values():
            if family.name.startswith("identity"):
                labels = list(dict.fromkeys(label for sample in family.samples for label in sample.labels))
                suffix = "_total" if family.type == "counter" else ""
                yield family.name + suffix, [each for each in labels if each != "le"], family


def addresses(server: Any, *, count: int = 1) -> list[str]:
    """Of the metrics of so many processes."""
    return eventually(lambda: len(found := ANNOUNCED.findall(server.text)) >= count and found)


def scrape(address: str) -> Scrape:
    answer = httpx.get(address, trust_env=False, timeout=SOON)
    assert answer.status_code == 200, answer.text
    return Scrape(answer.text)
