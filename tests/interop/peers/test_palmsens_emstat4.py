"""PalmSens' own code reads what the simulator says, and takes what the driver sends for MethodSCRIPT.

pypalmsens 2.2.0 carries a grammar of MethodSCRIPT (it needs antlr4-python3-runtime 4.13). It is loaded from its folder, for
the package itself needs .NET.
"""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cycler_ctl.instrument import ConstantCurrent, ConstantVoltage, Rest, Setpoint
from drivers.palmsens_emstat4_ratings import MODELS
from drivers.palmsens_emstat4_script import Pace, plan_for, proof, script

WINDOW_V = (2.5, 4.2)


@pytest.fixture
def validate(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("antlr4", reason="PalmSens' grammar needs antlr4-python3-runtime")
    found = find_spec("pypalmsens")
    if found is None or found.origin is None:
        pytest.skip("pypalmsens is not installed")
    monkeypatch.syspath_prepend(str(Path(found.origin).parent))
    yield importlib.import_module("_methodscript.validate").__dict__["validate"]
    for name in [name for name in sys.modules if name.startswith("_methodscript")]:
        del sys.modules[name]


def text_of(sent: bytes) -> str:
    return sent.decode().removeprefix("e\n").rstrip("\n") + "\n"


@pytest.mark.parametrize("regulation", ["bounded", "current"])
@pytest.mark.parametrize(
    "setpoint", [Rest(WINDOW_V), ConstantCurrent(392.7e-6, WINDOW_V), ConstantVoltage(-0.1, 1e-3)], ids=str
)
def test_every_script_of_the_driver_is_methodscript_to_palmsens(
    validate: Any, setpoint: Setpoint, regulation: str
) -> None:
    model = MODELS["es4_hr"]
    validate(text_of(script(plan_for(setpoint, regulation, model), 4711, Pace(0.1, 30.0, 50), model)))
    validate(text_of(proof(4711)))


def test_the_grammar_sees_a_word_that_is_none(validate: Any) -> None:
    with pytest.raises(SyntaxError):
        validate(text_of(proof(4711)).replace("cell_off", "cell_of", 1))
