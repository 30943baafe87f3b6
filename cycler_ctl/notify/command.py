"""``cycler-ctl notify test``: does a message arrive?"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from cycler_ctl.config import find_config, load_config
from cycler_ctl.errors import ConfigError
from cycler_ctl.notify.message import trial
from cycler_ctl.notify.sending import Sender, refuse_unready
from cycler_ctl.notify.services import Answer
from cycler_ctl.settings import NotifyRule


def send_tests(only: str, config_path: Path | None, *, as_json: bool) -> int:
    """Without the service, as this user: 0 only if every service of every rule took the message."""
    config = load_config(find_config(config_path))
    rules = wanted(config.notify, only)
    refuse_unready(rules)
    answers = {name: Sender(rule).send(trial(config.station.name, name)) for name, rule in rules.items()}
    if as_json:
        said = [{"rule": name, **asdict(answer)} for name, found in answers.items() for answer in found]
        sys.stdout.write(json.dumps(said) + "\n")
    else:
        sys.stdout.writelines(_line(name, answer) for name, found in answers.items() for answer in found)
    return 0 if all(answer.ok for found in answers.values() for answer in found) else 1


def wanted(rules: Mapping[str, NotifyRule], only: str) -> Mapping[str, NotifyRule]:
    """All rules, or the one named; ConfigError where there is none."""
    if not rules:
        advice = 'write [notify.phone] with to_file = "secrets/phone", a file with one address a line'
        raise ConfigError(f"station.toml has no rule of notification: {advice}")
    if only and only not in rules:
        raise ConfigError(f"there is no rule {only!r}: there are {', '.join(sorted(rules))}")
    return {only: rules[only]} if only else rules


def _line(rule: str, answer: Answer) -> str:
    said = answer.said or ("took the message" if answer.ok else "did not take the message")
    return f"{rule}: {answer.service or 'nothing was sent'}: {'ok' if answer.ok else 'FAILED'}: {said}\n"
