"""What people and other programs do to a station from outside, by name: see ``faults``. False: there was nothing to strike."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from random import Random
from typing import TYPE_CHECKING

from cycler_ctl.channels.owning import address_key, owned
from cycler_ctl.errors import RefusedError
from sim_hardware.loads import InSeries
from simulated.cells import Endless
from simulated.seats import Seat
from simulated.stationed import address_of
from simulated.wires import Stranger, Wire

if TYPE_CHECKING:
    from simulated.world import World

WINDOWS_WAITS_S = 5.0
WORKS_A = 0.5e-3
TIMES = 12


def another_program(world: World, random: Random) -> None:
    """It wants an instrument of ours: by our lock, as a second service does, or without asking anybody."""
    wire = world.any_wire(random)
    if random.random() < 0.5:
        _by_lock(world, random, wire)
    elif wire.owner is None and not wire.blocked:
        wire.stranger = wire.connect(Stranger())
        world.after(random.uniform(5.0, 120.0), wire.stranger.abort)


def _by_lock(world: World, random: Random, wire: Wire) -> None:
    held = ExitStack()
    address = address_of(wire.name)
    try:
        held.enter_context(owned(address_key(address), address))
    except RefusedError:
        return
    world.locks.last_is_anothers()
    world.after(random.uniform(5.0, 120.0), held.close)


def ports_swapped(world: World, random: Random) -> bool | None:
    """Both adapters were pulled out, and each stands where the other was."""
    if world.wires.swapped or not world.serials_are_named:
        return False
    world.wires.swap()
    world.after(random.uniform(5.0, 300.0), world.wires.swap_back)
    return None


def _working(world: World, random: Random) -> Seat | None:
    working = [seat for seat in world.judge.seats.values() if abs(seat.current_A) > WORKS_A]
    return random.choice(working) if working else None


def beyond_compliance(world: World, random: Random) -> bool | None:
    """A contact so bad that the current cannot flow within the instrument's own limit."""
    if (seat := _working(world, random)) is None:
        return False
    world.hang(seat, InSeries(world.cells[seat.channel], 10 ** random.uniform(2.5, 4.0)))
    world.after(random.uniform(5.0, 600.0), lambda: world.hang(seat, world.cells[seat.channel]))
    return None


def cut_off_never_comes(world: World, random: Random) -> bool | None:
    """What is measured is not what the current does: the wrong cell, or a wire in the wrong place."""
    if (seat := _working(world, random)) is None:
        return False
    world.hang(seat, Endless(world.cells[seat.channel]))
    world.after(random.uniform(900.0, 3600.0), lambda: world.hang(seat, world.cells[seat.channel]))
    return None


def protocol_edited(world: World, _random: Random) -> bool | None:
    """The file that a run was begun with."""
    return world.people.edit()


def in_a_loop(first: str, then: str) -> Callable[[World, Random], bool | None]:
    """A script of somebody's that switches the output on and off again."""

    def strike(world: World, random: Random) -> bool | None:
        seat = world.any_seat(random)
        if seat.runner is None:
            return False
        world.people.hurry(seat, (first, then) * TIMES)
        return None

    return strike


def service_stopped(world: World, random: Random) -> bool | None:
    """Ctrl-C, a terminal that is closed or an update: by a manager that starts it again; now and then asked twice."""
    keeper = world.service.keeper
    if keeper is None:
        return False
    keeper.ask_to_stop()
    if random.random() < 0.3:
        world.loop.call_later(random.uniform(0.0, 2.0), keeper.ask_to_stop)
    return None


def window_closed(world: World, random: Random) -> bool | None:
    """Windows ends whatever is left of it after a while."""
    guardian = world.service.guardian
    if service_stopped(world, random) is False or guardian is None:
        return False

    def out_of_time() -> None:
        if guardian.alive:
            world.service.power_cut()

    world.loop.call_later(WINDOWS_WAITS_S, out_of_time)
    return None
