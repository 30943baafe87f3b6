"""The five experiments of Fig. S3 from protocol file to figure, in virtual time, watched by a stranger's MQTT client."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion

from cycler_ctl.broker import Broker
from cycler_ctl.channels import sensing
from cycler_ctl.demo import DemoOptions, cycle_five
from cycler_ctl.records.bdf import Columns, bdf_columns, bdf_values
from cycler_ctl.store.reader import open_run
from cycler_ctl.terminal.results import Result
from protocols.record import Row

pytestmark = pytest.mark.timeout(400)  # the first test waits for 526 hours of run time

# The demo samples every 5 s of run time, and its oven every 14 s; more seldom is the same code in much less time.
QUICK = DemoOptions(once=True, speed=None, seed=1, data_dir=Path(), port=0, web=False, sample_every_s=240.0)
OVEN_EVERY_S = 28.0  # a temperature of more than 30 s ago is none


@pytest.fixture(scope="module", autouse=True)
def seldom_looked_at_oven() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sensing, "EVERY_S", OVEN_EVERY_S)
        yield


class Subscriber:
    """Anyone who does not know us: collects the sample rows it is sent."""

    def __init__(self, url: str) -> None:
        self.rows: dict[tuple[str, int], dict[int, list[object]]] = {}
        self.columns: set[tuple[str, ...]] = set()
        self.clashes: list[str] = []
        self._ready = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_message = self._on_message
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", int(url.rpartition(":")[2]))
        self._client.subscribe("cycler/#", qos=1)
        self._client.loop_start()
        assert self._ready.wait(10)

    def _on_message(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        if not message.topic.endswith("/samples"):
            return
        batch = json.loads(message.payload)
        self.columns.add(tuple(batch["columns"]))
        known = self.rows.setdefault((batch["run"], batch["epoch"]), {})
        for seq, row in enumerate(batch["rows"], batch["first_seq"]):
            if known.setdefault(seq, row) != row:
                self.clashes.append(f"{batch['run']} {seq}")

    def wait_for(self, kept: dict[str, int]) -> None:
        """What the broker has taken it still has to hand on; give up after half a minute."""
        pause = threading.Event()
        for _ in range(300):
            if {run: len(rows) for (run, _), rows in self.rows.items()} == kept:
                return
            pause.wait(0.1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@dataclass
class Demo:
    """What one demo left behind; rows by cell."""

    data: Path
    results: dict[str, Result]
    rows: dict[str, list[Row]] = field(default_factory=dict)


def run_demo(options: DemoOptions, folder: Path, url: str | None = None) -> Demo:
    found = asyncio.run(cycle_five(replace(options, data_dir=folder), url))
    demo = Demo(folder, {result.cell: result for result in found})
    for run in (folder / "runs").iterdir():
        with open_run(run) as reader:
            channel = reader.info.channel
        demo.rows[channel] = open_rows(run)
    return demo


def open_rows(run: Path) -> list[Row]:
    with open_run(run) as reader:
        return reader.rows()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Demo, Subscriber]:
    folder = tmp_path_factory.mktemp("demo")
    with Broker(folder, port=0) as broker:
        subscriber = Subscriber(broker.url)
        try:
            demo = run_demo(QUICK, folder, broker.url)
            kept = {run.name: len(open_rows(run)) for run in (folder / "runs").iterdir()}
            subscriber.wait_for(kept)
        finally:
            subscriber.close()
    return demo, subscriber


@pytest.fixture(scope="module")
def demo(watched: tuple[Demo, Subscriber]) -> Demo:
    return watched[0]


def test_all_five_complete_three_cycles_and_end_at_their_cut_offs(demo: Demo) -> None:
    assert sorted(demo.results) == ["a", "b", "c", "d", "e"]
    for result in demo.results.values():
        assert (result.outcome, result.cycles) == ("finished", 3), result
        assert result.ends == ("voltage <= 0.2 V", "voltage >= 1.2 V")


def test_the_order_of_the_cells_emerges(demo: Demo) -> None:
    first = {cell: result.first for cell, result in demo.results.items()}
    assert all(found is not None and found.per_gram for found in first.values())
    lithiated = {cell: found.lithiation_mAh for cell, found in first.items() if found is not None}
    assert lithiated["a"] > lithiated["b"] > lithiated["c"]
    assert lithiated["d"] > lithiated["c"]


def test_five_exports_and_one_figure_are_left_behind(demo: Demo) -> None:
    exports = sorted((demo.data / "exports").glob("*.bdf.csv"))
    assert len(exports) == 5
    labels = ",".join(column.label for column in bdf_columns(Columns.PLAIN))
    lengths = sorted(len(rows) for rows in demo.rows.values())
    texts = [path.read_text(encoding="utf-8").splitlines() for path in exports]
    assert all(lines[0].replace('"', "") == labels for lines in texts)
    assert sorted(len(lines) - 1 for lines in texts) == lengths
    assert (demo.data / "figures" / "fig_s3.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (demo.data / "figures" / "fig_s3.svg").read_text(encoding="utf-8")


def test_a_stranger_on_mqtt_has_every_durable_row_exactly(watched: tuple[Demo, Subscriber]) -> None:
    demo, subscriber = watched
    assert subscriber.columns == {tuple(column.machine_name for column in bdf_columns())}
    assert subscriber.clashes == []
    seen = {run: rows for (run, _), rows in subscriber.rows.items()}
    for folder in (demo.data / "runs").iterdir():
        with open_run(folder) as reader:
            kept = {row.seq: list(bdf_values(row, reader.info.discharge_means)) for row in reader.rows()}
        assert seen[folder.name] == kept


def test_one_seed_gives_the_same_rows_and_another_seed_others(demo: Demo, tmp_path: Path) -> None:
    """Also without a broker, and without the other cells; d takes twenty times as long as any of these."""
    again = run_demo(replace(QUICK, cells=("a", "b", "c", "e")), tmp_path / "again")
    other = run_demo(replace(QUICK, cells=("a", "e"), seed=2), tmp_path / "other")
    assert again.rows == {cell: rows for cell, rows in demo.rows.items() if cell != "d"}
    assert all(rows != demo.rows[cell] for cell, rows in other.rows.items())


def test_a_demo_that_was_killed_does_not_stand_in_the_way_of_the_next(tmp_path: Path) -> None:
    one = replace(QUICK, cells=("e",))
    with pytest.raises(TimeoutError):
        asyncio.run(asyncio.wait_for(cycle_five(replace(one, speed=1.0, data_dir=tmp_path), None), 3.0))
    (first,) = (tmp_path / "runs").iterdir()
    with sqlite3.connect(first / "run.sqlite") as file:  # as a kill would have left it
        file.execute("UPDATE run SET state = 'running', outcome = NULL, ended_utc_s = NULL")
    file.close()
    assert run_demo(one, tmp_path).results["e"].outcome == "finished"
