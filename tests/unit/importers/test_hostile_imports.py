"""Files made to harm, and files damaged by chance: refused with words, soon, and never by a stack trace."""

from __future__ import annotations

import json
import random
import re
import sys
from collections.abc import Callable
from time import process_time

import pytest

from protocols.check import check_text
from protocols.importers.pybamm import import_pybamm
from protocols.importers.report import Imported, Refused, Request
from protocols.importers.unicycler import import_unicycler
from protocols.reading.documents import Document
from protocols.syntax import LARGEST_FILE

SOON_S = 2.0
Importer = Callable[[Request], Imported]

UNICYCLER = json.dumps(
    {
        "unicycler": {"version": "0.4.6"},
        "sample": {"name": "a", "capacity_mAh": "2"},
        "record": {"time_s": 10, "voltage_V": "0.1"},
        "safety": {"max_voltage_V": 5, "min_voltage_V": -0.1, "delay_s": 1},
        "method": [
            {"step": "tag", "tag": "t"},
            {"step": "constant_current", "rate_C": "C/2", "until_voltage_V": 4.2, "until_time_s": 3600},
            {"step": "constant_voltage", "voltage_V": 4.2, "until_rate_C": 0.05},
            {"step": "open_circuit_voltage", "until_time_s": 60},
            {"step": "loop", "loop_to": "t", "cycle_count": 3},
        ],
    },
    indent=1,
)
PYTHON = """import pybamm
cycle = ("Discharge at C/10 for 10 hours or until 3.3 V", "Rest for 1 hour", "Charge at 1 A until 4.1 V",
         "Hold at 4.1 V until 50 mA", pybamm.step.current(1.5, duration="1 h", termination=["> 2 V"]))
experiment = pybamm.Experiment([cycle] * 3 + ["Discharge at 1 A for 5 m"], period="10 s", termination="80% capacity")
"""
CONFIG = json.dumps(
    {
        "cycles": [
            [{"type": "current", "value": 1, "duration": 60, "terminations": [{"type": "voltage", "value": 3}]}]
        ],
        "period": 10,
        "temperature": 298.15,
        "termination": ["2.5 V"],
    }
)
SEEDS: dict[str, tuple[Importer, str, str]] = {
    "unicycler": (import_unicycler, "x.json", UNICYCLER),
    "python": (import_pybamm, "x.py", PYTHON),
    "config": (import_pybamm, "x.json", CONFIG),
}
CELL = Document("cell.yaml", "cell: {name: A, nominal_capacity: 2 Ah}\n")
SCRAPS = [
    *("null", "true", "-1", "0", "1e999", "NaN", "-Infinity", '""', "[]", "{}", "[", "]", "(", ")", "{", "}", ",", ":"),
    *(
        "'",
        '"',
        "\\",
        "\x00",
        "\n",
        "\ud800",
        "４",
        "*",
        "* 99",
        "+",
        "=",
        ".",
        "until",
        "for",
        "C/0",
        " or ",
        "mV",
        "#",
    ),
    *("99999999999999999999", "1_0", '"step"', "loop", "tag", "value", "__import__('os')", "cycle", "$x", "&a", "\t"),
]


WORD = re.compile(r'"[^"]*"|[\w.]+')


def mutated(text: str, chance: random.Random) -> str:
    """Letters replaced anywhere, or whole words by other words, which more often stays a file of that kind."""
    if chance.random() < 0.6:
        words = list(WORD.finditer(text))
        for _ in range(chance.randint(1, 2)):
            old, new = chance.choice(words), chance.choice((chance.choice(words).group(), *SCRAPS))
            text = text.replace(old.group(), new, 1)
        return text
    for _ in range(chance.randint(1, 4)):
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((0, 0, 1, 2, 8, 40)))
        scrap = chance.choice((*SCRAPS, "", text[end : end + chance.randint(1, 30)]))
        text = text[:start] + scrap + text[end:]
    return text


def _one_line(text: str) -> bool:
    return len(text) > len("x: ") and text.replace("\t", " ").isprintable()


def outcome(importer: Importer, request: Request) -> str:
    """``refused`` with words, or what the check says of the result; anything raised beside is a fault."""
    try:
        imported = importer(request)
    except Refused as error:
        return "refused" if all(_one_line(problem.told("x")) for problem in error.problems) else "mumbled"
    checked = check_text(imported.text, "x.yaml")
    codes = {each.code for each in checked.diagnostics if each.severity == "error"}
    assert "yaml-syntax" not in codes, imported.text
    return "accepted" if checked.program is not None else "faulty"


@pytest.mark.parametrize("kind", SEEDS)
def test_a_damaged_file_never_raises_and_never_makes_broken_yaml(kind: str, request: pytest.FixtureRequest) -> None:
    importer, name, text = SEEDS[kind]
    chance = random.Random(kind)
    times = 10_000 if request.config.getoption("--campaign") else 150
    seen = {
        outcome(importer, Request(Document(name, mutated(text, chance)), cell=CELL, skip_unsupported=k % 2 == 0))
        for k in range(times)
    }
    assert {"refused", "accepted"} <= seen <= {"refused", "accepted", "faulty"}


@pytest.mark.parametrize("kind", SEEDS)
def test_the_undamaged_file_is_read(kind: str) -> None:
    importer, name, text = SEEDS[kind]
    assert importer(Request(Document(name, text))).text


