"""The gradient of a program as a program: stages, the adjoint of every array that reaches the loss, gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy as sp

from derive.calculus.adjoint import Adjoint, Question, adjoint, declared, readers
from derive.calculus.known_products import with_known_products
from derive.calculus.letters import axes_of, reserved
from derive.calculus.order import carried, forward_order, reaches, recurrent
from derive.calculus.shared_adjoints import shared_names
from derive.calculus.shared_parts import gathered
from derive.calculus.slopes import with_named_values, with_slopes
from derive.calculus.stages import mentions, scope_of, split
from derive.language import expression as ast
from derive.language.expression import Access
from derive.language.system import Declaration, Equation, Program, Range, Scope, System


@dataclass(frozen=True)
class Walk:
    """The result of the reverse walk.

    ``adjoints`` are in the order of the walk, the loss first; ``gradients`` by key (``U``, ``x``, ``h^0``); ``opaque``
    holds the equations with slopes as f', ``program`` with the slopes put in, which is what is compiled. ``shared`` are
    the names of adjoints that stay in formulas though they have no letter of their own.
    """

    forward: Program
    adjoints: tuple[Adjoint, ...]
    gradients: Mapping[str, Adjoint]
    names: Mapping[str, str]
    opaque: Program
    program: Program
    scope: Scope
    shared: frozenset[str] = frozenset()


def walk(system: System) -> Walk:
    """Everything the loss of ``system`` sends back."""
    forward = split(system.program)
    scope: dict[str, Declaration] = dict(scope_of(forward))
    reached = reaches(forward, system.loss)
    order = [name for name in reversed(forward_order(forward)) if name in reached]
    names = _adjoint_names(forward, order, system.loss)
    for name, result in names.items():
        scope[result] = declared(scope[name], result, scope[name].superscripts)
    starts: dict[str, str] = {}
    for start in forward.starts:
        tail = "_".join(str(position).replace("-", "minus") for position in start.access.superscripts)
        starts[start.key] = _unused(f"grad_{start.access.name}_start{tail}", scope)
        scope[starts[start.key]] = declared(scope[start.access.name], starts[start.key], ())
    by_array: dict[str, str | None] = {name: names.get(name) for name in order}
    reading = readers(forward, scope, by_array, starts)
    taken = reserved({d.name: d for d in forward.declarations}, forward.sizes)

    def question(name: str, result: str, ranges: tuple[Range, ...], at: tuple[sp.Expr, ...] | None = None) -> Question:
        axes = axes_of(name, forward, scope, [r.index.name for r in ranges])
        return Question(name, result, ranges, at, axes, taken)

    adjoints = [
        _told(adjoint(question(name, names[name], scope[name].superscripts), reading, scope), forward, scope)
        for name in order
        if name != system.loss
    ]
    gradients: dict[str, Adjoint] = {}
    for declaration in forward.declarations:
        if declaration.role != "defined":
            result = _unused(f"grad_{declaration.name}", scope)
            scope[result] = declared(declaration, result, declaration.superscripts)
            found = adjoint(question(declaration.name, result, declaration.superscripts), reading, scope)
            gradients[declaration.name] = _told(found, forward, scope)
    for start in forward.starts:
        asked = question(start.access.name, starts[start.key], (), tuple(start.access.superscripts))
        gradients[start.key] = _without_superscripts(_told(adjoint(asked, reading, scope), forward, scope))
    opaque = _joined(forward, [*adjoints, *gradients.values()], scope)
    slopes = tuple(replace(e, value=with_slopes(e.value, forward, scope)) for e in opaque.equations)
    own = {e.target.name for e in forward.equations}
    slopes = tuple(old if old.target.name in own else new for old, new in zip(opaque.equations, slopes, strict=True))
    program = replace(opaque, equations=slopes)
    shared = shared_names(adjoints, gradients.values(), scope)
    return Walk(forward, tuple(adjoints), gradients, names, opaque, program, scope, shared)


def _told(found: Adjoint, forward: Program, scope: Scope) -> Adjoint:
    """The adjoint with values under the names that the model gives them, and what its terms share taken out."""

    def told(equation: Equation) -> Equation:
        named = with_known_products(with_named_values(equation.value, forward), forward, scope)
        return replace(equation, value=gathered(named, scope))

    return replace(found, equation=told(found.equation), index_equation=told(found.index_equation))


def _adjoint_names(forward: Program, order: list[str], loss: str) -> dict[str, str]:
    """δ for what stands before a function and for states that feed themselves, ∂ℓ/∂ for the rest."""
    taken = {d.name for d in forward.declarations}
    named: set[str] = set()
    for equation in forward.equations:
        for node in ast.walk(equation.value):
            if isinstance(node, ast.Apply) and isinstance(node.argument, Access):
                named.add(node.argument.name)
            if isinstance(node, ast.LogSumExp) and isinstance(node.body, Access):
                named.add(node.body.name)
    for group in recurrent(forward):
        several = len(carried(forward, group)) > 1 or not named & set(group)
        own = {e.target.name for e in forward.equations if mentions(e.value, e.target.name)}
        named |= {name for name in carried(forward, group) if several or name in own}
    names: dict[str, str] = {}
    for name in order:
        if name != loss:
            names[name] = _unused(f"{'delta' if name in named else 'grad'}_{name}", taken)
    return names


def _unused(name: str, taken: Mapping[str, object] | set[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _without_superscripts(found: Adjoint) -> Adjoint:
    """The gradient of a start is an array of its own, not a time series."""

    def bare(equation: Equation) -> Equation:
        return replace(equation, target=Access(equation.target.name, (), equation.target.subscripts))

    return replace(found, equation=bare(found.equation), index_equation=bare(found.index_equation))


def _joined(forward: Program, adjoints: list[Adjoint], scope: Scope) -> Program:
    new = [scope[found.equation.target.name] for found in adjoints]
    return replace(
        forward,
        declarations=(*forward.declarations, *new),
        equations=(*forward.equations, *(found.equation for found in adjoints)),
    )
