"""The gradient of a program as a program: stages, the adjoint of every array that reaches the loss, gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from derive.calculus.adjoint import Adjoint, Question, adjoint, declared, readers
from derive.calculus.order import forward_order, reaches, recurrent, states
from derive.calculus.slopes import with_slopes
from derive.calculus.stages import mentions, scope_of, split
from derive.language import expression as ast
from derive.language.expression import Access
from derive.language.system import Declaration, Equation, Program, Scope, System


@dataclass(frozen=True)
class Walk:
    """The result of the reverse walk.

    ``adjoints`` are in the order of the walk, the loss first; ``gradients`` by key (``U``, ``x``, ``h^0``); ``opaque``
    holds the equations with slopes as f', ``program`` with the slopes put in, which is what is compiled.
    """

    forward: Program
    adjoints: tuple[Adjoint, ...]
    gradients: Mapping[str, Adjoint]
    names: Mapping[str, str]
    opaque: Program
    program: Program
    scope: Scope


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
    adjoints = [
        adjoint(Question(name, names[name], scope[name].superscripts), reading, scope)
        for name in order
        if name != system.loss
    ]
    gradients: dict[str, Adjoint] = {}
    for declaration in forward.declarations:
        if declaration.role != "defined":
            result = _unused(f"grad_{declaration.name}", scope)
            scope[result] = declared(declaration, result, declaration.superscripts)
            gradients[declaration.name] = adjoint(
                Question(declaration.name, result, declaration.superscripts), reading, scope
            )
    for start in forward.starts:
        question = Question(start.access.name, starts[start.key], (), tuple(start.access.superscripts))
        gradients[start.key] = _without_superscripts(adjoint(question, reading, scope))
    opaque = _joined(forward, [*adjoints, *gradients.values()], scope)
    slopes = tuple(replace(e, value=with_slopes(e.value, forward, scope)) for e in opaque.equations)
    own = {e.target.name for e in forward.equations}
    slopes = tuple(old if old.target.name in own else new for old, new in zip(opaque.equations, slopes, strict=True))
    return Walk(forward, tuple(adjoints), gradients, names, opaque, replace(opaque, equations=slopes), scope)


def _adjoint_names(forward: Program, order: list[str], loss: str) -> dict[str, str]:
    """δ for what stands before a function and for states that feed themselves, ∂ℓ/∂ for the rest."""
    taken = {d.name for d in forward.declarations}
    named: set[str] = set()
    for equation in forward.equations:
        for node in ast.walk(equation.value):
            if isinstance(node, ast.Apply) and isinstance(node.argument, Access):
                named.add(node.argument.name)
    for group in recurrent(forward):
        several = len(states(forward, group)) > 1
        own = {e.target.name for e in forward.equations if mentions(e.value, e.target.name)}
        named |= {name for name in states(forward, group) if several or name in own}
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
