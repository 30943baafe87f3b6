"""The simulated RS-232 side: its queue, its flow control, and what it makes of bytes that are set otherwise."""

from __future__ import annotations

import pytest

from sim_hardware.faults import Delivery
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import Battery
from sim_hardware.rs232 import XOFF, XON, Menu, Rs232

MESSAGE = b":SOUR:VOLT 0.0\r"
MENU = Menu(flow="XON/XOFF", queue=8 * len(MESSAGE), busy_s=1.0)
OVERRUN, FRAMING, PARITY = -363, -362, -361


class Side:
    """An RS-232 side with a clock of its own; ``errors`` are what it reported."""

    def __init__(self, menu: Menu) -> None:
        self.errors: list[int] = []
        self.at_s = 0.0
        self.rs232 = Rs232(menu, self.errors.append, lambda: self.at_s)

    def hears(self, data: bytes) -> tuple[bytes, list[Delivery]]:
        return self.rs232.hear(data), list(self.rs232.say(data, ()))


def test_above_three_quarters_it_says_xoff_and_below_half_xon() -> None:
    side = Side(MENU)
    assert [side.hears(MESSAGE)[1] for _ in range(6)] == [[]] * 6
    # seven eighths are full; four must be done before less than half is left
    assert side.hears(MESSAGE)[1] == [Delivery(XOFF), Delivery(XON, after_s=4.0)]
    assert not side.errors


def test_a_host_that_goes_on_after_xoff_loses_what_does_not_fit() -> None:
    side = Side(MENU)
    heard = b"".join(side.hears(MESSAGE)[0] for _ in range(10))
    assert heard == 8 * MESSAGE
    assert set(side.errors) == {OVERRUN}


def test_without_flow_control_it_says_nothing_and_loses_the_same() -> None:
    side = Side(Menu(queue=2 * len(MESSAGE), busy_s=1.0))
    assert [side.hears(MESSAGE) for _ in range(3)] == [(MESSAGE, []), (MESSAGE, []), (b"", [])]
    assert set(side.errors) == {OVERRUN}
    side.at_s = 2.5
    assert side.hears(MESSAGE) == (MESSAGE, [])


def test_what_is_done_makes_room() -> None:
    side = Side(MENU)
    for second in range(30):
        side.at_s = float(second)
        assert side.hears(MESSAGE) == (MESSAGE, [])
    assert not side.errors


def test_an_abort_empties_the_queue() -> None:
    side = Side(MENU)
    for _ in range(8):
        side.hears(MESSAGE)
    assert side.hears(b"\x03" + MESSAGE) == (b"\x03" + MESSAGE, [])


def test_an_xoff_of_the_host_holds_answers_back_until_its_xon() -> None:
    side = Side(MENU)
    side.rs232.hear(XOFF)
    assert side.rs232.say(XOFF, [Delivery(b"1\n")]) == []
    side.rs232.hear(XON)
    assert side.rs232.say(XON, ()) == [Delivery(b"1\n")]


def test_another_baud_rate_leaves_nothing_of_a_command_and_no_text_of_an_answer() -> None:
    side = Side(Menu(baud=57600))
    side.rs232.host_baud = 9600
    assert side.rs232.hear(MESSAGE) == b""
    assert set(side.errors) == {FRAMING}
    assert all(byte > 127 for byte in side.rs232.say(b"", [Delivery(b"1\n")])[0].data)


def test_parity_on_one_side_only_leaves_half_of_the_bytes() -> None:
    side = Side(Menu(parity="E"))
    heard = side.rs232.hear(bytes(range(32, 127)))
    assert heard == bytes(byte for byte in range(32, 127) if byte.bit_count() % 2 == 0)
    assert set(side.errors) == {PARITY}
    assert any(byte > 127 for byte in side.rs232.say(b"", [Delivery(b"+1.0E+00\n")])[0].data)


def test_an_answer_waits_for_what_stands_before_it() -> None:
    side = Side(MENU)
    side.rs232.hear(2 * MESSAGE)
    assert side.rs232.say(b"", [Delivery(b"1\n")]) == [Delivery(b"1\n", after_s=2.0)]


@pytest.mark.parametrize("terminator", [b"\r", b"\r\n", b"\n\r"])
def test_commands_are_taken_at_cr_and_answers_end_as_chosen(terminator: bytes) -> None:
    sim = Keithley2400(Battery(3.7, 50.0), lambda: 0.0, terminator=terminator)
    assert sim.receive(b"*OPC?\n") == b""
    assert sim.receive(b"\r") == b"1" + terminator
    assert sim.receive(b"*OPC?\r\n") == b"1" + terminator
    assert sim.receive(b"*OPC?\n") == b"", "a message that is known is taken at its end only as well"


def test_with_lf_chosen_commands_are_taken_at_either() -> None:
    sim = Keithley2400(Battery(3.7, 50.0), lambda: 0.0)
    assert sim.receive(b"*OPC?\n*OPC?\r") == b"1\n1\n"
