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
    "cycler_ctl/guard_limits.py": GUARD,
    "cycler_ctl/guard_hold.py": GUARD,
    "cycler_ctl/guard_edges.py": GUARD,
    "cycler_ctl/guard_stuck.py": GUARD,
    "cycler_ctl/guard_temperature.py": GUARD,
    "cycler_ctl/arming.py": ARMING,
    "cycler_ctl/arming_guard.py": ARMING,
    "cycler_ctl/cellcheck.py": ("tests/unit/test_at_rest.py", "tests/unit/test_cellcheck.py"),
    "cycler_ctl/output.py": ("tests/unit/test_output.py",),
    "cycler_ctl/escalation.py": ("tests/unit/test_chase.py",),
    "cycler_ctl/guardian.py": ("tests/unit/test_guarding.py", "tests/unit/test_guardian_blind.py"),
    "cycler_ctl/runner.py": ("tests/unit/test_runner_arms.py",),
    "cycler_ctl/safeoff.py": ("tests/unit/test_safeoff_tries.py",),
    "cycler_ctl/lease.py": ("tests/unit/test_lease.py",),
    "cycler_ctl/register.py": ("tests/unit/test_register.py", "tests/unit/test_lease.py"),
}
