"""A station that listens, and says what it is about: alarms, questions, reports, and what an MQTT 5 broker answers."""

import json
import re
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cycler_ctl.alarms.model import Alarm, Severity
from cycler_ctl.publish.asyncapi import asyncapi
from cycler_ctl.testing.rows import START_UTC_S
from protocols.record import JSON, CycleSummary, EventKind, EventRecord, Outcome

BASE = "cycler/v1/kasuga/lab-3"
ALARM = Alarm("channel-a1", Severity.EMERGENCY, "cannot_deenergise", "a1 may be on", "go there", 1.0, channel="a1")


def port_of(broker: Any) -> int:
    return int(broker.url.rpartition(":")[2])


@pytest.fixture(params=["mosquitto", "bundled"])
def broker(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def test_an_alarm_is_kept_while_it_is_active_and_cleared_even_by_the_next_life(
    lab: Any, broker: Any, subscribe: Any
) -> None:
    received = subscribe(port_of(broker))
    lab.active = (ALARM,)
    first = lab.publish(broker.url)
    received.wait(lambda: any(said and said["what"] == "a1 may be on" for said in received.of("channel-a1")))
    lab.active = (replace(ALARM, energised=False),)
    received.wait(lambda: any(said and said["energised"] is False for said in received.of("channel-a1")))
    first.stop(5.0)
    late = subscribe(port_of(broker))
    late.wait(lambda: late.of("channel-a1"))
    assert late.messages[0].retain
    lab.active = ()
    lab.publishers.clear()
    lab.publish(broker.url)
    late.wait(lambda: late.of("channel-a1")[-1] is None)
    later = subscribe(port_of(broker))
    later.wait(later.states)
    assert later.of("channel-a1") == []


def test_a_reader_gets_rows_again_and_its_word_how_far_it_has_them_is_kept(
    lab: Any, broker: Any, subscribe: Any, until: Any
) -> None:
    received = subscribe(port_of(broker))
    publisher = lab.publish(broker.url)
    writer = lab.begin()
    run = writer.info.run
    lab.record(writer, 1, 100)
    lab.end(writer)
    received.wait(lambda: received.final() and len(received.rows(run)) == 100)
    received.messages.clear()
    need = {"v": 1, "run": run, "epoch": 1234, "from_seq": 31, "to_seq": 101, "client": "historian"}
    received.say(f"{BASE}/need", need)
    received.wait(lambda: len(received.rows(run)) == 70 and received.final())
    assert received.rows(run) == {seq: row for seq, row in lab.expected(run).items() if seq > 30}
    report = {"v": 1, "client": "historian", "run": run, "epoch": 1234, "seq": 100, "at": "2026-11-22T10:15:00.000Z"}
    received.say(f"{BASE}/sink/historian", report, retain=True)
    until(lambda: [(each.seq, each.of) for each in publisher.status().confirmed] == [(100, 100)])


def test_a_message_that_an_mqtt_5_broker_calls_too_large_is_halved_until_it_fits(
    lab: Any, mosquitto_with: Any, subscribe: Any, until: Any
) -> None:
    """An MQTT 3.1.1 client would be told that all is well, and the rows would be gone."""
    broker = mosquitto_with("message_size_limit 4000")
    received = subscribe(broker.port)
    publisher = lab.publish(broker.url)
    writer = lab.begin()
    lab.record(writer, 1, 60)
    writer.append(events=[EventRecord(0.0, 0.0, EventKind.NOTE, {"text": "x" * 5000})])
    received.wait(lambda: len(received.rows(writer.info.run)) == 60)
    assert received.rows(writer.info.run) == lab.expected(writer.info.run)
    until(lambda: [(letter.stream, letter.number) for letter in publisher.status().dead_letters] == [("event", 1)])


def judges() -> list[tuple[re.Pattern[str], list[Draft202012Validator]]]:
    """Who may say what where, from nothing but the published document."""
    document = json.loads(json.dumps(asyncapi("0")))
    found: list[tuple[re.Pattern[str], list[Draft202012Validator]]] = []
    for channel in document["channels"].values():
        address = re.compile(re.sub(r"{\w+}", "[a-z0-9_-]+", channel["address"]))
        names = [ref["$ref"].rpartition("/")[2] for ref in channel["messages"].values()]
        refs = [document["components"]["messages"][name]["payload"]["$ref"] for name in names]
        shapes = [{"$ref": ref, "components": document["components"]} for ref in refs]
        found.append((address, [Draft202012Validator(shape) for shape in shapes]))
    return found


def test_every_message_of_a_recorded_hour_validates_against_the_asyncapi_document(
    lab: Any, mosquitto: Any, subscribe: Any
) -> None:
    received = subscribe(mosquitto.port)
    lab.active = (ALARM,)
    writer = lab.begin()
    lab.publish(mosquitto.url)
    hour_of_steps(lab, writer)
    lab.newest = (writer.info.run, lab.all_rows[9])
    received.wait(lambda: len(received.rows(writer.info.run)) == 3600 and received.final())
    received.wait(lambda: received.of("summary") and received.of("last") and received.of("channel-a1"))
    known = judges()
    leaves: set[str] = set()
    for message in received.messages:
        (shapes,) = [shapes for address, shapes in known if address.fullmatch(message.topic)]
        assert any(shape.is_valid(message.payload) for shape in shapes), message
        leaves.add(message.topic.rpartition("/")[2])
    assert leaves == {"status", "meta", "state", "last", "samples", "event", "summary", "manifest", "channel-a1"}


def hour_of_steps(lab: Any, writer: Any) -> None:
    """A row each second, in ten steps of which each ends for a reason."""
    rows = [replace(row, time_s=float(row.seq), utc_s=START_UTC_S + row.seq) for row in islice(lab.all_rows * 2, 3600)]
    rows = [replace(row, seq=seq) for seq, row in enumerate(rows, 1)]
    for step in range(10):
        ended: dict[str, JSON] = {
            "step_id": "1",
            "step_count": step,
            "cycle": 0,
            "word": "charge",
            "label": None,
            "also_met": [],
        }
        ended |= {"end_reason": "voltage", "charge_Ah": 1e-3, "energy_Wh": 1e-3, "crossing_s": 1.0}
        ended |= {"crossing_charge_Ah": None, "overshoot_V": 1e-4}
        events = [EventRecord(1.0, START_UTC_S, EventKind.STEP_ENDED, ended)]
        writer.append(rows=rows[360 * step : 360 * (step + 1)], events=events)
    writer.append(cycles=[CycleSummary(1, 2e-3, 1.6e-3, 7e-4, 1.4e-3, 0.0, 9.0)])
    writer.finish(Outcome.FINISHED, "all done")
    assert writer.flush(15.0)


@pytest.mark.parametrize(
    ("leaf", "spoiled"),
    [
        ("samples", {"first_seq": 0}),
        ("samples", {"rows": []}),
        ("event", {"kind": "surprise"}),
        ("event", {"kind": "step_ended", "data": {"reason": "voltage"}}),
        ("state", {"state": "asleep"}),
        ("manifest", {"sha256": None}),
    ],
)
def test_a_message_of_another_shape_does_not_validate(leaf: str, spoiled: dict[str, object]) -> None:
    """The negative control of the hour."""
    (shapes,) = [shapes for address, shapes in judges() if address.fullmatch(f"{BASE}/channel/a1/{leaf}")]
    event = {"v": 1, "run": "r", "epoch": 1, "n": 1, "at": "t", "unix_time_second": 1.0, "test_time_second": 1.0}
    whole: dict[str, dict[str, object]] = {
        "samples": {"v": 1, "run": "r", "epoch": 1, "first_seq": 1, "columns": ["a"], "rows": [[1]]},
        "event": event | {"kind": "note", "data": {}},
        "manifest": {"v": 1, "run": "r", "epoch": 1, "first": 1, "last": 1, "count": 1, "sha256": "a", "final": True}
        | {"stretches": []},
        "state": {},
    }
    if leaf != "state":
        assert any(shape.is_valid(whole[leaf]) for shape in shapes)
    assert not any(shape.is_valid(whole[leaf] | spoiled) for shape in shapes)
