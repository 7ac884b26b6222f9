"""A grid worked through: its windows and what each is worth, and backwards what each number of the grid receives.

Values and gradients are those of the catalogue's systems, evaluated in exact arithmetic; nothing here knows pooling.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from derive.catalogue import load
from derive.derivation import Derivation, gradient
from derive.evaluate import Results, exact, input_shape, inputs, run, scope_at
from derive.evaluate.positions import at
from derive.language.expression import Access, walk
from derive.language.system import Program, System
from derive.worked.arithmetic import arithmetic
from derive.worked.errors import WorkedError
from derive.worked.kinds import KINDS, Kind
from derive.worked.numerals import Number
from derive.worked.settings import Pair, Setting, check
from derive.worked.terms import Term, expanded, placed, reads, terms

Numbers = tuple[tuple[Number, ...], ...]


@dataclass(frozen=True)
class Entry:
    """One cell of a window by row and column of the padded grid, from 0; what stands there, and whether it wins."""

    at: Pair
    number: Number
    is_padding: bool
    takes_part: bool = True
    wins: bool = False


@dataclass(frozen=True)
class Window:
    """The cells from which one entry of the table comes, and the arithmetic in one line."""

    at: Pair
    entries: tuple[Entry, ...]
    arithmetic: str
    value: Number


@dataclass(frozen=True)
class Share:
    """What one entry of the table sends back to one cell of the grid; rows and columns of the grid, from 0."""

    output: Pair
    cell: Pair
    amount: Number


@dataclass(frozen=True)
class Question:
    """A grid, what is done with it, and the gradient that arrives at the table; without one, 1 everywhere."""

    kind: str
    grid: Numbers
    setting: Setting
    kernel: Numbers | None = None
    incoming: Numbers | None = None
    choices: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Worked:
    """The answer to a question: tables of numbers, and on demand the windows and the shares they were read from."""

    question: Question
    derivation: Derivation
    results: Results

    @property
    def kind(self) -> Kind:
        """What is computed."""
        return KINDS[self.question.kind]

    @property
    def table(self) -> Numbers:
        """The value of every window."""
        return _rows(self.results["y", ()])

    @property
    def incoming(self) -> Numbers:
        """The gradient that arrives at each entry of the table."""
        return _rows(self.results[self.derivation.walk.names["y"], ()])

    @property
    def gradient(self) -> Numbers:
        """The gradient in each number of the grid."""
        return _rows(self.results["grad_x", ()])

    @property
    def kernel_gradient(self) -> Numbers | None:
        """The gradient in each entry of the kernel."""
        return None if self.question.kernel is None else _rows(self.results["grad_w", ()])

    @cached_property
    def windows(self) -> tuple[Window, ...]:
        """Every window in reading order."""
        program = self.derivation.system.program
        equation = next(one for one in program.equations if one.target.name == "y")
        equation = expanded(equation, program, "x")
        scope = scope_at(program, self.results, {}, numbers=exact)
        found: list[Window] = []
        for position in np.ndindex(*self.results["y", ()].shape):
            here = placed(scope, equation, position)
            parts = terms(equation.value, here, "x")
            entries = tuple(self._entry(term, position) for term in parts)
            text = arithmetic(equation.value, here, ("b",), only_open=self.filler != "0")
            found.append(Window(_last_two(position), entries, text, self.results["y", ()][position]))
        return tuple(found)

    @cached_property
    def shares(self) -> tuple[Share, ...]:
        """What each entry of the table sends to each cell, read off the equation of the gradient; zeros left out."""
        program = self.derivation.program
        incoming = _arrival(self.derivation)
        equation = self.derivation["x"].index_equation
        scope = scope_at(program, self.results, {}, numbers=exact)
        found = [
            Share(_last_two(term.reads[incoming]), _last_two(position), term.value)
            for position in np.ndindex(*self.results["grad_x", ()].shape)
            for term in terms(equation.value, placed(scope, equation, position), incoming)
            if term.is_open and incoming in term.reads and term.value != 0
        ]
        return tuple(sorted(found, key=lambda share: (share.output, share.cell)))

    @cached_property
    def extent(self) -> Pair:
        """Rows and columns of the padded grid; a window that hangs over at the end widens it."""
        rows, columns = self.question.setting.padded(size_of(self.question.grid))
        if dict(self.question.choices).get("round") != "up":
            return rows, columns
        places = [entry.at for window in self.windows for entry in window.entries]
        return max([rows, *(row + 1 for row, _ in places)]), max([columns, *(column + 1 for _, column in places)])

    @property
    def padded(self) -> tuple[tuple[Number | None, ...], ...]:
        """The padded grid; None where there is padding."""
        rows, columns = self.extent
        top, left = self.question.setting.before
        grid = self.question.grid
        return tuple(
            tuple(
                grid[i - top][j - left] if 0 <= i - top < len(grid) and 0 <= j - left < len(grid[0]) else None
                for j in range(columns)
            )
            for i in range(rows)
        )

    @property
    def has_padding(self) -> bool:
        """Whether a cell of the padded grid is padding."""
        return any(number is None for row in self.padded for number in row)

    @property
    def filler(self) -> str:
        """What stands in the padding: a zero, or a point where it does not take part."""
        return "·" if dict(self.question.choices).get("padding") == "skipped" else "0"

    def _entry(self, term: Term, output: Sequence[int]) -> Entry:
        row, column = term.reads["x"][-2:]
        top, left = self.question.setting.before
        is_inside = 0 <= row < len(self.question.grid) and 0 <= column < len(self.question.grid[0])
        number = self.question.grid[row][column] if is_inside else exact.rational(Fraction(0))
        wins = any(self.results[name, ()][(*output, *term.at)] != 0 for name in _choices(self.derivation.program))
        takes_part = term.takes_part and (is_inside or self.filler == "0")
        return Entry((row + top, column + left), number, not is_inside, takes_part, wins)


def worked(question: Question) -> Worked:
    """The question answered by the engine; SettingError where its window does not fit or all of it is too large."""
    kind = KINDS[question.kind]
    check(question.setting, size_of(question.grid))
    system = load(kind.system, **_fixed(question), **chosen(kind, question.choices))
    derivation = gradient(system)
    values = _values(system, question)
    incoming = _incoming(question, at(system.program.declaration("y").shape, {}))
    fixed = {(derivation.walk.names["y"], ()): incoming}
    return Worked(question, derivation, run(derivation.program, {}, values, numbers=exact, fixed=fixed))


def chosen(kind: Kind, choices: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The options of the kind's system for a person's choices; WorkedError for a choice that it does not have."""
    found: dict[str, str] = {}
    for name, value in choices:
        if (name, value) not in kind.options:
            raise WorkedError(f"{kind.title} has no choice of {name}: leave out --{name}.")
        option = kind.options[name, value]
        if option is not None:
            found[option[0]] = option[1]
    return found


