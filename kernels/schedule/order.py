"""Which part comes after which: recurrences become loops over time, everything else is computed for all steps at once.

This is the loop generation of Allen and Kennedy (ACM TOPLAS 9(4), 1987): parts that need each other in a circle share a
loop over one of their superscripts, in the direction in which every step needs only earlier ones; inside it the circle
is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, product
from typing import cast

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer
from derive.language.system import Range
from kernels.errors import CannotCompile
from kernels.schedule import bounds
from kernels.schedule.integers import (
    replaced_access,
    replaced_conditions,
    replaced_in,
    replaced_range,
)
from kernels.schedule.plan import Array, Node, Part, Stages, TimeLoop


@dataclass(frozen=True)
class Need:
    """``consumer`` reads what ``producer`` makes, at ``access`` within ``ranges``; without access, it adds to it."""

    producer: int
    consumer: int
    access: Access | None
    ranges: tuple[Range, ...]


def ordered(stages: Stages) -> tuple[Stages, tuple[Node, ...]]:
    """The parts in an order that makes each value before it is read."""
    parts = split_off_recurrences(stages.parts, stages.arrays)
    nodes = arrange(tuple(range(len(parts))), parts, needs(parts), ())
    return replace(stages, parts=parts), nodes


def split_off_recurrences(parts: Sequence[Part], arrays: Mapping[str, Array]) -> tuple[Part, ...]:
    """Of the parts of one formula, products outside a recurrence first, then those inside it, then entrywise terms.

    The first sets the target and the others add to it, so a product with values already complete leaves the time loop.
    """
    circle = {part: group for group in components(range(len(parts)), needs(parts)) for part in group}
    formulas: dict[tuple[int, Access], list[int]] = {}
    for number, part in enumerate(parts):
        formulas.setdefault((part.number, part.target), []).append(number)
    result: list[Part] = []
    for numbers in formulas.values():
        members = {circle[number] for number in numbers if len(circle[number]) > 1}

        def rank(number: int, members: set[tuple[int, ...]] = members) -> tuple[bool, int]:
            part = parts[number]
            order = 2 if not part.sums else 1 if circle[number] in members else 0
            return not averaged(part, arrays), order

        in_order = sorted(numbers, key=rank)
        last_averaged = next((number for number in reversed(in_order) if averaged(parts[number], arrays)), None)
        for place, number in enumerate(in_order):
            result.append(replace(parts[number], adding=place > 0, average=number == last_averaged))
    return tuple(result)


def averaged(part: Part, arrays: Mapping[str, Array]) -> bool:
    """True if ``part`` adds sequences of a batch up to a mean."""
    accesses = (node for node in ast.walk(part.body) if isinstance(node, Access))
    return arrays[part.target.name].mean and any(arrays[access.name].batched for access in accesses)


def needs(parts: Sequence[Part]) -> list[Need]:
    """Every pair of a part that makes an array and a part that reads it; parts of one formula follow each other."""
    makers: dict[str, list[int]] = {}
    for number, part in enumerate(parts):
        for name in made(part):
            makers.setdefault(name, []).append(number)
    found: list[Need] = []
    for number, part in enumerate(parts):
        for access, around in reads(part.body, (*part.loops, *part.sums)):
            ranges = tuple(narrowed(item, around, part) for item in around)
            found += [Need(maker, number, access, ranges) for maker in makers.get(access.name, ())]
    for numbers in makers.values():
        for earlier, later in pairwise(numbers):
            if parts[later].adding:
                found.append(Need(earlier, later, None, parts[later].loops))
    return found


def made(part: Part) -> tuple[str, ...]:
    """The arrays that ``part`` makes: a maximum may leave its choice behind."""
    body = part.body
    choice = body.choice if isinstance(body, ast.Maximum) else None
    return (part.target.name,) if choice is None else (part.target.name, choice.name)


def narrowed(item: Range, ranges: Sequence[Range], part: Part) -> Range:
    """``item``, cut to what the part's conditions leave of it."""
    for condition in part.conditions:
        ends = bounds.one_sided(condition, item.index, ranges)
        if ends is not None:
            item = Range(item.index, *ends)
    return item


