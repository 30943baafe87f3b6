"""The alarms of a channel: what happened to its cell, and whether current may flow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cycler_ctl.alarms.model import Alarm, Severity
from cycler_ctl.alarms.words import one_line
from cycler_ctl.live import ChannelState, ChannelStatus

CELL_LETTERS = 48
ACTIVE = frozenset({ChannelState.RUNNING, ChannelState.PAUSED})
LOOK = "Look at the cell, then 'cycler-ctl acknowledge {channel}'."


@dataclass(frozen=True, slots=True)
class Said:
    severity: Severity
    words: str
    action: str


BY_STATE = {
    ChannelState.CANNOT_DEENERGISE: Said(
        Severity.EMERGENCY,
        "CANNOT BE SWITCHED OFF",
        "Disconnect the cell by hand now, or switch {instrument} off at its panel. The service goes on trying.",
    ),
    ChannelState.TRIPPED: Said(Severity.ALARM, "a safety limit ended the run", LOOK),
    ChannelState.FAULTED: Said(Severity.ALARM, "a fault ended the run", LOOK),
    ChannelState.INTERRUPTED: Said(
        Severity.ALARM,
        "the run was interrupted and waits for you",
        "Look at the cell, then 'cycler-ctl resume {channel}' goes on where it stopped, or "
        "'cycler-ctl acknowledge {channel}' ends it.",
    ),
}
OUT_OF_TOUCH = Said(
    Severity.EMERGENCY,
    "{instrument} does not answer during the run",
    "Look at {instrument} and its cable. If its output is on, disconnect the cell or switch it off at its panel.",
)
HELD_BACK = Said(Severity.ALARM, "the run waits", "Mend what it waits for, then 'cycler-ctl resume {channel}'.")


def of_channel(status: ChannelStatus, link: str) -> Iterator[Alarm]:
    """``link`` is that of its instrument."""
    if status.state in BY_STATE:
        yield made("channel", status.state.value, BY_STATE[status.state], status)
    elif status.state in ACTIVE and link != "connected" and status.energised is not False:
        yield made("contact", "contact_lost", OUT_OF_TOUCH, status)
    elif status.state is ChannelState.PAUSED and status.reason:
        yield made("channel", "held_back", HELD_BACK, status)


def made(prefix: str, kind: str, said: Said, status: ChannelStatus) -> Alarm:
    names = {"channel": status.channel, "instrument": status.instrument}
    return Alarm(
        id=f"{prefix}-{status.channel}",
        severity=said.severity,
        kind=kind,
        what=f"{headed(status)}: {said.words.format(**names)}; {flows(status)}",
        action=said.action.format(**names),
        since_utc_s=status.since_utc_s,
        detail=status.reason,
        channel=status.channel,
        instrument=status.instrument,
        run=status.run,
        cell=None if status.cell is None else one_line(status.cell, CELL_LETTERS),
        energised=status.energised,
    )


def headed(status: ChannelStatus) -> str:
    return status.channel if status.cell is None else f"{status.channel}, {one_line(status.cell, CELL_LETTERS)}"


def flows(status: ChannelStatus) -> str:
    """Off is said only when it was read back."""
    told = f" (last told: {status.doing})" if status.doing else ""
    if status.energised is False:
        return "the output is off, read back"
    if status.energised is None:
        return f"current MAY FLOW, nobody can know{told}"
    return f"the output is ON{told}"
