from __future__ import annotations

import string
from dataclasses import dataclass

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from derive.calculus.contract import Term, contracted
from derive.calculus.elementwise import in_indices
from derive.calculus.entries import RECOGNISED
from derive.calculus.index_notation import Bound, dummy, element, entry, summed
from derive.calculus.lift import lift, named_indices
from derive.calculus.network import NotAMatrix
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer, Within, index
from derive.language.functions import symbolic
from derive.language.printer import expression_source
from derive.language.shapes import shape_of
from tests.derive.calculus.arrays import SCOPE, SIZES, M, N, T, array, entries, evaluated, values

i, j, k, m, s, t = (dummy(name) for name in "ijkmst")
tanh, exp, log = (symbolic(name) for name in ("tanh", "exp", "log"))
EXTENTS: dict[sp.Symbol, Integer] = dict.fromkeys((i, j, k, m), N)


def at(name: str, *indices: sp.Expr) -> sp.Expr:
    return element(name, (), indices)


def u(x: sp.Expr) -> sp.Expr:
    return at("u", x)


def v(x: sp.Expr) -> sp.Expr:
    return at("v", x)


def A(x: sp.Expr, y: sp.Expr) -> sp.Expr:
    return at("A", x, y)


def B(x: sp.Expr, y: sp.Expr) -> sp.Expr:
    return at("B", x, y)


def total(body: sp.Expr, *indices: sp.Symbol) -> sp.Expr:
    for symbol in indices:
        body = summed(body, Bound(symbol, sp.Integer(0), N - 1))
    return body


@dataclass(frozen=True)
class Sample:
    """Factors with free and summed indices (all of extent n), and the matrix form as the language writes it."""

    factors: tuple[sp.Expr, ...]
    free: tuple[sp.Symbol, ...]
    summed: tuple[sp.Symbol, ...]
    text: str


a = at("a")
SAMPLES = [
    Sample((A(i, j), u(j)), (i,), (j,), "A u"),
    Sample((A(j, i), u(j)), (i,), (j,), "A' u"),
    Sample((A(i, j), B(j, k), u(k)), (i,), (j, k), "A B u"),
    Sample((A(j, i), B(k, j), u(k)), (i,), (j, k), "A' B' u"),
    Sample((u(i), v(j)), (i, j), (), "u v'"),
    Sample((v(j), u(i)), (i, j), (), "u v'"),
    Sample((u(j),), (i, j), (), "ones(n) u'"),
    Sample((A(j, i),), (i, j), (), "A'"),
    Sample((A(i, k), B(k, j)), (i, j), (k,), "A B"),
    Sample((A(i, k), u(k), B(k, j)), (i, j), (k,), "A diag(u) B"),
    Sample((u(i), A(i, j), v(j)), (i, j), (), "diag(u) A diag(v)"),
    Sample((A(i, j), B(i, j)), (i, j), (), "A .* B"),
    Sample((A(i, j), B(j, i)), (i, j), (), "A .* B'"),
    Sample((A(i, k), B(k, m), u(m), v(j)), (i, j), (k, m), "A B u v'"),
    Sample((u(i), v(i)), (i,), (), "u .* v"),
    Sample((u(i), A(i, j), v(j)), (i,), (j,), "u .* A v"),
    Sample((A(i, j), u(j), B(i, k), v(k)), (i,), (j, k), "A u .* B v"),
    Sample((A(i, j), B(i, j), u(j)), (i,), (j,), "(A .* B) u"),
    Sample((A(i, j), B(j, i)), (i,), (j,), "(A .* B') ones(n)"),
    Sample((u(i), v(i)), (), (i,), "<u, v>"),
    Sample((u(i),), (), (i,), "sum(u)"),
    Sample((A(i, j),), (), (i, j), "sum(A)"),
    Sample((A(i, j), B(i, j)), (), (i, j), "<A, B>"),
    Sample((A(i, j), B(j, i)), (), (i, j), "<A, B'>"),
    Sample((A(i, j), B(j, k), A(k, i)), (), (i, j, k), "trace(A B A)"),
    Sample((u(i), A(i, j), v(j)), (), (i, j), "<u, A v>"),
    Sample((u(i), A(i, j), B(i, j), v(j)), (), (i, j), "<u, (A .* B) v>"),
    Sample((u(i), v(i), u(j)), (j,), (i,), "<u, v> u"),
    Sample((a, A(i, j), u(j)), (i,), (j,), "a A u"),
    Sample((sp.Integer(2), a, u(i), v(j)), (i, j), (), "2 * a u v'"),
    Sample((u(i) / at("b"),), (i,), (), "(1 / b) u"),
    Sample((sp.KroneckerDelta(i, j), u(i)), (i, j), (), "diag(u)"),
    Sample((sp.KroneckerDelta(i, j), u(i), v(j)), (i, j), (), "diag(u .* v)"),
    Sample((sp.KroneckerDelta(i, j), A(i, k), u(k)), (i, j), (k,), "diag(A u)"),
    Sample((sp.KroneckerDelta(i, j),), (i, j), (), "I_n"),
    Sample((symbolic("tanh", 1)(u(i)), A(j, i), v(j)), (i,), (j,), "tanh'(u) .* A' v"),
    Sample((tanh(total(A(i, j) * u(j), j)), v(i)), (i,), (), "v .* tanh(A u)"),
    Sample((exp(u(i)) / total(exp(u(k)), k),), (i,), (), "softmax(u)"),
    Sample((exp(u(i)) / total(exp(u(k)), k), v(j)), (i, j), (), "softmax(u) v'"),
    Sample((u(i), total(u(k) ** 2, k) ** sp.Rational(-1, 2)), (i,), (), "unit(u)"),
    Sample((u(i), u(j), total(u(k) ** 2, k) ** sp.Rational(-3, 2)), (i, j), (), "(1 / norm(u)) unit(u) unit(u)'"),
    Sample((exp(u(i)), exp(u(j)), total(exp(u(k)), k) ** -2), (i, j), (), "softmax(u) softmax(u)'"),
    Sample((log(total(exp(u(k)), k)), v(i)), (i,), (), "logsumexp(u) v"),
]


