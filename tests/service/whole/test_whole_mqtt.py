"""The service as a stranger's MQTT client sees it, through a broker that is not ours to stop."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Bench, Lab, end, make_lab, until
from paho.mqtt.client import Client as Mqtt
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from cycler_ctl.broker import Broker
from cycler_ctl.config import load_config
from cycler_ctl.records.bdf import bdf_values
from cycler_ctl.store.reader import open_run
from cycler_ctl.terminal.client import Client

STATUS = "cycler/v1/lab/lab-3/status"
META = "cycler/v1/lab/lab-3/meta"
STATE = "cycler/v1/lab/lab-3/channel/a1/state"
EVENT = "cycler/v1/lab/lab-3/channel/a1/event"
SAMPLES = "cycler/v1/lab/lab-3/channel/a1/samples"


class Watcher:
    """Everything that was said, by topic."""

    def __init__(self, port: int) -> None:
        self.heard: dict[str, list[dict[str, object]]] = {}
        ready = threading.Event()
        self._client = Mqtt(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("cycler/#", qos=1)
        self._client.loop_start()
        assert ready.wait(10)

    def _on_message(self, _client: Mqtt, _data: object, message: MQTTMessage) -> None:
        if message.payload:  # else an alarm is over
            self.heard.setdefault(message.topic, []).append(json.loads(message.payload))

    def last(self, topic: str, key: str = "state") -> object:
        return self.heard[topic][-1][key] if self.heard.get(topic) else None

    def rows(self) -> dict[int, list[object]]:
        found: dict[int, list[object]] = {}
        for batch in self.heard.get(SAMPLES, []):
            rows, first = batch["rows"], batch["first_seq"]
            assert isinstance(rows, list)
            assert isinstance(first, int)
            found.update(enumerate(rows, first))
        return found

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "elsewhere", port=0) as broker:
        yield broker


@pytest.fixture
def watcher(broker: Broker) -> Iterator[Watcher]:
    watcher = Watcher(int(broker.url.rpartition(":")[2]))
    yield watcher
    watcher.close()


@pytest.fixture
def mqtt_lab(tmp_path: Path, bench: Bench, broker: Broker) -> Iterator[Lab]:
    lab = make_lab(tmp_path, bench, mqtt=f'url = ["{broker.url}"]')
    yield lab
    end(lab)


def mqtt_of(lab: Lab) -> dict[str, object]:
    """How publishing goes, as the station says it."""
    said = Client(load_config(lab.folder / "station.toml")).get("/api/v1/station")["mqtt"]
    assert isinstance(said, dict)
    return said


def kept(lab: Lab) -> dict[int, list[object]]:
    with open_run(lab.run_dir()) as reader:
        return {row.seq: list(bdf_values(row, reader.info.discharge_means)) for row in reader.rows()}


async def test_a_run_is_followed_row_for_row_and_a_killed_station_is_offline(mqtt_lab: Lab, watcher: Watcher) -> None:
    guardian = await mqtt_lab.serve()
    await until(lambda: watcher.last(STATUS) == "online")
    await until(lambda: META in watcher.heard)  # said next
    meta = watcher.heard[META][-1]
    assert {"version", "instruments", "channels", "schemas"} < meta.keys()
    assert '"asyncapi": "3.0.0"' in json.dumps(meta["schemas"])
    assert mqtt_lab.command("start", "quick.yaml", "--channel", "a1").returncode == 0
    await until(lambda: watcher.last(STATE) == "running" and len(watcher.rows()) > 10)
    assert watcher.last(STATE, "energised") is True

    os.kill(mqtt_lab.station_pid(guardian), signal.SIGKILL)
    await until(lambda: watcher.last(STATUS) == "offline")
    await until(lambda: watcher.last(STATUS) == "online")
    await until(lambda: watcher.last(STATE) == "interrupted")
    await until(lambda: watcher.rows() == kept(mqtt_lab))
    await until(lambda: watcher.last(EVENT, "kind") == "gap")


async def test_a_service_that_is_stopped_says_offline_itself(mqtt_lab: Lab, watcher: Watcher) -> None:
    guardian = await mqtt_lab.serve()
    await until(lambda: watcher.last(STATUS) == "online")
    guardian.send_signal(signal.SIGTERM)
    await until(lambda: guardian.poll() is not None)
    assert guardian.returncode == 0, mqtt_lab.log()
    assert watcher.last(STATUS) == "offline"


async def test_a_run_goes_on_without_a_broker_and_says_how_many_rows_wait(mqtt_lab: Lab, broker: Broker) -> None:
    await mqtt_lab.serve()
    broker.stop()
    assert mqtt_lab.command("start", "quick.yaml", "--channel", "a1").returncode == 0
    await until(lambda: int(mqtt_lab.channel()["rows_waiting"] or 0) > 10)
    assert mqtt_lab.channel()["state"] == "running"
    await until(lambda: mqtt_of(mqtt_lab)["connected"] is False)
    mqtt = mqtt_of(mqtt_lab)
    assert mqtt["url"] == broker.url
    assert broker.url in str(mqtt["message"])
