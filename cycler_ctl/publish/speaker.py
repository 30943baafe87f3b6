"""The MQTT connection: what the broker answers to each message, which the library drops, and what MQTT 5 adds.

Everything works on MQTT 3.1.1: a property of version 5 never carries what the payload or the topic does not say.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from aiomqtt import Client, MqttError, ProtocolVersion, Will
from aiomqtt.exceptions import MqttCodeError
from paho.mqtt.client import Client as Paho
from paho.mqtt.client import DisconnectFlags, MQTTMessage
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from cycler_ctl.publish.backoff import Timing
from cycler_ctl.publish.endpoint import Credentials, Endpoint
from cycler_ctl.publish.explain import NotHeard

PACKET_TOO_LARGE = 0x95
# The rows are innocent: it is the station that may not write there, or not so much.
_NOT_THE_MESSAGE = frozenset({0x87, 0x97})
# The library gives neither its signature nor its attributes a type.
_properties: Callable[[int], Any] = Properties
_RECEIVE: Callable[[Paho, int], bytes] = vars(Paho)["_sock_recv"]
LATEST_EXPIRES_S = 3600
_HEARD_AT_MOST = 200
"""Messages of others that wait to be looked at; more are dropped by the library, and whoever sent them asks again."""
_LONGEST_HEARD = 32 * 1024
"""What is longer is for nobody here: MQTT 5 keeps it away, and from an older broker it is dropped as it comes."""
_LONGEST_READ = 2 * 1024 * 1024
"""Of an announced packet; the brokers that we ship take 1 MiB. The library would collect 256 MB before it looks."""
_ENDED = "the connection was lost: the broker or the network failed, or a second station here has this site and name"


class Refused(MqttError):  # noqa: N818 - what happened
    """The broker took a message and said no: MQTT 5 only, an older one says nothing."""

    def __init__(self, topic: str, code: ReasonCode) -> None:
        super().__init__(f"the broker refuses {topic}: {code}")
        self.code = code.value


class HungUp(MqttError):  # noqa: N818 - what happened
    """Before it said whether we are welcome: it may not know this version of MQTT."""


class Speaker(Client):
    """Use it as a context manager: entered is connected."""

    def __init__(
        self,
        broker: Endpoint,
        *,
        credentials: Credentials,
        will: Will,
        identifier: str,
        version: ProtocolVersion,
        timing: Timing,
        in_flight: int,
    ) -> None:
        super().__init__(
            broker.host,
            broker.port,
            username=credentials.username,
            password=credentials.password,
            identifier=identifier,
            will=will,
            protocol=version,
            clean_session=None if version is ProtocolVersion.V5 else True,
            timeout=timing.connack_s,
            keepalive=timing.keepalive_s,
            max_queued_incoming_messages=_HEARD_AT_MOST,
            max_inflight_messages=in_flight,
            tls_context=broker.tls,
            properties=_own_limits() if version is ProtocolVersion.V5 else None,
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
        )
        self.pending_calls_threshold = in_flight
        self._version = version
        self._answers: dict[int, asyncio.Future[ReasonCode]] = {}
        self._puback_s = timing.puback_s
        self.gone: MqttError | None = None
        """Why the connection ended, in better words than the library's."""
        vars(self._client)["_sock_recv"] = self._receive  # the only place before it is read

    async def deliver(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Returns when the broker has acknowledged it. Refused, NotHeard: it has not taken it. MqttError: nobody knows."""
        info = self._client.publish(topic, payload, 1, retain, self._about(topic))
        if info.rc != 0:
            raise MqttCodeError(info.rc, "Could not publish message")
        answer = self._answers[info.mid] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._puback_s):
                code = await answer
        except TimeoutError as error:
            raise MqttError("Operation timed out") from error
        finally:
            self._answers.pop(info.mid, None)
        if code.value in _NOT_THE_MESSAGE:
            raise NotHeard(f"it does not hand on {topic} ({code}): this user needs the right to write there")
        if code.is_failure:
            raise Refused(topic, code)

    async def mention(self, topic: str, payload: bytes) -> None:
        """The newest of something, for whoever looks: it may be lost, and is forgotten after a while."""
        await self.publish(topic, payload, qos=0, retain=True, properties=self._about(topic, LATEST_EXPIRES_S))

    def _receive(self, size: int) -> bytes:
        """As the library does, which first of all wants the whole rest of a packet."""
        if size > _LONGEST_READ:
            self.gone = MqttError(
                f"it announced a message of {size / 1e6:.0f} MB: it is not read, the connection was cut"
            )
            raise ConnectionAbortedError(str(self.gone))
        return _RECEIVE(self._client, size)

    def _about(self, topic: str, expires_s: int | None = None) -> Any:  # noqa: ANN401 - see above
        """None for MQTT 3.1.1."""
        if self._version is not ProtocolVersion.V5:
            return None
        properties = _properties(PacketTypes.PUBLISH)
        properties.ContentType = "application/json"
        properties.UserProperty = [("schema", f"cycler/v1 {_leaf(topic)}")]
        if expires_s is not None:
            properties.MessageExpiryInterval = expires_s
        return properties

    def _on_publish(
        self, client: Paho, userdata: object, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        answer = self._answers.get(mid)
        if answer is None:
            super()._on_publish(client, userdata, mid, reason_code, properties)
        elif not answer.done():
            answer.set_result(reason_code)

    def _on_message(self, client: Paho, userdata: object, message: MQTTMessage) -> None:
        if len(message.payload) <= _LONGEST_HEARD:
            super()._on_message(client, userdata, message)

    def _on_disconnect(
        self,
        client: Paho,
        userdata: object,
        flags: DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        super()._on_disconnect(client, userdata, flags, reason_code, properties)
        welcome = self._connected.done() and self._connected.exception() is None
        if welcome and reason_code.is_failure and self.gone is None:
            self.gone = MqttError(f"{_ENDED} ({reason_code})")
        if self._disconnected.done():
            self._disconnected.exception()  # looked at here: who leaves for another reason would leave it lying about
        if not self._connected.done():  # else the library would wait for the answer until its time is over
            self._connected.set_exception(HungUp("it closed the connection before it answered"))
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(self.gone or MqttError(f"disconnected: {reason_code}"))


def _own_limits() -> Any:  # noqa: ANN401 - see above
    limits = _properties(PacketTypes.CONNECT)
    limits.MaximumPacketSize = _LONGEST_HEARD
    return limits


def _leaf(topic: str) -> str:
    """What kind of message it is: the last level that is not a name."""
    levels = topic.split("/")
    return "alarm" if levels[-2] == "alarm" else levels[-1]
