"""A run whose station died waits for a person, and goes on exactly where it was, or says why it does not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from virtual import CELL, Virtual, open_virtual

from cycler_ctl.errors import RefusedError
from cycler_ctl.live import ChannelState
from cycler_ctl.store.reader import open_run
from protocols.record import EventKind, Mark, Outcome
from sim_hardware.loads import Battery

CYCLES = """\
  - repeat:
      times: 2
      steps:
        - charge: {at: 1.5 mA, until: 4.2 V, then_hold_until: current <= 0.3 mA}
        - rest: 10 min
        - discharge: {at: 1.5 mA, until: 3.0 V}
        - rest: 10 min
"""
CHARGE = "  - charge: {at: 1 mA, for: 30 min}\n  - rest: 5 min\n"
GAP_S = 3600.0


def run_file(lab: Virtual) -> Path:
    return lab.data / "runs" / lab.run / "run.sqlite"


def change(lab: Virtual, sql: str, *values: object) -> None:
    with closing(sqlite3.connect(run_file(lab))) as connection, connection:
        connection.execute(sql, values)


async def test_a_run_goes_on_at_its_step_with_its_charge_and_clocks_and_counts_nothing_of_the_gap(
    tmp_path: Path,
) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await lab.start(CHARGE)
        await lab.at(600.0)
        await lab.dies(GAP_S)
        status = lab.status()
        assert (status.state, status.run, status.energised) == (ChannelState.INTERRUPTED, lab.run, False)
        assert not lab.truth()["output_on"]
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert lab.status().state is ChannelState.RUNNING
        ended = await lab.ends()
        assert ended.state is ChannelState.FINISHED
        charge, rest = lab.steps()
        assert charge.charge_Ah == pytest.approx(0.5e-3, rel=2e-3)
        assert charge.ended_s - charge.started_s == pytest.approx(1800.0 + GAP_S, abs=60.0)
        assert rest.end_reason == "time >= 5 min"
        rows = lab.rows()
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        assert all(later.time_s > row.time_s and later.step_total.oxidation_Ah >= row.step_total.oxidation_Ah
                   for row, later in pairwise(lab.rows("1")))  # fmt: skip
        (hole,) = [(row, later) for row, later in pairwise(rows) if later.time_s - row.time_s > 600.0]
        assert hole[1].utc_s - hole[0].utc_s == pytest.approx(hole[1].time_s - hole[0].time_s, abs=1e-3)
        assert hole[1].step_time_s - hole[0].step_time_s < 35.0
        assert hole[1].mark is not Mark.START


async def test_the_gap_the_look_at_the_cell_and_the_person_are_in_the_record(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await lab.start(CHARGE)
        await lab.at(600.0)
        await lab.dies(GAP_S)
        await lab.at(600.0 + GAP_S + 500.0)
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        await lab.ends()
        gaps = [event.data["gap_s"] for event in lab.events(EventKind.GAP)]
        assert sum(float(str(gap_s)) for gap_s in gaps) == pytest.approx(GAP_S + 500.0, abs=60.0)  # none counted twice
        assert len(gaps) == 2
        (resumed,) = [event for event in lab.events(EventKind.OPERATOR) if event.data["action"] == "resume"]
        assert resumed.data["by"] == "K. Abe"
        assert float(str(resumed.data["paused_s"])) == pytest.approx(GAP_S + 500.0, abs=60.0)
        (looked,) = [event for event in lab.events(EventKind.NOTE) if event.data.get("last_voltage_V")]
        assert float(str(looked.data["voltage_V"])) < float(str(looked.data["last_voltage_V"]))  # it has relaxed
        with open_run(run_file(lab)) as reader:
            before, after = reader.epochs
            assert before.epoch != after.epoch
            assert reader.state.outcome is Outcome.FINISHED
            first = next(row.seq for row in reader.rows() if row.time_s > 4000.0)
            assert after.first["samples"] in {first - 1, first}  # the sample before may not have been recorded then


async def test_counters_and_loops_are_those_of_a_run_that_was_never_interrupted(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "whole") as lab:
        await lab.start(CYCLES)
        await lab.ends()
        whole = lab.steps()
    async with open_virtual(tmp_path / "cut") as lab:
        await lab.start(CYCLES)
        for step_id in ("1.1.cv", "1.2", "1.3"):
            await lab.until_step(step_id)
            await lab.dies(900.0)
            await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert (await lab.ends()).state is ChannelState.FINISHED
        cut = lab.steps()
        cycles = [row.cycle for row in lab.rows()]
    assert [(step.step_id, step.cycle, step.end_reason) for step in cut] == [
        (step.step_id, step.cycle, step.end_reason) for step in whole
    ]
    assert cycles == sorted(cycles)
    for step, same in zip(cut, whole, strict=True):
        assert step.charge_Ah == pytest.approx(same.charge_Ah, rel=0.02, abs=1.5e-5), step.step_id


async def test_a_paused_run_that_was_interrupted_goes_on_when_it_is_resumed(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await lab.start(CHARGE)
        await lab.at(300.0)
        await lab.acting(lab.station.pause("a1", "K. Abe"))
        await lab.dies(100.0)
        assert lab.status().state is ChannelState.INTERRUPTED
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert (await lab.ends()).state is ChannelState.FINISHED
        assert lab.steps()[0].charge_Ah == pytest.approx(0.5e-3, rel=2e-3)


async def refused(lab: Virtual, why: str) -> None:
    """It says why, nothing is energised, the run stays as it was and readable, and a person can close it."""
    rows = len(lab.rows())
    with pytest.raises(RefusedError, match=why):
        await lab.acting(lab.station.resume("a1", "K. Abe"))
    assert lab.is_off()
    assert lab.status().state is ChannelState.INTERRUPTED
    assert len(lab.rows()) in {rows, rows + 1}  # the newest sample may not have been recorded yet
    with pytest.raises(RefusedError, match="acknowledge a1"):
        await lab.start(CHARGE)
    await lab.acting(lab.station.acknowledge("a1", "K. Abe"))
    assert lab.status().state is ChannelState.IDLE


async def interrupted(lab: Virtual) -> None:
    await lab.start(CHARGE)
    await lab.at(600.0)
    await lab.dies(60.0)


async def test_another_cell_in_its_place_gets_no_current(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await interrupted(lab)
        lab.swap(Battery(-3.9, 5.0))
        await refused(lab, r"would be expected|outside the channel's limits|outside the run's|polarity window")
        with open_run(run_file(lab)) as reader:
            assert reader.state.outcome is Outcome.STOPPED
            assert "acknowledged by K. Abe" in reader.state.reason
            told = [event.data for event in reader.events() if event.kind is EventKind.OPERATOR]
            assert (told[-1]["action"], told[-1]["by"]) == ("acknowledge", "K. Abe")


async def test_an_open_lead_gets_no_current(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await interrupted(lab)
        lab.fault("lead", "open")
        await refused(lab, "V")


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("serial", "999", "the instrument's serial was 999 and is 1 now"),
        ("model", "MODEL 2450", "the instrument's model was MODEL 2450 and is"),
    ],
)
async def test_another_instrument_is_refused_by_what_differs(tmp_path: Path, key: str, value: str, why: str) -> None:
    async with open_virtual(tmp_path) as lab:
        await interrupted(lab)
        change(lab, "UPDATE run SET instrument = json_set(instrument, ?, ?)", f"$.{key}", value)
        await refused(lab, why)


async def test_another_firmware_is_none_of_these(tmp_path: Path) -> None:
    async with open_virtual(tmp_path) as lab:
        await interrupted(lab)
        change(lab, "UPDATE run SET instrument = json_set(instrument, '$.firmware', 'C00')")
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert (await lab.ends()).state is ChannelState.FINISHED


async def test_a_changed_protocol_text_is_refused(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await interrupted(lab)
        change(lab, "UPDATE run SET protocol_text = replace(protocol_text, '1 mA', '4 mA')")
        await refused(lab, "the protocol's text in its record was changed")


async def test_a_protocol_that_this_version_reads_otherwise_is_refused(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await interrupted(lab)
        change(lab, "UPDATE run SET settings = json_set(settings, '$.program_sha256', 'other')")
        await refused(lab, "does not read its protocol as the one that began it did")


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        (
            'UPDATE checkpoint SET state = \'{"phase": "running"}\'',
            "its checkpoint was written by cycler-ctl .* cannot",
        ),
        ("DELETE FROM checkpoint", "before it had begun"),
        ("DELETE FROM compact WHERE seq = (SELECT max(seq) FROM compact)", "its checkpoint is that of row"),
        (
            "UPDATE run SET settings = json_set(settings, '$.channel.sample_every_s', 1.0)",
            "sample_every_s was 1.0 and is",
        ),
    ],
)
async def test_a_record_that_does_not_fit_together_is_refused(tmp_path: Path, sql: str, why: str) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await interrupted(lab)
        change(lab, sql)
        with pytest.raises(RefusedError, match=why):
            await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert lab.is_off()
        await lab.acting(lab.station.acknowledge("a1", "K. Abe"))


async def test_an_interrupted_run_is_interrupted_at_every_start_until_it_is_acknowledged(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await interrupted(lab)
        for state in (ChannelState.INTERRUPTED, ChannelState.IDLE):
            await lab.acting(lab.closes("again"))
            await lab.another_station()
            assert lab.status().state is state
            if state is ChannelState.INTERRUPTED:
                await lab.acting(lab.station.acknowledge("a1", "K. Abe"))


async def test_a_tripped_runs_record_tells_who_acknowledged_it_and_when(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        head = CELL.replace("2.6 V to 4.35 V", "2.6 V to 3.6 V")
        await lab.start("  - charge: {at: 3 mA, for: 1 h}\n", head)
        assert (await lab.ends()).state is ChannelState.TRIPPED
        with open_run(run_file(lab)) as reader:
            before = reader.state
        asked_utc_s = lab.clock.utc()
        await lab.acting(lab.station.acknowledge("a1", "K. Abe"))
        with open_run(run_file(lab)) as reader:
            assert reader.state == before
            last = reader.events()[-1]
        assert (last.data["action"], last.data["by"], last.data["of"]) == ("acknowledge", "K. Abe", "tripped")
        assert asked_utc_s <= last.utc_s <= lab.clock.utc()


async def test_a_trip_stays_until_it_is_acknowledged_also_where_the_service_was_started_again(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await lab.start(CHARGE)
        await lab.at(600.0)
        lab.swap(Battery(4.6, 1.0))
        assert (await lab.ends()).state is ChannelState.TRIPPED
        reason = lab.status().reason
        for _ in range(2):
            await lab.closes("another session")
            await lab.another_station()
            assert (lab.status().state, lab.status().reason, lab.status().run) == (
                ChannelState.TRIPPED,
                reason,
                lab.run,
            )
            with pytest.raises(RefusedError, match="look at the cell"):
                await lab.start(CHARGE)
        await lab.station.acknowledge("a1", "K. Abe")
        await lab.closes("another session")
        await lab.another_station()
        assert lab.status().state is ChannelState.IDLE


async def test_a_trip_stays_also_where_the_clock_was_set_back_before_it(tmp_path: Path) -> None:
    """Then the run that tripped bears an earlier name than the one before it."""
    async with open_virtual(tmp_path / "data") as lab:
        await lab.start("  - rest: 1 min\n")
        assert (await lab.ends()).state is ChannelState.FINISHED
        lab.clock.utc_is_set(-3600.0)
        await lab.start(CHARGE)
        await lab.at(lab.clock.now() + 300.0)
        lab.swap(Battery(4.6, 1.0))
        assert (await lab.ends()).state is ChannelState.TRIPPED
        await lab.closes("another session")
        await lab.another_station()
        assert lab.status().state is ChannelState.TRIPPED
