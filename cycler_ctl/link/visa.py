"""Everything PyVISA reaches (GPIB, USBTMC, VXI-11, HiSLIP; any address with ``backend = "visa"``) as a blocking port."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import pyvisa
from pyvisa import constants
from pyvisa.errors import Error as VisaError
from pyvisa.errors import VisaIOError
from pyvisa.resources import MessageBasedResource, SerialInstrument, TCPIPSocket

from cycler_ctl.clock import SystemClock
from cycler_ctl.errors import ConfigError, LinkTimeout
from cycler_ctl.instrument import LinkDefaults, line_reply
from cycler_ctl.link.address import SerialAddress
from cycler_ctl.link.explain import exchange_error, silence

# What PyVISA and its Python backend let through.
FAILURES = (VisaError, OSError, ValueError, EOFError)
QUIET_MS = 50
PAUSE_S = 0.005  # a look for stray bytes on a socket costs 1 ms, so only after a pause like this
MOST_BYTES = 1 << 16
FULL = constants.StatusCode.success_max_count_read
ENDED = constants.StatusCode.success_termination_character_read
PARITY = {"N": constants.Parity.none, "E": constants.Parity.even, "O": constants.Parity.odd}
FLOW = {"none": constants.ControlFlow.none, "xonxoff": constants.ControlFlow.xon_xoff}
STOP = {1: constants.StopBits.one, 2: constants.StopBits.two}


class VisaPort:
    """A Port. Buses with messages (GPIB, USBTMC, ...) have a device clear; sockets and serial ports are streams."""

    def __init__(self, address: str, resource: MessageBasedResource, defaults: LinkDefaults) -> None:
        self._address = address
        self._resource = resource
        self._defaults = defaults
        self._at_once = MOST_BYTES if defaults.reply_length is line_reply else 1
        self._clock = SystemClock()
        self._last_s = -1.0

    def write(self, message: bytes) -> None:
        with self._failing_as_ours():
            self._resource.write_raw(message)

    def read(self) -> bytes:
        received = self._read(self._at_once)
        self._last_s = self._clock.now()
        return received

    def discard(self) -> None:
        """What waits in a socket cannot be asked of a library: it is read away once there was time for it to come."""
        if isinstance(self._resource, SerialInstrument):
            for _ in range(self._waiting(self._resource)):
                self._read(1)
        elif isinstance(self._resource, TCPIPSocket):
            with self._failing_as_ours():
                self._resource.flush(constants.BufferOperation.discard_receive_buffer)
            if self._clock.now() - self._last_s > PAUSE_S:
                self._read_away(0)

    def clear(self) -> None:
        if isinstance(self._resource, SerialInstrument | TCPIPSocket):
            if self._defaults.clear:
                self.write(self._defaults.clear)
            self._read_away(QUIET_MS)
            return
        with self._failing_as_ours():
            self._resource.clear()

    def close(self) -> None:
        with self._failing_as_ours():
            self._resource.close()

    def _waiting(self, resource: SerialInstrument) -> int:
        with self._failing_as_ours():
            return int(resource.bytes_in_buffer)

    def _read(self, most: int) -> bytes:
        """Empty when nothing (or, by lines, no whole line) came within the resource's time-out."""
        try:
            with self._failing_as_ours():
                return self._resource.visalib.read(self._resource.session, most)[0]
        except LinkTimeout:
            return b""

    def _read_away(self, quiet_ms: int) -> None:
        """Byte by byte, for PyVISA drops what it has of a longer read when that times out."""
        self._resource.timeout = quiet_ms
        for _ in range(MOST_BYTES):
            if not self._read(1):
                break
        self._resource.timeout = round(self._defaults.timeout_s * 1000)

    @contextmanager
    def _failing_as_ours(self) -> Generator[None]:
        try:
            yield
        except FAILURES as error:
            if isinstance(error, VisaIOError) and error.error_code == constants.StatusCode.error_timeout:
                raise silence(self._address, self._defaults.timeout_s) from error
            raise exchange_error(self._address, error) from error


def open_visa(address: str, resource_name: str, wire: SerialAddress, defaults: LinkDefaults, backend: str) -> VisaPort:
    """``wire``: the serial settings, for an ASRL resource.

    The Python backend opens a socket even where nobody listens, so that is looked at before anything is sent.
    """
    manager = pyvisa.ResourceManager(backend)
    manager.visalib.issue_warning_on -= {FULL, ENDED}  # as many bytes as were asked for is what reading here means
    resource = manager.open_resource(resource_name, open_timeout=3000)
    if not isinstance(resource, MessageBasedResource):
        raise ConfigError(f"{address}: nothing that can be asked in messages")
    resource.timeout = round(defaults.timeout_s * 1000)
    _set_framing(resource, defaults)
    if isinstance(resource, SerialInstrument):
        resource.baud_rate = wire.baudrate or defaults.baudrate
        resource.parity = PARITY[wire.parity or defaults.parity]
        resource.stop_bits = STOP[wire.stopbits or defaults.stopbits]
        resource.flow_control = FLOW[wire.flow]
    port = VisaPort(address, resource, defaults)
    port.discard()
    return port


def _set_framing(resource: MessageBasedResource, defaults: LinkDefaults) -> None:
    """By lines a read ends at LF; otherwise the driver's own framing counts bytes. Nothing is added on writing."""
    lines = defaults.reply_length is line_reply
    if lines:
        resource.read_termination = "\n"
    if isinstance(resource, SerialInstrument):
        ends = constants.SerialTermination
        resource.end_input = ends.termination_char if lines else ends.none
        resource.end_output = ends.none
