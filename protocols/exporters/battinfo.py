"""BattINFO JSON-LD: the tasks of a protocol in the terms of the EMMO battery domain, as aurora-unicycler emits them.

A task names the next one (``hasNext``); a repeat is an IterativeWorkflow whose task is the first of its body.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from protocols.exporters.plain import (
    Plain,
    PlainCurrent,
    PlainHold,
    PlainRepeat,
    PlainRest,
    lose_safety,
    needs_time,
    plain,
    singles,
)
from protocols.exporters.report import Exported, Ledger, exported
from protocols.exporters.unicycler import milli
from protocols.model import Op, Program

CONTEXT = [
    "https://w3id.org/emmo/domain/battery/context",
    {"emmo": "https://w3id.org/emmo#", "echem": "https://w3id.org/emmo/domain/electrochemistry#"},
]
LONGEST_CHAIN = 150
"""Each task is inside the one before it: a reader of JSON goes only so deep."""

Json = dict[str, "Value"]
Value = str | float | int | Json | Sequence[Json] | Sequence[str]


def to_battinfo(program: Program) -> Exported:
    """Raises ``NotSayable``."""
    ledger = Ledger("BattINFO")
    steps = plain(program, ledger)
    lose_safety(program, ledger)
    ledger.lose("record: BattINFO describes the steps, not the points kept")
    ledger.lose(f"the name of the protocol, {program.name!r}, and its cell")
    if sum(1 for _ in singles(steps)) > LONGEST_CHAIN:
        ledger.refuse("", f"more than {LONGEST_CHAIN} steps in one document")
    for step in singles(steps):
        if isinstance(step, PlainRest):
            needs_time(ledger, step)
    ledger.finish()
    document = {"@context": CONTEXT, **_chain(steps, program.cell.nominal_capacity_Ah)}
    return exported(ledger, json.dumps(document, indent=4, ensure_ascii=False) + "\n")


def _chain(steps: tuple[Plain, ...], nominal_Ah: float | None) -> Json:
    """The first task, the others behind it; built from the last."""
    following: Json | None = None
    for step in reversed(steps):
        task = _task(step, nominal_Ah)
        if following is not None:
            task["hasNext"] = following
        following = task
    return following or {}


def _task(step: Plain, nominal_Ah: float | None) -> Json:
    match step:
        case PlainRepeat():
            times = [_quantity("NumberOfIterations", step.times, "emmo:UnitOne")]
            return {"@type": "IterativeWorkflow", "hasInput": times, "hasTask": _chain(step.steps, nominal_Ah)}
        case PlainRest():
            return {"@type": "OpenCircuitHold", "hasInput": _time(step.time_s)}
        case PlainCurrent():
            kind = "ConstantCurrentCharging" if step.charges else "ConstantCurrentDischarging"
            return {"@type": kind, "hasInput": _current_inputs(step, nominal_Ah)}
        case PlainHold():
            return {"@type": "VoltageHold", "hasInput": _hold_inputs(step, nominal_Ah)}


def _current_inputs(step: PlainCurrent, nominal_Ah: float | None) -> list[Json]:
    inputs = [_quantity("ElectricCurrent", milli(step.current_A), "emmo:MilliAmpere")]
    if nominal_Ah is not None:
        inputs.append(_quantity("CRate", _rate(step.current_A, nominal_Ah), "echem:CRateUnit"))
    if step.voltage is not None:
        kind = "UpperVoltageLimit" if step.voltage.op is Op.AT_LEAST else "LowerVoltageLimit"
        inputs.append(_quantity([kind, "TerminationQuantity"], step.voltage.voltage_V, "emmo:Volt"))
    return inputs + _time(step.time_s)


def _hold_inputs(step: PlainHold, nominal_Ah: float | None) -> list[Json]:
    inputs = [_quantity("Voltage", step.voltage_V, "emmo:Volt")]
    if step.taper_A is not None:
        limit = ["LowerCurrentLimit", "TerminationQuantity"]
        inputs.append(_quantity(limit, milli(step.taper_A), "emmo:MilliAmpere"))
        if nominal_Ah is not None:
            rate = ["LowerCRateLimit", "TerminationQuantity"]
            inputs.append(_quantity(rate, _rate(step.taper_A, nominal_Ah), "echem:CRateUnit"))
    return inputs + _time(step.time_s)


def _rate(current_A: float, nominal_Ah: float) -> float:
    """As people would write it: 0.1 and not 0.09999999999999999."""
    return float(f"{current_A / nominal_Ah:.12g}")


def _time(time_s: float | None) -> list[Json]:
    return [] if time_s is None else [_quantity("Duration", time_s, "emmo:Second")]


def _quantity(kind: str | Sequence[str], value: float, unit: str) -> Json:
    number: Json = {"@type": "RealData", "hasNumberValue": value}
    return {"@type": kind, "hasNumericalPart": number, "hasMeasurementUnit": unit}
