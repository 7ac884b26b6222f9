"""The reverse walk: for every array, what flows back to it from each stage that reads it.

The adjoint of an array a is ∂loss/∂a. A stage ``out = body`` sends ``Σ ∂loss/∂out[…] · ∂body/∂a[…]`` back to each a
that it reads. The partial derivative is SymPy's; the sum is contracted exactly; the result is lifted to matrix notation
where it has one. Time is one more index, so backpropagation through time needs no rule of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from derive.calculus.contract import Term, contracted, scattered
from derive.calculus.elementwise import in_indices
from derive.calculus.index_notation import Bound, Stage, dummy, element, partial_derivative, stage
from derive.calculus.letters import Axis, plain_axes
from derive.calculus.lift import lift, named_indices
from derive.calculus.network import NotAMatrix
from derive.calculus.symbols import replaced
from derive.calculus.tidy import tidy
from derive.language import expression as ast
from derive.language.expression import Access, Expression, index
from derive.language.system import Declaration, Equation, Program, Range, Scope


@dataclass(frozen=True)
class Contribution:
    """What one stage sends back to one array: its partial derivative as SymPy gives it, and that contracted."""

    stage: Stage
    entry: sp.Indexed
    partial: sp.Expr
    terms: tuple[Term, ...]
    value: Expression
    """The contracted terms added, in matrix notation if the adjoint has one, else in indices."""
    scattered: Expression | None = None
    """The same with the stage's indices kept and a condition on the position that each entry is read at.

    None where the stage reads the array at plain indices only.
    """


@dataclass(frozen=True)
class Adjoint:
    """∂loss/∂(array at superscripts): its equation, where it came from, and the same in index notation."""

    array: Access
    equation: Equation
    index_equation: Equation
    contributions: tuple[Contribution, ...]

    @property
    def has_matrix_form(self) -> bool:
        """The equation speaks of whole arrays, not of entries."""
        return not self.equation.target.subscripts


@dataclass(frozen=True)
class Question:
    """Whose adjoint is sought: the array, where in time, under which name, and how far its superscripts run."""

    name: str
    result: str
    ranges: tuple[Range, ...] = ()
    superscripts: tuple[sp.Expr, ...] | None = None
    """Fixed superscripts (a start), or None for one index for each range."""
    axes: tuple[Axis, ...] | None = None
    """How each axis is written; None for i, j, k …"""
    reserved: frozenset[str] = frozenset()
    """Names that no index may have."""


@dataclass(frozen=True)
class Reader:
    """A stage that reaches the loss, and the name of its output's adjoint; None for the loss, whose adjoint is 1."""

    stage: Stage
    adjoint: str | None
    is_start: bool = False

    def seed(self) -> sp.Expr:
        """∂loss/∂(entry of the stage's output)."""
        if self.adjoint is None:
            return sp.Integer(1)
        return element(self.adjoint, () if self.is_start else self.stage.superscripts, self.stage.subscripts)


def readers(
    program: Program, scope: Scope, adjoints: Mapping[str, str | None], starts: Mapping[str, str]
) -> list[Reader]:
    """Every equation whose output has an adjoint and every start computed from other arrays, in index notation.

    ``adjoints`` are by array, ``starts`` by key.
    """
    computed = [
        Reader(stage(Equation(start.access, start.value), scope), starts[start.key], is_start=True)
        for start in program.starts
        if start.value is not None and any(isinstance(node, Access) for node in ast.walk(start.value))
    ]
    return computed + [
        Reader(stage(equation, scope), adjoints[equation.target.name])
        for equation in program.equations
        if equation.target.name in adjoints
    ]


