"""A password and a key are nowhere in what a station writes, says or answers; and ``doctor`` says what is wrong."""

from __future__ import annotations

import json
import logging
import secrets
import subprocess
import sys
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import secured_brokers
from secured_brokers import Certificates

from cycler_ctl.clock import SystemClock
from cycler_ctl.config import MqttSettings, load_config
from cycler_ctl.publish.endpoint import credentials, endpoints
from cycler_ctl.publish.trial import brokers

STATION = """
[station]
name = "lab-3"
site = "kasuga"
data_dir = "data"
[http]
enabled = false
[mqtt]
url = ["mqtts://localhost:{port}"]
username = "viewer"
password_file = "password"
ca_file = "ca/ca.pem"
[instruments.smu1]
driver = "keithley-2400"
address = "TCPIP0::127.0.0.1::9::SOCKET"
[channels.a1]
instrument = "smu1"
limits = {{ voltage = "-0.5 V to 5 V", current = "10 mA" }}
"""


def holding(folder: Path, secret: str) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path.name for path in files if secret.encode() in path.read_bytes() or secret in path.name]


def private(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    return path


def test_neither_files_nor_logs_nor_status_hold_a_password_that_was_taken_or_refused(
    lab: Any, until: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    right, wrong = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    certificates, folder = Certificates.make(tmp_path / "ca"), tmp_path / "broker"
    folder.mkdir()
    caplog.set_level(logging.DEBUG)
    with secured_brokers.mosquitto(folder, certificates, right) as (_, port):
        said = ""
        for number, secret in enumerate((right, wrong)):
            lab.data_dir = tmp_path / f"data-{number}"
            login = {"username": "viewer", "password_file": private(tmp_path / "password", secret)}
            writer = lab.begin(f"000{number}")
            lab.record(writer, 1, 10)
            publisher = lab.publish(f"mqtts://localhost:{port}", ca_file=certificates.file("ca.pem"), **login)
            wanted = "check username" if secret == wrong else "right to write"  # a viewer may not publish
            until(lambda: wanted in publisher.status().message)  # noqa: B023 - called here
            said += json.dumps(asdict(publisher.status()), default=str) + repr(publisher._credentials)
            publisher.stop(0.0)
        lab.close()
    for secret in (right, wrong):
        assert holding(tmp_path / "data-0", secret) == holding(tmp_path / "data-1", secret) == []
        assert secret not in said + caplog.text
    assert holding(tmp_path, wrong) == ["password"]  # the search does find one where it is


def test_doctor_says_what_is_wrong_and_never_the_password(tmp_path: Path) -> None:
    secret = secrets.token_urlsafe(24)
    utc_s = SystemClock().utc()
    certificates, folder = Certificates.make(tmp_path / "ca"), tmp_path / "broker"
    folder.mkdir()
    with secured_brokers.mosquitto(folder, certificates, "another") as (_, port):
        station = tmp_path / "station.toml"
        station.write_text(STATION.format(port=port), encoding="utf-8")
        private(tmp_path / "password", secret)
        for command in ("check station.toml", "doctor --config station.toml"):
            done = subprocess.run(
                [sys.executable, "-m", "cycler_ctl.cli", *command.split()],
                cwd=tmp_path,
                capture_output=True,
                encoding="utf-8",
                timeout=60,
                check=False,
            )
            assert secret not in done.stdout + done.stderr
            assert "Traceback" not in done.stderr
        assert "check username and password_file" in " ".join(done.stdout.split())
        config = load_config(station)
        assert secret not in repr(config)
        (tmp_path / "password").chmod(0o644)
        assert [(one.ok, "chmod 600" in one.message) for one in brokers(config, utc_s)] == [(False, True)]
        private(tmp_path / "password", "another")
        for _ in range(4):  # a busy machine may not answer in time
            welcome, *soon = brokers(config, utc_s)
            if welcome.ok:
                break
        assert "lets us in" in welcome.message
        assert [(one.look, "expires on" in one.message) for one in soon] == [(True, True)]


def test_a_traceback_with_all_variables_of_our_frames_does_not_hold_the_password(tmp_path: Path) -> None:
    settings = MqttSettings(username="me", password_file=private(tmp_path / "password", secrets.token_urlsafe(24)))
    try:
        login = credentials(settings)
        endpoints(settings.model_copy(update={"url": ("mqtts://a",), "ca_file": tmp_path / "none"}), None)
    except Exception as error:  # noqa: BLE001 - whatever it is, this is what a crash report would show
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
        assert "login = " in shown
        assert (login.password or shown) not in shown
    else:
        pytest.fail("there was no error to show")
