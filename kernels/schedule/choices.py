"""Choices of maxima without an axis for each index of the window: where the largest one stands, or who is as large.

``argmax_y[c, i, a]`` is the share of position a in ``y[c, i] = max over a of x[c, s*i + a]``. No array of that shape is
made where the rule for ties lets one do without:

    first    argmax_y[c, i] is the number of the position, a small integer that the search leaves behind;
             the share of a is 1 where argmax_y[c, i] is the number of a, else 0
    all      the share of a is 1 where x[c, s*i + a] is as large as y[c, i], else 0
    split    the same over how many are as large, a number for each entry of y

An array that a caller asked for keeps all its axes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Condition, Expression, Integer, Maximum, Share, Within
from derive.language.system import Range
from kernels.schedule import bounds
from kernels.schedule.formulas import factors
from kernels.schedule.integers import integer, replaced, replaced_conditions, replaced_in, symbols
from kernels.schedule.plan import Choice, Part, Stages

Rewriting = Callable[[Access], Expression]
"""What stands for an entry of a choice."""


def without_windows(stages: Stages, kept: Collection[str]) -> Stages:
    """``stages`` with every choice in its small form, except those in ``kept``."""
    for part in stages.parts:
        if isinstance(part.body, Share) and part.target.name not in kept:
            maker = search(part, stages.parts)
            stages = stages if maker is None else with_small(stages, part, part.body, maker)
    named = {array.name for array in stages.arrays.values() if array.choice}
    return replace(stages, parts=tuple(without_choice(part, named) for part in stages.parts))


def search(part: Part, parts: Sequence[Part]) -> Part | None:
    """The maximum of which ``part`` is the share of a position; None if one of the two is made in several parts."""
    name = part.target.name
    bodies = [(other, other.body) for other in parts if isinstance(other.body, Maximum)]
    makers = [other for other, body in bodies if body.choice is not None and body.choice.name == name]
    if len(makers) != 1 or any(other.conditions or not is_plain(other.target) for other in (part, *makers)):
        return None
    read = [node for other in parts for node in ast.walk(other.body) if isinstance(node, Access) and node.name == name]
    whole = any(len(access.subscripts) != len(part.target.subscripts) for access in read)
    several = sum(other.target.name in (name, makers[0].target.name) for other in parts) > 2
    return None if whole or several else makers[0]


def is_plain(target: Access) -> bool:
    """True of an access at different indices."""
    places = (*target.superscripts, *target.subscripts)
    return all(isinstance(place, sp.Symbol) for place in places) and len(set(places)) == len(places)


def without_choice(part: Part, named: Collection[str]) -> Part:
    """``part`` without a place for a choice that nobody reads."""
    body = part.body
    if not isinstance(body, Maximum) or body.choice is None or body.choice.name in named:
        return part
    return replace(part, body=replace(body, choice=None))


def with_small(stages: Stages, part: Part, share: Share, maker: Part) -> Stages:
    """``stages`` with a small form for the choice that ``part`` makes."""
    name, count = part.target.name, len(share.at)
    array = stages.arrays[name]
    lengths = array.shape[-count:]
    array = replace(array, shape=array.shape[:-count])
    arrays = {key: other for key, other in stages.arrays.items() if key != name}
    own: dict[Part, list[Part]] = {part: []}
    if share.maximum.ties == "first":
        arrays[name] = replace(array, choice=Choice(part.number, integer(sp.Mul(*lengths))))
        assert isinstance(maker.body, Maximum)
        own[maker] = [replace(maker, body=replace(maker.body, choice=replace(maker.target, name=name)))]
        rewriting = partial(taken, lengths)
    else:
        split = share.maximum.ties == "split"
        if split:
            arrays[name] = array
            own[part] = [counted(part, share.maximum, maker, count)]
        rewriting = partial(as_large, part, share, maker.target.name, split)
    parts = (changed for other in stages.parts for changed in own.get(other, [other]))
    return replace(stages, arrays=arrays, parts=tuple(read(other, name, rewriting, stages.sizes) for other in parts))


# What is read ---------------------------------------------------------------------------------------------------------


def read(part: Part, name: str, rewriting: Rewriting, sizes: tuple[Range, ...]) -> Part:
    """``part`` with shares computed where it read ``name``."""

    def inside(value: Expression) -> Expression:
        value = ast.map_children(inside, value)
        whole = isinstance(value, Access) and value.name == name and len(value.subscripts) > 0
        return rewriting(value) if isinstance(value, Access) and whole else value

    if part.target.name == name:
        return part
    known = (*sizes, *part.loops, *part.sums)
    body = inside(part.body)
    if body == part.body:
        return part
    found = factors(bounds.settled(body, known))
    left = bounds.needed((*part.conditions, *found.conditions), known)
    if left is None:
        return replace(part, sums=(), conditions=(), body=ast.ZERO)
    return replace(part, conditions=left, body=found.body)


def taken(lengths: Sequence[Integer], access: Access) -> Expression:
    """1 where the search stopped at this position, else 0."""
    count = len(lengths)
    number: Integer = sp.Integer(0)
    for place, length in zip(access.subscripts[-count:], lengths, strict=True):
        number = integer(number * length + place)
    return ast.Call("taken", (replace(access, subscripts=access.subscripts[:-count]), ast.SizeValue(number)))


def as_large(part: Part, share: Share, largest: str, split: bool, access: Access) -> Expression:
    """1 where the number at this position is as large as ``largest``, or 1 over how many are, else 0."""
    names = (*part.target.superscripts, *part.target.subscripts)
    places = zip(names, (*access.superscripts, *access.subscripts), strict=True)
    values = {cast("sp.Symbol", symbol): place for symbol, place in places}
    at = [integer(replaced(place, values)) for place in share.at]
    inside: list[Condition] = []
    for place, item in zip(at, share.maximum.ranges, strict=True):
        inside.append(Within(place, replaced(item.lower, values), replaced(item.upper, values)))
        values[item.index] = place
    own = replace(access, subscripts=access.subscripts[: -len(at)])
    found: Expression = ast.Call("equal", (replaced_in(share.maximum.body, values), replace(own, name=largest)))
    conditions = (*inside, *replaced_conditions(share.maximum.conditions, values))
    return ast.Guard(conditions, ast.Quotient(found, own) if split else found)


def counted(part: Part, maximum: Maximum, maker: Part, count: int) -> Part:
    """How many positions are as large as the largest."""
    target = replace(part.target, subscripts=part.target.subscripts[:-count])
    own = symbols(*target.subscripts)
    return replace(
        part,
        target=target,
        entries=tuple(item for item in part.entries if item.index in own),
        sums=maximum.ranges,
        conditions=maximum.conditions,
        body=ast.Call("equal", (maximum.body, replace(target, name=maker.target.name))),
    )
