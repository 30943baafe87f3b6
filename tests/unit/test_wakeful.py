"""No run begins where the computer would leave it alone: looked at in folders as the system shows them, and by its programs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cycler_ctl.computer import surroundings, wakeful
from cycler_ctl.computer.wakeful import linux_battery, refuse_sleepy
from cycler_ctl.errors import RefusedError
from cycler_ctl.terminal.finding import OK, Finding

MAINS = {"type": "Mains", "online": "1"}
UNPLUGGED = {"type": "Mains", "online": "0"}
DRAINED = {"type": "Battery", "status": "Discharging"}
FULL = {"type": "Battery", "status": "Full"}
MOUSE = {"type": "Battery", "status": "Discharging", "scope": "Device"}
SLEEPS = Finding(OK, "sleep", "it may suspend when nobody uses it", look=True)
STAYS = Finding(OK, "sleep", "this computer does not go to sleep by itself")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sysfs and systemd-inhibit are Linux'")


def supplies(folder: Path, *found: dict[str, str]) -> Path:
    for number, one in enumerate(found):
        (folder / str(number)).mkdir()
        for name, text in one.items():
            (folder / str(number) / name).write_text(text + "\n", encoding="ascii")
    return folder


@pytest.mark.parametrize("found", [(), (MAINS,), (MAINS, DRAINED), (UNPLUGGED, FULL), (MOUSE,), (UNPLUGGED,)])
def test_a_computer_with_power_may_begin(tmp_path: Path, found: tuple[dict[str, str], ...]) -> None:
    assert not linux_battery(supplies(tmp_path, *found))


@pytest.mark.parametrize("found", [(DRAINED,), (UNPLUGGED, DRAINED), ({"type": "UPS", "status": "Discharging"},)])
def test_a_computer_on_its_battery_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: tuple[dict[str, str], ...]
) -> None:
    monkeypatch.setattr(wakeful, "SUPPLIES", supplies(tmp_path, *found))
    with pytest.raises(RefusedError, match=r"battery: plug it in.*may_sleep = true"):
        refuse_sleepy()


@pytest.fixture
def desktop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Finding, bool], None]:
    def make(sleeps: Finding, inhibits: bool) -> None:
        said = "" if inhibits else None
        monkeypatch.setattr(wakeful, "SUPPLIES", tmp_path)
        monkeypatch.setattr(surroundings, "sleep", lambda: sleeps)
        monkeypatch.setattr(surroundings, "command", lambda *words: said if words[-1] == "true" else None)

    return make


@pytest.mark.parametrize(("sleeps", "inhibits"), [(SLEEPS, True), (STAYS, True), (STAYS, False)])
def test_a_desktop_that_stays_awake_or_can_be_kept_so_may_begin(
    desktop: Callable[[Finding, bool], None], sleeps: Finding, inhibits: bool
) -> None:
    desktop(sleeps, inhibits)
    refuse_sleepy()


def test_a_desktop_that_falls_asleep_whatever_it_is_asked_may_not(desktop: Callable[[Finding, bool], None]) -> None:
    desktop(SLEEPS, False)
    with pytest.raises(RefusedError, match=r"may suspend.*nor can it be kept awake.*may_sleep"):
        refuse_sleepy()
