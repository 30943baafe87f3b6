"""Whether this computer would go to sleep, or run out of power, in the middle of a run; then none begins (reliability F10)."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from cycler_ctl.computer.keep_awake import INHIBIT
from cycler_ctl.errors import RefusedError

SUPPLIES = Path("/sys/class/power_supply")
OFFLINE = 0  # ACLineStatus of SYSTEM_POWER_STATUS; 1 is online, 255 not known


def refuse_sleepy() -> None:
    """RefusedError, with what to do; ``may_sleep`` of station.toml is the way round it."""
    why = _on_battery() or _falls_asleep()
    if why is not None:
        raise RefusedError(
            f"{why}. What is on would stay on, and nobody would watch; with 'may_sleep = true' under [station] in "
            "station.toml runs begin all the same"
        )


def _on_battery() -> str | None:
    if _windows_battery() if sys.platform == "win32" else linux_battery(SUPPLIES):
        return "this computer runs on its battery: plug it in"
    return None


def linux_battery(supplies: Path) -> bool:
    """Of the computer, not of a mouse (power_supply class of sysfs: type, scope, status, online)."""
    found = [one for one in supplies.glob("*") if _said(one, "scope") != "Device"]
    mains = any(_said(one, "type") == "Mains" and _said(one, "online") == "1" for one in found)
    drained = any(_said(one, "type") in {"Battery", "UPS"} and _said(one, "status") == "Discharging" for one in found)
    return drained and not mains


def _said(supply: Path, what: str) -> str:
    try:
        return (supply / what).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


class PowerStatus(ctypes.Structure):
    """SYSTEM_POWER_STATUS of winbase.h."""

    _fields_ = (
        ("ac_line", ctypes.c_ubyte),
        ("flag", ctypes.c_ubyte),
        ("percent", ctypes.c_ubyte),
        ("saver", ctypes.c_ubyte),
        ("left_s", ctypes.c_uint32),
        ("full_s", ctypes.c_uint32),
    )


def _windows_battery() -> bool:
    status = PowerStatus()
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - other systems' type stubs do not have it
    return bool(kernel.GetSystemPowerStatus(ctypes.byref(status))) and int(status.ac_line) == OFFLINE


def _falls_asleep() -> str | None:
    """Where it does by itself and cannot be asked not to; Windows takes no leave to be kept awake."""
    from cycler_ctl.computer import surroundings

    if sys.platform == "win32":
        return None
    found = surroundings.sleep()
    if not found.look or surroundings.command(*INHIBIT[:-1], "true") is not None:
        return None
    return f"{found.message}; nor can it be kept awake (systemd-inhibit fails)"
