"""The shipped unit: systemd finds nothing to mend in it, and it gives the service no more than it needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "cycler-ctl.service"
PROGRAM = "/opt/cycler-ctl/bin/cycler-ctl"


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


def verified(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed: apt install systemd")
    unit = folder / "cycler-ctl.service"
    unit.write_text(text.replace(PROGRAM, sys.executable), encoding="utf-8")
    command = [program, "verify", "--man=no", str(unit)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_systemd_finds_nothing_to_mend(tmp_path: Path) -> None:
    done = verified(UNIT.read_text(encoding="utf-8"), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_would_say_what_is_to_mend(tmp_path: Path) -> None:
    done = verified(UNIT.read_text(encoding="utf-8").replace("ProtectClock=yes", "ProtectClok=yes"), tmp_path)
    assert "ProtectClok" in done.stderr


def test_the_service_has_no_rights_it_does_not_need() -> None:
    found = settings()
    assert found["UMask"] == ["0027"]
    assert found["DevicePolicy"] == ["closed"]
    assert {line.split()[0] for line in found["DeviceAllow"]} == {
        "char-ttyS",
        "char-ttyUSB",
        "char-ttyACM",
        "char-usb_device",
    }
    assert found["CapabilityBoundingSet"] == [""]
    assert found["ProtectSystem"] == ["strict"]
    for key in ("NoNewPrivileges", "ProtectHome", "ProtectKernelTunables", "RestrictSUIDSGID", "LockPersonality"):
        assert found[key] == ["yes"]
    assert {"MemoryMax", "LimitNOFILE"} <= found.keys()
    assert found["User"] == ["cycler"]
