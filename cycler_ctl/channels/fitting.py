"""A prepared run connected to its channel's instrument, guard and record."""

from __future__ import annotations

from cycler_ctl.channels.sensing import Sensing
from cycler_ctl.channels.slot import Slot
from cycler_ctl.clock import Clock
from cycler_ctl.running.fittings import Fittings
from cycler_ctl.running.start import Prepared
from cycler_ctl.store.writer import RunWriter
from cycler_ctl.watching.lease import Lease


def fittings_of(
    slot: Slot, prepared: Prepared, recorder: RunWriter, *, clock: Clock, lease: Lease, sensing: Sensing
) -> Fittings:
    instrument, sensor = slot.host.connected(), slot.settings.temperature
    return Fittings(
        name=slot.name,
        channel=instrument.channels[slot.settings.output],
        instrument=instrument,
        contact=slot.host.contact(),
        clock=clock,
        guard=prepared.guard,
        ceilings=prepared.ceilings,
        recorder=recorder,
        temperature=lambda: sensing.newest(sensor),
        limits_V=slot.settings.limits.voltage_V,
        hold_limit_A=prepared.hold_limit_A,
        sample_every_s=slot.settings.sample_every_s,
        lease=lease,
        safe_off=slot.host.safe_off_entry(),
        changed=slot.changed,
        started_by=prepared.by,
        switches=slot.beginning.switches,
        let_go=slot.host.drop,
    )
