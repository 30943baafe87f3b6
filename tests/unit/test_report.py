"""The report says what the run file says, all of it, and only that; how it looks was checked by eye."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import zipfile
from contextlib import closing
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from cycler_ctl.predict import model_of, predict
from cycler_ctl.publish.digest import Digest
from cycler_ctl.report.command import show_report
from cycler_ctl.report.facts import Facts, gather
from cycler_ctl.report.page import report_html, report_json, report_text
from cycler_ctl.report.tables import chosen
from cycler_ctl.store.export.bundle import export_bundle
from cycler_ctl.store.export.seal import DAY_S, seal_days
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.writer import RunWriter, create_run
from cycler_ctl.testing.rows import START_UTC_S, Shape, cycling_rows
from protocols.check import check_text
from protocols.model import Verb
from protocols.record import JSON, CycleSummary, EventKind, EventRecord, Outcome, Row, StepSummary

PROTOCOL = "protocol: 1\nname: å\n"
CELL: dict[str, Any] = {"name": "MG 0142/a", "active_mass_g": 1.4e-3, "active_material": "MgH2"}
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
    cell=CELL,
    plan={"steps": []},
    settings={"variables": [["j", "0.5 mA/cm2"]]},
    instrument={"maker": "Keithley", "model": "2400", "serial": "1400001", "protection": "B"},
    versions={"cycler-ctl": "0.1.0"},
    discharge_means=Verb.LITHIATE,
    sample_every_s=5.0,
)
ROWS = list(cycling_rows(Shape(points=30)))


def step(number: int, path: str, reason: str, overshoot_V: float | None = None) -> StepSummary:
    word = "rest" if path == "1" else "lithiate"
    return StepSummary(
        number, path, word, number, None, 0.0, 60.0 * number, reason, (), 1e-3, 1e-3, 1, 0, None, None, overshoot_V
    )


def told(at_s: float, kind: EventKind, **data: Any) -> EventRecord:
    return EventRecord(at_s, START_UTC_S + at_s, kind, data)


STEPS = [
    step(1, "1", "time >= 1 h"),
    *(step(n, "2.1", "voltage <= 0.2 V", 1e-3 * n) for n in (2, 3, 4)),
    step(5, "2.1", "skipped by Ken"),
]
CYCLES = [CycleSummary(n, 2e-3, 1.5e-3, 1e-3, 2e-3, 0.0, 3600.0) for n in range(1, 31)]
EVENTS = [
    told(0, EventKind.OPERATOR, action="start", by="Ken"),
    told(5, EventKind.OPERATOR, action="pause", by="Ken"),
    told(65, EventKind.OPERATOR, action="resume", by="[red]Naoki", paused_s=60.0),
    told(70, EventKind.GAP, from_s=10.0, to_s=70.0, gap_s=60.0, inferred_Ah=1.25e-6),
    told(71, EventKind.GAP, text="the service stopped", gap_s=3600.0),
    *(told(80 + n, EventKind.WARNING, step_id="2.1", message="cell is <tired> & \x1b[31mred") for n in range(3)),
    told(90, EventKind.TRIP, reason="voltage 5.1 V is outside 0 V to 5 V"),
    told(91, EventKind.FAULT, reason="off was not confirmed: timeout"),
]


def begun(data_dir: Path, info: RunInfo = INFO, **records: Any) -> RunWriter:
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0, reserve_bytes=0)
    writer = create_run(data_dir, info, on_durable=lambda _: None, utc=lambda: START_UTC_S + 9e4, options=options)
    writer.append(**{"rows": ROWS, "events": EVENTS, "steps": STEPS, "cycles": CYCLES, **records})
    assert writer.flush(5)
    return writer


def ended(data_dir: Path, info: RunInfo = INFO, **records: Any) -> Path:
    writer = begun(data_dir, info, **records)
    writer.finish(Outcome.TRIPPED, "voltage 5.1 V is outside 0 V to 5 V")
    assert writer.close()
    return writer.run_dir


def facts_of(run_dir: Path) -> Facts:
    with open_run(run_dir) as reader:
        return gather(reader)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return ended(tmp_path)


def lines_of(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_the_page_says_what_happened_and_who_did_it(run_dir: Path) -> None:
    text = report_text(facts_of(run_dir))
    said = lines_of(text)
    for expected in (
        "TRIPPED voltage 5.1 V is outside 0 V to 5 V",
        "instrument Keithley 2400 | serial 1400001",
        "calibration not known: station.toml names no day (calibrated = ...)",
        "1 rest 1 x time >= 1 h",
        "2.1 lithiate 3 x voltage <= 0.2 V; 1 x skipped by Ken",
        "cycle 5, at 5 min: skipped by Ken",
        "overshoot of 3 voltage cut-offs: median 3 mV, worst 4 mV (step 2.1, cycle 4)",
        "2026-11-22 10:16:05 UTC (65 s): resumed by [red]Naoki after 60 s",
        "2026-11-22 10:16:10 UTC (70 s): 60 s without a reading, 0.00125 mAh inferred",
        "2026-11-22 10:16:11 UTC (71 s): 60 min without a reading: the service stopped",
        "2026-11-22 10:16:31 UTC (91 s): off was not confirmed: timeout",
        "80 s: step 2.1: cell is <tired> & \ufffd[31mred (3 times)",
        f"rows {len(ROWS)}, none missing",
        "clock steps none above 1 s",
        "12 of 30 cycles; all of them: --json, --html",
    ):
        assert expected in said, expected
    assert "\x1b" not in text


def test_capacities_are_those_of_the_record_per_gram_and_with_efficiencies(run_dir: Path) -> None:
    row = next(line for line in lines_of(report_text(facts_of(run_dir))) if line.startswith("30 "))
    assert row == "30 2 1.5 1429 1071 75.00 1 2 50.00 1"


def test_no_number_of_the_table_is_cut(tmp_path: Path) -> None:
    cycle = CycleSummary(1234, 2.1234e-3, 2.1234e-3, 1.0987e-3, 1.6789e-3, 0.0, 3600.0 * 97.25)
    text = report_text(facts_of(ended(tmp_path, cycles=[cycle] * 3)))
    assert "…" not in text
    row = next(line for line in lines_of(text) if line.startswith("1234 "))
    assert row == "1234 2.123 2.123 1517 1517 100.00 1.099 1.679 65.44 97.2"


def test_without_mass_and_discharge_no_number_is_made_up(tmp_path: Path) -> None:
    facts = facts_of(ended(tmp_path, replace(INFO, cell={"name": "c"}, discharge_means=None)))
    first = facts.cycles[0]
    assert (first.lithiation_mAh_per_g, first.energy_efficiency, first.efficiency) == (None, None, 0.75)
    assert "EE" not in report_text(facts)


def test_many_cycles_are_shown_by_their_ends_and_some_between() -> None:
    assert chosen(12) == list(range(12))
    for count in (13, 100, 1001):
        shown = chosen(count)
        assert len(set(shown)) == 12
        assert shown == sorted(shown)
        assert shown[:3] + shown[-3:] == [0, 1, 2, count - 3, count - 2, count - 1]


def test_no_line_is_wider_than_a_hundred_columns_whatever_the_names(tmp_path: Path) -> None:
    cell = {"name": "電池" * 90, "electrolyte": "x" * 300}
    text = report_text(facts_of(ended(tmp_path, replace(INFO, cell=cell, protocol_name="試験 " * 60))))
    assert max(cell_len(line) for line in text.splitlines()) <= 100
    assert text.count("池") == 90


def test_the_wall_clock_s_steps_are_found_in_the_rows(tmp_path: Path) -> None:
    rows = [replace(row, utc_s=row.utc_s - (3600.0 if row.seq >= 10 else 0.0)) for row in ROWS]
    facts = facts_of(ended(tmp_path, rows=rows))
    (found,) = facts.scan.clocks.steps
    assert (found.seq, found.by_s) == pytest.approx((10, -3600.0))
    assert "the wall clock moved by -3600.0 s" in report_text(facts)


def clock_set(at_s: float, by_s: float) -> EventRecord:
    return told(at_s, EventKind.WARNING, text="the computer's clock was set", clock_step_s=by_s)


def test_clocks_that_disagree_and_no_event_says_why_are_told_and_cost_the_exit_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at_s = ROWS[9].time_s
    rows = [replace(row, utc_s=row.utc_s - (3600.0 if row.seq >= 10 else 0.0)) for row in ROWS]
    explained = ended(tmp_path / "set", rows=rows, events=[clock_set(at_s, -3600.0)])
    assert facts_of(explained).clocks_untold == ()
    assert show_report(explained, None, html=False, json_wanted=False) == 0
    for number, events in enumerate(([], [clock_set(at_s, -36.0)], [clock_set(at_s + 600, -3600.0)])):
        tampered = ended(tmp_path / str(number), rows=rows, events=events)
        assert show_report(tampered, None, html=False, json_wanted=False) == 1
        said = capsys.readouterr().out
        assert "clocks THEY DISAGREE" in lines_of(said)
        assert "row 10: the clocks part by -3600.0 s and no event says that one was set" in lines_of(said)


def test_a_row_s_time_that_was_changed_is_told(tmp_path: Path) -> None:
    rows = [replace(row, time_s=row.time_s + 2.0) if row.seq == 20 else row for row in ROWS]
    untold = facts_of(ended(tmp_path, rows=rows)).clocks_untold
    assert [one.split(":")[0] for one in untold] == ["row 20", "row 21"]


def test_clocks_that_part_slowly_are_told_beyond_what_a_time_server_does(tmp_path: Path) -> None:
    def drifting(share: float) -> list[Row]:
        return [replace(row, utc_s=row.utc_s + share * row.time_s) for row in thick]

    thick = [
        replace(row, time_s=5.0 * row.seq, utc_s=START_UTC_S + 5.0 * row.seq) for row in cycling_rows(Shape(points=900))
    ]
    assert facts_of(ended(tmp_path / "a", rows=drifting(5e-4))).clocks_untold == ()
    (sentence,) = facts_of(ended(tmp_path / "b", rows=drifting(2e-3))).clocks_untold
    assert sentence.startswith("the clocks part by +")


RANGE = {"range_A": 1e-3, "measure_gain": 3.5e-4, "measure_offset_A": 6e-7}
EDGE = {
    "step_count": 2,
    "range_A": 1e-3,
    "to_A": -5e-4,
    "after_s": 0.36,
    "resistance_ohm": 12.5,
    "flags": ["four_wire"],
}


def test_each_step_s_charge_has_its_uncertainty_and_what_it_is_made_of(tmp_path: Path) -> None:
    info = replace(INFO, instrument={**INFO.instrument, "ranges": [RANGE]})
    lost = [told(9.0 + n, EventKind.RETRY, step_count=2, count=n, text="READ?: no answer") for n in (1, 2)]
    facts = facts_of(ended(tmp_path, info, events=[told(0.0, EventKind.EDGE, **EDGE), *lost]))
    said = lines_of(report_text(facts))
    assert "no. cycle step what mAh ± mAh edge Ω past mV range flags lost" in said
    assert "2 2 2.1 lithiate 1 0.048 12.5 2 1 mA 4 2" in said
    assert "retries 2 readings lost and asked for again" in said
    assert "2026-11-22 10:15:11 UTC (11 s): no. 2 of step 2: READ?: no answer" in said
    assert any("root of the sum of squares" in line for line in said)
    assert any(line.startswith("mAh from the step's first sample on") for line in said)
    each = report_json(facts)["each_step"]
    assert isinstance(each, list)
    assert each[1]["uncertainty_Ah"] == pytest.approx(4.81e-5, rel=0.01)  # type: ignore[index,call-overload]
    assert report_json(facts)["uncertainty"]["coverage_factor"] == 2.0  # type: ignore[index,call-overload]


def test_the_last_comparison_with_a_resistor_is_told(tmp_path: Path) -> None:
    made: dict[str, JSON] = {
        "date": "2026-11-01",
        "passed": True,
        "resistor_ohm": 1e3,
        "worst_of_allowed": 0.4,
        "same_instrument": True,
    }
    info = replace(INFO, settings={"verification": made}, instrument={**INFO.instrument, "calibration": "2026-03-01"})
    said = lines_of(report_text(facts_of(ended(tmp_path, info))))
    assert "verified 2026-11-01 with 1000 Ω: passed, largest error 40 % of what is allowed" in said
    assert "calibration 2026-03-01, 266 days before the run" in said
    old = replace(info, instrument={"calibration": "2024-03-01"})
    said_of_old = report_text(facts_of(ended(tmp_path / "old", old)))
    assert "996 days before the run: accuracies are stated for a year" in said_of_old
    other = replace(info, settings={"verification": {**made, "same_instrument": False, "serial": "9"}})
    said = lines_of(report_text(facts_of(ended(tmp_path / "b", other))))
    assert "ANOTHER INSTRUMENT, serial 9" in " ".join(said)


def test_the_rows_digest_is_the_manifest_s(run_dir: Path) -> None:
    from cycler_ctl.records.bdf import bdf_values

    digest = Digest()
    digest.add(bdf_values(row, INFO.discharge_means) for row in ROWS)
    assert facts_of(run_dir).scan.sha256 == digest.hex()
    assert facts_of(run_dir).files[0].sha256 == hashlib.sha256((run_dir / "run.sqlite").read_bytes()).hexdigest()


def test_a_run_that_goes_on_is_told_as_such_and_its_file_is_not_opened_for_a_hash(tmp_path: Path) -> None:
    writer = begun(tmp_path)
    facts = facts_of(writer.run_dir)
    assert facts.files[0].sha256 is None
    assert "NOT ENDED" in report_text(facts)
    assert writer.close()


class Page(HTMLParser):
    """Every element's name and attributes; what is written between them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_the_html_is_one_file_without_script_and_nothing_in_it_is_taken_for_markup(tmp_path: Path) -> None:
    info = replace(INFO, protocol_name="<script>alert(1)</script>", cell={"name": "<img src=x onerror=y>"})
    html = report_html(facts_of(ended(tmp_path, info)))
    page = Page()
    page.feed(html)
    assert page.open == []
    assert not {"script", "img", "link", "iframe"} & {tag for tag, _ in page.found}
    assert not any(name in attrs for _, attrs in page.found for name in ("src", "href", "onerror"))
    assert "url(" not in html
    assert "<script>alert(1)</script>" in page.words
    assert "all 30 cycles" in page.words
    assert "default-src 'none'" in html