def term_of(sample: Sample) -> Term:
    factors = tuple(factor for product in sample.factors for factor in sp.Mul.make_args(product))
    return Term(factors, tuple(Bound(symbol, sp.Integer(0), N - 1) for symbol in sample.summed))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.text)
def test_index_expressions_have_these_matrix_forms(sample: Sample):
    found = lift(term_of(sample), dict.fromkeys(sample.free, N), SCOPE)
    assert expression_source(found) == sample.text
    before = total(sp.Mul(*sample.factors), *sample.summed)
    axes = dict.fromkeys(sample.free, SIZES["n"])
    np.testing.assert_allclose(evaluated(found), entries(before, axes), rtol=1e-12)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.text)
def test_the_same_in_indices_has_the_same_value(sample: Sample):
    names = [(symbol, symbol.name) for symbol in sample.free]
    found = named_indices(in_indices(term_of(sample), SCOPE), names)
    before = total(sp.Mul(*sample.factors), *sample.summed)
    wanted = entries(before, dict.fromkeys(sample.free, SIZES["n"]))
    for place in np.ndindex(wanted.shape):
        here = {name: position for (_, name), position in zip(names, place, strict=True)}
        np.testing.assert_allclose(evaluated(found, **here), wanted[place], rtol=1e-12)


NO_MATRIX_FORM = {
    "a triangle through the free index": ((A(i, j), B(j, k), A(i, k)), (i,), (j, k)),
    "a triangle with a vector": ((A(i, j), B(j, k), A(k, i), u(i)), (), (i, j, k)),
    "a ring with a branch": ((A(i, j), B(j, k), A(k, i), B(i, m)), (), (i, j, k, m)),
    "a diagonal entry": ((A(i, i), u(i)), (i,), ()),
    "three free indices": ((u(i), v(j), u(k)), (i, j, k), ()),
    "a reversed index": ((A(i, j), u(N - 1 - j)), (i,), (j,)),
    "a delta between other indices": ((sp.KroneckerDelta(j, k), u(j), v(k), u(i)), (i,), (j, k)),
}


@pytest.mark.parametrize("factors,free,bound", NO_MATRIX_FORM.values(), ids=NO_MATRIX_FORM)
def test_what_is_neither_a_tree_nor_a_ring_stays_in_indices(
    factors: tuple[sp.Expr, ...], free: tuple[sp.Symbol, ...], bound: tuple[sp.Symbol, ...]
):
    with pytest.raises(NotAMatrix):
        lift(term_of(Sample(factors, free, bound, "")), dict.fromkeys(free, N), SCOPE)


def test_a_sum_from_the_middle_of_an_axis_stays_in_indices():
    with pytest.raises(NotAMatrix):
        lift(Term((A(i, j), u(j)), (Bound(j, sp.Integer(1), N - 1),)), {i: N}, SCOPE)


def test_a_sum_over_the_first_part_of_an_axis_is_a_product_of_parts():
    found = lift(Term((A(i, j), u(j)), (Bound(j, sp.Integer(0), N - 2),)), {i: N}, SCOPE)
    np.testing.assert_allclose(evaluated(found), evaluated(array("A"))[:, :-1] @ evaluated(array("u"))[:-1])


