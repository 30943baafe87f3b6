"""The reference of the manual, made from the program itself.

``python -m cycler_ctl.manual`` in the project's folder writes all generated pages anew; a test compares them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from cycler_ctl.terminal.driver_facts import page as drivers_page
from cycler_ctl.terminal.schemas import DOCUMENTS
from protocols.describing.reference import reference_text
from protocols.record import JSON

Table = Mapping[str, JSON]

MADE = "*Made from the program by `python -m cycler_ctl.manual`; do not edit.*"
STATUSES = """Exit status: 0 done, 1 refused or failed, 2 not understood, 3 the service does not answer,
4 an output is not confirmed off."""
STATION = "station.toml"
INSTRUMENTS = "docs/instruments.md"


def commands_page() -> str:
    """All commands with their arguments and options, as ``--help`` has them."""
    from typer.main import get_command

    from cycler_ctl.cli import app

    root = get_command(app)
    lines = ["# Commands", MADE, "Each command explains itself: `cycler-ctl COMMAND --help`.", STATUSES]
    return _page([*lines, *_commands("cycler-ctl", root)])


def _commands(name: str, command: object) -> Iterator[str]:
    inner: Mapping[str, object] = getattr(command, "commands", {})
    for word in sorted(inner):
        one = inner[word]
        if not getattr(one, "hidden", False):
            yield from _commands(f"{name} {word}", one) if hasattr(one, "commands") else _command(f"{name} {word}", one)


def _command(name: str, command: object) -> Iterator[str]:
    yield f"## {name}"
    yield _sentence(getattr(command, "help", None) or "")
    rows = [row for one in getattr(command, "params", ()) if (row := _parameter(one)) is not None]
    yield _table(("write", "what it is", "default"), rows)


def _parameter(one: object) -> tuple[str, str, str] | None:
    help_text = str(getattr(one, "help", None) or "")
    if getattr(one, "param_type_name", "") == "argument":
        return (
            f"`{getattr(one, 'name', '').upper()}`",
            help_text,
            "" if getattr(one, "required", False) else "not needed",
        )
    names: Sequence[str] = (*getattr(one, "opts", ()), *getattr(one, "secondary_opts", ()))
    flag = bool(getattr(one, "is_flag", False))
    default = getattr(one, "default", None)
    shown = isinstance(default, str | int | Path) and not flag and str(default) != ""
    return ", ".join(f"`{name}`" for name in names), help_text, f"`{default}`" if shown else ""


def station_page() -> str:
    """Every table and key of station.toml, from the schema that ``cycler-ctl schema station`` prints."""
    document = _document("station")
    begin = "`cycler-ctl check station.toml` says what is wrong in yours; `cycler-ctl schema station` is this page for editors."
    lines = [f"# {STATION}", MADE, begin, "A key in **bold** must be there."]
    defs, shown = _inside(document, "$defs"), set[str]()
    for key, value in _inside(document, "properties").items():
        about = _dict(value)
        named = next(iter(_inside(about, "patternProperties").values()), None)
        name = _target(_dict(named) if named else about)
        shown.add(name)
        lines += [f"## [{key}{'.<name>' if named else ''}]", _sentence(_text(about, "description")), _keys(defs, name)]
    for name in (name for name in defs if name not in shown):
        lines += [f"## A table of {name}", _keys(defs, name)]
    return _page(lines)


def _keys(defs: Table, name: str) -> str:
    table = _dict(defs[name])
    required = _list(table.get("required"))
    rows = [
        (
            f"**`{key}`**" if key in required else f"`{key}`",
            _sentence(_text(_dict(about), "description")),
            _example(about),
        )
        for key, about in _inside(table, "properties").items()
    ]
    return _table(("key", "what it is", "for example"), rows)


def _example(about: JSON) -> str:
    examples = _list(_dict(about).get("examples"))
    return f"`{json.dumps(examples[0], ensure_ascii=False)}`" if examples else _target(_dict(about))


def mqtt_page() -> str:
    """Every topic with its messages' fields, from the AsyncAPI document."""
    document = _document("mqtt")
    lines = ["# MQTT topics", MADE, "For programs: `cycler-ctl schema mqtt` (AsyncAPI 3)."]
    messages = _inside(_dict(document["components"]), "messages")
    schemas = _inside(_dict(document["components"]), "schemas")
    for channel in _inside(document, "channels").values():
        about = _dict(channel)
        lines += [f"## {_text(about, 'address').removeprefix('cycler/v1/{site}/{station}/')}"]
        lines += [f"Topic `{_text(about, 'address')}`.", _sentence(_text(about, "description"))]
        for name in _inside(about, "messages"):
            message = _dict(messages[name])
            shape = _dict(schemas.get(name, message.get("payload")))
            lines += [_sentence(_text(message, "summary") or _text(message, "description")), _fields(shape)]
    return _page(lines)


