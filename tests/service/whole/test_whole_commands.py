"""The commands about commands, as people type them, with the real service and a broker beside it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from commanded import SECRETS
from lab import Bench, Lab, end, make_lab, until

from cycler_ctl.broker import Broker
from cycler_ctl.config import MqttSettings
from cycler_ctl.errors import ConfigError, RefusedError
from cycler_ctl.terminal import arming, remote, sending, status
from cycler_ctl.terminal.asking import Asking


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "elsewhere", port=0) as made:
        yield made


@pytest.fixture
def lab(tmp_path: Path, bench: Bench, broker: Broker) -> Iterator[Lab]:
    for role, secret in SECRETS.items():
        (tmp_path / role).write_text(secret)
        (tmp_path / role).chmod(0o600)
    mqtt = f'url = "{broker.url}"\ncommands = true\noperate_secret_file = "operate"\nstart_secret_file = "start"'
    made = make_lab(tmp_path, bench, mqtt=mqtt)
    yield made
    end(made)


def send(lab: Lab, broker: Broker, action: str, role: str, order: str = "") -> int:
    settings = MqttSettings(url=(broker.url,))
    wanted = sending.Wanted("lab/lab-3", "a1", action, role, order, "A. Researcher", lab.folder / role)
    return sending.send_command(wanted, settings)


async def test_a_run_is_stopped_from_elsewhere_and_a_channel_armed_shown_and_disarmed(
    lab: Lab, broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    await lab.serve()
    file, quick = lab.folder / "station.toml", lab.folder / "quick.yaml"
    order = arming.Wanted("a1", quick, None, (), "8 h")
    assert remote.start_run(remote.Start(quick, "a1"), file, Asking(yes=True), as_json=True) == 0
    await until(lambda: lab.bench.truth()["output_on"])
    with pytest.raises(RefusedError, match="is running"):
        arming.arm_channel(order, file)
    assert await asyncio.to_thread(send, lab, broker, "stop", "operate") == 0
    assert not lab.bench.truth()["output_on"]
    capsys.readouterr()
    assert arming.arm_channel(order, file) == 0
    digest = capsys.readouterr().out.strip()
    assert len(digest) == 64
    assert status.show_status(file, watch=False, as_json=False) == 0
    assert "armed " in capsys.readouterr().out
    assert arming.disarm_channel("a1", file) == 0
    with pytest.raises(RefusedError, match="refused"):
        await asyncio.to_thread(send, lab, broker, "start", "start", digest)
    capsys.readouterr()
    assert sending.show_commands(file, as_json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert [(one["action"], one["outcome"]) for one in said] == [("stop", "done"), ("start", "refused")]


def test_a_channel_is_armed_for_at_most_a_day_and_only_where_somebody_could_start_it() -> None:
    assert arming.window_of("24 h") == 24 * 3600
    for wrong in ("25 h", "0 s", "soon", "10 mA"):
        with pytest.raises(ConfigError):
            arming.window_of(wrong)
