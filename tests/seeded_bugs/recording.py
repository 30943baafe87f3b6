"""Bugs of the run itself, its record and what is published of it."""

from __future__ import annotations

from tests.seeded_bugs.bug import Bug

OUTBOX = "tests/unit/test_mqtt_outbox.py"
STORE = "tests/unit/test_store.py"

BUGS = (
    Bug(
        "cursor before the acknowledgement",
        "a cursor never runs ahead of the broker (O2)",
        "cycler_ctl/publish/outbox.py",
        "                self._lane(lane).sending(outgoing.span)\n",
        "                self._lane(lane).sending(outgoing.span)\n"
        "                self._cursors.advance(lane, outgoing.span.last)\n",
        (f"{OUTBOX}::test_any_pattern_of_losses_and_crashes_delivers_every_row",),
    ),
    Bug(
        "published beyond what is durable",
        "a number once visible outside never denotes other content (O1)",
        "cycler_ctl/publish/tracked.py",
        "            _check_cursor(key, lane)\n",
        "",
        (f"{OUTBOX}::test_a_run_file_older_than_what_the_broker_has_is_said_and_not_published",),
    ),
    Bug(
        "a hole in a message",
        "a message names its first row, and the others follow without a hole (O1)",
        "cycler_ctl/publish/outgoing.py",
        "    _check_dense(key.run, rows, span)\n",
        "",
        (f"{OUTBOX}::test_a_run_file_with_a_hole_is_reported_and_the_others_go_on",),
    ),
    Bug(
        "window without end",
        "a bounded number of messages is on the way (O5)",
        "cycler_ctl/publish/outbox.py",
        "        while self._in_flight() + self._flying_again < self._window:",
        "        while True:",
        (f"{OUTBOX}::test_no_more_than_a_window_is_on_the_way",),
    ),
    Bug(
        "sync dropped",
        "a commit returns when the rows are on the disk itself (D1)",
        "cycler_ctl/store/segment.py",
        '        connection.execute("PRAGMA synchronous = FULL")\n        connection.execute("PRAGMA fullfsync = ON")',
        '        connection.execute("PRAGMA synchronous = OFF")\n        connection.execute("PRAGMA fullfsync = OFF")',
        ("tests/service/test_store_kill.py::test_an_acknowledgement_follows_the_sync_of_what_it_acknowledges",),
    ),
    Bug(
        "durable before the commit",
        "durable is said when the commit has returned (D1)",
        "cycler_ctl/store/writer.py",
        "            self._rows += len(rows)\n",
        "            self._rows += len(rows)\n            self.durable_seq = rows[-1].seq\n",
        (f"{STORE}::test_durable_seq_moves_only_after_the_commit_has_returned",),
    ),
    Bug(
        "old epoch after a resume",
        "a run that goes on has an epoch of its own (O6)",
        "cycler_ctl/running/going_on.py",
        "epoch=secrets.randbits(48))",
        "epoch=None)",
        ("tests/service/test_resumed_as_it_was.py::test_the_rows_after_a_resume_are_of_another_epoch",),
    ),
    Bug(
        "numbers used again after a resume",
        "no two rows of a run have one number (D2)",
        "cycler_ctl/store/segment.py",
        '"SELECT coalesce((SELECT seq + 1 FROM samples',
        '"SELECT coalesce((SELECT 1 FROM samples',
        (f"{STORE}::test_an_interrupted_run_goes_on_after_its_last_row",),
    ),
    Bug(
        "gap in the numbers taken",
        "numbers are dense (D2)",
        "cycler_ctl/store/segment.py",
        "    if found != list(wanted):",
        "    if min(found, default=next_seq) < next_seq:",
        (f"{STORE}::test_a_gap_in_the_numbers_is_refused",),
    ),
    Bug(
        "written to after an error",
        "after its first error a file is left alone (D5)",
        "cycler_ctl/store/segment.py",
        '        witness = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, check_same_thread=False)\n'
        '        witness.execute("SELECT run FROM run").fetchone()\n',
        "        pass\n",
        (
            "tests/service/test_store_faults.py::test_after_its_first_error_a_file_is_left_alone_and_every_row_is_in_the_next",
        ),
    ),
    Bug(
        "gap bridged",
        "charge over a gap is inferred and told, never joined by a line (F37)",
        "protocols/running/sampling.py",
        "    return at_s - since_s > longest_s and not isinstance(step, RestStep)",
        "    return False",
        (
            "tests/unit/engine/test_engine_people.py::test_a_gap_while_current_flows_is_told_and_its_charge_inferred_from_the_setpoint",
        ),
    ),
    Bug(
        "capacity by rectangles",
        "charge is the trapezoid of what was measured",
        "protocols/charge.py",
        "    charge = (first_A + last_A) * half_h",
        "    charge = 2 * last_A * half_h",
        ("tests/unit/engine/test_charge.py",),
    ),
    Bug(
        "end point invented",
        "every row is a sample that was measured",
        "protocols/charge.py",
        "    fraction = (voltage_V - before.voltage_V) / (after.voltage_V - before.voltage_V)",
        "    fraction = 1.0",
        ("tests/unit/engine/test_charge.py::test_a_crossing_lies_on_the_line_between_two_samples",),
    ),
    Bug(
        "a row that nobody measured",
        "every row is a sample that was measured",
        "protocols/running/ends.py",
        'Closing(f"abort_if: {reason}", (*others, *ends)))',
        'Closing(f"abort_if: {reason}", ()))',
        (
            "tests/unit/engine/test_engine.py::test_safety_beats_abort_and_abort_beats_until_and_each_lists_the_lower_ones",
        ),
    ),
    Bug(
        "cut-off at a NaN",
        "what is not known meets no condition (F6)",
        "protocols/running/sampling.py",
        "    if not (-OVERFLOW < sample.voltage_V < OVERFLOW and -OVERFLOW < sample.current_A < OVERFLOW):",
        "    if abs(sample.voltage_V) >= OVERFLOW or abs(sample.current_A) >= OVERFLOW:",
        ("tests/unit/engine/test_engine.py::test_a_reading_that_is_no_number_is_a_fault_and_no_row",),
    ),
    Bug(
        "wall clock in a step",
        "all control is on the monotonic clock (F9)",
        "cycler_ctl/runner.py",
        "reading.at_s - self._start_s), self._wanted",
        "self.fit.clock.utc() % 1e6), self._wanted",
        ("tests/service/test_noticing.py::test_a_clock_that_is_set_is_told_and_changes_no_run_time",),
    ),
    Bug(
        "resumed at the first step",
        "a run goes on at the step it was in (I-8)",
        "cycler_ctl/runner.py",
        "engine.begin(program) if remains is None else remains.state",
        "engine.begin(program)",
        (
            "tests/service/test_recovery.py::test_a_run_goes_on_at_its_step_with_its_charge_and_clocks_and_counts_nothing_of_the_gap",
        ),
    ),
    Bug(
        "file read again",
        "a protocol edited while it runs changes nothing (F26)",
        "cycler_ctl/running/start.py",
        "    return replace(order, folder=None, sent={one.name: one.text for one in included})",
        "    return order",
        (
            "tests/unit/test_start.py::test_an_order_carries_the_texts_of_what_it_includes_and_nothing_reads_the_files_again",
        ),
    ),
    Bug(
        "changed program resumed",
        "a run goes on with its own protocol (F26, I-8)",
        "cycler_ctl/running/order.py",
        "    if sha256(info.protocol_text) != info.protocol_sha256:",
        "    if False:",
        ("tests/service/test_recovery.py::test_a_changed_protocol_text_is_refused",),
    ),
    Bug(
        "started without an acknowledge",
        "what has tripped is energised only when a person has seen it (I-8)",
        "cycler_ctl/running/recovery.py",
        "LATCHING = frozenset({Outcome.TRIPPED, Outcome.FAULTED})",
        "LATCHING = frozenset[Outcome]()",
        (
            "tests/service/test_recovery.py::test_a_trip_stays_until_it_is_acknowledged_also_where_the_service_was_started_again",
        ),
    ),
    Bug(
        "resumes by itself",
        "nothing goes on by itself unless the channel says so (I-8)",
        "cycler_ctl/channels/auto_resume.py",
        "    if not (0.0 <= gap_s < settings.auto_resume_gap_s):",
        "    if False:",
        ("tests/service/test_auto_resume.py::test_after_a_longer_gap_it_waits_for_a_person",),
    ),
    Bug(
        "overflow costs a reading",
        "one overflow while current flows ends the run (F6)",
        "cycler_ctl/guarding/losses.py",
        "        if isinstance(error, Overflow) and not isinstance(setpoint, Rest):",
        "        if False:",
        (
            "tests/service/test_look_before_current.py::test_one_overflow_while_current_flows_is_enough_and_at_rest_it_is_not",
        ),
    ),
    Bug(
        "lost readings without end",
        "three of the last five readings lost end the run (F3, F5)",
        "cycler_ctl/guarding/losses.py",
        '    if sum(lost) < TOLERATED:\n        return ""\n',
        '    if sum(lost) < 1000:\n        return ""\n',
        (
            "tests/service/test_look_before_current.py::test_three_bad_answers_of_five_end_a_run_and_every_byte_of_them_is_kept",
        ),
    ),
    Bug(
        "no record, and current",
        "no record, no current (F16)",
        "cycler_ctl/runner.py",
        "        if self._state.phase is Phase.RUNNING and (why := unrecorded(self.fit.recorder)) is not None:\n"
        "            await self._hold_back(why)\n",
        "",
        ("tests/service/test_runner.py::test_without_a_disk_the_run_pauses_and_goes_on_when_there_is_one_again",),
    ),
)
