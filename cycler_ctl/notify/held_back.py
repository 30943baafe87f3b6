"""Started by the guardian: the station is not started again, so there is nobody else to tell of it.

Every rule that wants it is told at once, in quiet hours too: nobody would do it afterwards.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from cycler_ctl.alarms.model import Severity
from cycler_ctl.config import load_config
from cycler_ctl.notify.message import TITLE_LETTERS, Message, plain
from cycler_ctl.notify.news import wants
from cycler_ctl.notify.sending import Sender
from cycler_ctl.settings import NotifyRule

OFF, UNSURE = "off", "unsure"


def message_of(station: str, off: str, reason: str) -> Message:
    outputs = "every output is off, read back" if off == OFF else "NOT EVERY OUTPUT IS CONFIRMED OFF, current MAY FLOW"
    title = plain(f"{station}: THE STATION IS NOT STARTED AGAIN; {outputs}", TITLE_LETTERS)
    look = "" if off == OFF else "Look at the cells now, and switch the instruments off at their panels.\n"
    return Message(
        title, f"{look}{plain(reason)}\nFind the cause, then 'cycler-ctl acknowledge' lets it start.", "failure"
    )


def wanting(rules: Mapping[str, NotifyRule], off: str) -> list[NotifyRule]:
    severity = Severity.ALARM if off == OFF else Severity.EMERGENCY
    return [rule for rule in rules.values() if wants(rule, severity, None)]


def main() -> None:
    """``FILE off|unsure REASON``. All rules at once: one that hangs must not cost another its message."""
    path, off, reason = sys.argv[1:]
    config = load_config(Path(path))
    message = message_of(config.station.name, off, reason)
    threads = [threading.Thread(target=Sender(rule).send, args=(message,)) for rule in wanting(config.notify, off)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
