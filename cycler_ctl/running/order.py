"""What a run's record says of how it was asked for: enough to ask for the same again."""

from __future__ import annotations

from collections.abc import Mapping

from cycler_ctl.errors import RefusedError
from cycler_ctl.running.start import Order, sha256
from cycler_ctl.store.info import RunInfo
from protocols.reading.documents import Document
from protocols.record import JSON


def order_of(info: RunInfo, by: str) -> Order:
    """What was asked for at the start, from the texts in the run file."""
    documents = info.settings.get("documents")
    beside = [_whole(info.run, table_of(one)) for one in (documents if isinstance(documents, list) else [])]
    if sha256(info.protocol_text) != info.protocol_sha256:
        raise cannot(info.run, "the protocol's text in its record was changed")
    asked = table_of(info.settings.get("order"))
    cell = beside.pop() if asked.get("cell") is not None and beside else None  # the last: it may be named as another
    return Order(
        Document(str(asked.get("file", "protocol.yaml")), info.protocol_text),
        cell,
        {name: str(value) for name, value in table_of(asked.get("overrides")).items()},
        sent={one.name: one.text for one in beside},
        by=by,
    )


def _whole(run: str, document: Mapping[str, JSON]) -> Document:
    name, text = str(document.get("name")), str(document.get("text"))
    if sha256(text) != document.get("sha256"):
        raise cannot(run, f"the text of {name} in its record was changed")
    return Document(name, text)


def cannot(run: str, why: str) -> RefusedError:
    advice = "it stays readable as it is, and 'cycler-ctl acknowledge' frees the channel"
    return RefusedError(f"run {run} cannot go on: {why}; {advice}")


def table_of(value: JSON) -> Mapping[str, JSON]:
    return value if isinstance(value, Mapping) else {}
