"""Sums of products as products of matrices: which indices number rows, columns and the sum; arrays seen as matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Condition, Expression, Integer
from derive.language.system import Range
from kernels.schedule import bounds
from kernels.schedule.formulas import free_indices, is_plain, superscript_indices
from kernels.schedule.integers import extent, indices, integer
from kernels.schedule.plan import (
    BATCH,
    BATCH_SIZE,
    Array,
    Contraction,
    For,
    Multiply,
    Outer,
    Pack,
    Part,
    Place,
    Ranges,
    Set,
    Statement,
    View,
)

BATCH_RANGE = Range(BATCH, sp.Integer(0), BATCH_SIZE - 1)


@dataclass
class Matrices:
    """The arrays, and the matrices packed so far: under which name, and what is to be packed before the current node.

    ``making`` are the arrays that are not complete before the current node, ``sizes`` what is known of derived sizes.
    """

    arrays: dict[str, Array]
    panels: dict[str, tuple[Integer, Integer]] = field(default_factory=dict)
    packed: dict[View, str] = field(default_factory=dict)
    before: list[Statement] = field(default_factory=list)
    making: frozenset[str] = frozenset()
    sizes: Ranges = ()
    contractions: dict[str, Contraction] = field(default_factory=dict)

    def contraction(self, target: str, made: Contraction) -> str:
        """A name for a contraction that adds to ``target``."""
        numbered = (target if count == 1 else f"{target}_{count}" for count in range(1, len(self.contractions) + 2))
        name = next(name for name in numbered if name not in self.contractions)
        self.contractions[name] = made
        return name

    def is_batched(self, value: Expression) -> bool:
        """True if each sequence of a batch has its own ``value``."""
        return any(self.arrays[node.name].batched for node in ast.walk(value) if isinstance(node, Access))

    def indices(self, value: Expression) -> set[sp.Symbol]:
        """The indices in ``value``, the batch's among them."""
        return free_indices(value) | ({BATCH} if self.is_batched(value) else set())

    def loops(self, part: Part) -> tuple[list[Range], list[Range]]:
        """What the part's target runs over, and what is summed, the batch included."""
        kept, summed = [*part.times], [*part.sums]
        if self.arrays[part.target.name].batched:
            kept.append(BATCH_RANGE)
        elif self.is_batched(part.body):
            summed.append(BATCH_RANGE)
        return [*kept, *part.entries], summed

    def is_complete(self, matrix: View) -> bool:
        """True if ``matrix`` is known before the current node, and the same in all loops."""
        moves = any(place is not None and indices(*_ends(place)) for place in matrix.places)
        return not moves and matrix.name not in self.making

    def pack(self, number: int, matrix: View, inner: Integer, columns: Integer) -> list[Statement]:
        """Packs ``matrix`` once before all that uses it, if it is complete by then; else says how to pack it here."""
        packing: list[Statement] = [] if matrix in self.packed else self.before
        if matrix not in self.packed:
            stem = f"{matrix.name}_{'transposed_' if matrix.transposed else ''}panels"
            numbered = (stem if count == 1 else f"{stem}_{count}" for count in range(1, len(self.panels) + 2))
            self.packed[matrix] = next(name for name in numbered if name not in self.panels)
            self.panels[self.packed[matrix]] = (inner, columns)
        statement = Pack(number, matrix, self.packed[matrix])
        if not self.is_complete(matrix):
            return [statement]
        if packing is self.before:
            self.before.append(statement)
        return []


def _ends(place: Place) -> tuple[Integer, ...]:
    return () if place is None else place if isinstance(place, tuple) else (place,)


@dataclass(frozen=True)
class Attempt:
    """A part seen as a product with the indices ``free`` and ``summed``, in ``loops`` and in ``steps`` that add up."""

    free: list[Range]
    summed: list[Range]
    loops: list[Range]
    steps: list[Range]


def matrix_products(part: Part, steps: Ranges, matrices: Matrices) -> list[Statement] | None:
    """The row of LOWERINGS for products of matrices: conditions become ranges, the rest is zero."""
    cut = narrowed(part, steps)
    made = as_products(cut, matrices, bool(steps))
    return made if made is None or part.adding or cut.loops == part.loops else [*zero(part, matrices), *made]


def narrowed(part: Part, steps: Ranges) -> Part:
    """``part`` with conditions on one of its indices moved into that index's range."""
    ranges = [*steps, *part.loops, *part.sums]
    left: list[Condition] = []
    for condition in part.conditions:
        for place in reversed(range(len(steps), len(ranges))):
            item = ranges[place]
            ends = bounds.one_sided(condition, item.index, ranges)
            later = {other.index for other in ranges[place + 1 :]}
            if ends is not None and not later & indices(*ends):
                ranges[place] = Range(item.index, *bounds.narrower(item, ends, ranges))
                break
        else:
            left.append(condition)
    own = ranges[len(steps) :]
    times, entries = len(part.times), len(part.entries)
    return replace(
        part,
        times=tuple(own[:times]),
        entries=tuple(own[times : times + entries]),
        sums=tuple(own[times + entries :]),
        conditions=tuple(left),
    )


