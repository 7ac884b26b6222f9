"""Elementwise functions made concrete: opaque names bound to rows of FUNCTIONS, derivatives written as formulas."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import cache

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.functions import FUNCTIONS, X, Y
from derive.language.system import Program
from kernels.errors import UnboundFunction


def bound(program: Program, functions: Mapping[str, str]) -> Program:
    """``program`` with every elementwise function a row of FUNCTIONS and every derivative of one a formula."""
    names = {**dict(program.functions), **functions}
    made = values_made(program, names)

    def rewrite(node: Expression) -> Expression:
        node = ast.map_children(rewrite, node)
        if not isinstance(node, ast.Apply):
            return node
        name = names.get(node.function, node.function)
        if name not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise UnboundFunction(
                f"the function {node.function} is left open by the definition; "
                f'say functions={{"{node.function}": "tanh"}} or another of: {known}'
            )
        if not node.order:
            return replace(node, function=name)
        value = made.get((name, node.argument), ast.Apply(name, node.argument))
        return from_sympy(slope(name, node.order), {X: node.argument, Y: value}, rewrite)

    equations = tuple(replace(equation, value=rewrite(equation.value)) for equation in program.equations)
    starts = tuple(replace(s, value=None if s.value is None else rewrite(s.value)) for s in program.starts)
    return replace(program, equations=equations, starts=starts)


def values_made(program: Program, names: Mapping[str, str]) -> dict[tuple[str, Expression], Expression]:
    """(function, argument) of equations such as h^t = f(z^t): f(z^t) need not be computed again."""
    found: dict[tuple[str, Expression], Expression] = {}
    for equation in program.equations:
        match equation.value:
            case ast.Apply(function=function, argument=Access(superscripts=steps) as argument, order=0):
                if steps == equation.target.superscripts:
                    found[names.get(function, function), argument] = equation.target
            case _:
                pass
    return found


@cache
def slope(name: str, order: int) -> sp.Expr:
    """The ``order``-th derivative of a row, in its argument X and value Y."""
    first = FUNCTIONS[name].slope
    if order == 1:
        return first
    lower = slope(name, order - 1)
    return sp.diff(lower, X) + sp.diff(lower, Y) * first


def from_sympy(
    value: sp.Expr, known: Mapping[sp.Expr, Expression], rewrite: Callable[[Expression], Expression]
) -> Expression:
    """A formula of a row as an expression, entry by entry."""

    def convert(value: sp.Basic) -> Expression:
        match value:
            case sp.Expr() if value in known:
                return known[value]
            case sp.Rational():
                return ast.Number(Fraction(int(value.p), int(value.q)))
            case sp.Add(args=terms):
                return ast.Add(tuple(map(convert, terms)))
            case sp.Mul(args=(sp.Integer(p=-1), *factors)):
                return ast.Negative(convert(sp.Mul(*factors)))
            case sp.Mul(args=factors):
                return ast.Hadamard(tuple(map(convert, factors)))
            case sp.Pow(base=base, exp=exponent):
                return ast.Power(convert(base), convert(exponent))
            case _:
                name = getattr(value, "function_name", type(value).__name__)
                return rewrite(ast.Apply(name, convert(value.args[0]), getattr(value, "order", 0)))

    return convert(value)
