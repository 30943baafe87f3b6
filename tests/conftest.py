"""Rules for every test: no cell is harmed, nothing is left behind, and in CI nothing is skipped."""

from __future__ import annotations

import gc
import signal
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import bytecode
import pytest
import together
from judged import NOT_OUR_DRIVER, judge, no_cell_is_harmed, provokes

__all__ = ["judge", "no_cell_is_harmed", "provokes"]

GONE_WITHIN_S = 5.0
# Each takes a worker for long: they begin first, the longest at the head, so that none is left alone at the end; all
# tests in the browser begin with test_page.py.
LONGEST = (
    "test_simulation.py",
    "test_page.py",
    "test_whole.py",
    "test_demo.py",
    "test_alarm_in_time.py",
    "test_names.py",
    "test_all_drivers.py",
    "test_runner.py",
    "test_five_protocols.py",
    "test_guardian.py",
    "test_store_every_call.py",
    "test_wheel.py",
    "test_deaths.py",
    "test_holds.py",
    "test_figures.py",
    "test_resume_hazards.py",
    "test_library.py",
    "test_store_crash.py",
    "test_link_faults.py",
    "test_idle.py",
    "test_two_outputs.py",
    "test_store_kill.py",
    "test_mqtt_exact.py",
    "test_keithley_2400.py",
    "test_gate_table.py",
    "test_guide.py",
    "test_language_hostile.py",
    "test_queue_on_a_channel.py",
    "test_fits_a_terminal.py",
    "test_five_protocols_palmsens_emstat4.py",
    "test_whole_ends.py",
    "test_http.py",
    "test_first_station.py",
    "test_guardian_stuck.py",
    "test_whole_holds.py",
    "test_beyond_the_window.py",
    "test_whole_deaths.py",
    "test_soak.py",
    "test_hostile_prepare.py",
    "test_whole_mqtt.py",
    "test_recovery.py",
    "test_language_fuzz.py",
    "test_commands.py",
    "test_escalation.py",
    "test_paused_look.py",
    "test_terminal.py",
    "test_hostile_imports.py",
    "test_fmt.py",
    "test_repair.py",
    "test_verify_process.py",
    "test_engine_properties.py",
    "test_mqtt_mosquitto.py",
    "test_whole_queue.py",
    "test_no_skips.py",
    "test_replay_kill.py",
    "test_seeded_bugs.py",
    "test_runner_2600.py",
    "test_fleet_kills.py",
    "test_progress.py",
    "test_fleet_late.py",
    "test_page_thread.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a skipped test fails the run (CI)")
    parser.addoption(
        "--campaign", action="store_true", help="the long form of the campaigns: the same code, more of it"
    )


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts what it runs in the background deaf to Ctrl-C, and so would be every program that a test starts.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    bytecode.kept(config)
    config.addinivalue_line("markers", f"{NOT_OUR_DRIVER}: the test itself or another program drives the simulator")
    config.option.loadscopereorder = False  # xdist's own order, most tests first, leaves few but long ones to the end


@contextmanager
def uncollected() -> Generator[None]:
    """What reading the tests makes stays to the end: to look through it for garbage again and again took a third of ``pytest --co``."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    with bytecode.first_alone(session.config), uncollected():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    return together.scheduler(config, log)


@pytest.fixture(autouse=True, scope="session")
def own_locks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Several runs of these tests on one computer must not meet in its lock folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CYCLER_CTL_LOCKS", str(tmp_path_factory.mktemp("locks")))
        yield


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """A thread that outlives its test belongs to nobody. (Tasks and sockets left behind warn, and warnings fail.)"""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(GONE_WITHIN_S)
        if thread.is_alive():
            pytest.fail(f"thread {thread.name!r} was left behind")


def skips_that_fail(config: pytest.Config) -> int:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    return len(reporter.stats.get("skipped", [])) if reporter and config.getoption("--no-skips") else 0


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == 0 and skips_that_fail(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if count := skips_that_fail(config):
        terminalreporter.write_line(f"--no-skips: {count} skipped, which fails this run", red=True)
