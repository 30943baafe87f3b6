"""No byte of a reading's answer can be lost, added or changed unseen: each way at each place, told to the parser alone."""

from __future__ import annotations

import pytest

from cycler_ctl.errors import BadReply, DeviceFault, InstrumentError
from drivers import modbus
from drivers.keithley_2400_settings import Drive, parse_reading
from drivers.palmsens_emstat4_ratings import MODELS
from drivers.palmsens_emstat4_reply import answer, only_package, reply_length
from drivers.palmsens_emstat4_script import report_of

SAMPLE = b"+3.712500E+00,+2.000000E-04,+4.216832E+06"
HELD = b";4.200000E+00;2.000000E-04"
WHOLE_2400 = SAMPLE + b";" + SAMPLE + HELD
DRIVE = Drive("VOLT", 20.0, 1e-3, 4.2, 2e-4)


def test_no_lost_added_or_changed_byte_of_a_reading_is_believed() -> None:
    true = parse_reading(WHOLE_2400, DRIVE)
    assert true[:2] == (3.7125, 2e-4)
    for at in range(len(WHOLE_2400)):
        bits = [bytes([WHOLE_2400[at] ^ 1 << bit]) for bit in range(8)]
        for changed in (b"", *bits, b"\x11" + WHOLE_2400[at : at + 1], b"\x13" + WHOLE_2400[at : at + 1]):
            raw = WHOLE_2400[:at] + changed + WHOLE_2400[at + 1 :]
            try:
                found = parse_reading(raw, DRIVE)
            except BadReply:
                continue
            assert found == true, raw


@pytest.mark.parametrize("cut", range(1, len(WHOLE_2400)))
def test_no_part_of_a_reading_and_no_two_merged_are_believed(cut: int) -> None:
    for raw in (WHOLE_2400[:cut], WHOLE_2400[cut:], WHOLE_2400[:cut] + WHOLE_2400, WHOLE_2400 + WHOLE_2400[cut:]):
        with pytest.raises(BadReply):
            parse_reading(raw, DRIVE)


WHOLE_EMSTAT = (
    b"Y\n*\n"
    + 2 * b"Pja8A3C1F2i;ja8000011i;ja8000001i;ja800000Bi;eb8200B20u;ab838885Fu,10,206;baDE7152Cp,10,215\n"
    + b"M0007\n"
)


def heard(raw: bytes) -> object:
    """What is made of these bytes, should they ever be taken for an answer."""
    length = reply_length(raw)
    if length is None:
        return None
    return report_of(only_package(answer("Y", raw[:length]), raw), raw, MODELS["es4_hr"])


def test_no_lost_or_changed_byte_of_an_emstats_reading_goes_unseen() -> None:
    true = heard(WHOLE_EMSTAT)
    assert true is not None
    for at in range(len(WHOLE_EMSTAT)):
        for changed in (b"", *(bytes([WHOLE_EMSTAT[at] ^ 1 << bit]) for bit in range(7))):
            try:
                found = heard(WHOLE_EMSTAT[:at] + changed + WHOLE_EMSTAT[at + 1 :])
            except (BadReply, InstrumentError):
                continue
            assert found in (None, true), (at, changed)


@pytest.mark.parametrize(
    ("was", "becomes", "why"),
    [
        (b"ab838885Fu,10", b"ab838885Fu,12", "overload"),
        (b"baDE7152Cp,10", b"baDE7152Cp,12", "overload"),
        (b",215", b",216", "no such current range"),
        (b"baDE7152Cp", b"dbDE7152Cp", "another package"),
        (b"ab838885Fu", b"da838885Fu", "another package"),
        (b"ab838885Fu", b"ab     nan", "is not a value"),
    ],
)
def test_a_reading_that_is_none_is_an_error(was: bytes, becomes: bytes, why: str) -> None:
    """An overload, a range that is not, the set value instead of the measured one, not a number."""
    with pytest.raises(BadReply, match=why):
        heard(WHOLE_EMSTAT.replace(was, becomes))


def test_no_lost_added_or_changed_byte_of_a_frame_is_believed() -> None:
    request = modbus.read_request(1, modbus.HOLDING, 1, 1)
    whole = modbus.sealed(bytes((1, modbus.HOLDING, 2, 0x04, 0xB0)))
    assert modbus.registers(request, whole) == b"\x04\xb0"
    for at in range(len(whole)):
        bits = [bytes([whole[at] ^ 1 << bit]) for bit in range(8)]
        for changed in (b"", *bits, b"\0" + whole[at : at + 1]):
            with pytest.raises((BadReply, DeviceFault)):
                modbus.registers(request, whole[:at] + changed + whole[at + 1 :])