def _fixed(question: Question) -> dict[str, Any]:
    """The sizes that the question tells, down and right, so that the derivation is about these numbers."""
    setting = question.setting
    sizes: dict[str, Any] = {"D": 2, "C": 1, "H": size_of(question.grid), "R": setting.window, "s": setting.stride}
    sizes |= {"p": setting.before, "q": setting.after}
    if KINDS[question.kind].has_dilation:
        sizes["d"] = setting.dilation
    elif setting.dilation != (1, 1):
        raise WorkedError(f"{KINDS[question.kind].title} has no dilation: leave out --dilation.")
    if KINDS[question.kind].has_kernel:
        sizes["K"] = 1
    return sizes


def _values(system: System, question: Question) -> dict[str, Any]:
    """The grid, the kernel and zeros for what else the system needs; the target makes no difference here."""
    known = {"x": question.grid, "w": question.kernel}
    values: dict[str, Any] = {}
    for key in inputs(system.program):
        shape = input_shape(system.program, key, {})
        numbers = known.get(key)
        values[key] = exact.zeros(shape) if numbers is None else np.reshape(exact.array(numbers), shape)
    return values


def _choices(program: Program) -> list[str]:
    """The arrays that say which candidate a maximum takes."""
    return [item.name for item in program.declarations if getattr(item, "choice", 0)]


def _arrival(derivation: Derivation) -> str:
    """The gradient that an entry of the table passes on: what arrives there, or a multiple of it with its own name."""
    incoming, value = derivation.walk.names["y"], derivation["x"].index_equation.value
    if reads(value, incoming):
        return incoming
    return next(
        one.target.name
        for one in derivation.program.equations
        if reads(value, one.target.name) and Access(incoming, (), one.target.subscripts) in walk(one.value)
    )


def _incoming(question: Question, shape: Sequence[int]) -> Any:
    if question.incoming is None:
        return exact.ones(shape)
    given, wanted = size_of(question.incoming), _last_two(shape)
    if given != wanted:
        sizes = f"{given[0]} × {given[1]} cells, the table has {wanted[0]} × {wanted[1]}"
        raise WorkedError(f"The gradient has {sizes}. Give one number for each entry of the table.")
    return np.reshape(exact.array(question.incoming), shape)


def size_of(rows: Sequence[Sequence[object]]) -> Pair:
    """Rows and columns."""
    return len(rows), len(rows[0])


def _last_two(position: Sequence[int]) -> Pair:
    return position[-2], position[-1]


def _rows(array: Any) -> Numbers:
    """The last two axes; those before them have one position."""
    rows = np.reshape(array, np.shape(array)[-2:])
    return tuple(tuple(row) for row in rows)
