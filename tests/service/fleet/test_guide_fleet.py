"""The page on the fleet tells the truth: its commands and settings are understood as they stand there."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from secured_brokers import lab_ca
from typer.testing import CliRunner

from cycler_ctl.cli import app
from cycler_ctl.config import MqttSettings
from cycler_ctl.fleet import command, settings, status

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs" / "guide" / "fleet.md").read_text(encoding="utf-8")
COMMANDS = [line.removeprefix("$ ") for line in PAGE.splitlines() if line.startswith("$ ")]
TOML = re.findall(r"^```toml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def said(program: str) -> list[list[str]]:
    found = [shlex.split(line) for line in COMMANDS]
    return [words[1:] for words in found if words[0] == program]


def test_the_commands_of_the_page_start_a_collector_and_show_the_fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = list[tuple[object, ...]]()

    def noted(*values: object, **more: object) -> int:
        heard.append((*values, *more.values()))
        return 0

    monkeypatch.setattr(command, "collect", noted)
    monkeypatch.setattr(status, "show", noted)
    for words in said("cycler-ctl"):
        assert CliRunner().invoke(app, words).exit_code == 0, words
    to = "postgresql://cycler@localhost/cycler"
    assert heard == [(to, "mqtt://127.0.0.1:1883", None, "127.0.0.1:8790"), (to, None, False)]
    assert settings.brokers("mqtt://127.0.0.1:1883")


def test_the_certificates_of_the_page_are_made(tmp_path: Path) -> None:
    for words in said("sh"):
        lab_ca(tmp_path, *words[1:])
    made = {file.name for file in tmp_path.iterdir()}
    assert made >= {"ca.pem", "nats-1.pem", "nats-2.key", "nats-3.pem", "lab-3.pem", "historian.key"}
    text = subprocess.run(
        ["openssl", "x509", "-in", "nats-1.pem", "-noout", "-text"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "TLS Web Server Authentication, TLS Web Client Authentication" in text.stdout


def test_the_station_s_settings_of_the_page_are_settings() -> None:
    (text,) = TOML
    assert len(MqttSettings.model_validate(tomllib.loads(text)["mqtt"]).url) == 3


def test_the_shipped_collector_s_settings_are_settings() -> None:
    assert settings.load(ROOT / "deploy" / "collector" / "collector.toml").broker.replicas == 3


def test_the_tables_and_views_that_the_page_names_are_there() -> None:
    schema = "".join(file.read_text() for file in sorted((ROOT / "cycler_ctl/fleet/schema").glob("*.sql")))
    for name in ("VIEW gap", "TABLE alarm", "TABLE dead_letter"):
        assert f"CREATE {name}" in schema
        assert f"`{name.split()[1]}`" in PAGE
