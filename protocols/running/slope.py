"""dV/dt: the least-squares line through the samples of the last minute, kept up to date sample by sample.

The sums behind the line gain the newest sample and lose the oldest ones. So that no rounding error stays, they are
summed anew whenever as many samples have come as the window holds: what is left is that of one window.
"""

from __future__ import annotations

from protocols.charge import TIME_SLACK_S
from protocols.running.state import SlopeWindow, Sums

SLOPE_SAMPLES = 10


def extend(window: SlopeWindow, time_s: float, voltage_V: float, span_s: float) -> SlopeWindow:
    """The window with one more sample, and without those that neither the span nor the ten samples need."""
    drop = _superfluous(window.times_s, time_s, span_s)
    times, voltages = (*window.times_s[drop:], time_s), (*window.voltages_V[drop:], voltage_V)
    sums = window.sums
    if sums is None or sums.updates >= len(times):
        return SlopeWindow(times, voltages, summed(times, voltages))
    left = zip(window.times_s[:drop], window.voltages_V[:drop], strict=True)
    return SlopeWindow(times, voltages, _moved_on(sums, time_s, voltage_V, tuple(left)))


def _superfluous(times_s: tuple[float, ...], time_s: float, span_s: float) -> int:
    """How many of the oldest samples are not needed once there is one more."""
    most, drop = len(times_s) + 1 - SLOPE_SAMPLES, 0
    while drop < most and drop + 1 < len(times_s) and time_s - times_s[drop + 1] >= span_s - TIME_SLACK_S:
        drop += 1
    return drop


def summed(times_s: tuple[float, ...], voltages_V: tuple[float, ...]) -> Sums:
    origin_s, origin_V = times_s[0], voltages_V[0]
    ts, vs = [time - origin_s for time in times_s], [volts - origin_V for volts in voltages_V]
    tv = sum([t * v for t, v in zip(ts, vs, strict=True)])
    return Sums(origin_s, origin_V, sum(ts), sum(vs), sum([t * t for t in ts]), tv)


def _moved_on(old: Sums, time_s: float, voltage_V: float, left: tuple[tuple[float, float], ...]) -> Sums:
    origin_s, origin_V, t_sum, v_sum, tt, tv, updates = old
    t, v = time_s - origin_s, voltage_V - origin_V
    t_sum, v_sum, tt, tv = t_sum + t, v_sum + v, tt + t * t, tv + t * v
    for gone_s, gone_V in left:
        t, v = gone_s - origin_s, gone_V - origin_V
        t_sum, v_sum, tt, tv = t_sum - t, v_sum - v, tt - t * t, tv - t * v
    return Sums(origin_s, origin_V, t_sum, v_sum, tt, tv, updates + 1)


def slope_V_s(window: SlopeWindow, span_s: float) -> float | None:
    """|slope| of the least-squares line; None before the window holds its span and ten samples."""
    times, count = window.times_s, len(window.times_s)
    if count < SLOPE_SAMPLES or times[-1] - times[0] < span_s - TIME_SLACK_S or times[-1] == times[0]:
        return None
    sums = window.sums or summed(times, window.voltages_V)
    return abs((sums.tv - sums.t * sums.v / count) / (sums.tt - sums.t * sums.t / count))
