"""A worked grid as a page: the rule, every window and its value, the gradient on its way back, and a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import sympy as sp

from derive.catalogue import load
from derive.handout.blocks import (
    Block,
    Display,
    Document,
    Frames,
    Grid,
    Heading,
    Inline,
    Inlines,
    Items,
    Note,
    Paragraph,
    Reference,
)
from derive.handout.formula import row
from derive.handout.grids import Frame, Place, changed, panel
from derive.language.expression import Integer
from derive.language.system import Equation
from derive.notation import equation_formula, integer_formula, plain_name
from derive.worked.backwards import backwards
from derive.worked.comparison import WrongCell, findings
from derive.worked.computation import Numbers, Window, Worked, size_of
from derive.worked.errors import WorkedError
from derive.worked.numerals import is_rounded, written
from derive.worked.panels import MOST_FRAMES, Legend, grid_and_kernel, number_panel, padding_legend
from derive.worked.singletons import as_written, without_singletons
from derive.worked.words import heading, rule_words, window_words

WIDEST, TALLEST = 60, 60
"""Columns side by side, and rows, of the pictures on a page."""


def page(worked: Worked, compared: tuple[str, Sequence[WrongCell]] | None = None) -> Document:
    """The document; ``compared`` is the name of a table worked out by hand and its wrong cells."""
    _check_size(worked)
    blocks = [*_rule(worked), *_forwards(worked), *backwards(worked)]
    if compared is not None:
        blocks += _comparison(worked, *compared)
    return Document(heading(worked), tuple(blocks), " · ".join(rule_words(worked)), source=_source(worked))


def _check_size(worked: Worked) -> None:
    rows = max(len(worked.padded), len(worked.table))
    columns = len(worked.padded[0]) + len(worked.table[0]) + len((worked.question.kernel or ((),))[0])
    if columns > WIDEST or rows > TALLEST:
        raise WorkedError(
            f"The page would show {rows:,} rows and {columns:,} columns side by side; it holds {TALLEST} and {WIDEST}. "
            "Without -o the tables are printed, with --json in full."
        )


def _source(worked: Worked) -> str:
    return f"computed by the system {worked.kind.system} of the catalogue, in exact arithmetic"


# The rule -------------------------------------------------------------------------------------------------------------


def _rule(worked: Worked) -> Iterator[Block]:
    derivation, value = worked.derivation, worked.kind.value
    equation = next(one for one in derivation.system.program.equations if one.target.name == "y")
    shown = as_written(without_singletons(equation, derivation.program), "b")
    outside = "is left out" if worked.filler != "0" else "counts as zero"
    padding = f" What lies outside the grid {outside}." if worked.has_padding else ""
    yield Heading("The rule", id="rule")
    yield Paragraph((
        f"A window moves over the grid; the {value} of the numbers in it is one entry of the table."
        if not worked.kind.has_kernel else
        "A window moves over the grid; its numbers times those of the kernel, added up, are one entry of the table.",
        f"{padding} Counted from 0, the entry in row ", *_counters(shown), " is",
    ))  # fmt: skip
    yield Display(equation_formula(shown, derivation.names), "forward")
    yield from (Paragraph((worked.kind.remark,)),) if worked.kind.remark else ()
    yield from _table_size(worked)


def _counters(equation: Equation) -> Inlines:
    down, right = (plain_name(span.index.name) for span in equation.ranges)
    return (down, " and column ", right)


def _table_size(worked: Worked) -> Iterator[Block]:
    """Which windows there are: the inequalities that a system counts by, with the numbers of this question."""
    question, setting = worked.question, worked.question.setting
    known: dict[str, int] = {}
    for k in (0, 1):
        pairs = {"H": size_of(question.grid), "R": setting.window, "s": setting.stride, "d": setting.dilation,
                 "p": setting.before, "q": setting.after}  # fmt: skip
        known |= {f"{name}_{k + 1}": pair[k] for name, pair in pairs.items()}
    table = f"{len(worked.table)} × {len(worked.table[0])}"
    if dict(question.choices).get("round") == "up":
        yield Paragraph((f"There are {table} windows; the last ones need not be full.",))
        return
    words: list[Inline] = []
    for count in load(worked.kind.system, D=2).program.counts:
        words += [", and every " if words else "", plain_name(count.index.name), " = 0, 1, 2, … with "]
        for number, pair in enumerate(count.inequalities):
            lesser, greater = (integer_formula(_with_numbers(side, known)) for side in pair)
            words += [" and "] * bool(number) + [row(lesser, "<=", greater)]
    if not words:
        return
    yield Paragraph(("There is a window for every ", *words, f": {table} in all."))


def _with_numbers(side: Integer, known: Mapping[str, int]) -> Integer:
    """An integer expression with numbers for the sizes that are known."""
    numbers = {symbol: sp.Integer(known[str(symbol)]) for symbol in side.free_symbols if str(symbol) in known}
    replaced = side.xreplace(numbers)
    assert isinstance(replaced, sp.Expr)
    return replaced


# Forwards -------------------------------------------------------------------------------------------------------------


def _forwards(worked: Worked) -> Iterator[Block]:
    values = worked.kind.values
    blank = panel([["" for _ in line] for line in worked.table], (values,), "→", numbered=True)
    panels = (grid_and_kernel(worked)[0], blank)
    frames = [_window_frame(worked, window, len(panels) - 1) for window in worked.windows[:MOST_FRAMES]]
    final = (*grid_and_kernel(worked), number_panel(worked.table, values, "→"))
    legend = _forward_legend(worked)
    yield Heading("Forwards", id="forwards")
    yield Paragraph((
        f"{_every(len(worked.windows))} gives one {worked.kind.value}; ",
        Reference("table"), " is the result and ", Reference("windows"), " shows where each entry comes from. "
        f"Rows and columns are counted from 1{', in the padded grid' if worked.has_padding else ''}."
        + (" Decimals are rounded to four places." if _has_rounded(worked.table) else ""),
    ))  # fmt: skip
    yield Grid(final, (f"The grid and the table of its {values}.",), padding_legend(worked), "table")
    yield Frames(panels, tuple(frames), (f"Each window and its {worked.kind.value}.",), legend, "windows", "windows")
    if len(worked.windows) > MOST_FRAMES:
        yield Note("Left out", (f"Only the first {MOST_FRAMES} of {len(worked.windows):,} windows are shown.",))


def _window_frame(worked: Worked, window: Window, table: int) -> Frame:
    here: Place = (table, *window.at)
    marks: list[tuple[Place, str]] = [((0, *entry.at), "window") for entry in window.entries]
    marks += [((0, *entry.at), "winner") for entry in window.entries if entry.wins]
    return Frame((window_words(window),), (*marks, (here, "result")), ((here, written(window.value)),), here)


def _forward_legend(worked: Worked) -> Legend:
    winner: Legend = (("winner", ("the number it is worth",)),) if worked.kind.picks else ()
    return (*padding_legend(worked), ("window", ("window",)), *winner, ("result", (f"its {worked.kind.value}",)))


# The comparison -------------------------------------------------------------------------------------------------------


def _comparison(worked: Worked, name: str, wrong: Sequence[WrongCell]) -> Iterator[Block]:
    yield Heading("Compared with a table", id="comparison")
    if not wrong:
        yield Paragraph((f"Every entry of {name} is right.",))
        return
    yield Paragraph((f"{_capital(_counted(len(wrong), 'entry', 'entries'))} of {name} {_is(len(wrong))} wrong:",))
    yield Items(tuple((line.strip(),) for line in findings(worked, wrong)))
    given = {(0, *cell.at): written(cell.given) for cell in wrong}
    right = [((1, *cell.at), "result") for cell in wrong]
    both = (number_panel(worked.table, name), number_panel(worked.table, "right", "→"))
    shown = changed(both, given, [*((place, "wrong") for place in given), *right])
    legend: Legend = (("wrong", ("wrong",)), ("result", ("right",)))
    yield Grid(shown, ("The table that was given, and the right one.",), legend, "compared")


# Words ----------------------------------------------------------------------------------------------------------------


def _every(number: int) -> str:
    return "The one window" if number == 1 else f"Each of the {number:,} windows"


def _counted(number: int, one: str, several: str = "") -> str:
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    return f"{words[number] if number < len(words) else f'{number:,}'} {one if number == 1 else several or one + 's'}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _is(number: int) -> str:
    return "is" if number == 1 else "are"


def _has_rounded(numbers: Numbers) -> bool:
    return any(is_rounded(number) for line in numbers for number in line)