def reads(value: Expression, ranges: tuple[Range, ...]) -> Iterable[tuple[Access, tuple[Range, ...]]]:
    """Each access in ``value`` with the ranges of the indices around it."""
    if isinstance(value, Access):
        yield value, ranges
    if isinstance(value, ast.Maximum):
        ranges = (*ranges, *value.ranges)
    if isinstance(value, ast.Sum | ast.LogSumExp):
        ranges = (*ranges, Range(value.index, value.lower, value.upper))
    for child in ast.children(value):
        yield from reads(child, ranges)


def components(numbers: Iterable[int], edges: Sequence[Need]) -> list[tuple[int, ...]]:
    """Strongly connected parts, each group in order (Tarjan); groups come before those that need them."""
    numbers = list(numbers)
    inside = set(numbers)
    needed: dict[int, list[int]] = {number: [] for number in numbers}
    for edge in edges:
        if edge.producer in inside and edge.consumer in inside:
            needed[edge.consumer].append(edge.producer)
    place: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    groups: list[tuple[int, ...]] = []

    def visit(root: int) -> None:
        pending = [(root, iter(needed[root]))]
        place[root] = low[root] = len(place)
        stack.append(root)
        while pending:
            number, rest = pending[-1]
            for other in rest:
                if other not in place:
                    place[other] = low[other] = len(place)
                    stack.append(other)
                    pending.append((other, iter(needed[other])))
                    break
                if other in stack:
                    low[number] = min(low[number], place[other])
            else:
                pending.pop()
                if pending:
                    low[pending[-1][0]] = min(low[pending[-1][0]], low[number])
                if low[number] == place[number]:
                    cut = stack.index(number)
                    groups.append(tuple(sorted(stack[cut:])))
                    del stack[cut:]

    for number in numbers:
        if number not in place:
            visit(number)
    return groups


def arrange(
    numbers: tuple[int, ...], parts: Sequence[Part], edges: Sequence[Need], fixed: tuple[sp.Symbol, ...]
) -> tuple[Node, ...]:
    """Nodes for these parts, circles as time loops; of what could come next, something like what came last does."""
    groups = components(numbers, edges)
    group_of = {number: group for group in groups for number in group}
    before: dict[tuple[int, ...], set[tuple[int, ...]]] = {group: set() for group in groups}
    for edge in edges:
        if edge.producer in group_of and edge.consumer in group_of:
            producer, consumer = group_of[edge.producer], group_of[edge.consumer]
            if producer != consumer:
                before[consumer].add(producer)
    circular = {edge.consumer for edge in edges if edge.consumer == edge.producer}
    nodes: list[Node] = []
    last: object = None

    def kind(group: tuple[int, ...]) -> object:
        if len(group) > 1 or circular.intersection(group):
            return "loop"
        part = parts[min(group)]
        return "product" if part.sums else tuple((item.lower, item.upper) for item in part.loops)

    waiting = sorted(groups)
    while waiting:
        ready = [group for group in waiting if not before[group] & set(waiting)]
        chosen = next((group for group in ready if kind(group) == last), ready[0])
        waiting.remove(chosen)
        last = kind(chosen)
        if last == "loop":
            nodes.append(time_loop(chosen, parts, edges, fixed))
        else:
            nodes.append(parts[min(chosen)])
    return tuple(nodes)


