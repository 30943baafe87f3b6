"""Why a broker cannot be used, as one sentence that says what to do; never with a secret in it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

from aiomqtt.exceptions import MqttConnectError

from cycler_ctl.publish.endpoint import Endpoint

# MQTT 5 names of CONNACK's "bad user name or password" and "not authorized", as paho gives them for 3.1.1 too.
_NOT_WELCOME = frozenset({134, 135})
# OpenSSL, x509_vfy.h: X509_V_ERR_...
_REASONS = {
    9: "its certificate is not valid yet: is this computer's clock right?",
    10: "its certificate has expired: it needs a new one",
    18: "its certificate is signed by itself: name it in ca_file, if you trust it",
    19: "its certificate comes from an authority that ca_file does not name",
    20: "its certificate comes from an authority that ca_file does not name",
    21: "its certificate comes from an authority that ca_file does not name",
    62: "its certificate is for another host: write the name in the certificate, or give the broker one for this name",
    64: "its certificate is for another host: write the name in the certificate, or give the broker one for this address",
}
# OpenSSL's names of what the other side says about our certificate.
_ALERTS = (
    ("CERTIFICATE_REQUIRED", "it wants a client certificate: name cert_file and key_file"),
    ("HANDSHAKE_FAILURE", "it wants another client certificate (cert_file), or no common cipher"),
    ("UNKNOWN_CA", "it does not trust the authority of cert_file"),
    ("CERTIFICATE_EXPIRED", "cert_file has expired"),
    ("CERTIFICATE_REVOKED", "cert_file was revoked"),
    ("BAD_CERTIFICATE", "it does not take the certificate of cert_file"),
    ("CERTIFICATE_UNKNOWN", "it does not take the certificate of cert_file"),
    ("PROTOCOL_VERSION", "it speaks no TLS 1.2 or newer"),
    ("UNSUPPORTED_PROTOCOL", "it speaks no TLS 1.2 or newer"),
    ("WRONG_VERSION_NUMBER", "it does not speak TLS on this port"),
    ("RECORD_LAYER_FAILURE", "it does not speak TLS on this port"),
)


class NotHeard(Exception):  # noqa: N818 - what happened
    """The broker acknowledged a message and did not hand it on."""


def not_welcome(failure: BaseException) -> bool:
    """It will not know us in a second either."""
    refused = isinstance(failure, MqttConnectError) and getattr(failure.rc, "value", failure.rc) in _NOT_WELCOME
    return refused or isinstance(failure, NotHeard)


def explain(broker: Endpoint, failure: BaseException) -> str:
    if isinstance(failure, NotHeard):
        return f"{broker.url}: {failure}"
    if not_welcome(failure):
        return f"{broker.url} refused us ({failure}): check username and password_file in [mqtt], and its rights"
    why = next(filter(None, map(_tls_reason, _all(broker, failure))), None)
    if why is not None:
        return f"{broker.url}: {why}"
    if str(failure) == "Operation timed out":  # how the library says it, for want of any answer
        return f"{broker.url} does not answer, or not as an MQTT broker"
    return f"{broker.url}: {failure}"


def _all(broker: Endpoint, failure: BaseException) -> Iterator[BaseException]:
    """The failure and what led to it; what the broker said about us came on another way."""
    if broker.tls is not None and broker.tls.complaint is not None:
        yield broker.tls.complaint
    error: BaseException | None = failure
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _tls_reason(error: BaseException) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _REASONS.get(error.verify_code, f"its certificate cannot be trusted: {error.verify_message}")
    if not isinstance(error, ssl.SSLError):
        return None
    if isinstance(error, ssl.SSLEOFError):  # mosquitto's way of refusing a certificate, and of asking for one
        return "it closed the connection in the middle of TLS: it may want a client certificate (cert_file), or another"
    reason = error.reason or ""
    return next((words for name, words in _ALERTS if name in reason), f"TLS failed: {reason or error}")
