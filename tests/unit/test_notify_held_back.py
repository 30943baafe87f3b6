"""What is told of a station that is not started again, and to whom."""

from pathlib import Path

from cycler_ctl.notify.held_back import OFF, UNSURE, message_of, wanting
from cycler_ctl.settings import NotifyRule

FILE = Path("addresses")


def test_the_first_line_says_whether_current_may_flow() -> None:
    off, unsure = (message_of("lab-3", word, "it failed after 3 restarts in 60 s") for word in (OFF, UNSURE))
    assert off.title == "lab-3: THE STATION IS NOT STARTED AGAIN; every output is off, read back"
    assert off.body.splitlines()[0] == "it failed after 3 restarts in 60 s"
    assert unsure.title.endswith("NOT EVERY OUTPUT IS CONFIRMED OFF, current MAY FLOW")
    assert unsure.body.startswith("Look at the cells now, and switch the instruments off at their panels.")


def test_a_rule_is_told_that_wants_alarms_or_where_an_output_may_be_on_emergencies() -> None:
    rules = {
        "both": NotifyRule(to_file=FILE),
        "loud": NotifyRule(to_file=FILE, on=("emergency",)),
        "ends": NotifyRule(to_file=FILE, on=("finished",)),
    }
    assert wanting(rules, OFF) == [rules["both"]]
    assert wanting(rules, UNSURE) == [rules["both"], rules["loud"]]
