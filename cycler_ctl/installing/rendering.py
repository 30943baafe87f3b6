"""The unit and the task as text, made of the one template each has; ``deploy/`` shows what comes out for usual paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import PurePath
from xml.sax.saxutils import escape

UNIT, TASK = "cycler-ctl.service.in", "cycler-ctl-task.xml.in"
STATE_DIRECTORY = "/var/lib/cycler-ctl"
"""Made and writable by the unit's own StateDirectory."""
HOMES = ("/home", "/root", "/run/user")
"""What ProtectHome= hides from a service (systemd.exec)."""


@dataclass(frozen=True, slots=True)
class Place:
    """What differs from one computer to the next; ``user``: whose rights it runs with."""

    program: PurePath
    config: PurePath
    data_dir: PurePath
    user: str


def system_unit(place: Place) -> str:
    hidden = any(path.is_relative_to(home) for path in (place.program, place.config, place.data_dir) for home in HOMES)
    more = "" if place.data_dir.is_relative_to(STATE_DIRECTORY) else f" {unit_word(place.data_dir)}"
    facts = {"user": place.user, "protect_home": "no" if hidden else "yes", "data_dir": more}
    return _filled(_lines_for(_template(UNIT), "system"), _unit_words(place) | facts)


def user_unit(place: Place) -> str:
    """Without what only the system's manager can do: other users, devices, the sandbox."""
    return _filled(_lines_for(_template(UNIT), "user"), _unit_words(place))


def task(place: Place) -> str:
    config = f'"{place.config}"' if " " in str(place.config) else str(place.config)
    facts = {
        "program": str(place.program),
        "config": config,
        "folder": str(place.config.parent),
        "user": place.user,
    }
    return _filled(_template(TASK), {name: escape(text) for name, text in facts.items()})


def unit_word(path: PurePath) -> str:
    """One word of a command line in a unit (systemd.service, "Command lines")."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if any(letter in text for letter in " \t'\"\\;") else text


def _unit_words(place: Place) -> dict[str, str]:
    return {
        "program": unit_word(place.program),
        "config": unit_word(place.config),
        "folder": str(place.config.parent).replace("%", "%%"),
    }


def _template(name: str) -> str:
    return files("cycler_ctl.installing").joinpath(name).read_text(encoding="utf-8")


def _lines_for(template: str, kind: str) -> str:
    """A line @system or @user begins what is only for that one, @all ends it."""
    kept: list[str] = []
    only = "all"
    for line in template.splitlines():
        if line.startswith("@"):
            only = line[1:]
        elif only in {"all", kind}:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _filled(template: str, facts: Mapping[str, str]) -> str:
    for name, text in facts.items():
        template = template.replace(f"{{{name}}}", text)
    return template


def changed(old: str, new: str) -> Iterable[str]:
    """The lines that go and that come, for a person."""
    before, after = old.splitlines(), new.splitlines()
    yield from (f"- {line}" for line in before if line not in after)
    yield from (f"+ {line}" for line in after if line not in before)
