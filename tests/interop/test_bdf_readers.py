"""Other people's programs read our exports and find the run file's capacities: half and full cell, CCCV, GITT.

They weigh 0.6 GB, so they come with the extra ``interop`` only.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from cycler_ctl.predict import model_of, predict
from cycler_ctl.records.bdf import Columns
from cycler_ctl.store.export.bdf_csv import export_bdf_csv
from cycler_ctl.store.export.formats import export_run_as
from cycler_ctl.store.reader import open_run
from protocols.check import check_text
from protocols.model import Verb
from protocols.record import Outcome
from sim_hardware.loads import Load

TERMS = Path(__file__).parents[1] / "unit" / "data" / "bdf-terms-1.3.0.csv"

# The four that interfaces promise, and what the built-in list of batterydf 0.1.0 lacks of the ontology 1.3.0
FOUR = {"Step Type", "Step ID", "Step Time / s", "Record Index / 1"}
NEWER_THAN_0_1_0 = {
    f"{scope} {way} {what}"
    for scope in ("Cycle", "Step")
    for way in ("Charging", "Discharging")
    for what in ("Capacity / Ah", "Energy / Wh")
}
HALF_CELL = """
  - repeat:
      times: 2
      steps:
        - lithiate: {at: 1 mA/cm2, until: 0.2 V}
        - rest: 10 min
        - delithiate: {at: 1 mA/cm2, until: 1.2 V}
"""
CCCV = """
  - repeat:
      times: 2
      steps:
        - charge: {at: C/2, until: 4.2 V, then_hold_until: C/20 or 2 h}
        - rest: 10 min
        - discharge: {at: C/2, until: 2.8 V}
        - rest: 10 min
"""
GITT = """
  - gitt:
      charge: {at: C/5, for: 30 min}
      rest: {for: 20 min}
      until: 4.1 V
      pulses: 5
  - gitt:
      discharge: {at: C/5, for: 30 min}
      rest: {for: 20 min}
      until: 2.8 V
      pulses: 4
"""
MGH2 = """{name: MG-0142, diameter: 10 mm, electrode_mass: 2.0 mg, composition: {MgH2: 70 %, AB: 30 %},
  active_material: MgH2, theoretical_capacity: 2038 mAh/g}
safety: {voltage: -0.1 V to 2 V}"""
NMC = """{name: GN-7, nominal_capacity: 3 mAh, discharge_means: lithiate}
safety: {voltage: 2.3 V to 4.6 V}"""
# The graphite of that full cell as working electrode: the cell is measured from its other side
GRAPHITE = """{name: GN-7, nominal_capacity: 3 mAh, discharge_means: delithiate}
safety: {voltage: -4.6 V to -2.3 V}"""
RUNS = {
    "half cell": ("a", MGH2, HALF_CELL),
    "full cell": ("nmc", GRAPHITE, CCCV.replace("4.2 V", "-4.2 V").replace("2.8 V", "-2.8 V")),
    "cccv": ("nmc", NMC, CCCV),
    "gitt": ("nmc", NMC, GITT),
}


class Turned:
    """A cell with its leads exchanged."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self.set_temperature, self.save, self.restore = load.set_temperature, load.save, load.restore

    def advance(self, dt_s: float, current_A: float) -> None:
        self._load.advance(dt_s, -current_A)

    def voltage(self, current_A: float) -> float:
        return -self._load.voltage(-current_A)

    def current_for(self, voltage_V: float, limit_A: float) -> float:
        return -self._load.current_for(-voltage_V, limit_A)

    def truth(self) -> dict[str, float]:
        return self._load.truth()


