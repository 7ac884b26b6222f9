"""What is told about an array that is read at a position made of several indices, ``x[c, s*i + d*a - p]``.

Which outputs read an entry; the scatter form; the gather form, where the position is solved for the output's index; its
case of stride 1; and the way back as a map of its own, the transpose of the way there. None of it knows of convolution:
it holds for every stage, and the words follow from the coefficients.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import sympy as sp

from derive.calculus.adjoint import Adjoint, Contribution
from derive.calculus.entry_steps import total_derivative
from derive.calculus.map_steps import map_steps
from derive.calculus.positions import (
    Position,
    positions_of,
    sums_in,
    target_of,
)
from derive.calculus.symbols import symbols_in
from derive.calculus.tidy import tidy
from derive.calculus.unit_stride import unit_stride
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.system import Range
from derive.trace import Equivalent, Line, Sentence, Step

POSITION_STEPS = ("reads", "scatter", "unit-stride", "transposed", "exchanged")
"""How the ids of these steps begin."""


def steps_before(found: Adjoint, key: str, walk: Walk, loss: str) -> Iterator[Step]:
    """Which outputs read the entry, and the gradient as a sum over all of them; nothing where positions are plain."""
    spread = [c for c in found.contributions if c.scattered is not None]
    if not spread:
        return
    for number, contribution in enumerate(spread, start=1):
        tail = f"-{number}" if len(spread) > 1 else ""
        positions = list(dict.fromkeys(positions_of(contribution, found, walk)))
        if positions:
            yield _reads_step(f"reads-{key}{tail}", contribution, found, positions, walk)
    yield _scatter_step(f"scatter-{key}", found, walk, loss)


def steps_after(found: Adjoint, key: str, walk: Walk, loss: str) -> Iterator[Step]:
    """The case of stride 1, the transposed map, and for an array read plainly what its gradient shares with it."""
    yield from unit_stride(f"unit-stride-{key}", found, walk, loss)
    yield from map_steps(found, key, walk)


def gather_reason(found: Adjoint, walk: Walk) -> Sentence:
    """What became of the conditions on positions; empty where there were none."""
    words: list[str | Expression] = []
    for contribution in found.contributions:
        for position in dict.fromkeys(positions_of(contribution, found, walk) if contribution.scattered else ()):
            words += [", " if words else "", ast.SizeValue(position.index), " is ", ast.SizeValue(position.solution)]
    if not words:
        return ()
    return (" In the scatter form ", *words, ", so the sum over it is used up.")


# Which outputs read an entry ------------------------------------------------------------------------------------------


def _reads_step(
    name: str, contribution: Contribution, found: Adjoint, positions: Sequence[Position], walk: Walk
) -> Step:
    target, array = target_of(contribution, walk), _entry(found)
    assert target is not None
    assert contribution.scattered is not None
    ranges = {r.index: r for r in (*found.index_equation.ranges, *sums_in(contribution.scattered))}
    words: list[str | Expression] = [target, " reads ", array, " where its position "]
    for number, position in enumerate(positions):
        words += [" and " if number else "", ast.SizeValue(position.position), " is ", ast.SizeValue(position.letter)]
    words.append(".")
    for position in positions:
        words += _solution_words(position)
    lines = [Line((_bracket(p.read), _product([_bracket((c,)) for c in p.solved]))) for p in positions]
    return Step(
        name,
        ("Which entries of ", Access(target.name, target.superscripts), " read ", array),
        "solve",
        tuple(words),
        _bracket(positions[0].read),
        _bracket(positions[0].solved),
        tuple(lines),
        claims=tuple(Equivalent(p.read, p.solved, _needed(p, ranges)) for p in positions),
    )


def _solution_words(position: Position) -> Sentence:
    index = ast.SizeValue(position.index)
    if position.divisor == 1:
        return (" Every choice of the other indices leaves exactly one ", index, ".")
    divided = ast.SizeValue(sp.expand(position.solution * position.divisor))
    return (" Solved for ", index, ", it has a whole number only where ", ast.SizeValue(position.divisor), " divides ",
            divided, ".")  # fmt: skip


def _bracket(conditions: tuple[ast.Condition, ...]) -> Expression:
    return ast.Guard(conditions, ast.ONE)


def _product(factors: Sequence[Expression]) -> Expression:
    return factors[0] if len(factors) == 1 else ast.Product(tuple(factors))


def _needed(position: Position, ranges: Mapping[sp.Symbol, Range]) -> tuple[Range, ...]:
    return tuple(ranges[s] for s in ranges if s in symbols_in(position.position, position.letter))


# Scatter form ---------------------------------------------------------------------------------------------------------


def _scatter_step(name: str, found: Adjoint, walk: Walk, loss: str) -> Step:
    equation = found.index_equation
    parts = tuple(c.value if c.scattered is None else c.scattered for c in found.contributions)
    value = parts[0] if len(parts) == 1 else tidy(ast.Add(parts), walk.scope)
    claim = total_derivative(found, replace(equation, value=value), loss)
    body = _body(parts[0])
    share: Sentence = (" sends ", body) if len(parts) == 1 else (" sends its share",)
    readers = dict.fromkeys(target_of(c, walk) for c in found.contributions)
    first = next((target for target in readers if target is not None), equation.target)
    return Step(
        name,
        ("Scatter form: each output sends back to the positions that it read",),
        "chain rule",
        (
            "Each entry of ", Access(first.name, first.superscripts), *share, " back to every position that it read. ",
            "The bracket keeps what arrives at this one, and what arrives there adds up.",
        ),
        equation.target,
        value,
        (Line((equation.target, value)),),
        claims=(claim,),
    )  # fmt: skip


def _body(value: Expression) -> Expression:
    """What stands inside all sums and conditions."""
    while isinstance(value, ast.Sum | ast.Guard):
        value = value.body
    return value


def _entry(found: Adjoint) -> Access:
    return replace(found.array, subscripts=found.index_equation.target.subscripts)
