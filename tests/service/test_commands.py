"""The command line as a person and a script meet it: exit statuses, JSON keys, one message for each mistake."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cycler_ctl.cli import main
from cycler_ctl.clock import SystemClock
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.writer import create_run
from cycler_ctl.testing.rows import START_UTC_S, cycling_rows
from protocols.model import Verb
from protocols.record import Outcome
from protocols.shipped import library

STATION = """
[station]
name = "lab-3"
data_dir = "data"
[http]
listen = "127.0.0.1:9"
[instruments.smu1]
driver = "keithley-2400"
address = "TCPIP0::127.0.0.1::9::SOCKET"
[channels.a1]
instrument = "smu1"
limits = { voltage = "-0.5 V to 5 V", current = "10 mA", step_capacity = "20 mAh" }
temperature = "unmonitored"
"""
RUN = "20261122-101500-a1-7f3k"


@dataclass(frozen=True)
class Said:
    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Said]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """In a folder with a station.toml, a protocol and one recorded run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CYCLER_CTL_CONFIG", raising=False)
    Path("station.toml").write_text(STATION, encoding="utf-8")
    shutil.copy(library()["fig_s3_c"], "c.yaml")
    info = RunInfo(
        run=RUN, epoch=7, channel="a1", station="lab-3", site="lab", started_utc_s=START_UTC_S, protocol_name="P",
        protocol_text="protocol: 1\n", protocol_sha256="0" * 64,
        cell={"name": "MG-0142", "electrode_mass_g": 2e-3, "active_mass_g": 1.4e-3},
        plan={}, settings={}, instrument={}, versions={}, discharge_means=Verb.LITHIATE, sample_every_s=5.0,
    )  # fmt: skip
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0)
    writer = create_run(tmp_path / "data", info, on_durable=lambda _: None, utc=SystemClock().utc, options=options)
    writer.append(list(cycling_rows()))
    writer.finish(Outcome.FINISHED, "all steps done")
    assert writer.close()

    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["cycler-ctl", *words])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, said.out, said.err)

    return run


def test_check_says_all_is_well_with_status_0(cli: Cli) -> None:
    said = cli("check", "c.yaml", "station.toml")
    assert said.status == 0
    assert "station.toml: no errors" in said.out
    assert cli("check", "station.toml", "--json").json == []


def test_check_gives_each_error_its_place_and_status_1(cli: Cli) -> None:
    text = Path("c.yaml").read_text(encoding="utf-8")
    Path("bad.yaml").write_text(text.replace("voltage <= $v_low", "V <= 1 V"), encoding="utf-8")
    Path("bad.toml").write_text(STATION.replace("limits", "limit"), encoding="utf-8")
    said = cli("check", "bad.yaml", "bad.toml")
    assert said.status == 1
    assert "bad.yaml:" in said.out
    assert "bad.toml:" in said.out
    found = cli("check", "bad.yaml", "--json").json
    assert set(found[0]) == {"file", "line", "column", "severity", "code", "message", "help"}
    assert found[0]["severity"] == "error"


def test_a_file_that_is_not_there_is_one_message_and_status_1(cli: Cli) -> None:
    for words in (("check", "no.toml"), ("check", "no.yaml"), ("plan", "no.yaml")):
        said = cli(*words)
        assert said.status == 1, words
        assert words[1] in said.out + said.err
        assert "Traceback" not in said.err


def test_wrong_usage_is_status_2(cli: Cli) -> None:
    assert cli("plan").status == 2
    assert cli("no-such-command").status == 2


def test_plan_has_the_keys_scripts_read(cli: Cli) -> None:
    said = cli("plan", "c.yaml", "--json")
    assert said.status == 0
    assert {"protocol", "cell", "steps", "at_most_s", "warnings", "expected_rows"} <= set(said.json)
    keys = {"step", "what", "cycles", "current_mA", "for_each", "ends_at", "at_most_s", "range"}
    assert all(keys <= set(step) for step in said.json["steps"])
    lithiate = next(step for step in said.json["steps"] if step["what"] == "lithiate")
    assert lithiate["current_mA"] < 0
    rest = next(step for step in said.json["steps"] if step["what"] == "rest")
    assert rest["current_mA"] is None or rest["current_mA"] == 0


def test_plan_takes_a_channel_and_variables(cli: Cli) -> None:
    said = cli("plan", "c.yaml", "--channel", "a1", "--json")
    assert said.status == 0, said.err
    assert any(step["range"] for step in said.json["steps"])
    assert cli("plan", "c.yaml", "--channel", "zz").status == 1
    assert "there are a1" in cli("plan", "c.yaml", "--channel", "zz").err
    assert "name=quantity" in cli("plan", "c.yaml", "--set", "j").err
    halved = cli("plan", "c.yaml", "--set", "j=0.1 mA/cm2", "--json").json["steps"]
    assert halved != said.json["steps"]


