"""How many lost readings, and how many switchings, are too many."""

from __future__ import annotations

import itertools
from contextlib import suppress

import pytest

from cycler_ctl.channels.switches import SWITCHES, Switches
from cycler_ctl.errors import RefusedError
from cycler_ctl.guarding.losses import too_many
from cycler_ctl.instrument import Measurement
from cycler_ctl.running.fittings import fresh
from cycler_ctl.running.noticing import RAW_BYTES, escaped
from protocols.record import EventKind


def test_three_of_the_last_five_are_too_many_in_whatever_order() -> None:
    for lost in itertools.product((False, True), repeat=5):
        assert bool(too_many(lost)) == (sum(lost) >= 3)
    assert too_many((True, True, True)) == "3 readings in a row failed"
    assert too_many((True, False, True, False, True)) == "3 of the last 5 readings failed"
    assert too_many((True, True, False, True, True)) == "3 of the last 5 readings failed"


@pytest.mark.parametrize("twice", [False, True])
def test_an_output_goes_on_six_times_a_minute_and_no_seventh_time(twice: bool) -> None:
    switches, on_s = Switches(), list[float]()
    for tenths in range(3000):
        with suppress(RefusedError):
            switches.on(tenths / 10.0)
            on_s += [tenths / 10.0] * (1 + twice)
            if twice:
                assert not list(switches.rewired(tenths / 10.0, 0.1, starting=True))
    assert on_s[SWITCHES] > 59.0
    assert all(later - sooner >= 60.0 for sooner, later in zip(on_s, on_s[SWITCHES:], strict=False))


@pytest.mark.parametrize("twice", [False, True])
def test_who_starts_too_often_is_told_how_often_it_was_and_when_it_is_no_more(twice: bool) -> None:
    switches, starts = Switches(), 3 if twice else 5
    for number in range(starts):
        switches.on(10.0 * number)
        if twice:
            list(switches.rewired(10.0 * number + 0.5, 0.1, starting=True))
    times, wait_s = (6, 11) if twice else (5, 10)  # one that went on twice must be gone as a whole
    with pytest.raises(RefusedError, match=f"{times} times within a minute.* try again in {wait_s} s$"):
        switches.on(50.0)
    with pytest.raises(RefusedError):
        switches.on(49.9 + wait_s - 0.5)
    switches.on(50.0 + wait_s)


def told(switches: Switches, at_s: float) -> list[EventKind]:
    return [kind for kind, _ in switches.rewired(at_s, 0.1, starting=False)]


def test_a_relay_that_chatters_between_steps_is_told_once_a_minute() -> None:
    switches = Switches()
    every_5_s = [EventKind.WARNING in told(switches, 5.0 * number) for number in range(30)]
    assert [number for number, warned in enumerate(every_5_s) if warned] == [6, 18]
    slow = Switches()
    assert all(told(slow, 10.0 * number) == [EventKind.NOTE] for number in range(30))


def test_what_steps_needed_keeps_nobody_from_a_start() -> None:
    switches = Switches()
    for number in range(20):
        told(switches, float(number))
    switches.on(20.0)


def test_how_long_the_relay_was_open_is_told_to_the_millisecond() -> None:
    ((_, data),) = Switches().rewired(0.0, 0.12345, starting=False)
    assert data["took_s"] == 0.123


def test_a_bad_answer_is_kept_to_the_byte_in_characters_any_log_can_hold() -> None:
    assert escaped(b"+1.2\x00\xff\n") == r"+1.2\x00\xff\n"
    assert len(escaped(b"x" * 1000)) == RAW_BYTES


@pytest.mark.parametrize(
    "bad", [Measurement(60.0, 0.0), Measurement(60.0, float("nan")), Measurement(float("nan"), 99.0), None]
)
def test_a_temperature_of_no_known_age_or_no_number_is_a_missing_one(bad: Measurement | None) -> None:
    assert fresh(bad, 100.0) is None
    assert fresh(Measurement(60.0, 80.0), 100.0) == 60.0
