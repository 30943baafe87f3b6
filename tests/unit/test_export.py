"""Exports: whole or absent, readable by anyone, and never a formula."""

from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cycler_ctl.errors import StoreError
from cycler_ctl.records.bdf import Columns, bdf_columns, bdf_values
from cycler_ctl.store.export.atomic import whole_file
from cycler_ctl.store.export.bdf_csv import export_bdf_csv
from cycler_ctl.store.export.formats import export_run_as
from cycler_ctl.store.export.names import metadata_path, part
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import create_run
from cycler_ctl.testing.rows import START_UTC_S, cycling_rows
from protocols.model import Verb
from protocols.record import EventKind, EventRecord, Outcome, Row

PROTOCOL = "protocol: 1\n"
INFO = RunInfo(
    run="20261122-101500-a1-7f3k",
    epoch=7,
    channel="a1",
    station="lab-3",
    site="kasuga",
    started_utc_s=START_UTC_S,
    protocol_name="Fig. S3 (a)",
    protocol_text=PROTOCOL,
    protocol_sha256=hashlib.sha256(PROTOCOL.encode()).hexdigest(),
    cell={"name": "MG 0142/a", "temperature_degC": 120.0},
    plan={},
    settings={},
    instrument={"maker": "KEITHLEY", "model": "2400", "serial": "1234567"},
    versions={},
    discharge_means=Verb.LITHIATE,
    sample_every_s=5.0,
)


