"""SCPI helpers, and the 2400 driver's conversation word for word."""

from __future__ import annotations

import re
from itertools import count, islice

import pytest

from cycler_ctl.errors import BadReply, DeviceFault, LinkTimeout
from cycler_ctl.instrument import ConstantCurrent, Flag
from cycler_ctl.testing.transcript import CLEAR, transcript
from drivers import scpi
from drivers.keithley_2400_ratings import SPECS
from drivers.keithley_2400_settings import Drive, drive_for, parse_identity, parse_reading
from drivers.keithley_2400_wire import OFF, safe_off, switch_off
from drivers.scpi import Setting

V_DRIVE = Drive("VOLT", 20.0, 1e-3, 4.2, 2e-4)


@pytest.mark.parametrize(("text", "value"), [("1", 1.0), ("+1.05E-04", 1.05e-4), ("-.5", -0.5), ("2.", 2.0)])
def test_a_number_is_read_as_a_whole(text: str, value: float) -> None:
    assert scpi.number("Q?", text) == value


@pytest.mark.parametrize("text", ["", "1.0V", "1,0", "nan", "inf", "0x1", "1e", "--1", "9.91E37", "-9.9e+37", "1E400"])
def test_what_is_not_a_finite_number_is_a_bad_reply(text: str) -> None:
    with pytest.raises(BadReply):
        scpi.number("Q?", text)


async def test_the_error_queue_is_emptied() -> None:
    # 2400 manual, B-9: a header it does not know.
    with transcript((b":SYST:ERR?", b'-113,"Undefined header"'), (b":SYST:ERR?", b'+0,"No error"')) as link:
        assert await scpi.take_errors(link) == ((-113, "Undefined header"),)


async def test_a_queue_without_end_or_sense_is_a_bad_reply() -> None:
    endless = [(b":SYST:ERR?", b'-350,"Queue overflow"')] * scpi.QUEUE_DEPTH
    with transcript(*endless) as link, pytest.raises(BadReply, match="does not end"):
        await scpi.take_errors(link)
    with transcript((b":SYST:ERR?", b"+1.0E-04")) as link, pytest.raises(BadReply, match="not an entry"):
        await scpi.take_errors(link)


async def test_several_answers_must_be_as_many_as_the_questions() -> None:
    with transcript((b":A?;:B?", b"1; 2")) as link:
        assert await scpi.ask_all(link, (":A", ":B")) == ["1", "2"]
    with transcript((b":A?;:B?", b"1")) as link, pytest.raises(BadReply, match="1 answers to 2 questions"):
        await scpi.ask_all(link, (":A", ":B"))


