"""From the engine's actions to the run's record; handing over never waits."""

from __future__ import annotations

from functools import partial

from cycler_ctl.fittings import Recorder
from protocols import engine
from protocols.events import Action, RecordCycle, RecordEvent, RecordRow, RecordStep
from protocols.record import EventRecord
from protocols.running.state import State


def hand_over(recorder: Recorder, actions: tuple[Action, ...], state: State) -> None:
    """What is to be written of ``actions``. The newest state is every commit's checkpoint."""
    recorder.append(
        tuple(action.row for action in actions if isinstance(action, RecordRow)),
        tuple(action.event for action in actions if isinstance(action, RecordEvent)),
        tuple(action.step for action in actions if isinstance(action, RecordStep)),
        tuple(action.cycle for action in actions if isinstance(action, RecordCycle)),
        partial(engine.to_json, state),
    )


def tell(recorder: Recorder, event: EventRecord, state: State) -> None:
    """An event that the engine knows nothing of."""
    recorder.append((), (event,), (), (), partial(engine.to_json, state))