def test_the_json_has_all_cycles_and_exceptions_and_no_nan(run_dir: Path) -> None:
    found = json.loads(json.dumps(report_json(facts_of(run_dir)), allow_nan=False))
    assert len(found["cycles"]) == 30
    assert found["outcome"] == "tripped"
    assert found["ends"][1]["exceptions"] == [{"cycle": 5, "step": "2.1", "ended_s": 300.0, "reason": "skipped by Ken"}]
    assert [event["kind"] for event in found["events"]].count("gap") == 2


def test_a_bundle_is_reported_as_its_run_and_a_change_in_it_is_told(
    run_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = export_bundle(run_dir)
    assert show_report(bundle, None, html=False, json_wanted=True) == 0
    of_bundle = json.loads(capsys.readouterr().out)
    expected = json.loads(json.dumps(report_json(facts_of(run_dir))))
    assert of_bundle.pop("bundle_changed") == []
    assert {**of_bundle, "files": 0} == {**expected, "files": 0}
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + (b"#" if name == "protocol.yaml" else b""))
    assert show_report(changed, None, html=False, json_wanted=False) == 1
    assert "CHANGED protocol.yaml" in " ".join(capsys.readouterr().out.split())


def test_a_protocol_that_is_not_its_hash_is_told_and_the_status_is_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ended(tmp_path, replace(INFO, protocol_sha256="0" * 64))
    assert show_report(run, tmp_path / "r.html", html=False, json_wanted=False) == 1
    assert "DOES NOT MATCH" in (tmp_path / "r.html").read_text("utf-8")
    assert capsys.readouterr().out == f"{tmp_path / 'r.html'}\n"


