"""A row between its JSON array and the columns of table sample, both ways and exactly: pure.

A row that the columns cannot hold as it is (another layout, an unknown column, a whole number where a real one
belongs) is kept as its JSON beside what of it the columns can hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from cycler_ctl.publish.payloads import Value, encode

_NULL = "\\N"
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_LEAST, _MOST = -(2**63), 2**63 - 1
TYPES: Mapping[str, type] = {
    "test_time_second": float,
    "voltage_volt": float,
    "current_ampere": float,
    "unix_time_second": float,
    "cycle_count": int,
    "step_count": int,
    "ambient_temperature_celsius": float,
    "step_type": str,
    "step_id": str,
    "step_time_second": float,
    "record_index": int,
    "charging_capacity_ah": float,
    "discharging_capacity_ah": float,
    "charging_energy_wh": float,
    "discharging_energy_wh": float,
    "cycle_charging_capacity_ah": float,
    "cycle_discharging_capacity_ah": float,
    "cycle_charging_energy_wh": float,
    "cycle_discharging_energy_wh": float,
    "step_charging_capacity_ah": float,
    "step_discharging_capacity_ah": float,
    "step_charging_energy_wh": float,
    "step_discharging_energy_wh": float,
}
NAMES = tuple(TYPES)
_KINDS = tuple(TYPES.values())


def lines(head: str, first_seq: int, columns: tuple[str, ...], rows: Sequence[Sequence[Value]]) -> list[str]:
    """Each row as a line for COPY. ``head``: what stands before the number of the row, tabulators included."""
    made = _plain if columns == NAMES else _strange
    return [f"{head}{seq}\t{made(columns, row)}\n" for seq, row in enumerate(rows, first_seq)]


def canonical(stored: Sequence[Value]) -> bytes:
    """The row's JSON array; ``stored`` as selected: ``NAMES`` and ``raw``."""
    raw = stored[-1]
    return raw.encode() if isinstance(raw, str) else encode(list(stored[:-1]))


def _plain(columns: tuple[str, ...], row: Sequence[Value]) -> str:
    """The usual row, quickly: every row of a station that is not newer than we are."""
    if not _as_we_know_it(tuple(map(type, row))):
        return _strange(columns, row)
    texts = [_NULL if value is None else _cell(value) for value in row]
    if "" in texts:
        return _strange(columns, row)
    texts.append(_NULL)
    return "\t".join(texts)


def _cell(value: Value) -> str:
    """As COPY reads it; empty where no column can hold it."""
    if type(value) is float:
        return repr(value)
    if type(value) is int:
        return str(value) if _LEAST <= value <= _MOST else ""
    return _escaped(str(value))


@lru_cache(maxsize=4096)
def _escaped(text: str) -> str:
    """The empty text too is one that is kept as JSON: here it would be one that cannot be held."""
    if "\0" in text or (not text.isprintable() and _lone_surrogate(text)):
        return ""
    return text.translate(_ESCAPES)


def _lone_surrogate(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)


@lru_cache(maxsize=4096)
def _as_we_know_it(kinds: tuple[type, ...]) -> bool:
    return all(kind is known or kind is type(None) for kind, known in zip(kinds, _KINDS, strict=True))


def _strange(columns: tuple[str, ...], row: Sequence[Value]) -> str:
    """What fits goes to its column, and the whole of it beside as JSON."""
    by_name = dict(zip(columns, row, strict=True))
    texts = [_fitting(by_name.get(name), kind) for name, kind in TYPES.items()]
    texts.append(encode(list(row)).decode().translate(_ESCAPES))
    return "\t".join(texts)


def _fitting(value: Value, kind: type) -> str:
    """A whole number is a real one for those who draw it."""
    if kind is float and type(value) is int and abs(value) < 2**53:
        return repr(float(value))
    return (_cell(value) or _NULL) if type(value) is kind else _NULL


def ranges(spans: Sequence[tuple[int, int]]) -> str:
    """First and last numbers as a multirange."""
    return "{" + ",".join(f"[{first},{last}]" for first, last in spans) + "}"
