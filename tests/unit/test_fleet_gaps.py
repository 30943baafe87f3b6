"""When a station is asked for rows that did not come."""

from __future__ import annotations

import json
from itertools import pairwise

from cycler_ctl.fleet.gaps import AGAIN_MOST_S, AT_ONCE, PATIENCE_S, Asking, Gap, need
from cycler_ctl.publish.models import Need


def gap(first: int, last: int = 9) -> Gap:
    return Gap("lab", "pc1", "20260101-000000-a-b3nc", 7, first, last)


def test_a_young_gap_is_left_to_close_by_itself() -> None:
    gaps = Asking[Gap]()
    assert gaps.due([gap(1)], 0.0) == []
    assert gaps.due([], PATIENCE_S) == []
    assert gaps.due([gap(1)], PATIENCE_S) == []
    assert gaps.due([gap(1)], 2 * PATIENCE_S) == [gap(1)]


def test_what_is_not_answered_is_asked_for_ever_more_seldom() -> None:
    gaps, asked = Asking[Gap](), list[float]()
    for second in range(40_000):
        if gaps.due([gap(1)], float(second)):
            asked.append(second)
    pauses = [after - before for before, after in pairwise(asked)]
    assert pauses[0] == 2 * PATIENCE_S
    assert pauses == sorted(pauses)
    assert pauses[-1] == AGAIN_MOST_S


def test_a_thousand_gaps_are_not_asked_for_at_once() -> None:
    gaps, many = Asking[Gap](), [gap(first, first) for first in range(1, 2001, 2)]
    gaps.due(many, 0.0)
    assert len(gaps.due(many, PATIENCE_S)) == AT_ONCE
    assert len(gaps.due(many, PATIENCE_S + 1)) == AT_ONCE


def test_a_request_is_what_the_stations_model_takes() -> None:
    topic, payload = need(gap(3), "historian")
    assert topic == "cycler/v1/lab/pc1/need"
    said = Need.model_validate_json(payload)
    assert (said.epoch, said.from_seq, said.to_seq, said.client) == (7, 3, 9, "historian")
    assert list(json.loads(payload)) == ["v", "run", "epoch", "from_seq", "to_seq", "client"]
