"""The case of stride 1, in which no divisibility is left: the full convolution with the flipped kernel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import sympy as sp

from derive.calculus.adjoint import Adjoint
from derive.calculus.entry_steps import total_derivative
from derive.calculus.implied import readable, without_implied
from derive.calculus.positions import (
    accesses_in,
    conditions_in,
    is_adjoint,
    sums_in,
)
from derive.calculus.symbols import coefficient_of
from derive.calculus.tidy import tidy
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Access, Divides, Expression, Integer
from derive.language.system import Range, Scope
from derive.trace import Line, Sentence, Step


def unit_stride(name: str, found: Adjoint, walk: Walk, loss: str) -> Iterator[Step]:
    """The case in which every step between outputs is 1, where these steps are sizes."""
    if found.has_matrix_form or all(c.scattered is None for c in found.contributions):
        return
    equation = found.index_equation
    divisors = {c.divisor for c in conditions_in(equation.value) if isinstance(c, Divides)}
    strides = sorted((s for s in divisors if isinstance(s, sp.Symbol) and ast.is_size(s)), key=str)
    if len(strides) < len(divisors):
        return
    ones: dict[sp.Symbol, Integer] = {stride: sp.Integer(1) for stride in strides}
    special = replace(equation, value=tidy(_decided(ast.substitute_indices(equation.value, ones)), walk.scope))
    special = readable(special, walk.scope)
    forms = [special.value]
    words: list[str | Expression] = ["1 divides every number, so the bracket is gone. "] if strides else []
    chosen = any(isinstance(n, Access) and walk.scope[n.name].choice for n in ast.walk(special.value))
    reversed_sums = [] if chosen else _against(special.value, walk)
    kernel = _kernel(special.value, reversed_sums, walk.scope) if reversed_sums else None
    if not strides and kernel is None:
        return
    if reversed_sums:
        flipped = without_implied(_flipped(special.value, reversed_sums), walk.scope, equation.ranges)
        forms.append(flipped)
        kernel = _kernel(special.value, reversed_sums, walk.scope)
        cotangents = [
            Access(n) for n in dict.fromkeys(a.name for a in accesses_in(special.value)) if is_adjoint(n, walk)
        ]
        sums = [piece for r in reversed_sums for piece in (" and ", ast.SizeValue(r.index))][1:]
        words += ["What was read forwards in ", *sums, " is now read backwards; counted from the other end, "]
        if kernel is not None:
            words += [kernel, " is flipped: the full convolution of ", *cotangents[:1], " with the flipped kernel."]
        else:
            words += ["it is the same sum over a window again."]
    claims = (
        replace(total_derivative(found, replace(special, value=form), loss), at=tuple((s.name, 1) for s in strides))
        for form in forms
    )
    at = [piece for s in strides for piece in (", ", ast.SizeValue(s), " = 1")][1:]
    full = "the full convolution with the flipped kernel" if kernel is not None else ""
    title = f"Stride 1{': ' if full else ''}{full}" if strides else full.capitalize()
    condition: Sentence = (" for ", *at) if strides else ()
    yield Step(
        name,
        (title,),
        "substitution",
        tuple(words),
        equation.target,
        forms[-1],
        (*(Line((equation.target, form)) for form in forms[:-1]), Line((equation.target, forms[-1]), condition)),
        claims=tuple(claims),
    )


def _decided(value: Expression) -> Expression:
    """Divisibility by 1 left out."""
    inner = ast.map_children(_decided, value)
    if isinstance(inner, ast.Guard):
        return replace(inner, conditions=tuple(c for c in inner.conditions if getattr(c, "divisor", 0) != 1))
    return inner


def _against(value: Expression, walk: Walk) -> list[Range]:
    """The sums in which what comes back is read backwards."""
    positions = [p for access in accesses_in(value) if is_adjoint(access.name, walk) for p in access.subscripts]
    return [r for r in sums_in(value) if any(coefficient_of(r.index, sp.expand(p)).is_negative for p in positions)]


def _flipped(value: Expression, sums: Iterable[Range]) -> Expression:
    """Every index of ``sums`` counted from the other end."""
    ends: dict[sp.Symbol, Integer] = {r.index: sp.expand(r.lower + r.upper - r.index) for r in sums}

    def visit(node: Expression) -> Expression:
        if isinstance(node, ast.Sum):
            return replace(node, body=visit(node.body))
        if isinstance(node, Access):
            return replace(node, subscripts=tuple(_put(p, ends) for p in node.subscripts))
        if isinstance(node, ast.Guard):
            moved = ast.substitute_indices(replace(node, body=ast.ONE), ends)
            assert isinstance(moved, ast.Guard)
            return replace(moved, body=visit(node.body))
        return ast.map_children(visit, node)

    return visit(value)


def _put(position: Integer, values: Mapping[sp.Symbol, Integer]) -> Integer:
    found = position.xreplace(dict(values))
    assert isinstance(found, sp.Expr)  # not expanded: m + p - d (R - 1 - a)
    return found


def _kernel(value: Expression, sums: Sequence[Range], scope: Scope) -> Access | None:
    """The array that is read at the indices of all these sums, each alone."""
    wanted = {r.index for r in sums}
    for access in accesses_in(value):
        if wanted <= set(access.subscripts) and not scope[access.name].zero_outside:
            return Access(access.name)
    return None
