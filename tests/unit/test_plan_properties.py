"""What a plan says of any protocol without conditions, the engine does: steps, cycle numbers, time."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cycler_ctl.predict import model_of, predict
from cycler_ctl.terminal.predicted import Predicted
from protocols.check import check_text
from protocols.model import Program
from protocols.plan import Plan, plan
from protocols.record import Outcome

HEAD = (
    "protocol: 1\nname: any\ncell: {name: g, nominal_capacity: 40 mAh, discharge_means: lithiate}\nrecord: every 60 s\n"
)
MINUTES = st.integers(1, 5)
SAMPLE_EVERY_S = 5.0
SLACK_S = SAMPLE_EVERY_S + 0.2  # one sample, and the settling of a new setpoint


def listed(steps: list[str]) -> str:
    return f"[{', '.join(steps)}]"


LEAVES = st.one_of(
    MINUTES.map("rest: {} min".format),
    MINUTES.map("charge: {{at: 1 mA, for: {} min}}".format),
    MINUTES.map("hold: {{at: 3.9 V, for: {} min, current_limit: 2 mA}}".format),
    st.tuples(MINUTES, MINUTES).map(
        lambda ns: f"gitt: {{charge: {{at: 1 mA, for: 1 min}}, rest: {ns[0]} min, pulses: {ns[1]}}}"
    ),
)


def repeats(steps: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    blocks = st.lists(steps, min_size=1, max_size=3).map(listed)
    counts = st.sampled_from(["", "count_cycles: yes, ", "count_cycles: no, "])
    loops = st.tuples(st.integers(1, 3), counts, blocks).map(
        lambda it: f"repeat: {{times: {it[0]}, {it[1]}steps: {it[2]}}}"
    )
    walks = st.tuples(st.integers(1, 2), st.lists(MINUTES, min_size=1, max_size=3), blocks).map(
        lambda it: (
            f"repeat: {{times: {it[0]}, for_each: {{t: {listed([f'{n} min' for n in it[1]])}}}, "
            f"steps: [rest: $t, {it[2][1:]}}}"
        )
    )
    return st.one_of(loops, walks)


PROTOCOLS = st.lists(st.recursive(LEAVES, lambda inner: st.one_of(inner, repeats(inner)), max_leaves=5), min_size=1)


def program_of(steps: list[str]) -> Program:
    checked = check_text(f"{HEAD}steps: {listed(steps)}\n", "p.yaml")
    assert checked.program is not None, checked.diagnostics
    return replace(checked.program, settings=replace(checked.program.settings, sample_every_s=SAMPLE_EVERY_S))


def executed(planned: Plan) -> int:
    """Steps of the record: of a train of n pulses there are 2 n."""
    return sum(each.times * (2 * int(each.train.split()[0]) if each.train else 1) for each in planned.steps)


def first_cycles(steps: tuple[Predicted, ...]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in steps:
        path = each.path.removesuffix(".p")
        found.setdefault(path, each.step.cycle)
    return found


@pytest.mark.timeout(600)
def test_the_engine_does_what_the_plan_of_any_timed_protocol_says(request: pytest.FixtureRequest) -> None:
    examples = 400 if request.config.getoption("--campaign") else 20  # each waits for the disk a few times
    quietly = settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    quietly(given(PROTOCOLS.filter(lambda steps: len(steps) <= 4))(agrees))()


def agrees(steps: list[str]) -> None:
    """The plan of a protocol and its run."""
    program = program_of(steps)
    planned = plan(program)
    with TemporaryDirectory() as folder:
        found = predict(program, model_of("nmc", program.cell), Path(folder))
    assert found.outcome is Outcome.FINISHED, found.reason
    assert len(found.steps) == executed(planned)
    assert planned.bounded
    assert planned.at_most_s <= found.total_s + 1e-6
    assert found.total_s <= planned.at_most_s + SLACK_S * len(found.steps)
    seen = first_cycles(found.steps)
    said: dict[str, int] = {}
    for each in planned.steps:
        said.setdefault(each.path, each.cycles.first)
    assert {path: seen[path] for path in said} == said


def test_a_plan_that_were_wrong_by_a_pass_would_be_seen() -> None:
    program = program_of(["repeat: {times: 2, steps: [rest: 1 min]}"])
    more = program_of(["repeat: {times: 3, steps: [rest: 1 min]}"])
    with TemporaryDirectory() as folder:
        found = predict(program, model_of("nmc", program.cell), Path(folder))
    assert len(found.steps) == executed(plan(program)) != executed(plan(more))
    assert found.total_s == pytest.approx(plan(program).at_most_s, abs=2 * SLACK_S)
