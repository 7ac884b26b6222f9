"""Maxima: loops over the window that keep the largest number so far, and where it stands.

    for c: for i:
        best, place = −∞, −1
        for a:  best, place = larger(best, place, x[c, s*i + a], a)
        y[c, i] = best
        argmax_y[c, i] = place

Positions are numbered in reading order. Where only the maximum is wanted and there is one for certain, the place is not
kept. A window of known size is written out (``windows``), without a jump, so that the compiler searches in several
windows of a row at once. Only a choice that a caller asks for gets the share of every position (``choices``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Integer, Maximum, Share, Within
from derive.language.system import Range
from kernels.schedule import bounds
from kernels.schedule.domain import domain
from kernels.schedule.formulas import free_indices
from kernels.schedule.integers import (
    condition_indices,
    extent,
    indices,
    integer,
    replaced,
    replaced_conditions,
    replaced_in,
)
from kernels.schedule.loops import nested_in, running, tested
from kernels.schedule.plan import (
    LOCAL,
    Conditions,
    Equal,
    First,
    If,
    Larger,
    NothingYet,
    Part,
    Put,
    Ranges,
    Set,
    Statement,
)
from kernels.schedule.products import Matrices, nested
from kernels.schedule.targets import boxed
from kernels.schedule.windows import Fold, Output, windows

BEST, COUNT = Access(f"{LOCAL}best"), Access(f"{LOCAL}count")
"""The local variables for the largest number so far, and for how many are equal to it."""
PLACE = sp.Symbol("place", integer=True)
"""The number of the position at which the largest one stands; -1 while there is none."""


def maxima(part: Part, steps: Ranges, matrices: Matrices) -> list[Statement] | None:
    """A row of LOWERINGS: parts that are a maximum or a share in one."""
    match part.body:
        case Maximum() as maximum:
            return _Search(part, maximum, steps, matrices).maximum()
        case Share(maximum=maximum, at=at):
            return _Search(part, maximum, steps, matrices).shares(at)
        case _:
            return None


@dataclass(frozen=True)
class _Search:
    """The part, the maximum that it is, or is a share of, and the loops around it."""

    part: Part
    of: Maximum
    steps: Ranges
    matrices: Matrices

    @property
    def known(self) -> Ranges:
        return (*self.matrices.sizes, *self.steps, *self.kept())

    def kept(self, window: Sequence[sp.Symbol] = ()) -> list[Range]:
        """What the target runs over, the indices of ``window`` apart."""
        return [item for item in self.matrices.loops(self.part)[0] if item.index not in window]

    @property
    def box(self) -> Ranges:
        """The ranges of the maximum with ends free of other indices."""
        scope = (*self.known, *self.of.ranges)
        return tuple(boxed(item, scope) for item in self.of.ranges)

    def number(self, at: Sequence[Integer]) -> Integer:
        """The number of a position in reading order."""
        total: Integer = sp.Integer(0)
        for place, item in zip(at, self.box, strict=True):
            total = integer(total * extent(item) + place - item.lower)
        return total

    def is_certain(self) -> bool:
        """There is a position that takes part, whatever the indices."""
        ends = (integer(item.upper - item.lower) for item in self.of.ranges)
        return not self.of.conditions and all(bounds.at_least(end, 0, self.known) for end in ends)

    # Statements -------------------------------------------------------------------------------------------------------

    def maximum(self) -> list[Statement]:
        """target = the largest, and its position where the maximum has an array for it."""
        part, number = self.part, self.part.number
        put: list[Statement] = [Set(number, part.target, BEST, part.adding)]
        if not (certain := self.is_certain()):
            otherwise = () if part.adding else (Set(number, part.target, ast.ZERO),)
            put = [If((Within(PLACE, sp.Integer(0), sp.oo),), tuple(put), otherwise)]
        put += self.left(part.target, PLACE)
        position = None if certain and self.of.choice is None else self.number(self.own)
        return self.search(self.kept(), put, position, self.written)

    def left(self, target: Access, place: Integer) -> list[Statement]:
        """The position left behind where the maximum is made."""
        if self.of.choice is None:
            return []
        choice = self.matrices.arrays[self.of.choice.name].choice
        assert choice is not None
        return [Put(choice.number, replace(target, name=self.of.choice.name), place)]

    def written(self, output: Output) -> list[Statement]:
        """One entry whose terms, each with its position, are written out."""
        number = self.part.number
        put = [Set(number, output.target, BEST, self.part.adding), *self.left(output.target, PLACE)]
        found: list[Statement] = []
        for term in output.terms:
            if not isinstance(term.body, ast.Call):  # no position takes part
                nothing = [] if self.part.adding else [Set(number, output.target, ast.ZERO)]
                return [*nothing, *self.left(output.target, sp.Integer(-1))]
            value, position = term.body.arguments
            assert isinstance(position, ast.SizeValue)
            place = position.value if self.of.choice else None
            found.append(Larger(number, value, place, certain=True) if found else First(number, value, place))
        return [*found, *put]

    def shares(self, at: tuple[Integer, ...]) -> list[Statement]:
        """target = the share of each position: the loops over positions stand behind the search."""
        part, number = self.part, self.part.number
        window = [i for i in sorted(indices(*at), key=str) if i not in free_indices(self.of)]
        positions = [item for item in part.loops if item.index in window]
        kept = self.kept(window)
        inside = self.inside(at, positions)
        values = dict(zip((item.index for item in self.of.ranges), at, strict=True))
        if self.of.ties == "first":
            same = Within(integer(PLACE - self.number(at)), sp.Integer(0), sp.Integer(0))
            write: list[Statement] = [Set(number, part.target, ast.Guard((*inside, same), ast.ONE), part.adding)]
            return self.search(kept, nested(positions, write), self.number(self.own))
        takes_part = (*inside, *replaced_conditions(self.of.conditions, values))
        body = replaced_in(self.of.body, values)
        count = COUNT if self.of.ties == "split" else None
        share = Equal(number, part.target, body, BEST, count, part.adding)
        otherwise = () if part.adding else (Set(number, part.target, ast.ZERO),)
        write = [If(takes_part, (share,), otherwise)] if takes_part else [share]
        counted = [] if count is None else self.counted()
        return self.search(kept, [*counted, *nested(positions, write)], self.number(self.own))

    @property
    def own(self) -> tuple[sp.Symbol, ...]:
        return tuple(item.index for item in self.of.ranges)

    def inside(self, at: Sequence[Integer], positions: Sequence[Range]) -> Conditions:
        """What has to hold for ``at`` to be a position of the maximum."""
        values: dict[sp.Symbol, Integer] = {}
        found: list[Within] = []
        for place, item in zip(at, self.of.ranges, strict=True):
            found.append(Within(place, replaced(item.lower, values), replaced(item.upper, values)))
            values[item.index] = place
        left = bounds.needed(found, (*self.known, *positions))
        return (Within(sp.Integer(0), sp.Integer(1), sp.Integer(1)),) if left is None else left

    def counted(self) -> list[Statement]:
        """count = how many are as large as the largest."""
        add: Statement = Equal(self.part.number, COUNT, self.of.body, BEST, None, adding=True)
        body: list[Statement] = tested(self.of.conditions, [add])
        return [Set(self.part.number, COUNT, ast.ZERO), *nested(list(self.of.ranges), body)]

    def search(
        self,
        kept: list[Range],
        behind: Sequence[Statement],
        number: Integer | None,
        written: Callable[[Output], list[Statement]] | None = None,
    ) -> list[Statement]:
        """Loops over ``kept``: a search for the largest in each, and what is done with it."""
        part, maximum = self.part, self.of
        pseudo = replace(part, conditions=maximum.conditions, body=maximum.body)
        found = domain(pseudo, kept, maximum.ranges, self.steps, self.matrices.sizes)
        # Where a condition on the indices around fails, no position takes part and nothing in the loops is done.
        inner = set(self.own)
        outer = [value for value in found.above if not indices(value) & inner]
        tests = [test for test in found.tests if not condition_indices(test) & inner]
        partial = bool(part.conditions or outer or tests) and not part.adding
        begin = NothingYet(part.number, number is not None)
        each = Larger(part.number, found.body, number)
        if written is not None and not (part.conditions or outer or tests):
            with_position = ast.Call("at", (found.body, ast.SizeValue(self.number(self.own))))
            row = running(found, self.matrices)
            made = windows(part, replace(found, body=with_position), row, Fold(written, [begin], [each], behind))
            if made is not None:
                return made
        found = replace(found, tests=(*found.tests, *part.conditions))
        at = {
            len(kept): [begin],
            len(kept) + len(maximum.ranges): [each],
        }
        body = nested_in(found, [*kept, *maximum.ranges], at, part, {len(kept): behind})
        cleared: list[Statement] = []
        if partial:
            cleared = nested(kept, [Set(part.number, part.target, ast.ZERO), *self.left(part.target, sp.Integer(-1))])
        return [*cleared, *body]
