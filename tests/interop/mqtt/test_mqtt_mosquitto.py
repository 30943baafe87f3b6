"""Against Debian's mosquitto, with subscribers that share no code with us."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cycler_ctl.live import ChannelState
from cycler_ctl.publish import publisher as publisher_module
from cycler_ctl.publish.backoff import Timing
from cycler_ctl.publish.outbox import Outbox, Outgoing
from cycler_ctl.testing.rows import START_UTC_S


def fingerprint(rows: dict[int, list[Any]], count: int) -> str:
    """Of the first ``count``, as interface and guide say it."""
    lines = [json.dumps(rows[seq], ensure_ascii=False, separators=(",", ":")) for seq in range(1, count + 1)]
    return hashlib.sha256("".join(f"{line}\n" for line in lines).encode()).hexdigest()


@pytest.mark.parametrize("how", ["mosquitto_sub", "paho"])
def test_a_subscriber_gets_every_durable_row_exactly_as_exported(
    lab: Any, mosquitto: Any, subscribe: Any, how: str
) -> None:
    received = subscribe(mosquitto.port, how)
    lab.utc_s = START_UTC_S + 86_400.0
    publisher = lab.publish(mosquitto.url)
    received.wait(lambda: "online" in received.states())
    writer = lab.begin()
    run = writer.info.run
    for first in range(1, 1001, 100):
        lab.record(writer, first, first + 99)
    received.wait(lambda: received.of("manifest"))  # of the day before
    lab.end(writer)
    received.wait(lambda: len(received.rows(run)) == 1000 and received.of("summary") and received.of("event"))
    assert received.rows(run) == lab.expected(run)
    batches = received.of("samples")
    assert {(batch["v"], batch["epoch"]) for batch in batches} == {(1, 1234)}
    assert all(batch["columns"] == lab.columns and len(batch["rows"]) <= 60 for batch in batches)
    assert received.of("event")[0]["kind"] == "run_ended"
    received.wait(received.final)
    *days, manifest = received.of("manifest")
    assert [(day["first"], day["sha256"], day["final"]) for day in days] == [
        (1, fingerprint(received.rows(run), day["count"]), False) for day in days
    ]
    assert (manifest["first"], manifest["last"], manifest["count"]) == (1, 1000, 1000)
    assert manifest["sha256"] == fingerprint(received.rows(run), 1000)
    publisher.stop(5.0)
    assert publisher.status().rows_waiting == {}


def test_states_are_retained_and_offline_is_said_before_a_clean_end(lab: Any, mosquitto: Any, subscribe: Any) -> None:
    live = subscribe(mosquitto.port, "mosquitto_sub")
    writer = lab.begin()
    lab.newest = (writer.info.run, lab.all_rows[4])
    publisher = lab.publish(mosquitto.url)
    live.wait(lambda: "online" in live.states() and live.of("last"))
    lab.state = ChannelState.PAUSED
    publisher.channel_changed(lab.channels()[0])
    live.wait(lambda: any(state["state"] == "paused" for state in live.of("state")))
    publisher.stop(5.0)
    live.wait(lambda: live.states()[-1] == "offline")
    assert live.states() == ["online", "stopping", "offline"]
    late = subscribe(mosquitto.port)
    leaves = ("lab-3/status", "meta", "smu1/status", "state", "last")
    late.wait(lambda: all(late.of(leaf) for leaf in leaves))
    assert all(message.retain for message in late.messages)
    assert late.of("state")[0]["state"] == "paused"
    (last,) = late.of("last")
    assert (last["run"], last["seq"], last["voltage_volt"]) == (writer.info.run, 5, lab.all_rows[4].voltage_V)


def test_without_a_broker_rows_wait_and_are_all_sent_once_there_is_one(
    lab: Any, mosquitto: Any, subscribe: Any, until: Any
) -> None:
    mosquitto.kill()
    publisher = lab.publish(mosquitto.url)
    writer = lab.begin()
    run = writer.info.run
    for first, last in ((1, 50), (51, 300)):
        lab.record(writer, first, last)
        until(lambda last=last: publisher.status().rows_waiting == {run: last})
    until(lambda: "refused" in publisher.status().message)
    assert not publisher.status().connected
    mosquitto.start()
    received = subscribe(mosquitto.port)
    until(lambda: publisher.status().rows_waiting == {})
    missed_at_most = received.rows(run)
    assert missed_at_most.items() <= lab.expected(run).items()
    assert publisher.status().connected


def test_rows_of_an_earlier_session_are_sent_by_the_next(lab: Any, mosquitto: Any, subscribe: Any, until: Any) -> None:
    received = subscribe(mosquitto.port)
    writer = lab.begin()
    lab.record(writer, 1, 70)
    first = lab.publish(mosquitto.url)
    received.wait(lambda: len(received.rows(writer.info.run)) == 70)
    first.stop(5.0)
    lab.publishers.clear()
    lab.record(writer, 71, 140)
    lab.publish(mosquitto.url)
    received.wait(lambda: len(received.rows(writer.info.run)) == 140)
    assert received.rows(writer.info.run) == lab.expected(writer.info.run)
    assert sum(len(batch["rows"]) for batch in received.of("samples")) == 140


def test_a_killed_broker_costs_duplicates_at_most(
    lab: Any, mosquitto: Any, subscribe: Any, wire: Any, until: Any
) -> None:
    """Mosquitto keeps nothing over a kill, so its subscriber first gets what was acknowledged; the rest is on the way."""
    received = subscribe(mosquitto.port)
    lab.publish(wire.url)
    writer = lab.begin()
    run = writer.info.run
    lab.record(writer, 1, 700)
    received.wait(lambda: len(received.rows(run)) == 700)
    wire.swallow_after, wire.cut_after = 0, 10**9
    lab.record(writer, 701, 1400)
    until(lambda: wire.swallowed)
    wire.down = True
    received.ready.clear()
    mosquitto.kill()
    mosquitto.start()
    assert received.ready.wait(15)
    wire.swallow_after, wire.down = None, False
    lab.record(writer, 1401, 2000)
    received.wait(lambda: len(received.rows(run)) == 2000)
    assert received.rows(run) == lab.expected(run)


class Hasty(Outbox):
    """Deliberately broken: the cursor moves when a message is handed over, before it is acknowledged."""

    def next(self, utc_s: float) -> Outgoing | None:
        outgoing = super().next(utc_s)
        if outgoing is not None:
            self.acknowledged(outgoing)
        return outgoing


@pytest.fixture(params=[Outbox, Hasty])
def outbox_kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[Outbox]:
    kind: type[Outbox] = request.param
    monkeypatch.setattr(publisher_module, "Outbox", kind)
    return kind


def test_what_a_dying_connection_swallowed_is_sent_again_unless_the_cursor_was_hasty(
    lab: Any, wire: Any, subscribe: Any, until: Any, outbox_kind: type[Outbox]
) -> None:
    received = subscribe(wire.target)
    wire.swallow_after = 60_000
    publisher = lab.publish(wire.url)
    writer = lab.begin()
    run = writer.info.run
    lab.record(writer, 1, 1000)
    until(lambda: wire.swallowed > 30_000)
    wire.swallow_after = None
    until(lambda: publisher.status().rows_waiting == {} and publisher.status().connected)
    lab.record(writer, 1001, 1001)
    received.wait(lambda: 1001 in received.rows(run))
    gap = lab.expected(run).keys() - received.rows(run).keys()
    assert bool(gap) == (outbox_kind is Hasty)


CHILD = """
import sys
from pathlib import Path
from cycler_ctl.config import MqttSettings
from cycler_ctl.publish.publisher import Publisher

