"""A small laboratory for MQTT: a station with run files, brokers that can be killed, subscribers, a faulty wire."""

import contextlib
import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import TypeAdapter, ValidationError

from cycler_ctl.alarms.model import Alarm
from cycler_ctl.broker import Broker, free_port
from cycler_ctl.clock import SystemClock
from cycler_ctl.config import MqttSettings
from cycler_ctl.live import ChannelState, ChannelStatus, InstrumentStatus
from cycler_ctl.publish import models
from cycler_ctl.publish.asyncapi import latest_schema
from cycler_ctl.publish.backoff import Timing
from cycler_ctl.publish.publisher import Publisher
from cycler_ctl.records.bdf import bdf_columns, bdf_values
from cycler_ctl.store.info import RunInfo, new_run_id
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.writer import RunWriter, create_run
from cycler_ctl.testing.rows import START_UTC_S, Shape, cycling_rows
from protocols.model import Verb
from protocols.record import CycleSummary, EventKind, EventRecord, Outcome, Row

FAST = Timing(
    first_s=0.05,
    most_s=0.2,
    stable_s=5.0,
    puback_s=2.0,
    connack_s=1.0,
    latest_s=0.05,
    commit_s=0.05,
    gather_s=0.05,
    pace_s=0.0,
)
WAIT_S = 15.0


@dataclass(frozen=True, slots=True)
class Message:
    topic: str
    payload: Any
    retain: bool


SHAPES: tuple[tuple[str, TypeAdapter[Any]], ...] = (
    ("/lab-3/status", TypeAdapter(models.StationOnline | models.StationOffline)),
    ("/meta", TypeAdapter(models.Meta)),
    ("/smu1/status", TypeAdapter(models.InstrumentMessage)),
    ("/state", TypeAdapter(models.ChannelMessage)),
    ("/samples", TypeAdapter(models.Samples)),
    ("/event", TypeAdapter(models.StepEnded | models.Event)),
    ("/summary", TypeAdapter(models.Summary)),
    ("/manifest", TypeAdapter(models.Manifest)),
    ("/alarm/channel-a1", TypeAdapter(models.AlarmMessage)),
    ("/need", TypeAdapter(models.Need)),
    ("/sink/historian", TypeAdapter(models.SinkReport)),
)


def fits(message: Message) -> bool:
    if message.topic.endswith("/last"):
        return set(message.payload) == set(latest_schema()["required"])
    (shape,) = [shape for ending, shape in SHAPES if message.topic.endswith(ending)]
    try:
        shape.validate_json(json.dumps(message.payload, allow_nan=False), strict=True)
    except ValidationError:
        return False
    return True