@pytest.mark.parametrize("changed", ["the run file", "the seal"])
def test_rows_that_are_not_as_they_were_sealed_are_told_and_the_status_is_one(
    run_dir: Path, capsys: pytest.CaptureFixture[str], changed: str
) -> None:
    (seal, *_) = seal_days(run_dir, START_UTC_S + 5 * DAY_S)
    assert show_report(run_dir, None, html=False, json_wanted=False) == 0
    assert "the run file's are the same" in " ".join(capsys.readouterr().out.split())
    if changed == "the seal":
        (run_dir / "sealed" / seal.name).write_bytes(b"")
    else:
        with closing(sqlite3.connect(run_dir / "run.sqlite")) as connection, connection:
            connection.execute("UPDATE compact SET voltage_V = voltage_V + 0.001 WHERE seq = 7")
    assert show_report(run_dir, None, html=False, json_wanted=False) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "THE RECORD IS NOT AS IT WAS SEALED" in said
    assert ("was changed after it was sealed" if changed == "the seal" else "differs from") in said


@pytest.mark.parametrize(
    ("current_mA", "words"), [(-1.0, "CE delithiation / lithiation"), (1.0, "CE lithiation / delithiation")]
)
def test_the_report_says_which_efficiency_it_gives(tmp_path: Path, current_mA: float, words: str) -> None:
    info = replace(INFO, plan={"steps": [{"cycles": "1-30", "current_mA": current_mA}]})
    assert words in " ".join(lines_of(report_text(facts_of(ended(tmp_path, info)))))


def test_a_predicted_run_s_report_has_the_prediction_s_cycles(tmp_path: Path) -> None:
    text = (
        "protocol: 1\nname: x\nrecord: every 1 min\nsafety: {voltage: -0.1 V to 2 V}\n"
        "cell: {name: a, diameter: 10 mm, electrode_mass: 2 mg, composition: {MgH2: 70 %, AB: 30 %},\n"
        "  active_material: MgH2, theoretical_capacity: 2038 mAh/g}\n"
        "steps:\n  - repeat:\n      times: 2\n      steps:\n"
        "        - lithiate: {at: 2 mA/cm2, until: 0.2 V}\n        - delithiate: {at: 2 mA/cm2, until: 1.2 V}\n"
    )
    program = check_text(text, "p.yaml", folder=tmp_path).program
    assert program is not None
    made = predict(program, model_of("a", program.cell), tmp_path, text)
    facts = facts_of(next((tmp_path / "runs").iterdir()))
    assert [one.lithiation_mAh_per_g for one in facts.cycles] == [one.lithiation_mAh for one in made.cycles]
    assert (facts.scan.rows, facts.scan.missing, facts.scan.clocks.steps) == (made.rows, 0, [])
    assert facts.state.outcome is Outcome.FINISHED
