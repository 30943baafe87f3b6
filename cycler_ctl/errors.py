"""The exception tree. A cut-off or a trip is not an exception; it is an outcome in the record.

::

    CyclerError
    ├── ConfigError            station.toml, options, addresses: the user can mend it
    ├── RefusedError           a start or an action that must not happen now
    ├── InstrumentError
    │   ├── LinkError
    │   │   ├── LinkTimeout    no whole answer in time: the link is out of step until cleared and identified
    │   │   │   └── AnsweredLate   it came, but this computer stood still meanwhile: how old it is nobody knows
    │   │   └── LinkClosed     the other side is gone
    │   ├── BadReply           an answer that is not one: garbled, out of range
    │   │   └── Overflow       beyond what the instrument can measure, or no number at all by its own word
    │   └── DeviceFault        the instrument reports an error or did not do as told
    │       └── NotAsLeft      it was reset, lost its power, or somebody was at its front panel
    └── StoreError             what should be on disk is not
"""


class CyclerError(Exception):
    """Anything this program says to a person in one message."""


def leaves(group: BaseExceptionGroup[CyclerError]) -> list[BaseException]:
    """The errors in a group of groups."""
    found: list[BaseException] = []
    for error in group.exceptions:
        found += leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


class ConfigError(CyclerError):
    """A setting is missing, wrong or unsafe; the message says where."""


class RefusedError(CyclerError):
    """The action is not allowed now; the message says why and what to do."""


class TooSoonError(RefusedError):
    """Nothing is against it but the time: after ``wait_s`` it is allowed."""

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class InstrumentError(CyclerError):
    """Something is wrong between us and the output terminals."""


class LinkError(InstrumentError):
    """The wire failed."""


class LinkTimeout(LinkError):  # noqa: N818 - named for what happened, as users read it
    """No whole answer came in time."""


class AnsweredLate(LinkTimeout):
    """The answer lay in this computer, which did not look at it in time; the instrument is there."""


class LinkClosed(LinkError):  # noqa: N818
    """The connection is closed or the port is gone."""


class BadReply(InstrumentError):  # noqa: N818
    """``query`` was answered by ``raw``, which is not a valid answer to it."""

    def __init__(self, query: str, raw: bytes, why: str = "not a valid answer") -> None:
        super().__init__(f"{query!r} answered {raw[:256]!r}: {why}")
        self.query = query
        self.raw = raw
        self.why = why


class Overflow(BadReply):
    """The instrument itself says that there is no value: beyond its range, infinite or not a number."""


class DeviceFault(InstrumentError):  # noqa: N818
    """The instrument refused, ignored or failed a command."""


class NotAsLeft(DeviceFault):
    """The instrument is not as we left it; what is wrong is past, and a person may go on when they have looked."""


class StoreError(CyclerError):
    """A record could not be made durable."""