def _fields(shape: Table) -> str:
    required = _list(shape.get("required"))
    rows = [
        (f"`{key}`", "" if key in required else "may be missing", _sentence(_meaning(_dict(about))))
        for key, about in _inside(shape, "properties").items()
    ]
    return _table(("field", "", "what it is"), rows)


def _meaning(about: Table) -> str:
    return _text(about, "description") or _text(about, "title") or _kind(about)


def _kind(about: Table) -> str:
    kind = about.get("const", about.get("enum", about.get("type", "")))
    return ", ".join(str(one) for one in kind) if isinstance(kind, list) else str(kind)


def http_page() -> str:
    """Every address of the HTTP interface, from the OpenAPI document."""
    about = "For programs: `cycler-ctl schema http` (OpenAPI). What acts needs the token; see [safety](../safety.md)."
    lines = ["# HTTP interface", MADE, about]
    for path, verbs in _inside(_document("http"), "paths").items():
        for verb, found in _dict(verbs).items():
            one = _dict(found)
            lines += [f"## {verb.upper()} {path}", _sentence(_text(one, "description") or _text(one, "summary"))]
            rows = [_asked(_dict(each)) for each in _list(one.get("parameters"))]
            lines += [_table(("asked", "where", "what it is"), rows)]
    return _page(lines)


def _asked(about: Table) -> tuple[str, str, str]:
    return f"`{_text(about, 'name')}`", _text(about, "in"), _text(about, "description")


def _document(name: str) -> Table:
    return _dict(json.loads(DOCUMENTS[name]()))


def _inside(about: Table, key: str) -> Table:
    return _dict(about.get(key, {}))


def _dict(value: JSON) -> Table:
    return value if isinstance(value, Mapping) else {}


def _list(value: JSON) -> Sequence[JSON]:
    return value if isinstance(value, list) else ()


def _text(about: Table, key: str) -> str:
    value = about.get(key)
    return value if isinstance(value, str) else ""


def _target(about: Table) -> str:
    return _text(about, "$ref").rpartition("/")[2]


def _sentence(text: str) -> str:
    """In one line, as Markdown has it: what a docstring writes in two backticks stands in one."""
    return " ".join(text.split()).replace("``", "`").replace("<", "&lt;")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return ""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _page(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _instruments_page() -> str:
    return drivers_page(Path(INSTRUMENTS).read_text(encoding="utf-8"))


PAGES: Mapping[str, Callable[[], str]] = {
    "docs/guide/protocol-reference.md": reference_text,
    INSTRUMENTS: _instruments_page,
    "docs/reference/commands.md": commands_page,
    "docs/reference/station.md": station_page,
    "docs/reference/mqtt.md": mqtt_page,
    "docs/reference/http.md": http_page,
}


def main() -> int:
    for name, make in PAGES.items():
        path = Path(name)
        if not path.parent.is_dir():
            sys.stderr.write(f"{path.parent} is not here: run this in the project's folder\n")
            return 1
        path.write_text(make(), encoding="utf-8", newline="\n")
        sys.stdout.write(f"{name}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
