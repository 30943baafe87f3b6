"""The reading interface: the run's own numbers as arrays, from a folder, a file or a bundle that stands alone."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cycler_ctl.reading
from cycler_ctl.errors import StoreError
from cycler_ctl.reading import list_recordings, open_recording
from cycler_ctl.store.codec import ROW_COLUMNS, row_values
from cycler_ctl.store.export.bundle import CHECKSUMS, export_bundle, verify_bundle
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import RunWriter, create_run
from cycler_ctl.testing.rows import START_UTC_S, Shape, cycling_rows
from protocols.record import CycleSummary, EventKind, EventRecord, Outcome, StepSummary

PROTOCOL = "protocol: 1\nname: å\n"
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
    cell={"name": "MG 0142/a"},
    plan={"steps": []},
    settings={},
    instrument={},
    versions={"cycler-ctl": "0.1.0"},
    discharge_means=None,
    sample_every_s=5.0,
)
STEP = StepSummary(1, "2.cv", "hold", 1, None, 0.0, 9.0, "4 h", ("20 h", "|current| < 1 µA"), 1e-3, 5e-4, 0.5, 0.2)
CYCLE = CycleSummary(1, 2e-3, 1.5e-3, 1e-3, 9e-4, 0.0, 99.0)
ROWS = [replace(row, temperature_degC=None if row.seq % 2 else 120.1) for row in cycling_rows(Shape(points=30))]


def begun(data_dir: Path, info: RunInfo = INFO) -> RunWriter:
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0, reserve_bytes=0)
    writer = create_run(data_dir, info, on_durable=lambda _: None, utc=lambda: START_UTC_S + 9e4, options=options)
    writer.append(ROWS, [EventRecord(1.0, START_UTC_S, EventKind.NOTE, {"text": "hello"})], [STEP], [CYCLE])
    assert writer.flush(5)
    return writer


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    writer = begun(tmp_path)
    writer.finish(Outcome.FINISHED, "all steps done")
    assert writer.close()
    return writer.run_dir


@pytest.mark.parametrize("page", [7, 50_000])
def test_samples_are_the_run_s_numbers_whatever_the_page(
    run_dir: Path, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cycler_ctl.reading, "PAGE", page)
    with open_recording(run_dir) as run:
        samples = run.samples()
        assert tuple(samples) == run.names == ROW_COLUMNS
    for place, name in enumerate(ROW_COLUMNS, start=1):
        expected = [(7, *row_values(row))[place] for row in ROWS]
        if name == "temperature_degC":
            assert np.isnan(samples[name][::2]).all()
            assert (samples[name][1::2] == 120.1).all()
        else:
            assert samples[name].tolist() == expected
    assert [samples[name].dtype.kind for name in ("seq", "cycle", "voltage_V", "step_id", "mark")] == [*"iifUU"]


def test_a_run_that_goes_on_is_read_as_far_as_it_is_durable_and_then_from_there(tmp_path: Path) -> None:
    writer = begun(tmp_path)
    with open_recording(str(writer.run_dir / "run.sqlite")) as run:
        assert run.state.state == "running"
        first = run.samples(["seq", "voltage_V"])
        writer.append([replace(ROWS[-1], seq=len(ROWS) + 1)])
        assert writer.flush(5)
        assert run.samples(["seq"], after_seq=int(first["seq"][-1]))["seq"].tolist() == [len(ROWS) + 1]
        nothing = run.samples(["voltage_V", "step_id"], after_seq=10**6)
        assert [(array.size, array.dtype.kind) for array in nothing.values()] == [(0, "f"), (0, "U")]
    assert writer.close()


def test_steps_cycles_events_and_what_is_known_of_the_run(run_dir: Path) -> None:
    with open_recording(run_dir) as run:
        steps, cycles = run.steps(), run.cycles()
        assert (steps["step_id"].tolist(), steps["charge_Ah"].tolist()) == (["2.cv"], [1e-3])
        assert (steps["also_met"][0], steps["label"][0]) == ("20 h; |current| < 1 µA", "")
        assert np.isnan(steps["crossing_s"]).all()
        assert np.isnan(steps["uncertainty_Ah"]).all()
        assert steps["retries"].dtype.kind == "i"
        assert (cycles["cycle"].tolist(), cycles["lithiation_Ah"].tolist()) == ([1], [2e-3])
        assert [event.data["text"] for event in run.events()] == ["hello"]
        assert (run.info.cell["name"], run.state.outcome) == ("MG 0142/a", Outcome.FINISHED)
    assert [found.run for found in list_recordings(run_dir.parent.parent)] == [INFO.run]


def test_a_frame_is_pandas_own_where_it_is_installed_and_a_clear_refusal_where_not(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = types.ModuleType("pandas")
    stand_in.DataFrame = dict  # type: ignore[attr-defined]
    with open_recording(run_dir) as run:
        monkeypatch.setitem(sys.modules, "pandas", stand_in)
        assert run.frame("cycles")["cycle"].tolist() == [1]
        monkeypatch.setitem(sys.modules, "pandas", None)
        with pytest.raises(StoreError, match="pip install pandas"):
            run.frame()
        with pytest.raises(StoreError, match="no table 'rows'"):
            run.frame("rows")


def test_a_bundle_stands_alone(run_dir: Path, tmp_path: Path) -> None:
    path = export_bundle(run_dir)
    assert path == tmp_path / "exports" / f"{INFO.run}.zip"
    with open_recording(run_dir) as run:
        expected = run.samples()
    moved = tmp_path / "elsewhere.zip"
    path.rename(moved)
    shutil.rmtree(run_dir)
    with open_recording(moved) as run:
        found = run.samples()
        assert run.info == INFO
    for name in ROW_COLUMNS:
        assert np.array_equal(found[name], expected[name], equal_nan=found[name].dtype.kind == "f")
    with zipfile.ZipFile(moved) as archive:
        assert archive.read("protocol.yaml").decode() == PROTOCOL
        assert json.loads(archive.read("cell.json")) == INFO.cell
        data = [name for name in archive.namelist() if name.startswith("data/")]
        assert [name.split(".", 1)[1] for name in data] == ["bdf.csv", "bdf.jsonld", "bdf.metadata.json"]


def test_a_report_is_in_the_bundle_of_the_run_file_that_is_in_it(run_dir: Path) -> None:
    with zipfile.ZipFile(export_bundle(run_dir)) as archive:
        of_the_copy = hashlib.sha256(archive.read(f"runs/{INFO.run}/run.sqlite")).hexdigest()
        for name in ("report.txt", "report.html"):
            assert of_the_copy in archive.read(name).decode().replace("\n", "").replace(" ", "")


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="coreutils' sha256sum checks the checksums")
def test_the_checksums_are_what_sha256sum_takes(run_dir: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(export_bundle(run_dir)) as archive:
        archive.extractall(tmp_path / "x")
        assert len(archive.namelist()) == 1 + len(archive.read(CHECKSUMS).splitlines())
    done = subprocess.run(["sha256sum", "--quiet", "-c", CHECKSUMS], cwd=tmp_path / "x", check=False)
    assert done.returncode == 0


def test_one_changed_byte_in_a_bundle_is_found(run_dir: Path, tmp_path: Path) -> None:
    path = export_bundle(run_dir)
    assert verify_bundle(path) == []
    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(changed, "w") as other:
        for name in archive.namelist():
            data = archive.read(name)
            other.writestr(name, data.replace(b"protocol: 1", b"protocol: 2") if name == "protocol.yaml" else data)
        other.writestr("added.txt", "x")
    assert verify_bundle(changed) == ["added.txt", "protocol.yaml"]


def test_a_bundle_of_a_run_that_goes_on_is_of_one_moment(tmp_path: Path) -> None:
    writer = begun(tmp_path)
    path = export_bundle(writer.run_dir, tmp_path / "now")
    with open_recording(path) as run, zipfile.ZipFile(path) as archive:
        (csv,) = [name for name in archive.namelist() if name.endswith(".csv")]
        assert run.state.state == "running"
        assert len(archive.read(csv).splitlines()) == 1 + len(run.samples(["seq"])["seq"]) == 1 + len(ROWS)
    assert writer.close()


@pytest.mark.parametrize("names", [[], ["../../run.sqlite", "/run.sqlite", "runs/x/../run.sqlite"]])
def test_a_zip_of_something_else_is_refused_and_writes_nothing_outside(tmp_path: Path, names: list[str]) -> None:
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    with pytest.raises(StoreError, match="holds no run file"):
        open_recording(path)
    assert [found.name for found in tmp_path.rglob("*")] == ["evil.zip"]
    with pytest.raises(StoreError, match="no bundle"):
        verify_bundle(path)
