"""What needs a person, in a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from cycler_ctl.running.start import who
from cycler_ctl.terminal.client import Answer, client_of
from cycler_ctl.terminal.folding import columns, folded


def show_alarms(config: Path | None, *, as_json: bool) -> int:
    found = client_of(config).list("/api/v1/alarms")
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    active = [one for one in found if one["cleared_utc_s"] is None]
    over = [one for one in found if one["cleared_utc_s"] is not None]
    lines = [*alarm_lines(active, columns()), *(f"over: {one['what']}" for one in over)]
    sys.stdout.writelines(f"{line}\n" for line in lines or ["no alarm"])
    return 0


def short_lines(alarms: Sequence[Answer], width: int | None) -> list[str]:
    """One each for those that are not over; 'cycler-ctl alarms' tells what to do."""
    active = [one for one in alarms if one["cleared_utc_s"] is None]
    lines = [folded(f"{one['severity']}: {one['what']}", width) for one in active]
    return [*lines, "what to do: 'cycler-ctl alarms'"] if active else []


def acknowledge_alarm(name: str, config: Path | None) -> int:
    seen = client_of(config).post(f"/api/v1/alarms/{name}/acknowledge", {"by": who()})
    sys.stderr.write(f"{name}: seen by {seen['acknowledged_by']}, not repeated; it lasts until it is over\n")
    return 0


def alarm_lines(alarms: Sequence[Answer], width: int | None) -> list[str]:
    """Each with what to do, and its id for whoever acknowledges it."""
    return [line for one in alarms for line in _lines(one, width)]


def _lines(alarm: Answer, width: int | None) -> Iterable[str]:
    by = alarm["acknowledged_by"]
    since = datetime.fromtimestamp(float(str(alarm["since_utc_s"]))).astimezone().strftime("%Y-%m-%d %H:%M")
    yield folded(f"{str(alarm['severity']).upper()}  {alarm['what']}", width)
    yield folded(f"    {alarm['action']}", width)
    if alarm["detail"]:
        yield folded(f"    {alarm['detail']}", width)
    yield folded(f"    {alarm['id']}, since {since}" + (f", seen by {by}" if by else ""), width)
