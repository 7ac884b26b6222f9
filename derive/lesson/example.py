"""A worked example with small numbers: every equation, forwards and backwards, with its numbers put in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import sympy as sp

from derive.calculus.order import forward_order
from derive.calculus.recursion import recursion_cases
from derive.calculus.shared_adjoints import is_constant, is_named
from derive.calculus.slopes import with_slopes
from derive.calculus.symbols import symbols_in
from derive.derivation import Derivation
from derive.evaluate import Results, bindings, exact, integer, run
from derive.handout.formula import Aligned, Fence, Formula, Matrix, Numeral, Operator, Row
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer, substitute_indices
from derive.language.system import Equation, Program
from derive.lesson.sample import is_by_entry, sample_inputs, sample_sizes
from derive.notation import Names, formula

DIGITS = 3
TRIES = 60


@dataclass(frozen=True)
class Example:
    """Sizes, inputs and all values of one small run, and how many digits are shown."""

    derivation: Derivation
    sizes: dict[str, int]
    values: dict[str, Any]
    results: Results


def worked_example(derivation: Derivation, seed: int = 0) -> Example:
    """Small numbers for every input, and everything computed from them without rounding.

    Where equations are by entry, exactly: the arrays in ``results`` are of fractions.
    """
    program = derivation.forward
    sizes = sample_sizes(derivation, seed)
    by_entry = is_by_entry(derivation)
    tried: list[Example] = []
    for attempt in range(TRIES):
        values = sample_inputs(derivation, sizes, 1000 * seed + attempt)
        given = {key: exact.array(value) for key, value in values.items()} if by_entry else values
        numbers = exact if by_entry else np
        results = run(derivation.program, sizes, given, functions=bindings(program), numbers=numbers)
        tried.append(Example(derivation, sizes, values, results))
        if _teaches(tried[-1]):
            return tried[-1]
    return tried[0]


def _teaches(example: Example) -> bool:
    """No matrix equals its transpose, so that a forgotten transpose shows; no gradient is lost in rounding."""
    arrays = [np.asarray(value) for value in example.values.values()]
    symmetric = any(a.ndim == 2 and a.shape[0] == a.shape[1] > 1 and np.array_equal(a, a.T) for a in arrays)
    adjoints = {name for name in example.derivation.walk.names.values() if name.startswith("delta_")}
    small = any(np.max(np.abs(value)) < 0.02 for (name, _), value in example.results.items() if name in adjoints)
    return not symmetric and not small and (not is_by_entry(example.derivation) or _flows(example))


def _flows(example: Example) -> bool:
    """Something flows back to two entries at least of every array that is more than one number."""
    adjoints = set(example.derivation.walk.names.values())
    arrays = [np.asarray(value, dtype=float) for (name, _), value in example.results.items() if name in adjoints]
    enough = all(np.count_nonzero(np.abs(value) > 0.02) >= min(2, value.size) for value in arrays)
    return enough and not any(_is_saturated(number) for value in arrays for number in value.flat)


def _is_saturated(value: float) -> bool:
    """Nearly a whole number, and none: a probability that is all but 0 or 1."""
    return 0 < abs(value - round(value)) < 0.02


def number(value: float) -> Formula:
    """A number rounded for print; negative ones with a minus sign."""
    rounded = round(float(value), DIGITS)
    text = f"{abs(rounded):.{DIGITS}f}".rstrip("0").rstrip(".") or "0"
    return Row((Operator("-"), Numeral(text))) if rounded < 0 else Numeral(text)


def array(value: Any) -> Formula:
    """A number, a column or a matrix."""
    numbers = np.asarray(value, dtype=float)
    if numbers.ndim == 0:
        return number(float(numbers))
    rows = numbers[:, None] if numbers.ndim == 1 else numbers
    return Matrix(tuple(tuple(number(entry) for entry in line) for line in rows))


@dataclass(frozen=True)
class Substituted:
    """One equation at one time: its left side, the right side with numbers in place of names, and the value."""

    left: Formula
    right: Formula
    value: Formula

    def line(self) -> tuple[Formula, Formula]:
        """The two sides of an aligned line: left, = numbers = value."""
        return self.left, Row((Operator("="), self.right, Operator("="), self.value))


def forward_lines(example: Example) -> list[list[Substituted]]:
    """Every forward equation at every time, in the order of computation, the equations of one time together."""
    program = example.derivation.forward
    order = {name: place for place, name in enumerate(forward_order(program))}
    equations = sorted((e for e in program.equations if not e.target.subscripts), key=lambda e: order[e.target.name])
    found: list[tuple[int, int, Substituted]] = []
    for equation in equations:
        for at in _times(equation, example):
            place = max(at.values(), default=10**6) if equation.ranges else _after(equation, example)
            found.append(
                (place, order[equation.target.name], _substituted(equation.target, equation.value, at, example))
            )
    return _by_time(found)


def _by_time(found: list[tuple[int, int, Substituted]]) -> list[list[Substituted]]:
    """Lines in order, grouped by their time."""
    ordered = sorted(found, key=lambda item: item[:2])
    return [[line for _, _, line in group] for _, group in groupby(ordered, key=lambda item: item[0])]


def _after(equation: Equation, example: Example) -> int:
    """An equation without time comes when the last value it reads is there."""
    times = [
        integer(access.superscripts[0], example.sizes)
        for access in ast.walk(equation.value)
        if isinstance(access, Access) and access.superscripts and not _has_index(access, example)
    ]
    return max(times, default=10**6)


def _has_index(access: Access, example: Example) -> bool:
    return any(symbol.name not in example.sizes for symbol in symbols_in(*access.superscripts))


def backward_lines(example: Example) -> list[list[Substituted]]:
    """Every adjoint that has a name or stands alone, from the loss back to the first step."""
    walk = example.derivation.walk
    found: list[tuple[int, int, Substituted]] = []
    for place, adjoint in enumerate(walk.adjoints):
        is_shown = adjoint.has_matrix_form and (is_named(adjoint) or not adjoint.array.superscripts)
        if is_constant(adjoint) or not is_shown:
            continue
        for case in recursion_cases(adjoint, walk).cases:
            sloped = with_slopes(case.value, walk.forward, walk.scope)
            positions: list[dict[sp.Symbol, int]] = [{}]
            if case.index is not None:
                low, high = (integer(end, example.sizes) for end in (case.lower, case.upper))
                positions = [{case.index: t} for t in range(high, low - 1, -1)]
            for span in adjoint.equation.ranges:
                if span.index != case.index and any(span.index in symbols_in(p) for p in case.target.superscripts):
                    low, high = (integer(end, example.sizes) for end in (span.lower, span.upper))
                    positions = [{**at, span.index: t} for at in positions for t in range(high, low - 1, -1)]
            for at in positions:
                when = max(at.values(), default=10**6)
                found.append((-when, place, _substituted(case.target, sloped, at, example)))
    return _by_time(found)


def gradient_lines(example: Example) -> list[Substituted]:
    """The gradient of every parameter and initial state."""
    derivation = example.derivation
    lines = []
    for key in derivation:
        gradient = derivation[key]
        role = derivation.forward.declaration(key.partition("^")[0]).role
        if role == "given" or not gradient.has_matrix_form:
            continue
        for at in _times(gradient.equation, example):
            value = _unsummed(gradient.equation.value, example)
            lines.append(_substituted(gradient.equation.target, value, at, example))
    return lines


def _unsummed(expression: Expression, example: Example) -> Expression:
    """Sums over time written out, so that numbers can stand in each term."""

    def visit(node: Expression) -> Expression:
        inner = ast.map_children(visit, node)
        if isinstance(inner, ast.Sum):
            low, high = (integer(end, example.sizes) for end in (inner.lower, inner.upper))
            terms = tuple(substitute_indices(inner.body, {inner.index: sp.Integer(t)}) for t in range(low, high + 1))
            return terms[0] if len(terms) == 1 else ast.Add(terms)
        return inner

    return visit(expression)


def _times(equation: Equation, example: Example) -> list[dict[sp.Symbol, int]]:
    positions: list[dict[sp.Symbol, int]] = [{}]
    for r in equation.ranges:
        low, high = (integer(end, example.sizes) for end in (r.lower, r.upper))
        positions = [{**at, r.index: t} for at in positions for t in range(low, high + 1)]
    return positions


def _substituted(target: Access, value: Expression, at: Mapping[sp.Symbol, int], example: Example) -> Substituted:
    """The equation with numbers put in for its indices and its arrays."""
    numbers: dict[sp.Symbol, Integer] = {symbol: sp.Integer(t) for symbol, t in at.items()}
    numbers |= {symbol: sp.Integer(example.sizes[symbol.name]) for symbol in example.derivation.forward.sizes}
    left = substitute_indices(target, numbers)
    right = _unsummed(substitute_indices(_bound(value, example), numbers), example)
    assert isinstance(left, Access)
    placeholders, names = _placeholders(right, example)
    computed = example.results[left.name, tuple(int(p) for p in left.superscripts)]
    return Substituted(formula(left, example.derivation.names), formula(placeholders, names), array(computed))


def _bound(value: Expression, example: Example) -> Expression:
    """Opaque functions by their own names: f is tanh."""
    table = dict(example.derivation.forward.functions)

    def visit(node: Expression) -> Expression:
        inner = ast.map_children(visit, node)
        if isinstance(inner, ast.Apply) and inner.function in table:
            return replace(inner, function=table[inner.function])
        return inner

    return visit(value)


def _placeholders(expression: Expression, example: Example) -> tuple[Expression, Names]:
    """Every array replaced by a name that is written as its numbers."""
    written: dict[str, Formula] = {}
    zero_outside = {d.name for d in example.derivation.program.declarations if d.zero_outside}

    def visit(node: Expression) -> Expression:
        if isinstance(node, Access) and all(place.is_Integer for place in node.superscripts):
            key = (node.name, tuple(int(p) for p in node.superscripts))
            if key not in example.results and node.name in zero_outside:
                shape = tuple(
                    integer(e, example.sizes) for e in example.derivation.program.declaration(node.name).shape
                )
                value: Any = np.zeros(shape)
            else:
                value = example.results[key]
            if node.subscripts:
                value = np.asarray(value)[tuple(integer(p, example.sizes) for p in node.subscripts)]
            name = f"number{len(written)}"
            shown = array(value)
            negative = isinstance(shown, Row)
            written[name] = Fence("(", shown, ")") if negative else shown
            return Access(name)
        return ast.map_children(visit, node)

    replaced = visit(expression)
    base = example.derivation.names
    return replaced, replace(base, written={**base.written, **written})


def aligned(lines: list[Substituted]) -> Formula:
    """The lines below one another."""
    return Aligned(tuple(line.line() for line in lines))


def given_lines(example: Example) -> list[tuple[Formula, Formula]]:
    """What is given and learnt in the example: name = numbers."""
    program: Program = example.derivation.forward
    pairs: list[tuple[Formula, Formula]] = []
    for declaration in program.declarations:
        if declaration.role == "defined":
            continue
        places = sorted(at for name, at in example.results if name == declaration.name)
        for at in places:
            access = Access(declaration.name, tuple(sp.Integer(p) for p in at))
            pairs.append((formula(access, example.derivation.names), array(example.results[declaration.name, at])))
    return pairs
