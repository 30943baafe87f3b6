"""Every fault that can strike, by name: what it does to the world, and for how long. Each seed draws its own rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from sim_hardware.faults import LineFault
from sim_hardware.loads import InSeries, Load
from simulated import outside, patched
from simulated.cells import Reversed, SenseOff

if TYPE_CHECKING:
    from simulated.world import World

LINE = ("drop", "delay", "garble", "truncate", "split", "merge", "lose", "lose byte", "disconnect")
LONGEST_DELAY_S = 3.0
PER_HOUR = (0.3, 6.0)  # as many of a kind that a seed has; drawn on a logarithmic scale
SHARE = 0.6  # of all kinds that a seed has


@dataclass(frozen=True, slots=True)
class Kind:
    """``rarer``: how many times rarer than a lost answer. ``strike`` says False where there was nothing to strike."""

    strike: Callable[[World, Random], bool | None]
    rarer: float = 1.0


def line(kind: str) -> Callable[[World, Random], None]:
    def strike(world: World, random: Random) -> None:
        wire = world.any_wire(random)
        count = random.choice((1, 1, 1, 2, 3, 10))
        wire.line.inject(
            LineFault(kind, count, random.choice((b"", b"?", b"READ")), random.uniform(0.1, LONGEST_DELAY_S))
        )

    return strike


def hang(world: World, random: Random) -> None:
    wire = world.any_wire(random)
    wire.hanging = True
    world.after(
        random.choice((0.5, 2.0, 10.0, 60.0)) * random.uniform(0.5, 2.0), lambda: setattr(wire, "hanging", False)
    )


def unplug(world: World, random: Random) -> None:
    wire = world.any_wire(random)
    wire.unplugged = True
    if random.random() < 0.5:
        wire.hang_up()

    def plug() -> None:
        wire.unplugged = False
        wire.hang_up()

    world.after(random.uniform(1.0, 120.0), plug)


def reboot(world: World, random: Random) -> None:
    seat = world.any_seat(random)
    seat.wire.line.instrument.power_cycle()
    seat.reset_s = world.loop.time()


def panel_off(world: World, random: Random) -> bool:
    """Someone presses the OUTPUT key, or a protection of the instrument's own trips."""
    on = [seat for seat in world.judge.seats.values() if seat.smu.settings.output]
    if on:
        random.choice(on).smu.set_fault("output", False)
    return bool(on)


def ignored(world: World, random: Random) -> None:
    world.moods[world.any_seat(random).channel].ignore += random.choice((1, 1, 2, 5))


def sentinel(world: World, random: Random) -> None:
    world.moods[world.any_seat(random).channel].sentinel += random.choice((1, 2, 3, 5))


def stuck(world: World, random: Random) -> None:
    seat = world.any_seat(random)
    seat.smu.set_fault("stuck", True)
    world.after(random.choice((60.0, 4000.0)), lambda: seat.smu.set_fault("stuck", False))


def welded(world: World, random: Random) -> bool:
    """The output does not go off; only where it is on, for a relay that welds has carried current."""
    on = [seat for seat in world.judge.seats.values() if seat.smu.settings.output]
    if on:
        seat = random.choice(on)
        seat.smu.set_fault("welded", True)
        world.after(random.uniform(5.0, 120.0), lambda: seat.smu.set_fault("welded", False))
    return bool(on)


def lead(kind: str) -> Callable[[World, Random], None]:
    def strike(world: World, random: Random) -> None:
        seat = world.any_seat(random)
        seat.shorted = seat.shorted or kind == "short"
        world.put_lead(seat, kind)
        world.after(random.uniform(5.0, 600.0), lambda: world.put_lead(seat, "good"))

    return strike


def wrong(make: Callable[[Load, Random], Load]) -> Callable[[World, Random], None]:
    """The cell hangs otherwise on its leads."""

    def strike(world: World, random: Random) -> None:
        seat = world.any_seat(random)
        world.hang(seat, make(world.cells[seat.channel], random))
        world.after(random.uniform(5.0, 600.0), lambda: world.hang(seat, world.cells[seat.channel]))

    return strike