def time_loop(
    group: tuple[int, ...], parts: Sequence[Part], edges: Sequence[Need], fixed: tuple[sp.Symbol, ...]
) -> TimeLoop:
    """A loop that makes the circle ``group``, its direction read off the steps from what is made to what is read."""
    inside = [edge for edge in edges if edge.producer in group and edge.consumer in group]
    names = sorted({parts[number].target.name for number in group})
    rank: dict[str, int] = {parts[number].target.name: len(parts[number].times) for number in group}
    open_axes = {
        name: [
            axis
            for axis in range(rank[name])
            if not any(parts[n].times[axis].index in fixed for n in group if parts[n].target.name == name)
        ]
        for name in names
    }
    for choice in sorted(product(*(open_axes[name] for name in names)), key=lambda axes: (len(set(axes)), axes)):
        axis = dict(zip(names, choice, strict=True))
        for descending in (False, True):
            distances = [distance(edge, parts, axis, descending) for edge in inside]
            if all(step is not None for step in distances) and any(step == 1 for step in distances):
                carried = {id(edge) for edge, step in zip(inside, distances, strict=True) if step == 1}
                return loop_over(group, parts, [e for e in inside if id(e) not in carried], axis, descending, fixed)
    raise CannotCompile(f"no order of steps makes {', '.join(names)} before they are needed")


def distance(edge: Need, parts: Sequence[Part], axis: dict[str, int], descending: bool) -> int | None:
    """1 if what is read was certainly made in an earlier step, 0 if perhaps in this one, None if perhaps later."""
    consumer, producer = parts[edge.consumer], parts[edge.producer]
    if edge.access is None:
        return 0
    now = consumer.times[axis[consumer.target.name]].index
    step = edge.access.superscripts[axis[producer.target.name]] - now
    back = step if descending else -step
    if bounds.at_least(back, 1, edge.ranges):
        return 1
    return 0 if bounds.at_least(back, 0, edge.ranges) else None


def loop_over(
    group: tuple[int, ...],
    parts: Sequence[Part],
    edges: Sequence[Need],
    axis: dict[str, int],
    descending: bool,
    fixed: tuple[sp.Symbol, ...],
) -> TimeLoop:
    """The loop, the index of every part in it renamed to one; parts that do not run at every step say when."""
    own = [parts[number].times[axis[parts[number].target.name]] for number in group]
    index = max(own, key=lambda item: sum(other.index == item.index for other in own)).index
    lower = widest([item.lower for item in own], sp.Min)
    upper = widest([item.upper for item in own], sp.Max)
    inner = list(parts)
    for number, item in zip(group, own, strict=True):
        inner[number] = stepped(parts[number], item, Range(index, lower, upper))
    old = {number: item.index for number, item in zip(group, own, strict=True)}
    edges = [reindexed(edge, old[edge.consumer], index) for edge in edges]
    body = arrange(group, inner, edges, (*fixed, index))
    return TimeLoop(index, lower, upper, descending, body)


def widest(ends: list[Integer], choose: type[sp.Min] | type[sp.Max]) -> Integer:
    """The smallest or largest of the ends."""
    return cast("Integer", choose(*dict.fromkeys(ends)))


def stepped(part: Part, item: Range, loop: Range) -> Part:
    """``part`` at one step of ``loop`` instead of over its own range ``item``."""
    change = {item.index: loop.index}
    when = replaced_conditions(part.when, change)
    if (item.lower, item.upper) != (loop.lower, loop.upper):
        when = (*when, ast.Within(loop.index, item.lower, item.upper))
    return replace(
        part,
        target=replaced_access(part.target, change),
        times=tuple(replace(entry, index=loop.index) if entry == item else entry for entry in part.times),
        entries=tuple(replaced_range(entry, change) for entry in part.entries),
        sums=tuple(replaced_range(entry, change) for entry in part.sums),
        conditions=replaced_conditions(part.conditions, change),
        body=replaced_in(part.body, change),
        when=when,
    )


def reindexed(edge: Need, old: sp.Symbol, new: sp.Symbol) -> Need:
    """``edge`` as its consumer says it when an index of it has another name."""
    access = None if edge.access is None else replaced_access(edge.access, {old: new})
    ranges = (replaced_range(item, {old: new}) for item in edge.ranges)
    return replace(
        edge,
        access=access,
        ranges=tuple(replace(item, index=new) if item.index == old else item for item in ranges),
    )
