"""Every call that changes something, as the API's own description lists them: who may not, is refused. And 0 crashes."""

from __future__ import annotations

import re
import sys
from collections import Counter
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from cycler_ctl.web import gate

TOKEN = "a-token-for-tests-" + "x" * 25
AUTH = {"authorization": f"Bearer {TOKEN}"}
JSON = {"content-type": "application/json"}
ORIGIN = "http://localhost"
ENDLESS = "/api/v1/stream"
CHANGING = {"post", "put", "patch", "delete"}

REFUSED: dict[str, tuple[dict[str, str], int]] = {
    "without a token": (JSON, 401),
    "with another token": (JSON | {"authorization": "Bearer " + "y" * 43}, 401),
    "with the token as a cookie": (JSON | {"cookie": f"token={TOKEN}"}, 401),
    "by a foreign host name": (AUTH | JSON | {"host": "evil.example"}, 421),
    "by a name that begins as ours": (AUTH | JSON | {"host": "localhost.evil.example"}, 421),
    "from a foreign origin": (AUTH | JSON | {"origin": "https://evil.example"}, 403),
    "from a sandboxed frame": (AUTH | JSON | {"origin": "null"}, 403),
    "from another site": (AUTH | JSON | {"sec-fetch-site": "cross-site"}, 403),
    "from another port of this computer": (AUTH | JSON | {"sec-fetch-site": "same-site"}, 403),
    "as a form": (AUTH | {"content-type": "application/x-www-form-urlencoded"}, 415),
    "as a form with files": (AUTH | {"content-type": "multipart/form-data; boundary=x"}, 415),
    "as plain text": (AUTH | {"content-type": "text/plain"}, 415),
    "as nothing": (AUTH, 415),
}


async def changing(client: httpx.AsyncClient) -> list[tuple[str, str]]:
    """(method, path) of each, with a channel that is there."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    named = {path: re.sub(r"\{[a-z_]+\}", "a1", path) for path in paths}
    return [(method, named[path]) for path, methods in paths.items() for method in methods if method in CHANGING]


async def test_no_changing_call_comes_through_but_with_token_own_host_own_site_and_json(
    client: httpx.AsyncClient, lab: Any
) -> None:
    calls = await changing(client)
    assert {path.rsplit("/", 1)[-1] for _, path in calls} >= {"start", "amend", "queue", "move", "ready", "release"}
    assert len(calls) >= 17
    for method, path in calls:
        for how, (headers, status) in REFUSED.items():
            answer = await client.request(method.upper(), path, content=b"{}", headers=headers)
            assert answer.status_code == status, (method, path, how)
            assert isinstance(answer.json()["detail"], str)
    assert lab.actions.asked == []


async def test_the_same_calls_come_through_the_gate_when_nothing_is_wrong(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate.Bucket, "take", lambda _bucket, _now_s: True)
    for method, path in await changing(client):
        answer = await client.request(method.upper(), path, content=b"{}", headers=AUTH | JSON)
        assert answer.status_code in {200, 404, 409, 422}, (method, path, answer.text)


async def test_every_body_is_capped(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, lab: Any) -> None:
    monkeypatch.setattr(gate.Bucket, "take", lambda _bucket, _now_s: True)
    for method, path in await changing(client):
        most = gate.START_BODY_LIMIT if path.endswith(gate.WITH_PROTOCOLS) else gate.BODY_LIMIT
        answer = await client.request(method.upper(), path, content=b" " * (most + 1), headers=AUTH | JSON)
        assert answer.status_code == 413, (method, path)
    assert lab.actions.asked == []


def requests_of(document: dict[str, Any], each: int) -> list[Any]:
    """Prepared requests to every call of the description: as it allows, and otherwise."""
    import requests  # here, and not by every worker that reads the tests: they take half a second
    import schemathesis
    from schemathesis import GenerationMode
    from schemathesis.core.result import Ok

    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    asked = [one for one in operations if one.path != ENDLESS]
    found: list[tuple[str, Any]] = []

    @settings(
        max_examples=each * len(asked),
        database=None,
        derandomize=True,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def collect(data: st.DataObject) -> None:
        operation = data.draw(st.sampled_from(asked))
        mode = data.draw(st.sampled_from(list(GenerationMode)))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        found.append((operation.label, case.as_transport_kwargs(base_url=ORIGIN)))

    collect()
    assert len({label for label, _ in found}) > 0.6 * len(asked)
    return [requests.Request(**one).prepare() for _, one in found]


async def test_nothing_that_its_own_description_allows_or_forbids_is_a_server_error(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.setattr(gate.Bucket, "take", lambda _bucket, _now_s: True)
    document = (await client.get("/openapi.json")).json()
    answered: Counter[int] = Counter()
    for made in requests_of(document, 200 if pytestconfig.getoption("--campaign") else 5):
        own = {name: value for name, value in made.headers.items() if name.lower() == "content-type"}
        path = made.url.removeprefix(ORIGIN)
        answer = await client.request(made.method, path, content=made.body or b"", headers=AUTH | own)
        answered[answer.status_code] += 1
        assert answer.status_code < 500, (made.method, path, made.body)
    assert {200, 422} <= set(answered)
    assert answered.total() > 40
    sys.stderr.write(
        f"F24 by HTTP: requests made of the description, by how they were answered: {dict(sorted(answered.items()))}\n"
    )
