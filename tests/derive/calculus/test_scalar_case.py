from __future__ import annotations

import numpy as np
import pytest

from derive.calculus.scalar_case import as_scalars, scalar_names, scalar_scope
from derive.evaluate import scope_of, value
from derive.language import expression as ast
from derive.language.expression import Access, Expression, index
from derive.language.printer import expression_source
from derive.language.shapes import shape_of
from tests.derive.calculus import arrays
from tests.derive.calculus.arrays import SCOPE, N
from tests.derive.calculus.test_index_notation import SAMPLES


def _has_no_scalar_case(node: ast.Expression) -> bool:
    """Entries, parts and blocks need axes of more than one entry; the permutation of one entry is no random number."""
    if isinstance(node, ast.Call) and node.function == "permutation":
        return True
    return isinstance(node, ast.Slice | ast.Block) or (isinstance(node, Access) and bool(node.subscripts))


CASES: dict[str, Expression] = {
    **{name: e for name, e in SAMPLES.items() if not any(_has_no_scalar_case(n) for n in ast.walk(e))},
    "a Kronecker product": ast.Kronecker(Access("A"), Access("B")),
    "vec": ast.Vectorised(Access("A")),
}


@pytest.mark.parametrize("name", CASES)
def test_at_size_one_nothing_changes(name: str):
    """The expression at sizes 1, and the scalar expression at the same numbers."""
    expression = CASES[name]
    sizes = dict.fromkeys("mnp", 1) | {"T": 3}
    full = {key: np.ravel(np.asarray(array))[0] for key, array in arrays.values(seed=4).items()}
    shaped = {(n, at): np.reshape(number, (1,) * len(arrays.SHAPES[n])) for (n, at), number in full.items()}
    renamed = {(scalar_names(SCOPE)[n], at): number for (n, at), number in full.items()}
    shapes = dict.fromkeys(scalar_scope(SCOPE), ())
    whole = value(expression, scope_of(shaped, arrays.SHAPES, {**sizes, "t": 2}, {}))
    scalar = value(as_scalars(expression, SCOPE), scope_of(renamed, shapes, {**sizes, "t": 2}, {}))
    np.testing.assert_allclose(np.ravel(scalar), np.ravel(whole), rtol=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_the_scalar_case_is_a_number(name: str):
    assert shape_of(as_scalars(CASES[name], SCOPE), scalar_scope(SCOPE)) == ()


def test_matrices_get_small_letters_where_these_are_free():
    names = scalar_names(SCOPE)
    assert names["K"] == "k"
    assert names["A"] == "A"
    assert names["u"] == "u"
    assert names["X"] == "X"


def test_a_change_is_renamed_with_its_array():
    changes = {**SCOPE, "d_K": SCOPE["K"]}
    assert scalar_names(changes)["d_K"] == "d_k"


def test_the_recurrence_of_one_neuron_reads_as_slides_have_it():
    step = ast.Product((ast.Diagonal(ast.Apply("tanh", Access("x", (index("t"),)), 1)), Access("Q"), Access("z")))
    assert expression_source(as_scalars(step, SCOPE)) == "tanh'(x^t) q z"
    assert expression_source(as_scalars(ast.Product((ast.Identity(N), Access("u"))), SCOPE)) == "u"
