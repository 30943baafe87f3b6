"""Simulated instruments whose readings are numbered: each tells by its digits which question it answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from sim_hardware import faults
from sim_hardware.circuit import Terminals
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.keithley2450 import Keithley2450
from sim_hardware.keithley2600 import Keithley2600
from sim_hardware.keithley2600_meter import Meter, Sample
from sim_hardware.keithley2600_settings import Settings
from sim_hardware.keysightb2900 import KeysightB2900
from sim_hardware.loads import Battery
from sim_hardware.modbus import READ_HOLDING, sealed
from sim_hardware.oven import Oven
from sim_hardware.palmsens_emstat4 import EmStat4
from sim_hardware.palmsens_emstat4_values import Value, single
from sim_hardware.rs_ngu import RsNgu

Now = Callable[[], float]
NGU_READING = re.compile(rb"[+-]?\d\.\d{7}E[+-]\d\d,")
OCV_V, RESISTANCE_OHM = 3.7, 50.0


@dataclass(slots=True)
class Numbers:
    """``first`` and so many times ``step``, of which there are ``most``: what the reading of that number shows."""

    first: float = OCV_V
    step: float = 1e-4
    most: int = 400
    asked: int = 0

    def value(self, number: int) -> float:
        return self.first + number % self.most * self.step

    def next(self) -> float:
        self.asked += 1
        return self.value(self.asked)


class Numbered(faults.Instrument, Protocol):
    """``numbers`` by output or sensor."""

    @property
    def numbers(self) -> Mapping[str, Numbers]: ...


def cell() -> Battery:
    return Battery(OCV_V, RESISTANCE_OHM)


class Numbered2400(Keithley2400):
    def __init__(self, now: Now, seed: int) -> None:
        super().__init__(cell(), now, seed=seed)
        self.numbers = {"1": Numbers()}

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        if b"READ?" not in data or reply.count(b";") not in {1, 3}:
            return reply
        first, _, *held = reply.rstrip().split(b";")
        sample = b"%+.6E" % self.numbers["1"].next() + first[13:]
        return b";".join([sample, sample, *held]) + b"\n"


class Numbered2450(Keithley2450):
    def __init__(self, now: Now, seed: int) -> None:
        super().__init__(cell(), now, seed=seed)
        self.numbers = {"1": Numbers()}

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        parts = reply.decode("latin-1").split(";")
        fields = parts[-3].split(",") if len(parts) > 2 else []
        if b"READ?" not in data or len(fields) < 8:
            return reply
        at = 0 if self.smu.settings.source == "VOLT" else 1
        fields[at] = fields[at + 4] = f"{self.numbers['1'].next():.6E}"
        parts[-3] = ",".join(fields)
        return ";".join(parts).encode("latin-1")  # its end of line is still there


class NumberedMeter(Meter):
    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.numbers = Numbers()

    def sample(self, settings: Settings, terminals: Terminals) -> Sample:
        return Sample(super().sample(settings, terminals).current_A, self.numbers.next())


class Numbered2600(Keithley2600):
    def __init__(self, now: Now, seed: int) -> None:
        super().__init__([cell(), cell()], now, seed=seed)
        meters = {output: NumberedMeter(seed) for output in self.smus}
        self.numbers = {output: meter.numbers for output, meter in meters.items()}
        for output, smu in self.smus.items():
            smu.meter = meters[output]


class NumberedB2900(KeysightB2900):
    """One count for both outputs."""

    def __init__(self, now: Now, seed: int) -> None:
        super().__init__(cell(), now, seed=seed, model="B2902A", second=cell())
        self.numbers = dict.fromkeys("12", Numbers())

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        fields = reply.decode("latin-1").split(";")
        if b"MEAS?" not in data or len(fields) < 6:
            return reply
        value = self.numbers["1"].next()
        for at in (4, 5):
            fields[at] = ",".join([f"{value:+.6E}", *fields[at].split(",")[1:]])
        return ";".join(fields).encode("latin-1")  # its end of line is still there


class NumberedNgu(RsNgu):
    """Counts in steps of 10 mV, which is more than a changed digit may do that its driver takes for noise."""

    def __init__(self, now: Now, seed: int) -> None:
        super().__init__(cell(), now, seed=seed)
        self.numbers = {"1": Numbers(3.6, 1e-2, 20)}

    def receive(self, data: bytes) -> bytes:
        reply = super().receive(data)
        if b"READ?" not in data or not NGU_READING.search(reply):
            return reply
        return NGU_READING.sub(f"{self.numbers['1'].next():.7E},".encode(), reply)


class NumberedEmStat(EmStat4):
    """Counts its own looks at the cell, of which a question is told the newest."""

    def __init__(self, now: Now, seed: int) -> None:
        super().__init__(cell(), now, seed=seed, deaf_s=0.05)
        self.numbers = {"1": Numbers()}
        self.cell.potential = self._numbered  # type: ignore[method-assign]

    def _numbered(self) -> Value:
        return Value(single(self.numbers["1"].next()), type="ab", metadata=",10,206")


class NumberedOven(Oven):
    """100 °C and n tenths; a broken sensor shows the top of its curve instead."""

    def __init__(self, now: Now, seed: int) -> None:
        super().__init__(now, seed=seed, decimals=1)
        self.numbers = {"1": Numbers(100.0, 0.1)}

    def receive(self, data: bytes) -> bytes:
        before = len(self.log)
        reply = super().receive(data)
        if len(reply) != 7 or data[1] != READ_HOLDING or len(self.log) == before:
            return reply
        tenths = round(10 * self.numbers["1"].next())
        return reply if self.truth()["sensor_broken"] else sealed(reply[:3] + tenths.to_bytes(2, "big"))
