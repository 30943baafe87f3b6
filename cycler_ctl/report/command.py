"""``cycler-ctl report RUN``: of a run's folder, its id, or a bundle."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from cycler_ctl.errors import StoreError
from cycler_ctl.report.facts import Facts, gather
from cycler_ctl.report.page import json_text, report_html, report_json, report_text
from cycler_ctl.report.sections import Section
from cycler_ctl.store.export.atomic import Overwriting, free_path, whole_file
from cycler_ctl.store.export.bundle import unpack_run, verify_bundle
from cycler_ctl.store.reader import open_run
from cycler_ctl.terminal.folding import columns, fitted
from cycler_ctl.terminal.progress import progress
from protocols.record import JSON


def show_report(
    run: Path,
    out: Path | None,
    *,
    html: bool,
    json_wanted: bool,
    overwriting: Overwriting = Overwriting.REFUSED,
) -> int:
    """1 where rows are missing or not as sealed, their times disagree, a bundle was changed, or the protocol is not its hash."""
    if out is not None:
        free_path(out, overwriting)
    with progress(wanted=not json_wanted) as tell, run_folder(run) as folder, open_run(folder) as reader:
        facts = gather(reader, tell)
    changed = verify_bundle(run) if run.suffix == ".zip" else None
    ending = "" if out is None else out.suffix
    html, json_wanted = html or ending == ".html", json_wanted or ending == ".json"
    page = _page(facts, changed, html=html, json_wanted=json_wanted)
    if out is None:
        sys.stdout.write(page if html or json_wanted else fitted(page.removesuffix("\n"), columns()) + "\n")
    else:
        _write(out, page)
    sound = facts.protocol_is_its_hash and not (facts.scan.missing or facts.clocks_untold or facts.seal_trouble)
    return 0 if sound and not changed else 1


@contextmanager
def run_folder(run: Path) -> Generator[Path]:
    """Where a run's files are; those of a bundle for as long as the block lasts."""
    if run.suffix != ".zip":
        yield run
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        yield unpack_run(run, Path(name))


def _page(facts: Facts, changed: list[str] | None, *, html: bool, json_wanted: bool) -> str:
    if json_wanted:
        more: dict[str, JSON] = {} if changed is None else {"bundle_changed": [*changed]}
        return json_text(report_json(facts) | more)
    section = None if changed is None else _bundle(changed)
    return report_html(facts, section) if html else report_text(facts, section)


def _bundle(changed: list[str]) -> Section:
    if not changed:
        return Section("Bundle", (("checksums", "every file is as it was written (SHA256SUMS)"),))
    return Section("Bundle", tuple(("CHANGED", name) for name in changed))


def _write(out: Path, page: str) -> None:
    try:
        with whole_file(out) as file:
            file.write(page)
    except OSError as error:
        raise StoreError(f"{out} cannot be written: {error.strerror}") from error
    sys.stdout.write(f"{out}\n")
