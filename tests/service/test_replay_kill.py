"""Replaying a run's events gives the checkpoint in its file and every row, whenever it was killed; and it goes on from there.

Run as a program, this file is the station that is killed: it writes each event down before the engine has it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from rig import LIMITS, open_rig, protocol, until

from cycler_ctl.config import ChannelSettings
from cycler_ctl.live import ChannelState
from cycler_ctl.running import cellcheck
from cycler_ctl.running.start import Order, checked_program, engine_settings
from cycler_ctl.store.reader import open_run
from cycler_ctl.testing.stepclock import StepClock
from protocols import engine, events
from protocols.events import Event, RecordRow
from protocols.model import Program
from protocols.reading.documents import Document
from protocols.record import EventKind, Row
from protocols.running.state import Phase, State

STEPS = (
    "  - repeat:\n      times: 300\n      steps:\n",
    "        - lithiate: {at: 0.5 mA/cm2, until: 0.05 V, for: 4 s}\n        - rest: 2 s\n",
    "        - hold: {at: 0.4 V, until: current <= 1 uA, for: 3 s}\n",
)
CHANNEL = ChannelSettings(instrument="smu1", sample_every_s=0.2, limits=LIMITS, temperature="unmonitored")
TEXT = protocol(*STEPS, safety="safety: {current: 5 mA}\n").replace("every 0.2 s", "every 1 s or 5 mV")


def fast_clock() -> StepClock:
    """Of a busy machine's stalls it makes no run time: twenty times as long, they would be lost contact."""
    return StepClock(speed=20.0)


def program() -> Program:
    _, found = checked_program(Order(Document("trial.yaml", TEXT)))
    return replace(found, settings=engine_settings(CHANNEL))


async def run_until_killed(folder: Path) -> None:
    told = os.open(folder / "events", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    decide = engine.decide

    def heard(chosen: Program, state: State, event: Event) -> engine.Decided:
        os.write(told, json.dumps([type(event).__name__, asdict(event)]).encode() + b"\n")
        return decide(chosen, state, event)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "decide", heard)
        clock = fast_clock()
        async with open_rig(folder / "data", patch, channel=CHANNEL, clock=clock) as rig:
            os.write(1, (await rig.start(TEXT)).encode() + b"\n")
            while True:
                await rig.station.pause("a1", "ann")
                await rig.station.resume("a1", "ann")
                with clock.member():
                    await clock.sleep_until(
                        clock.now() + 31.0
                    )  # an output goes on twice each time, and six times a minute


def killed(folder: Path, after_s: float) -> str:
    """The run that was killed so long after it began."""
    command = [sys.executable, __file__, str(folder)]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent / "support")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        run = child.stdout.readline().decode().strip()
        assert run
        threading.Event().wait(after_s)
        child.kill()
    return run


def told(folder: Path) -> list[Event]:
    found: list[Event] = []
    for line in (folder / "events").read_bytes().split(b"\n")[:-1]:
        name, values = json.loads(line)
        made: Any = getattr(events, name)(**values)
        found.append(made)
    return found


def replayed(
    happened: Sequence[Event], checkpoint: str, before: tuple[State, list[Row]] | None = None
) -> tuple[State, list[Row]] | None:
    """The state that is the checkpoint and the rows up to it; None if the events never lead there from ``before``."""
    chosen = program()
    state, earlier = before or (engine.begin(chosen), [])
    rows = list(earlier)
    for event in happened:
        state, actions = engine.advance(chosen, state, event)
        rows += [action.row for action in actions if isinstance(action, RecordRow)]
        if engine.to_json(state) == checkpoint:
            return state, rows
    return None


def test_replaying_the_events_of_a_killed_run_gives_its_checkpoint_and_its_rows(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    choose = random.Random(3)
    for trial in range(60 if request.config.getoption("--campaign") else 3):
        folder = tmp_path / str(trial)
        folder.mkdir()
        run = killed(folder, choose.uniform(0.2, 2.0))
        with open_run(folder / "data" / "runs" / run) as reader:
            rows, checkpoint = reader.rows(), reader.checkpoint()
        assert checkpoint is not None
        happened = told(folder)
        found = replayed(happened, checkpoint)
        assert found is not None, f"trial {trial}: no prefix of {len(happened)} events is the checkpoint"
        assert found[1] == rows, f"trial {trial}"
        assert replayed(happened[:1] + happened[2:], checkpoint) is None  # the control: without one event it is not


async def test_a_killed_run_goes_on_in_another_process_and_both_their_events_give_its_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await asyncio.to_thread(killed, tmp_path, 1.5)
    with open_run(tmp_path / "data" / "runs" / run) as reader:
        before = reader.rows()
        text = reader.checkpoint()
    assert text is not None
    found = replayed(told(tmp_path), text)
    assert found is not None
    step_count = found[0].course.step_count
    # The second bench has a fresh cell; whether a cell is believed to be the same is test_recovery's matter.
    monkeypatch.setattr(cellcheck, "AS_IT_WAS_V", 2.0)
    monkeypatch.setattr(cellcheck, "RELAXED_V", 2.0)
    heard, decide = list[Event](), engine.decide

    def hearing(chosen: Program, state: State, event: Event) -> engine.Decided:
        heard.append(event)
        return decide(chosen, state, event)

    monkeypatch.setattr(engine, "decide", hearing)
    async with open_rig(tmp_path / "data", monkeypatch, channel=CHANNEL, clock=fast_clock()) as rig:
        assert rig.status().state is ChannelState.INTERRUPTED
        await rig.station.resume("a1", "ann")
        await until(lambda: len(rig.rows(run)) > len(before) + 20)
        await rig.station.stop("a1", "ann")
        rows = rig.rows(run)
        assert rows[: len(before)] == before
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        assert rows[len(before) + 1].step_count in {step_count, step_count + 1}
        assert sum(event.kind is EventKind.GAP for event in rig.events(run)) >= 1
    with open_run(tmp_path / "data" / "runs" / run) as reader:
        last = reader.checkpoint()
    assert last is not None
    happened = tuple(heard)
    assert replayed(happened, last, found) == (engine.from_json(last), rows)
    needed = events.Resumed if found[0].phase is Phase.PAUSED else events.Interrupted  # of one that was paused nothing
    assert replayed([event for event in happened if not isinstance(event, needed)], last, found) is None


if __name__ == "__main__":
    asyncio.run(run_until_killed(Path(sys.argv[1])))
