"""Tables, gradients, windows and shares of the engine beside plain loops and exact differences."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import pytest

from derive.worked.comparison import findings, whereabouts, wrong_cells
from derive.worked.computation import Question, Worked, worked
from derive.worked.errors import WorkedError
from derive.worked.numerals import Number
from derive.worked.settings import Setting
from derive.worked.tables import parse_table
from tests.derive.worked.by_hand import Measure, Rows, average, dotted, gradient, largest, length, table, windows

F = Fraction
LECTURE = "1 2 3 4 5\n9 8 7 6 0\n0 2 4 6 8\n2 3 4 5 1\n6 7 8 9 0"
WIDE = Setting((2, 2), (1, 2), (1, 1), (0, 0), (1, 1))
TALL = Setting((2, 2), (2, 1), (1, 1), (0, 0), (1, 1))
KERNEL = ((F(1), F(-1)), (F(1, 2), F(2)), (F(0), F(1, 3)))
ZERO = (("padding", "zero"), ("round", "down"))
SKIPPED = (("padding", "skipped"), ("round", "down"))
FIRST = ("ties", "first")
SETTINGS = {
    "plain": Setting((3, 2)),
    "stride and padding": Setting((3, 2), (2, 3), (1, 1), (1, 0), (2, 1)),
    "padding more than the window": Setting((3, 2), (3, 2), (1, 1), (4, 3), (3, 4)),
    "apart": Setting((3, 2), (4, 5), (1, 1), (0, 1), (1, 0)),
}
DILATED = Setting((3, 2), (2, 1), (2, 3), (1, 2), (2, 1))


def rows(text: str) -> tuple[tuple[Number, ...], ...]:
    return parse_table(text, "grid").rows


def spread(count: int, columns: int, step: int) -> tuple[tuple[Number, ...], ...]:
    """All different, in no order, with decimals: no two are equal, so that a maximum has a slope."""
    return tuple(tuple(F((7 * (columns * i + j) * step) % 101 - 50, 10) for j in range(columns)) for i in range(count))


GRID = spread(6, 7, 3)


def incoming(setting: Setting) -> tuple[tuple[Number, ...], ...]:
    at = windows(GRID, setting)
    count, columns = max(at)
    return spread(count + 1, columns + 1, 5)


MEASURES: dict[str, tuple[Measure, tuple[tuple[str, str], ...]]] = {
    "max": (largest, (*ZERO, FIRST)),
    "average": (average, ZERO),
    "cross-correlation": (dotted(KERNEL), ()),
    "convolution": (dotted(KERNEL, flip=True), ()),
}
CASES = [
    (kind, name)
    for kind in MEASURES
    for name in (*SETTINGS, "dilated")
    if not (kind == "average" and name == "dilated")
]


def asked(kind: str, name: str) -> Question:
    setting = DILATED if name == "dilated" else SETTINGS[name]
    kernel = KERNEL if "co" in kind else None
    return Question(kind, GRID, setting, kernel, incoming(setting), MEASURES[kind][1])


@pytest.mark.parametrize("kind,name", CASES)
def test_tables_and_gradients_are_those_of_plain_loops_and_exact_differences(kind: str, name: str) -> None:
    question, measure = asked(kind, name), MEASURES[kind][0]
    found = worked(question)
    assert question.incoming is not None
    assert [list(row) for row in found.table] == table(GRID, question.setting, measure)
    assert [list(row) for row in found.gradient] == gradient(GRID, question.setting, measure, question.incoming)


@pytest.mark.parametrize("kind,name", CASES)
def test_windows_have_the_cells_and_shares_add_up_to_the_gradient(kind: str, name: str) -> None:
    question = asked(kind, name)
    found, (top, left) = worked(question), question.setting.before
    for window, places in zip(found.windows, windows(GRID, question.setting).values(), strict=True):
        assert sorted(entry.at for entry in window.entries) == sorted((r + top, c + left) for r, c in places)
        assert all(entry.is_padding == (not (0 <= entry.at[0] - top < 6 and 0 <= entry.at[1] - left < 7))
                   for entry in window.entries)  # fmt: skip
    sums = [[F(0)] * 7 for _ in range(6)]
    for share in found.shares:
        assert (share.cell[0] + top, share.cell[1] + left) in {
            entry.at for window in found.windows if window.at == share.output for entry in window.entries
        }
        sums[share.cell[0]][share.cell[1]] += F(share.amount)
    assert [list(row) for row in found.gradient] == sums


@pytest.mark.parametrize("kind,name", CASES)
def test_the_arithmetic_of_every_window_is_right(kind: str, name: str) -> None:
    """Read as Python, with points for products, it is worth what the window is."""
    for window in worked(asked(kind, name)).windows:
        text = window.arithmetic.replace("−", "-").replace("·", "*")
        text = "".join(f"F('{word}')" if word[:1].isdigit() else word for word in split_numbers(text))
        assert eval(text, {"F": F, "max": max}) == window.value  # noqa: S307 - our own output


def split_numbers(text: str) -> list[str]:
    """Numbers and what stands between them, in turn."""
    import re

    return [part for part in re.split(r"(\d+(?:\.\d+)?)", text) if part]


def test_the_kernel_receives_what_its_entries_were_multiplied_with() -> None:
    question = asked("cross-correlation", "stride and padding")
    found, step = worked(question), F(1, 1000)
    assert question.incoming is not None
    assert found.kernel_gradient is not None

    def weighted(kernel: Rows) -> Any:
        values = table(GRID, question.setting, dotted(kernel))
        return sum(
            (
                g * y
                for gs, ys in zip(question.incoming or (), values, strict=True)
                for g, y in zip(gs, ys, strict=True)
            ),
            F(0),
        )

    for i, j in product(range(3), range(2)):
        moved = [list(row) for row in KERNEL]
        moved[i][j] += step
        assert (weighted(moved) - weighted(KERNEL)) / step == found.kernel_gradient[i][j]


def test_lengths_and_their_gradient() -> None:
    setting = SETTINGS["stride and padding"]
    found = worked(Question("l2", GRID, setting, None, None, ZERO))
    for ours, theirs in zip(found.table, table(GRID, setting, length), strict=True):
        assert [float(value) for value in ours] == pytest.approx([float(value) for value in theirs])
    exact = worked(Question("l2", rows("3 4"), Setting((1, 2)), None, None, ZERO))
    assert exact.table == ((5,),)
    assert exact.gradient == ((F(3, 5), F(4, 5)),)
    assert exact.windows[0].arithmetic == "√(3² + 4²)"


def test_shares_of_lengths_add_up_to_their_gradient() -> None:
    setting = SETTINGS["stride and padding"]
    found = worked(Question("l2", GRID, setting, None, incoming(setting), ZERO))
    sums = [[0.0] * 7 for _ in range(6)]
    for share in found.shares:
        sums[share.cell[0]][share.cell[1]] += float(share.amount)
    assert len({share.output for share in found.shares}) > 4
    for ours, theirs in zip(sums, found.gradient, strict=True):
        assert ours == pytest.approx([float(value) for value in theirs])


def test_decimals_add_up_as_on_paper() -> None:
    found = worked(Question("cross-correlation", rows("0.1 0.2"), Setting((1, 2)), rows("1 1")))
    assert found.table == ((F(3, 10),),)
    assert found.windows[0].arithmetic == "1·0.1 + 1·0.2"


# The lecture's example ------------------------------------------------------------------------------------------------


def lecture(setting: Setting, ties: str = "first", padding: str = "zero") -> Worked:
    return worked(Question("max", rows(LECTURE), setting, None, None,
                           (("padding", padding), ("round", "down"), ("ties", ties))))  # fmt: skip


def test_the_lectures_tables() -> None:
    assert lecture(TALL).table == rows("9 8 7 6 5\n3 4 6 8 8\n7 8 9 9 0")
    assert lecture(WIDE).table == rows("9 7 5\n9 7 8\n3 6 8\n7 9 1\n7 9 0")


def test_the_slides_second_table_is_wrong_in_one_cell() -> None:
    slide = parse_table("9 7 5\n9 7 8\n3 6 8\n7 9 1\n7 9 1", "slide.csv")
    found = lecture(WIDE)
    wrong = wrong_cells(found, slide)
    assert [cell.at for cell in wrong] == [(4, 2)]
    assert findings(found, wrong) == [
        "row 5, column 3: 1 is wrong, it is 0: the window is rows 5–6, columns 5–6 of the padded grid (0 0 / 0 0), "
        "its maximum is 0"
    ]
    assert wrong_cells(lecture(TALL), parse_table("9 8 7 6 5\n3 4 6 8 8\n7 8 9 9 0", "slide.csv")) == ()


def test_a_table_of_another_size_cannot_be_compared() -> None:
    with pytest.raises(WorkedError, match=r"3 × 5 cells, the table has 5 × 3\. The rows and columns"):
        wrong_cells(lecture(WIDE), parse_table("9 8 7 6 5\n3 4 6 8 8\n7 8 9 9 0", "slide.csv"))


def test_many_wrong_cells_are_grouped() -> None:
    found = worked(Question("max", spread(9, 9, 4), Setting((1, 1)), None, None, (*ZERO, FIRST)))
    said = findings(found, wrong_cells(found, parse_table("\n".join(["99 " * 9] * 9), "t")))
    assert said[12:] == [
        "and 69 more wrong cells:",
        "  row 2: columns 4–9",
        *(f"  row {i}: columns 1–9" for i in range(3, 10)),
    ]


@pytest.mark.parametrize(
    "ties, received, winners",
    [("first", "1 1 0", [[0], [1]]), ("split", "0.5 1 0.5", [[0, 1], [1, 2]]), ("all", "1 2 1", [[0, 1], [1, 2]])],
)
def test_ties_are_broken_as_declared(ties: str, received: str, winners: list[list[int]]) -> None:
    choices = (("padding", "zero"), ("round", "down"), ("ties", ties))
    found = worked(Question("max", rows("5 5 5"), Setting((1, 2)), None, None, choices))
    assert found.gradient == rows(received)
    assert [[entry.at[1] for entry in window.entries if entry.wins] for window in found.windows] == winners


def test_padding_that_takes_no_part_never_wins() -> None:
    found = worked(Question("max", rows("-1 -2\n-3 -4"), Setting((2, 2), (1, 1), (1, 1), (1, 1), (0, 0)), None, None,
                            (*SKIPPED, FIRST)))  # fmt: skip
    assert found.table == rows("-1 -1\n-1 -1")
    assert found.gradient == rows("4 0\n0 0")
    assert found.windows[0].arithmetic == "max(−1)"
    zeros = worked(Question("max", rows("-1 -2\n-3 -4"), Setting((2, 2), (1, 1), (1, 1), (1, 1), (0, 0)), None, None,
                            (*ZERO, FIRST)))  # fmt: skip
    assert zeros.table == rows("0 0\n0 -1")
    assert zeros.gradient == rows("1 0\n0 0")


def test_averages_count_padding_or_not() -> None:
    setting = Setting((2, 2), (2, 2), (1, 1), (0, 0), (1, 1))
    counted, skipped = (worked(Question("average", rows("1 2 3\n4 5 6\n7 8 9"), setting, None, None, choices))
                        for choices in (ZERO, SKIPPED))  # fmt: skip
    assert counted.table == rows("3 2.25\n3.75 2.25")
    assert skipped.table == rows("3 4.5\n7.5 9")
    assert [window.arithmetic for window in skipped.windows][1] == "(3 + 6)/2"


def test_rounding_up_keeps_a_last_window() -> None:
    choices = [(("padding", "skipped"), ("round", way), FIRST) for way in ("down", "up")]
    down, up = (worked(Question("max", rows("1 2 3 4 5"), Setting((1, 2), (1, 2)), None, None, c)) for c in choices)
    assert down.table == rows("2 4")
    assert up.table == rows("2 4 5")
    assert up.extent == (1, 6)
    assert whereabouts(up.windows[2]) == "row 1, columns 5–6"


@pytest.mark.parametrize(
    "question, message",
    [
        (Question("average", GRID, DILATED), "Average pooling has no dilation"),
        (Question("l2", GRID, Setting((2, 2)), None, None, (("ties", "all"),)), "L2 pooling has no choice of ties"),
        (Question("max", GRID, Setting((2, 2)), None, ((F(1),),)), "gradient has 1 × 1 cells, the table has 5 × 6"),
        (Question("max", GRID, Setting((9, 9))), "covers 9 rows"),
    ],
)
def test_what_cannot_be_worked_through_is_refused(question: Question, message: str) -> None:
    with pytest.raises(WorkedError, match=message):
        worked(question)
