"""Protocols spoilt at random: refused with a place, or accepted with exactly the meaning that is written.

What an accepted file says is read a second time by a reader that shares no code with the first.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from plain_program import as_read
from plain_reader import as_written

from protocols.check import check_text
from protocols.diagnostics import Severity, render
from protocols.model import CurrentStep, Program
from protocols.shipped import library

FOLDER = Path(__file__).parent
BASES = (
    (FOLDER / "everything.yaml").read_text(encoding="utf-8"),
    (FOLDER / "everything.yaml")
    .read_text(encoding="utf-8")
    .replace("active_material", "discharge_means: lithiate\n  active_material"),
    library()["fig_s3_c"].read_text(encoding="utf-8"),
    library()["cccv"].read_text(encoding="utf-8"),
)
FEW, MANY = 400, 10_000
UNITS = re.compile(
    r"(?<=[0-9] )(?:mA/cm2|mAh/g|mAh/cm2|mAh|mA|mV/h|mV|V|°C|min|mm|mg|cm2|[hs%])(?=[\s,}\]]|$)|C/(?=[0-9])"
)
OTHER_UNITS = (
    "V",
    "mV",
    "A",
    "mA",
    "uA",
    "mA/cm2",
    "A/m2",
    "mA/g",
    "mAh",
    "mAh/g",
    "h",
    "min",
    "s",
    "d",
    "%",
    "mV/h",
    "K",
    "g",
)
NUMBERS = re.compile(r"(?<![\w.])[0-9]+(?:\.[0-9]+)?(?= |$|,|\n)")
LETTERS = "0123456789.,:-+$%/ eECmAVhsd<>=#'\"[]{}|&*!µ\t\n"
WORDS = ("lithiate", "delithiate", "charge", "discharge", "rest", "hold", "gitt", "repeat", "note", "previous", "step")
KEYS = re.compile(r"\b[a-z_]+(?=:)")
Spoil = Callable[[random.Random, str], str]


def _one(pattern: re.Pattern[str], rng: random.Random, text: str, new: Callable[[str], str]) -> str:
    found = [*pattern.finditer(text)]
    if not found:
        return text
    match = rng.choice(found)
    return text[: match.start()] + new(match.group()) + text[match.end() :]


def typo(rng: random.Random, text: str) -> str:
    at, letter = rng.randrange(len(text)), rng.choice(LETTERS)
    return rng.choice(
        (
            text[:at] + text[at + 1 :],
            text[:at] + letter + text[at:],
            text[:at] + letter + text[at + 1 :],
            text[:at] + text[at : at + 2][::-1] + text[at + 2 :],
        )
    )


def unit(rng: random.Random, text: str) -> str:
    return _one(UNITS, rng, text, lambda _: rng.choice(OTHER_UNITS))


def number(rng: random.Random, text: str) -> str:
    changes: tuple[Callable[[str], str], ...] = (
        lambda old: old + "0",
        lambda old: "-" + old,
        lambda old: old.replace(".", ","),
        lambda old: old.replace(".", ""),
        lambda old: f"0.{old}" if "." not in old else old[2:],
        lambda old: f"{old}e{rng.choice((-30, -3, 1, 3, 400))}",
        lambda old: f"${rng.choice(('j', 'low', 'slow', 'v_low', 'rate', 'x'))}",
        lambda old: str(rng.randrange(1000)),
    )
    return _one(NUMBERS, rng, text, rng.choice(changes))


def word(rng: random.Random, text: str) -> str:
    return _one(re.compile(rf"\b(?:{'|'.join(WORDS)})\b"), rng, text, lambda _: rng.choice(WORDS))


def operator(rng: random.Random, text: str) -> str:
    pattern = re.compile(r"<=|>=| or | and | of | for | to ")
    return _one(
        pattern, rng, text, lambda _: rng.choice(("<=", ">=", "<", ">", "==", " or ", " and ", " of ", " for ", " to "))
    )


def key(rng: random.Random, text: str) -> str:
    keys = sorted({match.group() for match in KEYS.finditer(text)})
    return _one(KEYS, rng, text, lambda _: rng.choice(keys))


def lines(rng: random.Random, text: str) -> str:
    every = text.splitlines(keepends=True)
    at, other = rng.randrange(len(every)), rng.randrange(len(every))
    match rng.randrange(6):
        case 0:
            del every[at]
        case 1:
            every.insert(at, every[at])
        case 2:
            every[at], every[other] = every[other], every[at]
        case 3:
            every[at] = "  " + every[at]
        case 4:
            every[at] = every[at].removeprefix("  ")
        case _:
            every.insert(other, every[at])
    return "".join(every)


SPOILS: tuple[Spoil, ...] = (typo, unit, number, word, operator, key, lines)


def spoilt(seed: int) -> str:
    """One fault, now and then two."""
    rng = random.Random(seed)
    text = rng.choice(BASES)
    for _ in range(rng.choice((1, 1, 1, 2))):
        text = rng.choice(SPOILS)(rng, text)
    return text


def faults_of(seeds: range) -> Iterator[tuple[int, str]]:
    for seed in seeds:
        fault = fault_of(spoilt(seed))
        if fault is not None:
            yield seed, fault


def fault_of(text: str) -> str | None:
    """What the checker did wrong with this file."""
    checked = check_text(text, "p.yaml")
    lines = text.count("\n") + 1
    if any(not 1 <= each.line <= lines or not render(each) for each in checked.diagnostics):
        return "a place outside the file"
    if checked.program is None:
        errors = [each for each in checked.diagnostics if each.severity is Severity.ERROR]
        return None if errors else "refused without a word"
    return difference(text, checked.program)


def difference(text: str, program: Program) -> str | None:
    written, read = as_written(text), as_read(program)
    return None if written == read else f"written {set(written) - set(read)}, read {set(read) - set(written)}"


def test_no_spoilt_file_is_taken_for_another_than_it_is(pytestconfig: pytest.Config) -> None:
    count = MANY if pytestconfig.getoption("--campaign") else FEW
    assert [*faults_of(range(count))] == []


def test_enough_spoilt_files_are_accepted_and_enough_refused_to_show_both() -> None:
    accepted = [check_text(spoilt(seed), "p.yaml").program is not None for seed in range(200)]
    assert 20 < sum(accepted) < 180


@pytest.mark.parametrize("base", BASES)
def test_the_two_readers_agree_about_the_whole_files(base: str) -> None:
    assert fault_of(base) is None


def _last_current_changed(program: Program) -> Program:
    """The same with its last current step 0.1 % larger, wherever it is."""
    index = max(index for index, step in enumerate(program.steps) if isinstance(step, CurrentStep))
    step = program.steps[index]
    assert isinstance(step, CurrentStep)
    changed = replace(step, current_A=step.current_A * 1.001)
    return replace(program, steps=(*program.steps[:index], changed, *program.steps[index + 1 :]))


def test_a_reader_that_misread_would_be_noticed() -> None:
    text = "protocol: 1\nname: x\ncell: {name: c}\nsteps: [lithiate: {at: 1 mA, until: 0.2 V, note: n}, rest: 1 h]\n"
    program = check_text(text, "p").program
    assert program is not None
    assert difference(text, program) is None
    step = program.steps[0]
    assert isinstance(step, CurrentStep)
    assert difference(text, _last_current_changed(program)) is not None
    assert difference(text, replace(program, steps=program.steps[:1])) is not None
    assert difference(text, replace(program, steps=(replace(step, until=()), program.steps[1]))) is not None
    assert difference(text, replace(program, steps=(replace(step, note=None), program.steps[1]))) is not None
    assert difference(text.replace("0.2 V", "2 V"), program) is not None
