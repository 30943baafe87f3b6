"""Names that people give are text: whatever they hold, no file is made elsewhere, replaced, or run by a spreadsheet."""

from __future__ import annotations

import csv
import json
import random
import re
import shutil
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from cycler_ctl.errors import CyclerError, StoreError
from cycler_ctl.figures.kinds import AS_IT_IS, Kind
from cycler_ctl.plot import draw
from cycler_ctl.predict import PredictOptions, show_prediction
from cycler_ctl.publish.topics import Topics
from cycler_ctl.records.runs import Wanted, show_runs
from cycler_ctl.report.command import show_report
from cycler_ctl.settings import ShareSettings
from cycler_ctl.share.sharer import Sharer
from cycler_ctl.store.export import names as names_of_exports
from cycler_ctl.store.export.atomic import Overwriting
from cycler_ctl.store.export.bundle import unpack_run, verify_bundle
from cycler_ctl.store.export.formats import FORMATS, export_run_as
from cycler_ctl.store.export.names import jsonld_path, metadata_path, part
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.writer import create_run
from cycler_ctl.terminal.schemas import show_schema
from cycler_ctl.terminal.translate import Target, translate_file
from cycler_ctl.testing.rows import START_UTC_S, Shape, cycling_rows
from protocols.model import Verb
from protocols.record import EventKind, EventRecord, Outcome

HOSTILE = {
    "up": "../../../../etc/passwd",
    "absolute": "/etc/passwd",
    "drive": "C:\\Windows\\x",
    "share": "\\\\server\\share\\x",
    "device": "CON",
    "device with an ending": "aux.txt",
    "stream": "x.csv::$DATA",
    "dots": "..",
    "nothing": "",
    "blank": " ",
    "emoji": "🔋 1",
    "composed": "\u00e9tude",
    "decomposed": "e\u0301tude",
    "300 letters": "x" * 300,
    "300 of three bytes": "漢" * 300,
    "formula": "=cmd|' /C calc'!A0",
    "plus": "+1+1",
    "minus": "-1+1",
    "at": "@SUM(1+1)",
    "tab": "\t=1+1",
    "line feed": "a\nb: c\r\nd",
    "escape": "a\x1b[2J\x07b",
    "turned round": "a\u202egnp.exe",
    "null": "a\x00b",
    "markup": "<script>alert(1)</script>",
    "mathematics": "$\\frac{$ $x$",
    "format": "{0} %s %(x)s",
    "topic": "a/+/#/b",
}
ENDINGS = ("svg", "html")
ROWS = list(cycling_rows(Shape()))[:40]
FEW, CAMPAIGN = 2, 560
Sort = Callable[[random.Random], str]


def word(chance: random.Random) -> str:
    return "".join(chance.choices("abcXYZ019 -_.", k=chance.randint(1, 8)))


def between(*parts: str) -> Sort:
    """A few of these, with words in between."""

    def make(chance: random.Random) -> str:
        return "".join(chance.choice(parts) + chance.choice((word(chance), "")) for _ in range(chance.randint(1, 4)))

    return make


def device_name(chance: random.Random) -> str:
    name = chance.choice(("con", "PRN", "aux", "NUL", "Com1", "LPT9", "com0", "CONIN$", "lpt\u00b9"))
    return name + chance.choice(("", ".", ".txt", " ", ":", " .csv", "::$DATA")) + chance.choice(("", word(chance)))


def longer_than_a_file_name(chance: random.Random) -> str:
    return word(chance) + chance.choice(("x", "\u6f22", "\U0001f50b", "e\u0301", " .")) * chance.randint(250, 600)


SORTS: tuple[tuple[str, Sort], ...] = (
    ("control letters", between(*(chr(code) for code in (*range(1, 32), *range(127, 160))))),
    ("NUL", between("\0")),
    ("reserved on Windows", device_name),
    (
        "path parts",
        between("../", "..\\", "/", "C:\\", "\\\\?\\", "%2e%2e/", "~", "//host/x", "/etc/passwd", "file:///"),
    ),
    ("too long", longer_than_a_file_name),
    ("right to left", between("\u202e", "\u202a", "\u2066", "\u200f", "\u0627\u0644", "\u05d0", "\u2069")),
    ("combining", between("\u0301", "\u0308", "\u20dd", "\u200d", "\ufe0f", "\u0e33", "\U000e0061", "Z\u0351\u036b")),
    (
        "formulas and markup",
        between("=1+1", "@SUM(1)", "+1", "-1", "<script>alert(1)</script>", "&lt;", "'\"", "$x$", "%s", ";"),
    ),
)