def sensor_lost(world: World, random: Random) -> None:
    world.oven.set_fault("sensor_break", True)
    world.after(random.uniform(5.0, 200.0), lambda: world.oven.set_fault("sensor_break", False))


def sensor_stops(world: World, random: Random) -> None:
    world.oven.stopped_C = world.oven.temperature_C()
    world.after(random.uniform(60.0, 600.0), lambda: setattr(world.oven, "stopped_C", None))


def sensor_jumps(world: World, random: Random) -> None:
    world.oven.jump_C = random.choice((-60.0, -5.0, 5.0, 60.0, 400.0))
    world.after(random.uniform(1.0, 60.0), lambda: setattr(world.oven, "jump_C", 0.0))


def disk(name: str, value: object) -> Callable[[World, Random], None]:
    def strike(world: World, random: Random) -> None:
        setattr(world.disk, name, value)
        healthy = 0.0 if name == "slow_s" else False
        world.after(
            random.choice((0.3, 10.0, 100.0)) * random.uniform(0.5, 2.0), lambda: setattr(world.disk, name, healthy)
        )

    return strike


def broker_away(world: World, random: Random) -> None:
    world.broker.away = True
    world.broker.drop_all()
    world.after(
        random.choice((1.0, 30.0, 1800.0)) * random.uniform(0.5, 2.0), lambda: setattr(world.broker, "away", False)
    )


def broker_flaps(world: World, random: Random) -> None:
    for number in range(random.randrange(2, 8)):
        world.after(7.0 * number, world.broker.drop_all)
    world.broker.hits["broker flaps"] += 1


def broker_forgets(world: World, random: Random) -> None:
    world.broker.forgetful = random.uniform(0.05, 0.5)
    world.after(random.uniform(10.0, 300.0), lambda: setattr(world.broker, "forgetful", 0.0))


def broker_doubles(world: World, random: Random) -> None:
    world.broker.doubling = random.uniform(0.05, 0.9)
    world.after(random.uniform(10.0, 300.0), lambda: setattr(world.broker, "doubling", 0.0))


def clock_step(world: World, random: Random) -> None:
    world.utc_step_s += random.choice((-3600.0, 3600.0, 37.0, -37.0, -0.5, 2.0))


def suspend(world: World, random: Random) -> None:
    asleep_s = random.choice((1.5, 5.0, 60.0, 3000.0)) * random.uniform(0.5, 1.5)
    world.look()
    world.suspended_s += asleep_s
    world.judge.nobody_watched()


def station_killed(world: World, _random: Random) -> bool:
    child = world.service.child
    if child is None or not child.process.alive:
        return False
    child.process.kill()
    return True


def guardian_killed(world: World, _random: Random) -> bool:
    guardian = world.service.guardian
    if guardian is None or not guardian.alive:
        return False
    guardian.kill()
    return True


def power_cut(world: World, _random: Random) -> None:
    world.service.power_cut()


def station_stalls(world: World, random: Random) -> bool:
    child = world.service.child
    if child is None or not child.process.alive or child.process.stopped:
        return False
    child.process.stopped = True
    patched.guardian_ticks(patched.REAL_TICK_S)  # it is his moment, which is judged to a tenth of a second

    def proceed() -> None:
        patched.guardian_ticks(patched.TICK_S)
        world.judge.went_on_s = world.loop.time()
        world.loop.proceed(child.process)

    world.after(random.choice((0.3, 1.0, 5.0, 30.0)), proceed)
    return True


