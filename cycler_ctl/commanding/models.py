"""The shape of the messages about commands, for schemas and for tests of real traffic; requests are in ``request.py``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cycler_ctl.commanding.request import RequestMessage, Why
from cycler_ctl.live import ChannelState

Iso = Annotated[str, Field(description="ISO 8601, UTC", examples=["2026-11-22T10:15:00.000Z"])]
__all__ = ["ArmedMessage", "NonceMessage", "ReplyMessage", "RequestMessage"]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ArmedMessage(_Message):
    """What somebody at the station left ready to be started once."""

    order: str = Field(description="the sha256 that start must name")
    protocol: str
    cell: str | None
    by: str
    until: Iso


class NonceMessage(_Message):
    """Retained. What a command for this channel must quote; said again whenever any of it changes."""

    v: Literal[1]
    channel: str
    nonce: str
    state_version: str
    state: ChannelState
    run: str | None
    step: str | None
    armed: ArmedMessage | None
    only_stop: str = Field(description="why nothing but stop is taken now, or empty")
    published_at: Iso
    expires_at: Iso = Field(description="when there is another nonce")


class ReplyMessage(_Message):
    """On ``reply/<client>``, one for each signed command, when it is over."""

    v: Literal[1]
    cmd_id: str | None
    channel: str
    action: str | None
    outcome: Literal["done", "refused", "failed"] = Field(
        description="failed: the instrument did not do it; with stop, the output may still be on"
    )
    why: Why | None = Field(description="for programs; null where it was done")
    reason: str
    run: str | None = Field(description="the run that was started")
    at: Iso
