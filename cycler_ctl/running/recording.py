"""From the engine's actions to the run's record; handing over never waits."""

from __future__ import annotations

from functools import partial

from cycler_ctl.running.fittings import Recorder
from protocols import engine
from protocols.events import Action, RecordCycle, RecordEvent, RecordRow, RecordStep, TurnOff
from protocols.record import EventRecord
from protocols.running.state import State

WITHOUT_DISK_S = 60.0  # how long a run goes on from memory when nothing can be made durable (reliability F16)


def unrecorded(recorder: Recorder) -> str | None:
    """Why no current may flow for want of a record: so early that the reserve still takes what happened until then."""
    pending = recorder.pending()
    if pending.lost:
        return f"no record, no current: {pending.lost}; stop this run and start another"
    if pending.lag_s <= WITHOUT_DISK_S:
        return None
    return f"no record, no current: {recorder.failed or 'the disk has not answered for a minute'}"


def is_news(actions: tuple[Action, ...]) -> bool:
    """Whether a person sees more of them than another row."""
    return any(not isinstance(action, RecordRow) for action in actions)


def hand_over(recorder: Recorder, actions: tuple[Action, ...], state: State) -> None:
    """What is to be written of ``actions``. The newest state is every commit's checkpoint."""
    match actions:  # nearly every sample is one of the first two
        case ():
            recorder.append((), (), (), (), partial(engine.to_json, state))
        case (RecordRow(row),):
            recorder.append((row,), (), (), (), partial(engine.to_json, state))
        case _:
            _hand_over_all(recorder, actions, state)


def _hand_over_all(recorder: Recorder, actions: tuple[Action, ...], state: State) -> None:
    recorder.append(
        tuple(action.row for action in actions if isinstance(action, RecordRow)),
        tuple(action.event for action in actions if isinstance(action, RecordEvent)),
        tuple(action.step for action in actions if isinstance(action, RecordStep)),
        tuple(action.cycle for action in actions if isinstance(action, RecordCycle)),
        partial(engine.to_json, state),
    )
    if isinstance(actions[0], TurnOff):  # whatever dies now: an end or a pause must not be found under way
        recorder.hurry()


def tell(recorder: Recorder, event: EventRecord, state: State) -> None:
    """An event that the engine knows nothing of."""
    recorder.append((), (event,), (), (), partial(engine.to_json, state))
