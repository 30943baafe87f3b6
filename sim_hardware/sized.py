"""Simulated cells of a given size: what is known of a real cell is taken over, the rest is the model's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from sim_hardware.cell import CELLS, MgH2Cell
from sim_hardware.loads import Load
from sim_hardware.nmc import CAPACITY_AH, NmcCell

NMC = "nmc"
MODELS = (*CELLS, NMC)
ROOM_C, HOT_C, ZERO_CELSIUS_K = 25.0, 120.0, 273.15


@dataclass(frozen=True, slots=True)
class Size:
    """A cell as far as it is described; None: not known."""

    area_cm2: float | None = None
    composite_g: float | None = None
    active_g: float | None = None
    active_material: str | None = None
    mgh2_share: float | None = None
    capacity_Ah: float | None = None
    temperature_C: float | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A cell to be simulated; ``taken``: its parameters and where each comes from; ``doubts``: how the cell differs."""

    name: str
    load: Load
    capacity_Ah: float
    temperature_C: float
    taken: tuple[str, ...]
    doubts: tuple[str, ...]


def sized(name: str, size: Size) -> Model:
    """Raises ValueError with the names there are."""
    if name == NMC:
        return _nmc(size)
    if name in CELLS:
        return _mgh2(name, size)
    raise ValueError(f"no cell model {name!r}: there are {', '.join(MODELS)}")


def _nmc(size: Size) -> Model:
    capacity_Ah = size.capacity_Ah or CAPACITY_AH
    temperature_C = ROOM_C if size.temperature_C is None else size.temperature_C
    taken = (
        "graphite | NMC full cell, whose voltage rises when its working electrode is oxidised",
        f"{capacity_Ah * 1000:.4g} mAh from 2.8 to 4.2 V ({_whose(size.capacity_Ah)})",
        "empty at the beginning, without ageing",
    )
    material = size.active_material
    doubts = () if material is None else (f"the protocol's active material is {material}, the model a full cell",)
    return Model(NMC, NmcCell(capacity_Ah), capacity_Ah, temperature_C, taken, doubts)


def _mgh2(name: str, size: Size) -> Model:
    own = CELLS[name]
    area_cm2 = size.area_cm2 or own.area_cm2
    composite_g, whose = _composite(name, area_cm2, size)
    temperature_C = HOT_C if size.temperature_C is None else size.temperature_C
    load = MgH2Cell(replace(own, composite_g=composite_g, area_cm2=area_cm2), temperature_C + ZERO_CELSIUS_K)
    taken = (
        f"MgH2 half cell ({name}) of Fig. S3",
        f"area {area_cm2:.4g} cm2 ({_whose(size.area_cm2)})",
        f"composite {composite_g * 1000:.4g} mg ({whose})",
        f"{own.mgh2_share * 100:.0f} % MgH2 (the model)",
        f"{temperature_C:.4g} °C ({_whose(size.temperature_C)})",
    )
    return Model(name, load, load.capacity_C / 3600, temperature_C, taken, tuple(_doubts(own.mgh2_share, size)))


def _composite(name: str, area_cm2: float, size: Size) -> tuple[float, str]:
    """The electrode's mass and whose it is."""
    own = CELLS[name]
    if size.composite_g is not None:
        return size.composite_g, "the protocol"
    if size.active_g is not None:
        return size.active_g / own.mgh2_share, "the protocol's active mass"
    return own.composite_g * area_cm2 / own.area_cm2, "the model's loading"


def _whose(known: float | None) -> str:
    return "the model" if known is None else "the protocol"


def _doubts(share: float, size: Size) -> Iterator[str]:
    """Where the real cell is another than the model."""
    if size.active_material not in {None, "MgH2"}:
        yield f"the protocol's active material is {size.active_material}, the model's MgH2"
    if size.mgh2_share is not None and abs(size.mgh2_share - share) > 0.005:
        yield f"the protocol's electrode holds {size.mgh2_share * 100:.0f} % MgH2, the model's {share * 100:.0f} %"
