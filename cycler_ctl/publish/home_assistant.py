"""Home Assistant finds each channel as a device of its own: its discovery by MQTT, form "device", one retained message.

What was told is remembered in the data folder, so that it is taken back when the option, a channel or a prefix is gone.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cycler_ctl.errors import StoreError
from cycler_ctl.live import ChannelState
from cycler_ctl.publish.explain import NotHeard
from cycler_ctl.publish.payloads import encode
from cycler_ctl.publish.speaker import Refused
from cycler_ctl.publish.topics import Topics, level
from cycler_ctl.store.export.atomic import whole_file
from protocols.record import JSON

log = logging.getLogger(__name__)
FILE = "home_assistant.json"
SAMPLE_EXPIRES_S = 900
"""A protocol may record seldom; older than this, a voltage is not shown as if it were today's."""
STATE_EXPIRES_S = 120  # four heartbeats
_TOLD: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])
# Key of the sample, name, unit, Home Assistant's device class (none has an ampere-hour), digits shown.
_MEASURED = (
    ("voltage_volt", "Voltage", "V", "voltage", 4),
    ("current_ampere", "Current", "A", "current", 6),
    ("charging_capacity_ah", "Charged", "Ah", None, 6),
    ("discharging_capacity_ah", "Discharged", "Ah", None, 6),
    ("cycle_count", "Cycle", None, None, 0),
    ("ambient_temperature_celsius", "Temperature", "°C", "temperature", 1),
)


def device_topic(topics: Topics, prefix: str, channel: str) -> str:
    """``<prefix>/device/<node>/<object>/config``: a node for the station, so that a broker's rights can name it."""
    return f"{prefix}/device/{_node(topics)}/{level(channel)}/config"


def device(topics: Topics, channel: str, version: str) -> bytes:
    """One channel: its newest sample, its state, and whether the station is there at all."""
    node = f"{_node(topics)}-{level(channel)}"
    parts = {key: _measured(topics, channel, node, key) for key, *_ in _MEASURED}
    return encode(
        {
            "device": {
                "identifiers": [node],
                "name": f"{topics.station} {channel}",
                "manufacturer": "cycler-ctl",
                "model": "battery cycler channel",
                "sw_version": version,
            },
            "origin": {"name": "cycler-ctl", "sw_version": version},
            "availability": [
                {
                    "topic": topics.status,
                    "value_template": "{{ 'online' if value_json.state == 'online' else 'offline' }}",
                }
            ],
            "components": {**parts, "state": _state(topics, channel, node)},
        }
    )


def _node(topics: Topics) -> str:
    return topics.client_id


def _measured(topics: Topics, channel: str, node: str, wanted: str) -> dict[str, JSON]:
    key, name, unit, kind, digits = next(each for each in _MEASURED if each[0] == wanted)
    said: dict[str, JSON] = {
        "platform": "sensor",
        "unique_id": f"{node}-{key}",
        "name": name,
        "state_topic": topics.channel(channel, "last"),
        "value_template": f"{{{{ value_json.{key} }}}}",
        "state_class": "measurement",
        "suggested_display_precision": digits,
        "expire_after": SAMPLE_EXPIRES_S,
    }
    return said | ({"unit_of_measurement": unit} if unit else {}) | ({"device_class": kind} if kind else {})


def _state(topics: Topics, channel: str, node: str) -> dict[str, JSON]:
    return {
        "platform": "sensor",
        "unique_id": f"{node}-state",
        "name": "State",
        "state_topic": topics.channel(channel, "state"),
        "value_template": "{{ value_json.state }}",
        "json_attributes_topic": topics.channel(channel, "state"),
        "device_class": "enum",
        "options": [str(state) for state in ChannelState],
        "expire_after": STATE_EXPIRES_S,
    }


@dataclass(frozen=True, slots=True)
class Discovery:
    """``prefix`` None: switched off; then only what was told before is taken back. Belongs to one thread."""

    topics: Topics
    folder: Path
    prefix: str | None
    version: str

    def messages(self, channels: Iterable[str]) -> Mapping[str, bytes]:
        """To be retained, by topic; empty takes back. What is new is remembered before it is told: StoreError if not."""
        wanted = {
            device_topic(self.topics, self.prefix, channel): device(self.topics, channel, self.version)
            for channel in (channels if self.prefix else ())
            if self.prefix
        }
        before = self._remembered()
        if not set(wanted) <= set(before):
            self._remember({*before, *wanted})
        return {**dict.fromkeys(before, b""), **wanted}

    async def tell(self, channels: Iterable[str], publish: Callable[[str, bytes], Awaitable[None]]) -> None:
        """``publish`` returns when the broker has acknowledged. Neither a folder that does not
        remember nor a broker that gives us no right to this is a reason to stop.
        """
        try:
            messages = self.messages(channels)
            for topic, payload in messages.items():
                await publish(topic, payload)
            kept = {topic for topic, payload in messages.items() if payload}
            if kept != set(self._remembered()):
                self._remember(kept)
        except (StoreError, Refused, NotHeard) as error:
            log.warning("Home Assistant: %s", error)

    def _remembered(self) -> tuple[str, ...]:
        path = self.folder / FILE
        try:
            return _TOLD.validate_json(path.read_bytes()) if path.is_file() else ()
        except (OSError, ValidationError) as error:
            raise StoreError(f"{path} cannot be read; remove it, and clear old entries in Home Assistant") from error

    def _remember(self, topics: Iterable[str]) -> None:
        path = self.folder / FILE
        found = sorted(topics)
        try:
            if not found:
                path.unlink(missing_ok=True)
                return
            with whole_file(path) as unfinished:
                unfinished.write(json.dumps(found))
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error}") from error
