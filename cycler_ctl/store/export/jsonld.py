"""The export described as linked data: a dataset in the terms of schema.org, its columns in those of the format's ontology.

What nobody has said is not made up: who made the data and under which licence they may be used is the laboratory's to add.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from cycler_ctl.records.bdf import BdfColumn
from cycler_ctl.store.export.metadata import Table, media_type
from cycler_ctl.store.reader import RunReader
from protocols.record import JSON

TERMS = "https://w3id.org/battery-data-alliance/ontology/battery-data-format#"
CONTEXT: JSON = [
    "https://w3id.org/emmo/domain/battery/context",
    {"schema": "https://schema.org/", "bdf": TERMS},
]


def jsonld(reader: RunReader, columns: Sequence[BdfColumn], tables: Sequence[Table]) -> dict[str, JSON]:
    info = reader.info
    return {
        "@context": CONTEXT,
        "@type": "schema:Dataset",
        "schema:name": f"{info.cell.get('name') or 'cell'}: {info.protocol_name or 'cycling'}",
        "schema:description": f"Battery cycling data of run {info.run}, in the Battery Data Format",
        "schema:identifier": info.run,
        "schema:temporalCoverage": _interval(info.started_utc_s, reader.state.ended_utc_s),
        "schema:sourceOrganization": {"@type": "schema:Organization", "schema:name": info.site},
        "schema:about": {"@type": ["schema:Product", "Battery"], "schema:name": str(info.cell.get("name") or "")},
        "schema:measurementTechnique": info.protocol_name or "cycling",
        "schema:instrument": _instrument(info.instrument),
        "schema:variableMeasured": [_variable(column) for column in columns],
        "schema:distribution": [_file(table) for table in tables],
    }


def _interval(started_utc_s: float, ended_utc_s: float | None) -> str:
    """As ISO 8601 writes it; ``..`` is an end that has not come."""
    return f"{_time(started_utc_s)}/{'..' if ended_utc_s is None else _time(ended_utc_s)}"


def _time(utc_s: float) -> str:
    return f"{datetime.fromtimestamp(utc_s, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _instrument(instrument: Mapping[str, JSON]) -> JSON:
    words = (str(instrument[key]) for key in ("maker", "model") if instrument.get(key))
    return {
        "@type": "schema:Product",
        "schema:name": " ".join(words),
        "schema:serialNumber": str(instrument.get("serial") or ""),
    }


def _variable(column: BdfColumn) -> JSON:
    name, _, unit = column.label.partition(" / ")
    return {
        "@type": "schema:PropertyValue",
        "schema:name": column.label,
        "schema:alternateName": name,
        "schema:propertyID": f"{TERMS}{column.machine_name}",
        "schema:unitText": unit,
    }


def _file(table: Table) -> JSON:
    return {
        "@type": "schema:DataDownload",
        "schema:name": table.name,
        "schema:contentUrl": table.name,
        "schema:encodingFormat": media_type(table.name),
        "schema:contentSize": f"{table.byte_size} B",
        "schema:sha256": table.sha256,
    }
