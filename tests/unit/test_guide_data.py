"""The page on data tells the truth: its code runs as it stands, in order, and its rule for the share is accepted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from cycler_ctl.stationfile.check import check_config_text

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guide" / "data.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(?P<kind>\w+) ?(?P<name>\S*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(match["kind"], match["name"], match["body"]) for match in FENCE.finditer(PAGE)]
STATION = """
[station]
name = "lab"
[instruments.smu1]
driver = "keithley-2400"
address = "TCPIP0::127.0.0.1::5025::SOCKET"
[channels.a1]
instrument = "smu1"
limits = { voltage = "-0.5 V to 5 V", current = "10 mA" }
"""


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))),
            "PYTHONUTF8": "1",
        },
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def test_every_block_of_code_runs_as_written_one_after_the_other_and_its_assertions_count(tmp_path: Path) -> None:
    for kind, name, body in BLOCKS:
        if kind == "yaml":
            (tmp_path / name).write_text(body, encoding="utf-8")
    code = "\n".join(body for kind, name, body in BLOCKS if kind == "python" and (not name or find_spec(name)))
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    wrong = run(code.replace("== newest.rows", "== newest.rows + 1"), tmp_path)
    assert "AssertionError" in wrong.stderr


def test_the_rule_for_the_share_is_a_station_s(tmp_path: Path) -> None:
    (rule,) = [body for kind, _, body in BLOCKS if kind == "toml"]
    config, found = check_config_text(rule + STATION, str(tmp_path / "station.toml"))
    assert found == ()
    assert config is not None
    assert config.share is not None
    assert config.share.formats == ("bundle",)
