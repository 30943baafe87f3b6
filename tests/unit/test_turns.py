"""Threads that compute give way to control soon, in the service and in the demo."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cycler_ctl import daemon, demo
from cycler_ctl.computer.turns import HAND_OVER_S
from cycler_ctl.demo import DemoOptions


@pytest.fixture(autouse=True)
def given_back() -> Iterator[None]:
    before = sys.getswitchinterval()
    assert before > 2 * HAND_OVER_S
    yield
    sys.setswitchinterval(before)


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
