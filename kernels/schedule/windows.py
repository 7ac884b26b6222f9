"""Sums over windows of a size known now, written out: one line a term, inside the loop along the row.

    for j:   total = x[2*i, 2*j];   total += x[2*i, 2*j + 1];   …   u[i, j] = total

Near an edge a term may be missing. There plain loops make the entries; from ``first`` to ``last`` no term is missing,
and nothing is tested.

Where [s | m + p − d a] says which terms there are, s outputs are made together: m = s q + φ has other terms for each φ,
known now (the phases of a transposed convolution); every output is written once, and what it reads lies along the row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import cast

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Divides, Expression, Integer
from derive.language.system import Range
from kernels.schedule import bounds
from kernels.schedule.domain import ANYWHERE, Domain, collected, loop_bounds
from kernels.schedule.integers import condition_indices, extent, indices, integer, replaced, replaced_in
from kernels.schedule.plan import LOCAL, For, If, Let, Part, Set, Statement

TOTAL = Access(f"{LOCAL}total")
"""The local variable in which a sum adds up."""
SHORT = 8
"""An index with at most so many values is no row."""
MOST = 64
"""Terms that are written out; more take longer to compile than they save."""


def is_short(item: Range) -> bool:
    """True of an index with few values, known now."""
    return item.lower not in ANYWHERE and extent(item).is_Integer and bool(extent(item) <= SHORT)


def is_fixed(item: Range) -> bool:
    """True of a short index whose values are numbers."""
    return is_short(item) and bool(item.lower.is_Integer)


@dataclass(frozen=True)
class Term:
    """One addend, present where no integer in ``above`` is negative."""

    body: Expression
    above: tuple[Integer, ...]


@dataclass(frozen=True)
class Output:
    """An entry made in the loop along the row: its place and its terms."""

    target: Access
    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Axis:
    """A kept index m = factor · q + φ; from the largest of ``first`` to the least of ``last`` no q lacks a term."""

    item: Range
    factor: int
    first: tuple[Integer, ...]
    last: tuple[Integer, ...]

    @property
    def index(self) -> sp.Symbol:
        """q."""
        return (
            self.item.index
            if self.factor == 1
            else sp.Symbol(f"_{self.item.index.name} over {self.factor}", integer=True)
        )

    @property
    def is_split(self) -> bool:
        return bool(self.first or self.last or self.factor > 1)


@dataclass(frozen=True)
class Fold:
    """How terms become an entry: all of them written out, or in plain loops what is done before, for and after them."""

    written: Callable[[Output], list[Statement]]
    before: Sequence[Statement]
    each: Sequence[Statement]
    after: Sequence[Statement]


def windows(part: Part, found: Domain, row: Range | None, fold: Fold | None = None) -> list[Statement] | None:
    """``found``, its divisions still tests, with all short sums written out; None if it has none or too many terms.

    Another ``fold`` than adding up needs all terms written out.
    """
    window = [item for item in found.sums if is_fixed(item)]
    factors = phases(found)
    if row not in found.kept or not window or factors is None:
        return None
    outputs = written_out(found, window, factors)
    if outputs is None or sum(len(output.terms) for output in outputs) > MOST:
        return None
    rest = [item for item in found.sums if item not in window]
    if rest and fold is not None:
        return None
    order = [*(item for item in found.kept if item != row), row]
    above = {value for output in outputs for term in output.terms for value in term.above}
    axes = [axis(item, factors.get(item.index, 1), above, found) for item in order]
    decided = {axis.index for axis in axes if axis is not None}
    if None in axes or any(len(indices(value) & decided) != 1 or indices(value) - decided for value in above):
        return None
    fold = fold or adding_up(part, found, adding=part.adding or bool(rest))
    return _Windows(part, found, outputs, rest, fold).along(cast("list[Axis]", axes), {})


def adding_up(part: Part, found: Domain, *, adding: bool) -> Fold:
    """The sum of all terms; ``adding`` if what is there when they are written out already counts."""
    return Fold(
        partial(total, part.number, adding),
        (Set(part.number, TOTAL, ast.ZERO),),
        (Set(part.number, TOTAL, found.body, adding=True),),
        (Set(part.number, found.target, TOTAL, part.adding),),
    )


def total(number: int, adding: bool, output: Output) -> list[Statement]:
    """One entry: all its terms added up."""
    (one, *others) = [term.body for term in output.terms]
    if not others:
        return [] if adding and one == ast.ZERO else [Set(number, output.target, one, adding)]
    begin = (
        [Set(number, TOTAL, output.target), Set(number, TOTAL, one, adding=True)]
        if adding
        else [Set(number, TOTAL, one)]
    )
    more = [Set(number, TOTAL, term, adding=True) for term in others]
    return [*begin, *more, Set(number, output.target, TOTAL)]


def phases(found: Domain) -> dict[sp.Symbol, int] | None:
    """For each division the kept index that it decides, and its divisor; None if one is not of that kind."""
    result: dict[sp.Symbol, int] = {}
    for test in found.tests:
        if not isinstance(test, Divides) or not test.divisor.is_Integer or test.divisor > SHORT:
            return None
        fitting = [
            item for item in found.kept if sp.diff(test.value, item.index) in (1, -1) and item.index not in result
        ]
        if not fitting:
            return None
        result[fitting[-1].index] = int(test.divisor)
    return result


def written_out(found: Domain, window: Sequence[Range], factors: Mapping[sp.Symbol, int]) -> list[Output] | None:
    """The outputs for all remainders, each with its terms; None if it is not known which terms they have."""
    outputs: list[Output] = []
    ends = [
        end
        for item in found.kept
        if item.index in factors
        for end in (item.index - item.lower, item.upper - item.index)
    ]
    for remainders in product(*map(range, factors.values())):
        place: dict[sp.Symbol, Integer] = {}
        for (index, factor), remainder in zip(factors.items(), remainders, strict=True):
            quotient = sp.Symbol(f"_{index.name} over {factor}", integer=True)
            place[index] = factor * quotient + remainder
        terms: list[Term] = []
        for values in product(*(range(int(item.lower), int(item.upper) + 1) for item in window)):
            change = {**place, **{item.index: sp.Integer(value) for item, value in zip(window, values, strict=True)}}
            left = [
                sp.Mod(integer(replaced(test.value, change)), test.divisor)
                for test in found.tests
                if isinstance(test, Divides)
            ]
            if not all(remainder.is_Integer for remainder in left):
                return None
            if not any(left):
                above = (integer(replaced(value, change)) for value in (*found.above, *ends))
                certain = [value for value in above if not bounds.at_least(value, 0, found.known)]
                terms.append(Term(collected(replaced_in(found.body, change)), tuple(certain)))
        if not terms:  # an output without terms still has to exist
            above = tuple(integer(replaced(value, place)) for value in ends)
            terms.append(Term(ast.ZERO, above))
        outputs.append(Output(cast("Access", collected(replaced_in(found.target, place))), tuple(terms)))
    return outputs


def axis(item: Range, factor: int, above: set[Integer], found: Domain) -> Axis | None:
    """Where on ``item`` nothing in ``above`` is negative; None if that cannot be solved for it."""
    made = Axis(item, factor, (), ())
    lowest: dict[Integer, Integer] = {}
    for value in above:
        if made.index in indices(value):
            constant, moving = value.as_coeff_Add()
            lowest[moving] = min(constant, lowest.get(moving, constant))
    first: list[Integer] = []
    last: list[Integer] = []
    for moving, constant in sorted(lowest.items(), key=str):
        slope = sp.diff(moving, made.index)
        rest = integer(moving + constant - slope * made.index)
        if slope.is_positive:
            first.append(integer(-sp.floor(integer(rest / slope))))
        elif slope.is_negative:
            last.append(integer(sp.floor(integer(-rest / slope))))
        else:
            return None
    return replace(made, first=tuple(first), last=tuple(last))


@dataclass(frozen=True)
class _Windows:
    part: Part
    found: Domain
    outputs: Sequence[Output]
    rest: Sequence[Range]
    fold: Fold

    def along(self, axes: Sequence[Axis], made: Mapping[Range, Range]) -> list[Statement]:
        """The loops over ``axes`` and what is in them; ``made`` are ranges of indices in one turn of outer loops."""
        (now, *later) = axes
        inner = self.along(later, self.inside(now, made)) if later else None
        item = now.item
        if not now.is_split:
            return (
                self.row(now, item.lower, item.upper, made)
                if inner is None
                else [For(item.index, item.lower, item.upper, tuple(inner))]
            )
        lets: list[Statement] = []
        depth = len(axes)
        own_first = [item.lower] if now.factor == 1 else []
        own_last = [item.upper] if now.factor == 1 else []
        first = cast("Integer", sp.Max(*own_first, *now.first))
        last = cast("Integer", sp.Min(*own_last, *now.last))
        first = self.named("first", first, depth, lets)
        last = self.named("last", cast("Integer", sp.Max(last, first - 1)) if now.last else last, depth, lets)
        rest = [axis.item for axis in later]
        left = self.edge(
            Range(item.index, item.lower, cast("Integer", sp.Min(now.factor * first - 1, item.upper))), rest, made
        )
        right = self.edge(Range(item.index, now.factor * (last + 1), item.upper), rest, made)
        middle = self.row(now, first, last, made) if inner is None else [For(now.index, first, last, tuple(inner))]
        return [*lets, *(left if now.first else []), *middle, *(right if now.last else [])]

    def inside(self, now: Axis, made: Mapping[Range, Range]) -> dict[Range, Range]:
        """What one turn of the loop over ``now`` makes, for plain loops in it."""
        if now.factor == 1:
            return dict(made)
        start = now.factor * now.index
        return {**made, now.item: Range(now.item.index, start, start + now.factor - 1)}

    def named(self, stem: str, value: Integer, depth: int, lets: list[Statement]) -> Integer:
        """``value`` under a name, unless it is a number or a size."""
        if value.is_Atom:
            return value
        name = sp.Symbol(stem if depth == 1 else f"{stem}_{depth}", integer=True)
        lets.append(Let(self.part.number, name, value))
        return name

    def row(self, now: Axis, first: Integer, last: Integer, made: Mapping[Range, Range]) -> list[Statement]:
        """The loop along the row, inside those over sums of unknown length."""
        number = self.part.number
        clear: list[Statement] = []
        if self.rest and not self.part.adding:
            zeros = tuple(Set(number, output.target, ast.ZERO) for output in self.outputs)
            clear = [For(now.index, first, last, zeros)]
        body = [statement for output in self.outputs for statement in self.fold.written(output)]
        loops: list[Statement] = [For(now.index, first, last, tuple(body))]
        for item in reversed(self.rest):
            loops = [For(item.index, item.lower, item.upper, tuple(loops))]
        return [*clear, *loops]

    def edge(self, item: Range, later: Sequence[Range], made: Mapping[Range, Range]) -> list[Statement]:
        """Plain loops over ``item``, all ``later`` indices and the sums, tests where no end of a loop can do it."""
        if extent(item).is_nonpositive:
            return []
        found = self.found
        kept = [*made.values(), item, *later]
        order = [*kept, *found.sums]
        own = {other.index for other in order}
        inner = replace(found, kept=tuple(kept), above=tuple(value for value in found.above if indices(value) & own))
        every = loop_bounds(inner, order)
        statements: list[Statement] = list(self.fold.each)
        for place in reversed(range(len(order))):
            if place == len(kept) - 1:
                statements = [*self.fold.before, *statements, *self.fold.after]
            loop = every[place]
            body = [If(loop.tests, tuple(statements))] if loop.tests else statements
            statements = [For(loop.index, loop.lower, loop.upper, tuple(body))]
        summed = {other.index for other in found.sums}
        deciding = [*map(indices, inner.above), *map(condition_indices, found.tests)]
        if self.part.adding or all(some & summed for some in deciding):
            return statements
        cleared: list[Statement] = [Set(self.part.number, found.target, ast.ZERO)]
        for other in reversed(kept):
            cleared = [For(other.index, other.lower, other.upper, tuple(cleared))]
        return [*cleared, *statements]
