"""What is set, in words; how many steps a program has at most; and what a setpoint becomes inside a channel's limits."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from cycler_ctl.errors import RefusedError
from cycler_ctl.instrument import Protection
from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.running.doing import doing, step_total, still, with_setpoint
from cycler_ctl.running.fittings import goes_on, narrowed
from cycler_ctl.terminal.channel_table import COLUMNS
from protocols.model import (
    CccvStep,
    ConstantCurrent,
    ConstantVoltage,
    CurrentStep,
    GittStep,
    HoldStep,
    NoteStep,
    Record,
    RepeatStep,
    Rest,
    RestStep,
    Setpoint,
    Verb,
)

WINDOW_V = (2.5, 4.4)
CURRENT = CurrentStep("1", "charge", Verb.DELITHIATE, 1e-3, (), (), Record(), WINDOW_V)
HOLD = HoldStep("1.cv", "charge", 4.2, 1e-3, (), (), Record())
REST = RestStep("1", (), (), Record(), WINDOW_V)
STATUS = ChannelStatus("a1", "smu1", ChannelState.RUNNING, "", 0.0, energised=True)


@pytest.mark.parametrize(
    ("setpoint", "expected"),
    [
        (ConstantVoltage(4.2, 1.6e-3), "hold 4.2 V, ≤ 1.6 mA"),
        (ConstantVoltage(0.005, 250e-6), "hold 0.005 V, ≤ 0.25 mA"),
        (ConstantCurrent(-0.3927e-3, WINDOW_V), "charge 0.3927 mA"),
        (ConstantCurrent(20e-6, WINDOW_V), "charge 20 µA"),
        (ConstantCurrent(0.5, WINDOW_V), "charge 0.5 A"),
        (ConstantCurrent(2e-9, WINDOW_V), "charge 2 nA"),
        (Rest(WINDOW_V), "charge"),
        (None, "charge"),
    ],
)
def test_what_is_set_reads_as_people_say_it(setpoint: Setpoint | None, expected: str) -> None:
    assert doing("charge", setpoint) == expected


CHARGE, DISCHARGE = ConstantCurrent(1e-3, WINDOW_V), ConstantCurrent(-0.3927e-3, WINDOW_V)


@pytest.mark.parametrize(
    ("may_do", "protection", "expected"),
    [
        ((), Protection.B, ""),
        ((CHARGE,), Protection.B, " at 1 mA, ceiling 4.4 V"),
        ((DISCHARGE,), Protection.B, " at -0.3927 mA, floor 2.5 V"),
        ((DISCHARGE,), Protection.C, " at -0.3927 mA, no limit of voltage"),
        ((ConstantVoltage(4.2, 1.6e-3),), Protection.B, " held at 4.2 V, at most 1.6 mA"),
        ((Rest(WINDOW_V), CHARGE, CHARGE), Protection.A, " at 0 A or at 1 mA, ceiling 4.4 V"),
    ],
)
def test_what_may_be_going_on_is_said_with_its_current_and_what_bounds_it(
    may_do: tuple[Setpoint, ...], protection: Protection, expected: str
) -> None:
    assert still(may_do, protection) == expected


def test_a_status_has_the_numbers_too_and_the_command_line_shows_the_words() -> None:
    held = with_setpoint(STATUS, "charge", ConstantVoltage(4.2, 1.6e-3))
    assert (held.setpoint_V, held.current_limit_A, held.setpoint_A) == (4.2, 1.6e-3, None)
    flows = with_setpoint(STATUS, "charge", ConstantCurrent(-1e-3, WINDOW_V))
    assert (flows.setpoint_V, flows.current_limit_A, flows.setpoint_A) == (None, None, -1e-3)
    assert with_setpoint(STATUS, "rest", Rest(WINDOW_V)).setpoint_A == 0.0
    assert with_setpoint(STATUS, "rest", None).setpoint_A is None
    assert COLUMNS["does"]({"step": "1.cv", "what": "charge", "doing": held.doing}) == "hold 4.2 V, ≤ 1.6 mA"
    assert COLUMNS["does"]({"step": "1", "what": "rest"}) == "rest"


def test_steps_are_counted_as_the_record_has_them() -> None:
    cccv = CccvStep("1", CURRENT, HOLD, (0,), ())
    train = GittStep("1", CURRENT, REST, (), 5, ())
    assert step_total((cccv, train, REST, CURRENT, HOLD, NoteStep("6", "x"))) == 2 + 10 + 3
    assert step_total((replace(train, pulses=None),)) == 2
    block = RepeatStep("2", 3, True, (cccv, REST))
    assert step_total((RepeatStep("2", 1, False, (block, block)),)) == 18


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("2.cc", "2.cv", True),
        ("3.1p", "3.1r", True),
        ("3.1r", "3.2p", True),
        ("3.12p", "3.12r", True),
        ("1.1.cc", "1.1.cv", True),
        ("3.4r", "3.1p", False),  # the next pass
        ("2.cv", "2.cc", False),
        ("2.cv", "3.cv", False),
        ("1.1", "1.2", False),
        ("1", "2", False),
        ("1.2.1p", "1.1p", False),
        ("", "1.cv", False),
    ],
)
def test_parts_of_one_execution_of_a_step_are_known_by_their_names(before: str, after: str, same: bool) -> None:
    assert goes_on(before, after) is same


def test_a_held_voltage_is_never_moved_and_its_current_only_narrowed() -> None:
    hold = ConstantVoltage(4.2, math.inf)
    assert narrowed(hold, WINDOW_V, 9.8e-3) == ConstantVoltage(4.2, 9.8e-3)
    assert narrowed(ConstantVoltage(4.2, 1e-3), WINDOW_V, 9.8e-3) == ConstantVoltage(4.2, 1e-3)
    assert narrowed(ConstantVoltage(4.2, math.nan), WINDOW_V, 9.8e-3) == ConstantVoltage(4.2, 9.8e-3)
    for voltage_V in (4.41, 2.49, math.nan, math.inf):
        with pytest.raises(RefusedError, match=r"outside the channel's limits 2\.5 V to 4\.4 V"):
            narrowed(ConstantVoltage(voltage_V, 1e-3), WINDOW_V, 9.8e-3)
    open_ended = ConstantCurrent(1e-3, (-math.inf, 4.22))
    assert narrowed(open_ended, WINDOW_V, 9.8e-3) == ConstantCurrent(1e-3, (2.5, 4.22))
