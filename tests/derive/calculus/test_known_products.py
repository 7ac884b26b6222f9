from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from derive.calculus.known_products import with_known_products
from derive.calculus.stages import scope_of, split
from derive.catalogue import load
from derive.derivation import gradient
from derive.evaluate import draw, run, scope_at, value
from derive.language import expression as ast
from derive.language.expression import Access
from derive.language.parser import parse
from derive.language.printer import expression_source

MODEL = """title  Model
sizes  n rows
given  G in R^(n x n)
learn  A, Z in R^(n x n)
U = {value}
loss = trace(G' U)
"""
G, A, Z, TWO = Access("G"), Access("A"), Access("Z"), ast.Number(Fraction(2))
INVERSE = ast.Call("inv", (Z,))
BACK = ast.Transpose(INVERSE)


def minus(*factors: ast.Expression) -> ast.Expression:
    return ast.Negative(ast.Product(factors))


CASES = {
    "the transpose of a sum": (
        "Z^-1 (I - A)",
        ast.Add((ast.Product((G, BACK)), minus(G, ast.Transpose(A), BACK))),
        "G U'",
    ),
    "both terms scaled": (
        "Z^-1 (I - A)",
        ast.Add((minus(TWO, INVERSE, G), ast.Product((TWO, INVERSE, A, G)))),
        "-2 * U G",
    ),
    "between two others": ("Z^-1 A", ast.Product((G, INVERSE, A, G)), "G U G"),
    "a solution": ("solve(Z, A)", ast.Product((G, ast.Transpose(A), BACK)), "G U'"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_matrix_of_the_model_is_found_in_a_sum_of_products(case: str) -> None:
    text, expression, wanted = CASES[case]
    program = split(parse(MODEL.format(value=text)).program)
    scope = scope_of(program)
    found = with_known_products(expression, program, scope)
    assert expression_source(found) == wanted
    sizes, values = draw(program, 3, {"n": 3})
    here = scope_at(program, run(program, sizes, values), sizes)
    np.testing.assert_allclose(value(found, here), value(expression, here), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "expression",
    [
        ast.Add((ast.Product((G, BACK)), ast.Product((G, ast.Transpose(A), BACK)))),
        ast.Add((ast.Product((G, BACK)), minus(G, A, BACK))),
        ast.Product((INVERSE, G)),
    ],
    ids=["a sign differs", "a transpose differs", "a term is missing"],
)
def test_what_is_not_that_matrix_stays(expression: ast.Expression) -> None:
    program = split(parse(MODEL.format(value="Z^-1 (I - A)")).program)
    assert with_known_products(expression, program, scope_of(program)) == expression


def test_the_gradient_of_a_cayley_transform_is_written_with_the_transform() -> None:
    derivation = gradient(load("orthogonal-cayley"))
    lines = [one.text() for one in (*derivation.shared, derivation["S"])]
    assert lines == [
        "∂ℓ/∂U = Σ_{t=1}^{T} δᵗ (hᵗ⁻¹)ᵀ",
        "∂ℓ/∂A = −(Iₙ + A)⁻ᵀ (∂ℓ/∂U Uᵀ + ∂ℓ/∂U)",
        "∂ℓ/∂S = ∂ℓ/∂A − (∂ℓ/∂A)ᵀ",
    ]


def test_the_gradient_of_an_exponential_is_a_change_of_the_exponential() -> None:
    derivation = gradient(load("orthogonal-exponential"))
    lines = [one.text() for one in (*derivation.shared, derivation["S"])]
    assert lines == ["∂ℓ/∂A = Dexp(Aᵀ)[Σ_{t=1}^{T} δᵗ (hᵗ⁻¹)ᵀ]", "∂ℓ/∂S = ∂ℓ/∂A − (∂ℓ/∂A)ᵀ"]


def test_a_short_adjoint_is_put_in_even_where_it_is_read_twice() -> None:
    assert not gradient(load("elman")).shared
