"""The recipe of the guide is what the station understands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from commanded import SECRETS, STATION

from cycler_ctl.commanding.request import SIGNED, Request, Role, authentic

GUIDE = Path(__file__).resolve().parents[2] / "docs/guide/commands-over-mqtt.md"
KEYS = {Role(name): secret.encode() for name, secret in SECRETS.items()}
TOLD = {"nonce": "n" * 22, "channel": "a1", "state_version": "0" * 16}


def recipe() -> dict[str, Any]:
    (code,) = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - as a reader would run it
    return names


@pytest.mark.parametrize(("action", "role", "order"), [("stop", "operate", None), ("start", "start", "0" * 64)])
def test_a_command_that_is_signed_by_the_guides_recipe_is_understood(action: str, role: str, order: str | None) -> None:
    made = recipe()["signed"](TOLD, action, station=STATION, secret=SECRETS[role], role=role, order=order)
    found = authentic(made.encode(), "a1", STATION, KEYS, retained=False)
    assert isinstance(found, Request), found
    assert found.actor == "me"


def test_the_guide_names_the_signed_fields_in_their_order() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert tuple(re.findall(r"^(\w+)=…$", text, re.MULTILINE)) == SIGNED
    assert recipe()["SIGNED"] == SIGNED
