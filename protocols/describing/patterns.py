"""What quantities, conditions and the like look like, as regular expressions for editors.

They are those of ECMA-262 that Python reads alike, never stricter than the reader: an editor that marks
what the reader takes would teach people to ignore it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from protocols.quantities import ANY_CAPACITY, ANY_CURRENT
from protocols.units import TABLE, Dimension

NAME = "[a-z][a-z0-9_]*"
UNSIGNED = r"\+?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,2})?"
VARIABLE = rf"\${NAME}"
OPERATOR = r"(?:<=|>=|=<|=>|<|>|≤|≥)"
CURRENTS, CAPACITIES = ANY_CURRENT.dimensions, ANY_CAPACITY.dimensions
VERB = "(?:lithiate|delithiate|charge|discharge)"
WATCHED: Mapping[str, Sequence[Dimension]] = {
    "voltage": (Dimension.VOLTAGE,),
    "current": CURRENTS,
    "time": (Dimension.TIME,),
    "capacity": CAPACITIES,
    "energy": (Dimension.ENERGY,),
    "temperature": (Dimension.TEMPERATURE,),
    "dV/dt": (Dimension.SLOPE,),
}


def _unit(name: str) -> str:
    """All spellings of a unit."""
    return name.replace("µ", "[µμu]").replace("m2", r"m(?:2|\^2|²)").replace("°C", "(?:°C|℃)")


def quantity(dimensions: Sequence[Dimension], *, signed: bool = False, literal: bool = False) -> str:
    """A number with a unit of one of these, or, unless ``literal``, a variable."""
    units = sorted((name for each in dimensions for name in TABLE[each]), key=len, reverse=True)
    number = f"-?{UNSIGNED}" if signed else UNSIGNED
    ways = [rf"{number}\s*(?:{'|'.join(map(_unit, units))})"]
    if Dimension.C_RATE in dimensions:
        ways.append(rf"C/ ?{UNSIGNED}")
    if not literal:
        ways.append(VARIABLE)
    return f"(?:{'|'.join(ways)})"


def whole(inner: str) -> str:
    return rf"^\s*{inner}\s*$"


def range_of(dimension: Dimension) -> str:
    end = quantity((dimension,), signed=True)
    return whole(rf"{end}\s+to\s+{end}")


def record() -> str:
    step = quantity((Dimension.TIME, Dimension.VOLTAGE, *CURRENTS, *CAPACITIES, Dimension.TEMPERATURE))
    return whole(rf"(?:every\s+)?{step}(?:\s+or\s+{step})*")


def condition() -> str:
    """Alternatives joined by ``or``, or clauses joined by ``and``; both in one line belong into a list."""
    word = r"(?!(?:or|and|for|of)(?:\s|$))[^\s<>=≤≥%$]+"
    share = rf"(?:{UNSIGNED}\s*%|{VARIABLE})\s+of\s+{word}(?:\s+{word})*"
    said = [rf"{name}\s*{OPERATOR}\s*{quantity(kinds, signed=True)}" for name, kinds in WATCHED.items()]
    bare = quantity([kind for kinds in WATCHED.values() for kind in kinds], signed=True)
    ways = [rf"(?:capacity\s*{OPERATOR}\s*)?{share}", *said, bare]
    clause = rf"(?:{'|'.join(ways)})(?:\s+for\s+{quantity((Dimension.TIME,))})?"
    return whole(rf"{clause}(?:(?:\s+or\s+{clause})*|(?:\s+and\s+{clause})*)")


def stop_when() -> str:
    amount = f"(?:{UNSIGNED}\\s*%\\s+of\\s+cycle\\s+[0-9]+|{quantity(CAPACITIES)})"
    capacity = rf"{VERB}\s+capacity\s*{OPERATOR}\s*{amount}"
    efficiency = rf"coulombic\s+efficiency\s*{OPERATOR}\s*{UNSIGNED}\s*%"
    return whole(rf"(?:{capacity}|{efficiency})(?:\s+for\s+[0-9]+\s+cycles?)?")
