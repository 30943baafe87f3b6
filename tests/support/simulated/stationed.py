"""The station that is simulated: two channels on 2400s, the oven of one of them, a broker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cycler_ctl.config import (
    ChannelSettings,
    Config,
    HttpSettings,
    InstrumentSettings,
    Limits,
    MqttSettings,
    StationSettings,
)
from cycler_ctl.settings import Acceptance
from simulated.seats import CELL_V, MOST_A

PORTS = {"smu1": 1, "smu2": 2, "oven1": 3}
DRIVERS = {"smu1": "keithley-2400", "smu2": "keithley-2400", "oven1": "eurotherm"}


def address_of(instrument: str) -> str:
    return f"TCPIP0::127.0.0.1::{PORTS[instrument]}::SOCKET"


def config_of(data: Path, sample_every_s: Mapping[str, float], *, serials_are_named: bool) -> Config:
    limits = Limits(voltage_V=CELL_V, current_A=MOST_A, step_charge_Ah=20e-3)
    warm = limits.model_copy(update={"temperature_degC": (10.0, 60.0)})
    who = Acceptance(who="K. Abe", when="2026-11-22")
    return Config(
        station=StationSettings(name="sim", data_dir=data),
        http=HttpSettings(enabled=False),
        mqtt=MqttSettings(url=("mqtt://127.0.0.1:1883",)),
        instruments={
            name: InstrumentSettings(
                driver=driver,
                address=address_of(name),
                serial=name if serials_are_named and driver == "keithley-2400" else None,
            )
            for name, driver in DRIVERS.items()
        },
        channels={
            "c1": ChannelSettings(
                instrument="smu1", sample_every_s=sample_every_s["c1"], limits=warm, temperature="oven1",
                accept_class_b=who,
            ),
            "c2": ChannelSettings(
                instrument="smu2", sample_every_s=sample_every_s["c2"], limits=limits, temperature="unmonitored",
                accept_class_b=who,
            ),
        },
    )  # fmt: skip
