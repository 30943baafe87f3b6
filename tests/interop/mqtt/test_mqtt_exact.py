"""Whatever dies or flaps, whenever: a subscriber's table is the run file, row for row."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from historian import Historian

from cycler_ctl.broker import Broker
from cycler_ctl.clock import SystemClock
from cycler_ctl.publish import publisher as publisher_module
from cycler_ctl.publish.backoff import Timing
from cycler_ctl.publish.cursors import Cursors, FinalManifest, LaneKey
from cycler_ctl.publish.outbox import Outbox, Outgoing
from cycler_ctl.publish.publisher import Publisher
from cycler_ctl.store.writer import RunWriter, reopen_run

TIMING = Timing(
    first_s=0.02,
    most_s=0.05,
    stable_s=5.0,
    puback_s=2.0,
    connack_s=0.5,
    latest_s=0.2,
    commit_s=0.02,
    gather_s=0.02,
    pace_s=0.0,
)
WITHIN_S = 30.0
IN_SUITE, IN_CAMPAIGN = 25, 250
DEATHS = 12
"""Of so many trials one has a broker that is killed, and one a station whose process is."""
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
sys.stdout.write("\\n")
sys.stdout.flush()
sys.stdin.read()
"""


class Mortal(Cursors):
    """Of a process that can be killed: from then on nothing of it reaches the disk."""

    dead = False

    def commit(self) -> None:
        if not self.dead:
            super().commit()

    def bury(self, lane: LaneKey, number: int, reason: str) -> None:
        if not self.dead:
            super().bury(lane, number, reason)

    def keep_manifest(self, run: str, manifest: FinalManifest) -> None:
        if not self.dead:
            super().keep_manifest(run, manifest)

    def mark_complete(self, run: str) -> None:
        if not self.dead:
            super().mark_complete(run)