def made_up(seed: int) -> str:
    """One of each sort in turn; each second one is mixed with another."""
    chance = random.Random(seed)
    name = SORTS[seed % len(SORTS)][1](chance)
    return name + chance.choice(SORTS)[1](chance) if chance.random() < 0.5 else name


def record(data_dir: Path, name: str, run: str = "20261122-101500-a1-7f3k") -> Path:
    """A run in which everything that a person may name is called ``name``."""
    cell: dict[str, Any] = {
        "name": name,
        "working_electrode": name,
        "counter_electrode": name,
        "temperature_degC": 25.0,
    }
    info = RunInfo(
        run, 7, "a1", name, name, START_UTC_S, name, f"name: {json.dumps(name)}\n", "00" * 32,
        cell, {}, {}, {"maker": name, "model": name, "serial": name}, {}, Verb.LITHIATE, 5.0,
    )  # fmt: skip
    options = WriterOptions(commit_every_s=0.01, minimum_free_bytes=0, reserve_bytes=0)
    writer = create_run(data_dir, info, on_durable=lambda _: None, utc=lambda: START_UTC_S + 9e4, options=options)
    note = EventRecord(1.0, START_UTC_S, EventKind.NOTE, {"text": name, "by": name})
    writer.append(ROWS, [note])
    writer.finish(Outcome.FINISHED, name)
    assert writer.close()
    return writer.run_dir


def files(folder: Path) -> set[Path]:
    return {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("kind", FORMATS)
def test_an_export_has_a_plain_name_in_its_folder_and_the_given_one_inside(
    kind: str, name: str, tmp_path: Path
) -> None:
    if kind == "bdf-parquet":
        pytest.importorskip("pyarrow")
    exported_as_text(kind, name, record(tmp_path / "data", name), tmp_path)


def exported_as_text(kind: str, name: str, run_dir: Path, folder: Path) -> None:
    before = files(folder)
    path = export_run_as(kind, run_dir)
    made = files(folder) - before
    assert {found.parent for found in made} == {Path("data/exports")}
    assert all(PLAIN.fullmatch(found.name) for found in made)
    assert not any(device.fullmatch(found.name.split(".")[0]) for found in made)
    if kind == "bundle":
        assert verify_bundle(path) == []
        with zipfile.ZipFile(path) as archive:
            assert all(PLAIN.fullmatch(part) for inside in archive.namelist() for part in inside.split("/"))
        (folder / "unpacked").mkdir()
        run_dir = unpack_run(path, folder / "unpacked")
    else:
        about = json.loads(metadata_path(path).read_text(encoding="utf-8"))
        assert about["battinfo_cell"]["cell_instance"]["name"] == name
        linked = json.loads(jsonld_path(path).read_text(encoding="utf-8"))
        assert linked["schema:about"]["schema:name"] == name
    with open_run(run_dir) as reader:
        assert (reader.info.cell["name"], reader.info.station, reader.info.protocol_name) == (name, name, name)
        assert [event.data["text"] for event in reader.events() if event.kind is EventKind.NOTE] == [name]


@pytest.mark.parametrize(
    "name", [HOSTILE[one] for one in ("up", "drive", "emoji", "300 letters", "line feed", "formula")]
)
def test_the_share_gets_plain_names_in_the_run_s_folder(name: str, tmp_path: Path) -> None:
    shared_plainly(record(tmp_path / "data", name), tmp_path)


def shared_plainly(run_dir: Path, around: Path) -> None:
    share = around / "share"
    share.mkdir()
    before = {one.name for one in around.iterdir()}
    settings = ShareSettings(folder=share, formats=("bundle", "bdf-csv"))

    def export(kind: str, folder: Path, out: Path) -> None:
        export_run_as(kind, folder, out)

    assert Sharer(around / "data", settings, lambda: START_UTC_S, export).share_all()
    found = files(share)
    assert len(found) == 4
    assert {one.parent for one in found} == {Path(run_dir.name)}
    assert all(PLAIN.fullmatch(one.name) for one in found)
    assert {one.name for one in around.iterdir()} == before


PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,199}")
device = re.compile(r"(?i)con|prn|aux|nul|com\d|lpt\d")


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_table_holds_no_cell_that_a_spreadsheet_would_run_or_a_reader_would_split(name: str, tmp_path: Path) -> None:
    tabled_safely(export_run_as("bdf-csv", record(tmp_path, name)))