class Received:
    """Everything a subscriber got, in order; ``wait`` until a condition on it holds."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.misfits: list[Message] = []
        self._changed = threading.Condition()

    def add(self, topic: str, payload: bytes | bytearray | str, *, retain: bool) -> None:
        """Whatever arrives anywhere in these tests has the published shape; what has not is kept for ``wait``."""
        message = Message(topic, json.loads(payload) if payload else None, retain)
        with self._changed:
            self.misfits += [] if message.payload is None or fits(message) else [message]
            self.messages.append(message)
            self._changed.notify_all()

    def wait(self, holds: Callable[[], object]) -> None:
        with self._changed:
            assert self._changed.wait_for(holds, WAIT_S), [message.topic for message in self.messages][-20:]
            assert self.misfits == []

    def of(self, leaf: str) -> list[Any]:
        return [message.payload for message in self.messages if message.topic.endswith("/" + leaf)]

    def final(self) -> list[Any]:
        """Manifests of runs that are over; of one that goes on there may be any number before, one a day."""
        return [manifest for manifest in self.of("manifest") if manifest["final"]]

    def states(self) -> list[str]:
        return [message.payload["state"] for message in self.messages if message.topic.endswith("/lab-3/status")]

    def rows(self, run: str) -> dict[int, list[Any]]:
        """By seq; two deliveries of one row must agree."""
        found: dict[int, list[Any]] = {}
        for batch in self.of("samples"):
            if batch["run"] == run:
                for seq, values in enumerate(batch["rows"], batch["first_seq"]):
                    assert found.setdefault(seq, values) == values
        return found


class Lab:
    """A station of one channel, as the publisher sees it, whose runs are real run files."""

    def __init__(self, folder: Path) -> None:
        self.data_dir = folder
        self.publishers: list[Publisher] = []
        self.writers: list[RunWriter] = []
        self.newest: tuple[str, Row] | None = None
        self.active: tuple[Alarm, ...] = ()
        self.utc_s: float | None = None
        self.state = ChannelState.RUNNING
        self.all_rows = list(cycling_rows(Shape(points=1000)))

    def alarms(self) -> tuple[Alarm, ...]:
        return self.active

    def channels(self) -> tuple[ChannelStatus, ...]:
        return (ChannelStatus("a1", "smu1", self.state, "", START_UTC_S, energised=True),)

    def instruments(self) -> tuple[InstrumentStatus, ...]:
        return (InstrumentStatus("smu1", "keithley-2400", "x", "connected", {"serial": "7"}, "B", "", START_UTC_S),)

    def latest(self, channel: str) -> tuple[str, Row] | None:
        return self.newest

    def utc(self) -> float:
        """The real one, unless a test says what day it is."""
        return SystemClock().utc() if self.utc_s is None else self.utc_s

    def begin(self, tail: str = "0000") -> RunWriter:
        run = new_run_id("a1", START_UTC_S, tail)
        sha = "0" * 64
        info = RunInfo(
            run, 1234, "a1", "lab-3", "kasuga", START_UTC_S, "p", "text", sha, {}, {}, {}, {}, {}, Verb.DELITHIATE, 1.0
        )
        self.writers.append(create_run(self.data_dir, info, on_durable=self.durable))
        return self.writers[-1]

    def durable(self, run: str) -> None:
        for publisher in self.publishers:
            publisher.durable(run)

    def record(self, writer: RunWriter, first: int, last: int) -> None:
        """Rows ``first`` to ``last``, durable when this returns."""
        writer.append(rows=list(islice(self.all_rows, first - 1, last)))
        assert writer.flush(WAIT_S)

    def end(self, writer: RunWriter) -> None:
        event = EventRecord(1.0, START_UTC_S, EventKind.RUN_ENDED, {"outcome": "finished"})
        writer.append(events=[event], cycles=[CycleSummary(1, 2e-3, 1.6e-3, 7e-4, 1.4e-3, 0.0, 9.0)])
        writer.finish(Outcome.FINISHED, "all done")
        assert writer.flush(WAIT_S)

    def publish(self, url: str | Sequence[str], *, timing: Timing = FAST, **settings: Any) -> Publisher:
        urls = (url,) if isinstance(url, str) else tuple(url)
        publisher = Publisher(
            MqttSettings(url=urls, **settings),
            site="kasuga",
            station="lab-3",
            data_dir=self.data_dir,
            view=self,
            default_url=None,
            meta={"version": "0"},
            timing=timing,
            alarms=self.alarms,
            utc=self.utc,
        )
        self.publishers.append(publisher)
        publisher.start()
        return publisher

    def expected(self, run: str) -> dict[int, list[Any]]:
        """Each row of the run file as an export has it, after a trip through JSON."""
        with open_run(self.data_dir / "runs" / run) as reader:
            means = reader.info.discharge_means
            return {row.seq: json.loads(json.dumps(bdf_values(row, means))) for row in reader.rows()}

    columns: ClassVar = [column.machine_name for column in bdf_columns()]

    def close(self) -> None:
        for publisher in self.publishers:
            publisher.stop(0.0)
        for writer in self.writers:
            writer.close()


class Mosquitto:
    """Debian's broker. It forwards a message before it acknowledges it while ``max_inflight_messages`` is unlimited."""

    def __init__(self, folder: Path, *, extra: str = "") -> None:
        self.port = free_port(0)
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._folder = folder
        self._config = folder / "mosquitto.conf"
        anonymous = "" if "password_file" in extra else "allow_anonymous true"
        listener = f"listener {self.port} 127.0.0.1"
        text = f"{listener}\n{anonymous}\nuser root\nmax_inflight_messages 0\nset_tcp_nodelay true\n{extra}\n"
        self._config.write_text(text)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        assert program is not None
        with (self._folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([program, "-c", str(self._config)], stdout=log, stderr=log)
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 0.5):
                return
            threading.Event().wait(0.02)
        raise AssertionError((self._folder / "mosquitto.log").read_text())

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class PahoSubscriber(Received):
    """An independent client with a session that survives; it comes back by itself."""

    def __init__(self, port: int, name: str) -> None:
        super().__init__()
        self.ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("cycler/#", qos=1)
        self._client.on_subscribe = lambda *_: self.ready.set()
        self._client.on_message = lambda _c, _u, got: self.add(got.topic, got.payload, retain=got.retain)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self.ready.wait(WAIT_S)

    def say(self, topic: str, payload: dict[str, Any] | str, *, retain: bool = False) -> None:
        text = payload if isinstance(payload, str) else json.dumps(payload)
        self._client.publish(topic, text, qos=1, retain=retain).wait_for_publish(WAIT_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


class MosquittoSub(Received):
    """``mosquitto_sub -t 'cycler/#'``, as anyone may run it."""

    def __init__(self, port: int) -> None:
        super().__init__()
        command = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", "cycler/#", "-F", "%r %t %p"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            retain, topic, payload = line.rstrip("\n").split(" ", 2)  # an empty payload leaves its space
            self.add(topic, payload, retain=retain == "1")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Wire:
    """A TCP proxy: refuses while ``down``; swallows what a client sends beyond ``swallow_after`` bytes, then cuts.

    The cut comes after ``cut_after`` swallowed bytes. While ``deaf`` whatever the broker answers is lost with the link.
    A client that sends ``hangs_up_on`` is cut off at once.
    """

    def __init__(self, target: int) -> None:
        self.down = False
        self.swallow_after: int | None = None
        self.deaf = False
        self.hangs_up_on: bytes | None = None
        self.accepted = 0
        self.swallowed = 0
        self.cut_after = 30_000
        self.target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"mqtt://127.0.0.1:{self._server.getsockname()[1]}"
        self._links: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def cut(self) -> None:
        for link in list(self._links):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)

    def say(self, words: bytes) -> None:
        """To the client that came last, as if they were the broker's."""
        self._links[-2].sendall(words)

    def close(self) -> None:
        """Once is enough."""
        if self._server.fileno() < 0:
            return
        self.down = True
        self._server.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()  # a client that it was just letting in is cut off too
        self.cut()
        for thread in self._threads:
            thread.join()
        self._server.close()
        for link in self._links:
            link.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near = self._server.accept()[0]
                self.accepted += 1
                try:
                    if self.down:
                        raise ConnectionRefusedError
                    far = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    near.close()
                    continue
                self._links += [near, far]
                for ends in ((near, far, True), (far, near, False)):
                    self._threads.append(threading.Thread(target=self._pump, args=ends))
                    self._threads[-1].start()

    def _pump(self, source: socket.socket, sink: socket.socket, upward: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                passed += len(data)
                if upward and self.hangs_up_on is not None and self.hangs_up_on in data:
                    break
                if upward and self.swallow_after is not None and passed > self.swallow_after:
                    self.swallowed += len(data)
                    if self.swallowed > self.cut_after:
                        break
                    continue
                if self.deaf and not upward:
                    break
                sink.sendall(data)
        for link in (source, sink):
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def mosquitto_with(tmp_path: Path) -> Iterator[Callable[[str], Mosquitto]]:
    if shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin") is None:
        pytest.skip("mosquitto is not installed: apt install mosquitto mosquitto-clients")
    made: list[Mosquitto] = []

    def start(extra: str) -> Mosquitto:
        made.append(Mosquitto(tmp_path, extra=extra))
        made[-1].start()
        return made[-1]

    yield start
    for broker in made:
        broker.kill()


@pytest.fixture
def mosquitto(mosquitto_with: Callable[[str], Mosquitto]) -> Mosquitto:
    return mosquitto_with("")


@pytest.fixture
def bundled(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "data", port=0) as broker:
        yield broker


@pytest.fixture
def subscribe() -> Iterator[Callable[..., Received]]:
    """``subscribe(port)`` with paho, ``subscribe(port, "mosquitto_sub")`` as a process."""
    made: list[MosquittoSub | PahoSubscriber] = []

    def start(port: int, how: str = "paho") -> Received:
        subscriber = MosquittoSub(port) if how == "mosquitto_sub" else PahoSubscriber(port, f"historian-{len(made)}")
        made.append(subscriber)
        return subscriber

    yield start
    for subscriber in made:
        subscriber.close()


@pytest.fixture
def wire_to() -> Iterator[Callable[[int], Wire]]:
    made: list[Wire] = []

    def start(port: int) -> Wire:
        made.append(Wire(port))
        return made[-1]

    yield start
    for wire in made:
        wire.close()


@pytest.fixture
def wire(wire_to: Callable[[int], Wire], mosquitto: Mosquitto) -> Wire:
    return wire_to(mosquitto.port)


@pytest.fixture
def received() -> Received:
    """A subscriber to nothing."""
    return Received()


@pytest.fixture
def until() -> Callable[[Callable[[], object]], None]:
    """Poll a condition of another thread or process."""

    def wait(holds: Callable[[], object]) -> None:
        pause = threading.Event()
        for _ in range(round(WAIT_S / 0.01)):
            if holds():
                return
            pause.wait(0.01)
        raise AssertionError("the condition never held")

    return wait
