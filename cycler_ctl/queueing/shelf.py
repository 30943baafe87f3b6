"""A channel's queue on disk: one small file, replaced as a whole, that survives whatever ends the service.

Marks are not in it: after a restart a person looks at the cell again.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cycler_ctl.errors import StoreError
from cycler_ctl.queueing.decide import begun, not_begun
from cycler_ctl.queueing.model import Entry, Queue, Taken
from cycler_ctl.store.reader import open_run
from cycler_ctl.watching.register import replace_file

FOLDER = "queue"


class QueueFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    v: int = 1
    channel: str
    held: str | None
    taken: Taken | None
    entries: list[Entry]


def path_of(data_dir: Path, channel: str) -> Path:
    return data_dir / FOLDER / f"{channel}.json"


def write_queue(data_dir: Path, queue: Queue) -> None:
    """StoreError: it is not on disk."""
    file = QueueFile(channel=queue.channel, held=queue.held, taken=queue.taken, entries=list(queue.entries))
    replace_file(path_of(data_dir, queue.channel), file.model_dump_json(indent=1) + "\n")


def read_queue(data_dir: Path, channel: str) -> Queue:
    """As it was left, without marks. StoreError where nobody can know what was queued."""
    path = path_of(data_dir, channel)
    if not path.exists():
        return Queue(channel)
    try:
        file = QueueFile.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise StoreError(f"{path} cannot be read ({error}): look at it, and move it away") from error
    queue = Queue(channel, tuple(file.entries), file.held, file.taken)
    return queue if queue.taken is None else _after_death(data_dir, queue, queue.taken)


def _after_death(data_dir: Path, queue: Queue, taken: Taken) -> Queue:
    """The service ended just when an entry was to begin: whether it did, its run's record tells."""
    if _has_begun(data_dir / "runs" / taken.run):
        return begun(queue)
    return not_begun(queue, f"the service ended when {taken.entry} was about to begin")


def _has_begun(run_dir: Path) -> bool:
    """A record that cannot be read is one of a run that began: it is never begun again by itself."""
    if not run_dir.exists():
        return False
    try:
        with open_run(run_dir) as reader:
            return not reader.state.reason.startswith("never begun")
    except StoreError:
        return True