KINDS: Mapping[str, Kind] = {
    **{name: Kind(line(name)) for name in LINE},
    "hang": Kind(hang, 2.0),
    "unplugged": Kind(unplug, 3.0),
    "reboot": Kind(reboot, 3.0),
    "panel off": Kind(panel_off),
    "setting ignored": Kind(ignored, 2.0),
    "sentinel": Kind(sentinel, 2.0),
    "stuck reading": Kind(stuck, 3.0),
    "output stays on": Kind(welded),
    "lead open": Kind(lead("open"), 3.0),
    "cell shorted": Kind(lead("short"), 4.0),
    "cell reversed": Kind(wrong(lambda cell, _: Reversed(cell)), 4.0),
    "sense lead off": Kind(wrong(lambda cell, _: SenseOff(cell)), 4.0),
    "bad contact": Kind(wrong(lambda cell, random: InSeries(cell, 10 ** random.uniform(0.0, 4.0))), 3.0),
    "sensor lost": Kind(sensor_lost, 3.0),
    "sensor stops": Kind(sensor_stops, 3.0),
    "sensor jumps": Kind(sensor_jumps, 3.0),
    "disk full": Kind(disk("full", True), 3.0),
    "disk error": Kind(disk("broken", True), 3.0),
    "disk slow": Kind(disk("slow_s", 8.0), 3.0),
    "broker away": Kind(broker_away, 3.0),
    "broker flaps": Kind(broker_flaps, 3.0),
    "acknowledgement lost": Kind(broker_forgets, 3.0),
    "delivered twice": Kind(broker_doubles, 3.0),
    "clock step": Kind(clock_step, 3.0),
    "suspend": Kind(suspend, 3.0),
    "station killed": Kind(station_killed, 3.0),
    "guardian killed": Kind(guardian_killed, 4.0),
    "power cut": Kind(power_cut, 3.0),
    "station stalls": Kind(station_stalls, 3.0),
    "another program": Kind(outside.another_program, 2.0),
    "ports swapped": Kind(outside.ports_swapped, 0.7),
    "beyond compliance": Kind(outside.beyond_compliance),
    "cut-off never comes": Kind(outside.cut_off_never_comes),
    "protocol edited": Kind(outside.protocol_edited, 2.0),
    "paused in a loop": Kind(outside.in_a_loop("pause", "resume"), 2.5),
    "begun in a loop": Kind(outside.in_a_loop("stop", "begin"), 2.5),
    "service stopped": Kind(outside.service_stopped, 3.0),
    "window closed": Kind(outside.window_closed, 3.0),
}


NUMBERS: Mapping[int, tuple[str, ...]] = {
    1: ("unplugged", "hang"), 2: ("drop", "lose", "delay"), 3: ("unplugged", "hang"), 4: ("delay", "merge"),
    5: ("garble", "truncate", "split", "merge", "lose byte"), 6: ("sentinel",), 7: ("reboot",), 8: ("stuck reading",),
    9: ("clock step",), 10: ("suspend",), 11: ("station killed",), 12: ("station stalls",), 13: ("guardian killed",),
    14: ("power cut",), 15: ("reboot",), 16: ("disk full",), 17: ("disk error",), 18: ("disk slow",),
    20: ("broker away",), 21: ("broker flaps",), 22: ("delivered twice", "acknowledgement lost"),
    25: ("another program",), 26: ("protocol edited",), 27: ("cell reversed",), 28: ("bad contact",), 29: ("lead open",),
    30: ("cell shorted",), 31: ("beyond compliance",), 32: ("sense lead off",),
    33: ("sensor lost", "sensor stops", "sensor jumps"), 34: ("output stays on",), 35: ("service stopped",),
    36: ("window closed",), 37: ("drop", "delay", "station stalls"), 38: ("station killed",), 43: ("setting ignored",),
    44: ("cut-off never comes",), 45: ("ports swapped",), 46: ("paused in a loop", "begun in a loop"), 47: ("hang",),
    48: ("service stopped",),
}  # fmt: skip
"""What injects the faults of docs/faults.md, by their numbers; what is missing here another harness shows, named there."""
FAULTS = 48


def by_number(hits: Mapping[str, int]) -> str:
    """A table of how often each numbered fault was injected."""
    lines = (
        f"F{number:<3d}{sum(hits.get(kind, 0) for kind in NUMBERS[number]):9d}  {', '.join(NUMBERS[number])}"
        if number in NUMBERS
        else f"F{number:<3d}        -  another harness: see docs/faults.md"
        for number in range(1, FAULTS + 1)
    )
    return "\n".join(lines)


def rates(random: Random) -> dict[str, float]:
    """So many an hour; a seed in a few has none of some kinds, and a few seeds have only one."""
    few = random.random() < 0.15
    chosen = {random.choice(list(KINDS))} if few else {name for name in KINDS if random.random() < SHARE}
    low, high = PER_HOUR
    return {name: low * (high / low) ** random.random() / kind.rarer for name, kind in KINDS.items() if name in chosen}
