"""The order of work from a program to a plan, and what each pass does to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.system import Equation, Program, Range
from kernels.schedule.entries import Names
from kernels.schedule.fuse import fused
from kernels.schedule.lower import lowered
from kernels.schedule.order import ordered
from kernels.schedule.plan import Array, Average, Plan, View
from kernels.schedule.stages import cut
from kernels.schedule.storage import in_place, without_time


@dataclass(frozen=True)
class Pass:
    """One step from a program to its plan; ``sentence`` says what is true afterwards."""

    name: str
    sentence: str


PASSES = (
    Pass("prune", "Only equations that the wanted arrays need are left."),
    Pass(
        "place",
        "Each array has its axes: superscripts, the batch where a given array reaches it, the axes of one value.",
    ),
    Pass(
        "cut", "Each part is one product, one sum or one entrywise formula, and every intermediate result has a name."
    ),
    Pass("order", "Parts stand in an order that makes values before they are read; circles are loops over time."),
    Pass("lower", "Parts are products of matrices where the arrays allow it, and loop nests elsewhere."),
    Pass("fuse", "Neighbouring loops over the same range are one loop where no value is read too early."),
    Pass("in place", "An array made entry by entry from another, which nobody needs afterwards, stands in its place."),
    Pass("without time", "An array of which each step is made and read within that step has room for one step."),
)


def planned(program: Program, outputs: Sequence[Access], adjoints: Mapping[str, str], averaged: bool) -> Plan:
    """The plan that makes ``outputs``, the loss first, from a program whose functions are bound.

    ``adjoints`` says for each array that is not the model's whose adjoint it is. ``averaged`` outputs are gradients of a mean.
    """
    arrays = placed(program, adjoints)
    numbers, program = pruned(program, outputs)
    needed = {item.name for item in program.declarations} | {start.key for start in program.starts}
    arrays = {name: array for name, array in arrays.items() if name in needed}
    names = Names({item.name for item in program.declarations} | {size.name for size in program.sizes})
    stages = cut(program, arrays, names, numbers)
    stages, nodes = ordered(stages)
    kept = {access.name for access in outputs} | {item.name for item in program.declarations if item.role != "defined"}
    kept |= {start.key for start in program.starts}
    plan = without_time(in_place(fused(lowered(stages, nodes)), kept), kept)
    return with_averages(plan, outputs[1:], dict(zip(numbers, program.equations, strict=True))) if averaged else plan


def with_averages(plan: Plan, outputs: Sequence[Access], equations: Mapping[int, Equation]) -> Plan:
    """Gradients that each sequence has of its own, divided by the number of sequences: the loss of a batch is a mean."""
    batched = dict.fromkeys(access.name for access in outputs if plan.arrays[access.name].batched)
    number = {equation.target.name: number for number, equation in equations.items()}
    averages = (Average(number[name], View(name, (None,))) for name in batched)
    return replace(plan, statements=(*plan.statements, *averages))


def pruned(program: Program, outputs: Sequence[Access]) -> tuple[tuple[int, ...], Program]:
    """The numbers of the equations left, from 1, and the program with only these."""
    needed = {access.name for access in outputs}
    makers: dict[str, list[Expression]] = {}
    for equation in program.equations:
        makers.setdefault(equation.target.name, []).append(equation.value)
    for start in program.starts:
        if start.value is not None:
            makers.setdefault(start.access.name, []).append(start.value)
    waiting = sorted(needed)
    while waiting:
        for value in makers.get(waiting.pop(), ()):
            new = {node.name for node in ast.walk(value) if isinstance(node, Access)} - needed
            needed |= new
            waiting += sorted(new)
    kept = [(n, e) for n, e in enumerate(program.equations, 1) if e.target.name in needed]
    return tuple(n for n, _ in kept), replace(
        program,
        equations=tuple(equation for _, equation in kept),
        declarations=tuple(item for item in program.declarations if item.name in needed),
        starts=tuple(start for start in program.starts if start.access.name in needed),
    )


def placed(program: Program, adjoints: Mapping[str, str]) -> dict[str, Array]:
    """Every array with its axes, those of starts included."""
    declared = {item.name: item for item in program.declarations}
    batched = {item.name for item in program.declarations if item.role == "given"}
    batched |= {start.access.name for start in program.starts}
    model = [equation for equation in program.equations if equation.target.name not in adjoints]
    others = [equation for equation in program.equations if equation.target.name in adjoints]
    batched = reached(model, batched, frozenset())
    without = frozenset(name for name, primal in adjoints.items() if primal not in batched)
    batched = reached(others, batched, without)
    means = {
        equation.target.name
        for equation in others
        if equation.target.name in without and reads_any(equation.value, batched)
    }
    arrays: dict[str, Array] = {}
    for item in program.declarations:
        slots = list(item.superscripts)
        for start in program.starts:
            if start.access.name == item.name:
                slots = [_with(slot, step) for slot, step in zip(slots, start.access.superscripts, strict=True)]
        arrays[item.name] = Array(item.name, tuple(slots), item.shape, item.name in batched, item.name in means)
    for start in program.starts:
        slots = tuple(
            slot
            for slot, step in zip(declared[start.access.name].superscripts, start.access.superscripts, strict=True)
            if sp.sympify(step) == slot.index
        )
        arrays[start.key] = Array(start.key, slots, declared[start.access.name].shape, batched=True)
    return arrays


def reached(equations: Sequence[Equation], batched: set[str], never: frozenset[str]) -> set[str]:
    """``batched`` and all arrays made from these, except those that are ``never``."""
    while True:
        new = {e.target.name for e in equations if reads_any(e.value, batched)} - batched - never
        if not new:
            return batched
        batched = batched | new


def reads_any(value: Expression, names: Collection[str]) -> bool:
    return any(isinstance(node, Access) and node.name in names for node in ast.walk(value))


def _with(slot: Range, step: sp.Expr) -> Range:
    step = sp.sympify(step)
    return slot if step == slot.index else replace(slot, lower=sp.Min(slot.lower, step), upper=sp.Max(slot.upper, step))
