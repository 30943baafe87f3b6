"""What the station listens to: who needs rows again, who keeps how many, and alarms of its own that are long over.

It is a stranger's word: small, exactly of the published shape, and nothing that is done upon it reaches a channel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from cycler_ctl.publish.again import Wanted
from cycler_ctl.publish.cursors import Confirmed
from cycler_ctl.publish.models import Need, NeedRuns, SinkReport
from cycler_ctl.publish.topics import Topics

_BYTES = 4096
Shape = TypeVar("Shape", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class OwnAlarm:
    """A broker keeps this alarm; ours, perhaps of an earlier life."""

    topic: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A reader wants to know which runs there are after this one."""

    after: str


Heard = Wanted | Asked | Confirmed | OwnAlarm


def subscriptions(topics: Topics) -> list[tuple[str, int]]:
    """Topic and quality of service."""
    return [(topics.need, 1), (f"{topics.base}/sink/+", 1), (f"{topics.base}/alarm/+", 0)]


def heard(topics: Topics, topic: str, payload: bytes, *, retain: bool) -> Heard | None:
    """None: nothing to do, or not of the published shape."""
    if topic.startswith(f"{topics.base}/alarm/"):
        return OwnAlarm(topic) if payload else None
    if topic == topics.need:
        need = None if retain else _read(Need, payload)  # a kept question is an old one
        if need is None:
            asked = None if retain else _read(NeedRuns, payload)
            return None if asked is None else Asked(asked.after)
        return Wanted(need.run, need.epoch, need.from_seq, need.to_seq, need.client)
    said = _read(SinkReport, payload)
    if said is None or topic != topics.sink(said.client):
        return None
    return Confirmed(said.client, said.run, said.epoch, said.seq, said.at)


def _read(shape: type[Shape], payload: bytes) -> Shape | None:
    if len(payload) > _BYTES:
        return None
    try:
        return shape.model_validate_json(payload, strict=True)
    except ValidationError:
        return None
