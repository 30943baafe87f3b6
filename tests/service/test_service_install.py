"""The service under systemd and the Task Scheduler, with stand-ins for both that write down what they are told."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from xml.etree import ElementTree

import pytest
from filelock import FileLock
from proofs import proven

from cycler_ctl.config import load_config
from cycler_ctl.errors import ConfigError, RefusedError
from cycler_ctl.guardian import LOCK_FILE
from cycler_ctl.installing.command import Service, active, install, service_of, show, uninstall
from cycler_ctl.installing.managers import TaskScheduler
from cycler_ctl.installing.rendering import Place, system_unit, task, unit_word, user_unit
from cycler_ctl.terminal.asking import Asking
from cycler_ctl.watching.register import SafeOffEntry, write_register

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")
DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNIX = Place(
    PurePosixPath("/opt/cycler-ctl/bin/cycler-ctl"),
    PurePosixPath("/etc/cycler-ctl/station.toml"),
    PurePosixPath("/var/lib/cycler-ctl/data"),
    "cycler",
)
WINDOWS = Place(
    PureWindowsPath(r"C:\cycler-ctl\Scripts\cycler-ctl.exe"),
    PureWindowsPath(r"C:\cycler-ctl\station.toml"),
    PureWindowsPath(r"C:\cycler-ctl\data"),
    r"LAB\cycler",
)
STATION = """
[station]
name = "lab-3"
[http]
listen = "127.0.0.1:9"
[instruments.smu1]
driver = "keithley-2400"
address = "TCPIP0::127.0.0.1::{port}::SOCKET"
[channels.a1]
instrument = "smu1"
temperature = "unmonitored"
limits = {{ voltage = "-0.5 V to 5 V", current = "10 mA" }}
"""
YES = Asking(yes=True)


@pytest.fixture
def managers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What they were told; each says that all went well."""
    heard, folder = tmp_path / "heard", tmp_path / "bin"
    folder.mkdir()
    for name in ("systemctl", "schtasks"):
        (folder / name).write_text(
            f'#!/bin/sh\nprintf "%s\\n" "{name} $*" >> "{heard}"\necho active\n', encoding="ascii"
        )
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    heard.touch()
    return heard


def a_service(folder: Path, port: int = 9) -> Service:
    (folder / "station.toml").write_text(STATION.format(port=port), encoding="utf-8")
    return service_of(folder / "station.toml", system=False, user="me")


def test_the_files_in_deploy_are_what_the_templates_give() -> None:
    assert (DEPLOY / "cycler-ctl.service").read_text(encoding="utf-8") == system_unit(UNIX)
    assert (DEPLOY / "cycler-ctl-task.xml").read_text(encoding="utf-8") == task(WINDOWS)


def test_a_unit_reaches_the_paths_it_is_given() -> None:
    lab = replace(UNIX, config=PurePosixPath("/home/lab/my lab 100%/station.toml"), data_dir=PurePosixPath("/srv/data"))
    lines = system_unit(lab).splitlines()
    assert r'ExecStart=/opt/cycler-ctl/bin/cycler-ctl serve --config "/home/lab/my lab 100%%/station.toml"' in lines
    assert "ProtectHome=no" in lines
    assert "ReadWritePaths=/run/lock /srv/data" in lines
    assert unit_word(PurePosixPath('/a"b')) == '"/a\\"b"'


def test_a_units_of_a_user_asks_for_nothing_only_the_system_can_give() -> None:
    text = user_unit(UNIX)
    for key in ("User=", "ProtectSystem", "DeviceAllow", "CapabilityBoundingSet", "modprobe", "multi-user"):
        assert key not in text
    assert "ExecStopPost=/opt/cycler-ctl/bin/cycler-ctl safe-off" in text
    assert "{" not in text


def test_a_task_is_xml_whatever_the_names_are() -> None:
    odd = replace(WINDOWS, config=PureWindowsPath(r"C:\R&D <1>\station.toml"))
    root = ElementTree.fromstring(task(odd).encode())  # noqa: S314
    found = [node.text for node in root.iter() if node.tag.endswith("Arguments")]
    assert found == [r'serve --config "C:\R&D <1>\station.toml"']


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit_of_a_user(tmp_path: Path) -> None:
    unit = tmp_path / "cycler-ctl.service"
    program = PurePosixPath(shutil.which("true") or "/bin/true")
    unit.write_text(user_unit(replace(UNIX, program=program)), encoding="utf-8")
    command = ["systemd-analyze", "verify", "--user", "--man=no", str(unit)]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    )
    assert (ended.returncode, ended.stderr) == (0, "")


