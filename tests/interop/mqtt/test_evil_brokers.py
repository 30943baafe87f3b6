"""Brokers that send nonsense or too much, that hang up, or that know two stations of one name: the data go on."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
import pytest
from evil_broker import NONSENSE, WELCOME, Evil
from paho.mqtt.enums import CallbackAPIVersion

from cycler_ctl.broker import Broker
from cycler_ctl.errors import StoreError
from cycler_ctl.publish.backoff import Timing
from cycler_ctl.publish.cursors import Cursors

TIMING = Timing(first_s=0.01, most_s=0.02, connack_s=1.0, puback_s=3.0)
Until = Callable[[Callable[[], object]], None]


def test_no_bytes_of_a_broker_keep_the_data_from_another_one(lab: Any, bundled: Broker, until: Until) -> None:
    with Evil(NONSENSE) as evil:
        publisher = lab.publish(evil.url, timing=TIMING)
        until(lambda: len(evil.asked) > len(NONSENSE))
        publisher.stop(0.0)
    with Evil(NONSENSE[2:3]) as evil:
        publisher = lab.publish((evil.url, bundled.url), timing=TIMING)
        until(lambda: publisher.status().url == bundled.url and publisher.status().connected)
        publisher.stop(0.0)


def test_a_message_of_100_mb_for_the_station_is_not_read(lab: Any, until: Until) -> None:
    publish = b"\x30\x80\x80\x80\x32"  # of 100 MiB
    with Evil([WELCOME + publish + bytes(100_000)]) as evil:
        publisher = lab.publish(evil.url, timing=Timing(first_s=0.01, most_s=0.02))
        until(lambda: evil.left)  # long before anything is late
        until(lambda: "it is not read" in publisher.status().message)
        assert b"\x27\x00\x00\x80\x00" in evil.asked[0]  # MQTT 5: at most 32 KiB are wanted
        publisher.stop(0.0)


def test_a_broker_that_hangs_up_on_mqtt_5_without_an_answer_is_spoken_to_in_3_1_1(
    lab: Any, bundled: Broker, wire_to: Callable[[int], Any], until: Until
) -> None:
    wire = wire_to(int(bundled.url.rpartition(":")[2]))
    wire.hangs_up_on = b"MQTT\x05"
    publisher = lab.publish(wire.url, timing=TIMING)
    until(lambda: publisher.status().connected)


def test_a_broker_that_ends_the_connection_without_a_reason_is_connected_to_again(
    lab: Any, mosquitto: Any, wire_to: Callable[[int], Any], until: Until
) -> None:
    """The library's error has no cause then; it was once made its own, and explaining it never came to an end."""
    wire = wire_to(mosquitto.port)
    publisher = lab.publish(wire.url, timing=TIMING)
    writer = lab.begin()
    lab.record(writer, 1, 1)
    until(lambda: publisher.status().rows_waiting == {} and publisher.status().connected)
    wire.say(b"\xe0\x00")
    until(lambda: wire.accepted > 1 and publisher.status().connected)


def test_a_resolver_that_hangs_holds_up_neither_the_station_nor_another_broker_nor_the_end(
    lab: Any, bundled: Broker, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, really = threading.Event(), socket.getaddrinfo

    def hanging(host: Any, *rest: Any, **more: Any) -> Any:
        if host == "hangs.lab":
            answers.wait()
        return really("127.0.0.1" if host == "hangs.lab" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    quick = Timing(first_s=0.01, most_s=0.02, connack_s=0.3)
    alone = lab.publish("mqtt://hangs.lab:1883", timing=quick)
    until(lambda: "resolver says nothing of hangs.lab" in alone.status().message)
    alone.stop(0.0)
    publisher = lab.publish(("mqtt://hangs.lab:1883", bundled.url), timing=quick)
    until(lambda: publisher.status().url == bundled.url and publisher.status().connected)
    publisher.stop(1.0)
    answers.set()


def test_a_disk_that_fails_while_old_runs_are_looked_for_is_tried_again(
    lab: Any, bundled: Broker, until: Until, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [StoreError("outbox.sqlite: disk I/O error"), OSError(5, "Input/output error")]
    complete = Cursors.complete

    def failing(cursors: Cursors) -> frozenset[str]:
        if failures:
            raise failures.pop()
        return complete(cursors)

    monkeypatch.setattr(Cursors, "complete", failing)
    publisher = lab.publish(bundled.url)
    until(lambda: publisher.status().connected)
    assert failures == []


def test_a_station_whose_name_another_one_took_is_told_what_it_may_be(lab: Any, mosquitto: Any, until: Until) -> None:
    """Not every broker says why it ends a connection."""
    publisher = lab.publish(mosquitto.url, timing=Timing(first_s=10.0))
    until(lambda: publisher.status().connected)
    second = paho.Client(CallbackAPIVersion.VERSION2, client_id="cycler-kasuga-lab-3")
    second.connect("127.0.0.1", mosquitto.port)
    until(lambda: second.loop(0.1) != paho.MQTT_ERR_SUCCESS or not publisher.status().connected)
    second.disconnect()
    assert "second station" in publisher.status().message
