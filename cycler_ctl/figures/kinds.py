"""Which lines each kind of figure has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING

from cycler_ctl.errors import StoreError
from cycler_ctl.figures.dqdv import METHOD, differential
from cycler_ctl.figures.drawing import DASHES, NEW_LINE, PALETTE, Drawing, Line, Panel, Words, plain, shade, unit
from cycler_ctl.figures.source import UNITS, Source
from cycler_ctl.figures.wishes import MM_PER_IN, WIDTHS_MM, Wish, as_asked, chosen
from cycler_ctl.web.decimate import keep

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.typing import NDArray

FEW = 6
"""So many cycles are named; more have a scale of colours."""
MOST_CYCLES = 60
"""Of more, so many are drawn: evenly spaced, the first and the last among them."""
MOST_POINTS = 60_000
"""Of one panel: more cannot be seen, and would make a vector file slow."""
ONE_COLUMN_IN, TWO_COLUMNS_IN = (WIDTHS_MM[name] / MM_PER_IN for name in ("single", "double"))
AS_IT_IS = Wish()


class Kind(StrEnum):
    VOLTAGE_CAPACITY = "voltage-capacity"
    VOLTAGE_TIME = "voltage-time"
    CYCLES = "cycles"
    DQDV = "dqdv"


def drawing_of(kind: Kind, sources: Sequence[Source], wish: Wish = AS_IT_IS) -> Drawing:
    """StoreError where runs cannot stand in one figure."""
    if wish.cycles and kind is Kind.VOLTAGE_TIME:
        raise StoreError("--cycles is not for voltage-time, whose time goes on between them: say --x 0:24")
    if len({source.per for source in sources}) > 1 and kind is not Kind.VOLTAGE_TIME:
        raise StoreError("these runs' capacities have different units: say --per cell, gram or cm2")
    return as_asked(_KINDS[kind]([chosen(source, wish) for source in sources]), wish)


def _voltage_capacity(sources: Sequence[Source]) -> Drawing:
    def lines(source: Source, cycle: int, direction: int, most: int) -> tuple[NDArray[float64], NDArray[float64]]:
        chosen = _rows(source, cycle, direction)
        seen = chosen[_thinned(len(chosen), most)]
        return source.data[_counter(direction)][seen] * source.scale, source.data["voltage_V"][seen]

    ends = _ends(sources)
    panels = [
        _by_cycle(source, lines, ends, (source.capacity_label(), source.voltage_label()), 0.0) for source in sources
    ]
    return _beside(sources, panels, "Voltage against capacity", "")


def _dqdv(sources: Sequence[Source]) -> Drawing:
    def lines(source: Source, cycle: int, direction: int, _: int) -> tuple[NDArray[float64], NDArray[float64]]:
        chosen = _rows(source, cycle, direction)
        chosen = chosen[source.held[chosen] == 0]
        data = source.data
        capacity = data[_counter(direction)][chosen] * source.scale
        at_V, found = differential(data["voltage_V"][chosen], capacity, data["step_count"][chosen])
        return at_V, direction * found

    ends = _ends(sources)
    panels = [
        _by_cycle(source, lines, ends, (source.voltage_label(), unit("dQ/dV", f"{UNITS[source.per]} V^-1")), None)
        for source in sources
    ]
    return _beside(sources, panels, "Differential capacity", METHOD)


def _voltage_time(sources: Sequence[Source]) -> Drawing:
    panels = tuple(_over_time(source) for source in sources)
    size = TWO_COLUMNS_IN, 0.6 + 1.9 * len(panels)
    return Drawing(panels, 1, size, "Voltage against time")


def _over_time(source: Source) -> Panel:
    time_s, voltage_V = source.data["time_s"], source.data["voltage_V"]
    seen = keep([voltage_V], MOST_POINTS // 10)
    days = len(time_s) > 0 and time_s[-1] > 10 * 86_400
    x = time_s[seen] / (86_400 if days else 3600)
    line = Line(x, voltage_V[seen], PALETTE[0])
    return Panel(source.title, unit("Time", "d" if days else "h"), source.voltage_label(), (line,), 0.0)


def _cycles(sources: Sequence[Source]) -> Drawing:
    names = _names(sources)
    above = tuple(line for place, source in enumerate(sources) for line in _capacities(source, names[place], place))
    below = tuple(_efficiency(source, names[place], place) for place, source in enumerate(sources))
    title = sources[0].title if len(sources) == 1 else plain("")
    panels = (
        Panel(title, plain(""), sources[0].capacity_label(), above, None, 0.0),
        Panel(plain(""), plain("Cycle"), (("Coulombic", ""), NEW_LINE, *unit("efficiency", "%")), below),
    )
    caption = "" if len(sources) == 1 else f"Full: {sources[0].word(-1)}, open: {sources[0].word(1)}"
    size = ONE_COLUMN_IN + (0 if len(sources) == 1 else 1.2), 3.9
    return Drawing(panels, 1, size, "Capacity and efficiency by cycle", caption, heights=(2.0, 1.1), share_x=True)


def _capacities(source: Source, name: str, place: int) -> Iterator[Line]:
    """One run alone names its directions; of several each has a colour, and the first marker names it."""
    for way, direction in enumerate((-1, 1)):
        colour = PALETTE[place % len(PALETTE) if name else way]
        marker = "down" if direction < 0 else "up"
        label = (name if direction < 0 else None) if name else source.word(direction)
        y = source.cycles[:, 1 + way]
        dash = DASHES[place % len(DASHES)]
        yield Line(source.cycles[:, 0], y, colour, label, dash, marker, filled=not name or direction < 0)


def _efficiency(source: Source, name: str, place: int) -> Line:
    colour = PALETTE[place % len(PALETTE)] if name else PALETTE[2]
    return Line(source.cycles[:, 0], source.cycles[:, 3], colour, dash=DASHES[place % len(DASHES)], marker="dot")


def _names(sources: Sequence[Source]) -> list[str]:
    """Of the runs in a legend: their cells', where these tell them apart; nothing for one alone."""
    if len(sources) == 1:
        return [""]
    names = [source.name for source in sources]
    return [
        name if names.count(name) == 1 else f"{name} {source.run}" for name, source in zip(names, sources, strict=True)
    ]


