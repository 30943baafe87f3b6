"""What is written of a seed, against what was measured: whose reading each row is, and that a broker has every row once.

(r) a row's voltage and current are what its instrument measured then, and that is what was so; (e) what was published is
durable; (f) a broker's rows are those of the run files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cycler_ctl.link.turns import STALL_S
from cycler_ctl.publish.payloads import encode
from cycler_ctl.publish.runs import StoredRuns
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.segment import segment_paths
from cycler_ctl.store.writer import RunWriter
from protocols.events import Sampled
from protocols.record import Row
from simulated.broker import Broker
from simulated.disk import Key
from simulated.judge import Judge
from simulated.seats import Seat

ANSWER_S = 1.05  # a link waits that long for an answer
JUST_NOW_S = 0.05
VOLT_ERROR_V, AMP_ERROR = (
    1e-3,
    3e-4,
)  # an offset, a converter's step and six sigma of noise; a gain and noise, of the range


def digits(voltage_V: float, current_A: float) -> tuple[str, str]:
    return f"{voltage_V:+.6E}", f"{current_A:+.6E}"


class Records:
    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        judge.measured = self.measured

    def measured(self, seat: Seat) -> None:
        """The instrument has just taken a sample."""
        smu = seat.smu
        if not smu.stored or smu.stored is seat.stored:
            return  # the question was not understood, or not permitted
        seat.stored = smu.stored
        sample = smu.stored[-1]
        seat.samples.setdefault(digits(sample.voltage_V, sample.current_A), []).append(smu.at_s)
        true = smu.terminals.operating()
        most_A = AMP_ERROR * max(smu.settings.source_range["CURR"], smu.settings.sense_range["CURR"])
        right = (
            abs(sample.voltage_V - true.voltage_V) < VOLT_ERROR_V and abs(sample.current_A - true.current_A) < most_A
        )
        if smu.settings.output and not (right or smu.meter.stuck):
            self._judge.broke("r", f"{seat.channel}: the simulated meter shows {sample} where {true} is true")

    def believed(self, channel: str, sample: Sampled, read_ago_s: float) -> None:
        """A reading has passed the guard."""
        if not self._was_measured(channel, sample.voltage_V, sample.current_A, read_ago_s):
            self._judge.broke(
                "r", f"{channel}: {sample.voltage_V} V, {sample.current_A} A was believed, not measured then"
            )

    def appended(self, writer: RunWriter, rows: Sequence[Row]) -> None:
        channel = writer.info.channel
        runner = self._seat(channel).runner
        for row in rows:
            ago_s = None if runner is None else _ago_s(runner, row)
            if not self._was_measured(channel, row.voltage_V, row.current_A, ago_s):
                self._judge.broke("r", f"row {row.seq} of {writer.info.run} was not measured then: {row}")

    def _seat(self, channel: str) -> Seat:
        return next(one for one in self._judge.seats.values() if one.channel == channel)

    def _was_measured(self, channel: str, voltage_V: float, current_A: float, ago_s: float | None) -> bool:
        """In the time that a link waits for an answer; None: at any time."""
        seat = self._seat(channel)
        seat.smu.catch_up()
        found = seat.samples.get(digits(voltage_V, current_A), [])
        return any(ago_s is None or -1e-3 <= seat.smu.at_s - at_s - ago_s <= self._most_s(ago_s) for at_s in found)

    def _most_s(self, ago_s: float) -> float:
        """What was read as a process went on may have lain there for as long as a process may stand still."""
        since_s = self._judge.now_s() - ago_s - self._judge.went_on_s
        return ANSWER_S + (STALL_S if since_s < JUST_NOW_S else 0.0)

    def as_begun(self, data_dir: Path, begun: Mapping[str, str]) -> None:
        """Whatever became of the file: a run has the text that it was given."""
        for run, text in begun.items():
            with open_run(data_dir / "runs" / run) as reader:
                if reader.info.protocol_text != text:
                    self._judge.broke("p", f"{run} has another protocol than it was begun with")

    def delivered(self, data_dir: Path, broker: Broker, durable: dict[Key, int]) -> None:
        """``durable``: rows that have had the time to go out."""
        files = filed(data_dir)
        for (run, epoch), last in durable.items():
            missing = [
                seq for seq in range(1, last + 1) if (run, epoch, seq) in files and (run, epoch, seq) not in broker.rows
            ]
            if missing:
                self._judge.broke("e", f"{len(missing)} rows of {run} are not at the broker, the first is {missing[0]}")
            if not any(key[:2] == (run, epoch) and key[2] >= last for key in files):
                self._judge.broke("e", f"row {last} of {run} was durable and is in no file")
        for key, row in broker.rows.items():
            if files.get(key) != row:
                self._judge.broke("f", f"row {key} is {row} at the broker and {files.get(key)} in its file")
                return


def _ago_s(runner: Any, row: Row) -> float | None:
    """How long ago it was read; a row that an earlier process left unwritten has no time that could be compared."""
    run_s = row.time_s + runner.state.course.started_s
    if runner._remains is not None and run_s <= runner._remains.alive_s:
        return None
    return float(runner.fit.clock.now() - runner._start_s - run_s)


def filed(data_dir: Path) -> dict[tuple[str, int, int], str]:
    """Every row of every run, as a broker is told of it."""
    runs = StoredRuns(data_dir)
    rows: dict[tuple[str, int, int], str] = {}
    for run in runs.names():
        if not segment_paths(data_dir / "runs" / run):
            continue  # it could not begin
        with open_run(data_dir / "runs" / run) as reader:
            starts = [(each.first["samples"], each.epoch) for each in reader.epochs]
            for row in reader.rows():
                epoch = next(epoch for first, epoch in reversed(starts) if first <= row.seq)
                rows[run, epoch, row.seq] = json.dumps(json.loads(encode(list(runs.values(run, row)))))
    return rows
