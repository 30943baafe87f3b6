"""One connection for commands: its own client id and credentials, clean, subscribed to ``cmd`` and nothing else."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from cycler_ctl.commanding.desk import Outgoing
from cycler_ctl.commanding.request import LONGEST
from cycler_ctl.errors import CyclerError
from cycler_ctl.publish.endpoint import Credentials, Endpoint

LONGEST_PACKET = LONGEST + 1024  # a request with its topic; what is longer must not even be read
CONNECT_S = 5.0
ANSWER_S = 10.0
TURN_S = 0.1
_WAITING = 100  # replies that a slow broker has not taken; more are dropped
_AT_ONCE = 20
Protocol = MQTTProtocolVersion


class LinkLostError(CyclerError):
    """The connection cannot be made or is gone; the message says why. ``not_welcome``: the broker does not know us."""

    def __init__(self, message: str, *, not_welcome: bool = False) -> None:
        super().__init__(message)
        self.not_welcome = not_welcome


class _Bounded(paho.Client):
    """MQTT 3.1.1 has no largest packet: what announces itself as longer ends the connection before it is read."""

    too_long = False

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > LONGEST_PACKET:
            self.too_long = True
            raise ConnectionAbortedError(f"a packet of more than {LONGEST_PACKET} bytes")
        return super()._sock_recv(bufsize)

    def release(self) -> None:
        """The library would close its sockets only when it is collected."""
        self._reset_sockets()


@dataclass(frozen=True, slots=True)
class Whereto:
    """``hear``: (channel, payload, retained) of each message; ``channels`` by the topics of their requests."""

    endpoint: Endpoint
    credentials: Credentials
    client_id: str
    channels: Mapping[str, str]
    hear: Callable[[str, bytes, bool], None]


class Link:
    """Connected and subscribed, or LinkLostError. ``turn`` is called all the time; everything in one thread."""

    def __init__(self, to: Whereto, protocol: Protocol, ending: Callable[[], bool]) -> None:
        self._to = to
        self._ending = ending
        self._connected: ReasonCode | None = None
        self._subscribed = False
        self._refused = ""
        self._client = _client(to, protocol)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        try:
            self._connect(protocol)
        except LinkLostError:
            self._client.release()
            raise

    def turn(self) -> None:
        """Read, write, and keep alive, for at most ``TURN_S``."""
        try:
            code = self._client.loop(TURN_S)
        except ValueError as error:  # a topic that is no UTF-8
            raise LinkLostError(f"it sent what is not MQTT ({error})") from error
        if code != MQTTErrorCode.MQTT_ERR_SUCCESS:
            if self._client.too_long:
                raise LinkLostError(f"somebody sent a command of more than {LONGEST_PACKET} bytes: connection cut")
            raise LinkLostError(self._refused or "the connection was lost")

    def say(self, message: Outgoing) -> None:
        self._client.publish(message.topic, message.payload, qos=1, retain=message.retain)

    def close(self) -> None:
        """What was said last goes out first."""
        with contextlib.suppress(ValueError):  # as above, and again: the library still holds what it could not read
            self._client.loop(0.0)
            self._client.disconnect()
            self._client.loop(TURN_S)
        self._client.release()

    def _connect(self, protocol: Protocol) -> None:
        to = self._to.endpoint
        try:
            if protocol is Protocol.MQTTv5:
                self._client.connect(to.host, to.port, clean_start=True, properties=_own_limits())
            else:
                self._client.connect(to.host, to.port)
            for _ in range(round(ANSWER_S / TURN_S)):
                self.turn()
                if self._subscribed or self._ending():
                    return
        except OSError as error:  # ssl.SSLError is one
            raise LinkLostError(str(error)) from error
        except LinkLostError as error:
            rejected = self._connected is not None and self._connected.is_failure
            raise LinkLostError(str(error), not_welcome=rejected and _not_welcome(self._connected)) from error
        raise LinkLostError("no answer, or not as an MQTT broker")

    def _on_connect(self, client: paho.Client, _data: object, _flags: object, code: ReasonCode, _more: object) -> None:
        self._connected = code
        if code.is_failure:
            self._refused = f"it refused us ({code})"
        elif client.protocol is Protocol.MQTTv5:
            # as published: there the broker tells of a message that is to be retained, so that it can be refused
            options = SubscribeOptions(
                qos=1, retainAsPublished=True, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND
            )
            client.subscribe([(topic, options) for topic in self._to.channels])
        else:
            client.subscribe([(topic, 1) for topic in self._to.channels])

    def _on_subscribe(self, _client: object, _data: object, _mid: object, codes: list[ReasonCode], _: object) -> None:
        self._subscribed = not any(code.is_failure for code in codes)
        if not self._subscribed:
            self._refused = "it does not let us read the topics of commands: see its access list"
            self._client.disconnect()

    def _on_message(self, _client: object, _data: object, message: paho.MQTTMessage) -> None:
        channel = self._to.channels.get(message.topic)
        if channel is not None:
            self._to.hear(channel, bytes(message.payload), message.retain)


def _client(to: Whereto, protocol: Protocol) -> _Bounded:
    clean = None if protocol is Protocol.MQTTv5 else True
    client = _Bounded(
        CallbackAPIVersion.VERSION2,
        client_id=to.client_id,
        clean_session=clean,
        protocol=protocol,
        reconnect_on_failure=False,
    )
    client.connect_timeout = CONNECT_S
    client.max_queued_messages_set(_WAITING)
    client.max_inflight_messages_set(_AT_ONCE)
    client.on_socket_open = _no_delay
    if to.credentials.username is not None:
        client.username_pw_set(to.credentials.username, to.credentials.password)
    if to.endpoint.tls is not None:
        client.tls_set_context(to.endpoint.tls)  # pyright: ignore[reportUnknownMemberType] - the library's own
    return client


def _no_delay(_client: object, _data: object, link: object) -> None:
    if isinstance(link, socket.socket):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _own_limits() -> Properties:
    """Nothing waits for us at the broker, and it must not send us what is too long."""
    limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    limits.SessionExpiryInterval = 0
    limits.MaximumPacketSize = LONGEST_PACKET
    limits.ReceiveMaximum = _AT_ONCE
    return limits


def _not_welcome(code: ReasonCode | None) -> bool:
    """Bad user name or password, or not authorised: asking again soon is of no use."""
    return code is not None and code.value in {134, 135}
