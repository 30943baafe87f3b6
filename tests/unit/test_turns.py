"""Threads that compute give way to control soon, in the service and in the demo."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cycler_ctl import daemon, demo
from cycler_ctl.computer.turns import HAND_OVER_S, spare_what_stays
from cycler_ctl.demo import DemoOptions
from protocols.record import Counters


@pytest.fixture(autouse=True)
def given_back() -> Iterator[None]:
    before, threshold = sys.getswitchinterval(), gc.get_threshold()
    assert before > 2 * HAND_OVER_S
    yield
    sys.setswitchinterval(before)
    gc.set_threshold(*threshold)
    gc.unfreeze()


def test_the_service_hands_over_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "take_lease_pipe", lambda: -1)
    monkeypatch.setattr(daemon, "take_handles", lambda: None)
    missing = ["--config", str(tmp_path / "none.toml"), "--data-dir", str(tmp_path)]
    assert daemon.main(missing) == daemon.USAGE
    assert sys.getswitchinterval() == pytest.approx(HAND_OVER_S)


def test_the_demo_hands_over_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(_: DemoOptions) -> int:
        return 0

    monkeypatch.setattr(demo, "demo", nothing)
    options = DemoOptions(once=True, speed=None, seed=1, data_dir=tmp_path, port=0, web=False)
    assert demo.run_demo(options) == 0
    assert sys.getswitchinterval() == pytest.approx(HAND_OVER_S)


def looks_for_garbage(objects: int) -> int:
    """How often that happens while so many are made, and kept."""
    looks: list[str] = []

    def look(phase: str, _: object) -> None:
        looks.append(phase)

    gc.callbacks.append(look)
    kept = [Counters(float(number), 0.0, 0.0, 0.0) for number in range(objects)]
    gc.callbacks.remove(look)
    assert len(kept) == objects
    return looks.count("start")


@pytest.mark.parametrize("channels", [1, 8, 128])
def test_what_every_channel_holds_for_a_second_brings_no_look_for_garbage(channels: int) -> None:
    rows = 4 * 40 * channels  # four objects, 40 times a second
    assert channels == 1 or looks_for_garbage(rows) > 0  # as Python does it by itself
    spare_what_stays(channels)
    assert looks_for_garbage(rows) == 0
    assert looks_for_garbage(10 * rows + 5_000) > 0  # what goes on growing is looked at