def test_an_install_is_said_written_and_told_and_a_second_one_says_what_it_changes(
    tmp_path: Path, managers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = a_service(tmp_path)
    assert show(service, as_json=False) == 1
    assert install(service, YES, restart=False, dry_run=True) == 0
    assert not service.manager.file.exists()
    assert managers.read_text() == ""
    assert "would run: systemctl --user enable cycler-ctl" in capsys.readouterr().err
    assert install(service, YES, restart=False, dry_run=False) == 0
    assert service.manager.file.read_text(encoding="utf-8") == service.text
    assert managers.read_text().splitlines() == [
        "systemctl --user daemon-reload",
        "systemctl --user enable cycler-ctl",
        "systemctl --user start cycler-ctl",
    ]
    assert show(service, as_json=True) == 0
    capsys.readouterr()
    newer = replace(service, text=service.text.replace("RestartSec=5", "RestartSec=6"))
    assert install(newer, YES, restart=False, dry_run=False) == 0
    said = capsys.readouterr().err
    assert "- RestartSec=5\n+ RestartSec=6" in said


def test_a_service_that_runs_is_not_restarted_by_an_upgrade_and_never_while_a_channel_may_be_on(
    tmp_path: Path, managers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = a_service(tmp_path)
    data = tmp_path / "data"
    write_register(data, {"a1": SafeOffEntry("smu1", "keithley-2400", "nowhere")})
    with FileLock(data / LOCK_FILE):
        assert install(service, YES, restart=False, dry_run=False) == 0
        assert "goes on as it was" in capsys.readouterr().err
        with pytest.raises(RefusedError, match="channel a1 may be on"):
            install(service, YES, restart=True, dry_run=False)
        with pytest.raises(RefusedError, match="channel a1 may be on"):
            uninstall(service, dry_run=False)
        assert "not known" in " ".join(active(service))
    told = managers.read_text()
    assert "start" not in told
    assert "disable" not in told
    assert service.manager.file.exists()


async def test_what_is_taken_away_is_stopped_and_read_back_as_off_first(tmp_path: Path, managers: Path) -> None:
    on = [True]

    async def smu(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            if b"?" in line:
                writer.write(proven(line, b"1;HIMP\n" if on[0] else b"0;HIMP\n"))
        writer.close()

    async with await asyncio.start_server(smu, "127.0.0.1", 0) as server:
        service = a_service(tmp_path, server.sockets[0].getsockname()[1])
        with pytest.raises(RefusedError, match="not installed"):
            uninstall(service, dry_run=False)
        install(service, YES, restart=False, dry_run=False)
        assert await asyncio.to_thread(uninstall, service, dry_run=False) == 4
        assert service.manager.file.exists(), "an output is on: whoever installed it must be able to find it"
        on[0] = False
        assert await asyncio.to_thread(uninstall, service, dry_run=False) == 0
    assert not service.manager.file.exists()
    told = managers.read_text().splitlines()  # noqa: ASYNC240
    assert told[-2:] == ["systemctl --user disable --now cycler-ctl", "systemctl --user daemon-reload"]


def test_a_task_is_registered_from_its_file_and_never_ended(tmp_path: Path, managers: Path) -> None:
    service = a_service(tmp_path)
    windows = replace(service, manager=TaskScheduler(r"LAB\cycler"), text=task(WINDOWS))
    assert install(windows, YES, restart=False, dry_run=False) == 0
    first, second = managers.read_text().splitlines()
    file = windows.manager.file
    assert first == rf"schtasks /Create /TN cycler-ctl /XML {file} /RU LAB\cycler /RP * /F"
    assert second == "schtasks /Run /TN cycler-ctl"
    with FileLock(tmp_path / "data" / LOCK_FILE), pytest.raises(RefusedError):
        uninstall(windows, dry_run=False)
    assert "/End" not in managers.read_text()


def test_what_the_manager_refuses_is_told_in_its_words(tmp_path: Path, managers: Path) -> None:
    (tmp_path / "bin" / "systemctl").write_text("#!/bin/sh\necho no bus >&2\nexit 1\n", encoding="ascii")
    assert managers.exists()
    with pytest.raises(RefusedError, match="daemon-reload: status 1: no bus"):
        install(a_service(tmp_path), YES, restart=False, dry_run=False)


def test_without_a_manager_or_the_users_account_nothing_is_done(
    tmp_path: Path, managers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = a_service(tmp_path)
    with pytest.raises(ConfigError, match="no user 'nobody-of-this-name'"):
        service_of(service.config_path, system=True, user="nobody-of-this-name")
    assert load_config(service.config_path) == service.config
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="there is no systemctl here"):
        install(service, YES, restart=False, dry_run=False)
    assert managers.read_text() == ""


def test_a_service_is_looked_at_and_taken_away_also_where_its_file_has_errors(
    tmp_path: Path, managers: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    service = a_service(tmp_path)
    install(service, YES, restart=False, dry_run=False)
    assert "loginctl enable-linger" in capsys.readouterr().err
    (tmp_path / "station.toml").write_text('[station]\nname = "lab-3"\nno_such_key = 1\n', encoding="utf-8")
    with pytest.raises(ConfigError):
        service_of(service.config_path, system=False, user="me")
    broken = service_of(service.config_path, system=False, user="me", broken=True)
    assert (broken.data_dir, broken.text) == (service.data_dir, service.text)
    assert show(broken, as_json=False) == 0
    with FileLock(tmp_path / "data" / LOCK_FILE), pytest.raises(RefusedError, match="its runs are not known"):
        uninstall(broken, dry_run=False)
    assert uninstall(broken, dry_run=False) == 4
    assert broken.manager.file.exists(), "the file names no instrument: whether one is on is not known"
    monkeypatch.setattr("cycler_ctl.installing.command.safe_off_station", lambda _: 0)
    assert uninstall(broken, dry_run=False) == 0
    assert not broken.manager.file.exists()
    assert "disable --now" in managers.read_text()
