"""The order of work from a program to a plan, and what each pass does to it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.system import Equation, Program, Range
from kernels.schedule.choices import without_windows
from kernels.schedule.entries import Names
from kernels.schedule.fuse import fused
from kernels.schedule.integers import Integer, indices
from kernels.schedule.lower import lowered
from kernels.schedule.order import ordered
from kernels.schedule.plan import Array, Average, Node, Plan, Stages, View
from kernels.schedule.stages import cut
from kernels.schedule.storage import in_place, without_time


@dataclass(frozen=True)
class Work:
    """A program on its way to a plan.

    ``outputs`` are the arrays wanted, the loss first; ``adjoints`` says, for each array that is not the model's, whose
    adjoint it is; ``averaged`` says that outputs after the loss are gradients of its mean over a batch.
    """

    program: Program
    outputs: tuple[Access, ...]
    adjoints: Mapping[str, str]
    averaged: bool
    numbers: tuple[int, ...] = ()
    arrays: Mapping[str, Array] = field(default_factory=dict)
    stages: Stages = field(default_factory=lambda: Stages({}, ()))
    nodes: tuple[Node, ...] = ()
    plan: Plan = field(default_factory=lambda: Plan({}, {}, ()))

    @property
    def kept(self) -> frozenset[str]:
        """The arrays that callers see: wanted ones, and those they give."""
        given = {item.name for item in self.program.declarations if item.role != "defined"}
        return frozenset(given | {start.key for start in self.program.starts} | {a.name for a in self.outputs})


def place(work: Work) -> Work:
    """Axes from the whole program: what a given array reaches has a batch, except adjoints of what has none."""
    program, adjoints = work.program, work.adjoints
    batched = frozenset(item.name for item in program.declarations if item.role == "given")
    batched |= {start.access.name for start in program.starts}
    model = [equation for equation in program.equations if equation.target.name not in adjoints]
    others = [equation for equation in program.equations if equation.target.name in adjoints]
    batched = reached(model, batched, frozenset())
    without = frozenset(name for name, primal in adjoints.items() if primal not in batched)
    batched = reached(others, batched | (adjoints.keys() - without), without)
    means = {e.target.name for e in others if e.target.name in without and reads_any(e.value, batched)}
    arrays: dict[str, Array] = {}
    for item in program.declarations:
        slots = list(item.superscripts)
        for start in program.starts:
            if start.access.name == item.name:
                slots = [wide_enough(slot, step) for slot, step in zip(slots, start.access.superscripts, strict=True)]
        arrays[item.name] = Array(item.name, tuple(slots), item.shape, item.name in batched, item.name in means)
    for start in program.starts:
        state = program.declaration(start.access.name)
        steps = zip(state.superscripts, start.access.superscripts, strict=True)
        slots = tuple(slot for slot, step in steps if step == slot.index)
        arrays[start.key] = Array(start.key, slots, state.shape, batched=True)
    return replace(work, arrays=arrays)


def reached(equations: Collection[Equation], names: frozenset[str], never: frozenset[str]) -> frozenset[str]:
    """``names`` and all arrays made from these, except those that are ``never``."""
    while new := {e.target.name for e in equations if reads_any(e.value, names)} - names - never:
        names |= new
    return names


def reads_any(value: Expression, names: Collection[str]) -> bool:
    """True if ``value`` mentions one of ``names``."""
    return any(isinstance(node, Access) and node.name in names for node in ast.walk(value))


def wide_enough(slot: Range, step: Integer) -> Range:
    """``slot`` with room for a start at ``step``."""
    if indices(step):
        return slot
    lower, upper = sp.Min(slot.lower, step), sp.Max(slot.upper, step)
    assert isinstance(lower, sp.Expr)
    assert isinstance(upper, sp.Expr)
    return replace(slot, lower=lower, upper=upper)


def prune(work: Work) -> Work:
    """Equations are numbered from 1, and those that the outputs do not need are left out."""
    program = work.program
    makers: dict[str, list[Expression]] = {}
    for equation in program.equations:
        makers.setdefault(equation.target.name, []).append(equation.value)
    for start in program.starts:
        if start.value is not None:
            makers.setdefault(start.access.name, []).append(start.value)
    needed = {access.name for access in work.outputs}
    waiting = sorted(needed)
    while waiting:
        for value in makers.get(waiting.pop(), ()):
            new = {node.name for node in ast.walk(value) if isinstance(node, Access)} - needed
            needed |= new
            waiting += sorted(new)
    kept = [(number, e) for number, e in enumerate(program.equations, 1) if e.target.name in needed]
    starts = tuple(start for start in program.starts if start.access.name in needed)
    needed |= {start.key for start in starts}
    program = replace(
        program,
        equations=tuple(equation for _, equation in kept),
        declarations=tuple(item for item in program.declarations if item.name in needed),
        starts=starts,
    )
    arrays = {name: array for name, array in work.arrays.items() if name in needed}
    return replace(work, program=program, numbers=tuple(number for number, _ in kept), arrays=arrays)


def cut_up(work: Work) -> Work:
    """The parts of all equations."""
    taken = {item.name for item in work.program.declarations} | {size.name for size in work.program.sizes}
    return replace(work, stages=cut(work.program, work.arrays, Names(taken), work.numbers))


def choose(work: Work) -> Work:
    """Choices of maxima in a small form."""
    return replace(work, stages=without_windows(work.stages, work.kept))


def put_in_order(work: Work) -> Work:
    """The parts as a tree of time loops."""
    stages, nodes = ordered(work.stages)
    return replace(work, stages=stages, nodes=nodes)


def lower(work: Work) -> Work:
    """The statements."""
    return replace(work, plan=lowered(work.stages, work.nodes))


def on_plan(change: Callable[[Plan, Collection[str]], Plan]) -> Callable[[Work], Work]:
    """A pass that only changes the plan."""
    return lambda work: replace(work, plan=change(work.plan, work.kept))


def average(work: Work) -> Work:
    """Gradients of which each sequence has its own, divided by the number of sequences."""
    outputs = work.outputs[1:] if work.averaged else ()
    batched = dict.fromkeys(access.name for access in outputs if work.plan.arrays[access.name].batched)
    equations = zip(work.program.equations, work.numbers, strict=True)
    number = {equation.target.name: number for equation, number in equations}
    divisions = (Average(number[name], View(name, (None,))) for name in batched)
    return replace(work, plan=replace(work.plan, statements=(*work.plan.statements, *divisions)))


@dataclass(frozen=True)
class Pass:
    """One step of the work, and what is true afterwards."""

    name: str
    sentence: str
    apply: Callable[[Work], Work]


PASSES = (
    Pass("place", "Each array has its axes: superscripts, a batch where the caller's arrays reach it, entries.", place),
    Pass("prune", "Only equations that the wanted arrays need are left.", prune),
    Pass("cut", "Each part is one product, one sum or one entrywise formula; intermediate results have names.", cut_up),
    Pass("choose", "The choice of a maximum is one number for each entry, not one for each position.", choose),
    Pass("order", "Values are made before they are read; what needs itself is a loop over time.", put_in_order),
    Pass("lower", "Parts are products of matrices where arrays allow it, and plain loops elsewhere.", lower),
    Pass("fuse", "Neighbouring loops over one range are one loop where no value is read too early.", on_plan(fused)),
    Pass(
        "in place",
        "An array made from another, entry by entry and for the last time, stands in its place.",
        on_plan(in_place),
    ),
    Pass("without time", "An array made and read within each step has room for one step.", on_plan(without_time)),
    Pass("average", "Gradients of which each sequence has its own are those of the mean loss.", average),
)


def planned(work: Work) -> Plan:
    """The plan after all passes, for a program whose functions are bound."""
    for item in PASSES:
        work = item.apply(work)
    return work.plan
