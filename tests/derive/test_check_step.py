"""Comparing two sides of a step: equal ones pass, and each planted mistake is found."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from derive.check_step import compare, relative_error
from derive.evaluate import EvaluationError
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Guard, Transpose, Within, index, size
from derive.language.parser import parse
from derive.language.system import Range

t, k, T = index("t"), index("k"), size("T")
ONE = sp.Integer(1)
PROGRAM = parse("""
title Elman
sizes T steps, d inputs, n hidden
given x^t in R^d for t = 1..T, y in R
learn W in R^(n x d), U in R^(n x n), v in R^n
start h^0 = 0
for t = 1..T:
    z^t = W x^t + U h^{t-1}
    h^t = f(z^t)
end
yhat = <v, h^T>
loss = (yhat - y)^2 / 2
""").program


def access(name: str, *superscripts: sp.Expr | int) -> Access:
    return Access(name, tuple(map(sp.sympify, superscripts)))


U, W, v = access("U"), access("W"), access("v")
z, h, before = access("z", t), access("h", t), access("h", t - 1)
pushed = ast.Product((U, before))

EQUAL: list[tuple[Expression, Expression]] = [
    (z, ast.Add((pushed, ast.Product((W, access("x", t)))))),
    (ast.Transpose(pushed), ast.Product((Transpose(before), Transpose(U)))),
    (ast.Inner(v, h), ast.Product((Transpose(h), v))),
    (ast.Sum(k, ONE, T, access("h", k)), ast.Add((access("h", T), ast.Sum(k, ONE, T - 1, access("h", k))))),
]
DIFFERENT: dict[str, tuple[Expression, Expression]] = {
    "a factor of 1.001": (z, ast.Product((ast.Number(ast.Fraction(1001, 1000)), z))),
    "a term left out": (z, pushed),
    "a transpose": (pushed, ast.Product((Transpose(U), before))),
    "a row for a column": (h, Transpose(h)),
    "a sum for a product": (ast.Add((h, h)), ast.Hadamard((h, h))),
    "tanh's slope for f's": (
        ast.Apply("f", z, 1),
        ast.Add((ast.ONE, ast.Negative(ast.Power(h, ast.Number(ast.Fraction(2)))))),
    ),
    "one more term": (ast.Sum(k, ONE, t, access("h", k)), ast.Sum(k, sp.Integer(0), t + 1, access("h", k))),
}


@pytest.mark.parametrize("before, after", EQUAL)
def test_equal_sides_pass(before: Expression, after: Expression):
    evidence = compare(before, after, PROGRAM)
    assert evidence.passed
    assert evidence.points >= 2


@pytest.mark.parametrize("before, after", DIFFERENT.values(), ids=DIFFERENT)
def test_a_mistake_is_found(before: Expression, after: Expression):
    assert not compare(before, after, PROGRAM).passed


def test_a_boundary_term_is_missed_only_at_the_boundary():
    guarded = Guard((Within(t + 1, ONE, T),), access("z", t + 1))
    inside, whole = Range(t, ONE, T - 1), Range(t, ONE, T)
    assert compare(guarded, access("z", t + 1), PROGRAM, {"T": 3, "d": 2, "n": 2}, ranges=(inside,)).passed
    evidence = compare(guarded, access("z", t + 1), PROGRAM, {"T": 3, "d": 2, "n": 2}, ranges=(whole,))
    assert evidence.error == float("inf")


def test_the_stand_in_for_an_opaque_function_is_named():
    assert compare(h, h, PROGRAM).witness == "evaluation on both sides, f = softplus"
    assert compare(h, h, PROGRAM, functions={"f": "sigmoid"}).witness == "evaluation on both sides, f = sigmoid"


def test_a_side_without_a_value_anywhere_is_an_error():
    with pytest.raises(EvaluationError, match="no position found"):
        compare(access("h", T + 5), h, PROGRAM)


@pytest.mark.parametrize(
    "found, wanted, error",
    [
        (np.array([1.0]), np.array([1.0]), 0.0),
        (np.array([200.0]), np.array([100.0]), 0.5),
        (np.array([1e-12]), np.array([0.0]), 1e-12),
        (np.ones((2, 1)), np.ones(2), float("inf")),
        (None, np.ones(2), float("inf")),
    ],
)
def test_the_error_is_relative_to_the_larger_side_but_at_least_to_1(found: object, wanted: object, error: float):
    assert relative_error(found, wanted) == error


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_what_is_not_a_number_has_no_error_that_passes(odd: float):
    assert np.isnan(relative_error(np.array([odd]), np.array([odd])))
