"""The wheel as a stranger gets it: what is in it, and that it works in a clean environment far from this folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from lab import ask_bench

pytestmark = pytest.mark.timeout(600)  # a registry far away may take its time

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"cycler_ctl", "drivers", "protocols", "sim_hardware"}
SCRIPTS = "Scripts" if os.name == "nt" else "bin"
HELP_FACTOR, HELP_MORE_S, HELP_ROUNDS = 3.0, 0.15, 15
# each of these costs a good part of the whole budget of --help
HEAVY = {"aiomqtt", "asyncio", "fastapi", "matplotlib", "numpy", "pydantic", "pyvisa", "rich", "sqlite3", "yaml"}

REST = """
protocol: 1
name: Two seconds of rest
cell:
  name: c
  diameter: 10 mm
  electrode_mass: 2.0 mg
  composition: {MgH2: 99 %, AB: 1 %}
  active_material: MgH2
  theoretical_capacity: 2038 mAh/g
record: every 0.5 s
safety: {voltage: -0.1 V to 4 V, current: 2 mA, for: 2 s}
steps:
  - rest: 2 s
"""
STATION = """
[station]
name = "bench"
data_dir = "data"
[mqtt]
enabled = false
[http]
listen = "127.0.0.1:0"
[instruments.smu1]
driver = "keithley-2400"
address = "%s"
[channels.a1]
instrument = "smu1"
sample_every = "0.2 s"
limits = { voltage = "-0.5 V to 5 V", current = "10 mA", step_capacity = "20 mAh" }
"""
# the modules that answering --help has imported, as the console script would
MODULES_OF_HELP = """
import sys
from cycler_ctl.cli import main
sys.argv = ["cycler-ctl", "--help"]
try:
    main()
except SystemExit:
    sys.stderr.write(" ".join(sys.modules))
"""
# as the console script would
HELP = """
import sys, time
from cycler_ctl.cli import main
sys.argv = ["cycler-ctl", "--help"]
try:
    main()
except SystemExit:
    pass
"""
LOADED = """
from importlib.metadata import entry_points
for point in [*entry_points(group="cycler_ctl.drivers"), *entry_points(group="console_scripts")]:
    if point.dist.name == "cycler-ctl":
        point.load()
        print(point.name)