def _counter(direction: int) -> str:
    return "cycle_reduction_Ah" if direction < 0 else "cycle_oxidation_Ah"


def _rows(source: Source, cycle: int, direction: int) -> NDArray[intp]:
    """Cycles follow one another, so that a thousand of them are not each looked for in all rows."""
    import numpy as np

    begin, end = np.searchsorted(source.data["cycle"], (cycle, cycle + 1))
    found: NDArray[intp] = np.flatnonzero(source.data["direction"][begin:end] == direction) + int(begin)
    return found


def _thinned(count: int, most: int) -> NDArray[intp]:
    """Evenly, the first and the last among them."""
    import numpy as np

    kept: NDArray[intp] = np.unique(np.linspace(0, count - 1, min(count, most)).round()).astype(np.intp)
    return kept


Points = Callable[[Source, int, int, int], "tuple[NDArray[float64], NDArray[float64]]"]


def _by_cycle(
    source: Source, points: Points, ends: tuple[int, int], labels: tuple[Words, Words], x_low: float | None
) -> Panel:
    """One cycle has one colour and one dash in all panels: those of its place between the first and the last of all."""
    cycles = drawn_cycles(source)
    few, most = len(cycles) <= FEW, max(100, MOST_POINTS // max(2 * len(cycles), 1))
    lines: list[Line] = []
    for cycle in cycles:
        colour = shade((cycle - ends[0]) / max(ends[1] - ends[0], 1))
        dash = DASHES[(cycle - ends[0]) % len(DASHES)] if few else "solid"
        pair = (points(source, cycle, direction, most) for direction in (-1, 1))
        drawn = [Line(x, y, colour, dash=dash) for x, y in pair if len(x) > 1]
        lines += [replace(line, label=f"cycle {cycle}") if few else line for line in drawn[:1]] + drawn[1:]
    return Panel(source.title, *labels, tuple(lines), x_low)


def drawn_cycles(source: Source) -> list[int]:
    """Those with current, all of them if they are not too many."""
    found = _cycles_of(source)
    return [found[place] for place in _thinned(len(found), MOST_CYCLES)]


def _cycles_of(source: Source) -> list[int]:
    import numpy as np

    return [int(cycle) for cycle in np.unique(source.data["cycle"][source.data["direction"] != 0])]


def _beside(sources: Sequence[Source], panels: Sequence[Panel], title: str, caption: str) -> Drawing:
    """A panel each, with the same axes; the scale of colours is that of all."""
    columns = min(len(panels), 2 if len(panels) in {2, 4} else 3)
    rows = -(-len(panels) // columns)
    many = any(len(drawn_cycles(source)) > FEW for source in sources)
    size = (ONE_COLUMN_IN if columns == 1 else TWO_COLUMNS_IN), 0.5 + 2.3 * rows
    scale = _ends(sources) if many else None
    texts = [text for text in (caption, _drawn_from(sources)) if text]
    several = len(panels) > 1
    named = _lettered(panels) if several else tuple(panels)
    return Drawing(named, columns, size, title, ". ".join(texts), scale, share_x=several, share_y=several)


def _lettered(panels: Sequence[Panel]) -> tuple[Panel, ...]:
    """(a), (b) … as a paper's text speaks of them."""
    letters = (f"({chr(ord('a') + place)}) " if place < 26 else f"({place + 1}) " for place in range(len(panels)))
    return tuple(
        replace(panel, title=((letter, ""), *panel.title)) for letter, panel in zip(letters, panels, strict=True)
    )


def _ends(sources: Sequence[Source]) -> tuple[int, int]:
    """First and last cycle of all."""
    found = [cycle for source in sources for cycle in drawn_cycles(source)]
    return min(found, default=0), max(found, default=0)


def _drawn_from(sources: Sequence[Source]) -> str:
    """What is not shown is said."""
    most = max((len(_cycles_of(source)) for source in sources), default=0)
    return f"{MOST_CYCLES} of {most} cycles are drawn" if most > MOST_CYCLES else ""


_KINDS: Mapping[Kind, Callable[[Sequence[Source]], Drawing]] = {
    Kind.VOLTAGE_CAPACITY: _voltage_capacity,
    Kind.VOLTAGE_TIME: _voltage_time,
    Kind.CYCLES: _cycles,
    Kind.DQDV: _dqdv,
}
