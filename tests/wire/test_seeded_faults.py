"""Seeded faults at any exchange with any driver: no wrong number is believed, and off is off, in time.

Ten lives of each, a thousand with ``--campaign``. ``WIRE_SEEDS=17`` or ``WIRE_SEEDS=0:100`` leads just these.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import pytest
import wire_faults
from benches import BENCHES, Bench
from wire_faults import seeded_life
from wrong_drivers import BlindlyOff, FirstHalf, Same, hopeful, unchanged, with_channels, wrong

from cycler_ctl.instrument import DriverSpec
from drivers.keithley_2400 import DRIVER

LIVES, CAMPAIGN_LIVES = 10, 1000
CAMPAIGN_S = 3600
ENOUGH = 100  # lives, to notice a driver that is wrong


def seeds(request: pytest.FixtureRequest) -> Sequence[int]:
    first, to, last = os.environ.get("WIRE_SEEDS", "").partition(":")
    if first:
        return range(int(first), int(last) if to else int(first) + 1)
    return range(CAMPAIGN_LIVES if request.config.getoption("--campaign") else LIVES)


@pytest.mark.timeout(CAMPAIGN_S)
@pytest.mark.parametrize("bench", BENCHES, ids=lambda bench: bench.name)
def test_no_wrong_number_is_believed_and_off_is_off_in_time(
    bench: Bench, request: pytest.FixtureRequest, no_cell_is_harmed: set[str]
) -> None:
    believed = 0
    for seed in seeds(request):
        try:
            case = seeded_life(bench, seed)
        except BaseException as error:
            error.add_note(f"once more: WIRE_SEEDS={seed} pytest tests/wire/test_seeded_faults.py -k {bench.name}")
            raise
        no_cell_is_harmed.update(case.acts)
        believed += case.believed
    assert believed > 0


def lives(bench: Bench, number: int) -> None:
    for seed in range(number):
        seeded_life(bench, seed, only_tcp=True)


def test_a_driver_that_believes_late_answers_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_faults, "LINE_KINDS", ("delay",))
    bench = replace(BENCHES[0], spec=wrong(DRIVER, hopeful), own={})
    with pytest.raises(AssertionError, match="believed"):
        lives(bench, ENOUGH)


@pytest.mark.parametrize(
    ("spec", "harm"),
    [
        pytest.param(wrong(DRIVER, with_channels(BlindlyOff)), "said to be off", id="says off unseen"),
        pytest.param(wrong(DRIVER, unchanged, FirstHalf), "believed|said on", id="believes a changed digit"),
    ],
)
def test_a_driver_that_believes_too_much_is_noticed(spec: DriverSpec, harm: str) -> None:
    bench = replace(BENCHES[0], spec=spec)
    with pytest.raises(AssertionError, match=harm):
        lives(bench, ENOUGH)


def test_the_same_driver_without_its_fault_is_not_blamed() -> None:
    bench = replace(BENCHES[0], spec=wrong(DRIVER, with_channels(Same)))
    lives(bench, LIVES)
