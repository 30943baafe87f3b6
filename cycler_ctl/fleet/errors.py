"""What can go wrong between a broker and the database."""

from __future__ import annotations

from cycler_ctl.errors import CyclerError


class HistorianError(CyclerError):
    """The collector cannot work; the message says why and what to do."""


class SourceError(CyclerError):
    """The broker does not answer or does not let us in; to be tried again."""
