"""A running protocol amended on simulated instruments: between two samples, on disk, and also after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest
from virtual import CELL, Virtual, open_virtual

from cycler_ctl.config import Limits
from cycler_ctl.errors import ConfigError, RefusedError
from cycler_ctl.live import ChannelState
from cycler_ctl.running.amending import Looked, Wanted
from cycler_ctl.running.start import Order
from protocols.reading.documents import Document
from protocols.record import EventKind

CHARGE = "  - charge: {at: 1 mA, for: 10 min}\n"
BEFORE = CHARGE + "  - rest: 20 min\n"
AFTER = CHARGE + "  - rest: 5 min\n  - discharge: {at: 1 mA, for: 5 min}\n"


async def amend(lab: Virtual, steps: str, of: str | None = None, head: str = CELL) -> Looked:
    wanted = Wanted(Document("trial.yaml", f"{head}steps:\n{steps}"), {}, None, "K. Abe")
    return await lab.acting(lab.station.amend("a1", wanted, of))


async def amended(lab: Virtual, steps: str) -> Looked:
    return await amend(lab, steps, (await amend(lab, steps)).of)


async def test_what_comes_after_the_step_in_progress_is_done_as_amended_and_the_record_tells_both_texts(
    tmp_path: Path,
) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await lab.start(BEFORE)
        await lab.at(120.0)
        commands = len(lab.commands())
        looked = await amend(lab, AFTER)
        assert looked.changes == (
            "step 2: ends at time >= 20 min -> time >= 5 min",
            "step 3 is new: discharge 1 mA, ends at time >= 5 min",
        )
        await amend(lab, AFTER, looked.of)
        assert b":OUTP" not in b"".join(line for _, line in lab.commands()[commands:])  # the cell noticed nothing
        assert (await lab.ends()).state is ChannelState.FINISHED
        charge, rest, discharge = lab.steps()
        assert charge.charge_Ah == pytest.approx(1e-3 / 6, rel=2e-3)
        assert rest.end_reason == "time >= 5 min"
        assert discharge.charge_Ah == pytest.approx(1e-3 / 12, rel=5e-3)
        (event,) = [one for one in lab.events(EventKind.OPERATOR) if one.data["action"] == "amend"]
        assert event.data["by"] == "K. Abe"
        assert str(event.data["replaced_text"]).endswith(BEFORE)
        assert str(event.data["protocol_text"]).endswith(AFTER)


async def test_an_amended_step_is_armed_by_the_channel_as_at_a_start(tmp_path: Path) -> None:
    narrow = Limits(voltage_V=(2.5, 4.4), current_A=3e-3, step_charge_Ah=20e-3)
    async with open_virtual(tmp_path / "data", limits=narrow) as lab:
        head = CELL.replace(", current: 4 mA", "")
        await lab.start(BEFORE, head)
        await lab.at(120.0)
        with pytest.raises(RefusedError, match="is too much for the channel's limit 3 mA"):
            await amend(lab, CHARGE + "  - charge: {at: 3.5 mA, until: 4.2 V, for: 1 h}\n", head=head)
        await lab.ends()
        assert [step.end_reason for step in lab.steps()] == ["time >= 10 min", "time >= 20 min"]


async def test_what_was_looked_at_is_what_is_carried_out_or_nothing(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await lab.start(BEFORE)
        await lab.at(120.0)
        looked = await amend(lab, AFTER)
        await amended(lab, CHARGE + "  - rest: 9 min\n")
        with pytest.raises(RefusedError, match="another one than you looked at"):
            await amend(lab, AFTER, looked.of)
        await lab.ends()
        assert [step.end_reason for step in lab.steps()] == ["time >= 10 min", "time >= 9 min"]


async def test_no_amendment_passes_a_limit_of_the_channel_or_touches_the_step_in_progress(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await lab.start(BEFORE)
        await lab.at(120.0)
        for steps, why in (
            (CHARGE + "  - charge: {at: 1 mA, until: 4.6 V, for: 1 h}\n", "outside the safety window"),
            (CHARGE + "  - charge: {at: 11 mA, for: 1 h}\n", "11 mA"),
            (CHARGE + "  - charge: {at: 1 V}\n", "error"),
            (BEFORE.replace("10 min", "30 min"), "step 1 is in progress: it stays as it is"),
            (BEFORE, "does nothing else"),
        ):
            with pytest.raises((RefusedError, ConfigError), match=why):
                await amend(lab, steps)
        with pytest.raises(RefusedError, match="its safety section is another one"):
            await amend(lab, AFTER, head=CELL.replace("4 mA", "5 mA"))
        await lab.ends()
        assert [step.end_reason for step in lab.steps()] == ["time >= 10 min", "time >= 20 min"]


async def test_an_interrupted_run_goes_on_with_the_amended_protocol(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await lab.start(BEFORE)
        await lab.at(120.0)
        await amended(lab, AFTER)
        await amended(lab, AFTER + "  - rest: 1 min\n")
        await lab.dies(60.0)
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        await amended(lab, AFTER + "  - rest: 2 min\n")
        assert (await lab.ends()).state is ChannelState.FINISHED
        assert [step.end_reason for step in lab.steps()] == [
            "time >= 10 min", "time >= 5 min", "time >= 5 min", "time >= 2 min"]  # fmt: skip


async def test_a_paused_run_is_amended_and_stays_off_until_it_is_resumed(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        await lab.start(BEFORE)
        await lab.at(120.0)
        await lab.acting(lab.station.pause("a1", "K. Abe"))
        await amended(lab, AFTER)
        assert lab.is_off()
        assert lab.status().state is ChannelState.PAUSED
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        await lab.ends()
        assert [step.step_id for step in lab.steps()] == ["1", "2", "3"]


async def test_a_channel_without_a_run_has_nothing_to_amend(tmp_path: Path) -> None:
    async with open_virtual(tmp_path / "data") as lab:
        with pytest.raises(RefusedError, match="there is nothing to amend"):
            await amend(lab, AFTER)
        await lab.start(CHARGE)
        await lab.ends()
        with pytest.raises(RefusedError, match="there is nothing to amend"):
            await amend(lab, AFTER)


async def test_a_file_that_is_included_keeps_its_text_where_the_cell_s_own_file_has_the_same_name(
    tmp_path: Path,
) -> None:
    head = CELL.replace("record: every 60 s\n", "include: cell.yaml\n")
    cell = Document("cell.yaml", "cell: {name: GN-8, nominal_capacity: 3 mAh, discharge_means: lithiate}\n")
    sent = {"cell.yaml": "record: every 30 s\n"}
    async with open_virtual(tmp_path / "data") as lab:
        document = Document("trial.yaml", f"{head}steps:\n{BEFORE}")
        lab.run = await lab.station.begin("a1", Order(document, cell, sent=sent))
        await lab.at(120.0)
        other = Document("trial.yaml", f"{head}steps:\n{AFTER}")
        looked = await lab.acting(lab.station.amend("a1", Wanted(other, sent, None, "K. Abe", lab.run), None))
        assert len(looked.changes) == 2
        await lab.dies(60.0)
        await lab.acting(lab.station.resume("a1", "K. Abe"))
        assert (await lab.ends()).state is ChannelState.FINISHED
