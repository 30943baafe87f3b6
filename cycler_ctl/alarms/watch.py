"""The thread that looks at the station once a second and keeps the board; control knows nothing of it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from cycler_ctl.alarms.board import AlarmBoard
from cycler_ctl.alarms.certificate import look_at
from cycler_ctl.alarms.derive import derive
from cycler_ctl.alarms.facts import Broker, Certificate, ClockStep, Disk, Facts, Sensor
from cycler_ctl.clock import Clock
from cycler_ctl.config import Config
from cycler_ctl.instrument import Measurement
from cycler_ctl.live import ChannelStatus, StationView
from cycler_ctl.within import within

T = TypeVar("T")

LOOK_S = 1.0
DISK_EVERY_S, DISK_S = 30.0, 5.0
CERTIFICATES_EVERY_S = 3600.0
CLOCK_STEP_S = 5.0
"""Less is for the run's record; a time server's corrections need nobody."""


class Watched(StationView, Protocol):
    """Read-only, and safe from any thread."""

    def sensors(self) -> tuple[str, ...]: ...
    def sensor(self, name: str) -> Measurement | None: ...


@dataclass(frozen=True, slots=True)
class Beside:
    """What else is looked at: each from any thread, at once, and never raising."""

    broker: Callable[[], Broker | None] = lambda: None
    share: Callable[[], str | None] = lambda: None
    notify: Callable[[], Mapping[str, str]] = dict
    commands: Callable[[], str | None] = lambda: None


class AlarmWatch:
    """An Observer: what a channel tells is looked at without waiting for the next second."""

    def __init__(self, config: Config, view: Watched, board: AlarmBoard, clock: Clock, beside: Beside) -> None:
        self._config = config
        self._view = view
        self._board = board
        self._clock = clock
        self._beside = beside
        self._disk = Rarely(DISK_EVERY_S, lambda: disk_of(config.station.data_dir))
        self._certificates = Rarely(CERTIFICATES_EVERY_S, lambda: certificates_of(config))
        self._values: dict[str, tuple[float, float]] = {}
        self._ahead_s = clock.utc() - clock.now()
        self._step: ClockStep | None = None
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="alarms", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        self._ending.set()
        self._wake.set()
        self._thread.join(timeout_s)

    def channel_changed(self, status: ChannelStatus) -> None:
        """Only noted: the thread looks."""
        del status
        self._wake.set()

    def durable(self, run: str) -> None:
        """Nothing needs a person then."""

    def _work(self) -> None:
        """The last look is after everything has ended."""
        while not self._ending.is_set():
            self._wake.clear()
            self.look()
            self._wake.wait(LOOK_S)
        self.look()

    def look(self) -> None:
        """Once at everything."""
        self._board.look(derive(self._facts()))

    def _facts(self) -> Facts:
        now_s, utc_s = self._clock.now(), self._clock.utc()
        self._look_at_clock(now_s, utc_s)
        return Facts(
            utc_s,
            self._view.channels(),
            self._view.instruments(),
            tuple(self._sensor(name, now_s) for name in self._view.sensors()),
            self._disk.value(now_s),
            self._beside.broker(),
            self._certificates.value(now_s),
            self._step,
            self._beside.share(),
            self._beside.notify(),
            self._beside.commands(),
        )

    def _look_at_clock(self, now_s: float, utc_s: float) -> None:
        ahead_s, before_s = utc_s - now_s, self._ahead_s
        self._ahead_s = ahead_s
        if not abs(ahead_s - before_s) <= CLOCK_STEP_S:
            self._step = ClockStep(ahead_s - before_s, utc_s)

    def _sensor(self, name: str, now_s: float) -> Sensor:
        """Its value is as old as the time since it was first seen here: the station's clock is its own."""
        channels = tuple(one for one, settings in self._config.channels.items() if settings.temperature == name)
        newest = self._view.sensor(name)
        if newest is None:
            return Sensor(name, None, channels)
        at_s, seen_s = self._values.get(name, (None, now_s))
        if at_s != newest.at_s:
            seen_s = now_s
        self._values[name] = (newest.at_s, seen_s)
        return Sensor(name, now_s - seen_s, channels)


class Rarely(Generic[T]):
    """What is looked at every so often, and remembered between."""

    def __init__(self, every_s: float, look: Callable[[], T]) -> None:
        self._every_s = every_s
        self._look = look
        self._last: tuple[float, T] | None = None

    def value(self, now_s: float) -> T:
        if self._last is None or now_s - self._last[0] >= self._every_s:
            self._last = (now_s, self._look())
        return self._last[1]


def disk_of(folder: Path) -> Disk:
    """A disk that does not answer is one that fails."""
    try:
        return Disk(str(folder), within(DISK_S, lambda: shutil.disk_usage(folder).free))
    except (OSError, TimeoutError) as error:
        return Disk(str(folder), trouble=str(error))


def certificates_of(config: Config) -> tuple[Certificate, ...]:
    """All that station.toml names."""
    http, mqtt = config.http, config.mqtt
    named = {
        "http": http.tls_cert if http.enabled else None,
        "mqtt-ca": mqtt.ca_file if mqtt.enabled else None,
        "mqtt-client": mqtt.cert_file if mqtt.enabled else None,
    }
    return tuple(look_at(name, path) for name, path in named.items() if path is not None)
