"""Names of topics."""

import re

from hypothesis import given
from hypothesis import strategies as st

from cycler_ctl.publish.topics import Topics, level


def test_a_station_s_topics_are_those_of_the_interface() -> None:
    topics = Topics("kasuga", "lab-3")
    assert topics.status == "cycler/v1/kasuga/lab-3/status"
    assert topics.meta == "cycler/v1/kasuga/lab-3/meta"
    assert topics.instrument_status("smu1") == "cycler/v1/kasuga/lab-3/instrument/smu1/status"
    assert topics.channel("a1", "samples") == "cycler/v1/kasuga/lab-3/channel/a1/samples"
    assert topics.client_id == "cycler-kasuga-lab-3"


def test_what_is_a_level_already_stays_as_it_is() -> None:
    assert level("a_1-b") == "a_1-b"


def test_what_would_be_a_wildcard_a_separator_or_a_secret_topic_becomes_harmless() -> None:
    assert level("+/#") == "_"
    assert level("$SYS") == "sys"
    assert level("Lab 3/b") == "lab-3-b"


@given(st.text())
def test_every_level_is_one_level(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9_-]+", level(text))
