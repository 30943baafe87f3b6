"""Other people's programs read our exports. They weigh 0.6 GB, so they come with the extra ``interop`` only."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cycler_ctl.bdf import bdf_columns
from cycler_ctl.store.export.bdf_csv import export_bdf_csv
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import create_run
from cycler_ctl.testing.rows import Shape, cycling_rows
from protocols.model import Verb
from protocols.record import Outcome

# batterydf 0.1.0 is older than the ontology 1.3.0 whose terms these are
UNKNOWN_TO_0_1_0 = {"Step Type", "Step ID", "Step Time / s", "Record Index / 1"} | {
    column.label
    for column in bdf_columns()
    if column.label.startswith(("Cycle ", "Step ")) and "harging" in column.label
}


@pytest.fixture(params=[Verb.LITHIATE, Verb.DELITHIATE])
def export(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    cell: dict[str, Any] = {"name": "a", "temperature_degC": 120.0}
    run = "20261122-101500-a1-7f3k"
    info = RunInfo(run, 5, "a1", "lab", "site", 0.0, "", "", "00" * 32, cell, {}, {}, {}, {}, request.param, 1.0)
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0)
    writer = create_run(tmp_path, info, on_durable=lambda run: None, options=options)
    writer.append(list(cycling_rows(Shape())))
    writer.finish(Outcome.FINISHED, "")
    assert writer.close()
    return export_bdf_csv(writer.run_dir)


def ask(reader: str, script: str, export: Path) -> subprocess.CompletedProcess[str]:
    """Another program's reader in a process of its own: it brings global state and warnings that are not ours."""
    if find_spec(reader) is None:
        pytest.skip(f"{reader} is not installed (extra: interop)")
    command = [sys.executable, "-c", script, str(export)]
    return subprocess.run(command, cwd=export.parent, capture_output=True, text=True, check=False)


def read_by(reader: str, script: str, export: Path) -> Any:
    done = ask(reader, script, export)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


VALIDATE = """
import json, sys, bdf
report = bdf.validate(bdf.read(sys.argv[1]), report=False)
facts = {"ok": report["ok"], "missing": report["missing"], "extras": list(report["extras"])}
print(json.dumps(facts | {"monotonic": bool(report["time_stats"]["monotonic"])}))
"""
CAPACITIES = """
import json, sys
from navani import echem
data = echem.echem_file_loader(sys.argv[1])
print(json.dumps(data.groupby("half cycle")["Capacity"].max().tolist()))
"""


def test_the_official_validator_accepts_the_export(export: Path) -> None:
    report = read_by("bdf", VALIDATE, export)
    assert (report["ok"], report["missing"], report["monotonic"]) == (True, [], True)
    assert set(report["extras"]) <= UNKNOWN_TO_0_1_0


def test_the_official_validator_misses_a_column_that_is_not_there(export: Path) -> None:
    header, rest = export.read_text(encoding="utf-8").split("\n", 1)
    export.write_text(header.replace("Voltage / V", "Something / V", 1) + "\n" + rest, encoding="utf-8")
    assert "Missing required columns: ['Voltage / V']" in ask("bdf", VALIDATE, export).stderr


def test_navani_reads_the_capacities_that_were_passed(export: Path) -> None:
    found = read_by("navani", CAPACITIES, export)
    assert [value for value in found if value > 0] == pytest.approx([2.2, 1.65, 1.7, 1.65])