class View:
    def channels(self): return ()
    def instruments(self): return ()
    def latest(self, channel): return None

Publisher(MqttSettings(url=(sys.argv[1],)), site="kasuga", station="lab-3", data_dir=Path(sys.argv[2]), view=View(),
          default_url=None, meta={}).start()
sys.stdin.read()
"""


def test_the_will_says_offline_when_the_publishing_process_is_killed(
    mosquitto: Any, subscribe: Any, tmp_path: Path
) -> None:
    received = subscribe(mosquitto.port)
    command = [sys.executable, "-c", CHILD, mosquitto.url, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        received.wait(lambda: received.states() == ["online"])
        os.kill(child.pid, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
        received.wait(lambda: received.states() == ["online", "offline"])
    assert received.messages[-1].payload["reason"] == "connection lost"
    late = subscribe(mosquitto.port)
    late.wait(late.states)
    assert late.states() == ["offline"]


def test_a_publisher_killed_half_way_costs_duplicates_at_most(lab: Any, mosquitto: Any, subscribe: Any) -> None:
    received = subscribe(mosquitto.port)
    writer = lab.begin()
    run = writer.info.run
    lab.record(writer, 1, 3000)
    command = [sys.executable, "-c", CHILD, mosquitto.url, str(lab.data_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
        received.wait(lambda: received.rows(run))
        child.kill()
    assert len(received.rows(run)) < 3000  # else it was not half way
    lab.publish(mosquitto.url)
    received.wait(lambda: len(received.rows(run)) == 3000)
    assert received.rows(run) == lab.expected(run)


def passwords(folder: Path) -> str:
    program = shutil.which("mosquitto_passwd")
    if program is None:
        pytest.skip("mosquitto_passwd is not installed")
    subprocess.run([program, "-c", "-b", str(folder / "users"), "lab-3", "right"], check=True, capture_output=True)
    return f"password_file {folder / 'users'}"


def test_a_wrong_password_is_said_clearly_and_not_tried_again_fast(
    lab: Any, mosquitto_with: Any, wire_to: Any, until: Any, tmp_path: Path
) -> None:
    broker = mosquitto_with(passwords(tmp_path))
    wire = wire_to(broker.port)
    (tmp_path / "secret").write_text("wrong")
    (tmp_path / "secret").chmod(0o600)
    slow = Timing(first_s=0.001, most_s=60.0)
    publisher = lab.publish(wire.url, timing=slow, username="lab-3", password_file=tmp_path / "secret")
    until(lambda: "check username and password_file" in publisher.status().message)
    assert not publisher.status().connected
    assert wire.accepted == 1


def test_the_right_password_over_tls_and_the_second_of_two_brokers(
    lab: Any, mosquitto_with: Any, until: Any, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    broker = mosquitto_with(f"{passwords(tmp_path)}\ncertfile {certificate}\nkeyfile {key}")
    (tmp_path / "secret").write_text("right\n")
    (tmp_path / "secret").chmod(0o600)
    secure = broker.url.replace("mqtt:", "mqtts:")
    login = {"username": "lab-3", "password_file": tmp_path / "secret"}
    writer = lab.begin()
    lab.record(writer, 1, 10)
    publisher = lab.publish(["mqtt://127.0.0.1:1", secure], ca_file=certificate, **login)
    until(lambda: publisher.status().connected and publisher.status().rows_waiting == {})
    assert publisher.status().url == secure
    publisher.stop(5.0)
    lab.publishers.clear()
    stranger = lab.publish(secure, **login)
    until(lambda: "certificate" in stranger.status().message)


def test_stop_returns_at_once_where_there_is_nothing_to_wait_for(lab: Any, until: Any) -> None:
    publisher = lab.publish("mqtt://127.0.0.1:1")
    until(lambda: publisher.status().message)
    publisher.stop(30.0)
    assert not publisher.status().connected
    publisher.durable("after-the-end")
    publisher.stop(1.0)


def test_stop_does_not_wait_for_a_broker_that_never_answers(lab: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        publisher = lab.publish(f"mqtt://127.0.0.1:{silent.getsockname()[1]}", timing=Timing(connack_s=60.0))
        link, _ = silent.accept()
        publisher.stop(0.0)
        link.close()
    assert not publisher._thread.is_alive()


@pytest.mark.parametrize("payload", ['{"v":1}', '{"v":1,"run":"r","epoch":1,"first_seq":0,"columns":[],"rows":[[1]]}'])
def test_traffic_of_another_shape_than_the_published_one_is_noticed(received: Any, payload: str) -> None:
    received.add("cycler/v1/kasuga/lab-3/channel/a1/samples", payload, retain=False)
    with pytest.raises(AssertionError):
        received.wait(lambda: True)
