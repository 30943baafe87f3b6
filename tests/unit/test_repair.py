"""A damaged run file is made anew of what can be believed of it: no row of it is wrong, none that a seal holds is missing.

Damage is done to every page in turn: zeros, noise, a sector of either, a file cut short, logs with holes.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from cycler_ctl.errors import StoreError
from cycler_ctl.records import repair
from cycler_ctl.records.repair import FOLDER, REPAIRED, UNPLACED_FILE, Report, damage_of, repair_run, show_repair
from cycler_ctl.running.recovery import INTERRUPTED, LeftOpen, left_open
from cycler_ctl.store.export.seal import DAY_S, seal_days
from cycler_ctl.store.files import WriterOptions
from cycler_ctl.store.info import RunInfo
from cycler_ctl.store.pages import FRAME_HEAD, WAL_HEAD
from cycler_ctl.store.place import aside_note, is_set_aside, set_aside
from cycler_ctl.store.reader import open_run
from cycler_ctl.store.segment import segment_path
from cycler_ctl.store.writer import create_run, reopen_run
from cycler_ctl.testing.rows import START_UTC_S, Shape, cycling_rows
from protocols.record import EventKind, EventRecord, Outcome

RUN, OTHER = "20261122-101500-a1-7f3k", "20261122-101501-b1-7f3k"
TEXT = "protocol: 1\n" + "# a remark\n" * 1200  # longer than a page
INFO = RunInfo(RUN, 5, "a1", "lab", "site", START_UTC_S, "n", TEXT, "", {"a": 1}, {}, {}, {}, {}, None, 60.0)
OPTIONS = WriterOptions(commit_every_s=0.0, minimum_free_bytes=0, reserve_bytes=0)
ROWS = [replace(row, utc_s=START_UTC_S + 90.0 * row.seq) for row in cycling_rows(Shape(points=150))]
PAGE, SECTOR = 4096, 512
HEAD = 100  # where it says how it is written: here its log was folded in, so whoever opens it begins a new one


@dataclass(frozen=True, slots=True)
class Life:
    """A run of which the program was killed: ``folder`` is its folder then, half of it in the write-ahead log.

    ``other`` is the folder of another channel's run, which has ended.
    """

    folder: Path
    sealed: int
    other: Path


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    root = tmp_path_factory.mktemp("life")
    writer = create_run(root, INFO, on_durable=lambda _: None, utc=lambda: START_UTC_S, options=OPTIONS)
    for at in range(0, len(ROWS), 40):
        if at == 320:
            with closing(sqlite3.connect(writer.run_dir / "run.sqlite")) as connection:
                connection.execute("PRAGMA wal_checkpoint")
        note = EventRecord(0.0, START_UTC_S, EventKind.NOTE, {"rows": at})
        checkpoint = json.dumps({"last": min(at + 40, len(ROWS)), "more": "x" * 9000})
        writer.append(ROWS[at : at + 40], [note], checkpoint=partial(str, checkpoint))
        assert writer.flush(5)
    (seal,) = seal_days(writer.run_dir, DAY_S * (START_UTC_S // DAY_S + 1))
    killed = root / "killed" / RUN
    shutil.copytree(writer.run_dir, killed, ignore=shutil.ignore_patterns("*-shm", "*.lock"))
    writer.finish(Outcome.FINISHED, "done")
    assert writer.close()
    return Life(killed, seal.last_seq, another_run(root))


def another_run(root: Path) -> Path:
    info = replace(INFO, run=OTHER, channel="b1")
    writer = create_run(root, info, on_durable=lambda _: None, utc=lambda: START_UTC_S, options=OPTIONS)
    writer.append(ROWS[:100])
    writer.finish(Outcome.FINISHED, "done")
    assert writer.close()
    return writer.run_dir


def copy_of(life: Life, folder: Path, *, folded: bool = True, sealed: bool = True) -> Path:
    """``folded``: the write-ahead log is in the file, whose pages then matter."""
    run_dir = folder / RUN
    shutil.copytree(life.folder, run_dir)
    if not sealed:
        shutil.rmtree(run_dir / "sealed")
    if folded:
        with closing(sqlite3.connect(run_dir / "run.sqlite")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.execute("PRAGMA journal_mode = DELETE")
    return run_dir


def repaired(run_dir: Path) -> Report:
    return repair_run(run_dir, lambda: START_UTC_S + 9e5)


def checked(run_dir: Path, report: Report, sealed: int) -> int:
    """How many rows are missing; every other one is as it was measured."""
    (mended,) = report.mended
    with open_run(run_dir) as reader:
        rows, info, checkpoint = reader.rows(), reader.info, reader.checkpoint()
        assert reader.state.state == "interrupted"
        told = [event for event in reader.events() if "was damaged" in str(event.data.get("text"))]
    seqs = {row.seq for row in rows}
    assert rows == [row for row in ROWS if row.seq in seqs], "a row is not as it was"
    assert seqs >= set(range(1, sealed + 1)), "a sealed row is missing"
    missing = [row.seq for row in ROWS if row.seq not in seqs]
    lost = [seq for first, last in mended.tally.lost for seq in range(first, last + 1)]
    assert lost == missing[: len(lost)], "the report does not say what is missing"
    assert lost == missing or not checkpoint, "what the checkpoint knows of is not said to be missing"
    assert len(told) == 1
    assert (info.run, info.channel, int(info.started_utc_s)) == (RUN, "a1", int(START_UTC_S))
    assert repaired(run_dir).mended == (), "it is not whole now"
    return len(missing)


Harm = Callable[[bytearray, int, random.Random], None]


def zeros(data: bytearray, at: int, _: random.Random) -> None:
    data[at : at + PAGE] = bytes(PAGE)


def noise(data: bytearray, at: int, choose: random.Random) -> None:
    data[at : at + PAGE] = choose.randbytes(PAGE)


def zero_sector(data: bytearray, at: int, choose: random.Random) -> None:
    at += choose.randrange(PAGE // SECTOR) * SECTOR
    data[at : at + SECTOR] = bytes(SECTOR)


def noisy_sector(data: bytearray, at: int, choose: random.Random) -> None:
    at += choose.randrange(PAGE // SECTOR) * SECTOR
    data[at : at + SECTOR] = choose.randbytes(SECTOR)


def another_page(data: bytearray, at: int, choose: random.Random) -> None:
    other = choose.randrange(len(data) // PAGE) * PAGE
    data[at : at + PAGE] = data[other : other + PAGE]


def cut_short(data: bytearray, at: int, choose: random.Random) -> None:
    del data[at + choose.choice((0, 0, 100, 3000)) :]


HARMS: tuple[Harm, ...] = (zeros, noise, zero_sector, noisy_sector, another_page, cut_short)


def harmed(path: Path, page: int, harm: Harm, choose: random.Random) -> bytes:
    data = bytearray(path.read_bytes())
    harm(data, page * PAGE, choose)
    path.write_bytes(data)
    return bytes(data)


def started_over(life: Life, data_dir: Path, damaged: bytes, *, sealed: bool) -> bool:
    """A station's start over a file of these bytes: whether the damage is told. If not, every row of it is right.

    One that is told is not gone on with, and no other file is touched.
    """
    runs = data_dir / "runs"
    run_dir = copy_of(life, runs, sealed=sealed)
    shutil.copytree(life.other, runs / OTHER)
    (run_dir / "run.sqlite").write_bytes(damaged)
    before = beside(run_dir)
    (left,) = left_open(data_dir, on_durable=lambda _: None, utc=lambda: START_UTC_S + 9e5)
    told = judged_start(run_dir, left, damaged)
    assert beside(run_dir) == before, "another file was touched"
    return told


def beside(run_dir: Path) -> dict[Path, bytes]:
    """The other run's files, and the seals of this one."""
    found = [*(run_dir.parent / OTHER).rglob("*"), *(run_dir / "sealed").rglob("*")]
    return {path: path.read_bytes() for path in found if path.is_file()}


