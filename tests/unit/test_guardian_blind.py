"""A guardian that can read neither the register nor the list of instruments knows of no output that it is off."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycler_ctl.guardian import Guardian
from cycler_ctl.watching.register import ENTRIES_FILE, REGISTER_FILE


@pytest.mark.parametrize("entries", ["{", None])
async def test_where_nobody_can_read_what_is_on_nothing_is_said_to_be_off_and_nothing_is_forgotten(
    entries: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / REGISTER_FILE).write_text("{", encoding="utf-8")
    if entries is not None:
        (tmp_path / ENTRIES_FILE).write_text(entries, encoding="utf-8")
    guardian = Guardian(["station"], tmp_path, None)
    assert not await guardian._all_off()
    assert (tmp_path / REGISTER_FILE).read_text(encoding="utf-8") == "{"
    assert "cannot be read" in capsys.readouterr().err


async def test_a_register_of_nothing_means_that_everything_is_off(tmp_path: Path) -> None:
    assert await Guardian(["station"], tmp_path, None)._all_off()
