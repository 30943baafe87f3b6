"""What people write by habit from papers and other programs, and what to write here instead."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

LONGEST = 60
"""Of a text that is worth a look: help must cost nothing, however long the mistake."""

UNITS: Mapping[str, str] = {
    "m": "did you mean 'min' (m could be milli, metre or minute)?",
    "F": "did you mean '°C'?",
    "C-rate": "did you mean 'C', as in '0.1C'?",
    **dict.fromkeys(("sec", "secs"), "did you mean 's'?"),
    "mins": "did you mean 'min'?",
    **dict.fromkeys(("hr", "hrs"), "did you mean 'h'?"),
    **dict.fromkeys(("week", "weeks"), "write it in days, for example '7 d'"),
    **dict.fromkeys(("month", "months"), "write it in days, for example '30 d'"),
    **dict.fromkeys(("volt", "volts", "Volt", "Volts"), "did you mean 'V'?"),
    **dict.fromkeys(("Wh/kg", "Wh/g", "mWh/g", "Wh/cm2", "mWh/cm2"), "an energy is the whole cell's: write Wh or mWh"),
    **dict.fromkeys(("% SOC", "% DOD"), "a share is of a capacity: write for example '10 % of nominal'"),
    **{f"% {name}": f"did you mean '% of {name}'?" for name in ("nominal", "theoretical")},
}
PER = re.compile(r"(?P<top>[nmuµ]?Ah?)/?(?P<below>cm-?2|g-?1)")
PLAIN = str.maketrans("⁻−²¹", "--21", " ·*^")
JOINED = re.compile(r"\S*?(?: ?[|,;]| / | (?:or|oder|and|und))[|]? *[0-9]", re.IGNORECASE)
PATTERNS = (
    (
        re.compile(r"\S* ?\(?vs\b.*", re.DOTALL),
        "leave out 'vs ...': every voltage is working minus counter or reference",
    ),
    (re.compile(r"[*x×] *(?:previous|[a-z]).*", re.DOTALL), "write a share in per cent: '120 % of previous lithiate'"),
    (re.compile(r":[0-9].*", re.DOTALL), "write a time with its unit, for example '90 s' or '1.5 h'"),
    (re.compile(r"[eE][+-]?[0-9].*", re.DOTALL), "write at most two digits after the e"),
    (re.compile(r"/[0-9]{1,9} *C"), "write for example 'C/10'"),
    (re.compile(r"C ?/ ?[0-9]{1,9}"), "write for example 'C/10' or '0.1C'"),
)
C_RATE = re.compile(r"[cC] ?/? ?(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?)")
APART = re.compile(r"(?P<sign>[+-]) +(?P<rest>[0-9].*)", re.DOTALL)


def unit_habit(text: str) -> str | None:
    """What to write where ``text`` stands for a unit."""
    if len(text) > LONGEST:
        return None
    return UNITS.get(text) or _per(text) or _joined(text) or _pattern(text)


def _per(text: str) -> str | None:
    """``mA cm⁻²``, ``mA·cm^-2`` and ``mAcm-2``."""
    plain = text.translate(PLAIN)
    match = PER.fullmatch(plain)
    return (
        None
        if match is None
        else f"did you mean '{match['top']}/{match['below'].replace('-', '').replace('g1', 'g')}'?"
    )


def _joined(text: str) -> str | None:
    return "where several may be given, put 'or' between them: '0.2 V or 10 h'" if JOINED.match(text) else None


def _pattern(text: str) -> str | None:
    return next((help_text for pattern, help_text in PATTERNS if pattern.fullmatch(text)), None)


def number_habit(text: str) -> str | None:
    """What to write where ``text`` is no quantity at all."""
    rate, apart = C_RATE.fullmatch(text[:LONGEST]), APART.fullmatch(text[:LONGEST])
    if rate is not None and len(text) <= LONGEST:
        return f"did you mean 'C/{rate['number']}'?"
    return None if apart is None else f"write '{apart['sign']}{apart['rest']}', without a blank behind the sign"


KEYS: Mapping[str, tuple[str, ...]] = {
    "hold voltage": ("at",),
    "hold V": ("at",),
    "repeat for": ("times",),
    **dict.fromkeys(("current", "I"), ("current_limit", "at")),
    **dict.fromkeys(("c_rate", "C_rate", "rate", "j"), ("at",)),
    **dict.fromkeys(
        ("voltage", "V", "to", "cutoff", "cut_off", "limit", "end", "stop", "ends_at", "end_if"), ("until",)
    ),
    **dict.fromkeys(("capacity", "temperature", "energy"), ("until", "nominal_capacity")),
    **dict.fromkeys(("time", "duration", "t", "hours"), ("for",)),
    **dict.fromkeys(("hold_until", "taper", "cutoff_current"), ("then_hold_until",)),
    **dict.fromkeys(("n", "number", "count", "cycles", "loops", "passes"), ("times",)),
    **dict.fromkeys(("name", "tag", "id"), ("label",)),
    **dict.fromkeys(("comment", "remark"), ("note", "notes")),
    "pulse": ("lithiate",),
}


def key_habit(title: str, name: str, known: Collection[str]) -> str | None:
    """The key of the section ``title`` that ``name`` stands for elsewhere."""
    meant = KEYS.get(f"{title} {name}") or KEYS.get(name, ())
    return next((key for key in meant if key in known), None)


def settings_example(title: str, first: str) -> str:
    """What to write where one value stands in the place of a section's settings."""
    ends = {"hold": "{at: 4.2 V, for: 2 h}", **dict.fromkeys(VERBS, "{at: C/10, until: 0.2 V, for: 20 h}")}
    if title in ends:
        return f"write for example '{title}: {ends[title]}'"
    return f"write each as 'name: value' on its own line, for example '{first}: ...'"


VERBS = ("lithiate", "delithiate", "charge", "discharge")
STEPS: Mapping[str, str] = {
    **dict.fromkeys(("ocv", "ocp", "open_circuit_voltage", "open_circuit", "wait", "pause", "relax"), "rest"),
    **dict.fromkeys(("loop", "cycle", "for", "times"), "repeat"),
    **dict.fromkeys(("cv", "constant_voltage"), "hold"),
    "cccv": "charge' with 'then_hold_until",
    **dict.fromkeys(("cc", "constant_current"), "lithiate"),
    **dict.fromkeys(("plate", "reduce"), "lithiate"),
    **dict.fromkeys(("strip", "oxidise", "oxidize"), "delithiate"),
    **dict.fromkeys(("comment", "message", "log"), "note"),
}
"""By the word in small letters."""

WATCHED: Mapping[str, str] = {
    **dict.fromkeys(("V", "U", "E", "Ewe", "Ecell", "potential", "Potential"), "voltage"),
    **dict.fromkeys(("I", "i"), "current"),
    "t": "time",
    **dict.fromkeys(("Q", "q", "charge"), "capacity"),
    **dict.fromkeys(("T", "temp"), "temperature"),
    **dict.fromkeys(("dV", "slope", "drift", "dE/dt"), "dV/dt"),
}
