"""Loops: what is no product of matrices, entry by entry.

One rule orders them. The index that runs along memory, entry after entry, has the innermost loop, where the compiler
computes several entries at once; sums over other indices stand around it, the other indices of the target outside:

    for q: for i: for a: for j:   u[q, i, j] += w[q, a] * x[s*i + d*a - p, j]         j runs along u and x

If that index is summed, a local total adds up what it runs over:

    for q: for a: for i: for j:   total += g[q, i, j] * x[s*i + d*a - p, j]           j runs along g and x
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer, Within
from derive.language.system import Range
from kernels.schedule.domain import Bounds, Domain, domain, loop_bounds, without_divisions
from kernels.schedule.formulas import is_whole
from kernels.schedule.integers import condition_indices, indices, integer, symbols
from kernels.schedule.plan import (
    BATCH,
    Conditions,
    For,
    Given,
    If,
    Let,
    Part,
    Ranges,
    Set,
    Statement,
    View,
    Whole,
)
from kernels.schedule.products import Matrices, narrowed, nested, zero
from kernels.schedule.windows import TOTAL, is_short, windows


def loops(part: Part, steps: Ranges, matrices: Matrices) -> list[Statement]:
    """The last row of LOWERINGS: anything."""
    if is_whole(part.body) or part.unless:
        cut = narrowed(part, steps)
        if part.adding or (not cut.conditions and cut.loops == part.loops):
            return entrywise(cut, matrices)
        return [*zero(part, matrices), *entrywise(replace(cut, adding=bool(cut.conditions)), matrices)]
    kept, sums = matrices.loops(part)
    sums.sort(key=lambda item: item.index != BATCH)  # sequences are furthest apart
    found = domain(part, kept, sums, steps, matrices.sizes)
    if (written := windows(part, found, running(found, matrices))) is not None:
        return written
    found = without_divisions(found)
    partial = is_partial(found)
    cleared = [] if part.adding or not partial else zero(part, matrices)
    return [*cleared, *nest(replace(part, adding=part.adding or partial), found, matrices)]


# Functions of whole rows, and starts ----------------------------------------------------------------------------------


def entrywise(part: Part, matrices: Matrices) -> list[Statement]:
    """A function of whole rows, or a start."""
    if part.unless:
        return start(part, matrices)
    assert isinstance(part.body, ast.Call | ast.LogSumExp)
    return whole(part, part.body, matrices)


def start(part: Part, matrices: Matrices) -> list[Statement]:
    """The start that the caller gave, or else its default."""
    at = tuple(step for step in part.target.superscripts if symbols(step))
    given = Access(part.unless, at, part.target.subscripts)
    copy, default = (loops(replace(part, unless="", body=body), (), matrices) for body in (given, part.body))
    return [If((Given(part.unless),), tuple(copy), tuple(default))]


def whole(part: Part, call: ast.Call | ast.LogSumExp, matrices: Matrices) -> list[Statement]:
    """A function of whole arrays, at every step and for every sequence."""
    around, _ = matrices.loops(part)
    scalar = not matrices.arrays[part.target.name].shape or bool(part.target.subscripts)
    out = part.target if scalar else whole_view(part.target, matrices)
    if isinstance(call, ast.LogSumExp):
        made = Whole(part.number, "logsumexp", row_view(call, matrices), out)
    else:
        argument, *others = (whole_view(array, matrices) for array in call.arguments)
        made = Whole(part.number, call.function, argument, out, others[0] if others else None)
    return nested(around, tested(part.conditions, [made]))


def row_view(call: ast.LogSumExp, matrices: Matrices) -> View:
    """The numbers over which the index of ``call`` runs, one after the other."""
    assert isinstance(call.body, Access)
    array = matrices.arrays[call.body.name]
    starts = [*(slot.lower for slot in array.slots), *(sp.Integer(0) for _ in array.shape)]
    places = [
        (integer(call.lower - start), integer(call.upper - start)) if step == call.index else integer(step - start)
        for step, start in zip((*call.body.superscripts, *call.body.subscripts), starts, strict=True)
    ]
    count = len(array.slots)
    return View(array.name, (*places[:count], *([BATCH] if array.batched else []), *places[count:]))


def whole_view(access: Expression, matrices: Matrices) -> View:
    """The array at its superscripts and the current sequence."""
    assert isinstance(access, Access)
    array = matrices.arrays[access.name]
    slots = (integer(step - slot.lower) for step, slot in zip(access.superscripts, array.slots, strict=True))
    return View(access.name, (*slots, *([BATCH] if array.batched else []), *(None for _ in array.shape)))


def tested(conditions: Conditions, body: Sequence[Statement]) -> list[Statement]:
    """``body`` where the conditions hold."""
    return [If(conditions, tuple(body))] if conditions else list(body)


# The order of loops ---------------------------------------------------------------------------------------------------


def nest(part: Part, found: Domain, matrices: Matrices) -> list[Statement]:
    """``found`` as loops, in rows or with a total."""
    row = running(found, matrices)
    kept, sums = found.kept, found.sums
    if not sums:
        return nested_in(found, kept, {len(kept): [Set(part.number, found.target, found.body, part.adding)]}, part)
    add = Set(part.number, found.target, found.body, adding=True)
    if is_scattered(found):
        inner = row or sums[-1]
        order = [*(item for item in (*kept, *ordered_sums(found, inner)) if item != inner), inner]
        return nested_in(found, order, {len(order): [add]}, part)
    if row in kept:
        around = [item for item in kept if item != row]
        middle = ordered_sums(found, row)
        clear = Set(part.number, found.target, ast.ZERO)
        first = [] if part.adding else [For(row.index, row.lower, row.upper, (clear,))]
        order = [*around, *middle, row]
        return nested_in(found, order, {len(around): first, len(order): [add]}, part)
    inner = [item for item in sums if item != row]
    order = [*kept, *inner, *([row] if row else [])]
    body = [Set(part.number, TOTAL, found.body, adding=True, any_order=row is not None)]
    begin = [Set(part.number, TOTAL, ast.ZERO)]
    end = [Set(part.number, found.target, TOTAL, part.adding)]
    return nested_in(found, order, {len(kept): begin, len(order): body}, part, {len(kept): end})


def running(found: Domain, matrices: Matrices) -> Range | None:
    """The index for the innermost loop, None where none runs along memory or ranges say in which order they stand.

    It is nowhere but on the last axes of storage. Of several, a long one; then one that stands alone on axes of a
    batch, whose values are longer than parameters; then one on more axes; then one of the target.
    """
    items = (*found.kept, *found.sums)
    moving = {item.index for item in items}
    if any(indices(item.lower, item.upper) & moving for item in items if item.lower != -sp.oo):
        return None
    read = [node for node in ast.walk(found.body) if isinstance(node, Access)]
    storage = [(axes(access, matrices), is_batched(access, matrices)) for access in (found.target, *read)]

    def rank(item: Range) -> tuple[int, ...]:
        last = [(axis[-1], batched) for axis, batched in storage if axis]
        alone = sum(place == item.index and batched for place, batched in last)
        unit = [batched for place, batched in last if sp.diff(place, item.index) in (1, -1)]
        return (not is_short(item), alone, sum(unit), len(unit), item in found.kept)

    along = [
        item
        for item in items
        if not any(item.index in symbols(*axis[:-1]) for axis, _ in storage) and rank(item)[3] > 0
    ]
    return max(along, key=rank, default=None)


def axes(access: Access, matrices: Matrices) -> tuple[Integer, ...]:
    """Where in its storage an access is, axis by axis."""
    batch = (BATCH,) if is_batched(access, matrices) else ()
    return (*access.superscripts, *batch, *access.subscripts)


def is_batched(access: Access, matrices: Matrices) -> bool:
    """True if each sequence of a batch has its own."""
    return access.name in matrices.arrays and matrices.arrays[access.name].batched


def is_partial(found: Domain) -> bool:
    """True if the loops may not come to every entry of the target, or come to one several times."""
    summed = {item.index for item in found.sums}
    deciding = [*map(indices, found.above), *map(condition_indices, found.tests)]
    return is_scattered(found) or any(not some & summed for some in deciding)


def is_scattered(found: Domain) -> bool:
    """True if a summed index says where in the target a term goes."""
    return bool(indices(*found.target.superscripts, *found.target.subscripts) & {item.index for item in found.sums})


def ordered_sums(found: Domain, row: Range) -> list[Range]:
    """The sums, those outside on which the ends of the row depend: these are computed before the others run."""
    deciding = set[sp.Symbol]().union(*(indices(value) for value in found.above if row.index in indices(value)))
    return sorted(found.sums, key=lambda item: item.index not in deciding)


# Statements -----------------------------------------------------------------------------------------------------------


def nested_in(
    found: Domain,
    order: Sequence[Range],
    at: Mapping[int, Sequence[Statement]],
    part: Part,
    after: Mapping[int, Sequence[Statement]] | None = None,
) -> list[Statement]:
    """The loops of ``order``; ``at[n]`` stands inside n of them, before the next, and ``after[n]`` behind it."""
    every, lets = named_ends(loop_bounds(found, order), part.number)
    statements: list[Statement] = list(at.get(len(order), ()))
    if not order:
        return tested((*found.tests, *(Within(value, sp.Integer(0), sp.oo) for value in found.above)), statements)
    for number in reversed(range(len(order))):
        loop = every[number]
        statements = [For(loop.index, loop.lower, loop.upper, tuple(tested(loop.tests, statements)))]
        statements = [*lets.get(number, ()), *at.get(number, ()), *statements, *(after or {}).get(number, ())]
    return statements


def named_ends(every: Sequence[Bounds], number: int) -> tuple[list[Bounds], dict[int, list[Let]]]:
    """Ends that take a division are computed as far outside as their indices allow, and have a name there."""
    place = {loop.index: depth for depth, loop in enumerate(every)}
    lets: dict[int, list[Let]] = {}
    result: list[Bounds] = []
    taken = 0
    for depth, loop in enumerate(every):
        ends = {"lower": loop.lower, "upper": loop.upper}
        outer = {
            end: max((place[index] + 1 for index in indices(value) if index in place), default=1)
            for end, value in ends.items()
        }
        wanted = [end for end, value in ends.items() if value.has(sp.floor) and outer[end] < depth]
        taken += bool(wanted)
        for end in wanted:
            stem = "first" if end == "lower" else "last"
            name = sp.Symbol(stem if taken == 1 else f"{stem}_{taken}", integer=True)
            lets.setdefault(outer[end], []).append(Let(number, name, ends[end]))
            ends[end] = name
        result.append(replace(loop, lower=ends["lower"], upper=ends["upper"]))
    return result, lets
