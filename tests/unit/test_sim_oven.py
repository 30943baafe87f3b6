"""The simulated oven: whole Modbus RTU frames, registers, faults; checksums checked against published frames."""

from __future__ import annotations

import itertools
import struct

import pytest

from sim_hardware.modbus import crc16, is_whole, sealed, take_request
from sim_hardware.oven import Oven


class Box:
    """An oven with a time of its own."""

    def __init__(self, seed: int = 1, slave: int = 1) -> None:
        self.now_s = 0.0
        self.oven = Oven(lambda: self.now_s, seed=seed, slave=slave)

    def ask(self, body: str, slave: int = 1) -> bytes:
        return self.oven.receive(sealed(bytes([slave]) + bytes.fromhex(body)))

    def register(self, address: int) -> int:
        reply = self.ask(struct.pack(">BHH", 3, address, 1).hex())
        assert reply[:3] == b"\x01\x03\x02"
        assert is_whole(reply)
        (value,) = struct.unpack(">h", reply[3:5])
        assert isinstance(value, int)
        return value


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.mark.parametrize(
    "frame",
    [  # recorded or published elsewhere: minimalmodbus docs and tests, pymeasure test_tc038d
        "0a0310010001d071",
        "0a030207d01e29",
        "010310010001d10a",
        "010302202ca059",
        "01101001000154c9",
        "0110010a000408000003e8fffffc188de9",
        "010304000003e8fa8d",
        "019002cdc1",
    ],
)
def test_checksums_agree_with_published_frames(frame: str) -> None:
    whole = bytes.fromhex(frame)
    assert is_whole(whole)
    assert sealed(whole[:-2]) == whole
    assert not is_whole(whole[:-1] + bytes([whole[-1] ^ 1]))


def test_the_process_value_is_read_in_tenths_of_a_degree(box: Box) -> None:
    assert box.register(1) == pytest.approx(1200, abs=1)
    assert box.register(289) == box.register(1)
    assert box.register(5) == 1200


def test_input_and_holding_registers_are_the_same(box: Box) -> None:
    assert box.ask("0400010005")[3:] != b""
    assert box.ask("0400020001")[2:-2] == box.ask("0300020001")[2:-2]


def test_floats_sit_at_their_own_addresses_high_word_first(box: Box) -> None:
    reply = box.ask("0380020002")
    assert struct.unpack(">f", reply[3:7])[0] == pytest.approx(120.0, abs=0.15)


def test_a_setpoint_is_written_echoed_and_approached(box: Box) -> None:
    request = sealed(bytes.fromhex("01060018") + struct.pack(">h", 1000))
    assert box.oven.receive(request) == request
    assert box.register(5) == 1000
    assert box.register(1) == pytest.approx(1200, abs=2)
    box.now_s = 600.0
    assert box.register(1) == pytest.approx(1000 + 200 / 2.71828, abs=2)
    box.now_s = 1e5
    assert box.register(1) == pytest.approx(1000, abs=2)


def test_several_registers_and_a_float_are_written(box: Box) -> None:
    reply = box.ask("10001a000102" + struct.pack(">h", 900).hex())
    assert reply == sealed(bytes.fromhex("0110001a0001"))
    assert box.register(26) == 900
    assert box.register(5) == 1200  # still local
    box.ask("0601140001")
    assert box.register(5) == 900
    box.ask("1080340002" + "04" + struct.pack(">f", 95.5).hex())
    assert box.register(26) == 955


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("0300070001", 2),  # no such register
        ("0300010006", 2),  # runs into one that is not there
        ("0300010000", 3),
        ("03000100ff", 3),
        ("0600010064", 2),  # the process value is not writable
        ("060018c350", 3),  # a negative setpoint
        ("06001813ec", 3),  # 510.0 °C
        ("070000", 1),
        ("1080350002" + "04" + "42bf0000", 2),  # half a float
    ],
)
def test_what_is_not_there_is_answered_by_an_exception(box: Box, body: str, code: int) -> None:
    function = int(body[:2], 16)
    assert box.ask(body) == sealed(bytes([1, function | 0x80, code]))


def test_another_slaves_request_and_a_bad_checksum_meet_silence(box: Box) -> None:
    assert box.ask("0300010001", slave=2) == b""
    assert box.oven.receive(b"\x01\x03\x00\x01\x00\x01\x00\x00") == b""
    assert box.register(5) == 1200


def test_a_frame_may_come_in_pieces_and_after_rubbish(box: Box) -> None:
    frame = sealed(bytes.fromhex("010300050001"))
    assert b"".join(box.oven.receive(frame[i : i + 1]) for i in range(len(frame))) == sealed(b"\x01\x03\x02\x04\xb0")
    assert box.oven.receive(b"\xff\x01\x03" + frame) == sealed(b"\x01\x03\x02\x04\xb0")
    assert box.oven.receive(frame + frame) == 2 * sealed(b"\x01\x03\x02\x04\xb0")


def test_half_a_frame_is_forgotten_when_the_line_goes_dead(box: Box) -> None:
    box.oven.receive(b"\x01\x03\x00")
    box.oven.line_lost()
    assert box.register(5) == 1200


def test_a_request_is_taken_whole_or_not_at_all() -> None:
    frame = sealed(bytes.fromhex("01100001000204") + b"\0\0\0\0")
    for cut in range(1, len(frame)):
        assert take_request(frame[:cut]) == (None, frame[:cut])
    assert take_request(frame) == (frame, b"")
    assert crc16(frame) == 0


def test_a_broken_sensor_shows_in_the_status_and_as_nonsense(box: Box) -> None:
    assert box.register(75) == 0
    box.oven.set_fault("sensor_break", value=True)
    assert box.register(75) == 1 << 5 | 1 << 10
    assert box.register(258) == 1
    assert box.register(1) > 5000
    box.oven.set_fault("sensor_break", value=False)
    assert box.register(1) == pytest.approx(1200, abs=1)


def test_the_temperature_depends_on_time_and_seed_and_not_on_the_questions() -> None:
    often, seldom, other = Box(), Box(), Box(seed=2)
    for often.now_s in range(0, 3601, 5):
        often.oven.temperature_C()
    seldom.now_s = other.now_s = 3600.0
    assert often.oven.temperature_C() == seldom.oven.temperature_C()
    assert seldom.oven.temperature_C() != other.oven.temperature_C()


def test_the_oven_wanders_a_little_and_never_far(box: Box) -> None:
    seen = []
    for box.now_s in range(0, 36000, 60):
        seen.append(box.oven.temperature_C())
    assert all(abs(celsius - 120.0) <= 0.1 for celsius in seen)
    assert any(before != after for before, after in itertools.pairwise(seen))


def test_someone_at_the_front_panel_lets_it_cool(box: Box) -> None:
    box.oven.set_fault("setpoint_C", 25)
    box.now_s = 1e5
    assert box.oven.temperature_C() == pytest.approx(25.0, abs=0.2)
    with pytest.raises(ValueError, match="no fault"):
        box.oven.set_fault("smoke", value=True)
