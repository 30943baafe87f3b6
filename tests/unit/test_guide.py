"""The guide tells the truth: every piece of protocol in it is checked, every command is run, the reference is the tables'."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from protocols.check import check_text
from protocols.describing.reference import CODES, reference_text
from protocols.diagnostics import Diagnostic, Severity

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guide"
PAGES = sorted(GUIDE.glob("*.md"))
FENCE = re.compile(r"^```(?P<kind>\w*) ?(?P<name>\S*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
EXPECTED = re.compile(r"# error\[(?P<code>[\w-]+)\]: (?P<message>.*)$")
CELL = "name: c\n  area: 1 cm2\n  nominal_capacity: 2 mAh\n  discharge_means: lithiate"
HEAD = f"protocol: 1\nname: x\nrecord: every 1 s\nsafety: {{voltage: -0.1 V to 4.5 V}}\ncell:\n  {CELL}\nsteps:\n"


@dataclass(frozen=True)
class Block:
    page: str
    kind: str
    name: str
    body: str


def blocks() -> Iterator[Block]:
    for page in PAGES:
        for match in FENCE.finditer(page.read_text(encoding="utf-8")):
            yield Block(page.name, match["kind"], match["name"], match["body"])


def blocks_of(kind: str) -> list[Block]:
    return [block for block in blocks() if block.kind == kind]


def as_protocol(body: str) -> tuple[str, int]:
    """A whole protocol around a piece of one, and on which line the piece begins."""
    if body.lstrip().startswith("- "):
        return HEAD + body, HEAD.count("\n")
    if not re.search("^protocol:", body, re.MULTILINE):
        rest = "\n".join(line for line in HEAD.splitlines() if line.startswith(("protocol", "name")))
        return f"{rest}\n{body}steps:\n  - rest: 1 h\n", rest.count("\n") + 1
    return body, 0


def errors(block: Block, folder: Path) -> list[tuple[int, str, str]]:
    text, before = as_protocol(block.body)
    found: tuple[Diagnostic, ...] = check_text(text, "p.yaml", folder=folder).diagnostics
    return [(one.line - before, one.code, one.message) for one in found if one.severity is Severity.ERROR]


def expected(body: str) -> list[tuple[int, str, str]]:
    said = ((number, EXPECTED.search(line)) for number, line in enumerate(body.splitlines(), start=1))
    return [(number, match["code"], match["message"]) for number, match in said if match]


@pytest.mark.parametrize("block", blocks_of("yaml"), ids=lambda block: f"{block.page}-{block.body[:30]!r}")
def test_a_piece_of_protocol_is_right_or_gives_the_errors_it_names(block: Block, tmp_path: Path) -> None:
    for other in blocks_of("yaml"):
        if other.page == block.page and other.name:
            (tmp_path / other.name).write_text(other.body, encoding="utf-8")
    assert errors(block, tmp_path) == expected(block.body)


def test_the_guide_shows_wrong_protocols_as_well() -> None:
    assert sum(len(expected(block.body)) for block in blocks_of("yaml")) >= 3


def run(line: str, folder: Path) -> str:
    """A command as a shell would run it, far from this folder; also what it says on stderr."""
    command, _, target = line.partition(" > ")
    program, *words = shlex.split(command)
    assert program == "cycler-ctl"
    done = subprocess.run(
        [sys.executable, "-m", "cycler_ctl.cli", *words],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder), "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr
    if target:
        (folder / target).write_text(done.stdout, encoding="utf-8")
        return done.stderr
    return done.stdout + done.stderr


def follow(body: str, folder: Path) -> None:
    """Each line expected appears, in this order; ``...`` stands for any others."""
    said: list[str] = []
    for line in body.splitlines():
        if line.startswith("$ "):
            said = run(line.removeprefix("$ "), folder).splitlines()
        elif line != "...":
            place = next((at for at, one in enumerate(said) if one.startswith(line)), None)
            assert place is not None, (line, said)
            said = said[place + 1 :]


@pytest.mark.parametrize("page", ["first-protocol.md", "how-to.md"])
def test_every_command_works_as_written(page: str, tmp_path: Path) -> None:
    commands = 0
    for block in blocks():
        if block.page != page:
            continue
        if block.name:
            (tmp_path / block.name).write_text(block.body, encoding="utf-8")
        if block.kind == "console":
            follow(block.body, tmp_path)
            commands += block.body.count("$ ")
    assert commands >= 2
    if page == "first-protocol.md":
        assert (tmp_path / "cycling.png").stat().st_size > 10_000
        assert (tmp_path / "protocol.schema.json").is_file()


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), (page.name, target)


def test_commands_in_running_text_exist() -> None:
    from typer.main import get_command

    from cycler_ctl.cli import app

    known = set(getattr(get_command(app), "commands", {}))
    for page in PAGES:
        for command in re.findall(r"`cycler-ctl ([a-z-]+)", page.read_text(encoding="utf-8")):
            assert command in known, (page.name, command)


def test_the_reference_is_made_from_the_tables() -> None:
    assert (GUIDE / "protocol-reference.md").read_text(encoding="utf-8") == reference_text()


def test_the_reference_explains_every_code_the_reader_gives() -> None:
    given: set[str] = set()
    for module in (ROOT / "protocols").rglob("*.py"):
        source = module.read_text(encoding="utf-8")
        given |= set(re.findall(r"\.(?:error|warning)\([^()]*(?:\([^()]*\))?[^()\"]*\"([a-z]+(?:-[a-z]+)*)\",", source))
        given |= set(
            re.findall(r"(?:QuantityError|SyntaxFault)\(\s*(?:[\w.() \[\]]+, )?\"([a-z]+(?:-[a-z]+)*)\",", source)
        )
    assert len(given) > 20
    assert given <= set(CODES)
