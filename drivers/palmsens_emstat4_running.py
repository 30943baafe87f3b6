"""What is known of the script that runs on an EmStat4, and which of its answers belong to which question."""

from __future__ import annotations

from dataclasses import dataclass

from cycler_ctl.errors import BadReply
from drivers.palmsens_emstat4_script import Plan, Report

CLOCKS_DIFFER = 1e-3  # the instrument's and ours, at most
LATE_S, SINGLE = 0.02, 2.0**-22  # what an answer's own time may be off by: handling, and single precision of the time


@dataclass(slots=True)
class Running:
    """The script that runs: what for, how it is known, and how far it has been heard.

    ``offset_s``: our time less its own when an answer came, at the least that was seen.
    """

    plan: Plan
    identity: int
    count: int
    offset_s: float
    at_s: float

    def accept(self, report: Report, raw: bytes, asked_s: float, at_s: float) -> None:
        """BadReply unless this was told by this script after the question: a late answer carries an earlier time."""
        if report.script != self.identity:
            raise BadReply("Y", raw, "told by another script")
        reach_s = self.offset_s + CLOCKS_DIFFER * (at_s - self.at_s) + LATE_S + SINGLE * report.time_s + report.step_s
        if report.count <= self.count or report.time_s + reach_s < asked_s:
            raise BadReply("Y", raw, "the answer to an earlier question")
        self.count = report.count
        self.offset_s = min(at_s - report.time_s, self.offset_s + CLOCKS_DIFFER * (at_s - self.at_s))
        self.at_s = at_s
