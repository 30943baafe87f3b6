"""Modbus RTU frames for a master that reads registers; the link owns the wire (docs/decisions/0002-modbus-frames.md).

Facts: Modbus over Serial Line V1.02 (checksum, exceptions), Modbus Application Protocol V1.1b3 (functions 3 and 4).
"""

from __future__ import annotations

import struct

from cycler_ctl.errors import BadReply, DeviceFault

HOLDING, INPUT = 3, 4
EXCEPTION = 0x80
EXCEPTIONS = {1: "illegal function", 2: "illegal register address", 3: "illegal value", 4: "failure", 6: "busy"}


def _shifted(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0xA001 if byte & 1 else byte >> 1
    return byte


CRC_OF_BYTE = tuple(map(_shifted, range(256)))
"""Bit by bit a checksum costs more than all the rest of a reading."""


def crc16(frame: bytes) -> int:
    crc = 0xFFFF
    for byte in frame:
        crc = crc >> 8 ^ CRC_OF_BYTE[crc & 0xFF ^ byte]
    return crc


def sealed(frame: bytes) -> bytes:
    """With its checksum, low byte first."""
    return frame + struct.pack("<H", crc16(frame))


def read_request(slave: int, function: int, first: int, count: int) -> bytes:
    return sealed(struct.pack(">BBHH", slave, function, first, count))


def reply_length(buffer: bytes) -> int | None:
    """Length of the reply to a read; None while too short to tell, and for what is no such reply."""
    if len(buffer) < 3:
        return None
    length = 5 if buffer[1] & EXCEPTION else 5 + buffer[2]
    known = buffer[1] & ~EXCEPTION in {HOLDING, INPUT}
    return length if known and len(buffer) >= length else None


def registers(request: bytes, reply: bytes) -> bytes:
    """The registers' bytes, big-endian, of the reply to exactly this request; BadReply for any other frame."""
    asked = request.hex(" ")
    if len(reply) < 5 or crc16(reply) != 0:
        raise BadReply(asked, reply, "wrong checksum")
    slave, function = reply[0], reply[1]
    if slave != request[0] or function & ~EXCEPTION != request[1]:
        raise BadReply(asked, reply, "the answer of another slave or to another question")
    if function & EXCEPTION:
        raise DeviceFault(f"slave {slave} refuses {asked}: {EXCEPTIONS.get(reply[2], f'exception {reply[2]}')}")
    (count,) = struct.unpack(">H", request[4:6])
    if reply[2] != 2 * count or len(reply) != 5 + 2 * count:
        raise BadReply(asked, reply, f"not {count} registers")
    return reply[3:-2]
