"""Until when a certificate is valid: from a file, or of the broker one is connected to. Pure, but for reading the file."""

from __future__ import annotations

import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cycler_ctl.errors import ConfigError

WARN_DAYS = 30
_DAY_S = 86400.0
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\s", re.DOTALL)
_VERSION_TAG = 0xA0  # RFC 5280, 4.1: [0] EXPLICIT, before the serial number
_UTC_TIME = 0x17


@dataclass(frozen=True, slots=True)
class Validity:
    """``what``: whose certificate, as a message calls it."""

    what: str
    until_utc_s: float


def of_file(path: Path, what: str) -> Validity:
    """The first of the file's certificates to expire."""
    try:
        found = _PEM.findall(path.read_text(encoding="ascii") + "\n")
        ends = [not_after_s(ssl.PEM_cert_to_DER_cert(text.strip())) for text in found]
    except (OSError, ValueError, IndexError) as error:
        raise ConfigError(f"{what} {path} cannot be used: {error}") from error
    if not ends:
        raise ConfigError(f"{what} {path} cannot be used: there is no certificate in it")
    return Validity(f"{what} {path}", min(ends))


def warnings(found: Sequence[Validity], utc_s: float, days: float = WARN_DAYS) -> list[str]:
    """What expires within ``days`` or has expired already, in words."""
    soon = sorted((one for one in found if one.until_utc_s - utc_s < days * _DAY_S), key=lambda one: one.until_utc_s)
    return [_in_words(one, utc_s) for one in soon]


def _in_words(one: Validity, utc_s: float) -> str:
    day = datetime.fromtimestamp(one.until_utc_s, UTC).date().isoformat()
    left_s = one.until_utc_s - utc_s
    return f"{one.what} expired on {day}" if left_s <= 0 else f"{one.what} expires on {day}, in {left_s / _DAY_S:.0f} d"


def not_after_s(der: bytes) -> float:
    """RFC 5280, 4.1: the second time of ``validity``, the fourth field after the optional version."""
    _, certificate, _ = _element(der, 0)
    _, body, _ = _element(certificate, 0)
    tag, _, at = _element(body, 0)
    for _ in range(3 if tag == _VERSION_TAG else 2):  # serial number, signature, issuer
        _, _, at = _element(body, at)
    _, validity, _ = _element(body, at)
    _, _, second = _element(validity, 0)
    kind, end, _ = _element(validity, second)
    text = end.decode("ascii")
    if kind == _UTC_TIME:  # RFC 5280, 4.1.2.5.1: two digits of the year, 50 to 99 are 19xx
        text = f"{'19' if int(text[:2]) >= 50 else '20'}{text}"
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag and content of the DER element at ``at``, and where the next one begins."""
    length, start = data[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, start = int.from_bytes(data[start : start + size], "big"), start + size
    return data[at], data[start : start + length], start + length