def judged_start(run_dir: Path, left: LeftOpen, damaged: bytes) -> bool:
    assert left.run == RUN
    if f"'cycler-ctl repair {RUN}'" not in left.reason:
        assert left.reason == INTERRUPTED
        with open_run(run_dir) as reader:
            assert reader.rows() == ROWS, "damage that nobody was told of changed a row"
        return False
    now = (run_dir / "run.sqlite").read_bytes()
    assert now[HEAD:] == damaged[HEAD:], "the damaged file was changed"
    with pytest.raises(StoreError):  # what a resume begins with
        reopen_run(run_dir, on_durable=lambda _: None, options=OPTIONS, epoch=6).close()
    return True


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("sealed", [True, False])
def test_whichever_page_is_damaged_no_row_is_wrong_and_no_sealed_one_is_missing(
    life: Life, tmp_path: Path, request: pytest.FixtureRequest, sealed: bool
) -> None:
    choose = random.Random(7)
    whole = (copy_of(life, tmp_path / "whole") / "run.sqlite").read_bytes()
    campaign = bool(request.config.getoption("--campaign"))
    done = Counter[tuple[str, str]]()
    found = 0
    for number, (page, harm) in enumerate(harms_of(len(whole) // PAGE, choose, every=campaign)):
        folder = tmp_path / str(number)
        run_dir = copy_of(life, folder, sealed=sealed)
        before = harmed(run_dir / "run.sqlite", page, harm, choose)
        if before == whole:  # zeros where there were zeros
            continue
        told = started_over(life, folder / "started", before, sealed=sealed)
        done[harm.__name__, "told" if told else "every row right"] += 1
        if damage_of(run_dir / "run.sqlite") is None:  # an unused sector, or a page in another's place
            assert not told, "a start tells of it and a repair finds nothing"
            continue
        report = repaired(run_dir)
        missing = checked(run_dir, report, life.sealed if sealed else 0)
        (mended,) = report.mended
        if harm is not cut_short:
            assert missing - len(mended.tally.unplaced) <= 100, f"more than page {page} is missing"
        assert (mended.kept_as / "run.sqlite").read_bytes() == before, "the damaged file was changed"
        found += 1
        shutil.rmtree(folder)
    assert found >= done.total() / 2
    assert done.total() >= (250 if campaign else 5)  # with a seal, and as many without one
    each = ", ".join(f"{harm} {what} {times}" for (harm, what), times in sorted(done.items()))
    sys.stderr.write(f"F19: {done.total()} run files damaged{' beside a seal' if sealed else ''}: {each}\n")


def harms_of(pages: int, choose: random.Random, *, every: bool) -> Iterator[tuple[int, Harm]]:
    """Each of them done to each page, twice; or one of them to each fifth page."""
    assert pages > 18
    if every:
        yield from itertools.product([*range(pages)] * 2, HARMS)
    else:
        yield from zip(range(choose.randrange(5), pages, 5), itertools.cycle(HARMS), strict=False)


def test_a_start_that_took_a_damaged_file_for_a_whole_one_is_caught(life: Life, tmp_path: Path) -> None:
    """The negative control of the judge above: no damage known, a row that is another, a file that was written to."""
    run_dir = copy_of(life, tmp_path, sealed=False)
    whole = (run_dir / "run.sqlite").read_bytes()
    assert not started_over(life, tmp_path / "whole", whole, sealed=False)
    unsaid = LeftOpen(RUN, "a1", None, INTERRUPTED)
    assert not judged_start(run_dir, unsaid, whole)
    with closing(sqlite3.connect(run_dir / "run.sqlite", isolation_level=None)) as connection:
        connection.execute("UPDATE compact SET voltage_V = voltage_V + 1e-9 WHERE seq = 100")
    with pytest.raises(AssertionError, match="changed a row"):
        judged_start(run_dir, unsaid, whole)
    with pytest.raises(AssertionError, match="was changed"):
        judged_start(run_dir, replace(unsaid, reason=f"look at it with 'cycler-ctl repair {RUN}'"), whole)


def test_a_leaf_in_the_place_of_its_table_s_root_is_found_though_sqlite_alone_says_nothing(
    life: Life, tmp_path: Path
) -> None:
    """SQLite takes a check of a file with a view for one of a few tables, and misses what no table reaches any more."""
    run_dir = copy_of(life, tmp_path, sealed=False)
    path = run_dir / "run.sqlite"
    leaf_for_root(path)
    assert started_over(life, tmp_path / "started", path.read_bytes(), sealed=False)
    assert "never used" in str(damage_of(path))
    assert checked(run_dir, repaired(run_dir), 0) == 0
    assert damage_of(path) is None


def leaf_for_root(path: Path) -> None:
    data, root, leaf = bytearray(path.read_bytes()), page_of(path.parent, "compact") * PAGE, page_of_rows(path) * PAGE
    data[root : root + PAGE] = data[leaf : leaf + PAGE]
    assert root != leaf
    path.write_bytes(data)


@pytest.mark.skipif(sys.platform == "win32", reason="how long a file may become is a limit of POSIX")
def test_that_there_is_no_room_to_look_at_a_file_is_no_damage_to_it(life: Life, tmp_path: Path) -> None:
    path = copy_of(life, tmp_path) / "run.sqlite"
    with files_no_longer_than(8 * PAGE):
        assert damage_of(path) is None
    harmed(path, page_of(path.parent, "compact"), noise, random.Random(1))
    with files_no_longer_than(8 * PAGE):
        assert "btreeInitPage" in str(damage_of(path))


def test_where_room_is_short_no_copy_is_made(life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Other runs are written there. What only a copy shows is not seen then."""
    path = copy_of(life, tmp_path) / "run.sqlite"
    leaf_for_root(path)
    assert "never used" in str(damage_of(path))
    monkeypatch.setattr(repair, "MINIMUM_FREE_BYTES", 1 << 62)
    assert damage_of(path) is None


@contextmanager
def files_no_longer_than(byte_size: int) -> Generator[None]:
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (byte_size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("text", [b"FROM compact r LEFT JOIN", b"# a remark\n# a remark\n# a remark\n# a remark\n"])
def test_a_text_that_is_damaged_and_that_a_start_stumbles_over_is_found_and_made_anew(
    life: Life, tmp_path: Path, text: bytes
) -> None:
    """That of a view, and that of the protocol."""
    run_dir = copy_of(life, tmp_path, sealed=False)
    path = run_dir / "run.sqlite"
    data = path.read_bytes()
    at = data.index(text)
    path.write_bytes(data[:at] + b"\xff" * 40 + data[at + 40 :])
    assert started_over(life, tmp_path / "started", path.read_bytes(), sealed=False)
    assert damage_of(path) is not None
    assert checked(run_dir, repaired(run_dir), 0) == 0


def test_no_letter_of_a_table_s_text_keeps_a_station_from_starting_or_a_file_from_being_made_anew(
    life: Life, tmp_path: Path
) -> None:
    """The name of a column among them: Python decodes each where SQLite only compares."""
    run_dir = copy_of(life, tmp_path, sealed=False)
    path = run_dir / "run.sqlite"
    data = path.read_bytes()
    for number, at in enumerate(letters(data)):
        path.write_bytes(data[:at] + b"\xff" + data[at + 1 :])
        assert started_over(life, tmp_path / f"started{number}", path.read_bytes(), sealed=False)
        assert damage_of(path) == "the texts of its tables are damaged"
    assert checked(run_dir, repaired(run_dir), 0) == 0


@pytest.mark.parametrize(
    ("text", "now"),
    [
        (b"AS current_A,", b"AS currentqA,"),
        (b"compact (\n    seq              INTEGER PRIMARY", b"compact (\n    seq              INTEGER0PRIMARY"),
        (b"    first_event  ", b"    fir,t_event  "),
        (b"/ 4194304.0 ELSE", b"/ 4194304.5 ELSE"),
        (b"'integer' THEN", b"'integes' THEN"),
        (b"r.voltage_V AS", b"r.current_A AS"),
    ],
)
def test_a_text_that_is_another_now_is_found_before_it_makes_other_numbers(
    life: Life, tmp_path: Path, text: bytes, now: bytes
) -> None:
    """Of a column's name, or within a view. A station that starts tells of it, and what it says to do about it does it."""
    run_dir = copy_of(life, tmp_path, sealed=False)
    path = run_dir / "run.sqlite"
    head, _, rest = path.read_bytes().rpartition(text)
    assert head
    path.write_bytes(head + now + rest)
    assert started_over(life, tmp_path / "started", path.read_bytes(), sealed=False)
    assert damage_of(path) is not None
    assert checked(run_dir, repaired(run_dir), 0) == 0


def letters(data: bytes) -> Iterator[int]:
    """Some of each table's text."""
    for found in re.finditer(rb"CREATE (TABLE|VIEW) [^\0]{100,}?\n\)?", data):
        yield from range(found.start() + 8, found.end(), 97)
    yield data.index(b"channel         TEXT")


def page_of(run_dir: Path, table: str) -> int:
    """The first page of a table, counted from 0."""
    with closing(sqlite3.connect(f"file:{run_dir}/run.sqlite?mode=ro", uri=True)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    return int(page) - 1


def page_of_rows(path: Path) -> int:
    """The first leaf with more cells than any table but that of the rows has."""
    data = path.read_bytes()
    heads = (data[at : at + 5] for at in range(0, len(data), PAGE))
    return next(page for page, head in enumerate(heads) if head[0] == 0x0D and int.from_bytes(head[3:5]) > 50)


@pytest.mark.parametrize("frame", [0, 3, 10, 30])
def test_a_damaged_frame_of_the_log_costs_no_more_than_its_own_page(life: Life, tmp_path: Path, frame: int) -> None:
    run_dir = copy_of(life, tmp_path, folded=False, sealed=False)
    log = run_dir / "run.sqlite-wal"
    data = bytearray(log.read_bytes())
    at = WAL_HEAD + frame * (FRAME_HEAD + PAGE) + FRAME_HEAD + 2000
    data[at : at + 600] = bytes(range(200)) * 3
    log.write_bytes(data)
    assert damage_of(run_dir / "run.sqlite") == "its write-ahead log has a hole"
    assert checked(run_dir, repaired(run_dir), 0) <= 70


def test_without_its_log_s_head_a_file_keeps_what_is_in_itself(life: Life, tmp_path: Path) -> None:
    run_dir = copy_of(life, tmp_path, folded=False)
    log = run_dir / "run.sqlite-wal"
    log.write_bytes(bytes(WAL_HEAD) + log.read_bytes()[WAL_HEAD:])
    harmed(run_dir / "run.sqlite", 0, zeros, random.Random(1))
    report = repaired(run_dir)
    with open_run(run_dir) as reader:
        rows = reader.rows()
    assert rows == ROWS[: len(rows)]
    assert len(rows) >= 300
    assert report.mended[0].tally.rows_lost == 0, "of rows that nothing knows of any more nothing can be said"


def test_a_run_whose_file_is_gone_is_made_of_its_seals(life: Life, tmp_path: Path) -> None:
    run_dir = copy_of(life, tmp_path)
    (run_dir / "run.sqlite").unlink()
    report = repaired(run_dir)
    with open_run(run_dir) as reader:
        assert reader.rows() == ROWS[: life.sealed]
        assert replace(reader.info, epoch=5) == INFO
    assert not report.mended[0].tally.run_known


def test_a_number_that_was_changed_under_its_seal_is_put_back(life: Life, tmp_path: Path) -> None:
    run_dir = copy_of(life, tmp_path)
    with closing(sqlite3.connect(run_dir / "run.sqlite", isolation_level=None)) as connection:
        connection.execute("UPDATE compact SET voltage_V = voltage_V + 1e-9 WHERE seq = 100")
    report = repaired(run_dir)
    assert checked(run_dir, report, life.sealed) == 0
    assert (report.mended[0].tally.differing, "differs from the sealed" in report.mended[0].why) == (1, True)


def test_a_seal_that_was_changed_is_said_and_not_believed(life: Life, tmp_path: Path) -> None:
    run_dir = copy_of(life, tmp_path)
    (file,) = (run_dir / "sealed").glob("*.csv.gz")
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    report = repaired(run_dir)
    assert (report.mended, report.notes) == ((), (f"{file.name} was changed after it was sealed",))


def test_of_several_files_only_the_damaged_one_is_made_anew(life: Life, tmp_path: Path) -> None:
    """And what is lost in the middle is not filled from the next file, nor hides what that one holds."""
    run_dir = copy_of(life, tmp_path, sealed=False)
    writer = reopen_run(run_dir, on_durable=lambda _: None, utc=lambda: START_UTC_S, options=OPTIONS, epoch=6)
    more = [replace(ROWS[0], seq=len(ROWS) + at) for at in range(1, 400)]
    writer.append(more)
    writer.finish(Outcome.FINISHED, "done")
    assert writer.close()
    first, second = (segment_path(run_dir, number) for number in (1, 2))
    was = first.read_bytes()
    harmed(second, 1, zeros, random.Random(1))  # what it says of its run
    harmed(second, second.stat().st_size // PAGE - 2, zeros, random.Random(1))
    report = repaired(run_dir)
    (mended,) = report.mended
    assert (mended.name, mended.tally.run_known, first.read_bytes()) == ("run-2.sqlite", False, was)
    with open_run(run_dir) as reader:
        rows = reader.rows()
    assert rows[: len(ROWS)] == ROWS
    assert {row.seq for row in rows} <= {row.seq for row in [*ROWS, *more]}
    assert len(rows) >= len(ROWS) + len(more) - 140


def test_that_the_disk_failed_a_file_is_kept_with_that_file_and_not_said_of_the_one_made_anew(
    life: Life, tmp_path: Path
) -> None:
    run_dir = copy_of(life, tmp_path, sealed=False)
    path = segment_path(run_dir, 1)
    harmed(path, path.stat().st_size // PAGE - 2, zeros, random.Random(1))
    set_aside(path, "input/output error")
    (mended,) = repaired(run_dir).mended
    assert not is_set_aside(path)
    assert aside_note(mended.kept_as / path.name).read_text() == "input/output error\n"


def test_rows_whose_step_is_lost_are_kept_for_a_person(life: Life, tmp_path: Path) -> None:
    run_dir = copy_of(life, tmp_path, sealed=False)
    path = run_dir / "run.sqlite"
    harmed(path, page_of(run_dir, "contexts"), zeros, random.Random(1))
    report = repaired(run_dir)
    (mended,) = report.mended
    assert len(mended.tally.unplaced) == mended.tally.rows_lost == len(ROWS)
    lines = (mended.kept_as / UNPLACED_FILE).read_text(encoding="utf-8").splitlines()
    assert lines[0] == "seq,time_s,voltage_V,current_A,temperature_degC"
    assert [float(line.split(",")[2]) for line in lines[1:]] == [row.voltage_V for row in ROWS]


@pytest.mark.parametrize("stop", range(1, 9))
def test_a_repair_that_is_cut_short_is_ended_by_the_next(
    life: Life, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Stopped before any of its moves; nothing of the old file is ever without a name."""
    run_dir = copy_of(life, tmp_path, folded=False, sealed=False)
    page = page_of_rows(run_dir / "run.sqlite")
    harmed(run_dir / "run.sqlite", page, zeros, random.Random(1))
    whole = copy_of(life, tmp_path / "whole", folded=False, sealed=False)
    harmed(whole / "run.sqlite", page, zeros, random.Random(1))
    missing = checked(whole, repaired(whole), 0)
    assert 0 < missing < 100
    was = {(run_dir / name).read_bytes() for name in ("run.sqlite", "run.sqlite-wal")}
    moves = 0

    def stopping(real: Callable[..., None]) -> Callable[..., None]:
        def move(*arguments: object, **more: object) -> None:
            nonlocal moves
            moves += 1
            if moves == stop:
                raise KeyboardInterrupt
            real(*arguments, **more)

        return move

    with monkeypatch.context() as patch:
        for place, name in ((os, "link"), (Path, "unlink"), (Path, "replace"), (Path, "mkdir")):
            patch.setattr(place, name, stopping(getattr(place, name)))
        with pytest.raises(KeyboardInterrupt):
            repaired(run_dir)
    assert {path.read_bytes() for path in run_dir.rglob("run.sqlite*") if path.is_file()} >= was
    repaired(run_dir)
    assert repaired(run_dir).mended == ()
    with open_run(run_dir) as reader:
        assert len(reader.rows()) == len(ROWS) - missing
    kept = {path.read_bytes() for path in (run_dir / FOLDER).rglob("run.sqlite*")}
    assert kept >= was
    assert not list(run_dir.glob(f"*{REPAIRED}*"))


def test_a_run_that_is_being_written_or_whole_or_newer_is_left_alone(
    life: Life, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = copy_of(life, tmp_path)
    writer = reopen_run(run_dir, on_durable=lambda _: None, options=OPTIONS)
    with pytest.raises(StoreError, match="another process is writing"):
        repaired(run_dir)
    assert writer.close()
    assert show_repair(run_dir) == 0
    assert "nothing is wrong" in capsys.readouterr().out
    with closing(sqlite3.connect(run_dir / "run.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="use a newer cycler-ctl"):
        repaired(run_dir)


def test_the_rows_of_schema_1_are_salvaged_too(tmp_path: Path) -> None:
    run_dir = tmp_path / RUN
    run_dir.mkdir()
    shutil.copyfile(Path(__file__).with_name("data") / "schema-001.sqlite", run_dir / "run.sqlite")
    with open_run(run_dir) as reader:
        rows, info = reader.rows(), reader.info
    harmed(run_dir / "run.sqlite", 0, zeros, random.Random(1))
    assert repaired(run_dir).mended[0].tally.rows == len(rows)
    with open_run(run_dir) as reader:
        assert (reader.rows(), reader.info, reader.state.outcome) == (rows, info, Outcome.FINISHED)


def changed(path: Path, harm: str) -> None:
    """As a disk would change it: no rule of the schema looks."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        assert connection.execute(harm).rowcount


@pytest.mark.parametrize("where", ["seq = 21", "step_time_s = 0"])
@pytest.mark.parametrize("harm", ["mode = 'cx'", "utc_s = -1", "cycle = 0.5"])
def test_of_schema_1_only_rows_that_make_no_sense_are_lost(tmp_path: Path, harm: str, where: str) -> None:
    """A first row of a step takes no other with it."""
    run_dir = tmp_path / RUN
    run_dir.mkdir()
    path = run_dir / "run.sqlite"
    shutil.copyfile(Path(__file__).with_name("data") / "schema-001.sqlite", path)
    with open_run(run_dir) as reader:
        rows = reader.rows()
    sound = [row for row in rows if (row.seq != 21 if "seq" in where else row.step_time_s != 0)]
    assert 0 < len(rows) - len(sound) < len(rows) / 2
    changed(path, f"UPDATE samples SET {harm} WHERE {where}")  # noqa: S608 - from here
    harmed(path, 0, zeros, random.Random(1))
    tally = repaired(run_dir).mended[0].tally
    assert (tally.rows, tally.rows_lost + len(tally.unplaced)) == (len(sound), len(rows) - len(sound))
    with open_run(run_dir) as reader:
        assert reader.rows() == sound


@pytest.mark.parametrize("harm", ["mark = 'x'", "utc = -5.0", "utc = 1e13", "utc = 'soon'", f"utc = {-(2**62)}"])
def test_a_row_that_makes_no_sense_is_unplaced_and_all_others_stay(life: Life, tmp_path: Path, harm: str) -> None:
    run_dir = copy_of(life, tmp_path, sealed=False)
    with open_run(run_dir) as reader:
        rows = reader.rows()
    changed(run_dir / "run.sqlite", f"UPDATE compact SET {harm} WHERE seq = 100")  # noqa: S608 - from here
    harmed(run_dir / "run.sqlite", 0, zeros, random.Random(1))
    tally = repaired(run_dir).mended[0].tally
    assert [values[0] for values in tally.unplaced] == [100]
    with open_run(run_dir) as reader:
        assert reader.rows() == [row for row in rows if row.seq != 100]


@pytest.mark.parametrize("harm", ["cycle = 'x'", "cycle = 1.5", "step_count = 'x'", "direction = 0.5", "mode = 'cx'"])
def test_a_context_that_makes_no_sense_takes_only_its_rows_with_it(life: Life, tmp_path: Path, harm: str) -> None:
    run_dir = copy_of(life, tmp_path, sealed=False)
    with open_run(run_dir) as reader:
        rows = reader.rows()
    with closing(sqlite3.connect(run_dir / "run.sqlite")) as connection:
        of = {seq for (seq,) in connection.execute("SELECT seq FROM compact WHERE context = 2")}
    changed(run_dir / "run.sqlite", f"UPDATE contexts SET {harm} WHERE id = 2")  # noqa: S608 - from here
    harmed(run_dir / "run.sqlite", 0, zeros, random.Random(1))
    assert {values[0] for values in repaired(run_dir).mended[0].tally.unplaced} == of
    with open_run(run_dir) as reader:
        assert reader.rows() == [row for row in rows if row.seq not in of]
