"""What is compared with other programs is really done: every sample is guarded, decided on and a durable row."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import ours
from cycler_ctl.store.reader import open_run

SAMPLES = 30


@pytest.mark.parametrize("way", ["parts", "service"])
async def test_each_sample_of_the_comparison_with_peers_is_a_durable_row(way: str, tmp_path: Path) -> None:
    cost = await ours.main(way, str(tmp_path), str(SAMPLES))
    assert cost.cpu_us > 0
    (run_dir,) = (tmp_path / "runs").iterdir()
    with open_run(run_dir) as reader:
        rows = reader.rows()
    assert len(rows) >= SAMPLES
    assert len({row.voltage_V for row in rows}) >= SAMPLES
    assert all(3.69 < row.voltage_V < 3.8 for row in rows)
    assert rows[-1].run_total.oxidation_Ah == pytest.approx(1e-5 * rows[-1].time_s / 3600, rel=0.01)
