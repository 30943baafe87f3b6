"""Safety limits said in two files: of each the tighter one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from protocols.check import check_text
from protocols.importers.report import Notebook, Problem
from protocols.model import Safety
from protocols.quantities import format_number


def section(name: str, entries: Mapping[str, str]) -> Iterator[str]:
    """The lines of a section whose values are YAML already."""
    if entries:
        yield f"{name}:"
        yield from (f"  {key}: {text}" for key, text in entries.items())


def tightest(
    notebook: Notebook, cell: Mapping[str, str], there: Mapping[str, str], here: Mapping[str, str]
) -> Mapping[str, str]:
    """``there``: the limits of the imported file; ``here``: of the cell's file. ``cell`` is what C-rates need."""
    both = {**there, **here}
    if not there or not here:
        return both
    for key in sorted({*there, *here}):
        one, other = there.get(key), here.get(key)
        if key == "for":
            chosen = _delay(notebook, cell, one, other)
        elif one is None or other is None or one == other:
            continue
        else:
            chosen = _tighter(notebook, cell, key, (one, other))
        if chosen is None:
            both.pop(key)
        elif one != other:
            both[key] = chosen
            notebook.changed.append(f"safety.{key}: {chosen}, from {one} there and {other} of the cell")
    return both


def _delay(notebook: Notebook, cell: Mapping[str, str], there: str | None, here: str | None) -> str | None:
    """None: at once. A file that has limits and no 'for' means just that."""
    if there is not None and here is not None:
        return there if there == here else _tighter(notebook, cell, "for", (there, here))
    given, of = (there, "there") if here is None else (here, "of the cell's file")
    other = "those of the cell's file" if here is None else "those there"
    notebook.changed.append(f"safety.for: left out; it is {given} {of}, but {other} allow no time")
    return None


def _tighter(notebook: Notebook, cell: Mapping[str, str], key: str, texts: tuple[str, str]) -> str:
    """The smaller of two amounts, what two ranges have in common."""
    there, here = (_limit(cell, key, text) for text in texts)
    if isinstance(there, float) and isinstance(here, float):
        return texts[0] if there < here else texts[1]
    if isinstance(there, tuple) and isinstance(here, tuple):
        ends = max(there[0], here[0]), min(there[1], here[1])
        return " to ".join(f"{format_number(end, 15)} {'V' if key == 'voltage' else '°C'}" for end in ends)
    words = f"{texts[0]} there and {texts[1]} of the cell's file cannot be compared"
    notebook.problems.append(Problem(f"safety.{key}", words))
    return texts[1]


def _limit(cell: Mapping[str, str], key: str, text: str) -> float | tuple[float, float] | None:
    """As the check reads it, with what it knows of the cell."""
    lines = ("protocol: 1", "name: x", *section("cell", cell), *section("safety", {key: text}), "steps: [rest: 1 s]")
    program = check_text("\n".join(lines), "x").program
    return None if program is None else _field(program.safety, key)


def _field(safety: Safety, key: str) -> float | tuple[float, float] | None:
    fields = {
        "voltage": safety.voltage_V,
        "temperature": safety.temperature_degC,
        "current": safety.current_A,
        "capacity": safety.step_charge_Ah,
        "for": safety.for_s,
    }
    return fields.get(key)
