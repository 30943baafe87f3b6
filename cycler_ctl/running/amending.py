"""A run's protocol with other text for what has not begun yet: checked, planned and armed as for a start, and compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from cycler_ctl.errors import RefusedError
from cycler_ctl.running.order import order_of
from cycler_ctl.running.script import Amendment
from cycler_ctl.running.start import Prepared, Spot, prepare, program_sha256
from cycler_ctl.store.info import RunInfo
from protocols.describing.differences import differences
from protocols.model import Program
from protocols.reading.documents import Document
from protocols.record import JSON, EventKind, EventRecord

ACTION = "amend"
ASKED = ("documents", "order", "program_sha256", "variables")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person sends: the protocol's new text with its includes. ``overrides`` None: as the run was begun with.

    The cell is the run's own. ``run`` None: whichever runs there.
    """

    protocol: Document
    sent: Mapping[str, str]
    overrides: Mapping[str, str] | None
    by: str
    run: str | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What would be done, for the person who confirms it. ``of`` names the program it was compared with."""

    amendment: Amendment
    prepared: Prepared
    changes: tuple[str, ...]
    of: str


def look(wanted: Wanted, running: RunInfo, program: Program, spot: Spot, utc_s: float) -> Looked:
    """ConfigError: the text is wrong. RefusedError: not on this channel, or it changes nothing."""
    before = order_of(running, wanted.by)
    overrides = before.overrides if wanted.overrides is None else wanted.overrides
    order = replace(before, protocol=wanted.protocol, sent=wanted.sent, overrides=overrides)
    prepared = prepare(order, spot, utc_s, running.run)
    changes = differences(program, prepared.program)
    if not changes:
        raise RefusedError("this protocol does nothing else than the one that is running")
    amendment = Amendment(program, prepared.program, prepared.ceilings, wanted.by, _data(running, prepared, changes))
    return Looked(amendment, prepared, changes, program_sha256(program))


def _data(running: RunInfo, prepared: Prepared, changes: tuple[str, ...]) -> dict[str, JSON]:
    """For the run's record: both texts, and all it takes to go on with the new one after a restart."""
    info = prepared.info
    asked: dict[str, JSON] = {name: info.settings[name] for name in ASKED}
    return {
        "changes": list(changes),
        "replaced_text": running.protocol_text,
        "replaced_sha256": running.protocol_sha256,
        "protocol_text": info.protocol_text,
        "protocol_sha256": info.protocol_sha256,
        "plan": info.plan,
        **asked,
    }


def newest_info(info: RunInfo, events: Iterable[EventRecord]) -> RunInfo:
    """The run's facts with the texts of its last amendment, if it had any."""
    for event in events:
        if event.kind is EventKind.OPERATOR and event.data.get("action") == ACTION:
            info = amended_info(info, event.data)
    return info


def amended_info(info: RunInfo, data: Mapping[str, JSON]) -> RunInfo:
    plan = data["plan"]
    return replace(
        info,
        protocol_text=str(data["protocol_text"]),
        protocol_sha256=str(data["protocol_sha256"]),
        plan=plan if isinstance(plan, Mapping) else info.plan,
        settings={**info.settings, **{name: data[name] for name in ASKED}},
    )
