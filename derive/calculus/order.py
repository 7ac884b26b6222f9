"""Which array is made from which: the order of the stages, what reaches the loss, which arrays form a recurrence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter

import sympy as sp

from derive.calculus.choices import is_choice
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.system import Equation, Program

Reads = Mapping[str, Sequence[tuple[str, bool]]]
"""For each defined array, the arrays it reads, and whether it reads them from an earlier step of its own range."""


def reads(program: Program) -> dict[str, list[tuple[str, bool]]]:
    """Who reads whom; a read from an earlier step does not force an order within one step."""
    result: dict[str, list[tuple[str, bool]]] = {}
    for equation in program.equations:
        found = result.setdefault(equation.target.name, [])
        found += [(access.name, is_earlier(access, equation)) for access in _latest_accesses(equation.value)]
    for start in program.starts:
        if start.value is not None:
            found = result.setdefault(start.access.name, [])
            found += [(node.name, True) for node in ast.walk(start.value) if isinstance(node, Access)]
    return result


def _latest_accesses(value: Expression) -> Iterator[Access]:
    """Every array that is read; where a sum runs over its time, at the last time of the sum."""
    match value:
        case Access():
            yield value
        case ast.Maximum(ranges=ranges, body=body):
            for item in reversed(ranges):
                body = ast.substitute_indices(body, {item.index: item.upper})
            yield from _latest_accesses(body)
        case ast.Sum(index=bound, upper=upper, body=body):
            yield from _latest_accesses(ast.substitute_indices(body, {bound: upper}))
        case _:
            for child in ast.children(value):
                yield from _latest_accesses(child)


def is_earlier(access: Access, equation: Equation) -> bool:
    """The access reads a step before the one the equation makes."""
    own = [position for position in equation.target.superscripts if isinstance(position, sp.Symbol)]
    return any(
        (sp.expand(position - index)).is_negative is True
        for position, index in zip(access.superscripts, own, strict=False)
    )


def forward_order(program: Program) -> list[str]:
    """The defined arrays, each after those it reads within one step, otherwise as written."""
    arrows = reads(program)
    written = list(dict.fromkeys(equation.target.name for equation in program.equations))
    place = {name: number for number, name in enumerate(written)}
    graph = {name: {other for other, earlier in arrows[name] if not earlier and other in place} for name in written}
    sorter = TopologicalSorter(graph)
    sorter.prepare()
    order: list[str] = []
    ready: list[str] = []
    while sorter.is_active():
        ready += sorter.get_ready()
        ready.sort(key=lambda name: place[name])
        name = ready.pop(0)
        order.append(name)
        sorter.done(name)
    return order


def reaches(program: Program, loss: str) -> set[str]:
    """Every array whose changes the loss sees, the loss itself among them; a choice is held constant."""
    arrows = reads(program)
    constant = {equation.target.name for equation in program.equations if is_choice(equation)}
    found: set[str] = set()
    waiting = [loss]
    while waiting:
        name = waiting.pop()
        if name not in found | constant:
            found.add(name)
            waiting += [other for other, _ in arrows.get(name, ())]
    return found


def recurrent(program: Program) -> list[tuple[str, ...]]:
    """The sets of arrays that depend on one another over time, each in forward order."""
    arrows = reads(program)
    order = forward_order(program)
    below = {name: _descendants(name, arrows) for name in order}
    groups: list[tuple[str, ...]] = []
    for name in order:
        group = tuple(other for other in order if other in below[name] and name in below[other])
        if name in below[name] and group not in groups:
            groups.append(group)
    return groups


def _descendants(name: str, arrows: Reads) -> set[str]:
    found: set[str] = set()
    waiting = [other for other, _ in arrows.get(name, ())]
    while waiting:
        other = waiting.pop()
        if other not in found:
            found.add(other)
            waiting += [further for further, _ in arrows.get(other, ())]
    return found


def carried(program: Program, group: Sequence[str]) -> tuple[str, ...]:
    """The arrays of a recurrence that a later step reads, however many steps back."""
    own = [equation for equation in program.equations if equation.target.name in group]
    read = {a.name for equation in own for a in _latest_accesses(equation.value) if is_earlier(a, equation)}
    return tuple(name for name in group if name in read)


def states(program: Program, group: Sequence[str]) -> dict[str, int]:
    """The arrays of a recurrence that a later step reads, with how many steps back they are read at most."""
    lags: dict[str, int] = {}
    for equation in program.equations:
        if equation.target.name not in group:
            continue
        for node in ast.walk(equation.value):
            if isinstance(node, Access) and node.name in group and node.superscripts:
                lag = sp.expand(equation.target.superscripts[0] - node.superscripts[0])
                if lag.is_Integer and lag > 0:
                    lags[node.name] = max(lags.get(node.name, 0), int(lag))
    return {name: lags[name] for name in group if name in lags}
