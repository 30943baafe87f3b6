"""Long answers in JSON, piece by piece: the same text's meaning, and no piece that is long."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cycler_ctl.web.pieces import MOST, in_pieces, pieces

plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(values)
def test_it_is_letter_for_letter_what_one_go_makes(value: object) -> None:
    assert in_pieces(value) == json.dumps(value).encode()


@pytest.mark.parametrize("count", [0, 1, MOST, MOST + 1, 2 * MOST, 2 * MOST + 1])
def test_a_long_list_is_whole_at_any_length(count: int) -> None:
    long = {"columns": {"seq": list(range(count)), "voltage_V": [0.25] * count}, "rows": count}
    assert in_pieces(long) == json.dumps(long).encode()


@pytest.mark.parametrize(
    "long",
    [
        {"columns": {"voltage_V": [0.123456] * 20_000}},
        [{"run": "x", "rows": 1}] * 20_000,
        [[0.123456] * 5_000] * 4,
        {"curves": [{"cycle": 1, "capacity": [0.123456] * 5_000}] * 4},
    ],
)
def test_no_piece_of_a_long_answer_is_long(long: object) -> None:
    assert len(json.dumps(long)) > 100_000
    assert max(len(piece) for piece in pieces(long)) <= MOST * len("0.123456, ")


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_what_is_no_number_is_never_written(number: float) -> None:
    for place in (number, [number], {"a": [[], number]}, [0.0] * 1_000 + [number]):
        with pytest.raises(ValueError, match="not JSON compliant"):
            in_pieces(place)