async def test_bytes_outside_ascii_are_a_bad_reply() -> None:
    with transcript((b"A?", b"\xff1")) as link, pytest.raises(BadReply, match="ASCII"):
        await scpi.ask(link, "A?")


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers of the questions: 16, 17 and on."""
    monkeypatch.setattr(scpi, "nonces", lambda: count(16))


def state(number: int) -> bytes:
    return b":FORM:SREG ASC;*ESE %d;*ESE?;:OUTP?;:OUTP:SMOD?" % number


@pytest.mark.usefixtures("counted")
async def test_off_is_said_only_when_read_back() -> None:
    with transcript((OFF, None), (state(16), b"16;0;HIMP")) as link:
        await switch_off(link)
    tries = enumerate([b"16;1;HIMP", None, b"17;0;HIMP"], start=16)  # the last answers the question before
    refused = [pair for at, answer in tries for pair in ((OFF, None), (state(at), answer), (CLEAR, None))]
    with transcript(*refused) as link, pytest.raises(DeviceFault, match="another question"):
        await switch_off(link)
    tries = enumerate([b"16;1;HIMP", None, b"18;0;NORM"], start=16)
    refused = [pair for at, answer in tries for pair in ((OFF, None), (state(at), answer), (CLEAR, None))]
    with transcript(*refused) as link, pytest.raises(DeviceFault, match="answers :OUTP 0, :OUTP:SMOD NORM"):
        await switch_off(link)


@pytest.mark.usefixtures("counted")
async def test_safe_off_speaks_off_first_then_clears_then_makes_sure() -> None:
    with transcript((OFF, None), (CLEAR, None), (OFF, None), (state(16), b"16;0;HIMP")) as link:
        await safe_off(link)


def test_the_identity_form_of_the_manual_is_understood() -> None:
    # 2400 manual, 16-3, with and without the blanks after the commas.
    for answer in ("KEITHLEY INSTRUMENTS INC., MODEL 2400, 1234567, C34 Sep 21 2010/A02 /K/J",
                   "KEITHLEY INSTRUMENTS INC.,MODEL 2400,1234567,C34 Sep 21 2010/A02 /K/J"):  # fmt: skip
        identity = parse_identity(answer)
        assert (identity.model, identity.serial) == ("2400", "1234567")


def word(*bits: int) -> str:
    return f"{float(sum(1 << bit for bit in bits)):+.6E}"


def test_a_reading_is_three_exact_fields_told_twice_and_its_flags() -> None:
    raw = f"+4.100000E+00,+2.000000E-04,{word(3, 11, 12, 14, 22)}".encode()
    assert parse_reading(raw + b";" + raw + b";4.200000E+00;2.000000E-04", V_DRIVE) == (
        4.1,
        2e-4,
        frozenset({Flag.COMPLIANCE, Flag.FOUR_WIRE}),
    )


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("+9.910000E+37,+2.000000E-04,{ok}", "overflow"),
        ("+4.100000E+00,+9.9E37,{ok}", "overflow"),  # 18-49 and 7-2 print it differently
        ("+4.100000E+00,+2.000000E-04", "not the same three numbers"),
        ("+4.100000E+00,+2.000000E-04,{ok},{ok}", "not the same three numbers"),
        ("+4.10000E+00,+2.000000E-04,{ok}", "not the same three numbers"),
        ("4.100000E+00,+2.000000E-04,{ok}", "not the same three numbers"),
        ("+4.100000E+00,+2.000000E-0,{ok}", "not the same three numbers"),
        ("+4.100000E+00,+2.000000E-04,{over}", "overflow"),
        ("+4.100000E+00,+2.000000E-04,{two_wire}", "another source or sense"),
        ("+4.100000E+00,+2.000000E-04,{unmeasured}", "another source or sense"),
        ("+4.100000E+00,+2.000000E-04,{current_source}", "another source or sense"),
        ("+4.100000E+00,+2.000000E-04,-1.000000E+00", "word of bits"),
    ],
)
def test_anything_else_is_a_bad_reply_never_a_number(raw: str, why: str) -> None:
    words = {
        "ok": word(11, 12, 14, 22),
        "over": word(0, 11, 12, 14, 22),
        "two_wire": word(11, 12, 14),
        "unmeasured": word(11, 14, 22),
        "current_source": word(11, 12, 15, 22),
    }
    with pytest.raises(BadReply, match=why):
        parse_reading(f"{raw};{raw};4.200000E+00;2.000000E-04".format(**words).encode(), V_DRIVE)


@pytest.mark.parametrize(
    ("current_A", "window_V", "edge_V", "range_A", "range_V"),
    [
        (392.7e-6, (0.18, 2.02), 2.02, 1e-3, 20.0),
        (-392.7e-6, (0.18, 2.0), 0.18, 1e-3, 2.0),
        (1e-4, (2.5, 4.2), 4.2, 1e-4, 20.0),
        (-40e-6, (-0.1, 0.19), -0.1, 1e-4, 2.0),
    ],
)
def test_a_current_becomes_the_far_edge_and_the_smallest_ranges_that_hold(
    current_A: float, window_V: tuple[float, float], edge_V: float, range_A: float, range_V: float
) -> None:
    drive = drive_for(ConstantCurrent(current_A, window_V), "bounded", SPECS["2400"], seen_V=1.0)
    assert (drive.function, drive.level, drive.limit) == ("VOLT", edge_V, abs(current_A))
    assert (drive.measure_range, drive.source_range) == (range_A, range_V)


@pytest.mark.parametrize(
    ("setting", "answer", "taken"),
    [
        (Setting(":X", 2e-4, step=5e-8), "+2.000000E-04", True),
        (Setting(":X", 2e-4, step=5e-8), "2.0015E-04", True),
        (Setting(":X", 2e-4, step=5e-8), "2.1E-04", False),
        (Setting(":X", 0.0, step=5e-4), "4E-4", True),
        (Setting(":X", 1e-4, is_range=True), "1.05E-4", True),
        (Setting(":X", 1e-4, is_range=True), "1.05E-3", False),
        (Setting(":X", "HIMP"), "NORM", False),
    ],
)
def test_a_setting_is_taken_within_a_thousandth_or_one_step(setting: Setting, answer: str, taken: bool) -> None:
    if taken:
        setting.confirm(answer)
        return
    with pytest.raises(DeviceFault, match=re.escape(answer)):
        setting.confirm(answer)


async def test_a_time_out_while_asking_stays_a_time_out() -> None:
    with transcript((b"*IDN?", None)) as link, pytest.raises(LinkTimeout):
        await scpi.ask(link, "*IDN?")


async def test_an_identity_counts_only_with_the_number_of_its_own_question() -> None:
    with transcript((b"*ESE 17;*ESE?;*IDN?", b"17;ACME,1"), (b"*ESE 18;*ESE?;*IDN?", b"17;ACME,1")) as link:
        assert await scpi.identity_in_step(link, 17) == "ACME,1"
        with pytest.raises(BadReply, match="another question"):
            await scpi.identity_in_step(link, 18)


def test_numbers_fit_8_bits_and_none_comes_twice_in_240() -> None:
    drawn = list(islice(scpi.nonces(), 240))
    assert len(set(drawn)) == 240
    assert min(drawn) > 9  # no answer to a yes-or-no question
    assert max(drawn) < 256