class Bench:
    """A station that dies and comes back, its wire, its broker, and the runs it records."""

    def __init__(self, lab: Any, wire_to: Callable[[int], Any], port: int, restart: Callable[[], None]) -> None:
        self.lab = lab
        self._wire_to = wire_to
        self._port = port
        self._restart = restart
        self.cursors: list[Mortal] = []
        self.wire: Any = None
        self.lives = 0

    def live(self) -> None:
        self.lives += 1
        self.wire = self._wire_to(self._port)
        self.lab.publish(self.wire.url, timing=TIMING)

    def die(self) -> None:
        """As by kill -9: the connection is cut, and nothing is written any more."""
        for cursors in self.cursors:
            cursors.dead = True
        self.wire.close()
        dead: Publisher = self.lab.publishers.pop()
        dead._mailbox.stop(0.0)

    def suffer(self, fate: str, chance: Random) -> None:
        match fate:
            case "link cut":
                self.wire.cut()
            case "link down":
                self.wire.down = True
                self.wire.cut()
            case "swallowed":
                self.wire.swallow_after, self.wire.cut_after = chance.randrange(40_000), 0
            case "answers lost":
                self.wire.deaf = True
            case "station killed":
                self.die()
                self.live()
            case "station's process killed":
                self.process_killed(chance)
            case _:
                self._restart()

    def process_killed(self, chance: Random) -> None:
        self.die()
        command = [sys.executable, "-c", CHILD, self._url(), str(self.lab.data_dir)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            threading.Event().wait(chance.random() * 0.1)
            os.kill(child.pid, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
        self.live()

    def _url(self) -> str:
        return f"mqtt://127.0.0.1:{self._port}"

    def heal(self) -> None:
        self.wire.down, self.wire.deaf, self.wire.swallow_after = False, False, None


FATES = ("link cut", "link down", "swallowed", "answers lost", "station killed")


def fates(number: int, chance: Random) -> list[str]:
    """What happens in a trial, one after the other."""
    found = chance.choices(FATES, k=chance.randint(2, 4))
    if number % DEATHS == 1:
        found.append("broker killed")
    if number % DEATHS == 7:
        found.append("station's process killed")
    chance.shuffle(found)
    return found


def trial(bench: Bench, number: int) -> RunWriter:
    """One run, recorded while all this happens; half of them go on in another epoch."""
    chance = Random(number)
    lab = bench.lab
    writer: RunWriter = lab.begin(f"{number:04d}")
    rows = 0
    for fate in fates(number, chance):
        bench.suffer(fate, chance)
        more = chance.randint(20, 150)
        lab.record(writer, rows + 1, rows + more)
        rows += more
        threading.Event().wait(chance.random() * 0.02)
        if chance.random() < 0.5:
            bench.heal()
        if chance.random() < 0.25:
            writer = goes_on(lab, writer, chance)
    lab.end(writer)
    bench.heal()
    return writer


def goes_on(lab: Any, writer: RunWriter, chance: Random) -> RunWriter:
    writer.close(WITHIN_S)
    folder = lab.data_dir / "runs" / writer.info.run
    writer = reopen_run(folder, on_durable=lab.durable, utc=SystemClock().utc, epoch=chance.getrandbits(48))
    lab.writers.append(writer)
    return writer


def kill_and_start(broker: Any) -> None:
    broker.kill()
    broker.start()


def kill_bundled(broker: Broker, until: Any) -> None:
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
    until(lambda: not broker.alive())
    broker.start()


@pytest.fixture(params=["mosquitto", "bundled"])
def bench(
    request: pytest.FixtureRequest, lab: Any, wire_to: Any, until: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Bench, int]]:
    broker: Any = request.getfixturevalue(request.param)
    is_bundled = isinstance(broker, Broker)
    port = int(broker.url.rpartition(":")[2])
    restart = partial(kill_bundled, broker, until) if is_bundled else partial(kill_and_start, broker)
    made = Bench(lab, wire_to, port, restart)

    def mortal(path: Path) -> Mortal:
        made.cursors.append(Mortal(path))
        return made.cursors[-1]

    monkeypatch.setattr(publisher_module, "Cursors", mortal)
    before = set(threading.enumerate())
    yield made, port
    lab.close()
    for thread in set(threading.enumerate()) - before:
        if thread.name == "mqtt":
            thread.join(WITHIN_S)


@pytest.mark.timeout(1800)
def test_a_historian_s_table_is_the_run_file_row_for_row_whatever_dies_and_whenever(
    bench: tuple[Bench, int], pytestconfig: pytest.Config
) -> None:
    station, port = bench
    trials = IN_CAMPAIGN if pytestconfig.getoption("--campaign") else IN_SUITE
    with closing(Historian(port, "historian")) as historian:
        station.live()
        for number in range(trials):
            writer = trial(station, number)
            run, epoch = writer.info.run, writer.info.epoch
            assert historian.complete(run, epoch, WITHIN_S), (number, historian.manifests.get(run))
            assert historian.rows(run) == station.lab.expected(run), number
            writer.close(WITHIN_S)
            station.lab.writers.clear()
            historian.table = {key: row for key, row in historian.table.items() if key[0] == run}
        assert historian.conflicts == []
        assert station.lab.publishers[-1].status().dead_letters == ()
        assert historian.duplicates > 0  # else nothing was ever lost on the way back
        told = (
            f"{trials} trials, {station.lives} lives, {historian.duplicates} rows twice, {historian.asked} questions\n"
        )
        sys.stdout.write(told)


class Hasty(Outbox):
    """Deliberately broken: the cursor moves when a message is handed over, before it is acknowledged."""

    def next(self, utc_s: float) -> Outgoing | None:
        outgoing = super().next(utc_s)
        if outgoing is not None and not outgoing.again:
            self.acknowledged(outgoing)
        return outgoing


@pytest.mark.parametrize("bench", ["mosquitto"], indirect=True)
def test_the_same_trials_find_a_cursor_that_moves_too_early(
    bench: tuple[Bench, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: a historian that does not ask would have to be right all the same."""
    station, port = bench
    monkeypatch.setattr(publisher_module, "Outbox", Hasty)
    with closing(Historian(port, "historian", asks=False)) as historian:
        station.live()
        assert any(not historian.complete(trial(station, number).info.run, 0, 0.5) for number in range(30))
