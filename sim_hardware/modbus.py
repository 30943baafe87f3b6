"""The slave's side of Modbus RTU: whole frames out of a stream of bytes, and their checksums.

On a stream there is no 3.5-character gap, so a frame's end is known from its function; after nonsense the reader looks
for the next place where a frame with a good checksum begins.
"""

from __future__ import annotations

import struct

READ_HOLDING, READ_INPUT, WRITE_ONE, WRITE_SEVERAL = 3, 4, 6, 16
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
LONGEST_FRAME = 256


class ModbusError(Exception):
    """The request is answered by an exception frame with ``code``."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def _divided(remainder: int) -> int:
    """Eight steps of the division by the polynomial, bit by bit as in the specification's appendix."""
    for _ in range(8):
        remainder = (remainder >> 1) ^ 0xA001 if remainder & 1 else remainder >> 1
    return remainder


_TABLE = [_divided(value) for value in range(256)]


def crc16(frame: bytes) -> int:
    crc = 0xFFFF
    for byte in frame:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def sealed(frame: bytes) -> bytes:
    return frame + struct.pack("<H", crc16(frame))


def is_whole(frame: bytes) -> bool:
    return len(frame) >= 4 and crc16(frame) == 0


def request_length(buffer: bytes) -> int | None:
    """How long the request at the front of ``buffer`` is; None while that cannot be known."""
    if len(buffer) < 2:
        return None
    if buffer[1] in {READ_HOLDING, READ_INPUT, WRITE_ONE}:
        return 8
    if buffer[1] == WRITE_SEVERAL:
        return 9 + buffer[6] if len(buffer) > 6 else None
    return len(buffer)  # an unknown function: whatever came with it, if its checksum is good


def take_request(buffer: bytes) -> tuple[bytes | None, bytes]:
    """The first whole request and what is left; (None, rest) when more bytes are needed."""
    for start in range(max(len(buffer) - 3, 1)):
        length = request_length(buffer[start:])
        if length is not None and length <= len(buffer) - start and is_whole(buffer[start : start + length]):
            return buffer[start : start + length], buffer[start + length :]
    return None, b"" if _hopeless(buffer) else buffer


def _hopeless(buffer: bytes) -> bool:
    length = request_length(buffer)
    return len(buffer) >= LONGEST_FRAME or (length is not None and len(buffer) >= length)