def as_products(part: Part, matrices: Matrices, within_loop: bool) -> list[Statement] | None:
    """The part as products of matrices, in loops over what cannot be an axis of one; None if it is no product."""
    operands = part.body.factors if isinstance(part.body, ast.Product) else ()
    if len(operands) != 2 or part.conditions or not all(map(is_plain, (part.target, *operands))):
        return None
    free, summed = matrices.loops(part)
    both = reduce(set.__and__, map(matrices.indices, operands))
    shared = [item for item in free if item.index in both]
    attempt = Attempt([item for item in free if item not in shared], summed, shared, [])
    times = {item.index for item in part.times} | (superscript_indices(part.body) & {item.index for item in part.sums})
    while True:
        looped = within_loop or bool(attempt.loops or attempt.steps)
        made = one_product(part, attempt, matrices, part.adding or bool(attempt.steps), looped)
        if made is not None:
            break
        smaller = with_one_more_loop(attempt, times)
        if smaller is None:
            return None
        attempt = smaller
    around = nested([*attempt.loops, *attempt.steps], made)
    return around if part.adding or not attempt.steps else [*zero(part, matrices), *around]


def with_one_more_loop(attempt: Attempt, times: set[sp.Symbol]) -> Attempt | None:
    """The attempt with one more superscript in a loop instead of in the product."""
    for item in attempt.free:
        if item.index in times:
            rest = [other for other in attempt.free if other != item]
            return replace(attempt, free=rest, loops=[*attempt.loops, item])
    for item in attempt.summed:
        if item.index in times and len(attempt.summed) > 1:
            rest = [other for other in attempt.summed if other != item]
            return replace(attempt, summed=rest, steps=[*attempt.steps, item])
    return None


def one_product(part: Part, attempt: Attempt, matrices: Matrices, adding: bool, looped: bool) -> list[Statement] | None:
    """One product of matrices for the indices ``free`` and ``summed``, all others fixed; None if there is none."""
    free, summed = attempt.free, attempt.summed
    own = {item.index for item in (*free, *summed)}
    if not free or not summed or any(indices(item.lower, item.upper) & own for item in (*free, *summed)):
        return None
    assert isinstance(part.body, ast.Product)
    first, second = part.body.factors
    if free[-1].index in matrices.indices(first):
        first, second = second, first
    rows = [item for item in free if item.index in matrices.indices(first)]
    columns = [item for item in free if item.index in matrices.indices(second)]
    everywhere = matrices.indices(first) & matrices.indices(second)
    if free != rows + columns or any(item.index not in everywhere for item in summed):
        return None
    out = view(part.target, rows, columns, matrices)
    if out is None or out.transposed or not has_contiguous_rows(out):
        return None
    left, right = view(first, summed, rows, matrices), view(second, summed, columns, matrices)
    if rows and left and right and not left.transposed and not right.transposed and has_contiguous_rows(right):
        return [Outer(part.number, left, right, out, adding)]
    left, matrix = view(first, rows, summed, matrices), right
    if left is None or matrix is None or matrix.rows > 1 or (left.transposed and left.rows > 1):
        return None
    if not rows and not (looped and matrices.is_complete(matrix)):
        return None  # packing a matrix for a single row costs more than it saves
    packing = matrices.pack(part.number, matrix, length(summed), length(columns))
    return [*packing, Multiply(part.number, left, matrices.packed[matrix], out, adding)]


def view(access: Expression, first: list[Range], second: list[Range], matrices: Matrices) -> View | None:
    """``access`` as a matrix, ``first`` numbering rows, ``second`` columns; None where it does not lie so."""
    assert isinstance(access, Access)
    array = matrices.arrays[access.name]
    wanted = {item.index: item for item in (*first, *second)}
    axes = [
        *(
            (integer(step - slot.lower), extent(slot))
            for step, slot in zip(access.superscripts, array.slots, strict=True)
        ),
        *([(BATCH, BATCH_SIZE)] if array.batched else []),
        *zip(access.subscripts, array.shape, strict=True),
    ]
    places: list[Place] = []
    order: list[sp.Symbol] = []
    for step, size in axes:
        moving = [symbol for symbol in indices(step) if symbol in wanted]
        if not moving:
            places.append(step)
            continue
        offset = integer(step - moving[0])
        if len(moving) > 1 or offset.has(moving[0]):
            return None
        item = wanted[moving[0]]
        ends = integer(item.lower + offset), integer(item.upper + offset)
        places.append(None if ends == (0, integer(size - 1)) else ends)
        order.append(moving[0])
    names = [item.index for item in first], [item.index for item in second]
    if order not in (names[0] + names[1], names[1] + names[0]):
        return None
    transposed = bool(first and second) and order != names[0] + names[1]
    rows = len(second if transposed else first)
    kept = [isinstance(place, tuple | None) for place in places]
    whole = [place is None for place in places if isinstance(place, tuple | None)]
    if len(order) - rows > 1 or not all(whole[1:]) or (rows > 1 and kept != sorted(kept)):
        return None  # rows would not stand at equal distances
    return View(access.name, tuple(places), max(rows, 1), transposed)


def has_contiguous_rows(matrix: View) -> bool:
    """True if the entries of a row are neighbours: the last axis of the storage is the matrix's own."""
    return matrix.places[-1] is None or isinstance(matrix.places[-1], tuple)


def length(ranges: Sequence[Range]) -> Integer:
    """How many values the indices take together."""
    return sp.Mul(*map(extent, ranges))


def nested(loops: Sequence[Range], body: Sequence[Statement]) -> list[Statement]:
    """``body`` inside the loops, the first outermost."""
    inner: list[Statement] = list(body)
    for item in reversed(loops):
        inner = [For(item.index, item.lower, item.upper, tuple(inner))]
    return inner


def zero(part: Part, matrices: Matrices) -> list[Statement]:
    """Zero in every entry that the part makes."""
    batch: Ranges = (BATCH_RANGE,) if matrices.arrays[part.target.name].batched else ()
    return nested([*part.times, *batch, *part.entries], [Set(part.number, part.target, ast.ZERO)])
