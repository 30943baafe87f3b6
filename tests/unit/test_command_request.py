"""Bytes become a request only when every field fits and the signature is the station's own."""

from __future__ import annotations

import json
from typing import Any

import pytest
from commanded import SECRETS, STATION, fields, sign
from hypothesis import given
from hypothesis import strategies as st

from cycler_ctl.commanding.request import LONGEST, Refused, Request, Role, Why, authentic

KEYS = {Role(name): secret.encode() for name, secret in SECRETS.items()}
NOW_S = 1_795_000_000.0


def judged(payload: bytes, *, channel: str = "a1", retained: bool = False) -> Request | Refused:
    return authentic(payload, channel, STATION, KEYS, retained=retained)


def why(payload: bytes, **how: Any) -> Why | None:
    found = judged(payload, **how)
    return found.why if isinstance(found, Refused) else None


def test_a_request_that_is_signed_as_documented_is_understood() -> None:
    found = judged(sign(fields(NOW_S)))
    assert isinstance(found, Request)
    assert found.by == "A. Researcher (mqtt tablet-1, role operate)"
    assert found.expires_utc_s - found.issued_utc_s == 30.0


@pytest.mark.parametrize("name", [*fields(NOW_S), "signature"])
def test_no_field_may_be_missing_or_of_another_kind(name: str) -> None:
    whole = json.loads(sign(fields(NOW_S)))
    wrong: tuple[object, ...] = (None, 7.5, True, "", "x\n", [], {})
    for value in wrong:
        assert why(json.dumps({**whole, name: value}).encode()) in {Why.MALFORMED, Why.UNSIGNED}, value
    del whole[name]
    assert why(json.dumps(whole).encode()) is Why.MALFORMED


@pytest.mark.parametrize("name", [name for name in fields(NOW_S) if name not in {"v", "role", "action"}])
def test_a_field_that_was_changed_after_signing_is_not_believed(name: str) -> None:
    whole = json.loads(sign(fields(NOW_S)))
    other = {
        "cmd_id": "00000000-0000-4000-8000-000000000000",
        "issued_at": "2026-01-01T00:00:00.000Z",
        "expires": "2026-01-01T00:00:00.000Z",
        "channel": "a2",
        "expected_state_version": "f" * 16,
    }
    changed = {**whole, name: other.get(name, "m" * 22)}
    assert why(json.dumps(changed).encode()) is Why.UNSIGNED


def test_an_action_that_was_changed_after_signing_is_not_believed() -> None:
    whole = json.loads(sign(fields(NOW_S)))
    assert why(json.dumps({**whole, "action": "skip"}).encode()) is Why.UNSIGNED
    assert why(json.dumps({**whole, "role": "start"}).encode()) is Why.UNSIGNED


@pytest.mark.parametrize("action", ["resume", "acknowledge", "upload", "limits", "Stop", "begin"])
def test_what_is_never_taken_over_mqtt_is_no_request(action: str) -> None:
    assert why(sign(fields(NOW_S, action=action))) is Why.MALFORMED


def test_a_command_for_another_station_or_channel_is_refused() -> None:
    assert why(sign(fields(NOW_S), station="kasuga/lab-4")) is Why.UNSIGNED
    assert why(sign(fields(NOW_S), station="other/lab-3")) is Why.UNSIGNED
    assert why(sign(fields(NOW_S)), channel="a2") is Why.CHANNEL


def test_each_role_has_its_own_secret_and_one_without_is_nobody() -> None:
    assert why(sign(fields(NOW_S), secret=SECRETS["start"])) is Why.UNSIGNED
    assert why(sign(fields(NOW_S), secret="")) is Why.UNSIGNED
    only = {Role.OPERATE: KEYS[Role.OPERATE]}
    found = authentic(sign(fields(NOW_S, role="start")), "a1", STATION, only, retained=False)
    assert isinstance(found, Refused)
    assert found.why is Why.UNSIGNED


def test_a_retained_command_is_refused_whoever_signed_it() -> None:
    assert why(sign(fields(NOW_S)), retained=True) is Why.RETAINED


def test_only_start_names_an_order_and_must() -> None:
    assert why(sign(fields(NOW_S, order="0" * 64))) is Why.MALFORMED
    assert why(sign(fields(NOW_S, action="start", role="start"))) is Why.MALFORMED
    assert why(sign(fields(NOW_S, action="start", role="start", order="0" * 64))) is None


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * LONGEST,
        b'{"a":' * 3000,
        b'{"v": NaN}',
        b'{"v": 1, "v": 1}',
        b'{"v": 1e999}',
        b'{"v": "\\ud800"}',
    ],
)
def test_what_is_no_request_is_refused_and_nothing_more(payload: bytes) -> None:
    assert why(payload) is Why.MALFORMED


def test_what_is_longer_than_16_KiB_is_not_even_parsed() -> None:
    assert why(b" " * LONGEST) is Why.MALFORMED
    assert why(b" " * (LONGEST + 1)) is Why.TOO_LONG


def test_there_is_no_time_on_the_30th_of_february() -> None:
    assert why(sign(fields(NOW_S, issued_at="2026-02-30T00:00:00.000Z"))) is Why.MALFORMED


@given(st.binary(max_size=300))
def test_no_bytes_are_an_error_of_ours(payload: bytes) -> None:
    assert isinstance(judged(payload), Refused)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda inner: st.lists(inner, max_size=3)
)


@given(st.dictionaries(st.sampled_from([*fields(NOW_S), "signature", "order", "more"]), JSONS))
def test_no_other_json_is_a_request_however_much_it_looks_like_one(changed: dict[str, Any]) -> None:
    whole = json.loads(sign(fields(NOW_S)))
    payload = json.dumps({**whole, **changed}).encode(errors="surrogatepass")
    same = {name: value for name, value in {**whole, **changed}.items() if value is not None} == whole
    assert isinstance(judged(payload), Refused) or same
