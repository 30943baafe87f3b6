"""A serial port through pyserial, the same on Linux and Windows; exclusively ours while open."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import serial

from cycler_ctl.instrument import LinkDefaults
from cycler_ctl.link.address import SerialAddress
from cycler_ctl.link.explain import HELD, exchange_error, silence

PATIENCE_S = 0.05  # also the quiet that ends a drain
DRAIN_READS = 100


class SerialPort:
    """A Port; pyserial's time-out is set once, for changing it reconfigures the hardware."""

    def __init__(self, address: str, port: serial.Serial, defaults: LinkDefaults) -> None:
        self._address = address
        self._port = port
        self._clear = defaults.clear
        self._patience_s = defaults.timeout_s

    def write(self, message: bytes) -> None:
        with self._failing_as_ours():
            self._port.write(message)

    def read(self) -> bytes:
        with self._failing_as_ours():
            return bytes(self._port.read(self._port.in_waiting or 1))

    def discard(self) -> None:
        """Read away rather than flushed: flushing an unplugged port raises an error of another family (termios)."""
        with self._failing_as_ours():
            if waiting := self._port.in_waiting:
                self._port.read(waiting)

    def clear(self) -> None:
        if self._clear:
            self.write(self._clear)
        for _ in range(DRAIN_READS):
            if not self.read():
                return

    def close(self) -> None:
        self._port.close()

    @contextmanager
    def _failing_as_ours(self) -> Generator[None]:
        try:
            yield
        except serial.SerialTimeoutException as error:
            raise silence(self._address, self._patience_s, because=HELD) from error
        except OSError as error:
            raise exchange_error(self._address, error) from error


def open_serial(address: str, target: SerialAddress, defaults: LinkDefaults) -> SerialPort:
    """``exclusive``: a second program that asks for the port is refused by the system."""
    port = serial.Serial(
        target.port,
        baudrate=target.baudrate or defaults.baudrate,
        parity=target.parity or defaults.parity,
        stopbits=target.stopbits or defaults.stopbits,
        xonxoff=target.flow == "xonxoff",
        timeout=PATIENCE_S,
        write_timeout=defaults.timeout_s,
        exclusive=True,
    )
    return SerialPort(address, port, defaults)
