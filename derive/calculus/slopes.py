"""Putting in the slope of a function: f'(z) becomes 1 - h ⊙ h where f is tanh and h = f(z) has a name already."""

from __future__ import annotations

from fractions import Fraction

import sympy as sp

from derive.calculus.tidy import tidy
from derive.language import expression as ast
from derive.language.expression import Access, Expression
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


def _shift(equation: Equation, expression: Expression) -> Access | None:
    """The target of ``equation`` at the indices at which its right side is ``expression``."""
    if not isinstance(equation.value, ast.Apply) or not isinstance(expression, ast.Apply):
        return None
    pattern, subject = equation.value.argument, expression.argument
    if not isinstance(pattern, Access) or not isinstance(subject, Access) or pattern.name != subject.name:
        return None
    if equation.value.function != expression.function or expression.order != equation.value.order:
        return None
    at = dict(
        zip((*pattern.superscripts, *pattern.subscripts), (*subject.superscripts, *subject.subscripts), strict=False)
    )
    if not all(isinstance(key, sp.Symbol) for key in at) or len(pattern.subscripts) != len(subject.subscripts):
        # A whole-array subject may still be an entry of a whole-array pattern.
        if pattern.subscripts or not subject.subscripts or equation.target.subscripts:
            return None
        at = dict(zip(pattern.superscripts, subject.superscripts, strict=True))
        if not all(isinstance(key, sp.Symbol) for key in at):
            return None
        moved = ast.substitute_indices(equation.target, at)
        assert isinstance(moved, Access)
        return Access(moved.name, moved.superscripts, subject.subscripts)
    moved = ast.substitute_indices(equation.target, at)
    assert isinstance(moved, Access)
    return moved


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
            case sp.Function() if hasattr(formula.func, "function_name"):
                return ast.Apply(formula.func.function_name, convert(formula.args[0]), formula.func.order)
            case _:
                raise TypeError(f"the tables hold {formula}, which has no form in the language")

    result = convert(slope)
    return ast.Filled(int(result.value.numerator), shape) if isinstance(result, ast.Number) and shape else result
