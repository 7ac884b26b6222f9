"""Putting in the slope of a function: f'(z) becomes 1 - h ⊙ h where f is tanh and h = f(z) has a name already."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import sympy as sp

from derive.calculus.stages import matched
from derive.calculus.symbols import arguments, function_of
from derive.calculus.tidy import tidy
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer
from derive.language.functions import FUNCTIONS, X, Y
from derive.language.shapes import shape_of
from derive.language.system import Equation, Program, Scope


def with_slopes(expression: Expression, program: Program, scope: Scope) -> Expression:
    """``expression`` with every first derivative of a known function written out; opaque functions keep their prime."""
    inner = ast.map_children(lambda child: with_slopes(child, program, scope), expression)
    if not isinstance(inner, ast.Apply) or inner.order != 1:
        return tidy(inner, scope)
    row = FUNCTIONS.get(dict(program.functions).get(inner.function, inner.function))
    if row is None:
        return inner
    value = named_value(ast.Apply(inner.function, inner.argument), program)
    return tidy(written_out(row.slope, inner.argument, value, scope), scope)


def named_value(expression: Expression, program: Program) -> Expression:
    """The array that an equation of the program gives this value, or the expression itself: f(z^{t-1}) is h^{t-1}."""
    for equation in program.equations:
        shifted = _shift(equation, expression)
        if shifted is not None:
            return shifted
    return expression


def with_named_values(expression: Expression, program: Program) -> Expression:
    """``expression`` with what an equation of the program calls exp(e − L) under that name, wherever it stands."""
    shares = [e for e in program.equations if isinstance(e.value, ast.Apply) and isinstance(e.value.argument, ast.Add)]
    if not shares:
        return expression

    def visit(node: Expression) -> Expression:
        found = (_moved(equation, node) for equation in shares)
        return next((name for name in found if name is not None), None) or ast.map_children(visit, node)

    return visit(expression)


def _moved(equation: Equation, expression: Expression) -> Access | None:
    """The target of ``equation`` at the indices at which its right side is ``expression``; None where it is not."""
    pattern, at = equation.value, dict[sp.Symbol, Integer]()
    if type(pattern) is not type(expression):
        return None
    pairs = zip(_accesses(pattern), _accesses(expression), strict=False)
    for own, other in pairs:
        places = zip((*own.superscripts, *own.subscripts), (*other.superscripts, *other.subscripts), strict=False)
        at |= {symbol: position for symbol, position in places if isinstance(symbol, sp.Symbol)}
    if ast.substitute_indices(pattern, at) != expression:
        return None
    moved = ast.substitute_indices(equation.target, at)
    assert isinstance(moved, Access)
    return moved


def _accesses(expression: Expression) -> list[Access]:
    return [node for node in ast.walk(expression) if isinstance(node, Access)]


def _shift(equation: Equation, expression: Expression) -> Access | None:
    """The target of ``equation`` at the indices at which its right side is ``expression``."""
    if not isinstance(equation.value, ast.Apply) or not isinstance(expression, ast.Apply):
        return None
    pattern, subject = equation.value.argument, expression.argument
    if not isinstance(pattern, Access) or not isinstance(subject, Access) or pattern.name != subject.name:
        return None
    if equation.value.function != expression.function or expression.order != equation.value.order:
        return None
    if not all(isinstance(position, sp.Symbol) for position in (*pattern.superscripts, *pattern.subscripts)):
        return None
    # An entry of a whole-array pattern is the same entry of its target: f(z_i) is h_i.
    is_entry = bool(subject.subscripts) and not pattern.subscripts and not equation.target.subscripts
    if len(pattern.subscripts) != len(subject.subscripts) and not is_entry:
        return None
    at = matched(pattern, replace(subject, subscripts=()) if is_entry else subject)
    moved = ast.substitute_indices(equation.target, at)
    assert isinstance(moved, Access)
    return replace(moved, subscripts=subject.subscripts) if is_entry else moved


def written_out(slope: sp.Expr, argument: Expression, value: Expression, scope: Scope) -> Expression:
    """A formula of the tables in x (the argument) and y (the value) as an expression, entry by entry on arrays."""
    shape = shape_of(argument, scope)
    times = ast.Hadamard if shape else ast.Product

    def convert(formula: sp.Expr) -> Expression:
        match formula:
            case _ if formula == X:
                return argument
            case _ if formula == Y:
                return value
            case sp.Rational():
                return ast.Number(Fraction(int(formula.p), int(formula.q)))
            case sp.Add():
                numbers_first = sorted(
                    formula.args, key=lambda term: (not term.is_number, term.could_extract_minus_sign(), str(term))
                )
                return ast.Add(tuple(convert(term) for term in numbers_first))
            case sp.Mul():
                coefficient, factors = formula.as_coeff_mul()
                below = [factor**-1 for factor in factors if factor.as_base_exp()[1].is_negative]
                above = [factor for factor in factors if not factor.as_base_exp()[1].is_negative]
                parts = sorted(above, key=lambda factor: (factor.is_Add, str(factor)))
                body = (
                    convert(parts[0])
                    if len(parts) == 1
                    else times(tuple(convert(part) for part in parts))
                    if parts
                    else ast.ONE
                )
                number = convert(abs(coefficient)) if coefficient.is_Rational else ast.ONE
                top = body if number == ast.ONE else ast.Product((number, body)) if body != ast.ONE else number
                whole = ast.Quotient(top, convert(sp.Mul(*below))) if below else top
                return ast.Negative(whole) if coefficient.is_negative else whole
            case sp.Pow(base=base, exp=exponent) if exponent.is_Integer and exponent > 1:
                return times((convert(base),) * int(exponent)) if shape else ast.Power(convert(base), convert(exponent))
            case sp.Pow(base=base, exp=exponent) if exponent.is_negative:
                return ast.Quotient(ast.ONE, convert(base**-exponent))
            case sp.Pow(base=base, exp=exponent):
                return ast.Power(convert(base), convert(exponent))
            case sp.Function() if (known := function_of(formula)) is not None:
                return ast.Apply(known[0], convert(*arguments(formula)), known[1])
            case _:
                raise TypeError(f"the tables hold {formula}, which has no form in the language")

    result = convert(slope)
    if not shape or not slope.is_number:
        return result
    return ast.Filled(int(slope), shape) if slope in (0, 1) else ast.Product((result, ast.Filled(1, shape)))
