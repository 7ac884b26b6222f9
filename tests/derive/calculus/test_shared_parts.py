from __future__ import annotations

import numpy as np
import pytest

from derive.calculus.shared_parts import gathered, gathered_matrices
from derive.language import expression as ast
from derive.language.expression import Expression
from derive.language.printer import expression_source
from tests.derive.calculus.arrays import SCOPE, array, evaluated

A, B, u, v, a, b = (array(name) for name in "ABuvab")


def diagonal(vector: Expression) -> Expression:
    return ast.Diagonal(vector)


def minus(term: Expression) -> Expression:
    return ast.Negative(term)


SUMS: dict[str, tuple[Expression, str]] = {
    "at the end": (
        ast.Add((ast.Hadamard((u, v)), minus(ast.Hadamard((ast.Product((A, u)), v))))),
        "(u - A u) .* v",
    ),
    "at the beginning": (
        ast.Add((ast.Hadamard((v, u)), ast.Hadamard((v, ast.Product((A, u)))))),
        "v .* (u + A u)",
    ),
    "numbers": (
        ast.Add((ast.Product((a, b)), minus(ast.Product((ast.Inner(u, v), a))))),
        "a (b - <u, v>)",
    ),
    "diagonals": (ast.Add((diagonal(u), A, minus(diagonal(v)))), "diag(u - v) + A"),
    "nothing in common": (ast.Add((ast.Hadamard((u, v)), u)), "u .* v + u"),
    "one factor twice": (
        ast.Add((ast.Hadamard((u, u)), ast.Hadamard((u, v)))),
        "u .* u + u .* v",
    ),
}


@pytest.mark.parametrize("name", SUMS)
def test_a_shared_factor_is_taken_out_and_the_value_stays(name: str) -> None:
    expression, wanted = SUMS[name]
    found = gathered(expression, SCOPE)
    assert expression_source(found) == wanted
    np.testing.assert_allclose(evaluated(found), evaluated(expression), rtol=1e-13)
    assert gathered(found, SCOPE) == found


def test_matrices_are_taken_out_at_the_end_that_they_share() -> None:
    expression = ast.Add((ast.Product((A, diagonal(u), B)), ast.Product((A, diagonal(v)))))
    found = gathered_matrices(expression, SCOPE)
    assert expression_source(found) == "A (diag(u) B + diag(v))"
    np.testing.assert_allclose(evaluated(found), evaluated(expression), rtol=1e-13)
    assert gathered(expression, SCOPE) == expression
