"""The whole service in processes, against simulated instruments in another process, asked for their own truth."""

from __future__ import annotations

import json
import os
import signal
import sys
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from lab import Bench, Lab, end, make_lab, open_bench, until

from cycler_ctl.store.reader import open_run
from protocols.record import EventKind

LEASE_S = 3.0


def start(lab: Lab) -> str:
    answer = lab.command("start", "quick.yaml", "--channel", "a1")
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


async def current_flows(lab: Lab) -> None:
    await until(lambda: abs(lab.bench.truth()["current_A"]) > 1e-4)


def rows_of(lab: Lab) -> int:
    with open_run(lab.run_dir()) as reader:
        return reader.last_seq


def lines_of(path: str) -> int:
    return len(Path(path).read_text(encoding="utf-8").splitlines())


async def test_a_run_started_by_command_can_be_watched_stopped_and_exported(lab: Lab) -> None:
    await lab.serve()
    run = start(lab)
    await current_flows(lab)
    assert lab.channel()["state"] == "running"
    assert lab.channel()["energised"] is True

    stopped = lab.command("stop", "a1")
    assert stopped.returncode == 0, stopped.stderr
    assert lab.bench.truth()["output_on"] is False
    assert lab.channel()["state"] == "stopped"
    assert lab.channel()["energised"] is False

    waited = lab.command("wait", run, "--json")
    assert waited.returncode == 1  # it was stopped, it did not finish
    assert json.loads(waited.stdout)["outcome"] == "stopped"
    listed = json.loads(lab.command("runs", "--json").stdout)
    assert [one["run"] for one in listed] == [run]
    exported = lab.command("export", run, "-o", str(lab.folder))
    assert exported.returncode == 0, exported.stderr
    assert lines_of(exported.stdout.strip()) - 1 == listed[0]["rows"] > 0


async def test_a_killed_station_leaves_the_output_off_and_every_announced_row_on_disk(lab: Lab) -> None:
    guardian = await lab.serve()
    start(lab)
    await current_flows(lab)
    await until(lambda: rows_of(lab) >= 5)
    announced = rows_of(lab)

    os.kill(lab.station_pid(guardian), signal.SIGKILL)
    took_s = await until(lambda: lab.bench.truth()["output_on"] is False)
    assert took_s <= LEASE_S + 1.0
    assert rows_of(lab) >= announced

    await until(lab.answers)
    assert lab.channel()["state"] == "interrupted"
    refused = lab.command("start", "quick.yaml", "--channel", "a1")
    assert refused.returncode == 1
    assert "acknowledge" in refused.stderr
    assert lab.command("acknowledge", "a1").returncode == 0
    assert lab.channel()["state"] == "idle"
    assert lab.bench.truth()["output_on"] is False


async def test_a_killed_station_goes_on_with_its_run_when_a_person_says_resume(lab: Lab) -> None:
    guardian = await lab.serve()
    run = start(lab)
    await current_flows(lab)
    await until(lambda: rows_of(lab) >= 5)
    os.kill(lab.station_pid(guardian), signal.SIGKILL)
    await until(lambda: lab.answers() and lab.channel()["state"] == "interrupted" and lab.ready())
    assert "cycler-ctl resume a1" in lab.command("start", "quick.yaml", "--channel", "a1").stderr
    before = rows_of(lab)

    resumed = lab.command("resume", "a1")
    assert resumed.returncode == 0, resumed.stderr
    assert lab.channel()["run"] == run
    await current_flows(lab)
    await until(lambda: rows_of(lab) >= before + 5)
    assert lab.command("stop", "a1").returncode == 0
    with open_run(lab.run_dir()) as reader:
        rows = reader.rows()
        assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
        assert len(reader.epochs) == 2
        (gap, more) = [event.data["gap_s"] for event in reader.events() if event.kind is EventKind.GAP]
    hole_s = max(after.time_s - row.time_s for row, after in pairwise(rows))
    assert float(str(gap)) + float(str(more)) == pytest.approx(hole_s, abs=2.0)


async def test_safe_off_works_without_the_service(lab: Lab) -> None:
    guardian = await lab.serve()
    start(lab)
    await current_flows(lab)
    station = lab.station_pid(guardian)
    guardian.send_signal(signal.SIGSTOP)
    os.kill(station, signal.SIGKILL)
    assert lab.bench.truth()["output_on"] is True  # nobody is left to turn it off: the control of this test
    done = lab.command("safe-off")
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.bench.truth()["output_on"] is False
    guardian.send_signal(signal.SIGCONT)


async def test_a_run_in_the_foreground_needs_no_service(lab: Lab) -> None:
    text = (lab.folder / "quick.yaml").read_text(encoding="utf-8")
    head = text[: text.index("steps:")]
    (lab.folder / "rest.yaml").write_text(head + "steps:\n  - rest: 1 s\n", encoding="utf-8")
    process = lab.launch("run", "rest.yaml", "--channel", "a1", "--json")
    await until(lambda: process.poll() is not None)
    assert process.returncode == 0, lab.log()
    said = json.loads(lab.log().splitlines()[-1])
    assert said["outcome"] == "finished"
    assert said["rows"] >= 4
    assert lab.bench.truth()["output_on"] is False