def record(data_dir: Path, info: RunInfo = INFO, rows: list[Row] | None = None, **more: Any) -> Path:
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0)
    writer = create_run(data_dir, info, on_durable=lambda run: None, utc=lambda: START_UTC_S + 9e4, options=options)
    writer.append(list(cycling_rows()) if rows is None else rows, **more)
    writer.finish(Outcome.FINISHED, "all steps done")
    assert writer.close()
    return writer.run_dir


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sidecar(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(metadata_path(path).read_text(encoding="utf-8"))
    return found


def test_every_row_is_exported_digit_for_digit(tmp_path: Path) -> None:
    path = export_bdf_csv(record(tmp_path), columns=Columns.ALL)
    expected = [
        ["" if value is None else str(value) for value in bdf_values(row, Verb.LITHIATE)] for row in cycling_rows()
    ]
    found = table(path)
    assert list(found[0]) == [column.label for column in bdf_columns()]
    assert [list(row.values()) for row in found] == expected
    assert [float(row["Voltage / V"]) for row in found] == [row.voltage_V for row in cycling_rows()]


def test_unasked_a_table_is_without_the_columns_that_the_released_validator_remarks_on(tmp_path: Path) -> None:
    run_dir = record(tmp_path)
    every, plain = (
        table(export_bdf_csv(run_dir, tmp_path / f"{one}.csv", one)) for one in (Columns.ALL, Columns.PLAIN)
    )
    assert set(every[0]) - set(plain[0]) == {
        f"{scope} {way} {what}"
        for scope in ("Cycle", "Step")
        for way in ("Charging", "Discharging")
        for what in ("Capacity / Ah", "Energy / Wh")
    }
    assert [{name: row[name] for name in plain[0]} for row in every] == plain


def test_the_linked_data_beside_it_name_the_file_s_columns_by_the_format_s_terms(tmp_path: Path) -> None:
    path = export_bdf_csv(record(tmp_path))
    found = json.loads((path.parent / f"{path.name.removesuffix('.bdf.csv')}.bdf.jsonld").read_text(encoding="utf-8"))
    assert [one["schema:name"] for one in found["schema:variableMeasured"]] == list(table(path)[0])
    assert found["schema:variableMeasured"][1]["schema:propertyID"].endswith("battery-data-format#voltage_volt")
    assert found["schema:variableMeasured"][1]["schema:unitText"] == "V"
    (file,) = found["schema:distribution"]
    assert (file["schema:contentUrl"], file["schema:encodingFormat"]) == (path.name, "text/csv")
    assert file["schema:sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found["schema:identifier"] == INFO.run


def test_the_name_has_the_five_parts_and_is_the_same_each_time(tmp_path: Path) -> None:
    run_dir = record(tmp_path)
    path = export_bdf_csv(run_dir)
    assert path == tmp_path / "exports" / "kasuga__MG-0142-a__20261122_001__cycling__120degC.bdf.csv"
    assert export_bdf_csv(run_dir) == path
    later = record(tmp_path, replace(INFO, run="20261122-235959-b1-0000"))
    assert export_bdf_csv(later).name.split("__")[2] == "20261122_002"
    other_cell = record(tmp_path, replace(INFO, run="20261122-235959-c1-0000", cell={"name": "b"}))
    assert export_bdf_csv(other_cell).name == "kasuga__b__20261122_001__cycling__unknown.bdf.csv"
    assert sorted(found.name for found in path.parent.iterdir() if found.name.startswith(".")) == []


def test_two_cells_whose_names_look_alike_in_a_file_name_get_two_files(tmp_path: Path) -> None:
    first = record(tmp_path)
    second = record(tmp_path, replace(INFO, run="20261122-101501-a2-7f3k", cell={**INFO.cell, "name": "MG-0142 a"}))
    paths = [export_bdf_csv(run_dir) for run_dir in (first, second)]
    assert [path.name[:32] for path in paths] == [
        "kasuga__MG-0142-a__20261122_001_",
        "kasuga__MG-0142-a__20261122_002_",
    ]
    assert [sidecar(path)["battinfo_cell"]["cell_instance"]["name"] for path in paths] == ["MG 0142/a", "MG-0142 a"]


def test_two_runs_of_one_second_keep_an_export_each_whichever_is_exported_first(tmp_path: Path) -> None:
    """Virtual time begins at the same second every time, so a second demo's runs do."""
    first = record(tmp_path, replace(INFO, run="20261122-101500-a1-zzzz"))
    one = export_bdf_csv(first)
    second = record(tmp_path, replace(INFO, run="20261122-101500-a1-aaaa"))
    other = export_bdf_csv(second)
    assert one != other
    assert [export_bdf_csv(first), export_bdf_csv(second)] == [one, other]
    assert [sidecar(path)["extras"]["cycler_ctl"]["run"][-4:] for path in (one, other)] == ["zzzz", "aaaa"]


@pytest.mark.parametrize(
    ("text", "expected"), [("a__b", "a-b"), ("../x", "x"), ("MgH2:AB = 70:30", "MgH2-AB-70-30"), ("→", "unknown")]
)
def test_a_part_of_a_name_is_safe_anywhere(text: str, expected: str) -> None:
    assert part(text) == expected


def test_out_may_be_a_folder_or_a_file(tmp_path: Path) -> None:
    run_dir = record(tmp_path)
    assert export_bdf_csv(run_dir, tmp_path / "mine").parent == tmp_path / "mine"
    path = export_bdf_csv(run_dir, tmp_path / "x.bdf.csv")
    assert path == tmp_path / "x.bdf.csv"
    assert (tmp_path / "x.bdf.metadata.json").is_file()


def test_a_text_is_never_a_formula(tmp_path: Path) -> None:
    first = next(cycling_rows())
    rows = [replace(first, seq=seq, step_id=text) for seq, text in enumerate(["=1+1", "@x", "2.1"], start=1)]
    found = table(export_bdf_csv(record(tmp_path, rows=rows)))
    assert [row["Step ID"] for row in found] == ["'=1+1", "'@x", "2.1"]


def test_a_missing_temperature_is_an_empty_cell(tmp_path: Path) -> None:
    rows = [replace(row, temperature_degC=None) for row in cycling_rows()]
    assert {row["Ambient Temperature / degC"] for row in table(export_bdf_csv(record(tmp_path, rows=rows)))} == {""}


def test_the_metadata_name_the_files_the_sign_and_what_went_wrong(tmp_path: Path) -> None:
    gap = EventRecord(14.0, START_UTC_S + 14.5, EventKind.GAP, {"from_s": 1.4, "to_s": 14.0, "gap_s": 12.6})
    note = EventRecord(15.0, START_UTC_S + 15.5, EventKind.NOTE, {"text": "fine"})
    pause = EventRecord(16.0, START_UTC_S + 16.5, EventKind.OPERATOR, {"action": "pause", "by": "ann"})
    path = export_bdf_csv(record(tmp_path, events=[gap, note, pause]))
    found = sidecar(path)
    test = found["battinfo_test"]["test"]
    assert (test["identifier"], test["status"], test["started_at"]) == (INFO.run, "completed", 1_795_342_500)
    assert test["instrument_name"] == "KEITHLEY 2400 1234567"
    assert test["conformance"]["status"] == "non-conformant"
    assert test["conformance"]["deviations"] == [
        {
            "category": "communication_loss", "type": "gap", "description": "no reading for 12.6 s",
            "occurred_at": 1_795_342_501, "duration_s": 13,
        },
        {
            "category": "operator_intervention", "type": "operator", "description": "pause by ann",
            "occurred_at": 1_795_342_516, "duration_s": None,
        },
    ]  # fmt: skip
    protocol, exported = found["battinfo_test"]["artifacts"]
    assert protocol["sha256"] == hashlib.sha256(PROTOCOL.encode()).hexdigest()
    assert exported["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    own = found["extras"]["cycler_ctl"]
    assert "oxidises (delithiates)" in own["sign_convention"]
    assert (own["rows"], own["cell"]) == (len(list(cycling_rows())), INFO.cell)


def test_the_metadata_hold_what_passed_in_each_step_and_cycle(tmp_path: Path) -> None:
    own = sidecar(export_bdf_csv(record(tmp_path)))["extras"]["cycler_ctl"]
    ends = {row.step_count: row.step_total for row in cycling_rows()}
    assert own["steps"]["step_count"] == list(ends)
    assert own["steps"]["discharging_capacity_ah"] == [one.reduction_Ah for one in ends.values()]
    assert own["steps"]["charging_energy_wh"] == [one.oxidation_Wh for one in ends.values()]
    assert own["cycles"]["cycle_count"] == sorted({row.cycle for row in cycling_rows()})
    assert own["cycles"]["discharging_capacity_ah"][1:] == pytest.approx([2.2e-3, 1.7e-3])
    assert own["uncertainty"]["coverage_factor"] == 2.0
    turned = replace(INFO, run="20261122-101501-a1-7f3k", discharge_means=Verb.DELITHIATE)
    own = sidecar(export_bdf_csv(record(tmp_path, turned)))["extras"]["cycler_ctl"]
    assert own["cycles"]["charging_capacity_ah"][1:] == pytest.approx([2.2e-3, 1.7e-3])


def test_lost_readings_and_clocks_that_disagree_are_deviations(tmp_path: Path) -> None:
    lost = EventRecord(14.0, START_UTC_S + 14.0, EventKind.RETRY, {"step_count": 1, "count": 1, "text": "no answer"})
    rows = [replace(row, utc_s=row.utc_s + 60.0) if row.seq > 5 else row for row in cycling_rows()]
    path = export_bdf_csv(record(tmp_path, events=[lost], rows=rows))
    first, second = sidecar(path)["battinfo_test"]["test"]["conformance"]["deviations"]
    assert (first["category"], first["type"], first["description"]) == ("communication_loss", "retry", "no answer")
    assert second["type"] == "test_time"
    assert second["description"].startswith("row 6: the clocks part by +60.0 s")


def test_a_reading_that_was_asked_for_again_is_told_and_leaves_the_run_conformant(tmp_path: Path) -> None:
    lost = EventRecord(14.0, START_UTC_S + 14.0, EventKind.RETRY, {"step_count": 1, "count": 1, "text": "no answer"})
    pause = EventRecord(16.0, START_UTC_S + 16.5, EventKind.OPERATOR, {"action": "pause", "by": "ann"})
    other = replace(INFO, run="20261122-101501-a1-7f3k")
    found = [
        sidecar(export_bdf_csv(record(tmp_path, info, events=events)))["battinfo_test"]["test"]["conformance"]
        for info, events in ((INFO, [lost]), (other, [lost, pause]))
    ]
    assert [one["status"] for one in found] == ["conformant", "non-conformant"]
    assert [one["deviations"][0]["impact"] for one in found] == ["minor", "minor"]


def test_where_the_sign_is_turned_the_metadata_say_so(tmp_path: Path) -> None:
    path = export_bdf_csv(record(tmp_path, replace(INFO, discharge_means=Verb.DELITHIATE)))
    assert "opposite sign" in sidecar(path)["extras"]["cycler_ctl"]["sign_convention"]
    lithiating = [row for row in table(path) if row["Step ID"] == "2.1"]
    assert all(float(row["Current / A"]) > 0 and row["Step Type"] == "CC_CHG" for row in lithiating)


def test_time_that_falls_is_exported_as_recorded_and_told(tmp_path: Path) -> None:
    rows = list(cycling_rows())[:4]
    rows[2] = replace(rows[2], time_s=0.5)
    path = export_bdf_csv(record(tmp_path, rows=rows))
    assert table(path)[2]["Test Time / s"] == "0.5"
    assert sidecar(path)["battinfo_test"]["test"]["conformance"]["deviations"][0]["type"] == "test_time"


def test_a_format_is_chosen_by_its_name(tmp_path: Path) -> None:
    run_dir = record(tmp_path)
    assert export_run_as("bdf-csv", run_dir) == export_bdf_csv(run_dir)
    assert export_run_as("bundle", run_dir, tmp_path / "out") == tmp_path / "out" / f"{INFO.run}.zip"
    with pytest.raises(StoreError, match="no format 'xls'; there are bdf-csv, bdf-parquet, bundle"):
        export_run_as("xls", run_dir)


def test_a_failed_export_leaves_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("earlier")

    def half_an_export() -> None:
        with whole_file(path) as file:
            file.write("half")
            raise StoreError("no more rows")

    with pytest.raises(StoreError, match="no more rows"):
        half_an_export()
    assert [found.name for found in tmp_path.iterdir()] == ["x.csv"]
    assert path.read_text() == "earlier"
