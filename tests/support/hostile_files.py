"""Files meant to harm whoever reads them. Run as a program, it reads them all within the limits of its own process
and prints for each the processor time, whether it was accepted, and the codes; then the most memory it ever had.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from protocols.check import Checked, check_text

HEAD = """\
protocol: 1
name: hostile
cell: {name: c, area: 2 cm2, active_mass: 2 mg, theoretical_capacity: 2000 mAh/g, nominal_capacity: 3 mAh}
record: every 30 s or 5 mV
safety: {voltage: -0.1 V to 2.5 V, current: 10 mA}
steps:
"""
MEGABYTE = 1 << 20
NEARLY = 15
LIMIT_BYTES = 300 << 20


def step(settings: str) -> str:
    return f"{HEAD}  - lithiate: {{{settings}}}\n"


def current(text: str) -> str:
    return step(f"at: '{text}', until: 0.2 V")


def nested_lists(depth: int) -> str:
    text, indent = HEAD, 2
    for level in range(depth):
        pad = " " * indent
        values = ", ".join(f"{number} V" for number in range(1, 11))
        text += f"{pad}- repeat:\n{pad}    for_each: {{v{level}: [{values}]}}\n{pad}    steps:\n"
        indent += 6
    return text + " " * indent + "- rest: 1 h\n"


def nested_loops(depth: int) -> str:
    inner = "rest: 1 h"
    for _ in range(depth):
        inner = f"repeat: {{times: 1000, steps: [{inner}]}}"
    return f"{HEAD}  - {inner}\n"


def swollen() -> Iterator[tuple[str, str]]:
    """Bombs, depths, sizes."""
    laughs = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'ha'}]\n" for n in range(9))
    yield "a billion laughs", laughs
    yield "lists in lists", "[" * 100_000
    yield "settings in settings", "{a: " * 3000
    yield "3000 levels of indentation", "\n".join(" " * level + "a:" for level in range(1400))
    yield "50 MB of spaces", " " * (50 * MEGABYTE)
    yield "50 MB of steps", HEAD + "  - rest: 1 s\n" * (50 * MEGABYTE // 14)
    yield "1 MiB of steps", HEAD + "  - rest: 1 s\n" * (MEGABYTE // 14 - 30)
    yield "1 MiB of empty lists", "a: [" + "[]," * 300_000 + "]"
    yield "1 MiB of line ends", "\n" * (MEGABYTE - 1)
    yield "1 MiB of equal keys", "a: 1\n" * 200_000
    yield "1 MiB on one line", HEAD + "  - note: " + "x" * 1_000_000 + "\n"
    yield "1 MiB of values", f"{HEAD}  - repeat: {{for_each: {{r: [{'1 V, ' * 200_000}1 V]}}, steps: [rest: 1 h]}}\n"
    yield "1 MiB of alternatives", step(f"at: 1 mA, until: '{'0.2 V or ' * 110_000}0.2 V'")
    yield "a thousand million passes", f"{HEAD}  - repeat: {{times: 1000000000, steps: [rest: 1 h]}}\n"
    yield "a thousand passes, three deep", nested_loops(3)
    yield "ten values, five deep", nested_lists(5)
    yield "ten values, ten deep", nested_lists(10)
    yield (
        "many values of a long body",
        (
            f"{HEAD}  - repeat:\n      for_each: {{r: [{'1 V, ' * 5000}1 V]}}\n      steps:\n"
            + "        - rest: 1 s\n" * 5000
        ),
    )


def slow() -> Iterator[tuple[str, str]]:
    """What makes a search go back and forth."""
    yield "spaces inside a quantity", current("1" + " " * 900_000 + "mA")
    yield "for for for", step("at: 1 mA, until: 1 s" + " for" * 250_000)
    yield "to to to", HEAD.replace("2.5 V", "2.5 V" + " to" * 300_000) + "  - rest: 1 h\n"
    yield "% of % of", step(f"at: 1 mA, until: '{'% of ' * 200_000}'")
    yield "many digits", current("1" * 900_000 + " mA")
    yield "many digits below C", current("C/" + "1" * 900_000)
    yield (
        "a cycle of many digits",
        (
            f"{HEAD}  - repeat: {{times: 2, stop_when: lithiate capacity <= 80 % of cycle {'9' * 900_000}, "
            "steps: [lithiate: {at: 1 mA, until: 0.2 V}]}\n"
        ),
    )
    names = ", ".join(f"{'abcdefgh' * 9}{number}: 1 V" for number in range(220))
    uses = "".join(f"  - lithiate: {{at: ${'abcdefgi' * 9}{number}, until: 0.2 V}}\n" for number in range(1100))
    yield "names almost alike", HEAD.replace("steps:", f"variables: {{{names}}}\nsteps:") + uses


def no_numbers() -> Iterator[tuple[str, str]]:
    """What other readers take for a number."""
    for text in (
        *(
            "nan",
            "NaN mA",
            ".nan",
            "inf mA",
            ".inf",
            "-inf",
            "Infinity mA",
            "1e999 mA",
            "1e-999 mA",
            "1e99 mA",
            "0x10 mA",
        ),
        *(
            "1_000 mA",
            "0,5 mA",
            "1.000,5 mA",
            "1,000 mA",
            "0b1 mA",
            "0o7 mA",
            "1e3e3 mA",
            "- 1 mA",
            "\u22121 mA",
            "1.5.2 mA",
        ),
        *(
            "\uff10.\uff15 mA",
            "\u0660.\u0665 mA",
            "\u096f.\u0967 mA",
            "\u00b2 mA",
            "\u2160 mA",
            "1\u00a0000 mA",
            "\u00bd mA",
        ),
        *(
            "4:20",
            "1:30:00",
            "__import__('os').getcwd()",
            "{0.__class__}",
            "%s",
            "$(id)",
            "`id`",
            "C/0",
            "C/-3",
            "C/nan",
            "1e",
        ),
    ):
        yield f"at: {text}", current(text.replace("'", "''"))
    yield "rest: 4:20", f"{HEAD}  - rest: 4:20\n"
    yield "rest: 4:20:00", f"{HEAD}  - rest: 4:20:00\n"
    for text in ("1e3", "0x10", "\uff13", "1_000", "9" * 5000, "true", "3.0", "", "NaN"):
        yield f"times: {text[:9]}", f"{HEAD}  - repeat: {{times: '{text}', steps: [rest: 1 h]}}\n"
    yield "a step that imports", f"{HEAD}  - __import__('os'): 1 h\n"
    yield "a tag that makes objects", f"{HEAD}  - rest: !!python/object/apply:os.getcwd []\n"


def no_text() -> Iterator[tuple[str, str]]:
    """Letters that are none."""
    for name, letter in (
        ("NUL", "\0"),
        ("escape", "\x1b[2J"),
        ("bell", "\a"),
        ("DEL", "\x7f"),
        ("half a pair", "\ud800"),
    ):
        yield name, f"{HEAD}  - note: a{letter}b\n"
    yield "UTF-16 read as bytes", (HEAD + "  - rest: 1 h\n").encode("utf-16-le").decode("latin-1")
    yield "nothing", ""
    yield "a mark and nothing", "\ufeff"


def readable() -> Iterator[tuple[str, str]]:
    """Odd, but plain."""
    text = f"{HEAD}  - rest: 1 h\n"
    yield "with a byte order mark", "\ufeff" + text
    yield "with Windows line ends", text.replace("\n", "\r\n")
    yield "with old Macintosh line ends", text.replace("\n", "\r")
    yield "without a last line end", text.rstrip("\n")
    yield "a name that imports", text.replace("hostile", "__import__('os').getcwd()")
    yield "a truth that is text", text.replace("hostile", "no")
    full = "  - lithiate:\n      at: 0.5 mA/cm2\n      until: voltage <= 0.2 V for 5 s or 100 % of theoretical\n"
    rest = "  - rest:\n      until: dV/dt <= 1 mV/h\n      for: 4 h\n"
    yield "ten thousand steps", HEAD + (full + "      abort_if: 20 h\n" + rest) * 5000
    yield (
        "micro in three spellings",
        "".join([HEAD, *(f"  - lithiate: {{at: 10 {micro}A, until: 0.2 V}}\n" for micro in ("\u00b5", "\u03bc", "u"))]),
    )


HOSTILE = (swollen, slow, no_numbers, no_text)


def within_limits() -> None:
    if sys.platform != "win32":
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (LIMIT_BYTES, LIMIT_BYTES))


def most_memory_bytes() -> int:
    if sys.platform != "linux":
        return 0
    # Not getrusage: there a child begins with the peak of the process that started it.
    facts = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(facts["VmHWM"].split()[0]) * 1024


def yardstick_s() -> float:
    """Processor time of a plain piece of work: how slow this computer is in this moment.

    What is bounded is a multiple of it: seconds themselves say more about the neighbours of a machine than about a program.
    What the process holds already is kept out of it, or a reader that keeps too much would lengthen its own yardstick.
    """
    gc.collect()
    gc.freeze()
    began_s = time.process_time()
    for _ in range(10):
        records = [{"line": number, "text": f"{number} s", "parts": (number, str(number))} for number in range(20_000)]
        records.clear()
    took_s = time.process_time() - began_s
    gc.unfreeze()
    return took_s


class Yardstick:
    """One measured now and then: what takes long is held against those right before and after it."""

    def __init__(self) -> None:
        self._newest_s = yardstick_s()

    def times(self, seconds: float) -> float:
        """``seconds`` that have just passed as a multiple of the yardstick."""
        before_s = self._newest_s
        if seconds > before_s:
            self._newest_s = yardstick_s()
        return seconds / max(before_s, self._newest_s)


def report() -> None:
    within_limits()
    yardstick = Yardstick()
    for source in (*HOSTILE, readable):
        for name, text in source():
            seconds, checked = _timed(text)
            if (yardsticks := yardstick.times(seconds)) > NEARLY:
                # The better of two: on a busy machine a process pays for its neighbours' caches.
                yardsticks = min(yardsticks, yardstick.times(_timed(text)[0]))
            codes = sorted({each.code for each in checked.diagnostics})
            _say([name, yardsticks, checked.program is not None, codes])
    _say(["peak", most_memory_bytes(), False, []])


def _timed(text: str) -> tuple[float, Checked]:
    start = time.process_time()
    checked = check_text(text, "p.yaml")
    return time.process_time() - start, checked


def _say(report: list[object]) -> None:
    sys.stdout.write(f"{json.dumps(report)}\n")


if __name__ == "__main__":
    report()
