"""Check and plan a protocol for the page: a pure function, and the process in which it is run.

A file may be made to cost seconds and gigabytes, so it is read in a process that is killed when its time is over, that
steps back for control, and that may take only so much memory.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict

from cycler_ctl.config import ChannelSettings
from cycler_ctl.ratings import Ratings
from cycler_ctl.running.intent import sentence
from cycler_ctl.running.start import engine_settings, plan_on
from protocols.check import Checked, check_text
from protocols.diagnostics import Diagnostic, as_json, has_errors, render
from protocols.model import Program
from protocols.plan import Plan, plan
from protocols.planning.plan_text import plan_json
from protocols.reading.documents import Document
from protocols.record import JSON

READY = "ready\n"
MOST_MEMORY = 1024**3
NICER = 10
MOST_STEPS = 1_000
"""Of a plan: the page shows no more, and says how many there are."""


class On(BaseModel):
    """The channel to plan for; ``ratings`` None: not known now."""

    model_config = ConfigDict(extra="forbid")
    channel: str
    instrument: str
    settings: ChannelSettings
    ratings: Ratings | None


class Asked(BaseModel):
    """As in StartRequest; ``on`` None: only check, and plan for no instrument."""

    model_config = ConfigDict(extra="forbid")
    protocol: str
    file_name: str
    cell: str | None
    cell_name: str
    include: dict[str, str]
    set: dict[str, str]
    on: On | None = None


class Problem(BaseModel):
    """``text`` is what ``cycler-ctl check`` prints: the line, a caret and the help."""

    file: str
    line: int
    column: int
    severity: Literal["error", "warning"]
    code: str
    message: str
    help: str | None
    text: str


class Variable(BaseModel):
    """A name that ``set`` may give another quantity."""

    name: str
    default: str


class DryRun(BaseModel):
    """``ok``: nothing here stands against a start; ``queueable``: nothing but that the channel is busy does.

    ``plan`` as ``plan --json`` prints it, None where there are errors.
    """

    ok: bool
    queueable: bool = False
    name: str
    cell: str
    problems: list[Problem]
    variables: list[Variable]
    plan: dict[str, object] | None
    more_steps: int
    refused: list[str]
    sentence: str


def dry_run(asked: Asked) -> DryRun:
    checked = _checked(asked, asked.set)
    defaults = _checked(asked, {}) if asked.set else checked
    program = checked.program
    found = DryRun(
        ok=program is not None,
        name="" if program is None else program.name,
        cell="" if program is None else program.cell.name,
        problems=[_problem(one) for one in checked.diagnostics],
        variables=_variables(defaults.program or program),
        plan=None,
        more_steps=0,
        refused=[],
        sentence="",
    )
    return found if program is None else found.model_copy(update=_planned(program, asked.on))


def _checked(asked: Asked, overrides: Mapping[str, str]) -> Checked:
    cell = None if asked.cell is None else Document(asked.cell_name, asked.cell)
    checked = check_text(asked.protocol, asked.file_name, overrides=overrides, cell=cell, sent=asked.include)
    return replace(checked, program=None) if has_errors(checked.diagnostics) else checked


def _problem(one: Diagnostic) -> Problem:
    return Problem.model_validate({**as_json(one), "text": render(one)})


def _variables(program: Program | None) -> list[Variable]:
    return [] if program is None else [Variable(name=name, default=text) for name, text in program.variables]


def _planned(program: Program, on: On | None) -> dict[str, object]:
    found = _plan(program, on)
    told: dict[str, JSON] = plan_json(replace(found, rows=found.rows[:MOST_STEPS]))
    return {
        "ok": not found.errors,
        "plan": told,
        "more_steps": max(0, len(found.rows) - MOST_STEPS),
        "refused": [one.message for one in found.errors],
        "sentence": "" if on is None else sentence(found, on.channel, on.settings),
    }


def _plan(program: Program, on: On | None) -> Plan:
    if on is None:
        return plan(program)
    if on.ratings is None:
        return plan(replace(program, settings=engine_settings(on.settings)))
    return plan_on(program, on.settings, on.instrument, on.ratings)


def main() -> None:
    """One request a line, one answer a line, until nobody asks any more."""
    _step_back()
    sys.stdout.write(READY)
    sys.stdout.flush()
    for line in sys.stdin:
        answer = dry_run(Asked.model_validate_json(line))
        sys.stdout.write(json.dumps(answer.model_dump(mode="json")) + "\n")
        sys.stdout.flush()


def _step_back() -> None:
    if sys.platform == "win32":
        return
    import resource

    os.nice(NICER)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))


if __name__ == "__main__":
    main()
