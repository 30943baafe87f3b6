"""One protocol on several channels: what people write, and that a channel is never meant twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycler_ctl.errors import ConfigError
from cycler_ctl.terminal.starting_many import Target, targets_of


def test_channels_are_named_with_their_cells_or_without() -> None:
    found = targets_of(["a1=cells/one.yaml", "a2"], None, None)
    assert found == [Target("a1", Path("cells/one.yaml")), Target("a2", None)]
    assert targets_of(["a1"], None, Path("one.yaml")) == [Target("a1", Path("one.yaml"))]


def test_a_list_is_what_a_spreadsheet_saves_and_its_cells_are_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "monday.csv"
    file.write_text("\ufeffchannel,cell\r\na1,one.yaml\r\n# the oven is full\r\n\r\na2,\r\n", encoding="utf-8")
    assert targets_of([], file, None) == [Target("a1", tmp_path / "one.yaml"), Target("a2", None)]


@pytest.mark.parametrize(
    ("channels", "listed", "cell", "why"),
    [
        (["a1", "a1=x.yaml"], None, None, "a1 is named twice"),
        (["a1"], "a1,x.yaml\n", None, "a1 is named twice"),
        ([], None, None, "name a channel"),
        (["a1", "a2"], None, Path("x.yaml"), "--cell is for one channel"),
        (["a1=y.yaml"], None, Path("x.yaml"), "--cell is for one channel"),
        ([], "a1,x.yaml,more\n", None, "list.csv:1: write channel,cell"),
    ],
)
def test_what_could_mean_two_things_is_refused(
    tmp_path: Path, channels: list[str], listed: str | None, cell: Path | None, why: str
) -> None:
    file = None if listed is None else tmp_path / "list.csv"
    if file is not None:
        file.write_text(listed or "")
    with pytest.raises(ConfigError, match=why):
        targets_of(channels, file, cell)


def test_a_list_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        targets_of([], tmp_path / "none.csv", None)
