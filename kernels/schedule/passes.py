"""The order of work from a program to a plan, and what each pass does to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.system import Program, Range
from kernels.schedule.entries import Names
from kernels.schedule.fuse import fused
from kernels.schedule.lower import lowered
from kernels.schedule.order import ordered
from kernels.schedule.plan import Array, Plan
from kernels.schedule.stages import cut

ADJOINT_PREFIXES = ("delta_", "grad_")


@dataclass(frozen=True)
class Pass:
    """One step from a program to its plan; ``sentence`` says what is true afterwards."""

    name: str
    sentence: str


PASSES = (
    Pass("prune", "Only equations that the wanted arrays need are left."),
    Pass("place", "Each array has its axes: superscripts, the batch where a given array reaches it, the axes of one value."),
    Pass("cut", "Each part is one product, one sum or one entrywise formula, and every intermediate result has a name."),
    Pass("order", "Parts stand in an order that makes values before they are read; circles are loops over time."),
    Pass("lower", "Parts are products of matrices where the arrays allow it, and loop nests elsewhere."),
    Pass("fuse", "Neighbouring loops over the same range are one loop where no value is read too early."),
)


def planned(program: Program, outputs: Sequence[Access]) -> Plan:
    """The plan that makes ``outputs`` from a program whose functions are bound."""
    numbers, program = pruned(program, outputs)
    arrays = placed(program)
    names = Names({item.name for item in program.declarations} | {size.name for size in program.sizes})
    stages = cut(program, arrays, names, numbers)
    stages, nodes = ordered(stages)
    return fused(lowered(stages, nodes))


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


def placed(program: Program) -> dict[str, Array]:
    """Every array with its axes, those of starts included."""
    batched = {item.name for item in program.declarations if item.role == "given"}
    batched |= {start.access.name for start in program.starts}
    declared = {item.name: item for item in program.declarations}
    means: set[str] = set()
    changed = True
    while changed:
        changed = False
        for equation in program.equations:
            name = equation.target.name
            if name in batched or name in means:
                continue
            if any(isinstance(node, Access) and node.name in batched for node in ast.walk(equation.value)):
                primal = adjoint_of(name)
                is_mean = primal in declared and primal not in batched
                (means if is_mean else batched).add(name)
                changed = True
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


def _with(slot: Range, step: sp.Expr) -> Range:
    step = sp.sympify(step)
    return slot if step == slot.index else replace(slot, lower=sp.Min(slot.lower, step), upper=sp.Max(slot.upper, step))


def adjoint_of(name: str) -> str | None:
    """The array whose adjoint is called ``name``: z for delta_z, U for grad_U."""
    return next((name.removeprefix(prefix) for prefix in ADJOINT_PREFIXES if name.startswith(prefix)), None)
