"""The list of what no host may do to a cell: every kind is seen, and a careful host does none."""

from __future__ import annotations

import pytest

from sim_hardware import keithley2400_abuse as abuse
from sim_hardware.keithley2400 import Keithley2400
from sim_hardware.loads import Battery

pytestmark = pytest.mark.not_our_driver

CAREFUL = (
    b":OUTP OFF;:OUTP:SMOD HIMP;:SYST:RSEN ON\n"
    b':SENS:FUNC "VOLT","CURR";:SOUR:VOLT:RANG 20;:SOUR:VOLT 3.7;:SENS:CURR:PROT 1E-4;:SENS:CURR:RANG 1E-4\n'
)


class Host:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.sim = Keithley2400(Battery(3.7, 100.0), self.now)

    def now(self) -> float:
        """No two looks at a running clock are the same."""
        self.now_s += 1e-6
        return self.now_s

    def send(self, *messages: bytes) -> None:
        for message in messages:
            self.sim.receive(message + b"\n")

    def abuse(self) -> object:
        return self.sim.truth()["abuse"]


@pytest.fixture
def host() -> Host:
    return Host()


def test_a_careful_host_does_none(host: Host) -> None:
    host.now_s = 60.0  # before it came the cell was drained, which is not its doing
    host.send(CAREFUL, b":OUTP ON", b":READ?", b":SOUR:VOLT 4.2")
    host.now_s = 120.0
    host.send(b":OUTP OFF", b":OUTP?")
    host.now_s = 180.0
    host.send(b":OUTP?")
    assert host.abuse() == ()


@pytest.mark.parametrize(
    ("message", "act"),
    [
        (b":SYST:RSEN OFF;:OUTP ON", abuse.TWO_WIRES),
        (b":OUTP ON;:SYST:RSEN OFF", abuse.TWO_WIRES),
        (b":OUTP:SMOD NORM", abuse.NOT_APART),
        (b"*RST", abuse.NOT_APART),
        (b":OUTP ON;:OUTP:SMOD GUAR", abuse.NOT_APART),
        (b":SOUR:CLE:AUTO ON;:READ?", abuse.AUTO_CLEAR),
        (b':SENS:FUNC "RES";:OUTP ON', abuse.OHMS),
        (b":SENS:CURR:PROT 1E-3;:OUTP ON", abuse.RANGE_COMPLIANCE),
        (b":SOUR:FUNC CURR;:SENS:VOLT:PROT 2.5;:OUTP ON", abuse.DUMPED),
        (b":MEAS:VOLT?", abuse.CONFIGURED),
        (b":CONF:CURR", abuse.CONFIGURED),
    ],
)
def test_each_kind_is_seen(host: Host, message: bytes, act: str) -> None:
    host.send(CAREFUL)
    assert host.abuse() == ()
    host.send(message)
    acts = host.abuse()
    assert isinstance(acts, tuple)
    assert act in acts


def test_charge_that_passes_while_off_is_seen(host: Host) -> None:
    host.send(CAREFUL, b":OUTP:SMOD NORM")
    host.now_s = 10.0
    host.send(b":OUTP?")
    assert host.abuse() == (abuse.NOT_APART, abuse.CHARGE_WHILE_OFF)


def test_a_power_failure_or_someone_at_the_panel_is_nobodys_abuse(host: Host) -> None:
    host.send(CAREFUL, b":OUTP ON")
    host.sim.power_cycle()
    host.now_s = 10.0
    host.send(b":OUTP?")
    host.sim.set_fault("output", True)
    host.sim.set_fault("output", False)
    host.now_s = 20.0
    host.send(b":OUTP?")
    assert host.abuse() == ()
