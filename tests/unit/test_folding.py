"""What people read fits the 80 columns of a terminal, and loses no word."""

from __future__ import annotations

import pytest

from cycler_ctl.terminal.channel_table import channel_lines
from cycler_ctl.terminal.driver_facts import all_specs, lines
from cycler_ctl.terminal.folding import folded

RUN = "20261122-101500-a1-7f3k"


def test_every_drivers_facts_fit_and_lose_no_word() -> None:
    for name, spec in all_specs().items():
        for line in lines(name, spec):
            told = folded(line, 80)
            assert all(len(part) <= 80 for part in told.splitlines()), told
            assert told.split() == line.split()


@pytest.mark.parametrize(("line", "width"), [("short", 80), ("    as it is " * 20, None)])
def test_what_fits_or_is_read_by_a_program_stays_as_it_is(line: str, width: int | None) -> None:
    assert folded(line, width) == line


def test_a_word_that_is_longer_than_a_line_stays_whole() -> None:
    assert folded("    run " + "x" * 90, 80).splitlines() == ["    run", "        " + "x" * 90]


def test_a_status_fits_whatever_there_is_to_say() -> None:
    alarm = {
        "channel": "oven-2-a1", "state": "cannot_deenergise", "energised": None, "run": RUN, "cycle": 1234,
        "step": "12.cv", "doing": "hold 4.2 V, \u2264 1.6 mA", "verified": "FAILED 2026-11-22",
        "reason": "contact lost: TCPIP0::192.168.0.5::5025::SOCKET has not answered for 1.9 s; off could not be confirmed: "
        "the cell may still be energised at 1.6 mA, ceiling 4.22 V. Trying every 0.5 s; disconnect it",
    }  # fmt: skip
    idle = {"channel": "a2", "state": "idle", "energised": False, "verified": "never", "reason": ""}
    told = "\n".join(channel_lines([alarm, idle], 80))
    assert all(len(line) <= 80 for line in told.splitlines()), told
    assert f"run {RUN}, verified FAILED 2026-11-22" in told
    assert "not known" in told
    assert "disconnect it" in told


@pytest.mark.parametrize(
    ("queue", "told"),
    [
        ({"length": 0, "next": None, "ready": False, "held": None}, ""),
        (
            {"length": 2, "next": "life on MG-0142", "ready": False, "held": None},
            "queue 2 waiting, next life on MG-0142, not marked ready",
        ),
        (
            {"length": 1, "next": "life on MG-0142", "ready": True, "held": None},
            "queue 1 waiting, next life on MG-0142, its cell is in the channel",
        ),
        ({"length": 0, "next": None, "ready": False, "held": "tripped: too hot"}, "queue HELD: tripped: too hot"),
    ],
)
def test_a_status_tells_of_the_queue_in_words_and_not_of_an_empty_one(queue: dict[str, object], told: str) -> None:
    idle = {"channel": "a2", "state": "idle", "energised": False, "reason": "", "queue": queue}
    assert [line.strip() for line in channel_lines([idle], 80)[2:]] == ([told] if told else [])
