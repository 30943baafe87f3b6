"""The shipped unit gives the service no more than it needs; that systemd takes it, test_manager shows."""

from __future__ import annotations

from pathlib import Path

UNIT = Path(__file__).resolve().parents[2] / "deploy" / "cycler-ctl.service"


def settings() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text(encoding="utf-8").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


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
