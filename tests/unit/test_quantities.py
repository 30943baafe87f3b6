"""Quantities: strict numbers, explicit units, and errors that say what to write."""

import math
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocols.quantities import (
    ANY_CURRENT,
    Dimension,
    QuantityError,
    format_duration,
    format_number,
    parse_positive,
    parse_quantity,
    parse_range,
    read_quantity,
)
from protocols.units import UNITS


@pytest.mark.parametrize(
    ("text", "value", "dimension"),
    [
        ("0.2 V", 0.2, Dimension.VOLTAGE),
        ("-100 mV", -0.1, Dimension.VOLTAGE),
        ("5uV", 5e-6, Dimension.VOLTAGE),
        ("5 μA", 5e-6, Dimension.CURRENT),
        ("5 µA", 5e-6, Dimension.CURRENT),
        ("0.05 mA", 5e-5, Dimension.CURRENT),
        ("0.5 mA/cm2", 5e-4, Dimension.CURRENT_DENSITY),
        ("0.5 mA/cm^2", 5e-4, Dimension.CURRENT_DENSITY),
        ("0.5 mA/cm²", 5e-4, Dimension.CURRENT_DENSITY),
        ("5 A/m2", 5e-4, Dimension.CURRENT_DENSITY),
        ("20 mA/g", 0.02, Dimension.SPECIFIC_CURRENT),
        ("0.1C", 0.1, Dimension.C_RATE),
        ("2C", 2.0, Dimension.C_RATE),
        ("C/10", 0.1, Dimension.C_RATE),
        ("1 h", 3600.0, Dimension.TIME),
        ("5 d", 432000.0, Dimension.TIME),
        ("250 ms", 0.25, Dimension.TIME),
        ("2 minutes", 120.0, Dimension.TIME),
        ("2038 mAh/g", 2.038, Dimension.SPECIFIC_CAPACITY),
        ("372 Ah/kg", 0.372, Dimension.SPECIFIC_CAPACITY),
        ("3.2 mAh/cm2", 0.0032, Dimension.AREAL_CAPACITY),
        ("3 mWh", 0.003, Dimension.ENERGY),
        ("120 °C", 120.0, Dimension.TEMPERATURE),
        ("120 degC", 120.0, Dimension.TEMPERATURE),
        ("298.15 K", 25.0, Dimension.TEMPERATURE),
        ("3.6 mV/h", 1e-6, Dimension.SLOPE),
        ("70 %", 0.7, Dimension.RATIO),
        ("2.0 mg", 0.002, Dimension.MASS),
        ("10 mm", 1.0, Dimension.LENGTH),
        ("100 mm2", 1.0, Dimension.AREA),
        ("1e3 s", 1000.0, Dimension.TIME),
    ],
)
def test_a_quantity_reads_as(text: str, value: float, dimension: Dimension) -> None:
    quantity = read_quantity(text)
    assert (quantity.value, quantity.dimension) == (value, dimension)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("0,5 V", "number"),
        ("1_000 V", "number"),
        ("٩.1 V", "number"),
        ("９ V", "number"),
        ("nan V", "number"),
        ("inf V", "number"),
        (".inf", "number"),
        ("0x10 V", "unit-unknown"),
        (".5 V", "number"),
        ("5. V", "number"),
        ("1.2.3 V", "number"),
        ("−5 V", "number"),
        ("", "number"),
        ("$j", "number"),
        ("C", "number"),
        ("C/0", "out-of-range"),
        ("C/nan", "number"),
        ("1e99 V", "out-of-range"),
        ("1e-99 V", "out-of-range"),
        ("1e999999999 V", "unit-unknown"),
        ("0.5", "unit-missing"),
        ("10 m", "unit-unknown"),
        ("1 h 30 min", "unit-unknown"),
        ("2 Ma", "unit-unknown"),
        ("1 M", "unit-unknown"),
        ("3 v", "unit-unknown"),
    ],
)
def test_what_is_no_quantity_is_refused(text: str, code: str) -> None:
    with pytest.raises(QuantityError) as caught:
        read_quantity(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "help_text"),
    [
        ("0,5 V", "write '0.5 V'"),
        ("1,000 V", "write '1.000 V' or '1000 V'"),
        ("−5 V", "write '-5 V'"),
        ("10 mAH", "did you mean 'mAh' (units are case-sensitive)?"),
        ("10 m", "did you mean 'min' (m could be milli, metre or minute)?"),
        ("1 h 30 min", "give one number and one unit, for example '90 min'"),
        ("0.5 mA cm-2", "did you mean 'mA/cm2'?"),
        ("2 hr", "did you mean 'h'?"),
    ],
)
def test_the_help_says_what_to_write(text: str, help_text: str) -> None:
    with pytest.raises(QuantityError) as caught:
        read_quantity(text)
    assert caught.value.help == help_text


