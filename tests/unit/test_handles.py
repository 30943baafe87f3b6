"""A station of many channels may open what it needs, whatever the shell that started it allows."""

from __future__ import annotations

import subprocess
import sys

import pytest

HELD = """
import resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, min(hard, {hard})))
from cycler_ctl.computer.handles import take_handles
take_handles()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sets no such limit")
@pytest.mark.parametrize("hard", [64, 512])
def test_a_process_takes_all_the_handles_that_it_may_have(hard: int) -> None:
    command = [sys.executable, "-c", HELD.format(hard=hard)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.split() == [str(hard), str(hard)]
