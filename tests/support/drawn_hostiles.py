"""Hostile protocols that a seed draws, of each sort that reliability F41 and F42 name, and where each must be refused.

Run as a program, ``drawn_hostiles.py TIMES``, it reads so many of each sort within the limits of its own process and
prints for each sort how many were refused at their line, the slowest, and what was wrong first; then the most memory.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import pairwise

from hostile_files import HEAD, MEGABYTE, Yardstick, most_memory_bytes, within_limits

from protocols.check import Checked, check_text
from protocols.diagnostics import Severity, render

Drawn = tuple[str, range]
"""A file, and the lines of which one must be named."""
FIRST_STEP = HEAD.count("\n") + 1
TRUTHS = ("true", "false", "True", "FALSE", "yes", "no", "Yes", "on", "off", "ON")
NO_NUMBERS = ("nan", "NaN", "NAN", ".nan", ".NaN", "-nan", "+nan", "nan(1)", "9.91E37nan", "None", "null")
INFINITIES = ("inf", "-inf", "+inf", ".inf", "-.inf", ".Inf", "Infinity", "-Infinity", "\u221e", "1e9999", "infinity")
UNITS = (" mA", " A", " V", " h", " s", " mAh", "", " %")


def at(line: int) -> range:
    return range(line, line + 1)


def before(chance: random.Random) -> str:
    """Steps that are in order, so that the line is another one each time."""
    return "".join(
        f"  - rest: {chance.randint(1, 99)} {chance.choice(('s', 'min', 'h'))}\n" for _ in range(chance.randrange(60))
    )


def remarks(chance: random.Random) -> str:
    return "".join(f"# {chance.getrandbits(40):x}\n" for _ in range(chance.randrange(60)))


def quoted(text: str, chance: random.Random) -> str:
    return chance.choice((text, f"'{text}'", f'"{text}"'))


def placed(text: str, chance: random.Random) -> Drawn:
    """This text where a number belongs."""
    head, value = HEAD + before(chance), quoted(text, chance)
    line, safety = head.count("\n") + 1, f"current: '{text}'"
    step = f"{head}  - lithiate:\n      at: 1 mA\n      until: 0.2 V\n"
    return chance.choice((
        (f"{head}  - rest: {value}\n", at(line)),
        (f"{head}  - lithiate:\n      at: {value}\n      until: 0.2 V\n", at(line + 1)),
        (f"{head}  - lithiate:\n      at: 1 mA\n      until: {value}\n", at(line + 2)),
        (f"{step}      abort_if: {value}\n", at(line + 3)),
        (f"{head}  - repeat:\n      times: {value}\n      steps: [rest: 1 h]\n", at(line + 1)),
        (HEAD.replace("every 30 s or 5 mV", value) + before(chance) + "  - rest: 1 h\n", at(4)),
        (HEAD.replace("current: 10 mA", safety) + before(chance) + "  - rest: 1 h\n", at(5)),
    ))  # fmt: skip


def aliases(chance: random.Random) -> Drawn:
    head, wide, deep = remarks(chance), chance.randint(2, 12), chance.randint(2, 9)
    names = [f"{chance.choice('abcxyz')}{chance.getrandbits(16):x}n{level}" for level in range(deep)]
    first = f"{names[0]}: &{names[0]} [{chance.getrandbits(30):x}]\n"
    more = (f"{name}: &{name} [{', '.join([f'*{last}'] * wide)}]\n" for last, name in pairwise(names))
    return head + first + "".join(more), at(head.count("\n") + 1)


def nesting(chance: random.Random) -> Drawn:
    head, deep = HEAD + before(chance), chance.randint(21, 3000)
    line, few = head.count("\n") + 1, 21 + deep % 60
    plain = remarks(chance)
    return chance.choice((
        (f"{head}  - note: {'[' * deep}{']' * chance.choice((0, deep))}\n", at(line)),
        (f"{head}  - {'repeat: {times: 2, steps: [' * few}rest: 1 h{']}' * few}\n", at(line)),
        (f"{head}  - note: {'{a: ' * deep}\n", at(line)),
        (plain + "\n".join(" " * level + "a:" for level in range(few)), range(plain.count("\n") + 20, plain.count("\n") + 23)),
    ))  # fmt: skip


def size(chance: random.Random) -> Drawn:
    filler = chance.choice(("  - rest: 1 s\n", "# a remark\n", " ", "\n", "a: 1\n", "x", "  - note: \u6f22\n"))
    most = MEGABYTE + chance.randint(1, MEGABYTE)
    return HEAD + filler * (most // len(filler) + 1), at(1)


def loops(chance: random.Random) -> Drawn:
    """More steps than may ever be carried out, in loops that are each allowed."""
    head, inner, steps = HEAD + before(chance), "rest: 1 h", 1
    while steps <= 1_000_000:
        times = chance.randint(11, 99_999)
        inner, steps = f"repeat: {{times: {times}, steps: [{inner}]}}", steps * times
    return f"{head}  - {inner}\n", range(FIRST_STEP - 1, head.count("\n") + 2)


def endless(chance: random.Random) -> Drawn:
    """1e9 passes, and others that no loop may have."""
    head = HEAD + before(chance)
    times = chance.choice(
        (10**9, chance.randint(100_001, 10**12), 10 ** chance.randint(6, 400), -chance.randint(0, 99))
    )
    return f"{head}  - repeat:\n      times: {times}\n      steps: [rest: 1 h]\n", at(head.count("\n") + 2)


def no_number(chance: random.Random) -> Drawn:
    return placed(chance.choice(NO_NUMBERS) + chance.choice(UNITS), chance)


def infinity(chance: random.Random) -> Drawn:
    return placed(chance.choice(INFINITIES) + chance.choice(UNITS), chance)


def decimal_comma(chance: random.Random) -> Drawn:
    number = f"{chance.randrange(1000)},{chance.randrange(1000)}{chance.choice(('', '', '.5', ',000', 'e3'))}"
    return placed(number + chance.choice(UNITS[:-2]), chance)


def overflow(chance: random.Random) -> Drawn:
    digits = "".join(chance.choices("123456789", k=chance.randint(40, 5000)))
    exponent = f"{chance.randint(1, 9)}e{chance.choice(('', '+', '-'))}{chance.randint(40, 99_999)}"
    return placed(chance.choice((digits, f"-{digits}", exponent)) + chance.choice(UNITS[:5]), chance)


def truth(chance: random.Random) -> Drawn:
    return placed(chance.choice(TRUTHS), chance)


SORTS: dict[str, Callable[[random.Random], Drawn]] = {
    "F41 aliases": aliases,
    "F41 nesting": nesting,
    "F41 size": size,
    "F41 loops in loops": loops,
    "F42 not a number": no_number,
    "F42 infinity": infinity,
    "F42 decimal comma": decimal_comma,
    "F42 a loop of 1e9": endless,
    "F42 overflow": overflow,
    "F42 a truth for a number": truth,
}


def drawn(sort: str, times: int) -> Iterator[Drawn]:
    """So many different ones."""
    chance, seen = random.Random(sort), set[bytes]()
    while len(seen) < times:
        text, lines = SORTS[sort](chance)
        if (digest := sha256(text.encode()).digest()) not in seen:
            seen.add(digest)
            yield text, lines


def fault_of(checked: Checked, lines: range) -> str:
    """What is wrong with how it was refused, or nothing."""
    errors = [each for each in checked.diagnostics if each.severity is Severity.ERROR]
    if checked.program is not None or not errors:
        return "it was accepted"
    if not any(each.line in lines for each in errors):
        return f"line {lines.start} is not named: {[(each.line, each.message) for each in errors][:3]}"
    return "" if all(render(each) and each.message for each in errors) else "it was refused without a word"


def wider(chance: random.Random, voltage_V: tuple[float, float], current_A: float) -> str:
    """In order by itself, and with limits or a current beyond those of a channel."""
    low_V, high_V, most_A = voltage_V[0] + 0.1, voltage_V[1] - 0.1, current_A / 2
    at_A = most_A
    match chance.randrange(4):
        case 0:
            low_V = voltage_V[0] - chance.uniform(0.01, 50.0)
        case 1:
            high_V = voltage_V[1] + chance.uniform(0.01, 50.0)
        case 2:
            most_A = current_A * chance.uniform(1.01, 1000.0)
        case _:
            at_A = most_A = current_A * chance.uniform(1.01, 1000.0)
    safety = f"{{voltage: {low_V:.4f} V to {high_V:.4f} V, current: {most_A:.6f} A}}"
    head = HEAD.replace("{voltage: -0.1 V to 2.5 V, current: 10 mA}", safety)
    return f"{head}{before(chance)}  - lithiate: {{at: {at_A:.6f} A, until: 0.2 V, for: 1 h}}\n"


def report(times: int) -> None:
    within_limits()
    yardstick = Yardstick()
    for sort in SORTS:
        refused, slowest, wrong = 0, 0.0, ""
        for text, lines in drawn(sort, times):
            began_s = time.process_time()
            fault = fault_of(check_text(text, "p.yaml"), lines)
            slowest = max(slowest, yardstick.times(time.process_time() - began_s))
            refused += not fault
            wrong = wrong or (f"{fault}: {text[-300:]!r}" if fault else "")
        sys.stdout.write(f"{json.dumps([sort, refused, slowest, wrong])}\n")
    sys.stdout.write(f"{json.dumps(['peak', most_memory_bytes(), 0.0, ''])}\n")


if __name__ == "__main__":
    report(int(sys.argv[1]))