@pytest.mark.parametrize(
    ("setting", "other", "why"),
    [
        ('current = "10 mA"', 'current = "0.1 mA"', "above the channel's"),
        ('temperature = "unmonitored"', 'temperature = "unmonitored"\nregulation = "current"', "class is C"),
        ('voltage = "-0.5 V to 5 V"', 'voltage = "1 V to 5 V"', "reaches beyond the channel's limits"),
    ],
)
def test_plan_for_a_channel_refuses_what_a_start_there_would(cli: Cli, setting: str, other: str, why: str) -> None:
    Path("station.toml").write_text(STATION.replace(setting, other), encoding="utf-8")
    said = cli("plan", "c.yaml", "--channel", "a1")
    assert said.status == 1
    assert why in said.out.partition("checks:")[2]
    assert "refused" in {one["code"] for one in cli("plan", "c.yaml", "--channel", "a1", "--json").json["errors"]}


def test_runs_lists_what_was_recorded(cli: Cli) -> None:
    said = cli("runs", "--json")
    assert said.status == 0
    (run,) = said.json
    assert (run["run"], run["outcome"], run["channel"]) == (RUN, "finished", "a1")
    assert run["rows"] > 0
    assert RUN in cli("runs").out


def test_export_and_plot_write_files_and_say_where(cli: Cli, tmp_path: Path) -> None:
    exported = cli("export", RUN[:15], "-o", str(tmp_path / "out"))
    assert exported.status == 0, exported.err
    assert Path(exported.out.strip()).is_file()
    drawn = cli("plot", RUN, "-o", "x.svg")
    assert drawn.status == 0, drawn.err
    assert Path("x.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert cli("export", "1999").status == 1
    assert cli("export", RUN, "--format", "xlsx").status == 1


def test_drivers_tell_their_protection_class(cli: Cli) -> None:
    facts = {one["driver"]: one for one in cli("drivers", "--json").json}
    assert facts["keithley-2400"]["protection"] == "B"
    assert facts["keithley-2400"]["outputs"] == ["1"]
    assert facts["eurotherm"]["protection"] is None
    assert "experimental" in cli("drivers").out


def test_drivers_tell_what_a_current_is_known_to_by_range_and_regulation(cli: Cli) -> None:
    (ratings, _) = next(one for one in cli("drivers", "--json").json if one["driver"] == "keithley-2400")["ratings"]
    assert (ratings["options"], ratings["protection"]) == ({"regulation": "bounded"}, "B")
    milliampere = next(one for one in ratings["ranges"] if one["range_A"] == 1e-3)
    assert milliampere["sourcing"][0] < milliampere["source_gain"]
    said = cli("drivers").out
    assert "0.1 mA on the 0.1 mA range: set to ±0.53 % (±0.35 % sourcing only), read to ±0.031 %" in said
    assert "class C: plain current source" in said


def test_doctor_finds_a_broken_station_file_wherever_it_lies(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    well = cli("doctor", "--json")
    assert well.status == 0, well.out
    assert {"ok", "what", "message", "look"} == set(well.json[0])
    Path("station.toml").write_text(STATION.replace("limits", "limit"), encoding="utf-8")
    assert cli("doctor").status == 1
    assert "MEND  station.toml" in cli("doctor").out
    monkeypatch.setenv("CYCLER_CTL_CONFIG", "nowhere.toml")
    assert cli("doctor").status == 1


def test_doctor_warns_of_a_data_folder_that_a_cloud_client_copies(cli: Cli) -> None:
    Path("station.toml").write_text(STATION.replace('"data"', '"Dropbox/data"'), encoding="utf-8")
    said = cli("doctor")
    assert said.status == 1
    assert "Dropbox copies" in said.out


def test_without_a_service_commands_end_with_status_3_and_say_what_to_start(cli: Cli) -> None:
    for words in (("status",), ("stop", "a1"), ("wait", RUN), ("start", "c.yaml", "--channel", "a1")):
        said = cli(*words)
        assert said.status == 3, words
        assert "cycler-ctl serve" in said.err
        assert len(said.err.strip().splitlines()) == 1


def test_the_service_is_never_asked_through_a_proxy(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:10")
    monkeypatch.setenv("no_proxy", "")
    said = cli("status")
    assert "127.0.0.1:9 " in said.err
    assert said.status == 3


def test_an_output_that_cannot_be_confirmed_off_is_status_4(cli: Cli) -> None:
    said = cli("safe-off")
    assert said.status == 4
    assert "smu1 at TCPIP0::127.0.0.1::9::SOCKET: OFF NOT CONFIRMED" in said.out
    assert len(said.out.strip().splitlines()) == 1


def test_a_foreground_run_that_is_refused_is_status_1(cli: Cli) -> None:
    assert cli("run", "c.yaml", "--channel", "zz").status == 1
    assert "there are a1" in cli("run", "c.yaml", "--channel", "zz").err
