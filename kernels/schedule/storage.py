"""Less room: arrays that live for one step lose their time axis, and an array made from another entry by entry takes its place."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, fields, replace

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer
from kernels.schedule.plan import Array, For, If, Plan, Set, Statement, View


@dataclass(frozen=True)
class Use:
    """One access or view of an array in a statement, the loops around it, and the body it stands in with its place there."""

    of: Access | View
    written: bool
    statement: Statement
    loops: tuple[For, ...]
    block: int
    place: int


def uses(plan: Plan) -> dict[str, list[Use]]:
    """Every use of every array, in the order of the program."""
    found: dict[str, list[Use]] = {name: [] for name in plan.arrays}
    blocks = iter(range(1_000_000))

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


def successor(plan: Plan, name: str, found: dict[str, list[Use]], kept: Collection[str]) -> str | None:
    """The array that may take the room of ``name``."""
    reads = [use for use in found[name] if not use.written]
    if not reads or not isinstance(reads[-1].statement, Set):
        return None
    last = reads[-1]
    own, target = last.of, last.statement.target
    host = plan.arrays.get(target.name)
    array = plan.arrays[name]
    if host is None or host.name in kept or host.name == name or last.statement.adding or not isinstance(own, Access):
        return None
    if (host.shape, host.batched, len(host.slots)) != (array.shape, array.batched, len(array.slots)):
        return None
    if (own.superscripts, own.subscripts) != (target.superscripts, target.subscripts) or not own.superscripts:
        return None
    same_entry = all(use.of == own and use.block == last.block and use.place <= last.place for use in reads)
    written_before = all(use.block != last.block or use.place < last.place for use in found[name] if use.written)
    makers = [use for use in found[host.name] if use.written]
    made_once = all(use.statement is last.statement or not overlap(use.of, host, array) for use in makers)
    inside = all(contains(mine, theirs) for mine, theirs in zip(host.slots, array.slots, strict=True))
    return host.name if same_entry and written_before and made_once and inside else None


def overlap(of: Access | View, host: Array, array: Array) -> bool:
    """False if the use of ``host`` is certainly at a step that ``array`` does not have: a start."""
    if isinstance(of, View):
        return True
    return not any(
        (sp.sympify(step) - slot.lower).is_negative or (slot.upper - sp.sympify(step)).is_negative
        for step, slot in zip(of.superscripts, array.slots, strict=True)
    )


def contains(outer: ast.Integer, inner: ast.Integer) -> bool:
    below = sp.sympify(inner.lower - outer.lower).is_nonnegative
    above = sp.sympify(outer.upper - inner.upper).is_nonnegative
    return bool(below and above)


def moved(plan: Plan, array: Array, host: Array) -> Plan:
    """``plan`` with every use of ``array`` a use of ``host``."""
    shifts = [sp.expand(a.lower - h.lower) for a, h in zip(array.slots, host.slots, strict=True)]
    lengths = [sp.expand(a.upper - a.lower) for a in array.slots]
    wider = [sp.expand(h.upper - h.lower) for h in host.slots]

    def place(old: object, shift: Integer, length: Integer, whole: Integer) -> object:
        if old is None:
            return None if length == whole else (shift, sp.expand(shift + length))
        if isinstance(old, tuple):
            return tuple(sp.expand(end + shift) for end in old)
        return sp.expand(old + shift)  # type: ignore[operator]

    def view(old: View) -> View:
        if old.name != array.name:
            return old
        count = len(shifts)
        front = tuple(map(place, old.places[:count], shifts, lengths, wider))
        return replace(old, name=host.name, places=(*front, *old.places[count:]))

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


def lives_one_step(axis: int, array: Array, found: list[Use]) -> bool:
    """True if all uses are at the current step of one loop."""
    indices = {step_of(use.of, axis, array) for use in found}
    if len(indices) != 1:
        return False
    (index,) = indices
    loops = {id(loop) for use in found for loop in use.loops if loop.index == index}
    return (
        isinstance(index, sp.Symbol) and len(loops) == 1 and all(any(o.index == index for o in u.loops) for u in found)
    )


def step_of(of: Access | View, axis: int, array: Array) -> object:
    """The superscript at which an array is used, None where it is more than one."""
    if isinstance(of, Access):
        return of.superscripts[axis]
    place = of.places[axis]
    return sp.expand(place + array.slots[axis].lower) if isinstance(place, sp.Expr) else None


def dropped(plan: Plan, array: Array, axes: Collection[int]) -> Plan:
    """``plan`` with these superscripts of ``array`` left out."""

    def without(places: tuple, count: int = 0) -> tuple:  # type: ignore[type-arg]
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
        changes: dict[str, object] = {}
        for item in fields(statement):
            value = getattr(statement, item.name)
            if isinstance(value, View):
                changes[item.name] = view(value)
            elif isinstance(value, Expression):
                changes[item.name] = expression(value)
            elif item.name in ("body", "otherwise"):
                changes[item.name] = tuple(map(one, value))
        return replace(statement, **changes)  # type: ignore[arg-type]

    return tuple(map(one, statements))