def test_a_wrong_dimension_is_named() -> None:
    with pytest.raises(QuantityError, match=r"at needs a current .* but '0.5 V' is a voltage"):
        parse_quantity("0.5 V", ANY_CURRENT, subject="at")


def test_a_c_rate_for_a_temperature_is_met_with_the_degree_sign() -> None:
    with pytest.raises(QuantityError) as caught:
        parse_quantity("25 C", Dimension.TEMPERATURE, subject="temperature")
    assert caught.value.help is not None
    assert "did you mean '25 °C'" in caught.value.help


@pytest.mark.parametrize(("text", "word"), [("0 s", "zero"), ("-1 s", "negative")])
def test_positive_means_above_zero(text: str, word: str) -> None:
    with pytest.raises(QuantityError, match=f"for '{text}' is {word}"):
        parse_positive(text, Dimension.TIME, subject="for")


def test_a_range_has_two_ends_in_order() -> None:
    low, high = parse_range("-0.5 V to 5 V", Dimension.VOLTAGE)
    assert (low.value, high.value) == (-0.5, 5.0)


@pytest.mark.parametrize(
    ("text", "code", "offset"),
    [
        ("5 V to -0.5 V", "out-of-range", 0),
        ("5 V to 5 V", "out-of-range", 0),
        ("5 V", "shape", 0),
        ("1 V to 5", "unit-missing", 7),
        ("1 V to 2 to 3 V", "unit-unknown", 9),
        ("1 V to 5 mA", "dimension", 7),
    ],
)
def test_a_bad_range_is_refused(text: str, code: str, offset: int) -> None:
    with pytest.raises(QuantityError) as caught:
        parse_range(text, Dimension.VOLTAGE, subject="voltage")
    assert (caught.value.code, caught.value.offset) == (code, offset)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(90, "90 s"), (600, "10 min"), (3600, "60 min"), (7200, "2 h"), (36992, "10.3 h"), (369923, "4.28 d")],
)
def test_a_duration_is_said_in_the_unit_people_take(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.03926990817, "0.03927"), (12345.6, "12346"), (0.00003927, "0.00003927"), (-5.0, "-5")]
)
def test_a_number_is_said_without_an_exponent(value: float, text: str) -> None:
    assert format_number(value) == text


@given(st.decimals(min_value="-999999", max_value="999999", places=6), st.sampled_from(sorted(UNITS)))
@example(number=Decimal(0), unit="V")
def test_every_number_with_every_unit_reads_exactly(number: Decimal, unit: str) -> None:
    quantity = read_quantity(f"{number:f} {unit}")
    exact = float(number) * float(UNITS[unit].factor) + float(UNITS[unit].offset)
    assert math.isclose(quantity.value, exact, rel_tol=1e-12, abs_tol=1e-12)


@given(st.text(max_size=40))
@example("C/ 1")
@example("1 V to ")
def test_any_text_is_a_finite_quantity_or_an_error_inside_it(text: str) -> None:
    fault = None
    try:
        assert math.isfinite(read_quantity(text).value)
    except QuantityError as error:
        fault = error
    assert fault is None or (fault.message and 0 <= fault.offset <= len(text))
