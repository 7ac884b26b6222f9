from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import sympy as sp

from derive.calculus.contract import Term, contracted, expanded, tighten
from derive.calculus.index_notation import Bound, bracket, dummy, element, summed
from derive.calculus.symbols import replaced
from derive.language.expression import Condition, Divides, Within
from tests.derive.calculus.arrays import SIZES, M, N, P, T, entries

i, j, q, s, t = (dummy(name) for name in "ijqst")
ZERO, ONE, TWO = sp.Integer(0), sp.Integer(1), sp.Integer(2)


def delta(first: sp.Expr, second: sp.Expr) -> sp.Expr:
    return sp.KroneckerDelta(first, second)


def at(name: str, *indices: sp.Expr) -> sp.Expr:
    return element(name, (), indices)


def axis(symbol: sp.Symbol, extent: sp.Expr) -> Bound:
    return Bound(symbol, ZERO, extent - 1)


def as_expression(terms: Sequence[Term]) -> sp.Expr:
    """The terms as one SymPy expression, conditions as brackets."""
    total: sp.Expr = ZERO
    for term in terms:
        body = sp.Mul(*term.factors, *(bracket(condition) for condition in term.conditions), evaluate=False)
        for bound in term.bounds:
            body = summed(body, bound)
        total = sp.Add(total, body, evaluate=False)
    return total


@dataclass(frozen=True)
class Sample:
    """Σ over ``bounds`` of ``body`` for q within ``free``: what is left of the sums and the conditions."""

    body: sp.Expr
    bounds: tuple[Bound, ...]
    free: Bound
    left: int
    conditions: tuple[Condition, ...] = ()
    pinned: tuple[sp.Symbol, ...] = ()
    integers: dict[str, int] = field(default_factory=dict)


over_i, over_j, q_in_n, q_in_p = axis(i, N), axis(j, N), axis(q, N), axis(q, P)
SAMPLES = {
    "coefficient 1": Sample(delta(i, q) * at("u", i), (over_i,), q_in_n, 0),
    "coefficient -1": Sample(delta(N - 1 - i, q) * at("u", i), (over_i,), q_in_n, 0),
    "a shift leaves a condition": Sample(delta(i, q - 1) * at("u", i), (over_i,), q_in_n, 0, (Within(q, ONE, N - 1),)),
    "a shift by a size": Sample(delta(i, q - 2) * at("u", i), (over_i,), q_in_p, 0, (Within(q, TWO, N + 1),)),
    "two deltas, one sum left": Sample(
        delta(i, q) * delta(j, s) * at("A", i, j), (over_i, over_j, axis(s, N)), q_in_n, 1
    ),
    "a chain of deltas": Sample(delta(i, j) * delta(j, q) * at("A", i, j), (over_i, over_j), q_in_n, 0),
    "a range that always holds": Sample(delta(i, q) * at("u", i), (Bound(i, ZERO, N - 1),), Bound(q, ONE, N - 2), 0),
    "a stride keeps its divisibility": Sample(delta(2 * i, q) * at("u", i), (over_i,), q_in_p, 0, (Divides(TWO, q),)),
    "a negative stride": Sample(delta(q, 4 - 2 * i) * at("u", i), (over_i,), q_in_p, 0),
    "a stride beside a coefficient 1": Sample(
        delta(2 * i + j, q) * at("A", i, j), (over_i, over_j), axis(q, 3 * N - 2), 1
    ),
    "two strides, one after the other": Sample(
        delta(2 * i, j) * delta(3 * j, q) * at("u", i),
        (over_i, axis(j, 2 * N)),
        axis(q, 6 * N),
        0,
        (Divides(sp.Integer(6), q),),
    ),
    "a stride that is a size": Sample(delta(M * i, q) * at("u", i), (over_i,), axis(q, M * N), 0, (Divides(M, q),)),
    "a delta that is not affine stays": Sample(delta(i**2, q) * at("u", i), (over_i,), q_in_p, 1),
    "a sum tightened by a bracket": Sample(bracket(Within(i, ONE, N)) * at("u", i) * at("v", q), (over_i,), q_in_n, 1),
}


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_contraction_keeps_the_value(sample: Sample):
    before = sample.body
    for bound in sample.bounds:
        before = summed(before, bound)
    after = as_expression(contracted(sample.body, sample.bounds, {q: sample.free}, sample.pinned))
    lower, upper = (
        int(replaced(end, {N: sp.Integer(3), M: TWO, P: sp.Integer(5)}))
        for end in (sample.free.lower, sample.free.upper)
    )
    moved = {q: q + lower}
    axes = {q: upper - lower + 1}
    assert np.any(entries(replaced(before, moved), axes))
    np.testing.assert_allclose(
        entries(replaced(after, moved), axes), entries(replaced(before, moved), axes), rtol=1e-13
    )


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_the_sums_that_a_delta_fixes_are_gone(sample: Sample):
    (term,) = contracted(sample.body, sample.bounds, {q: sample.free}, sample.pinned)
    assert len(term.bounds) == sample.left
    assert set(sample.conditions) <= set(term.conditions)


def test_a_coefficient_other_than_one_keeps_divisibility():
    """B12 of our notes: SymPy's doit turns Σ_i δ(3, 2i) g_i into g_{3/2}; it is 0."""
    (term,) = contracted(delta(q, 2 * i) * at("u", i), (over_i,), {q: axis(q, P)})
    assert Divides(TWO, q) in term.conditions
    values = entries(as_expression([term]), {q: SIZES["p"]})
    assert values[1] == values[3] == 0
    assert np.all(values[::2] != 0)


def test_a_condition_that_sizes_do_not_decide_is_kept():
    (term,) = contracted(delta(i, q) * at("u", i), (over_i,), {q: q_in_p})
    assert term.conditions == (Within(q, ZERO, N - 1),)


def test_a_condition_that_never_holds_leaves_no_term():
    assert contracted(delta(i, q + N) * at("u", i), (over_i,), {q: q_in_n}) == []


def test_the_last_step_becomes_a_condition_on_the_free_time():
    last = delta(t, T) * at("u", q)
    (term,) = contracted(last, (), {t: Bound(t, ONE, T), q: q_in_n}, pinned=(t,))
    assert term == Term((at("u", q),), (), (Within(t, T, T),))


def test_what_arrives_from_the_next_step_ends_one_step_early():
    body = delta(s - 1, t) * element("x", (s,), (q,))
    (term,) = contracted(body, (Bound(s, ONE, T),), {t: Bound(t, ONE, T), q: q_in_n}, pinned=(t,))
    assert term == Term((element("x", (t + 1,), (q,)),), (), (Within(t, ONE, T - 1),))


def test_a_condition_on_a_summed_index_becomes_its_bound():
    term = Term((at("u", i),), (over_i,), (Within(i + 1, ONE, N - 1),))
    assert tighten(term, {}) == Term((at("u", i),), (Bound(i, ZERO, N - 2),))


def test_infinite_ranges_put_no_condition():
    (term,) = contracted(delta(s, t - 1) * element("x", (s,), (q,)), (Bound(s, -sp.oo, sp.oo),), {t: Bound(t, ONE, T)})
    assert term.conditions == ()


def test_products_of_sums_rename_their_indices_apart():
    total = summed(at("u", i), over_i)
    (term,) = expanded(sp.Mul(total, total, evaluate=False))
    assert len({bound.index for bound in term.bounds}) == 2
