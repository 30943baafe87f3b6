"""Commands over MQTT to a station with simulated instruments: judged by the instrument's own truth and the run file."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import mad_client as mad_program
import pytest
from commanded import BASE, SECRETS, Operator, sign
from rig import Rig, open_rig, protocol, until

from cycler_ctl.broker import Broker
from cycler_ctl.clock import SystemClock, real_sleep
from cycler_ctl.commanding.armed import ArmedFile, path_of, settings_digest, write_armed
from cycler_ctl.commanding.commander import Commander, Surroundings
from cycler_ctl.config import MqttSettings
from cycler_ctl.live import ChannelState
from cycler_ctl.publish.backoff import Timing

UTC = SystemClock().utc
MAD = Path(str(mad_program.__file__))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker", port=0) as made:
        yield made


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    async with open_rig(tmp_path / "data", monkeypatch) as made:
        yield made


@asynccontextmanager
async def commanded(rig: Rig, broker: Broker) -> AsyncIterator[Operator]:
    """The station of the rig takes commands, and somebody has the secrets."""
    files = {}
    for role, secret in SECRETS.items():
        files[f"{role}_secret_file"] = path = rig.data.parent / role
        path.write_text(secret)
        path.chmod(0o600)
    named = rig.station.config.station.model_copy(update={"name": "lab-3", "site": "kasuga"})
    mqtt = MqttSettings(url=(broker.url,), commands=True, **files)
    config = rig.station.config.model_copy(update={"station": named, "mqtt": mqtt})
    around = Surroundings(SystemClock(), lambda: True, Timing(first_s=0.05))
    commander = Commander(config, rig.station, rig.station, None, around)
    commander.start()
    with ExitStack() as stack:
        operator = Operator(int(broker.url.rpartition(":")[2]))
        stack.callback(operator.close)
        try:
            await until(lambda: "a1" in operator.nonces)
            yield operator
        finally:
            await asyncio.to_thread(commander.stop)


async def asked(operator: Operator, **changed: str) -> dict[str, Any]:
    """As the station is known to be at this moment; once more where a step ended in between."""
    reply: dict[str, Any] | None = None
    for _ in range(3):
        request = operator.request(UTC(), **changed)
        operator.publish(sign(request))
        await until(lambda request=request: operator.reply_to(request) is not None)  # type: ignore[misc]
        reply = operator.reply_to(request)
        assert reply is not None
        if reply["why"] not in {"nonce", "changed"}:
            break
        await real_sleep(0.3)
    assert reply is not None
    return reply


def armed(rig: Rig, *, for_s: float = 3600.0, after_run: str | None = None) -> ArmedFile:
    file = ArmedFile(
        channel="a1",
        protocol_name="trial.yaml",
        protocol_text=protocol(),
        cell_name=None,
        cell_text=None,
        overrides={},
        included={},
        settings=settings_digest(rig.station.config, "a1"),
        shown_protocol="Trial",
        shown_cell="MG-0142",
        by="B. Local",
        armed_utc_s=UTC() - 1,
        until_utc_s=UTC() + for_s,
        after_run=after_run,
    )
    write_armed(rig.data, file)
    return file


async def test_a_stop_returns_when_off_was_read_back_and_stands_in_the_record(rig: Rig, broker: Broker) -> None:
    async with commanded(rig, broker) as operator:
        run = await rig.flowing()
        reply = await asked(operator)
        assert reply["outcome"] == "done"
        assert rig.is_off()
        assert rig.status().state is ChannelState.STOPPED
        said = [event.data for event in rig.events(run)]
        assert any("A. Researcher (mqtt tablet-1, role operate)" in str(data) for data in said), said
        assert rig.lies == []


async def test_a_pause_turns_the_output_off_and_nothing_over_mqtt_turns_it_on_again(rig: Rig, broker: Broker) -> None:
    async with commanded(rig, broker) as operator:
        await rig.flowing()
        assert (await asked(operator, action="pause"))["outcome"] == "done"
        assert rig.is_off()
        payload = sign(operator.request(UTC(), action="resume"))
        operator.publish(payload)
        assert (await asked(operator, action="start", role="start", order="0" * 64))["why"] == "not-armed"
        assert rig.is_off()
        assert rig.status().state is ChannelState.PAUSED


async def test_what_was_armed_here_is_started_once_and_by_its_digest_only(rig: Rig, broker: Broker) -> None:
    async with commanded(rig, broker) as operator:
        start = {"action": "start", "role": "start"}
        assert (await asked(operator, **start, order="0" * 64))["why"] == "not-armed"
        digest = armed(rig).digest()
        await until(lambda: (operator.nonces["a1"]["armed"] or {}).get("order") == digest)
        assert (await asked(operator, **start, order="0" * 64))["why"] == "not-armed"
        assert (await asked(operator, action="start", role="operate", order=digest))["why"] == "role"
        reply = await asked(operator, **start, order=digest)
        assert reply["outcome"] == "done", reply
        await until(rig.flows)
        assert not path_of(rig.data, "a1").exists()
        await until(lambda: operator.nonces["a1"]["armed"] is None)
        assert (await asked(operator))["outcome"] == "done"
        assert (await asked(operator, **start, order=digest))["why"] == "not-armed"
        run = reply["run"]
        assert any("armed by B. Local" in str(event.data) for event in rig.events(run))


async def test_an_armed_channel_is_armed_no_more_once_its_time_is_over_or_somebody_ran_something(
    rig: Rig, broker: Broker
) -> None:
    async with commanded(rig, broker) as operator:
        armed(rig, for_s=0.8)
        await until(lambda: operator.nonces["a1"]["armed"])
        await until(lambda: operator.nonces["a1"]["armed"] is None and not path_of(rig.data, "a1").exists())
        armed(rig)
        await until(lambda: operator.nonces["a1"]["armed"])
        await rig.flowing()
        await rig.station.stop("a1", "a person")
        await until(lambda: operator.nonces["a1"]["armed"] is None and not path_of(rig.data, "a1").exists())


async def test_a_channel_is_armed_no_more_after_a_restart(rig: Rig, broker: Broker) -> None:
    armed(rig)
    async with commanded(rig, broker) as operator:
        assert operator.nonces["a1"]["armed"] is None
        assert not path_of(rig.data, "a1").exists()


async def test_settings_that_are_not_those_that_were_looked_at_arm_nothing(rig: Rig, broker: Broker) -> None:
    async with commanded(rig, broker) as operator:
        write_armed(rig.data, armed(rig).model_copy(update={"settings": "f" * 64}))
        path_of(rig.data, "a2").write_text("{}")
        await real_sleep(0.4)
        assert operator.nonces["a1"]["armed"] is None
        assert operator.nonces["a2"]["armed"] is None


async def test_a_mad_client_costs_no_sample(rig: Rig, broker: Broker, pytestconfig: pytest.Config) -> None:
    """A thousand commands a second and packets of 0.5 and 100 MB, beside a run that samples every 0.2 s."""
    campaign = bool(pytestconfig.getoption("--campaign"))
    seconds = 60.0 if campaign else 2.0
    async with commanded(rig, broker):
        run = await rig.flowing()
        calm = await rows_in(rig, run, seconds)
        with mad_client(broker) as mad:
            assert mad.stdout is not None
            assert await asyncio.to_thread(mad.stdout.readline) == "begun\n"
            busy = await rows_in(rig, run, seconds)
            sent = int((await asyncio.to_thread(mad.communicate))[0])
        assert busy >= (calm - 1 if campaign else calm // 3), (calm, busy)  # other tests take the machine's time, too
        assert sent > 100 * seconds, sent
        assert rig.status().state is ChannelState.RUNNING
        assert rig.guardian.lapsed == []
        times_s = [row.time_s for row in rig.rows(run)]
        longest_s = max(after - before for before, after in pairwise(times_s))
        sys.stdout.write(
            f"{calm} rows in {seconds:.0f} s of calm, {busy} beside {sent} commands; longest step {longest_s:.2f} s\n"
        )
        await rig.station.stop("a1", "the end")


@contextmanager
def mad_client(broker: Broker) -> Iterator[subprocess.Popen[str]]:
    """A process of its own, as it would be."""
    command = [sys.executable, str(MAD), broker.url.rpartition(":")[2], f"{BASE}/channel/a1/cmd"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as mad:
        try:
            yield mad
        finally:
            mad.kill()


async def rows_in(rig: Rig, run: str, seconds: float) -> int:
    """How many more are on disk after that."""
    before = len(rig.rows(run))
    await real_sleep(seconds)
    return len(rig.rows(run)) - before
