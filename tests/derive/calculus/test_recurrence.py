from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from derive.calculus.chain import product_of_steps, transpose_product, transposed
from derive.calculus.flow import Flow, flow_expanded, flows
from derive.calculus.order import recurrent
from derive.calculus.recurrence import linearised, state_parts
from derive.calculus.stages import scope_of, split
from derive.calculus.vectorised import vectorised
from derive.calculus.walk import walk
from derive.catalogue import load
from derive.evaluate import value
from derive.language import expression as ast
from derive.language.expression import Access, Expression, index, size
from derive.language.parser import parse
from derive.language.printer import expression_source
from derive.language.system import Declaration
from tests.derive.calculus import arrays

t = index("t")


def only_flow(name: str) -> Flow:
    (flow,) = flows(walk(load(name)))
    return flow


def test_the_one_step_jacobian_of_an_elman_network_is_a_diagonal_times_a_matrix():
    flow = only_flow("elman")
    assert expression_source(flow.factor) == "J^t U"
    assert [expression_source(e.value) for e in flow.definitions] == ["diag(f'(z^t))"]


def test_the_source_of_an_elman_network_is_what_its_parameters_add():
    flow = only_flow("elman")
    changed = {n.name for n in ast.walk(flow.source) if isinstance(n, Access) and n.name.startswith("d_")}
    assert changed == {"d_W", "d_U"}


def test_a_leak_adds_a_multiple_of_the_identity():
    source = expression_source(only_flow("leaky").factor)
    assert "I_n" in source
    assert "J^t U" in source


def test_two_steps_back_stack_two_states():
    flow = only_flow("lag2")
    assert state_parts(flow.model) == (("h", 0), ("h", 1))
    matrix = next(e.value for e in flow.definitions if isinstance(e.value, ast.Block) and len(e.value.rows[0]) == 2)
    assert expression_source(matrix.rows[1][0]) == "I_n"
    assert expression_source(matrix.rows[1][1]) == "zeros(n, n)"


def test_a_state_that_is_a_matrix_has_no_linearisation():
    text = (
        "title  Matrix state\nsizes  T steps, n rows\nlearn  U in R^(n x n)\nstart  H^0 = 0\n"
        "for t = 1..T:\n    H^t = U H^{t-1} + U\nend\nloss = trace(H^T)\n"
    )
    program = split(parse(text).program)
    (group,) = recurrent(program)
    assert linearised(program, group, scope_of(program)) is None
    assert flows(walk(parse(text))) == ()


@pytest.mark.parametrize("name", ["elman", "leaky", "lag2", "elman-stack"])
def test_no_formula_of_a_flow_names_a_matrix_when_expanded(name: str):
    for flow in flows(walk(load(name))):
        named = {e.target.name for e in flow.definitions}
        for expression in (flow.factor, flow.source):
            found = {n.name for n in ast.walk(flow_expanded(flow, expression)) if isinstance(n, Access)}
            assert not found & named


def test_the_product_of_steps_is_empty_from_a_time_to_itself():
    product = product_of_steps(Access("X", (t,)), t, sp.Integer(2), sp.Integer(2))
    np.testing.assert_array_equal(value(product, arrays.scope()), np.eye(arrays.SIZES["n"]))


def test_the_newest_factor_stands_on_the_left():
    product = product_of_steps(Access("X", (t,)), t, sp.Integer(3), sp.Integer(1))
    three, two = (arrays.values()["X", (k,)] for k in (3, 2))
    np.testing.assert_allclose(value(product, arrays.scope()), three @ two)


def test_the_bound_index_of_a_product_is_not_one_of_its_ends():
    product = product_of_steps(Access("X", (t,)), t, size("T"), index("j"))
    assert product.index != index("j")


MATRICES: list[Expression] = [
    Access("X", (t,)),
    ast.Product((Access("X", (t,)), Access("A"))),
    ast.Add((ast.Product((Access("a"), ast.Identity(arrays.N))), ast.Product((Access("X", (t,)), Access("A"))))),
    ast.Negative(ast.Product((Access("A"), Access("X", (t,)), Access("B")))),
    ast.Product((ast.Diagonal(Access("u")), Access("A"))),
    ast.Block(((Access("A"), Access("X", (t,))), (ast.Identity(arrays.N), ast.Filled(0, (arrays.N, arrays.N))))),
]


@pytest.mark.parametrize("matrix", MATRICES, ids=range(len(MATRICES)))
def test_a_transpose_taken_inside_is_the_transpose(matrix: Expression):
    wanted = np.transpose(arrays.evaluated(matrix, t=2))
    np.testing.assert_allclose(arrays.evaluated(transposed(matrix, arrays.SCOPE), t=2), wanted, rtol=1e-13)


@pytest.mark.parametrize("matrix", MATRICES, ids=range(len(MATRICES)))
@pytest.mark.parametrize("first", [0, 2, 4])
def test_a_transposed_product_runs_the_other_way(matrix: Expression, first: int):
    product = product_of_steps(matrix, t, sp.Integer(4), sp.Integer(first))
    turned = transpose_product(product, arrays.SCOPE)
    here = arrays.scope()
    np.testing.assert_allclose(value(turned, here), np.transpose(value(product, here)), rtol=1e-12, atol=1e-14)
    assert turned.descending is not product.descending


# vec ------------------------------------------------------------------------------------------------------------------

A, B, u, d_K = Access("A"), Access("B"), Access("u"), Access("d_K")
CHANGES = {**arrays.SCOPE, "d_K": Declaration("d_K", "defined", (arrays.M, arrays.N))}
L = ast.Transpose(Access("K"))
LINEAR: dict[str, Expression] = {
    "L dW r": ast.Product((L, d_K, u)),
    "dW r": ast.Product((d_K, u)),
    "L dW A r": ast.Product((L, d_K, A, u)),
    "a number in front": ast.Product((Access("a"), d_K, u)),
    "minus": ast.Negative(ast.Product((L, d_K, u))),
    "a sum of two": ast.Add((ast.Product((L, d_K, u)), ast.Product((A, L, d_K, Access("v"))))),
    "a sum over time": ast.Sum(
        t, sp.Integer(1), sp.Integer(3), ast.Product((Access("X", (t,)), L, d_K, Access("x", (t,))))
    ),
    "beside something else": ast.Add((ast.Product((L, d_K, u)), u)),
}


@pytest.mark.parametrize("name", LINEAR)
def test_vec_form_times_vec_of_the_change_is_the_change(name: str):
    matrix = vectorised(LINEAR[name], "K", CHANGES)
    assert matrix is not None
    rng = np.random.default_rng(3)
    change = rng.normal(size=(2, 3))
    here = arrays.values()
    shapes = {**arrays.SHAPES, "d_K": (arrays.M, arrays.N)}
    moved, still = (
        value(LINEAR[name], arrays.scope_of({**here, ("d_K", ()): c}, shapes, arrays.SIZES, {}))
        for c in (change, np.zeros_like(change))
    )
    found = value(matrix, arrays.scope()) @ np.ravel(change, order="F")
    np.testing.assert_allclose(np.ravel(found), np.ravel(moved - still), rtol=1e-12)


@pytest.mark.parametrize(
    "expression",
    [
        ast.Product((ast.Transpose(d_K), Access("w"))),
        ast.Product((ast.Hadamard((d_K, Access("K"))), u)),
        ast.Product((L, d_K)),
        u,
    ],
    ids=["transposed", "entry by entry", "nothing to its right", "not in it"],
)
def test_what_is_not_of_the_form_l_dw_r_has_no_vec_form(expression: Expression):
    assert vectorised(expression, "K", CHANGES) is None
