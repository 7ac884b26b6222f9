from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.calculus import tidy as module
from derive.calculus.tidy import tidy
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Within, index
from derive.language.printer import expression_source
from derive.language.shapes import shape_of
from tests.derive.calculus.arrays import SCOPE, N, array, evaluated, number

A, B, u, v, a, b = (array(name) for name in "ABuvab")
ONE, ZERO = ast.ONE, ast.ZERO
Strategy = st.SearchStrategy[Expression]

NUMBERS: Strategy = st.sampled_from([ZERO, ONE, number(-1), number(2), number(-3, 2)])
EXTENTS = {0: (), 1: (N,), 2: (N, N)}
LEAVES: dict[int, Strategy] = {
    0: st.one_of(NUMBERS, st.sampled_from([a, b, ast.SizeValue(N)])),
    1: st.sampled_from([u, v, ast.Filled(0, (N,)), ast.Filled(1, (N,))]),
    2: st.sampled_from([A, B, ast.Filled(0, (N, N)), ast.Filled(1, (N, N)), ast.Identity(N)]),
}


def expressions(rank: int, depth: int) -> Strategy:
    """Expressions with ``rank`` axes of extent n, at most ``depth`` nodes deep."""
    if depth == 0:
        return LEAVES[rank]
    same, scalar, vector, matrix = (st.deferred(lambda r=r: expressions(r, depth - 1)) for r in (rank, 0, 1, 2))
    k = index("k")
    made: list[Strategy] = [
        LEAVES[rank],
        same.map(ast.Negative),
        st.lists(same, min_size=1, max_size=3).map(lambda parts: ast.Add(tuple(parts))),
        st.tuples(scalar, same).map(ast.Product),
        st.tuples(same, scalar).map(ast.Product),
        st.lists(same, min_size=2, max_size=3).map(lambda parts: ast.Hadamard(tuple(parts))),
        st.tuples(same, st.sampled_from([ONE, number(2), a])).map(lambda pair: ast.Quotient(*pair)),
        same.map(lambda body: ast.Power(body, ONE)),
        same.map(lambda body: ast.Guard((Within(index("t"), sp.Integer(1), N),), body)),
        same.map(lambda body: ast.Guard((), body)),
        st.tuples(st.integers(0, 2), st.integers(0, 2), same).map(
            lambda triple: ast.Sum(
                k, sp.Integer(triple[0]), sp.Integer(triple[1]), ast.Product((ast.SizeValue(k), triple[2]))
            )
        ),
    ]
    if rank == 0:
        made += [
            st.tuples(vector, vector).map(lambda pair: ast.Inner(*pair)),
            st.tuples(matrix, matrix).map(lambda pair: ast.Inner(*pair)),
            st.tuples(vector, matrix, vector).map(lambda t: ast.Product((ast.Transpose(t[0]), t[1], t[2]))),
            same.map(ast.Transpose),
        ]
    if rank == 1:
        made += [st.tuples(matrix, same).map(ast.Product), st.tuples(scalar, matrix, same).map(ast.Product)]
    if rank == 2:
        made += [
            same.map(ast.Transpose),
            vector.map(ast.Diagonal),
            st.tuples(vector, vector).map(lambda pair: ast.Product((pair[0], ast.Transpose(pair[1])))),
            st.tuples(same, same).map(ast.Product),
        ]
    return st.one_of(made)


ANY = st.one_of([expressions(rank, 3) for rank in EXTENTS])


@given(ANY)
@settings(max_examples=300, deadline=None)
def test_tidying_keeps_value_and_shape(expression: Expression):
    tidied = tidy(expression, SCOPE)
    assert shape_of(tidied, SCOPE) == shape_of(expression, SCOPE)
    np.testing.assert_allclose(evaluated(tidied, t=1), evaluated(expression, t=1), rtol=1e-9, atol=1e-9)


@given(ANY)
@settings(max_examples=300, deadline=None)
def test_tidying_twice_is_tidying_once(expression: Expression):
    once = tidy(expression, SCOPE)
    assert tidy(once, SCOPE) == once


@pytest.mark.parametrize(
    "untidy,text",
    [
        (ast.Add((u, ast.Negative(u))), "zeros(n)"),
        (ast.Add((u, ast.Product((number(2), u)))), "3 * u"),
        (ast.Add((ast.Negative(u), v)), "v - u"),
        (ast.Product((ONE, A, u)), "A u"),
        (ast.Product((A, ast.Negative(u))), "-A u"),
        (ast.Product((A, ast.Product((B, u)))), "A B u"),
        (ast.Product((ast.Identity(N), u)), "u"),
        (ast.Product((A, ast.Product((a, u)))), "a A u"),
        (ast.Product((u, ast.Product((ast.Transpose(v), u)))), "(v' u) u"),
        (ast.Transpose(ast.Transpose(A)), "A"),
        (ast.Transpose(ast.Diagonal(u)), "diag(u)"),
        (ast.Hadamard((ast.Filled(1, (N,)), u)), "u"),
        (ast.Hadamard((ast.Negative(u), v)), "-u .* v"),
        (ast.Negative(ast.Negative(u)), "u"),
        (ast.Quotient(ast.Negative(u), a), "-u / a"),
        (ast.Inner(u, ast.Filled(1, (N,))), "sum(u)"),
        (ast.Call("dexpm", (A, ast.Identity(N))), "expm(A)"),
        (ast.Diagonal(ast.Filled(1, (N,))), "I_n"),
        (ast.Sum(index("k"), sp.Integer(2), sp.Integer(2), Access("u", (), (index("k"),))), "u[2]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_reader_would_strike_out_is_gone(untidy: Expression, text: str):
    assert expression_source(tidy(untidy, SCOPE)) == text


def test_every_rule_changes_something_in_the_samples():
    """A rule without effect would be dead: each kind of node occurs above the leaves of the random expressions."""
    drawn = {ast.Add, ast.Product, ast.Hadamard, ast.Negative, ast.Transpose, ast.Quotient, ast.Power}
    assert set(module._RULES) == drawn | {ast.Guard, ast.Inner, ast.Sum, ast.Call, ast.Diagonal}
