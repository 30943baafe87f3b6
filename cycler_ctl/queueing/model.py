"""What waits on a channel, as data: texts, so that nothing can change between the look and the start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from cycler_ctl.live import QueueStatus
from cycler_ctl.running.start import Order
from protocols.reading.documents import Document


class Entry(BaseModel):
    """One protocol on one cell; ``protocol`` and ``cell`` are the names a person knows them by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    protocol: str
    cell: str
    at_most_s: float | None
    file_name: str
    protocol_text: str
    cell_name: str | None
    cell_text: str | None
    overrides: dict[str, str]
    included: dict[str, str]
    by: str
    added_utc_s: float

    @property
    def title(self) -> str:
        return f"{self.protocol} on {self.cell}"

    def order(self, by: str) -> Order:
        cell = None if self.cell_text is None else Document(self.cell_name or "cell", self.cell_text)
        return Order(Document(self.file_name, self.protocol_text), cell, self.overrides, sent=self.included, by=by)


def entry_of(order: Order, *, id: str, protocol: str, cell: str, at_most_s: float | None, utc_s: float) -> Entry:  # noqa: A002
    return Entry(
        id=id,
        protocol=protocol,
        cell=cell,
        at_most_s=at_most_s,
        file_name=order.protocol.name,
        protocol_text=order.protocol.text,
        cell_name=None if order.cell is None else order.cell.name,
        cell_text=None if order.cell is None else order.cell.text,
        overrides=dict(order.overrides),
        included=dict(order.sent or {}),
        by=order.by,
        added_utc_s=utc_s,
    )


class Taken(BaseModel):
    """On disk before its run begins, so that no entry is ever begun twice."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    entry: str
    run: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A person has said that the cell of this entry, and of no other, is in the channel. In memory only."""

    entry: str
    by: str


@dataclass(frozen=True, slots=True)
class Queue:
    """``held``: why nothing is taken until a person releases it."""

    channel: str
    entries: tuple[Entry, ...] = ()
    held: str | None = None
    taken: Taken | None = None
    ready: Mark | None = None

    @property
    def first(self) -> Entry | None:
        return self.entries[0] if self.entries else None

    def status(self) -> QueueStatus:
        following = None if self.first is None else self.first.title
        return QueueStatus(len(self.entries), following, self.ready is not None, self.held)


Queues = Mapping[str, Queue]
