"""Figures about the running service for Prometheus, on an address of their own. Loaded where that is set."""

from __future__ import annotations

import asyncio
import platform
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Info
from prometheus_client.exposition import choose_encoder

from identity.entrypoints.metrics.process import ProcessCollector
from identity.entrypoints.metrics.readings import Readings, Sources
from identity.entrypoints.metrics.recording import Recording

__all__ = ["Metrics", "Sources"]


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
        try:
            encode, media_type = choose_encoder(accept)
        except ValueError:  # a version that is no number
            encode, media_type = choose_encoder("")
        # A thousand lines take milliseconds, in which the event loop has other things to do.
        return await asyncio.to_thread(encode, self._registry), media_type
