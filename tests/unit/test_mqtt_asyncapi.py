"""The description of the MQTT interface for other programs."""

import json
import re
from typing import Any

from cycler_ctl.publish.asyncapi import asyncapi
from protocols.record import EventKind


def refs(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(refs, node.values()))
    return set().union(*map(refs, node)) if isinstance(node, list) else set()


def test_the_document_is_json_and_all_its_references_lead_somewhere() -> None:
    document = json.loads(json.dumps(asyncapi("1.2.3"), allow_nan=False))
    assert (document["asyncapi"], document["info"]["version"]) == ("3.0.0", "1.2.3")
    found = refs(document)
    assert found
    for ref in found:
        node = document
        for part in ref.removeprefix("#/").split("/"):
            node = node[part]


def test_every_address_s_parameters_are_declared() -> None:
    for channel in asyncapi("0")["channels"].values():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == channel["parameters"].keys()


def test_every_kind_of_event_has_one_shape() -> None:
    document = asyncapi("0")
    schemas = document["components"]["schemas"]
    kinds = [schemas["StepEnded"]["properties"]["kind"]["const"], *schemas["Event"]["properties"]["kind"]["enum"]]
    assert sorted(kinds) == sorted(EventKind)


def test_what_others_send_to_a_station_is_received_and_the_rest_is_sent() -> None:
    operations = asyncapi("0")["operations"]
    received = {name for name, operation in operations.items() if operation["action"] == "receive"}
    assert {"need", "sink"} <= received
    assert not received & {"status", "state", "samples", "event", "summary", "manifest", "alarm", "last", "meta"}
