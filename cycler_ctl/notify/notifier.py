"""All rules of a station beside it: an observer that only notes, and a thread for each rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cycler_ctl.clock import Clock
from cycler_ctl.live import ChannelState, ChannelStatus
from cycler_ctl.notify.lane import Lane, LaneStatus, Sight, Way
from cycler_ctl.notify.sending import Sender, refuse_unready
from cycler_ctl.settings import NotifyRule

ENDS = frozenset({ChannelState.FINISHED, ChannelState.STOPPED, ChannelState.ABORTED})


class Notifier:
    """An Observer. Raises ConfigError when made, for rules that could not send; later it only reports."""

    def __init__(
        self,
        rules: Mapping[str, NotifyRule],
        sight: Sight,
        clock: Clock,
        way: Callable[[NotifyRule], Way] = Sender,
    ) -> None:
        refuse_unready(rules)
        self._lanes = [Lane(name, rule, sight, way(rule), clock) for name, rule in rules.items()]
        self._clock = clock
        self._last: dict[str, ChannelState] = {}

    def start(self) -> None:
        for lane in self._lanes:
            lane.start()

    def stop(self, timeout_s: float) -> None:
        """All rules at once: one that hangs must not cost another its last message."""
        until_s = self._clock.now() + timeout_s
        for lane in self._lanes:
            lane.end()
        for lane in self._lanes:
            lane.stop(max(0.0, until_s - self._clock.now()))

    def channel_changed(self, status: ChannelStatus) -> None:
        """A run that has ended, once; who watches alarms looks by itself."""
        before, self._last[status.channel] = self._last.get(status.channel), status.state
        if status.state in ENDS and before not in {None, status.state}:
            for lane in self._lanes:
                lane.run_ended(status)

    def durable(self, run: str) -> None:
        """Nobody is told of rows."""

    def status(self) -> tuple[LaneStatus, ...]:
        """From any thread."""
        return tuple(lane.status() for lane in self._lanes)

    def troubles(self) -> Mapping[str, str]:
        """Rules whose messages do not arrive, and why."""
        return {status.rule: status.trouble for status in self.status() if status.trouble is not None}
