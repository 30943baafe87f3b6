"""One bench and one lab for a test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lab import Bench, Lab, end, make_lab, open_bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """One 2400 with cell c on TCP, and an oven."""
    with open_bench(tmp_path) as opened:
        yield opened


@pytest.fixture
def lab(tmp_path: Path, bench: Bench) -> Iterator[Lab]:
    """Whatever was killed in a test, the cell was never treated as no host may."""
    made = make_lab(tmp_path, bench)
    yield made
    abuse = bench.truth()["abuse"]
    end(made)  # and the bench with it
    assert abuse == []
