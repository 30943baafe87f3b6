"""tomato: what its driver does for a sample of a task, and its job with each poll's data; no process in between."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import xarray as xr
from fake import CUT_OFF_V, Fake, measured
from tomato.daemon.io import data_to_pickle
from tomato.driverinterface_2_1 import Attr, ModelDevice, ModelInterface

KEY = ("address", "1")


class SourceMeter(ModelDevice):
    def __init__(self, driver: ModelInterface, key: tuple[str, str]) -> None:
        super().__init__(driver, key)
        self._fake = Fake()

    def do_measure(self, **_: object) -> None:
        voltage, current = self._fake.ask().split(",")
        values = {
            "voltage": (["uts"], [float(voltage)], {"units": "V"}),
            "current": (["uts"], [float(current)], {"units": "A"}),
        }
        self.last_data = xr.Dataset(data_vars=values, coords={"uts": (["uts"], [datetime.now(UTC).timestamp()])})

    def set_attr(self, attr: str, val: object, **_: object) -> object:
        raise AttributeError(attr, val)

    def get_attr(self, attr: str, **_: object) -> float:
        return float(self.last_data[attr].values[-1])

    def attrs(self, **_: object) -> dict[str, Attr]:
        return {"voltage": Attr(type=float, units="V"), "current": Attr(type=float, units="A")}

    def capabilities(self, **_: object) -> set[str]:
        return {"measure"}


class Driver(ModelInterface):
    def DeviceFactory(self, key: tuple[str, str], **_: object) -> SourceMeter:
        return SourceMeter(self, key)


def by_task(folder: Path, samples: int) -> None:
    driver = Driver()
    driver.cmp_register(address=KEY[0], channel=KEY[1])
    device = driver.devmap[KEY]
    for _ in range(samples):
        with device.datalock:
            device.do_task(None)
        if device.get_attr("voltage") >= CUT_OFF_V:
            break
        found = driver.task_data(key=KEY)
        data_to_pickle(found.data, folder / "smu.pkl", "smu")
    device.thread.do_run = False


if __name__ == "__main__":
    measured(by_task)
