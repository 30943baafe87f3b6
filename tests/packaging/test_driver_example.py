"""The example of a driver in a package of its own: built, installed, found and tested as its author would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "driver-example"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the built package was installed, alone."""
    source, site = tmp_path_factory.mktemp("example"), tmp_path_factory.mktemp("site")
    shutil.copytree(EXAMPLE, source, dirs_exist_ok=True)
    said("-m", "build", "--wheel", "--no-isolation", str(source))
    wheel = next((source / "dist").glob("*.whl"))
    said("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel))
    return site


def said(*words: str, folder: Path = EXAMPLE.parent, path: Path | None = None) -> str:
    environment = os.environ | ({} if path is None else {"PYTHONPATH": str(path)})
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_package_of_somebody_elses_adds_a_driver(site: Path, tmp_path: Path) -> None:
    listed = json.loads(said("-m", "cycler_ctl.cli", "drivers", "--json", folder=tmp_path, path=site))
    found = {one["driver"]: one for one in listed}
    assert found["acme-smu1"]["protection"] == "B"
    assert "keithley-2400" in found


def test_the_example_passes_its_own_tests(site: Path, tmp_path: Path) -> None:
    for name in ("test_acme_smu1.py", "simulated_smu1.py"):
        shutil.copy(EXAMPLE / name, tmp_path)
    options = ("-q", "-p", "no:cacheprovider", "-W", "error", "-o", "asyncio_default_fixture_loop_scope=function")
    assert " passed" in said("-m", "pytest", *options, folder=tmp_path, path=site)


def test_without_the_package_nobody_knows_the_driver(tmp_path: Path) -> None:
    assert "acme-smu1" not in said("-m", "cycler_ctl.cli", "drivers", "--json", folder=tmp_path)
