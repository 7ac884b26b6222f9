"""Tables and settings as people write them, and what is said where they cannot be used."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from derive.worked.comparison import agrees
from derive.worked.errors import WorkedError
from derive.worked.numerals import read_number, written
from derive.worked.settings import Setting, SettingError, check, memory, padding, pair
from derive.worked.tables import MOST_BYTES, TableError, parse_table, read_table

F = Fraction


@pytest.mark.parametrize(
    "text, value",
    [
        ("3", F(3)),
        ("-3", F(-3)),
        ("−3", F(-3)),
        ("+3", F(3)),
        ("0.1", F(1, 10)),
        (".5", F(1, 2)),
        ("5.", F(5)),
        ("1/3", F(1, 3)),
        ("-2/4", F(-1, 2)),
        ("1 / 3", F(1, 3)),
        ("2e-3", F(1, 500)),
        ("1E2", F(100)),
        (" 7 ", F(7)),
        ("-0", F(0)),
        ("0.30000000000000004", F(30000000000000004, 10**17)),
    ],
)
def test_numbers_are_read_exactly(text: str, value: Fraction) -> None:
    assert read_number(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x",
        "1,5",
        "1/0",
        "nan",
        "inf",
        "-inf",
        "1/2/3",
        "1.2.3",
        "--1",
        "1e999",
        "9" * 99,
        "½",
        "٣",
        ".",
        "1_000",
        "0x1",
    ],
)
def test_what_is_no_number_is_not_read(text: str) -> None:
    assert read_number(text) is None


@given(st.fractions(max_denominator=10**4).filter(lambda value: abs(value) < 10**6))
def test_what_is_written_exactly_reads_back(value: Fraction) -> None:
    text = written(value)
    back = read_number(text)
    assert back is not None
    assert back == value or ("/" not in text and abs(back - value) <= abs(value) / 1000 + F(1, 20000))


@pytest.mark.parametrize(
    "value, text",
    [
        (F(3), "3"),
        (F(-1, 2), "−0.5"),
        (F(1, 3), "1/3"),
        (F(1, 8), "0.125"),
        (2**0.5, "1.4142"),
        (0.0, "0"),
        (-0.00001, "−1e−05"),
        (F(10**9), "1000000000"),
        (F(123456789, 987654321), "0.125"),
        (12.5, "12.5"),
    ],
)
def test_numbers_are_written_shortly(value: Fraction | float, text: str) -> None:
    assert written(value) == text


@pytest.mark.parametrize(
    "text",
    [
        "1,2\n3,4",
        "1;2\n3;4\n",
        "1\t2\r\n3\t4\r\n",
        "1 2\n3 4",
        "  1   2 \n\n 3   4\n\n",
        "1, 2\n3, 4\n",
        '"1","2"\n"3","4"',
        "\ufeff1,2\n3,4",
    ],
)
def test_cells_are_parted_by_commas_semicolons_tabs_or_spaces(text: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_table(path).rows == ((1, 2), (3, 4))


def test_a_table_in_utf_16_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("1,−2\n", encoding="utf-16")
    assert read_table(path).rows == ((1, -2),)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "t.csv is empty"),
        ("\n \n,\n", "t.csv is empty"),
        ("1,2\n3", "t.csv, row 2 has 1 cell, but the first row has 2"),
        ("1,2\n\n3,4,5", "t.csv, row 2 (line 3) has 3 cells"),
        ("1,2\n3,abc", "t.csv, row 2, column 2: 'abc' is not a number"),
        ("a,b\n1,2", "remove the line if it is a heading"),
        ("1,\n3,4", "t.csv, row 1, column 2 is empty"),
        ("1,nan", "column 2: 'nan' is not a number. Only finite numbers"),
        ("1,-inf", "Only finite numbers"),
        ("1;2,5", "Write a decimal point"),
        ("1/0", "Nothing can be divided by 0"),
        ('1,"2', "t.csv, line 1: unexpected end of data"),
        ("1," + "9" * 500, "…' is not a number"),
    ],
)
def test_what_is_no_table_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(TableError) as caught:
        parse_table(text, "t.csv")
    assert message in str(caught.value)


def test_what_is_no_text_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    for content, message in (
        (b"\x89PNG\0\1", "not a text file"),
        (b"1,\xff", "not a text file"),
        (b"1" * (MOST_BYTES + 1), "more than 4,000,000 bytes"),
    ):
        path.write_bytes(content)
        with pytest.raises(TableError, match=message):
            read_table(path)
    for wrong in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(TableError, match="cannot be read"):
            read_table(wrong)


# Settings -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, found", [("2x3", (2, 3)), ("2×3", (2, 3)), ("2", (2, 2)), (" 2 , 3 ", (2, 3)), ("2X3", (2, 3))]
)
def test_a_pair_is_down_by_right(text: str, found: tuple[int, int]) -> None:
    assert pair(text, "stride") == found


@pytest.mark.parametrize(
    "text, message",
    [
        ("0x1", "The stride down is 0; the smallest is 1"),
        ("1x-2", "The stride right is -2"),
        ("", "down × right"),
        ("1x2x3", "down × right"),
        ("a", "down × right"),
        ("1.5", "down × right"),
        ("9" * 30, "down × right"),
    ],
)
def test_what_is_no_pair_is_refused(text: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        pair(text, "stride")


@pytest.mark.parametrize(
    "text, found",
    [("0,1,2,3", ((0, 2), (1, 3))), ("2", ((2, 2), (2, 2))), ("1,2", ((1, 2), (1, 2))), ("0 1 0 1", ((0, 0), (1, 1)))],
)
def test_padding_is_top_bottom_left_right(text: str, found: object) -> None:
    assert padding(text) == found


@pytest.mark.parametrize(
    "text, message", [("1,2,3", "top,bottom,left,right"), ("x", "top,bottom"), ("0,-1,0,0", "at the bottom is -1")]
)
def test_what_is_no_padding_is_refused(text: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        padding(text)


@pytest.mark.parametrize(
    "setting, message",
    [
        (Setting((1, 1), (10**6, 1)), "The stride is 1,000,000; the largest is 10,000"),
        (Setting((1, 1), dilation=(1, 10**6)), "The dilation is 1,000,000"),
        (Setting((6, 1)), "covers 6 rows, but the padded grid has only 5"),
        (Setting((1, 3), dilation=(1, 3)), "covers 7 columns with dilation 3, but the padded grid has only 5"),
        (Setting((2, 2), before=(50_000, 50_000), after=(49_995, 49_995)), r"100,000 × 100,000 cells, 80 GB"),
        (Setting((2, 2), before=(10**17, 0)), "000,005 × 5 cells, 4,000,000 TB"),
        (Setting((60, 60), before=(60, 60)), "terms; at most 100,000"),
    ],
)
def test_what_does_not_fit_or_is_too_large_is_refused_before_anything_is_made(setting: Setting, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        check(setting, (5, 5))


def test_memory_is_told_in_a_unit_of_its_size() -> None:
    assert [memory(n) for n in (8, 80_000, 8 * 10**6, 8 * 10**10, 8 * 10**15)] == [
        "8 bytes",
        "80 kB",
        "8 MB",
        "80 GB",
        "8,000 TB",
    ]


# Comparing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, right, same",
    [
        ("2", F(2), True),
        ("2.0", F(2), True),
        ("2", F(7, 3), False),
        ("2.33", F(7, 3), True),
        ("2.3", F(7, 3), True),
        ("2.34", F(7, 3), False),
        ("7/3", F(7, 3), True),
        ("1", F(0), False),
        ("0", F(1, 4), False),
        ("12.207", 12.20655, True),
        ("12.206", 12.20655, False),
        ("0.3", F(3, 10), True),
        ("0.3", F(1, 4), True),
    ],
)
def test_a_cell_is_right_to_the_digits_that_were_written(text: str, right: Fraction | float, same: bool) -> None:
    given_number = read_number(text)
    assert given_number is not None
    assert agrees(given_number, text, right) is same


def test_errors_of_tables_and_settings_are_of_one_kind() -> None:
    assert issubclass(TableError, WorkedError)
    assert issubclass(SettingError, WorkedError)
