"""Names of MQTT topics: pure text. Levels match ``[a-z0-9_-]+``, so wildcards, NATS subjects and dashboards all work."""

from __future__ import annotations

import re
from dataclasses import dataclass

ROOT = "cycler/v1"
_UNFIT = re.compile(r"[^a-z0-9_-]+")


def level(text: str) -> str:
    """``text`` as one topic level; what does not fit becomes ``-``, and nothing at all becomes ``_``."""
    return _UNFIT.sub("-", text.lower()).strip("-") or "_"


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one station."""

    site: str
    station: str

    @property
    def base(self) -> str:
        return f"{ROOT}/{level(self.site)}/{level(self.station)}"

    @property
    def status(self) -> str:
        return f"{self.base}/status"

    @property
    def runs(self) -> str:
        """Which runs there are, when a reader asked."""
        return f"{self.base}/runs"

    @property
    def meta(self) -> str:
        return f"{self.base}/meta"

    def instrument_status(self, instrument: str) -> str:
        return f"{self.base}/instrument/{level(instrument)}/status"

    def channel(self, channel: str, leaf: str) -> str:
        """``leaf`` is one of state, last, samples, event, summary, manifest."""
        return f"{self.base}/channel/{level(channel)}/{leaf}"

    def alarm(self, alarm: str) -> str:
        return f"{self.base}/alarm/{level(alarm)}"

    @property
    def need(self) -> str:
        """Where a reader asks for rows it has not; they come again on ``samples``."""
        return f"{self.base}/need"

    def sink(self, client: str) -> str:
        """Where a reader that keeps rows says how far it has them."""
        return f"{self.base}/sink/{level(client)}"

    def command(self, channel: str) -> str:
        return self.channel(channel, "cmd")

    def reply(self, client: str) -> str:
        return f"{self.base}/reply/{level(client)}"

    @property
    def client_id(self) -> str:
        """Fixed, so that a broker drops our old half-open connection; two stations of one name would share topics anyway."""
        return f"cycler-{level(self.site)}-{level(self.station)}"