"""


PROTECTION = {
    "eurotherm": None,
    "keithley-2400": "B",
    "keithley-2450": "B",
    "keithley-2600": "B",
    "keysight-b2900": "B",
    "palmsens-emstat4": "A",
    "rs-ngu": "B",
}


@dataclass(frozen=True)
class Built:
    sdist: Path
    wheel: Path


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel and its dependencies, and nothing of this folder's."""

    home: Path

    @property
    def python(self) -> str:
        return self.program("python")

    def program(self, name: str) -> str:
        return str(self.home / SCRIPTS / (f"{name}.exe" if os.name == "nt" else name))

    def run(self, folder: Path, name: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program(name), *words],
            cwd=folder,
            env=clean_environment(folder),
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    def said(self, folder: Path, name: str, *words: str) -> str:
        done = self.run(folder, name, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def clean_environment(home: Path) -> dict[str, str]:
    """Without what would lead back into this folder or to a person's own settings."""
    led = ("CYCLER_CTL_", "PYTHON", "VIRTUAL_ENV", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(led)}
    return kept | {"HOME": str(home), "LOCALAPPDATA": str(home), "PYTHONUTF8": "1"}


def succeed(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist from this folder and the wheel from the sdist, so each proves that the other is whole."""
    out = tmp_path_factory.mktemp("dist")
    succeed(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT))
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return Built(sdist, wheel)


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """What ``pip install 'cycler-ctl[broker,web,plot,fast]'`` gives; this environment's pip saves making another."""
    made = Installed(tmp_path_factory.mktemp("clean") / "venv")
    venv.create(made.home)
    pip = (sys.executable, "-m", "pip", "--python", made.python, "install", "--quiet", "--no-compile")
    succeed(*pip, "--disable-pip-version-check", f"{built.wheel}[broker,web,plot,fast]")
    return made


@pytest.fixture(scope="module")
def names(built: Built) -> set[str]:
    with zipfile.ZipFile(built.wheel) as wheel:
        return {name for name in wheel.namelist() if not name.endswith("/")}


def sources(package: str) -> set[str]:
    files = (path for path in (ROOT / package).rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in files}


def test_the_wheel_holds_the_four_packages_and_nothing_else(names: set[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == PACKAGES
    assert len(tops) == len(PACKAGES) + 1


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_a_package_is_in_the_wheel_with_all_its_files(names: set[str], package: str) -> None:
    assert {name for name in names if name.startswith(f"{package}/")} == sources(package)
    assert f"{package}/py.typed" in names


@pytest.mark.parametrize(
    "name",
    [
        "protocols/library/fig_s3_a.yaml",
        "protocols/library/protocol.schema.json",
        "cycler_ctl/store/schema/001.sql",
        "cycler_ctl/web/static/index.html",
    ],
)
def test_the_files_that_are_no_modules_are_in_the_wheel(names: set[str], name: str) -> None:
    assert name in names


def test_the_source_archive_holds_what_a_packager_needs_to_build_and_test(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "run.py",
        "tests/conftest.py",
        "tests/support/lab.py",
    } <= held
    assert not {name for name in held if name.startswith((".venv", ".git/", "data/", "demo-data"))}


def test_both_programs_and_every_driver_load(installed: Installed, tmp_path: Path) -> None:
    loaded = installed.said(tmp_path, "python", "-I", "-c", LOADED).split()
    assert sorted(loaded) == sorted(["cycler-ctl", "cycler-sim", *PROTECTION])


def test_what_is_imported_is_the_wheel_and_not_this_folder(installed: Installed, tmp_path: Path) -> None:
    where = installed.said(tmp_path, "python", "-c", "import drivers, protocols; print(drivers.__file__)")
    assert Path(where.strip()).is_relative_to(installed.home)


@pytest.mark.parametrize("name", ["pytest", "psutil", "pyarrow", "hatchling"])
def test_what_the_wheel_does_not_ask_for_is_not_there(installed: Installed, tmp_path: Path, name: str) -> None:
    done = installed.run(tmp_path, "python", "-c", f"import {name}")
    assert f"No module named '{name}'" in done.stderr


def test_the_programs_say_how_they_are_used(installed: Installed, tmp_path: Path) -> None:
    assert "safe-off" in installed.said(tmp_path, "cycler-ctl", "--help")
    assert "keithley-2400" in installed.said(tmp_path, "cycler-sim", "--help")


def test_the_drivers_are_listed_with_what_protects_the_cell(installed: Installed, tmp_path: Path) -> None:
    listed = json.loads(installed.said(tmp_path, "cycler-ctl", "drivers", "--json"))
    assert {one["driver"]: one["protection"] for one in listed} == PROTECTION


def test_a_shipped_protocol_is_checked_and_planned(installed: Installed, tmp_path: Path) -> None:
    library = installed.said(tmp_path, "python", "-c", "from protocols.shipped import FOLDER; print(FOLDER)").strip()
    shipped = str(Path(library) / "fig_s3_a.yaml")
    installed.said(tmp_path, "cycler-ctl", "check", shipped)
    assert "-0.3927 mA" in installed.said(tmp_path, "cycler-ctl", "plan", shipped)


def findings(done: subprocess.CompletedProcess[str]) -> dict[str, bool]:
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return {one["what"]: one["ok"] for one in found}


def test_the_doctor_finds_nothing_wrong_and_every_extra(installed: Installed, tmp_path: Path) -> None:
    done = installed.run(tmp_path, "cycler-ctl", "doctor", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(findings(done).values())
    missing = [one["what"] for one in json.loads(done.stdout) if "not installed" in one["message"]]
    assert set(missing) <= {"usb"}, missing


def shadow(folder: Path) -> None:
    """A package of the user's own that happens to be called drivers."""
    (folder / "drivers").mkdir()
    (folder / "drivers" / "__init__.py").write_text("", encoding="utf-8")


def test_the_doctor_reports_a_folder_that_hides_the_drivers(installed: Installed, tmp_path: Path) -> None:
    shadow(tmp_path)
    hidden = installed.run(tmp_path, "python", "-m", "cycler_ctl.cli", "doctor", "--json")
    assert hidden.returncode == 1
    assert findings(hidden)["package drivers"] is False
    assert str(tmp_path) in hidden.stdout


def test_the_console_script_takes_nothing_from_the_folder_it_is_started_in(
    installed: Installed, tmp_path: Path
) -> None:
    shadow(tmp_path)
    assert installed.run(tmp_path, "cycler-ctl", "doctor").returncode == 0


def test_a_folder_of_files_called_protocols_hides_nothing(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "protocols").mkdir()
    (tmp_path / "protocols" / "mine.yaml").write_text(REST, encoding="utf-8")
    assert installed.run(tmp_path, "python", "-m", "cycler_ctl.cli", "doctor").returncode == 0


@contextmanager
def simulated(installed: Installed, folder: Path) -> Iterator[dict[str, Any]]:
    """A 2400 in a process of its own; gone with its standard input."""
    command = [installed.program("cycler-sim"), "keithley-2400", "--cell", "c", "--until-stdin-closes"]
    with subprocess.Popen(
        command, cwd=folder, env=clean_environment(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        said: dict[str, Any] = json.loads(process.stdout.readline())
        yield said


def test_a_whole_run_finishes_with_the_output_off_whatever_lies_in_its_folder(
    installed: Installed, tmp_path: Path
) -> None:
    shadow(tmp_path)  # the station is a child process: it too must import ours
    (tmp_path / "rest.yaml").write_text(REST, encoding="utf-8")
    with simulated(installed, tmp_path) as smu:
        (tmp_path / "station.toml").write_text(STATION % smu["address"], encoding="utf-8")
        done = installed.run(tmp_path, "cycler-ctl", "run", "rest.yaml", "--channel", "a1", "--json")
        truth = ask_bench(smu["control"], do="truth", name="instrument")["truth"]
    assert done.returncode == 0, done.stdout + done.stderr
    ended = json.loads(done.stdout)
    assert ended["outcome"] == "finished"
    assert ended["rows"] >= 4  # 2 s at one row each 0.5 s
    assert truth["output_on"] is False
    (listed,) = json.loads(installed.said(tmp_path, "cycler-ctl", "runs", "--json"))
    assert listed["run"] == ended["run"]


def test_help_imports_nothing_heavy(installed: Installed, tmp_path: Path) -> None:
    done = installed.run(tmp_path, "python", "-c", MODULES_OF_HELP)
    modules = {name.partition(".")[0] for name in done.stderr.split()}
    assert "typer" in modules
    assert not modules & HEAVY


def seconds(installed: Installed, folder: Path, program: str) -> float:
    """Of the processor, which other work on the machine does not add to."""
    return float(installed.said(folder, "python", "-c", f"{program}\nprint(time.process_time())").split()[-1])


def test_help_answers_at_once(installed: Installed, tmp_path: Path) -> None:
    """The best of several, taken in turn: a cold disk or a slow moment only ever makes a round worse."""
    nothing = help_s = float("inf")
    for _ in range(HELP_ROUNDS):
        nothing = min(nothing, seconds(installed, tmp_path, "import time"))
        help_s = min(help_s, seconds(installed, tmp_path, HELP))
        if help_s <= HELP_FACTOR * nothing + HELP_MORE_S:
            return
    pytest.fail(f"--help takes {help_s:.3f} s of the processor where python alone takes {nothing:.3f} s")
