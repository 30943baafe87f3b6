"""The manual tells the truth: what is made from the program is up to date, links lead somewhere, commands exist."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from typer.main import get_command

from cycler_ctl import manual
from cycler_ctl.cli import app
from protocols.check import check_text

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted((ROOT / "README.md", *DOCS.rglob("*.md")))
EXECUTED = {
    "first-protocol.md": "tests/unit/test_guide.py",
    "how-to.md": "tests/unit/test_guide.py",
    "mqtt.md": "tests/interop/mqtt/test_guide_mqtt.py",
    "first-station.md": "tests/service/test_first_station.py",
    "fleet.md": "tests/service/fleet",
}
FENCE = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[(?:[^\]`]|`[^`]*`)*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")
SIGNED_TEXT = "cycler-ctl command 1"
"""The first line of what a command over MQTT signs; not for a terminal."""
COMMAND = re.compile(r"^cycler-ctl ((?:[a-z][a-z-]* ?)+)(.*)$")


@pytest.mark.parametrize("name", manual.PAGES)
def test_a_page_made_from_the_program_is_up_to_date(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert Path(name).read_text(encoding="utf-8") == manual.PAGES[name](), "run: python -m cycler_ctl.manual"


def test_one_command_makes_them_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert manual.main() == 1
    (tmp_path / "docs" / "reference").mkdir(parents=True)
    monkeypatch.setattr(manual, "PAGES", {"docs/reference/commands.md": manual.commands_page})
    assert manual.main() == 0
    assert "## cycler-ctl plot" in (tmp_path / "docs/reference/commands.md").read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """As GitHub and the builder make them: small letters, no punctuation, a hyphen for each blank."""
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def broken(page: Path) -> list[str]:
    found: list[str] = []
    for match in LINK.finditer(FENCE.sub("", page.read_text(encoding="utf-8"))):
        target, _, anchor = (match[1] or match[2]).partition("#")
        if target.startswith(("http:", "https:", "mailto:")):
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            found.append(match[0])
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_anchor_leads_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    page = tmp_path / "a.md"
    page.write_text("# One two\n[x](a.md#one-two) [y](a.md#three) [`z`](b.md) [w](https://x.org)\n", encoding="utf-8")
    assert broken(page) == ["[y](a.md#three)", "[`z`](b.md)"]


def test_every_page_is_in_the_contents() -> None:
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = [line for block in re.findall(r"```{toctree}\n(.*?)```", index, re.DOTALL) for line in block.split()]
    for page in DOCS.rglob("*.md"):
        name = page.relative_to(DOCS).with_suffix("").as_posix()
        assert name == "index" or any(Path(name).match(line) for line in listed), name


def said(page: Path) -> Iterator[str]:
    """Command lines: those of fenced pieces, and those in running text."""
    text = page.read_text(encoding="utf-8")
    for block in FENCE.findall(text):
        yield from (line.strip().removeprefix("$ ") for line in block.splitlines())
    yield from (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", FENCE.sub("", text)))


def known(command: object, before: str = "") -> Iterator[tuple[str, object]]:
    inner: Mapping[str, object] = getattr(command, "commands", {})
    for name, one in inner.items():
        yield f"{before}{name}", one
        yield from known(one, f"{before}{name} ")


KNOWN = dict(known(get_command(app)))


def wrong(line: str) -> str | None:
    """What of a command line this program does not have."""
    match = COMMAND.match(line)
    if match is None or line == SIGNED_TEXT:
        return None
    words = match[1].split()
    found = next((name for end in (2, 1) if (name := " ".join(words[:end])) in KNOWN), None)
    if found is None:
        return words[0]
    options = {name for one in getattr(KNOWN[found], "params", ()) for name in (*one.opts, *one.secondary_opts)}
    asked = re.findall(r"(?<!\S)\[?(--?[a-zA-Z][\w-]*)", line.partition("  ")[0].partition(" · ")[0].partition(" #")[0])
    return next((one for one in asked if one not in {*options, "--help"}), None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_and_option_that_is_named_exists(page: Path) -> None:
    assert [(line, what) for line in said(page) if (what := wrong(line)) is not None] == []


def test_a_command_or_option_that_does_not_exist_is_found() -> None:
    assert wrong("cycler-ctl launch a.yaml") == "launch"
    assert wrong("cycler-ctl plot RUN --colour red") == "--colour"
    assert wrong("cycler-ctl notify test --rule anna") is None
    assert wrong("cycler-ctl plot RUN -o x.svg    also --kind") is None


def test_the_protocol_of_the_readme_is_right(tmp_path: Path) -> None:
    (body,) = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert [one.code for one in check_text(body, "p.yaml", folder=tmp_path).diagnostics] == []
    assert check_text(body.replace("0.2 V", "0.2"), "p.yaml", folder=tmp_path).diagnostics != ()


def test_every_page_with_commands_to_type_is_executed_by_a_test() -> None:
    for page in PAGES:
        if re.search(r"^ *```console", page.read_text(encoding="utf-8"), re.MULTILINE):
            assert (ROOT / EXECUTED[page.name]).exists(), page.name