def tabled_safely(path: Path) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        lines = list(csv.reader(file))
    assert {len(line) for line in lines} == {len(lines[0])}
    assert len(lines) == len(ROWS) + 1
    texts = {cell for line in lines[1:] for cell in line if not re.fullmatch(r"-?[0-9.e+-]*", cell)}
    assert not {cell for cell in texts if cell.startswith(("=", "+", "-", "@", "\t", "\r"))}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_report_and_a_list_hold_no_control_character_and_no_markup(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told_plainly(record(tmp_path, name), tmp_path, capsys)


def told_plainly(run_dir: Path, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    show_report(run_dir, None, html=False, json_wanted=False)
    show_runs(data_dir, Wanted(), json_wanted=False)
    said = capsys.readouterr().out
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", said)
    show_report(run_dir, None, html=True, json_wanted=False)
    assert "<script>alert" not in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")
@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_figure_is_drawn_whatever_it_is_called(ending: str, name: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    drawn(ending, record(tmp_path / "data", name), tmp_path)


def drawn(ending: str, run_dir: Path, folder: Path) -> None:
    out = folder / "out" / f"x.{ending}"
    draw([run_dir], Kind("voltage-time"), AS_IT_IS, out)
    assert Path(out.name) in files(folder / "out")
    assert len(files(folder / "out")) <= len(ENDINGS)
    assert "<script>alert" not in out.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_topic_has_the_same_levels_whatever_they_are_called(name: str) -> None:
    levelled(name)


def levelled(name: str) -> None:
    topics = Topics(name, name)
    for topic in (topics.status, topics.channel(name, "samples"), topics.instrument_status(name)):
        assert all(re.fullmatch(r"[a-z0-9_-]+", level) for level in topic.split("/"))
    assert topics.channel(name, "samples").count("/") == Topics("a", "b").channel("c", "samples").count("/")


@pytest.mark.timeout(1800)
@pytest.mark.filterwarnings("ignore:Glyph:UserWarning")
def test_no_name_that_chance_makes_up_is_more_than_text_anywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    for module in ("pyarrow", "matplotlib"):
        pytest.importorskip(module)
    asked = range(CAMPAIGN) if request.config.getoption("--campaign") else range(FEW)
    names = {made_up(seed): SORTS[seed % len(SORTS)][0] for seed in asked}
    for number, name in enumerate(names):
        folder = tmp_path / str(number)
        everywhere(name, folder, capsys)
        shutil.rmtree(folder)
    sorts = ", ".join(f"{sort} {times}" for sort, times in Counter(names.values()).items())
    sys.stderr.write(f"F40: {len(names)} names, each at {len(FORMATS) + 6} places: {sorts}\n")
    assert len(names) >= (500 if len(asked) == CAMPAIGN else FEW)


def everywhere(name: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = record(folder / "data", name)
    for kind in FORMATS:
        exported_as_text(kind, name, run_dir, folder)
    (table,) = (folder / "data" / "exports").glob("*.bdf.csv")
    tabled_safely(table)
    told_plainly(run_dir, folder / "data", capsys)
    for ending in ENDINGS:
        drawn(ending, run_dir, folder)
    levelled(name)
    shared_plainly(run_dir, folder)
    made = {path.relative_to(folder).parts[0] for path in folder.rglob("*")}
    assert made == {"data", "out", "share", "unpacked"}, "something was made elsewhere"


def test_a_file_that_is_called_as_somebody_wished_is_caught(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: names that go into a file's name as they are, and onto a terminal."""
    monkeypatch.setattr(names_of_exports, "part", lambda text: text)
    with pytest.raises((AssertionError, CyclerError, OSError, ValueError)):
        everywhere("a\x1b[2J", tmp_path, capsys)


def test_names_that_differ_beyond_what_a_file_name_holds_do_not_replace_each_other(tmp_path: Path) -> None:
    names = ("x" * 300, f"{'x' * 299}y", "\u00e9", "e\u0301", "é/e")
    runs = [record(tmp_path, name, f"20261122-10150{at}-a1-7f3k") for at, name in enumerate(names)]
    paths = [export_run_as("bdf-csv", run) for run in runs]
    assert len(set(paths)) == len(names)
    assert [export_run_as("bdf-csv", run) for run in runs] == paths
    assert len(part("x" * 300)) == 60


@pytest.mark.parametrize("kind", FORMATS)
def test_an_output_that_is_somebody_else_s_file_is_refused_and_one_s_own_replaced(kind: str, tmp_path: Path) -> None:
    if kind == "bdf-parquet":
        pytest.importorskip("pyarrow")
    first, second = (record(tmp_path / "data", "a", f"20261122-10150{at}-a1-7f3k") for at in (1, 2))
    out = tmp_path / ("x.zip" if kind == "bundle" else f"x.bdf.{kind.removeprefix('bdf-')}")
    out.write_text("my thesis", encoding="utf-8")
    with pytest.raises(StoreError, match="there already"):
        export_run_as(kind, first, out)
    assert out.read_text(encoding="utf-8") == "my thesis"
    out.unlink()
    export_run_as(kind, first, out)
    export_run_as(kind, first, out)
    before = out.read_bytes()
    with pytest.raises(StoreError, match="there already"):
        export_run_as(kind, second, out)
    assert out.read_bytes() == before


def test_one_run_s_metadata_are_not_replaced_by_another_s_in_a_second_format(tmp_path: Path) -> None:
    first, second = (record(tmp_path / "data", "a", f"20261122-10150{at}-a1-7f3k") for at in (1, 2))
    export_run_as("bdf-csv", first, tmp_path / "x.bdf.csv")
    with pytest.raises(StoreError, match="there already"):
        export_run_as("bdf-csv", second, tmp_path / "x.csv")


@pytest.mark.parametrize("name", ["run.sqlite", "run.sqlite-wal", "sealed/x.csv", "x.html"])
def test_nothing_is_written_into_a_run_s_own_folder(name: str, tmp_path: Path) -> None:
    run_dir = record(tmp_path, "a")
    out, before = run_dir / PurePosixPath(name), (run_dir / "run.sqlite").read_bytes()
    with pytest.raises(StoreError, match="folder of a run"):
        export_run_as("bdf-csv", run_dir, out)
    with pytest.raises(StoreError, match="folder of a run"):
        show_report(run_dir, out, html=False, json_wanted=False)
    with pytest.raises(StoreError, match="folder of a run"):
        draw([run_dir], Kind("voltage-time"), AS_IT_IS, out.with_suffix(".svg"))
    assert files(run_dir) <= {Path("run.sqlite"), Path("writer.lock")}
    assert (run_dir / "run.sqlite").read_bytes() == before


def test_no_command_writes_over_a_file_unless_forced(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    run_dir = record(tmp_path / "data", "a")
    writers: dict[str, Callable[[Path, Overwriting], object]] = {
        "x.txt": lambda out, how: show_report(run_dir, out, html=False, json_wanted=False, overwriting=how),
        "x.html": lambda out, how: draw([run_dir], Kind("voltage-time"), AS_IT_IS, out, how),
        "x.svg": lambda out, how: draw([run_dir], Kind("voltage-time"), AS_IT_IS, out, how),
        "x.json": lambda out, how: show_schema("protocol", out, how),
        "x.py": lambda out, how: translate_file(protocol, Target("pybamm", out, how), None, []),
        "p.png": lambda out, how: show_prediction(protocol, None, [], PredictOptions("nmc", out=out, overwriting=how)),
        "p.csv": lambda out, how: show_prediction(protocol, None, [], PredictOptions("nmc", out=out, overwriting=how)),
        "x.bdf.csv": lambda out, how: export_run_as("bdf-csv", run_dir, out, overwriting=how),
        "x.zip": lambda out, how: export_run_as("bundle", run_dir, out, overwriting=how),
    }
    protocol = tmp_path / "p.yaml"
    protocol.write_text(PROTOCOL, encoding="utf-8")
    for name, write in writers.items():
        out = tmp_path / name
        out.write_text("my thesis", encoding="utf-8")
        with pytest.raises(CyclerError, match="--force"):
            write(out, Overwriting.REFUSED)
        assert out.read_text(encoding="utf-8") == "my thesis"
        write(out, Overwriting.FORCED)
        assert out.read_bytes() != b"my thesis", name


PROTOCOL = """protocol: 1
name: short
cell: {name: GN-7, nominal_capacity: 3 mAh, discharge_means: lithiate}
safety: {voltage: 2.3 V to 4.6 V}
record: every 1 min
steps:
  - charge: {at: C/2, for: 5 min}
"""
