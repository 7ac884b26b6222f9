"""Less room: arrays that live for one step lose their time axis; one made from another by entries takes its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import count
from typing import Any, TypeVar

from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer
from derive.language.system import Range
from kernels.schedule.integers import integer
from kernels.schedule.plan import Array, For, If, Place, Plan, Set, Statement, View

Item = TypeVar("Item")


@dataclass(frozen=True)
class Use:
    """An access or view of an array: in which statement, in which loops, in which block and at which place there."""

    of: Access | View
    written: bool
    statement: Statement
    loops: tuple[For, ...]
    block: int
    place: int


def uses(plan: Plan) -> dict[str, list[Use]]:
    """Every use of every array, in the order of the program."""
    found: dict[str, list[Use]] = {name: [] for name in plan.arrays}
    blocks = count()

    def visit(statements: Sequence[Statement], loops: tuple[For, ...]) -> None:
        block = next(blocks)
        for place, statement in enumerate(statements):
            match statement:
                case For(body=body):
                    visit(body, (*loops, statement))
                case If(body=body, otherwise=otherwise):
                    visit(body, loops)
                    visit(otherwise, loops)
                case _:
                    for of, written in touched(statement):
                        if of.name in found:
                            found[of.name].append(Use(of, written, statement, loops, block, place))

    visit(plan.statements, ())
    return found


def touched(statement: Statement) -> Iterable[tuple[Access | View, bool]]:
    """What a simple statement reads, then what it writes."""
    for item in fields(statement):
        value = getattr(statement, item.name)
        if item.name in ("out", "target"):
            continue
        if isinstance(value, View):
            yield value, False
        elif isinstance(value, Expression):
            yield from ((node, False) for node in ast.walk(value) if isinstance(node, Access))
    for name in ("out", "target"):
        written = getattr(statement, name, None)
        if isinstance(written, Access | View):
            yield written, True


# In place of another --------------------------------------------------------------------------------------------------


def in_place(plan: Plan, kept: Collection[str]) -> Plan:
    """An array whose every entry is last read where the same entry of another is made gives its room to the other.

    z^t stands where h^t = f(z^t) will. Arrays in ``kept`` belong to the caller.
    """
    for name in list(plan.arrays):
        if name in kept:
            continue
        found = uses(plan)
        host = successor(plan, name, found, kept)
        if host is not None:
            plan = moved(plan, plan.arrays[name], plan.arrays[host])
    return plan


def successor(plan: Plan, name: str, found: Mapping[str, Sequence[Use]], kept: Collection[str]) -> str | None:
    """The array that may take the room of ``name``: the one made where ``name`` is read for the last time."""
    reads = [use for use in found[name] if not use.written]
    if not reads or not isinstance(last := reads[-1].statement, Set) or not isinstance(own := reads[-1].of, Access):
        return None
    array, host = plan.arrays[name], plan.arrays.get(last.target.name)
    if host is None or host.name in kept or host.name == name or last.adding or not own.superscripts:
        return None
    if (host.shape, host.batched, len(host.slots)) != (array.shape, array.batched, len(array.slots)):
        return None
    block, place = reads[-1].block, reads[-1].place
    same_entry = (own.superscripts, own.subscripts) == (last.target.superscripts, last.target.subscripts)
    reads_end_here = all(use.of == own and use.block == block and use.place <= place for use in reads)
    written_before = all(use.block != block or use.place < place for use in found[name] if use.written)
    makers = [use for use in found[host.name] if use.written and use.statement is not last]
    others_elsewhere = all(is_outside(use.of, array) for use in makers)
    inside = all(contains(outer, inner) for outer, inner in zip(host.slots, array.slots, strict=True))
    fits = same_entry and reads_end_here and written_before and others_elsewhere and inside
    return host.name if fits else None


def is_outside(of: Access | View, array: Array) -> bool:
    """True if the step of ``of`` is certainly one that ``array`` does not have: that of a start."""
    return isinstance(of, Access) and any(
        integer(step - slot.lower).is_negative or integer(slot.upper - step).is_negative
        for step, slot in zip(of.superscripts, array.slots, strict=True)
    )


def contains(outer: Range, inner: Range) -> bool:
    """True if every step of ``inner`` is certainly one of ``outer``."""
    ends = integer(inner.lower - outer.lower), integer(outer.upper - inner.upper)
    return all(bool(end.is_nonnegative) for end in ends)


def moved(plan: Plan, array: Array, host: Array) -> Plan:
    """``plan`` with every use of ``array`` a use of ``host``."""

    def at(place: Place, mine: Range, theirs: Range) -> Place:
        shift = integer(mine.lower - theirs.lower)
        match place:
            case None if (mine.lower, mine.upper) == (theirs.lower, theirs.upper):
                return None
            case None:
                return shift, integer(mine.upper - theirs.lower)
            case (first, last):
                return integer(first + shift), integer(last + shift)
            case _:
                return integer(place + shift)

    def view(old: View) -> View:
        if old.name != array.name:
            return old
        count = len(array.slots)
        return replace(
            old, name=host.name, places=(*map(at, old.places[:count], array.slots, host.slots), *old.places[count:])
        )

    def access(old: Access) -> Access:
        return replace(old, name=host.name) if old.name == array.name else old

    arrays = {name: item for name, item in plan.arrays.items() if name != array.name}
    shared = {**plan.shared, array.name: host.name}
    return replace(plan, arrays=arrays, statements=rewritten(plan.statements, view, access), shared=shared)


# Without time ---------------------------------------------------------------------------------------------------------


def without_time(plan: Plan, kept: Collection[str]) -> Plan:
    """An array of which each step is made and read in that step of one loop has room for one step."""
    for name, found in uses(plan).items():
        array = plan.arrays[name]
        if name in kept or not found:
            continue
        axes = [axis for axis in range(len(array.slots)) if lives_one_step(axis, array, found)]
        if axes:
            plan = dropped(plan, array, axes)
    return plan


def lives_one_step(axis: int, array: Array, found: Sequence[Use]) -> bool:
    """True if all uses are at the current step of one loop."""
    steps = {step_of(use.of, axis, array) for use in found}
    around = [{id(loop) for loop in use.loops if {loop.index} == steps} for use in found]
    return len(steps) == 1 and all(around) and len(set[int]().union(*around)) == 1


def step_of(of: Access | View, axis: int, array: Array) -> Integer | None:
    """The superscript at which an array is used, None where it is more than one."""
    if isinstance(of, Access):
        return of.superscripts[axis]
    place = of.places[axis]
    return None if place is None or isinstance(place, tuple) else integer(place + array.slots[axis].lower)


def dropped(plan: Plan, array: Array, axes: Collection[int]) -> Plan:
    """``plan`` with these superscripts of ``array`` left out."""

    def without(places: tuple[Item, ...]) -> tuple[Item, ...]:
        return tuple(place for axis, place in enumerate(places) if axis not in axes)

    def view(old: View) -> View:
        return replace(old, places=without(old.places)) if old.name == array.name else old

    def access(old: Access) -> Access:
        return replace(old, superscripts=without(old.superscripts)) if old.name == array.name else old

    arrays = {**plan.arrays, array.name: replace(array, slots=without(array.slots))}
    return replace(plan, arrays=arrays, statements=rewritten(plan.statements, view, access))


def rewritten(
    statements: Sequence[Statement], view: Callable[[View], View], access: Callable[[Access], Access]
) -> tuple[Statement, ...]:
    """The statements with every view and access replaced."""

    def expression(value: Expression) -> Expression:
        value = ast.map_children(expression, value)
        return access(value) if isinstance(value, Access) else value

    def one(statement: Statement) -> Statement:
        changes: dict[str, Any] = {}
        for item in fields(statement):
            value = getattr(statement, item.name)
            if isinstance(value, View):
                changes[item.name] = view(value)
            elif isinstance(value, Expression):
                changes[item.name] = expression(value)
            elif item.name in ("body", "otherwise"):
                changes[item.name] = tuple(map(one, value))
        return replace(statement, **changes)

    return tuple(map(one, statements))
