"""The page on MQTT tells the truth: its commands run as they stand, with the ports and the host of this test in them."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import secured_brokers
from secured_brokers import Certificates

from cycler_ctl.publish.asyncapi import latest_schema
from cycler_ctl.publish.topics import Topics
from cycler_ctl.stationfile.check import check_config_text

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "guide" / "mqtt.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(?P<kind>\w+)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
TOPIC = Topics("kasuga", "lab-3").channel("a1", "last")
STATION = """
[station]
name = "lab-3"
[instruments.smu1]
driver = "keithley-2400"
address = "TCPIP0::127.0.0.1::5025::SOCKET"
[channels.a1]
instrument = "smu1"
limits = { voltage = "-0.5 V to 5 V", current = "10 mA" }
"""


def blocks(kind: str) -> list[str]:
    return [match["body"] for match in FENCE.finditer(PAGE) if match["kind"] == kind]


def publishing(lab: Any, url: str, until: Any, **settings: Any) -> None:
    lab.newest = (lab.begin().info.run, lab.all_rows[4])
    publisher = lab.publish(url, **settings)
    until(lambda: publisher.status().connected)


def run(command: str, folder: Path, here: Mapping[str, str]) -> str:
    """A command that would go on for ever is ended after two seconds."""
    words = shlex.split(command)
    endless = words[0] == "mosquitto_sub" and "-C" not in words
    words = [here.get(word, word) for word in words] + (["-W", "2"] if endless else [])
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == (27 if endless else 0), done.stderr  # 27: the time is over (mosquitto_sub manual, -W)
    return done.stdout


def follow(body: str, folder: Path, here: Mapping[str, str]) -> int:
    """Each line that is shown is the beginning of one that comes."""
    said, commands = "", 0
    for line in body.splitlines():
        if line.startswith("$ "):
            said, commands = run(line.removeprefix("$ "), folder, here), commands + 1
        elif line != "...":
            assert any(one.startswith(line) for one in said.splitlines()), (line, said)
    return commands


@pytest.fixture
def programs() -> None:
    for name in ("mosquitto_sub", "openssl", "sh"):
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not installed: apt install mosquitto-clients openssl")


@pytest.fixture
def local_port(lab: Any, bundled: Any, until: Any) -> str:
    publishing(lab, bundled.url, until)
    return str(bundled.url.rpartition(":")[2])


@pytest.mark.usefixtures("programs")
def test_the_commands_on_this_computer_and_those_over_tls_work_as_written(
    lab: Any, local_port: str, until: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "ca"
    folder.mkdir()
    shutil.copytree(ROOT / "deploy", folder / "deploy")
    followed = 0
    for body in blocks("console"):
        if "broker.lab -p" not in body:
            followed += follow(body, folder, {"1883": local_port})
    with secured_brokers.nats(tmp_path, Certificates(folder)) as port:
        shown = {"cert_file": folder / "lab-3.pem", "key_file": folder / "lab-3.key", "ca_file": folder / "ca.pem"}
        lab.data_dir = tmp_path / "another"
        publishing(lab, f"mqtts://localhost:{port}", until, **shown)
        here = {"8883": str(port), "broker.lab": "localhost"}
        followed += sum(follow(body, folder, here) for body in blocks("console") if "broker.lab -p" in body)
    assert followed == PAGE.count("\n$ ") == 7


def test_the_code_prints_the_newest_sample(lab: Any, local_port: str, tmp_path: Path) -> None:
    (code,) = blocks("python")
    changed = secured_brokers.replaced(code, {"1883": local_port})
    done = subprocess.run([sys.executable, "-c", changed], capture_output=True, text=True, timeout=30, check=False)
    row = lab.all_rows[4]
    assert done.stdout.split()[:2] == ["a1", str(row.voltage_V)], done.stderr


def test_each_piece_of_settings_is_a_station_s(tmp_path: Path) -> None:
    for piece in blocks("toml"):
        config, found = check_config_text(piece + STATION, str(tmp_path / "station.toml"))
        assert found == ()
        assert config is not None
    assert len(blocks("toml")) == 2


def telegraf(
    topic: str, payload: bytes, plugin: Mapping[str, Any]
) -> tuple[dict[str, str], dict[str, Any], float | None]:
    """Tags, fields and time, by Telegraf's documentation of its "json" format and of topic_parsing.

    Numbers become floats; strings and booleans are dropped unless json_string_fields or tag_keys name them; null is
    dropped; the time key is no field. Each level of topic_parsing's tags that is not ``_`` is a tag.
    """
    (rule,) = plugin["topic_parsing"]
    names, levels = rule["tags"].split("/"), topic.split("/")
    assert len(names) == len(levels) == len(rule["topic"].split("/"))
    tags = {name: each for name, each in zip(names, levels, strict=True) if name != "_"}
    data = json.loads(payload)
    time = data.pop(plugin["json_time_key"]) if "json_time_key" in plugin else None
    tags |= {key: str(data.pop(key)) for key in plugin.get("tag_keys", ()) if data.get(key) is not None}
    numbers = {key: float(each) for key, each in data.items() if type(each) in {int, float}}
    texts = {key: data[key] for key in plugin.get("json_string_fields", ()) if isinstance(data.get(key), str)}
    return tags, numbers | texts, time


def plugins() -> Iterator[Mapping[str, Any]]:
    text = (ROOT / "deploy" / "telegraf.conf").read_text(encoding="utf-8")
    yield from tomllib.loads(text)["inputs"]["mqtt_consumer"]


def test_telegraf_makes_a_point_with_tags_and_numbers_of_a_message_that_was_received(
    lab: Any, local_port: str, subscribe: Callable[..., Any]
) -> None:
    received = subscribe(int(local_port))
    received.wait(lambda: received.of("last") and received.states())
    samples, states = plugins()
    (message,) = {one.topic: one for one in received.messages if one.topic == TOPIC}.values()
    tags, fields, time = telegraf(message.topic, json.dumps(message.payload).encode(), samples)
    assert {"site": "kasuga", "station": "lab-3", "channel": "a1"}.items() <= tags.items()
    assert set(tags) <= {"site", "station", "channel", "step_type"}
    assert fields["voltage_volt"] == lab.all_rows[4].voltage_V
    assert fields["run"] == message.payload["run"]
    assert time == message.payload["unix_time_second"]
    status = next(one for one in received.messages if one.topic.endswith("/lab-3/status"))
    assert telegraf(status.topic, json.dumps(status.payload).encode(), states)[1]["state"] == "online"


def test_telegraf_s_settings_are_safe_and_name_only_keys_there_are() -> None:
    known = set(latest_schema()["required"])
    for plugin in plugins():
        assert all(server.startswith("ssl://") for server in plugin["servers"])
        assert not {"insecure_skip_verify", "password"} & plugin.keys()
        assert plugin["client_id"]  # persistent_session wants one of its own
    samples = next(iter(plugins()))
    assert {samples["json_time_key"], *samples["json_string_fields"], *samples["tag_keys"]} <= known


def test_the_dashboard_asks_for_fields_there_are() -> None:
    board = json.loads((ROOT / "deploy" / "grafana-channels.json").read_text(encoding="utf-8"))
    asked = re.findall(r'r\._field == "(\w+)"', " ".join(one["targets"][0]["query"] for one in board["panels"]))
    assert len(asked) == len(board["panels"]) >= 4
    assert set(asked) <= set(latest_schema()["required"])
