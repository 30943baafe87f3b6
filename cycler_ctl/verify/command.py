"""``cycler-ctl verify``: the check under a guardian, and its result for people or as JSON."""

from __future__ import annotations

import json
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from cycler_ctl.config import find_config, load_config
from cycler_ctl.errors import ConfigError
from cycler_ctl.guardian import run_guardian
from cycler_ctl.terminal.folding import columns, fitted
from cycler_ctl.terminal.safe_off import entries_of
from cycler_ctl.terminal.service import FAILED, USAGE
from cycler_ctl.verify.judge import Row
from cycler_ctl.verify.ledger import Verification, last_verification, path_of, verification_json
from cycler_ctl.verify.points import parse_resistor

DONE = 0


@dataclass(frozen=True, slots=True)
class Wanted:
    channel: str
    resistor: str
    tolerance: str


def verify_channel(wanted: Wanted, config_path: Path | None, *, as_json: bool) -> int:
    """0: every error is inside what the maker states; 1: one is not, or it was refused; 4: off is not confirmed."""
    resistor = parse_resistor(wanted.resistor, wanted.tolerance)
    path = find_config(config_path).resolve()
    config = load_config(path)
    if wanted.channel not in config.channels:
        raise ConfigError(f"no channel {wanted.channel!r} in {path}: there are {', '.join(sorted(config.channels))}")
    mark, data_dir = secrets.token_hex(8), config.station.data_dir
    command = [
        sys.executable, "-P", "-m", "cycler_ctl.verify.process", "--config", str(path), "--channel", wanted.channel,
        "--ohm", repr(resistor.resistance_ohm), "--tolerance", repr(resistor.tolerance), "--mark", mark,
    ]  # fmt: skip
    status = run_guardian(command, data_dir=data_dir, entries=entries_of(config))
    if status:
        return FAILED if status == USAGE else status
    made = last_verification(data_dir, wanted.channel)
    if made is None or made.mark != mark:
        return FAILED
    told = fitted(render(made, str(path_of(data_dir, wanted.channel))), columns())
    text = json.dumps(verification_json(made)) if as_json else told
    sys.stdout.write(text + "\n")
    return DONE if made.passed else FAILED


def render(made: Verification, stored: str) -> str:
    identity = made.identity
    head = (
        f"channel {made.channel}: output {made.output} of {identity.model}, serial number {identity.serial}, "
        f"against {made.resistor_ohm:.6g} ohm ({made.tolerance * 100:.3g} %)"
    )
    verdict = "PASSED" if made.passed else "FAILED"
    worst = f"the largest error is {made.worst * 100:.0f} % of what the stated accuracy allows"
    return "\n".join((head, _header(), *map(_line, made.rows), f"{verdict}: {worst}", f"stored in {stored}"))


def _header() -> str:
    return f"{'':20}{'expected':>14}{'found':>14}{'error':>12}{'allowed':>12}"


def _line(row: Row) -> str:
    numbers = f"{_amount(row.set, row.unit):>14}{_amount(row.found, row.unit):>14}"
    errors = f"{_amount(row.error, row.unit, 3):>12}{_amount(row.allowed, row.unit, 3):>12}"
    return f"{row.what:20}{numbers}{errors}  {'pass' if row.passed else 'FAIL'}"


def _amount(value: float, unit: str, digits: int = 5) -> str:
    for factor, prefix in ((1.0, ""), (1e3, "m"), (1e6, "u")):
        if abs(value) * factor >= 1:
            return f"{value * factor:.{digits}g} {prefix}{unit}"
    return f"{value * 1e9:.{digits}g} n{unit}"
