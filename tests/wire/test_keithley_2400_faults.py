"""Seeded faults on the wires of a 2400: no wrong number is believed, off is off and in time; and the traps of RS-232."""

from __future__ import annotations

import sys
from dataclasses import replace
from random import Random

import pytest
import wire_faults
from wire_faults import Numbered, Table

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import BadReply
from drivers.keithley_2400 import DRIVER, Options
from drivers.keithley_2400_settings import Drive, parse_reading
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import Battery


class Counted(Keithley2400):
    """The digits of its voltage below 0.1 V are the number of the question: 3.7 V and n times 0.1 mV."""

    asked = 0

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        if b":READ?" not in data or reply.count(b";") != 1:
            return reply
        self.asked += 1
        sample = b"%+.6E" % self.told_V() + reply[13:].partition(b";")[0]
        return sample + b";" + sample + b"\n"

    def told_V(self) -> float:
        return 3.7 + self.asked % 500 * 1e-4

    def newest_V(self, _output: str) -> float:
        return self.told_V()


class Lying(Counted):
    """The digits are those of the question before."""

    def told_V(self) -> float:
        return super().told_V() - 1e-4

    def newest_V(self, _output: str) -> float:
        return super().told_V()


def flood(sim: Numbered, _random: Random) -> None:
    sim.receive(b":NONSENSE\n" * 30)


def panel(sim: Numbered, _random: Random) -> None:
    sim.set_fault("output", value=False)


TABLE = Table(
    DRIVER,
    Options(),
    lambda seed: Counted(Battery(3.7, 50.0), SystemClock().now, seed=seed),
    own={"flood": flood, "panel": panel},
    terminal=lambda seed: sys.platform != "win32" and seed % 2 == 1,
)


@pytest.mark.timeout(wire_faults.CAMPAIGN_S)
async def test_no_wrong_number_of_a_2400_is_believed_and_off_is_off_in_time(request: pytest.FixtureRequest) -> None:
    await wire_faults.lives(TABLE, request)


async def test_a_wrong_number_that_is_believed_is_noticed() -> None:
    lying = replace(TABLE, make=lambda seed: Lying(Battery(3.7, 50.0), SystemClock().now, seed=seed))
    with pytest.raises(AssertionError):
        await wire_faults.one_life(lying, 0)


SAMPLE = b"+3.712500E+00,+2.000000E-04,+4.216832E+06"
WHOLE = SAMPLE + b";" + SAMPLE
DRIVE = Drive("VOLT", 20.0, 1e-3, 4.2, 2e-4)


def test_no_lost_added_or_changed_byte_of_a_reading_is_believed() -> None:
    true = parse_reading(WHOLE, DRIVE)
    assert true[:2] == (3.7125, 2e-4)
    for at in range(len(WHOLE)):
        bits = [bytes([WHOLE[at] ^ 1 << bit]) for bit in range(8)]
        for changed in (b"", *bits, b"\x11" + WHOLE[at : at + 1], b"\x13" + WHOLE[at : at + 1]):
            raw = WHOLE[:at] + changed + WHOLE[at + 1 :]
            try:
                found = parse_reading(raw, DRIVE)
            except BadReply:
                continue
            assert found == true, raw


@pytest.mark.parametrize("cut", range(1, len(WHOLE)))
def test_no_part_of_a_reading_and_no_two_merged_are_believed(cut: int) -> None:
    for raw in (WHOLE[:cut], WHOLE[cut:], WHOLE[:cut] + WHOLE, WHOLE + WHOLE[cut:]):
        with pytest.raises(BadReply):
            parse_reading(raw, DRIVE)