@pytest.fixture(scope="module", params=RUNS)
def run_dir(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the real engine on a simulated cell."""
    model, cell, steps = RUNS[request.param]
    checked = check_text(f"protocol: 1\nname: t\ncell: {cell}\nrecord: every 60 s or 5 mV\nsteps:{steps}", "t.yaml")
    assert checked.program is not None, checked.diagnostics
    program = replace(checked.program, settings=replace(checked.program.settings, sample_every_s=10.0))
    folder = tmp_path_factory.mktemp("run")
    simulated = model_of(model, program.cell)
    if program.cell.discharge_means is Verb.DELITHIATE:
        simulated = replace(simulated, load=Turned(simulated.load))
    assert predict(program, simulated, folder).outcome is Outcome.FINISHED
    (found,) = (folder / "runs").iterdir()
    return found


@pytest.fixture
def export(run_dir: Path, tmp_path: Path) -> Path:
    return export_bdf_csv(run_dir, tmp_path)


def capacities_mAh(run_dir: Path) -> list[float]:
    """What the run file says passed one way before current flowed the other way."""
    with open_run(run_dir) as reader:
        ends = {row.step_count: row.step_total for row in reader.rows()}
    passed = [(end.oxidation_Ah - end.reduction_Ah) * 1e3 for end in ends.values()]
    return [abs(sum(group)) for _, group in groupby(filter(None, passed), key=lambda mAh: mAh > 0)]


def ask(reader: str, script: str, export: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Another program's reader in a process of its own: it brings global state and warnings that are not ours."""
    if find_spec(reader) is None:
        pytest.skip(f"{reader} is not installed (extra: interop)")
    command = [sys.executable, "-c", script, str(export)]
    known = {name: value for name, value in os.environ.items() if not name.startswith("BDF_")}
    home = {"HOME": str(export.parent), "USERPROFILE": str(export.parent)}  # where they keep caches
    variables = known | home | environment
    return subprocess.run(command, cwd=export.parent, env=variables, capture_output=True, text=True, check=False)


def read_by(reader: str, script: str, export: Path, **environment: str) -> Any:
    done = ask(reader, script, export, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


VALIDATE = """
import json, sys, bdf
report = bdf.validate(bdf.read(sys.argv[1]), report=False)
facts = {key: report[key] for key in ("ok", "missing", "extras", "legacy_labels")}
print(json.dumps(facts | {"monotonic": bool(report["time_stats"]["monotonic"])}))
"""
NAVANI = """
import json, sys
from navani import echem
data = echem.echem_file_loader(sys.argv[1])
print(json.dumps(data[data["half cycle"] > 0].groupby("half cycle")["Capacity"].max().tolist()))
"""
# Its own columns from ours, as its guide shows for a "generic" cycler; then the charge of each half cycle
PYPROBE = """
import json, sys, polars as pl, pyprobe
from pyprobe.cyclers import column_maps as maps
cell = pyprobe.Cell(info={})
cell.import_from_cycler("run", "generic", sys.argv[1], column_importers=[
    maps.CastAndRenameMap("Time [s]", "Test Time / s", pl.Float64),
    maps.CastAndRenameMap("Step", "Step Count / 1", pl.UInt64),
    maps.ConvertUnitsMap("Current [A]", "Current / *"),
    maps.ConvertUnitsMap("Voltage [V]", "Voltage / *"),
    maps.CapacityFromChDchMap("Charging Capacity / *", "Discharging Capacity / *"),
])
Ah = cell.procedure["run"].get("Capacity [Ah]").tolist()
turns, way = [0], 0
for at in range(1, len(Ah)):
    new = (Ah[at] > Ah[at - 1]) - (Ah[at] < Ah[at - 1])
    if new and way and new != way:
        turns.append(at - 1)
    way = new or way
ends = [*turns, len(Ah) - 1]
print(json.dumps([abs(Ah[b] - Ah[a]) * 1e3 for a, b in zip(ends, ends[1:])]))
"""


def accepted(report: dict[str, Any]) -> set[str]:
    """The remarks of a validator that found nothing else to say."""
    facts = report["ok"], report["missing"], report["legacy_labels"], report["monotonic"]
    assert facts == (True, [], [], True)
    return set(report["extras"])


@pytest.mark.parametrize("kind", ["bdf-csv", "bdf-parquet"])
def test_the_official_validator_accepts_the_export_and_remarks_on_the_four_and_no_other(
    kind: str, run_dir: Path, tmp_path: Path
) -> None:
    if kind == "bdf-parquet":
        pytest.importorskip("pyarrow")
    assert accepted(read_by("bdf", VALIDATE, export_run_as(kind, run_dir, tmp_path))) == FOUR


def test_with_all_columns_it_remarks_on_what_is_newer_than_itself_too(run_dir: Path, tmp_path: Path) -> None:
    export = export_bdf_csv(run_dir, tmp_path, Columns.ALL)
    assert accepted(read_by("bdf", VALIDATE, export)) == FOUR | NEWER_THAN_0_1_0


def test_with_the_format_s_present_terms_it_remarks_on_nothing_but_two_of_the_four(
    run_dir: Path, tmp_path: Path
) -> None:
    """It takes the ontology from a file or an address, and misses there only what has no unit."""
    export = export_bdf_csv(run_dir, tmp_path, Columns.ALL)
    path = export.with_name("terms.ttl")
    path.write_text("\n".join(ontology()), encoding="utf-8")
    assert accepted(read_by("bdf", VALIDATE, export, BDF_ONTOLOGY_PATH=str(path))) == {"Step Type", "Step ID"}


def ontology() -> list[str]:
    """The terms as the validator looks for them in the format's ontology: names only, which are facts."""
    with TERMS.open(encoding="utf-8", newline="") as file:
        terms = [(row["machine_name"], row["preferred_label"]) for row in csv.DictReader(file)]
    space = "https://w3id.org/battery-data-alliance/ontology/battery-data-format#"
    return [
        f"@prefix : <{space}> .",
        "@prefix owl: <http://www.w3.org/2002/07/owl#> .",
        "@prefix skos: <http://www.w3.org/2004/02/skos/core#> .",
        *(f':{name} a owl:Class ; skos:prefLabel "{label}"@en ; skos:notation "{name}" .' for name, label in terms),
    ]


def test_the_official_validator_misses_a_column_that_is_not_there(export: Path) -> None:
    header, rest = export.read_text(encoding="utf-8").split("\n", 1)
    export.write_text(header.replace("Voltage / V", "Something / V", 1) + "\n" + rest, encoding="utf-8")
    assert "Missing required columns: ['Voltage / V']" in ask("bdf", VALIDATE, export).stderr


@pytest.mark.parametrize(("reader", "script"), [("navani", NAVANI), ("pyprobe", PYPROBE)])
def test_other_people_s_readers_find_the_capacities_of_the_run_file(
    reader: str, script: str, run_dir: Path, export: Path
) -> None:
    expected = capacities_mAh(run_dir)
    assert len(expected) >= 2
    assert read_by(reader, script, export) == pytest.approx(expected, rel=1e-4)
