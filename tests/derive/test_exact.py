"""The evaluator in exact fractions: the same values as in floating-point numbers, and none of their errors."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import derive
from derive.evaluate import draw, exact, run
from derive.evaluate.elementwise import function_value

POLYNOMIAL = """\
title   Polynomials
sizes   n
given   x in R^n, y in R^n
learn   A in R^(n x n), a in R
u = A x - x / 3 + 2 a * ones(n)
v = u .* x + (a^2 - 1/7) * x
loss = squared(v, y) / n + sum over i of [1 <= i <= n - 1] A[i, i - 1] / 3
"""


def test_exact_values_are_those_of_the_floats() -> None:
    derivation = derive.gradient(derive.parse(POLYNOMIAL))
    sizes, values = draw(derivation.forward, 1, {"n": 3})
    rational = {key: exact.array(array) if np.ndim(array) else Fraction(array) for key, array in values.items()}
    expected = run(derivation.program, sizes, values)
    found = run(derivation.program, sizes, rational, numbers=exact)
    assert found.keys() == expected.keys()
    for key, value in found.items():
        assert all(isinstance(entry, Fraction) for entry in np.ravel(np.array(value, dtype=object)))
        np.testing.assert_allclose(np.array(value, dtype=float), expected[key], rtol=1e-12)


def test_tenths_add_up() -> None:
    system = derive.parse("title T\nsizes n\ngiven x in R^n\nloss = sum over i of x[i]\n")
    found = run(system.program, {"n": 3}, {"x": exact.array(["1/10", "2/10", "0.7"])}, numbers=exact)
    assert found["loss", ()] == 1


@pytest.mark.parametrize("square, root", [(Fraction(9, 4), Fraction(3, 2)), (Fraction(0), Fraction(0))])
def test_a_rational_root_is_exact(square: Fraction, root: Fraction) -> None:
    assert function_value("sqrt", square, numbers=exact) == root
    assert isinstance(function_value("sqrt", square, numbers=exact), Fraction)


def test_what_has_no_exact_value_is_a_float() -> None:
    assert function_value("sqrt", Fraction(2), numbers=exact) == pytest.approx(2**0.5)
    assert np.isnan(function_value("sqrt", Fraction(-1), numbers=exact))
    for name in ("tanh", "exp", "log", "sin", "sigmoid", "softplus"):
        assert float(function_value(name, Fraction(1, 2), numbers=exact)) == pytest.approx(function_value(name, 0.5))
