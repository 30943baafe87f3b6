"""Bugs of outputs, wires, drivers, lease and guardian."""

from __future__ import annotations

from tests.seeded_bugs.bug import Bug

WIRE = "tests/wire/test_keithley_2400.py"
EACH = "tests/wire/test_all_drivers.py"
LINKS = "tests/wire/test_links.py"
STILL = "tests/wire/test_stood_still.py"
DEATHS = "tests/service/guardian/test_guardian.py"

BUGS = (
    Bug(
        "off without read-back",
        "off is said only when it was read back (I-11, F34)",
        "drivers/keithley_2400_wire.py",
        "            if state == OFF_LEFT:\n                return\n",
        "            return\n",
        (f"{EACH}::test_an_output_that_does_not_go_off_is_never_said_to_be_off[keithley_2400]",),
    ),
    Bug(
        "off said on a sent command",
        "off is said only when it was read back (I-11, F34)",
        "cycler_ctl/running/output.py",
        "        except (InstrumentError, TimeoutError) as error:\n            self.off_confirmed = False\n",
        "        except (InstrumentError, TimeoutError) as error:\n            self.off_confirmed = True\n",
        (
            "tests/unit/test_output.py::test_off_is_said_only_when_it_was_read_back",
            "tests/service/test_runner.py::test_a_lost_connection_is_said_until_off_was_read_back_over_a_new_one",
        ),
    ),
    Bug(
        "catch-all around off",
        "an error on the way to off is never silence (I-7)",
        "drivers/keithley_2400_wire.py",
        '    raise DeviceFault(f"the output of {link.address} could not be confirmed off: {problem}")',
        "    return",
        (f"{EACH}::test_an_output_that_does_not_go_off_is_never_said_to_be_off[keithley_2400]",),
    ),
    Bug(
        "off-mode NORMAL",
        "off means high impedance: 0 V would drain the cell (I-11)",
        "drivers/keithley_2400_settings.py",
        'Setting(":OUTP:SMOD", "HIMP")',
        'Setting(":OUTP:SMOD", "NORM")',
        (f"{WIRE}::test_connecting_says_off_before_anything_else_and_leaves_it_high_impedance",),
    ),
    Bug(
        "two wires",
        "the voltage is sensed in four wires (I-1)",
        "drivers/keithley_2400_settings.py",
        'Setting(":SYST:RSEN", "1")',
        'Setting(":SYST:RSEN", "0")',
        (f"{WIRE}::test_bounded_current_is_a_voltage_source_at_the_windows_edge_with_the_current_as_limit",),
    ),
    Bug(
        "auto-range",
        "ranges are fixed within a step (F46)",
        "drivers/keithley_2400_settings.py",
        "        return Setting(header, self.measure_range, is_range=True)",
        '        return Setting(f"{header}:AUTO", "1")',
        (f"{WIRE}::test_every_current_is_reached_from_every_range_on_one_fixed_range",),
    ),
    Bug(
        "V and I swapped",
        "a voltage is a voltage",
        "drivers/keithley_2400_settings.py",
        "voltage_V, current_A, status_word = float(found[1]), float(found[2]), float(found[3])",
        "current_A, voltage_V, status_word = float(found[1]), float(found[2]), float(found[3])",
        (f"{WIRE}::test_bounded_current_is_a_voltage_source_at_the_windows_edge_with_the_current_as_limit",),
    ),
    Bug(
        "sign of the current turned",
        "positive oxidises the working electrode, in every driver",
        "drivers/keithley_2400_settings.py",
        "    return voltage_V, current_A, flags_of(status)",
        "    return voltage_V, -current_A, flags_of(status)",
        (f"{WIRE}::test_a_charge_a_rest_and_a_discharge_are_read_as_they_flow",),
    ),
    Bug(
        "window's wrong edge",
        "a bounded current walks into the edge it goes towards (I-2)",
        "drivers/keithley_2400_settings.py",
        "            edge_V = window_V[1] if current_A > 0 else window_V[0]",
        "            edge_V = window_V[0] if current_A > 0 else window_V[1]",
        (f"{WIRE}::test_bounded_current_is_a_voltage_source_at_the_windows_edge_with_the_current_as_limit",),
    ),
    Bug(
        "overflow is a number",
        "what an instrument could not measure is an error, never a number (F6)",
        "drivers/keithley_2400_settings.py",
        "    if not (abs(voltage_V) < scpi.OVERFLOW and abs(current_A) < scpi.OVERFLOW):",
        "    if False:",
        ("tests/unit/test_scpi_helpers.py::test_anything_else_is_a_bad_reply_never_a_number",),
    ),
    Bug(
        "late answer believed",
        "after a time-out no answer is believed until the link is in step (F4)",
        "cycler_ctl/link/stream.py",
        "        if not self._in_step and self._lost is None:\n            raise out_of_step(self._address)\n",
        "",
        (
            f"{LINKS}::test_after_a_time_out_no_question_is_answered_until_the_link_was_cleared[None]",
            f"{LINKS}::test_a_cancelled_query_leaves_the_link_out_of_step",
        ),
    ),
    Bug(
        "old answer believed",
        "what lay in the computer for longer than a stall may last is no answer, for its time would be false (F12)",
        "cycler_ctl/link/stream.py",
        "        if (past_s := self._loop.time() - self._deadline_s) > STALL_S:",
        "        if (past_s := self._loop.time() - self._deadline_s) > 1e9:",
        (
            f"{STILL}::test_an_answer_that_lay_in_the_computer_for_long_is_no_answer[None]",
            f"{STILL}::test_contact_is_not_lost_where_it_was_the_computer_that_stood_still",
        ),
    ),
    Bug(
        "bare output-on after a reboot",
        "an instrument that was reset is energised only through the whole arm sequence (F7)",
        "drivers/keithley_2400.py",
        "            self._drive = None\n            raise NotAsLeft(",
        "            await switch_on(self._link)\n            return\n            raise NotAsLeft(",
        (f"{WIRE}::test_a_rebooted_instrument_is_found_and_never_just_switched_on",),
    ),
    Bug(
        "identity not asked again",
        "who answers is asked at every resync (F45)",
        "drivers/doubt.py",
        "    if found != known:",
        "    if False:",
        (f"{WIRE}::test_another_instrument_behind_the_same_address_is_a_fault",),
    ),
    Bug(
        "any serial number at reconnect",
        "off is confirmed by the instrument that was on (F45)",
        "cycler_ctl/channels/host.py",
        "        if self._hurried.is_set() and self._seen not in {None, instrument.identity.serial}:",
        "        if False:",
        ("tests/service/test_host.py::test_another_instrument_in_its_place_cannot_confirm_that_an_output_is_off",),
    ),
    Bug(
        "leaving without off",
        "a connection is left with its output off (I-7)",
        "drivers/keithley_2400.py",
        "        yield SourceMeter(link, identity, output)\n    finally:\n        await output.turn_off()",
        "        yield SourceMeter(link, identity, output)\n    finally:\n        pass",
        (f"{EACH}::test_leaving_turns_every_output_off[keithley_2400]",),
    ),
    Bug(
        "no lease",
        "no current without a lease (F12)",
        "cycler_ctl/watching/lease.py",
        '        self._send(f"lease {self._sequence} {channel} {round(lease_s * 1000)}\\n")',
        "        return",
        ("tests/unit/test_lease.py::test_renewals_are_few_and_their_numbers_count_every_reading",),
    ),
    Bug(
        "lease ignored",
        "a lease that lapses turns the output off (F12)",
        "cycler_ctl/watching/lease.py",
        "if not (now_s <= until_s)]",
        "if False]",
        (
            "tests/unit/test_lease.py::test_a_lease_lapses_when_its_time_is_over_and_not_before",
            f"{DEATHS}::test_a_stopped_station_leaves_its_output_off_within_lease_and_a_second",
        ),
    ),
    Bug(
        "old lease lines renew",
        "only a growing number is news (I-6)",
        "cycler_ctl/watching/lease.py",
        "        grows = sequence > self._sequence\n",
        "        grows = sequence > 0\n",
        ("tests/unit/test_lease.py::test_only_a_growing_sequence_number_renews",),
    ),
    Bug(
        "lease renewed by a timer",
        "health is earned by work done, never by a timer (I-6)",
        "cycler_ctl/running/output.py",
        "        self.off_confirmed = True\n        self.applied: Setpoint | None = None\n",
        "        self.off_confirmed = True\n        self.applied: Setpoint | None = None\n\n"
        "        def again() -> None:\n"
        "            self.renew()\n"
        "            asyncio.get_running_loop().call_later(0.5, again)\n\n"
        "        again()\n",
        ("tests/unit/test_output.py::test_a_lease_is_renewed_by_work_and_by_no_timer",),
    ),
    Bug(
        "on before it is on disk",
        "an output is in the register before it goes on (F11)",
        "cycler_ctl/running/output.py",
        "                await self._fit.lease.will_energise(self._fit.name, self._fit.safe_off, self._lease_s)\n",
        "",
        ("tests/service/test_runner.py::test_the_register_names_the_channel_before_its_output_goes_on",),
    ),
    Bug(
        "register not synced",
        "what is in the register survives a power cut (F14)",
        "cycler_ctl/watching/register.py",
        "            os.fsync(file.fileno())\n",
        "",
        ("tests/unit/test_register.py::test_a_register_is_on_the_disk_before_it_takes_its_name",),
    ),
    Bug(
        "guardian without a first off",
        "first of all: off (F11)",
        "cycler_ctl/guardian.py",
        '        await self._all_off()\n        notify("READY=1")',
        '        notify("READY=1")',
        (f"{DEATHS}::test_the_first_act_is_off_for_what_an_earlier_life_left_on",),
    ),
    Bug(
        "restarted for ever",
        "three restarts in a minute, then latched off (I-9)",
        "cycler_ctl/watching/latch.py",
        "for at_s in self._at_s) >= RESTARTS:\n            return False\n",
        "for at_s in self._at_s) >= RESTARTS:\n            return True\n",
        (f"{DEATHS}::test_after_three_restarts_the_station_stays_down_with_its_output_off",),
    ),
)
