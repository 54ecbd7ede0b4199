"""Figures about the running service for Prometheus, on an address of their own. Loaded where that is set."""

from __future__ import annotations

import asyncio
import platform
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Info
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from identity.entrypoints.metrics.process import ProcessCollector
from identity.entrypoints.metrics.readings import Readings, Sources
from identity.entrypoints.metrics.recording import Recording

__all__ = ["Metrics", "Sources"]

_PLAIN = (generate_latest, CONTENT_TYPE_PLAIN_0_0_4)
_OPEN_METRICS = (openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST)


class Metrics:
    """All figures of one process, in a registry of its own."""

    def __init__(self, sources: Sources) -> None:
        self._registry = CollectorRegistry()
        self._readings = Readings(sources)
        recording = Recording(self._registry)
        self.request, self.delivery = recording.request, recording.delivery
        self.crowd = self._readings.crowd
        self._registry.register(self._readings)
        self._registry.register(ProcessCollector())
        info = Info("identity", "Which version runs, and on which Python.", registry=self._registry)
        info.info({"version": version("identity"), "python": platform.python_version()})

    async def exposed(self, accept: str) -> tuple[bytes, str]:
        """The figures as text, and its media type: OpenMetrics or Prometheus' own format, as `Accept` asks.

        Not to be called again before it has returned.
        """
        await self._readings.read()
        # The library would choose by what else the header says, and fail on some of that.
        encode, media_type = _OPEN_METRICS if "application/openmetrics-text" in accept else _PLAIN
        # A thousand lines take milliseconds, in which the event loop has other things to do.
        return await asyncio.to_thread(encode, self._registry), media_type
