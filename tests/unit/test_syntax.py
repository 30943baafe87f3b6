"""YAML with places: everything is text, and what could surprise or swell is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.diagnostics import render
from protocols.syntax import LARGEST_FILE, SLOW_PARSER_FILE, Mapping, Parsed, Scalar, Sequence, parse


def first_code(parsed: Parsed) -> str:
    return parsed.diagnostics[0].code


def value_of(text: str) -> Scalar:
    root = parse(text, "f").root
    assert isinstance(root, Mapping)
    value = root.entries[0].value
    assert isinstance(value, Scalar)
    return value


@pytest.mark.parametrize("text", ["no", "1:30", "0042", "on", "1e3", "0x1F", "null", "~", "2026-01-01", ".nan", "true"])
def test_a_scalar_stays_the_text_it_is(text: str) -> None:
    assert value_of(f"a: {text}\n").value == text


def test_places_count_characters_from_one() -> None:
    scalar = value_of("µµ: 0.5 °C\n")
    assert (scalar.mark.line, scalar.mark.column) == (1, 5)
    assert scalar.at(4).column == 9


def test_a_quoted_text_is_pointed_into_behind_its_quote() -> None:
    assert value_of("a: '0.5 hh'\n").at(4).column == 9
    assert value_of('a: "0.5 hh"\n').at(4).column == 9


def test_a_folded_or_escaped_text_is_pointed_at_as_a_whole() -> None:
    assert value_of("a: >\n  one\n  two\n").at(5).column == 4
    assert value_of('a: "\\x41 b"\n').at(2).column == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x b\n", "YAML anchors (&x) are not allowed"),
        ("a: *x\n", "YAML aliases (*x) are not allowed"),
        ("a: !!float 1\n", "YAML tags (!!float) are not allowed"),
        ("a: !python/object:os.system x\n", "YAML tags (!python/object:os.system) are not allowed"),
        ("<<: {a: b}\n", "YAML merge keys (<<) are not allowed"),
        ("a: b\n---\nc: d\n", "a second YAML document in one file is not allowed"),
        ("%YAML 1.1\n---\na: b\n", "YAML directives (%) are not allowed"),
        ("? [a]\n: b\n", "a name must be plain text, not a list or a mapping"),
        ("{{a: b}: c}\n", "a name must be plain text, not a list or a mapping"),
    ],
)
def test_what_yaml_can_do_beyond_text_is_refused(text: str, message: str) -> None:
    parsed = parse(text, "f")
    assert parsed.root is None
    assert (parsed.diagnostics[0].code, parsed.diagnostics[0].message) == ("yaml-feature", message)


def test_twenty_levels_are_read_and_twenty_one_are_not() -> None:
    assert parse("[" * 20 + "a" + "]" * 20, "f").root is not None
    assert first_code(parse("[" * 21 + "a" + "]" * 21, "f")) == "limit"


@pytest.mark.parametrize("text", ["[" * 500_000, "- " * 500_000, "{a: " * 200_000])
def test_a_deep_file_is_refused_at_once(text: str) -> None:
    assert first_code(parse(text, "f")) == "limit"


def test_a_file_may_be_one_mebibyte_and_no_more() -> None:
    assert parse("#" + "x" * (LARGEST_FILE - 7) + "\na: b\n", "f").root is not None
    assert first_code(parse("#" + "x" * LARGEST_FILE + "\na: b", "f")) == "limit"
    assert first_code(parse("#" + "µ" * (LARGEST_FILE // 2) + "\na: b", "f")) == "limit"


def test_a_large_file_may_not_hold_tabs() -> None:
    parsed = parse("a: b\n" * 2 + "#" + "x" * SLOW_PARSER_FILE + "\n# \there\n", "f")
    assert first_code(parsed) == "yaml-syntax"
    assert (parsed.diagnostics[0].line, parsed.diagnostics[0].column) == (4, 3)


def test_the_first_of_two_equal_keys_is_kept_and_each_repetition_reported() -> None:
    parsed = parse("a: 1\nb: {c: 1, c: 2}\na: 2\na: 3\n", "f")
    assert isinstance(parsed.root, Mapping)
    assert [entry.key.value for entry in parsed.root.entries] == ["a", "b"]
    assert [(d.line, d.message) for d in parsed.diagnostics] == [
        (2, "'c' is given twice in b (first on line 2)"),
        (3, "'a' is given twice in the file (first on line 1)"),
        (4, "'a' is given twice in the file (first on line 1)"),
    ]


def test_a_thousand_repetitions_are_enough_to_report() -> None:
    assert len(parse("a: b\n" * 5000, "f").diagnostics) == 1000


@pytest.mark.parametrize("letter", ["\0", "\x1b", "\x7f", "\ud800", "\uffff"])
def test_a_character_no_text_file_holds_is_named(letter: str) -> None:
    parsed = parse(f"a: b\nc: d{letter}\n", "f")
    diagnostic = parsed.diagnostics[0]
    assert (diagnostic.code, diagnostic.line, diagnostic.column) == ("yaml-syntax", 2, 5)
    assert f"U+{ord(letter):04X}" in diagnostic.message


def test_no_message_can_steer_the_terminal() -> None:
    for diagnostic in parse('a: 1\n"a\\x1b[2J": 1\n"a\\x1b[2J": 2\n', "f\x1b.yaml").diagnostics:
        assert "\x1b" not in render(diagnostic)


def test_a_byte_order_mark_does_not_shift_the_columns() -> None:
    assert value_of("\ufeffa: b\n").mark.column == 4


@pytest.mark.parametrize(
    ("text", "place", "help_text"),
    [
        ("a: 'b\nc: d\n", (1, 4), "a quotation mark is never closed"),
        ("a: [b\n", (2, 1), "a bracket is never closed, or a comma is missing"),
        ("a: @b\n", (1, 4), "put quotes around text that begins with this character"),
        ("a: - b\n", (1, 4), "begin a list on a new line, each item with '- '"),
    ],
)
def test_a_syntax_error_says_where_and_what_to_do(text: str, place: tuple[int, int], help_text: str) -> None:
    diagnostic = parse(text, "f").diagnostics[0]
    assert (diagnostic.line, diagnostic.column) == place
    assert diagnostic.help == help_text


def test_lists_keep_their_items_in_order() -> None:
    root = parse("- a\n- [b, c]\n", "f").root
    assert isinstance(root, Sequence)
    assert len(root.items) == 2


@given(st.text(alphabet=st.sampled_from("ab:-? \n\t[]{}&*!|>'\"%#,\\\r\x85\u2028µ0.$"), max_size=60))
def test_any_text_gives_nodes_or_a_diagnostic_inside_the_text(text: str) -> None:
    parsed = parse(text, "f")
    for diagnostic in parsed.diagnostics:
        assert 1 <= diagnostic.line <= len(parsed.source.lines)
        assert 1 <= diagnostic.column <= len(parsed.source.lines[diagnostic.line - 1]) + 1
        assert render(diagnostic)
