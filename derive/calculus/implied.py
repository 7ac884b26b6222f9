"""Conditions that need not be said: where they fail, an array is read beyond its ends at which it counts as zero.

The equations of a program keep every condition; only what people read goes without these.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import sympy as sp

from derive.calculus.affine import denominator_of, never_negative
from derive.calculus.index_notation import Bound
from derive.calculus.tidy import tidy
from derive.language import expression as ast
from derive.language.expression import Access, Condition, Expression, Integer, Within
from derive.language.system import Equation, Range, Scope

Bounds = Mapping[sp.Symbol, Bound]


def readable(equation: Equation, scope: Scope) -> Equation:
    """The equation without the conditions that an adjoint's being zero outside its range implies."""
    value = without_implied(equation.value, scope, equation.ranges)
    return equation if value == equation.value else replace(equation, value=value)


def without_implied(value: Expression, scope: Scope, ranges: Iterable[Range]) -> Expression:
    """The same for an expression whose free indices run over ``ranges``."""
    if not any(isinstance(node, ast.Guard) for node in ast.walk(value)):
        return value
    return tidy(
        _visited(value, scope, {item.index: Bound(item.index, item.lower, item.upper) for item in ranges}), scope
    )


def zero_beyond(equation: Equation, scope: Scope) -> tuple[Access, ...]:
    """The arrays whose ends ``readable`` makes use of."""
    if not any(isinstance(node, ast.Guard) for node in ast.walk(equation.value)):
        return ()
    shown = {c for node in ast.walk(readable(equation, scope).value) for c in getattr(node, "conditions", ())}
    found: dict[str, Access] = {}
    for node in ast.walk(equation.value):
        if isinstance(node, ast.Guard) and any(isinstance(c, Within) and c not in shown for c in node.conditions):
            found |= {item.name: Access(item.name, item.superscripts) for item in _vanishing(node.body, scope)}
    return tuple(found.values())


def _visited(value: Expression, scope: Scope, bounds: Bounds) -> Expression:
    match value:
        case ast.Sum(index=index, lower=lower, upper=upper, body=body):
            return replace(value, body=_visited(body, scope, {**bounds, index: Bound(index, lower, upper)}))
        case ast.Guard(conditions=conditions, body=body):
            kept = _needed(conditions, body, scope, bounds)
            return replace(value, conditions=kept, body=_visited(body, scope, bounds))
        case _:
            return ast.map_children(lambda child: _visited(child, scope, bounds), value)


def _needed(conditions: tuple[Condition, ...], body: Expression, scope: Scope, bounds: Bounds) -> tuple[Condition, ...]:
    slacks = [slack for access in _vanishing(body, scope) for slack in _slacks(access, scope)]
    kept = [c for c in conditions if not (isinstance(c, Within) and slacks and _is_implied(c, slacks, bounds))]
    return conditions if len(kept) < len(conditions) and not _is_safe(body, kept, scope, bounds) else tuple(kept)


def _vanishing(body: Expression, scope: Scope) -> Iterator[Access]:
    """The factors of ``body`` that are zero outside their ranges."""
    match body:
        case ast.Product(factors=factors) | ast.Hadamard(factors=factors):
            for factor in factors:
                yield from _vanishing(factor, scope)
        case ast.Negative(operand=operand) | ast.Quotient(numerator=operand):
            yield from _vanishing(operand, scope)
        case ast.Guard(body=inner):
            yield from _vanishing(inner, scope)
        case Access(name=name, subscripts=subscripts) if subscripts and scope[name].zero_outside:
            if not scope[name].choice:  # a bracket, which nobody reads as an array
                yield body
        case _:
            return


def _slacks(access: Access, scope: Scope) -> Iterator[Integer]:
    """What is negative beyond one end of an axis, without denominators."""
    for position, extent in zip(access.subscripts, scope[access.name].shape, strict=True):
        scale = denominator_of(position)
        yield sp.expand(position * scale)
        yield sp.expand((extent - 1 - position) * scale)


def _is_implied(condition: Within, slacks: Iterable[Integer], bounds: Bounds) -> bool:
    """Each end of the condition holds throughout, or the array is zero where it fails."""
    known = set(slacks)
    ends = (sp.expand(condition.value - condition.lower), sp.expand(condition.upper - condition.value))
    return all(slack in known or never_negative(slack, bounds) for slack in ends)


def _is_safe(body: Expression, kept: Iterable[Condition], scope: Scope, bounds: Bounds) -> bool:
    """Every other array in ``body`` is read inside its range without the conditions that are left out."""
    said = {condition for condition in kept if isinstance(condition, Within)}
    for node in ast.walk(body):
        if isinstance(node, ast.Guard):
            said |= {condition for condition in node.conditions if isinstance(condition, Within)}
    for node in ast.walk(body):
        if not isinstance(node, Access) or scope[node.name].zero_outside:
            continue
        for position, extent in zip(node.subscripts, scope[node.name].shape, strict=False):
            is_inside = never_negative(position, bounds) and never_negative(sp.expand(extent - 1 - position), bounds)
            if not is_inside and Within(position, sp.Integer(0), extent - 1) not in said:
                return False
    return True
