"""What ``cycler-ctl status`` says of MQTT beside the channels."""

from dataclasses import asdict

from cycler_ctl.publish.cursors import Confirmed
from cycler_ctl.terminal.status import mqtt_trouble

FINE: dict[str, object] = {"connected": True, "message": "", "commands": None, "confirmed": ()}


def test_why_no_command_can_come_is_said_where_commands_are_on() -> None:
    assert list(mqtt_trouble({"mqtt": FINE})) == []
    assert list(mqtt_trouble({"mqtt": FINE | {"commands": ""}})) == []
    assert list(mqtt_trouble({"mqtt": FINE | {"commands": "it refused us"}})) == [
        "MQTT: no command can come: it refused us"
    ]


def test_of_each_sink_the_newest_run_it_told_of_is_said_as_its_own_word() -> None:
    told = [Confirmed("h", "run-2", 1, 5, "10:00"), Confirmed("h", "run-1", 1, 9, "09:00", of=9)]
    other = Confirmed("other", "run-1", 1, 3, "09:30", of=9)
    assert list(mqtt_trouble({"mqtt": FINE | {"confirmed": [asdict(one) for one in (*told, other)]}})) == [
        "MQTT: other keeps run-1 to row 3 of 9, it said at 09:30",
        "MQTT: h keeps run-2 to row 5, it said at 10:00",
    ]
