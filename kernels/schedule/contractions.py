"""Sums of products with affine subscripts as contractions by tables of offsets (``kernels.contraction``).

What is accepted, in index notation, for a batch of sequences or none, at any step of the loops around it:

    out[O(i)] (=|+=) Σ left[L(i)] · right[R(i)]

* Every axis of O and L has one index, several as digits (g·K + k), or none; all entries of out are made.
* R is affine, or such an affine number divided by a positive integer, on every axis; every condition of the sum says
  that R is inside right, or whole.
* All ranges are those of boxes: no end depends on an index.
* Either every index that only out and right have, or every one that only left and right have, *runs*: it has an axis
  of right that it shares at most with other summed indices (or indices of out), with a positive slope, and an axis of
  out (of left) for itself.

Which of the indices
run, what is copied where, and how it is tiled, is decided in ``kernels.ways`` when the sizes are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Condition, Divides, Integer
from derive.language.system import Shape
from kernels.schedule import bounds
from kernels.schedule.integers import (
    extent,
    indices,
    integer,
    symbols,
)
from kernels.schedule.loops import whole_view
from kernels.schedule.plan import (
    BATCH,
    BATCH_SIZE,
    COLUMN,
    ROW,
    SHARED,
    SUMMED,
    AffineAxis,
    Contract,
    Contraction,
    For,
    LayOut,
    Part,
    Ranges,
    Statement,
)
from kernels.schedule.products import Matrices, nested, zero


def contractions(part: Part, steps: Ranges, matrices: Matrices) -> list[Statement] | None:
    """The row of LOWERINGS for contractions with affine subscripts."""
    operands = part.body.factors if isinstance(part.body, ast.Product) else ()
    if len(operands) != 2 or part.unless or not all(isinstance(operand, Access) for operand in operands):
        return None
    first, second = operands
    for left, right in ((first, second), (second, first)):
        assert isinstance(left, Access)
        assert isinstance(right, Access)
        made = contraction(part, left, right, steps, matrices)
        if made is not None:
            return statements(part, left, right, made, matrices)
    return None


def statements(part: Part, left: Access, right: Access, made: Contraction, matrices: Matrices) -> list[Statement]:
    """Each operand laid out as far outside as it stays the same, and the contraction, sequence by sequence."""
    name = matrices.contraction(part.target.name, made)
    batched = [matrices.is_batched(access) for access in (left, right)]
    adding = part.adding or (any(batched) and not matrices.arrays[part.target.name].batched)
    views = [whole_view(access, matrices) for access in (left, right, part.target)]
    lay = [LayOut(part.number, side, view, name) for side, view in zip(("left", "right"), views, strict=False)]
    inner: list[Statement] = [item for item, its in zip(lay, batched, strict=True) if its]
    inner.append(Contract(part.number, views[0], name, views[2], adding))
    if any(batched) or matrices.arrays[part.target.name].batched:
        inner = [For(BATCH, sp.Integer(0), BATCH_SIZE - 1, tuple(inner))]
    whole = [*(item for item, its in zip(lay, batched, strict=True) if not its), *inner]
    cleared = zero(part, matrices) if adding and not part.adding else []
    return [*cleared, *nested(part.times, whole)]


def contraction(part: Part, left: Access, right: Access, steps: Ranges, matrices: Matrices) -> Contraction | None:
    """What ``part`` contracts, None if it is not of the form in the module's text."""
    ranges = (*part.entries, *part.sums)
    own = [item.index for item in ranges]
    fixed = {item.index for item in (*steps, *part.times)}
    arrays = [matrices.arrays[access.name] for access in (left, right, part.target)]
    accesses = (left, right, part.target)
    if part.target.name in (left.name, right.name) or len(set(own)) < len(own):
        return None
    if any(indices(item.lower, item.upper) for item in ranges) or not all(array.shape for array in arrays):
        return None
    for access, array in zip(accesses, arrays, strict=True):
        if len(access.subscripts) != len(array.shape) or symbols(*access.superscripts) & set(own):
            return None
        if symbols(*access.subscripts) & fixed:
            return None
    read = [list(axes(access.subscripts, array.shape, ranges)) for access, array in zip(accesses, arrays, strict=True)]
    if any(axis is None for axes_ in read for axis in axes_):
        return None
    in_left, in_right, in_out = ([axis for axis in axes_ if axis is not None] for axes_ in read)
    kinds = tuple(kind(n, in_left, in_right, in_out) for n in range(len(own)))
    if None in kinds:
        return None
    known_kinds = tuple(kind_ for kind_ in kinds if kind_)
    made = Contraction(tuple(map(extent, ranges)), known_kinds, tuple(in_left), tuple(in_right), tuple(in_out))
    plain = all(axis.divisor == 1 and digits(axis, made.extents) for axis in in_left)
    whole = all(axis.divisor == 1 and covers(axis, made.extents) for axis in in_out)
    conditions_fit = all(is_about(condition, made, right, ranges) for condition in part.conditions)
    return made if plain and whole and conditions_fit and fits(made) else None