async def test_a_wrong_protocol_is_refused_with_its_place_and_energises_nothing(lab: Lab) -> None:
    await lab.serve()
    wrong = (
        (lab.folder / "quick.yaml").read_text(encoding="utf-8").replace("until: voltage <= $v_low", "until: V <= 1 V")
    )
    (lab.folder / "wrong.yaml").write_text(wrong, encoding="utf-8")
    answer = lab.command("start", "wrong.yaml", "--channel", "a1")
    assert answer.returncode == 1
    assert "wrong.yaml:" in answer.stderr
    assert "error[condition]: 'V' is not something a condition can watch" in answer.stderr
    assert lab.bench.truth()["output_on"] is False
    assert not (lab.data / "runs").exists()


async def test_an_absent_instrument_is_said_in_one_line_and_the_others_work(tmp_path: Path, bench: Bench) -> None:
    lab = make_lab(tmp_path, bench)
    extra = (
        '[instruments.gone]\ndriver = "keithley-2400"\naddress = "TCPIP0::127.0.0.1::9::SOCKET"\n'
        '[channels.b1]\ninstrument = "gone"\ntemperature = "oven1"\n'
        'limits = { voltage = "-0.5 V to 5 V", current = "10 mA" }\n'
    )
    with (tmp_path / "station.toml").open("a", encoding="utf-8") as file:
        file.write(extra)
    try:
        lab.launch("serve")
        await until(lambda: lab.answers() and lab.channel()["energised"] is False)
        refused = lab.command("start", "quick.yaml", "--channel", "b1")
        assert refused.returncode == 1
        assert "TCPIP0::127.0.0.1::9::SOCKET" in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1
        start(lab)
        await current_flows(lab)
    finally:
        end(lab)


async def test_another_serial_number_is_refused(tmp_path: Path, bench: Bench) -> None:
    lab = make_lab(tmp_path, bench, more='serial = "7654321"')
    try:
        lab.launch("serve")
        await until(lab.answers)
        await until(lambda: "1234567" in lab.command("start", "quick.yaml", "--channel", "a1").stderr)
        refused = lab.command("start", "quick.yaml", "--channel", "a1")
        assert "7654321" in refused.stderr
        assert bench.truth()["output_on"] is False
    finally:
        end(lab)


async def test_a_data_folder_that_cannot_be_written_refuses_the_start(lab: Lab) -> None:
    await lab.serve()
    (lab.data / "runs").write_text("in the way", encoding="utf-8")
    refused = lab.command("start", "quick.yaml", "--channel", "a1")
    assert refused.returncode == 1
    assert str(lab.data) in refused.stderr
    assert lab.bench.truth()["output_on"] is False


PATCH = """from pathlib import Path
from cycler_ctl.watching import lease
from cycler_ctl.computer import wakeful
wakeful.SUPPLIES, lease.ALIVE_S = Path({supplies!r}), 4.0
"""


async def test_on_a_battery_no_run_begins_unless_station_toml_says_that_it_may(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so for a station that is started anew: this one because it stood still, with nothing on."""
    supplies = lab.folder / "supplies"
    (supplies / "BAT0").mkdir(parents=True)
    (supplies / "BAT0" / "type").write_text("Battery", encoding="ascii")
    (supplies / "BAT0" / "status").write_text("Discharging", encoding="ascii")
    (lab.folder / "sitecustomize.py").write_text(PATCH.format(supplies=str(supplies)), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(lab.folder))
    service = await lab.serve()
    refused = lab.command("start", "quick.yaml", "--channel", "a1")
    assert refused.returncode == 1
    assert "battery" in refused.stderr
    assert not (lab.data / "runs").exists()

    file, station = lab.folder / "station.toml", lab.station_pid(service)
    file.write_text(file.read_text(encoding="utf-8").replace("[station]", "[station]\nmay_sleep = true"))
    os.kill(station, signal.SIGSTOP)
    await until(lambda: not psutil.pid_exists(station))
    assert "the station stands still: taking over" in lab.log()
    await until(lambda: lab.answers() and lab.ready())
    start(lab)


async def test_a_second_service_on_the_same_data_is_refused(lab: Lab) -> None:
    await lab.serve()
    second = lab.command("serve")
    assert second.returncode == 1
    assert str(lab.data) in second.stderr


async def test_safe_off_says_when_it_is_the_service_that_holds_the_instrument(lab: Lab) -> None:
    await lab.serve()
    start(lab)
    await current_flows(lab)
    refused = lab.command("safe-off")
    assert refused.returncode == 4
    assert "the service is running" in refused.stderr
    assert lab.channel()["state"] == "running"


def test_no_service_is_exit_status_3(lab: Lab) -> None:
    answer = lab.command("status")
    assert answer.returncode == 3
    assert "cycler-ctl serve" in answer.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX")
@pytest.mark.parametrize("listen", ["127.0.0.1:0", "pty"])
async def test_a_run_goes_through_pyvisa_where_the_station_says_so(tmp_path: Path, listen: str) -> None:
    with open_bench(tmp_path, listen) as bench:
        lab = make_lab(tmp_path, bench, more='backend = "visa"')
        try:
            await lab.serve()
            start(lab)
            await current_flows(lab)
            assert lab.command("stop", "a1").returncode == 0
            assert bench.truth()["output_on"] is False
        finally:
            end(lab)
