"""The day of an instrument's last calibration: station.toml says it, every run keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycler_ctl.stationfile.check import check_config_text

STATION = """[station]
name = "lab"
[instruments.smu1]
driver = "keithley-2400"
address = "TCPIP0::127.0.0.1::5025::SOCKET"
[channels.a1]
instrument = "smu1"
limits = { voltage = "-0.5 V to 5 V", current = "10 mA" }
"""


@pytest.mark.parametrize("written", ["2026-03-01", '"2026-03-01"'])
def test_the_day_of_a_calibration_may_be_toml_s_own_or_text(written: str, tmp_path: Path) -> None:
    text = STATION.replace('driver = "keithley-2400"', f'driver = "keithley-2400"\ncalibrated = {written}', 1)
    config, found = check_config_text(text, str(tmp_path / "station.toml"))
    assert config is not None, found
    assert config.instruments["smu1"].calibrated == "2026-03-01"


@pytest.mark.parametrize("written", ['"last spring"', "2026", "2026-03-01T10:00:00Z"])
def test_what_is_no_day_is_an_error_where_it_stands(written: str, tmp_path: Path) -> None:
    text = STATION.replace('driver = "keithley-2400"', f'driver = "keithley-2400"\ncalibrated = {written}', 1)
    config, found = check_config_text(text, str(tmp_path / "station.toml"))
    assert config is None
    assert "calibrated = 2026-03-01" in str(found[0].help)
