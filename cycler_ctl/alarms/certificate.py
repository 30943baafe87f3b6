"""When a certificate ends, read from its file (RFC 5280, 4.1): the standard library tells that of no certificate of ours."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from cycler_ctl.alarms.facts import Certificate

BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
SEQUENCE, VERSION, UTC_TIME = 0x30, 0xA0, 0x17
MOST_BYTES = 1_048_576


def look_at(name: str, path: Path) -> Certificate:
    """Of several in one file the one that ends first."""
    try:
        with path.open(encoding="ascii") as file:
            return Certificate(name, str(path), min(_ends(file.read(MOST_BYTES))))
    except (OSError, ValueError, IndexError) as error:
        return Certificate(name, str(path), trouble=f"it is no certificate that can be read: {error}")


def _ends(text: str) -> Iterator[float]:
    rest = text
    while BEGIN in rest:
        body, closed, rest = rest.partition(BEGIN)[2].partition(END)
        if not closed:
            raise ValueError("it ends in the middle of a certificate")
        yield expiry(ssl.PEM_cert_to_DER_cert(f"{BEGIN}{body}{END}"))


def expiry(der: bytes) -> float:
    """The end of ``validity``, UTC s: after the optional version, serial number, signature and issuer."""
    certificate = _inside(der, SEQUENCE)
    parts = [part for part in _parts(_inside(certificate, SEQUENCE)) if part[0] != VERSION]
    _, (kind, until) = list(_parts(parts[3][1]))[:2]
    text = until.decode("ascii")
    if kind == UTC_TIME:  # two digits of the year: 50 to 99 are of the last century
        text = f"{'19' if int(text[:2]) >= 50 else '20'}{text}"
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _inside(der: bytes, kind: int) -> bytes:
    found, content = next(_parts(der))
    if found != kind:
        raise ValueError("it is no certificate")
    return content


def _parts(der: bytes) -> Iterator[tuple[int, bytes]]:
    """Each (kind, content) in a row."""
    at = 0
    while at < len(der):
        kind, length = der[at], der[at + 1]
        at += 2
        if length >= 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(der[at : at + size], "big"), at + size
        if at + length > len(der):
            raise ValueError("it is no certificate: it ends too early")
        yield kind, der[at : at + length]
        at += length
