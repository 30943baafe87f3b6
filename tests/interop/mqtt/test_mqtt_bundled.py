"""Against the bundled broker, with an independent client whose session the broker keeps on disk."""

import os
import signal
import sys
from typing import Any

import pytest

from cycler_ctl.broker import Broker
from protocols.record import EventKind, EventRecord


def port_of(broker: Broker) -> int:
    return int(broker.url.rpartition(":")[2])


def test_a_broker_killed_and_restarted_on_its_store_leaves_no_gap(
    lab: Any, bundled: Broker, subscribe: Any, until: Any
) -> None:
    received = subscribe(port_of(bundled))
    lab.publish(bundled.url)
    writer = lab.begin()
    run = writer.info.run
    for first in range(1, 3001, 250):
        lab.record(writer, first, first + 249)
        if first in {751, 2001}:
            assert bundled.pid is not None
            os.kill(bundled.pid, signal.SIGKILL if sys.platform != "win32" else signal.SIGTERM)
            until(lambda: not bundled.alive())
            bundled.start()
    lab.end(writer)
    received.wait(lambda: len(received.rows(run)) == 3000 and received.of("event") and received.of("summary"))
    assert received.rows(run) == lab.expected(run)


def test_a_broker_that_comes_late_gets_everything(lab: Any, bundled: Broker, subscribe: Any, until: Any) -> None:
    port = port_of(bundled)
    received = subscribe(port)
    bundled.stop()
    publisher = lab.publish(f"mqtt://127.0.0.1:{port}")
    writer = lab.begin()
    lab.record(writer, 1, 500)
    until(lambda: publisher.status().rows_waiting == {writer.info.run: 500})
    bundled.start()
    assert port_of(bundled) == port
    received.wait(lambda: len(received.rows(writer.info.run)) == 500)
    assert received.rows(writer.info.run) == lab.expected(writer.info.run)
    until(lambda: publisher.status().rows_waiting == {})


def test_what_the_broker_will_not_take_becomes_a_visible_dead_letter_and_blocks_nothing(
    lab: Any, bundled: Broker, subscribe: Any, until: Any
) -> None:
    received = subscribe(port_of(bundled))
    publisher = lab.publish(bundled.url)
    writer = lab.begin()
    text = "x" * 1_100_000  # the bundled broker closes the connection on more than 1 MB
    for data in ({"text": "before"}, {"text": text}, {"text": "after"}):
        writer.append(events=[EventRecord(0.0, 0.0, EventKind.NOTE, data)])
    lab.record(writer, 1, 100)
    received.wait(lambda: len(received.rows(writer.info.run)) == 100)
    received.wait(lambda: any(event["n"] == 3 for event in received.of("event")))
    until(lambda: [letter.number for letter in publisher.status().dead_letters] == [2])
    (notice,) = [event for event in received.of("event") if event["kind"] == "gap"]
    assert notice["data"] == {"what": "refused by the broker", "of": "event", "number": 2}


@pytest.mark.parametrize("how", ["mosquitto_sub", "paho"])
def test_online_then_stopping_then_offline(lab: Any, bundled: Broker, subscribe: Any, how: str) -> None:
    received = subscribe(port_of(bundled), how)
    publisher = lab.publish(bundled.url)
    received.wait(lambda: received.states() == ["online"])
    publisher.stop(5.0)
    received.wait(lambda: received.states() == ["online", "stopping", "offline"])