def test_an_index_with_an_offset_is_a_part_of_the_axis():
    found = lift(Term((u(1 + j), at("w", j)), (Bound(j, sp.Integer(0), M - 1),)), {}, SCOPE)
    np.testing.assert_allclose(evaluated(found), evaluated(array("u"))[1 : 1 + SIZES["m"]] @ evaluated(array("w")))


def test_a_condition_on_a_subscript_stays_in_indices():
    with pytest.raises(NotAMatrix):
        lift(Term((u(i),), (), (Within(i, sp.Integer(1), N - 1),)), {i: N}, SCOPE)


def test_a_sum_over_time_is_written_out_around_the_matrices():
    time = Bound(t, sp.Integer(1), T)
    factors = (element("x", (t,), (i,)), element("x", (t - 1,), (j,)))
    condition = Within(t, sp.Integer(2), T)
    found = named_indices(lift(Term(factors, (time,), (condition,)), {i: N, j: N}, SCOPE), [])
    at_t = ast.Product((Access("x", (index("t"),)), ast.Transpose(Access("x", (index("t") - 1,)))))
    assert found == ast.Sum(index("t"), sp.Integer(1), T, ast.Guard((Within(index("t"), sp.Integer(2), T),), at_t))


def test_every_pattern_with_a_name_has_a_sample():
    assert all(any(name in sample.text for sample in SAMPLES) for name in RECOGNISED)


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[tuple[str, tuple[int, ...]]], tuple[int, ...]]:
    """Random vectors and matrices on four subscripts, some of them free; every summed one is used."""
    factors = draw(
        st.lists(
            st.one_of(
                st.tuples(st.sampled_from("uv"), st.tuples(st.integers(0, 3))),
                st.tuples(
                    st.sampled_from("AB"),
                    st.tuples(st.integers(0, 3), st.integers(0, 3)).filter(lambda ends: ends[0] != ends[1]),
                ),
            ),
            min_size=1,
            max_size=6,
        )
    )
    free = draw(st.lists(st.integers(0, 3), max_size=2, unique=True))
    return factors, tuple(free)


@given(networks())
@settings(max_examples=300, deadline=None)
def test_a_lifted_network_is_the_sum_over_its_indices(
    network: tuple[list[tuple[str, tuple[int, ...]]], tuple[int, ...]],
):
    """np.einsum is the witness."""
    factors, free = network
    nodes = (i, j, k, m)
    used = sorted({node for _, ends in factors for node in ends} - set(free))
    term = Term(
        tuple(at(name, *(nodes[end] for end in ends)) for name, ends in factors),
        tuple(Bound(nodes[node], sp.Integer(0), N - 1) for node in used),
    )
    try:
        found = lift(term, {nodes[node]: N for node in free}, SCOPE)
    except NotAMatrix:
        reject()
    arrays = values()
    operands = [arrays[name, ()] for name, _ in factors]
    subscripts = ["".join(string.ascii_lowercase[node] for node in ends) for _, ends in factors]
    for node in free:
        operands.append(np.ones(SIZES["n"]))
        subscripts.append(string.ascii_lowercase[node])
    output = "".join(string.ascii_lowercase[node] for node in free)
    wanted = np.einsum(f"{','.join(subscripts)}->{output}", *operands)
    np.testing.assert_allclose(evaluated(found), wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "expression",
    [
        ast.Product((array("K"), array("A"), array("u"))),
        ast.Product((ast.Transpose(array("K")), array("w"))),
        ast.Product((array("w"), ast.Transpose(array("u")))),
        ast.Hadamard((array("u"), ast.Apply("tanh", ast.Product((array("A"), array("v")))))),
        ast.Add((array("u"), ast.Negative(ast.Product((array("A"), array("v")))))),
        ast.Inner(array("u"), ast.Product((array("A"), array("v")))),
        ast.Call("softmax", (array("u"),)),
        ast.Call("logsumexp", (array("u"),)),
        ast.Diagonal(array("u")),
    ],
    ids=expression_source,
)
def test_lowering_and_lifting_again_keeps_the_value(expression: Expression):
    shape = shape_of(expression, SCOPE)
    axes = dict(zip((i, j), shape, strict=False))
    body = entry(expression, tuple(axes), SCOPE)
    free = {symbol: Bound(symbol, sp.Integer(0), extent - 1) for symbol, extent in axes.items()}
    parts = tuple(lift(term, axes, SCOPE) for term in contracted(body, (), free))
    np.testing.assert_allclose(evaluated(ast.Add(parts)), evaluated(expression), rtol=1e-12)
