"""A hold in the whole service, in processes: started with the files it includes, killed, stopped, read back."""

from __future__ import annotations

import getpass
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Lab, end, make_lab, open_bench, until

from cycler_ctl.store.reader import open_run
from protocols.record import EventKind, Mode

LEASE_S = 3.0
HELD_V, HELD_A = 3.701, 1e-3  # of a cell with 3.7 V behind 1 Ohm
PROTOCOL = """protocol: 1
name: Hold
include: [cell.yaml, safety.yaml]
record: every 0.2 s
steps:
  - hold: {at: 3.701 V, current_limit: 2 mA, for: 1 h, until: current <= 0.1 mA}
"""
CELL = "cell: {name: GN-7, nominal_capacity: 3 mAh, discharge_means: lithiate}\n"
SAFETY = "safety: {voltage: 2.6 V to 4.35 V, current: 4 mA}\n"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with open_bench(tmp_path, cell="battery") as bench:
        made = make_lab(tmp_path, bench)
        for name, text in {"hold": PROTOCOL, "cell": CELL, "safety": SAFETY}.items():
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        yield made
        abuse = bench.truth()["abuse"]
        end(made)
        assert abuse == []


def start(lab: Lab, *words: str) -> str:
    answer = lab.command("start", "hold.yaml", "--channel", "a1", *words)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


async def held(lab: Lab) -> None:
    await until(lambda: abs(lab.bench.truth()["current_A"] - HELD_A) < 0.05 * HELD_A)


async def test_a_killed_station_leaves_a_held_cell_off_within_its_lease(lab: Lab) -> None:
    guardian = await lab.serve()
    start(lab)
    await held(lab)
    os.kill(lab.station_pid(guardian), signal.SIGKILL)
    took_s = await until(lambda: lab.bench.truth()["output_on"] is False)
    assert took_s <= LEASE_S + 1.0
    await until(lab.answers)
    assert lab.channel()["state"] == "interrupted"


async def test_a_start_takes_its_included_files_along_and_says_who_asked(lab: Lab) -> None:
    await lab.serve()
    start(lab)
    (lab.folder / "cell.yaml").unlink()  # nobody needs it any more
    await held(lab)
    said = lab.channel()
    assert (said["setpoint_V"], said["current_limit_A"], said["setpoint_A"]) == (3.701, 2e-3, None)
    assert said["doing"] == "hold 3.701 V, ≤ 2 mA"
    shown = lab.command("status").stdout
    assert "hold 3.701 V, ≤ 2 mA" in shown
    assert lab.command("stop", "a1").returncode == 0
    with open_run(lab.run_dir()) as reader:
        rows, info, first = list(reader.rows()), reader.info, next(iter(reader.events()))
    assert {row.mode for row in rows} == {Mode.VOLTAGE}
    assert rows[-1].voltage_V == pytest.approx(HELD_V, abs=0.002)
    documents = info.settings["documents"]
    assert isinstance(documents, list)
    assert [one["name"] for one in documents if isinstance(one, dict)] == ["cell.yaml", "safety.yaml"]
    who = f"{getpass.getuser()} (http 127.0.0.1)"
    assert info.settings["started_by"] == who
    assert (first.kind, first.data) == (EventKind.OPERATOR, {"action": "start", "by": who})


async def test_a_run_in_the_foreground_says_who_asked_too(lab: Lab) -> None:
    (lab.folder / "hold.yaml").write_text(PROTOCOL.replace("for: 1 h", "for: 1 s"), encoding="utf-8")
    process = lab.launch("run", "hold.yaml", "--channel", "a1", "--json")
    await until(lambda: process.poll() is not None)
    assert process.returncode == 0, lab.log()
    assert json.loads(lab.log().splitlines()[-1])["outcome"] == "finished"
    with open_run(lab.run_dir()) as reader:
        assert reader.info.settings["started_by"] == getpass.getuser()
        assert "safety.yaml" in str(reader.info.settings["documents"])