def doubled(times: int) -> str:
    """A billion laughs: each name holds the one before it ten times."""
    lines = ["a0 = ('Rest for 1 h',)"]
    lines += [f"a{k} = {' + '.join([f'a{k - 1}'] * 10)}" for k in range(1, times)]
    return "\n".join([*lines, f"Experiment([a{times - 1}])"])


JSON_BOMBS = {
    "nesting": "[" * 100_000,
    "nesting, closed": "[" * 10_000 + "]" * 10_000,
    "objects": '{"method":' * 50_000,
    "open text": '"' + '\\"' * 400_000,
    "huge exponent": '{"method": [{"step": "open_circuit_voltage", "until_time_s": 1e999999999}]}',
    "huge number": '{"method": [{"step": "open_circuit_voltage", "until_time_s": ' + "9" * 900_000 + "}]}",
    "huge number in a text": '{"method": [{"step": "open_circuit_voltage", "until_time_s": "' + "9" * 900_000 + '"}]}',
    "not a number": '{"method": [{"step": "open_circuit_voltage", "until_time_s": NaN}]}',
    "infinite": '{"method": [{"step": "open_circuit_voltage", "until_time_s": -Infinity}]}',
    "keys": "{" + ",".join(f'"{k}": 1' for k in range(60_000)) + "}",
    "one key twice": "{" + ",".join(['"a": 1'] * 90_000) + "}",
    "fifty megabytes": " " * 50_000_000,
    "many steps": '{"method": [' + ",".join(['{"step":"tag","tag":"a"}'] * 40_000) + "]}",
    "a lone half of a letter": '{"method": [{"step": "tag", "tag": "\\ud800"}]}',
}
PYTHON_BOMBS = {
    "nesting": "[" * 100_000,
    "nesting, closed": "(" * 10_000 + ")" * 10_000,
    "import": "__import__('os').system('true')",
    "call": "[__import__('os')]",
    "attribute": "().__class__.__bases__",
    "a list times a thousand million": "[[]]*10**9",
    "a cycle times a thousand million": "[('Rest for 1 h',)] * 1000000000",
    "times minus one": "['Rest for 1 h'] * -1",
    "times times times": "[('Rest for 1 h',)]" + " * 100000" * 60,
    "a long sum": "['Rest for 1 h']" + " + ['Rest for 1 h']" * 60_000,
    "minus signs": "-" * 500_000 + "1",
    "dots": "a" + ".a" * 300_000,
    "names that double": doubled(9),
    "names that nest": "a = ('Rest for 1 h',)\n" + "a = [a]\n" * 10_000 + "Experiment(a)",
    "sums that nest": "a = ('Rest for 1 h',)\n" + "a = a + a\n" * 3_000 + "Experiment([a])",
    "an open text": "['" + "\\'" * 400_000,
    "an open long text": "['''" + "'" * 2 + "a" * 800_000,
    "a long step": "['" + "Rest (" * 150_000 + "']",
    "a long number": "['Rest for " + "9" * 900_000 + " s']",
    "huge number": "['Rest for 1e999 s']",
    "not a number": "['Rest for nan s']",
    "lambda": "[lambda: 1]",
    "comprehension": "['Rest for 1 h' for i in range(10**9)]",
    "fifty megabytes": " " * 50_000_000,
    "a walrus": "(x := ['Rest for 1 h'])",
    "statements": "['Rest for 1 h']\n" * 60_000 + "5",
}
BOMBS = [
    *((import_unicycler, "x.json", name, text) for name, text in JSON_BOMBS.items()),
    *((import_pybamm, "x.json", name, text) for name, text in JSON_BOMBS.items()),
    *((import_pybamm, "x.py", name, text) for name, text in PYTHON_BOMBS.items()),
]


def peak_kB() -> int:
    """The most memory the process ever had; Windows does not tell."""
    if sys.platform == "win32":
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize(
    ("importer", "file", "text"),
    [pytest.param(importer, file, text, id=f"{importer.__name__} {name}") for importer, file, name, text in BOMBS],
)
def test_a_hostile_file_is_refused_soon_and_in_little_memory(importer: Importer, file: str, text: str) -> None:
    before = peak_kB()
    began = process_time()
    with pytest.raises(Refused):
        importer(Request(Document(file, text)))
    assert process_time() - began < SOON_S
    assert peak_kB() - before < 300_000


def test_the_largest_file_allowed_is_still_read() -> None:
    text = "[" + "'Rest for 1 h', " * 20_000 + "]"
    assert len(text) < LARGEST_FILE
    assert "times: 20000" in import_pybamm(Request(Document("x.py", text))).text


def test_letters_that_could_steer_a_terminal_or_a_yaml_reader_come_out_harmless() -> None:
    name = 'a"\\: #&*!|>\x1b[31m\u2028\U0001f600'
    data = {"sample": {"name": name, "capacity_mAh": 1}, "record": {"time_s": 1}, "method": []}
    data["method"] = [
        {"step": "tag", "tag": "\n- rest: 1 h"},
        {"step": "open_circuit_voltage", "until_time_s": 1, "id": "\n"},
    ]
    imported = import_unicycler(Request(Document("\x1b.json", json.dumps(data))))
    assert "\x1b" not in imported.report()
    checked = check_text(imported.text, "x.yaml")
    assert checked.program is not None
    assert checked.program.cell.name == name
    assert len(checked.program.steps) == 1
