"""The AsyncAPI 3 document of the MQTT interface, generated from the models."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from cycler_ctl.commanding.models import NonceMessage, ReplyMessage, RequestMessage
from cycler_ctl.publish import models
from cycler_ctl.publish.topics import ROOT
from cycler_ctl.records.bdf import bdf_columns

JsonObject = dict[str, Any]
_STATION = f"{ROOT}/{{site}}/{{station}}"
_CHANNEL = f"{_STATION}/channel/{{channel}}"
_PARAMETERS = ("site", "station", "channel", "instrument", "alarm", "client")
_CHANNELS: dict[str, tuple[str, tuple[type[BaseModel], ...]]] = {
    "status": (f"{_STATION}/status", (models.StationOnline, models.StationOffline)),
    "meta": (f"{_STATION}/meta", (models.Meta,)),
    "instrumentStatus": (f"{_STATION}/instrument/{{instrument}}/status", (models.InstrumentMessage,)),
    "state": (f"{_CHANNEL}/state", (models.ChannelMessage,)),
    "samples": (f"{_CHANNEL}/samples", (models.Samples,)),
    "event": (f"{_CHANNEL}/event", (models.StepEnded, models.Event)),
    "summary": (f"{_CHANNEL}/summary", (models.Summary,)),
    "manifest": (f"{_CHANNEL}/manifest", (models.Manifest,)),
    "alarm": (f"{_STATION}/alarm/{{alarm}}", (models.AlarmMessage,)),
    "need": (f"{_STATION}/need", (models.Need, models.NeedRuns)),
    "runs": (f"{_STATION}/runs", (models.Runs,)),
    "sink": (f"{_STATION}/sink/{{client}}", (models.SinkReport,)),
    "nonce": (f"{_CHANNEL}/nonce", (NonceMessage,)),
    "command": (f"{_CHANNEL}/cmd", (RequestMessage,)),
    "reply": (f"{_STATION}/reply/{{client}}", (ReplyMessage,)),
}
_RECEIVED = frozenset({"need", "sink", "command"})
"""What others send to the station."""


def asyncapi(version: str) -> JsonObject:
    """``version`` is the program's."""
    schemas: JsonObject = {"Latest": latest_schema()}
    channels: JsonObject = {"last": _channel(f"{_CHANNEL}/last", ("Latest",))}
    for name, (address, shapes) in _CHANNELS.items():
        channels[name] = _channel(address, tuple(shape.__name__ for shape in shapes))
        schemas |= {shape.__name__: _schema(shape) for shape in shapes}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "cycler-ctl",
            "version": version,
            "description": "A station over MQTT 3.1.1; what MQTT 5 adds is never the only carrier.",
        },
        "channels": channels,
        "operations": {name: _operation(name) for name in channels},
        "components": {
            "schemas": schemas,
            "messages": {
                name: {"contentType": "application/json", "payload": _ref("schemas", name)} for name in schemas
            },
        },
    }


def latest_schema() -> JsonObject:
    """The newest sample, flat: numbers under the machine names of the Battery Data Format."""
    named = {
        column.machine_name: {"title": column.label, "type": ["number", "string", "null"]} for column in bdf_columns()
    }
    seq = {"type": "integer", "description": "of the newest recorded row; this sample itself need not be recorded"}
    properties = named | {"run": {"type": "string"}, "seq": seq}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _schema(shape: type[BaseModel]) -> JsonObject:
    """With its own definitions inside it."""
    return shape.model_json_schema(ref_template=f"#/components/schemas/{shape.__name__}/$defs/{{model}}")


def _channel(address: str, names: tuple[str, ...]) -> JsonObject:
    parameters: JsonObject = {name: {} for name in _PARAMETERS if f"{{{name}}}" in address}
    messages = {name: _ref("messages", name) for name in names}
    return {"address": address, "parameters": parameters, "messages": messages}


def _operation(name: str) -> JsonObject:
    return {"action": "receive" if name in _RECEIVED else "send", "channel": {"$ref": f"#/channels/{name}"}}


def _ref(kind: str, name: str) -> JsonObject:
    return {"$ref": f"#/components/{kind}/{name}"}
