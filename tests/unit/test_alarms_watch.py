"""The thread that looks: disk, clock, sensors, certificates and what is beside the station."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cycler_ctl.alarms.board import AlarmBoard
from cycler_ctl.alarms.certificate import look_at
from cycler_ctl.alarms.facts import Broker
from cycler_ctl.alarms.watch import AlarmWatch, Beside, disk_of
from cycler_ctl.config import ChannelSettings, Config, HttpSettings, InstrumentSettings, Limits, StationSettings
from cycler_ctl.instrument import Measurement
from cycler_ctl.live import ChannelStatus, InstrumentStatus
from protocols.record import Row

START_UTC_S = 1_790_000_000.0


@dataclass
class SteppedClock:
    now_s: float = 0.0
    ahead_s: float = START_UTC_S

    def now(self) -> float:
        return self.now_s

    def utc(self) -> float:
        return self.ahead_s + self.now_s


@dataclass
class Station:
    """One channel's sensor; ``value`` is its newest."""

    value: Measurement | None = None
    statuses: tuple[ChannelStatus, ...] = field(default=())

    def channels(self) -> tuple[ChannelStatus, ...]:
        return self.statuses

    def instruments(self) -> tuple[InstrumentStatus, ...]:
        return ()

    def latest(self, channel: str) -> tuple[str, Row] | None:
        return None

    def sensors(self) -> tuple[str, ...]:
        return ("oven1",)

    def sensor(self, name: str) -> Measurement | None:
        return self.value


def config_of(folder: Path, **http: Path) -> Config:
    channel = ChannelSettings(
        instrument="smu1", limits=Limits(voltage_V=(-0.5, 5.0), current_A=0.01), temperature="oven1"
    )
    return Config(
        station=StationSettings(name="lab-3", data_dir=folder),
        http=HttpSettings(**http),
        instruments={"smu1": InstrumentSettings(driver="keithley-2400", address="x")},
        channels={"a1": channel},
    )


def watched(
    folder: Path, station: Station, clock: SteppedClock, beside: Beside | None = None
) -> tuple[AlarmWatch, AlarmBoard]:
    board = AlarmBoard(clock.utc)
    return AlarmWatch(config_of(folder), station, board, clock, beside or Beside()), board  # type: ignore[arg-type]


def kinds(board: AlarmBoard) -> set[str]:
    return {alarm.kind for alarm in board.active()} - {"disk_low", "disk_full"}


def test_a_sensor_that_gives_no_new_value_is_lost_and_one_that_does_is_not(tmp_path: Path) -> None:
    clock, station = SteppedClock(), Station()
    watch, board = watched(tmp_path, station, clock)
    for at_s in range(60):
        clock.now_s = at_s
        station.value = Measurement(23.0, at_s // 14 * 14.0)
        watch.look()
        assert kinds(board) == set()
    for at_s in range(60, 110):
        clock.now_s = at_s
        watch.look()
    assert kinds(board) == {"sensor_lost"}
    station.value = Measurement(23.0, 110.0)
    watch.look()
    assert kinds(board) == set()


@pytest.mark.parametrize(
    ("step_s", "expected"), [(4.0, set()), (3600.0, {"clock_stepped"}), (-3600.0, {"clock_stepped"})]
)
def test_a_clock_that_was_set_is_told(tmp_path: Path, step_s: float, expected: set[str]) -> None:
    clock = SteppedClock()
    watch, board = watched(tmp_path, Station(Measurement(23.0, 0.0)), clock)
    watch.look()
    clock.now_s += 1.0
    clock.ahead_s += step_s
    watch.look()
    assert kinds(board) == expected


def test_what_is_beside_the_station_is_looked_at(tmp_path: Path) -> None:
    clock = SteppedClock()
    beside = Beside(lambda: Broker(connected=True, dead_letters=1), lambda: None, lambda: {"phone": "refused"})
    watch, board = watched(tmp_path, Station(Measurement(23.0, 0.0)), clock, beside)
    watch.look()
    assert kinds(board) == {"dead_letters", "notify"}


def test_commands_that_cannot_come_are_told_once_that_has_lasted_a_minute(tmp_path: Path) -> None:
    clock = SteppedClock()
    beside = Beside(commands=lambda: "mqtt://127.0.0.1:1883: the connection was lost")
    watch, board = watched(tmp_path, Station(Measurement(23.0, 0.0)), clock, beside)
    for now_s, expected in ((0.0, set[str]()), (30.0, set[str]()), (61.0, {"commands"})):
        clock.now_s = now_s
        watch.look()
        assert kinds(board) - {"sensor_lost"} == expected


def test_a_folder_that_is_not_there_is_a_disk_that_fails(tmp_path: Path) -> None:
    assert disk_of(tmp_path).free_bytes
    assert disk_of(tmp_path / "gone").trouble


def der(kind: int, *parts: bytes) -> bytes:
    """X.690, 8.1: definite lengths, short or long."""
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        return bytes([kind, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([kind, 0x80 | size]) + length.to_bytes(size, "big") + content


def certificate(until: bytes, kind: int = 0x17) -> str:
    """As much of a certificate as stands before and just after its validity; the issuer is long."""
    validity = der(0x30, der(0x17, b"260101000000Z"), der(kind, until))
    head = (der(0xA0, der(0x02, b"\x02")), der(0x02, b"\x01"), der(0x30, b"\x05\x00"), der(0x30, b"i" * 300))
    return ssl.DER_cert_to_PEM_cert(der(0x30, der(0x30, *head, validity, der(0x30, b""))))


@pytest.mark.parametrize(
    ("text", "expires_utc_s"),
    [
        (certificate(b"261127213328Z"), 1_795_815_208.0),
        (certificate(b"21360529213328Z", 0x18), 5_251_383_208.0),
        ("# two\n" + certificate(b"490101000000Z") + certificate(b"261127213328Z"), 1_795_815_208.0),
    ],
)
def test_the_end_of_a_certificate_is_read_and_of_several_the_first(
    tmp_path: Path, text: str, expires_utc_s: float
) -> None:
    file = tmp_path / "cert.pem"
    file.write_text(text, encoding="ascii")
    assert look_at("http", file).expires_utc_s == expires_utc_s


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nAAAA", certificate(b"nonsense").encode(),
        b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(b"\x30\x84\xff\xff\xff\xff") + b"\n-----END CERTIFICATE-----",
    ],
)  # fmt: skip
def test_what_is_no_certificate_is_said_and_harms_nothing(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "cert.pem"
    file.write_bytes(content)
    assert look_at("http", file).trouble
    assert look_at("http", tmp_path / "gone.pem").trouble
