"""The section about one neuron: a recurrence with every size 1, and why its lines do not hold for matrices."""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from derive.calculus.flow import Flow, flow_expanded
from derive.calculus.scalar_case import as_scalars, scalar_names, scalar_scope
from derive.calculus.tidy import tidy
from derive.derivation import Derivation
from derive.handout.blocks import Block, Display, Heading, Note, Paragraph
from derive.handout.formula import Aligned, Formula, row
from derive.language import expression as ast
from derive.language.expression import Access, Expression, substitute_indices
from derive.language.system import Scope
from derive.notation import formula


def scalar_section(flow: Flow, derivation: Derivation) -> list[Block]:
    """Every size taken as 1: the recurrence of the derivative by each parameter, as it is often printed."""
    if not flow.model.is_single or not flow.scope[flow.state.name].shape:
        return []
    scope = {**derivation.walk.scope, **flow.scope}
    last = flow.model.range.upper
    names = derivation.names
    renamed = scalar_names(scope)
    recurrence = flow.recurrence
    factor = as_scalars(flow_expanded(flow, flow.factor), scope)
    source = as_scalars(flow_expanded(flow, flow.source), scope)
    parameters = [n for n in dict.fromkeys(_changes(source)) if n.removeprefix("d_") in renamed.values()]
    lines: list[tuple[Formula, Formula]] = []
    for change in parameters:
        name = change.removeprefix("d_")
        of = Access(flow.state.name, (last,))
        before = Access(flow.state.name, (sp.expand(last - 1),))
        direct = _derivative_of(source, change, parameters, scalar_scope(scope))
        carried = ast.Product((factor, ast.Derivative(before, Access(name))))
        right = _factored(ast.Add((direct, carried)))
        right = substitute_indices(right, {recurrence.time: last})
        lines.append((formula(ast.Derivative(of, Access(name)), names), row("=", formula(right, names))))
    if not lines:
        return []
    loose = _loose_line(flow, derivation)
    return [
        Heading("One hidden neuron", id=f"neuron-{flow.state.name}"),
        Paragraph(
            (
                "With every size equal to 1 all arrays are numbers (matrices now in small letters), and the ",
                "recurrence can be divided by the ",
                "change of one parameter:",
            )
        ),
        Display(Aligned(tuple(lines)) if len(lines) > 1 else row(*lines[0]), f"scalar-{flow.state.name}"),
        Note(
            "Common mistake",
            (
                "These lines are often printed with capital letters, as if they held for matrices",
                *loose,
                ". They do not: the derivative of a vector by a matrix is an object with three indices, and the two ",
                "terms in the bracket ",
                "would have different shapes. For vectors use the differential form, or vec and the Kronecker product.",
            ),
        ),
    ]


def _loose_line(flow: Flow, derivation: Derivation) -> tuple[str | Formula, ...]:
    """The scalar line with capital letters, as slides have it; nothing where no matrix is learnt."""
    changes = [n for n in _changes(flow.source) if len(flow.scope[n.removeprefix("d_")].shape) == 2]
    if not changes:
        return ()
    name, last = changes[0].removeprefix("d_"), flow.model.range.upper
    direct = _derivative_of(flow.source, changes[0], _changes(flow.source), None)
    before = ast.Derivative(Access(flow.state.name, (sp.expand(last - 1),)), Access(name))
    whole = _factored(ast.Add((direct, ast.Product((flow.factor, before)))))
    right = substitute_indices(whole, {flow.time: last})
    left = ast.Derivative(Access(flow.state.name, (last,)), Access(name))
    return (", ", row(formula(left, derivation.names), "=", formula(right, derivation.names)))


def _changes(expression: Expression) -> list[str]:
    return [n.name for n in ast.walk(expression) if isinstance(n, Access) and n.name.startswith("d_")]


def _derivative_of(source: Expression, change: str, others: Sequence[str], scope: Scope | None) -> Expression:
    """The source with the change of one parameter 1 and of the others 0."""

    def visit(node: Expression) -> Expression:
        if isinstance(node, Access) and node.name in others:
            return ast.ONE if node.name == change else ast.ZERO
        return ast.map_children(visit, node)

    return _struck_out(visit(source)) if scope is None else tidy(visit(source), scope)


def _struck_out(expression: Expression) -> Expression:
    """Products with 0 and factors 1 gone, whatever the shapes: the careless line is careless about them."""
    inner = ast.map_children(_struck_out, expression)
    match inner:
        case ast.Product(factors=factors):
            if ast.ZERO in factors:
                return ast.ZERO
            kept = tuple(factor for factor in factors if factor != ast.ONE)
            return ast.ONE if not kept else kept[0] if len(kept) == 1 else ast.Product(kept)
        case ast.Add(terms=terms):
            left = tuple(term for term in terms if term != ast.ZERO)
            return ast.ZERO if not left else left[0] if len(left) == 1 else ast.Add(left)
        case _:
            return inner


def _factored(expression: Expression) -> Expression:
    """a x + a u y as a (x + u y): a leading factor common to all terms stands in front."""
    terms = [_factors(term) for term in (expression.terms if isinstance(expression, ast.Add) else (expression,))]
    terms = [term for term in terms if term != [ast.ZERO]]
    common: list[Expression] = []
    while all(len(term) > 1 for term in terms) and len({repr(term[0]) for term in terms}) == 1:
        common.append(terms[0][0])
        terms = [term[1:] for term in terms]
    bodies = [ast.Product(tuple(term)) if len(term) > 1 else term[0] for term in terms]
    inner = bodies[0] if len(bodies) == 1 else ast.Add(tuple(bodies))
    return ast.Product((*common, inner)) if common else inner


def _factors(term: Expression) -> list[Expression]:
    if isinstance(term, ast.Product):
        return [inner for factor in term.factors for inner in _factors(factor)]
    return [term]