def axes(places: Sequence[Integer], shape: Shape, ranges: Ranges) -> Iterator[AffineAxis | None]:
    """Each place as an affine number of indices that start at 0, over a positive integer."""
    for place, length in zip(places, shape, strict=True):
        numerator, divisor = map(integer, sp.fraction(sp.together(place)))
        slopes = tuple(integer(sp.diff(numerator, item.index)) for item in ranges)
        start = numerator
        for item, slope in zip(ranges, slopes, strict=True):
            start = integer(start - slope * (item.index - item.lower))
        good = not indices(*slopes, start, divisor) and divisor.is_positive and start.is_integer
        yield AffineAxis(slopes, start, divisor, length) if good and is_integral(*slopes, start) else None


def is_integral(*values: Integer) -> bool:
    """True if the values are certainly whole for whole sizes, without floors in them."""
    return all(bool(value.is_integer) for value in values)


def kind(n: int, left: Sequence[AffineAxis], right: Sequence[AffineAxis], out: Sequence[AffineAxis]) -> str | None:
    """Where index n stands; None where it would only repeat what is there."""
    in_out, in_left, in_right = (any(axis.slopes[n] != 0 for axis in array) for array in (out, left, right))
    return {
        (True, True, True): SHARED,
        (True, True, False): ROW,
        (True, False, True): COLUMN,
        (False, True, True): SUMMED,
        (False, True, False): SUMMED,
        (False, False, True): SUMMED,
    }.get((in_out, in_left, in_right))


def covers(axis: AffineAxis, extents: Sequence[Integer]) -> bool:
    """True if the indices meet each place of the axis once."""
    count = digits(axis, extents)
    return count is not None and axis.start == 0 and integer(count - axis.length) == 0


def digits(axis: AffineAxis, extents: Sequence[Integer]) -> Integer | None:
    """How many places the indices of the axis meet, each once, as digits of one number; None if they are no digits."""
    unit: Integer = sp.Integer(1)
    left = [n for n, slope in enumerate(axis.slopes) if slope != 0]
    while left:
        digit = next((n for n in left if integer(axis.slopes[n] - unit) == 0), None)
        if digit is None:
            return None
        unit = integer(unit * extents[digit])
        left.remove(digit)
    return unit


def is_about(condition: Condition, made: Contraction, right: Access, ranges: Ranges) -> bool:
    """True if the condition says no more than that the places of ``right`` are inside, and whole.

    An axis that also has shared indices allows none: what is outside would differ from group to group.
    """
    free = [
        (axis, place)
        for axis, place in zip(made.right, right.subscripts, strict=True)
        if not any(axis.slopes[n] != 0 for n, its in enumerate(made.kinds) if its == SHARED)
    ]
    if isinstance(condition, Divides):
        for axis, place in free:
            rest = integer((condition.value - place * axis.divisor) / axis.divisor)
            if integer(condition.divisor - axis.divisor) == 0 and sp.fraction(sp.together(rest))[1] == 1:
                return True
        return False
    inside = [
        end * scale for axis, place in free for end in (place, axis.length - 1 - place) for scale in {1, axis.divisor}
    ]
    ends = [(condition.value, condition.lower), (condition.upper, condition.value)]
    return all(
        below == -sp.oo
        or above == sp.oo
        or any(integer(above - below - end) == 0 for end in inside)
        or bounds.at_least(integer(above - below), 0, ranges)
        for above, below in ends
    )


def fits(made: Contraction) -> bool:
    """True if in one mode of ``kernels.ways`` all indices can run, whatever the sizes."""
    for axis in made.right:
        shared = any(axis.slopes[n] != 0 for n, its in enumerate(made.kinds) if its == SHARED)
        if shared and axis.divisor != 1:
            return False
    return runs(made, COLUMN, made.out) or runs(made, SUMMED, made.left)


def runs(made: Contraction, its: str, partner: Sequence[AffineAxis]) -> bool:
    """True if the indices of this kind can run, with ``partner`` the other array whose vectors are used."""
    taken: list[AffineAxis] = []
    for n in (n for n, found in enumerate(made.kinds) if found == its):
        in_right = [axis for axis in made.right if axis.slopes[n] != 0]
        in_partner = [axis for axis in partner if axis.slopes[n] != 0]
        if len(in_right) != 1 or len(in_partner) != 1 or not in_right[0].slopes[n].is_positive:
            return False
        (axis,), (place,) = in_right, in_partner
        alone = sum(slope != 0 for slope in place.slopes) == 1 and place.slopes[n] == 1
        shared = any(axis.slopes[m] != 0 for m, found in enumerate(made.kinds) if found == SHARED)
        if not alone or shared or not covers(place, made.extents) or any(axis is other for other in taken):
            return False
        taken.append(axis)
    return bool(taken)
