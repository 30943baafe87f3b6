"""Which modules are changed, and the tests that must notice: fast ones, without processes where there are such."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """``functions``: only these of the module, where not all of it is meant."""

    tests: tuple[str, ...]
    functions: tuple[str, ...] = ()


GUARD = (
    "tests/unit/test_guard_boundaries.py",
    "tests/unit/test_guard.py",
    "tests/unit/test_guard_edges.py",
    "tests/unit/test_guard_hold.py",
)
ARMING = ("tests/unit/test_arming_boundaries.py", "tests/unit/test_arming.py", "tests/unit/test_start.py")
ARMS = "tests/unit/test_runner_arms.py"
LOOK = ("tests/unit/test_look.py", "tests/unit/test_at_rest.py", "tests/unit/test_cellcheck.py", ARMS)
ARM_SEQUENCE = tuple(
    f"Runner.{name}"
    for name in ("_start", "_go_on", "_resume", "_look", "_begin", "_apply", "_read_at_rest", "_hold_back", "_turn_off")
)
"""Every way to an output that is on, and off again where that is refused."""
TARGETS: Mapping[str, Target] = {
    "cycler_ctl/guard.py": Target(GUARD),
    "cycler_ctl/guarding/limits.py": Target(GUARD),
    "cycler_ctl/guarding/hold.py": Target(GUARD),
    "cycler_ctl/guarding/edges.py": Target(GUARD),
    "cycler_ctl/guarding/stuck.py": Target(GUARD),
    "cycler_ctl/guarding/temperature.py": Target(GUARD),
    "cycler_ctl/guarding/for_a_run.py": Target(ARMING),
    "cycler_ctl/guarding/losses.py": Target(("tests/unit/test_lost_readings.py", "tests/unit/test_losses.py")),
    "cycler_ctl/guarding/beyond.py": Target(("tests/unit/test_beyond.py", ARMS)),
    "cycler_ctl/guarding/watched.py": Target(("tests/unit/test_watched.py",)),
    "cycler_ctl/running/arming.py": Target(ARMING),
    "cycler_ctl/running/cellcheck.py": Target(LOOK),
    "cycler_ctl/running/output.py": Target(("tests/unit/test_output.py",)),
    "cycler_ctl/running/paused.py": Target(("tests/unit/test_paused.py",)),
    "cycler_ctl/running/escalation.py": Target(("tests/unit/test_chase.py",)),
    "cycler_ctl/guardian.py": Target(("tests/unit/test_guarding.py", "tests/unit/test_guardian_blind.py")),
    "cycler_ctl/runner.py": Target((ARMS,), ARM_SEQUENCE),
    "cycler_ctl/channels/switches.py": Target(("tests/unit/test_losses.py", ARMS)),
    "cycler_ctl/watching/safeoff.py": Target(("tests/unit/test_safeoff_tries.py",)),
    "cycler_ctl/watching/latch.py": Target(("tests/unit/test_latch.py",)),
    "cycler_ctl/watching/lease.py": Target(("tests/unit/test_lease.py",)),
    "cycler_ctl/watching/register.py": Target(("tests/unit/test_register.py", "tests/unit/test_lease.py")),
}
