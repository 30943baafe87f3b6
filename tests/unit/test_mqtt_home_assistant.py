"""Home Assistant finds the channels: what its documentation requires of a discovery message, and nothing is left behind.

https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload and .../integrations/sensor.mqtt/ (2025):
``device`` with ``identifiers`` or ``connections``, ``origin`` with ``name``, ``components`` each with ``platform`` and
``unique_id``; a sensor needs ``state_topic``; ``options`` go with device class ``enum`` and never with a state class or
a unit; ``availability`` and ``availability_topic`` exclude each other.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cycler_ctl.live import ChannelState
from cycler_ctl.publish.asyncapi import latest_schema
from cycler_ctl.publish.home_assistant import FILE, Discovery, device, device_topic
from cycler_ctl.publish.topics import Topics

TOPICS = Topics("kasuga", "lab-3")
A1, A2 = (device_topic(TOPICS, "homeassistant", name) for name in ("a1", "a2"))
UNITS = {"voltage": {"V", "mV"}, "current": {"A", "mA"}, "temperature": {"°C", "°F", "K"}}


def said() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(device(TOPICS, "a1", "1.0"))
    return found


def test_the_topic_has_the_form_home_assistant_listens_to() -> None:
    """<prefix>/<component>/[<node>/]<object>/config, node and object of [a-zA-Z0-9_-]."""
    assert A1 == "homeassistant/device/cycler-kasuga-lab-3/a1/config"
    assert re.fullmatch(r"[\w-]+/device/[a-zA-Z0-9_-]+/[a-zA-Z0-9_-]+/config", A1)


def test_a_device_has_every_key_that_is_required() -> None:
    found = said()
    assert found["device"]["identifiers"] == ["cycler-kasuga-lab-3-a1"]
    assert found["origin"]["name"] == "cycler-ctl"
    parts = found["components"].values()
    assert all({"platform", "unique_id", "state_topic", "name"} <= part.keys() for part in parts)
    assert len({part["unique_id"] for part in parts}) == len(parts) == 7
    assert {part["platform"] for part in parts} == {"sensor"}
    assert all(part["expire_after"] > 0 for part in parts)


def test_units_fit_their_classes_and_the_state_is_one_of_its_words() -> None:
    found = said()["components"]
    for part in found.values():
        kind = part.get("device_class")
        assert part.get("unit_of_measurement") in UNITS.get(kind, {"Ah", None})
        assert ("options" in part) == (kind == "enum")
    assert found["state"]["options"] == [str(state) for state in ChannelState]
    assert not {"state_class", "unit_of_measurement"} & found["state"].keys()


def test_each_template_names_a_key_that_is_published_on_its_topic() -> None:
    sample = set(latest_schema()["required"])
    for part in said()["components"].values():
        (key,) = re.findall(r"value_json\.(\w+)", part["value_template"])
        if part["state_topic"].endswith("/last"):
            assert part["state_topic"] == TOPICS.channel("a1", "last")
            assert key in sample
        else:
            assert (part["state_topic"], key) == (TOPICS.channel("a1", "state"), "state")


def test_without_the_station_everything_is_unavailable() -> None:
    (one,) = said()["availability"]
    assert one["topic"] == TOPICS.status
    assert "availability_topic" not in said()
    words = re.findall(r"'(\w+)'", one["value_template"])
    assert words == ["online", "online", "offline"]  # the payloads Home Assistant takes unless others are named


class Broker:
    """Retained messages, and one that dies after so many."""

    def __init__(self, dies_after: int = 1000) -> None:
        self.retained: dict[str, bytes] = {}
        self._left = dies_after

    async def publish(self, topic: str, payload: bytes) -> None:
        if not self._left:
            raise ConnectionError
        self._left -= 1
        self.retained[topic] = payload
        if not payload:
            del self.retained[topic]


def discovery(folder: Path, prefix: str | None = "homeassistant") -> Discovery:
    return Discovery(TOPICS, folder, prefix, "1.0")


async def test_what_was_told_is_taken_back_when_it_is_switched_off(tmp_path: Path) -> None:
    broker = Broker()
    await discovery(tmp_path).tell(["a1", "a2"], broker.publish)
    assert set(broker.retained) == {A1, A2}
    await discovery(tmp_path).tell(["a1"], broker.publish)
    assert set(broker.retained) == {A1}
    await discovery(tmp_path, None).tell(["a1"], broker.publish)
    assert broker.retained == {}
    assert not (tmp_path / FILE).exists()


async def test_another_prefix_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    broker = Broker()
    await discovery(tmp_path).tell(["a1"], broker.publish)
    await discovery(tmp_path, "ha").tell(["a1"], broker.publish)
    assert set(broker.retained) == {device_topic(TOPICS, "ha", "a1")}


@pytest.mark.parametrize("dies_after", [0, 1, 2])
async def test_a_connection_lost_half_way_leaves_nothing_that_is_never_taken_back(
    tmp_path: Path, dies_after: int
) -> None:
    broker = Broker()
    await discovery(tmp_path).tell(["a1"], broker.publish)
    dying = Broker(dies_after)
    dying.retained = broker.retained
    if dies_after < 2:
        with pytest.raises(ConnectionError):
            await discovery(tmp_path).tell(["a2"], dying.publish)
    broker.retained = dying.retained
    await discovery(tmp_path, None).tell([], broker.publish)
    assert broker.retained == {}


async def test_switched_off_from_the_beginning_nothing_is_written_anywhere(tmp_path: Path) -> None:
    broker = Broker(0)
    await discovery(tmp_path, None).tell(["a1"], broker.publish)
    assert not (tmp_path / FILE).exists()


async def test_a_note_that_cannot_be_read_is_said_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_text("{", encoding="utf-8")
    await discovery(tmp_path).tell(["a1"], Broker().publish)
    assert FILE in caplog.text
