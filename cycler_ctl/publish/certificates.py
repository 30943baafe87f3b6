"""Until when a certificate is valid: of a file, or of the broker one is connected to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cycler_ctl.alarms.certificate import look_at
from cycler_ctl.errors import ConfigError

WARN_DAYS = 30
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Validity:
    """``what``: whose certificate, as a message calls it."""

    what: str
    until_utc_s: float


def of_file(path: Path, what: str) -> Validity:
    """The first of the file's certificates to end."""
    found = look_at(what, path)
    if found.trouble or found.expires_utc_s is None:
        raise ConfigError(f"{what} {path} cannot be used: {found.trouble}")
    return Validity(f"{what} {path}", found.expires_utc_s)


def warnings(found: Sequence[Validity], utc_s: float, days: float = WARN_DAYS) -> list[str]:
    """What expires within ``days`` or has expired already, in words."""
    soon = sorted((one for one in found if one.until_utc_s - utc_s < days * _DAY_S), key=lambda one: one.until_utc_s)
    return [_in_words(one, utc_s) for one in soon]


def _in_words(one: Validity, utc_s: float) -> str:
    day = datetime.fromtimestamp(one.until_utc_s, UTC).date().isoformat()
    left_s = one.until_utc_s - utc_s
    return f"{one.what} expired on {day}" if left_s <= 0 else f"{one.what} expires on {day}, in {left_s / _DAY_S:.0f} d"
