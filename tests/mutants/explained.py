"""Changes that no test can notice, each with the reason: they change nothing that anybody could see."""

from __future__ import annotations

from collections.abc import Mapping

CELLCHECK, GUARD, HOLD = "cycler_ctl/running/cellcheck.py", "cycler_ctl/guard.py", "cycler_ctl/guarding/hold.py"
BEYOND, NO_CURRENT = "cycler_ctl/guarding/beyond.py", "a current of 0 A waits for nothing and never comes here"
WARMTH = "cycler_ctl/guarding/temperature.py"
IN_STEP = "edge_V = (low_V + AT_EDGE_V if direction < 0 else -inf, high_V - AT_EDGE_V if direction > 0 else inf)"
NO_DIRECTION = "without a direction nobody looks at the edge"

EXPLAINED: Mapping[tuple[str, str, str], str] = {
    (
        "cycler_ctl/running/arming.py",
        "if isinstance(step, HoldStep) and not step.current_limit_A <= hold_limit_A:",
        "LtE -> Lt",
    ): "a limit that is the channel's is replaced by itself",
    (
        "cycler_ctl/guarding/for_a_run.py",
        "edge_V = high_V - BEYOND_CUTOFF_V if step.current_A > 0 else low_V + BEYOND_CUTOFF_V",
        "Gt -> GtE",
    ): "a step of 0 A is a rest, and nothing else can be written",
    (BEYOND, "return high_V - voltage_V if setpoint.current_A > 0 else voltage_V - low_V", "Gt -> GtE"): NO_CURRENT,
    (BEYOND, "edge_V = setpoint.window_V[1 if setpoint.current_A > 0 else 0]", "Gt -> GtE"): NO_CURRENT,
    (CELLCHECK, "rested_s = 0.0 if state.live.seen is None else state.live.seen.time_s", "0.0 -> 1.0"): (
        "a rest of one second is as far from an hour as none"
    ),
    (CELLCHECK, "back = 0 if last.pull is None else -last.pull", "0 -> 1"): (
        "where the pull is not known the window is wide on both sides whatever this says"
    ),
    (
        "cycler_ctl/channels/switches.py",
        "self._steps_s: deque[float] = deque(maxlen=SWITCHES + 1)",
        "1 -> 2",
    ): "seven within a minute are too many already",
    (GUARD, IN_STEP, "Lt -> LtE"): NO_DIRECTION,
    (GUARD, IN_STEP, "0 -> 1"): NO_DIRECTION,
    (GUARD, IN_STEP, "Gt -> GtE"): NO_DIRECTION,
    (GUARD, "low_A: float = 0.0", "0.0 -> 1.0"): "looked at only where there is a direction, and then it is given",
    (GUARD, "open_A: float = 0.0", "0.0 -> 1.0"): "looked at only where there is a direction, and then it is given",
    (GUARD, "edge_V: Window = (-inf, inf)", "- dropped from -inf"): NO_DIRECTION,
    (GUARD, "if not step.direction or along_A >= step.low_A:", "Or -> And"): (
        "without a direction the current along it is 0, which is not less than 0"
    ),
    (GUARD, "if reading.current_A * step.direction <= -step.low_A:", "Mult -> Div"): (
        "what has no direction and comes here has too much current, which was told before; the others' is 1 or -1"
    ),
    ("cycler_ctl/guardian.py", "return Ending.LAPSED", "returns None"): "what is neither of the other two is this",
    ("cycler_ctl/guardian.py", "with FileLock(data_dir / LOCK_FILE, timeout=0):", "0 -> 1"): (
        "a second guardian gives way a second later; within one thread FileLock does not even wait"
    ),
    ("cycler_ctl/guardian.py", "data_dir.mkdir(parents=True, exist_ok=True)", "statement left out"): (
        "today's FileLock makes the folder too"
    ),
    (
        "cycler_ctl/guardian.py",
        "while station.stdout is not None and (more := await station.stdout.read(4096)):",
        "4096 -> 4097",
    ): "however much is read at once, lines are put together",
    (
        HOLD,
        "towards_A = reading.current_A if reading.voltage_V < setpoint.voltage_V else -reading.current_A",
        "Lt -> LtE",
    ): ("a voltage that is the one to be held never comes here"),
    (
        "cycler_ctl/watching/lease.py",
        "more = os.read(fd, 64)",
        "64 -> 65",
    ): "however much is read at once, its end is looked at",
    (
        "cycler_ctl/guarding/watched.py",
        'self._step = (0, "")  # its number in the run, and its name, which is the same in every pass of a repeat',
        "0 -> 1",
    ): "every step has a name, so none is taken for this one",
    (WARMTH, "same_since_s: float = 0.0", "0.0 -> 1.0"): "the first value sets it before it is looked at",
}
"""(file, text of the line, what was changed) -> why it is no other program."""