def adjoint(question: Question, stages: Sequence[Reader], scope: Scope) -> Adjoint:
    """The adjoint of one array: what flows back from every stage that reads it."""
    shape = scope[question.name].shape
    above: list[sp.Symbol] = [dummy(r.index.name) for r in question.ranges]
    times = [r.index.name for r in question.ranges]
    axes = plain_axes(shape, times) if question.axes is None else question.axes
    below = {item.index: dummy(item.index.name) for axis in axes for item in axis.ranges}
    positions = tuple(replaced(axis.position, below) for axis in axes)
    superscripts = tuple(above) if question.superscripts is None else question.superscripts
    free = {
        **{d: Bound(d, r.lower, r.upper) for d, r in zip(above, question.ranges, strict=True)},
        **{below[r.index]: Bound(below[r.index], r.lower, r.upper) for axis in axes for r in axis.ranges},
    }
    entry = element(question.name, superscripts, positions)
    raw: list[tuple[Reader, sp.Expr, list[Term]]] = []
    for reader in stages:
        if not reader.stage.body.has(sp.IndexedBase(question.name)):
            continue
        partial = partial_derivative(reader.stage.body, entry)
        terms = contracted(reader.seed() * partial, reader.stage.bounds, free, above)
        if terms:
            raw.append((reader, partial, terms))
    readable = list(zip(above, times, strict=True))
    entrywise = [*readable, *((own, letter.name) for letter, own in below.items())]

    def in_entries(terms: Sequence[Term], stage: Stage) -> list[Expression]:
        order = stage.reads
        return [named_indices(in_indices(t, scope, order), entrywise, question.reserved) for t in terms]

    index_values = [in_entries(terms, reader.stage) for reader, _, terms in raw]
    try:
        values = [[named_indices(lift(t, _extents(positions, shape), scope), readable) for t in ts] for _, _, ts in raw]
        lifted = True
    except NotAMatrix:
        values, lifted = index_values, False
    target = Access(
        question.result,
        tuple(index(name) for name in times) if question.superscripts is None else superscripts,
    )
    entry_target = Access(question.result, target.superscripts, tuple(axis.position for axis in axes))
    sub_ranges = tuple(item for axis in axes for item in axis.ranges)
    contributions: list[Contribution] = []
    for (reader, partial, terms), parts in zip(raw, values, strict=True):
        spread = None
        if not lifted and any(factor.has(sp.KroneckerDelta) for factor in (partial,)):
            kept = scattered(reader.seed() * partial, reader.stage.bounds, free, above)
            if kept != terms and any(_is_position(term) for term in kept):
                spread = _total(in_entries(kept, reader.stage), (), scope)
        value = _total(parts, (), scope)
        contributions.append(Contribution(reader.stage, entry, partial, tuple(terms), value, spread))
    index_equation = Equation(
        entry_target, _total([v for part in index_values for v in part], (), scope), (*question.ranges, *sub_ranges)
    )
    whole = Equation(target, _total([v for part in values for v in part], shape, scope), question.ranges)
    return Adjoint(
        Access(question.name, target.superscripts),
        whole if lifted else index_equation,
        index_equation,
        tuple(contributions),
    )


def _extents(positions: Sequence[sp.Expr], shape: Sequence[sp.Expr]) -> dict[sp.Symbol, sp.Expr]:
    """The extent of each axis by its index; NotAMatrix where an axis is written in digits."""
    extents: dict[sp.Symbol, sp.Expr] = {}
    for position, extent in zip(positions, shape, strict=True):
        if not isinstance(position, sp.Symbol):
            raise NotAMatrix
        extents[position] = extent
    return extents


def _is_position(term: Term) -> bool:
    """A condition of the term fixes the position at which the array is read."""
    return any(isinstance(c, ast.Within) and c.lower == c.upper for c in term.conditions)


def _total(values: Sequence[Expression], shape: Sequence[sp.Expr], scope: Scope) -> Expression:
    if not values:
        return ast.Filled(0, tuple(shape)) if shape else ast.ZERO
    return values[0] if len(values) == 1 else tidy(ast.Add(tuple(values)), scope)


def declared(declaration: Declaration, name: str, ranges: tuple[Range, ...]) -> Declaration:
    """The declaration of an adjoint of ``declaration``: same shape, zero outside its range."""
    return Declaration(name, "defined", declaration.shape, ranges, zero_outside=True)
