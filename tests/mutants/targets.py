"""Which modules are changed, and the tests that must notice: fast ones, without processes where there are such."""

from __future__ import annotations

from collections.abc import Mapping

GUARD = (
    "tests/unit/test_guard_boundaries.py",
    "tests/unit/test_guard.py",
    "tests/unit/test_guard_edges.py",
    "tests/unit/test_guard_hold.py",
)
ARMING = ("tests/unit/test_arming_boundaries.py", "tests/unit/test_arming.py", "tests/unit/test_start.py")
TARGETS: Mapping[str, tuple[str, ...]] = {
    "cycler_ctl/guard.py": GUARD,
    "cycler_ctl/guarding/limits.py": GUARD,
    "cycler_ctl/guarding/hold.py": GUARD,
    "cycler_ctl/guarding/edges.py": GUARD,
    "cycler_ctl/guarding/stuck.py": GUARD,
    "cycler_ctl/guarding/temperature.py": GUARD,
    "cycler_ctl/running/arming.py": ARMING,
    "cycler_ctl/guarding/for_a_run.py": ARMING,
    "cycler_ctl/running/cellcheck.py": ("tests/unit/test_at_rest.py", "tests/unit/test_cellcheck.py"),
    "cycler_ctl/running/output.py": ("tests/unit/test_output.py",),
    "cycler_ctl/running/escalation.py": ("tests/unit/test_chase.py",),
    "cycler_ctl/guardian.py": ("tests/unit/test_guarding.py", "tests/unit/test_guardian_blind.py"),
    "cycler_ctl/runner.py": ("tests/unit/test_runner_arms.py",),
    "cycler_ctl/watching/safeoff.py": ("tests/unit/test_safeoff_tries.py",),
    "cycler_ctl/watching/lease.py": ("tests/unit/test_lease.py",),
    "cycler_ctl/watching/register.py": ("tests/unit/test_register.py", "tests/unit/test_lease.py"),
}
