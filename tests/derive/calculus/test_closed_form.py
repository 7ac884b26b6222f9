from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from derive.calculus import closed_form as module
from derive.calculus.closed_form import Recurrence, closed_form, is_proved, normal, proof, unrolled
from derive.evaluate import integer, scope_of, value
from derive.language import expression as ast
from derive.language.expression import Access, Expression, index, size
from derive.language.system import Declaration, Range

t, T, n = index("t"), size("T"), size("n")
SPAN = Range(t, sp.Integer(1), T)
SHAPES = {"J": (n, n), "U": (n, n), "V": (n, n), "s": (n,), "c": (n,), "e": (n,), "a": (), "q": (), "r": ()}
OVER_TIME = ("J", "s", "c", "e", "q", "r")
SCOPE = {
    name: Declaration(name, "defined", shape, (SPAN,) if name in OVER_TIME else ()) for name, shape in SHAPES.items()
}
J, U, V, a = Access("J", (t,)), Access("U"), Access("V"), Access("a")
c, e = Access("c", (t,)), Access("e", (t - 1,))
FACTORS: list[Expression] = [
    J,
    ast.Product((J, U)),
    ast.Product((U, J, V)),
    ast.Add((ast.Product((a, ast.Identity(n))), ast.Product((J, U)))),
    ast.Product((a, J)),
    ast.Negative(ast.Product((J, U))),
    ast.Transpose(U),
]
SOURCES: list[Expression] = [
    c,
    ast.Product((V, e)),
    ast.Add((c, ast.Product((J, V, e)))),
    ast.Product((a, c)),
    ast.Negative(c),
    ast.Product((J, ast.Add((c, ast.Product((V, e)))))),
]


def recurrence(factor: Expression, source: Expression, lower: int = 1) -> Recurrence:
    return Recurrence(t, sp.Integer(lower), T, Access("s", (t,)), factor, source, SCOPE)


def trajectory(found: Recurrence, steps: int, seed: int) -> dict[tuple[str, tuple[int, ...]], np.ndarray]:
    """Random arrays at all times, and the state computed step by step."""
    rng = np.random.default_rng(seed)
    sizes = {"T": steps, "n": 2}
    first = integer(found.lower, sizes)
    arrays: dict[tuple[str, tuple[int, ...]], np.ndarray] = {}
    for name, shape in SHAPES.items():
        for at in [(k,) for k in range(first - 2, steps + 1)] if name in OVER_TIME else [()]:
            arrays[name, at] = rng.normal(size=(2,) * len(shape)) / 2
    for k in range(first, steps + 1):
        scope = scope_of(arrays, SHAPES, {**sizes, "t": k}, {})
        before = arrays["s", (k - 1,)]
        factor = np.reshape(value(found.factor, scope), (2, 2))
        arrays["s", (k,)] = factor @ before + np.reshape(value(found.source, scope), 2)
    return arrays


def evaluated(expression: Expression, arrays: dict[tuple[str, tuple[int, ...]], np.ndarray], steps: int) -> np.ndarray:
    return np.reshape(value(expression, scope_of(arrays, SHAPES, {"T": steps, "n": 2}, {})), -1)


@pytest.mark.parametrize("source", SOURCES, ids=range(len(SOURCES)))
@pytest.mark.parametrize("factor", FACTORS, ids=range(len(FACTORS)))
def test_the_closed_form_is_the_state_computed_step_by_step(factor: Expression, source: Expression):
    found = recurrence(factor, source)
    for steps in (1, 2, 4):
        arrays = trajectory(found, steps, seed=steps)
        np.testing.assert_allclose(evaluated(closed_form(found), arrays, steps), arrays["s", (steps,)], rtol=1e-12)


@pytest.mark.parametrize("source", SOURCES, ids=range(len(SOURCES)))
@pytest.mark.parametrize("factor", FACTORS, ids=range(len(FACTORS)))
def test_every_line_of_the_proof_is_the_state(factor: Expression, source: Expression):
    found = recurrence(factor, source)
    arrays = trajectory(found, 3, seed=1)
    for line in proof(found):
        np.testing.assert_allclose(evaluated(line.expression, arrays, 3), arrays["s", (3,)], rtol=1e-12)


@given(st.sampled_from(FACTORS[:3]), st.sampled_from(SOURCES[:3]), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_the_closed_form_is_proved(factor: Expression, source: Expression, lower: int):
    assert is_proved(recurrence(factor, source, lower))


@pytest.mark.parametrize("lines", [1, 2, 3, 4])
def test_the_proof_says_its_rules_in_order(lines: int):
    found = proof(recurrence(ast.Product((J, U)), c))
    assert [line.rule for line in found] == ["recurrence", "hypothesis", "distribute", "absorb", "join"]
    assert len({line.expression for line in found}) == len(found)


def wrong_end(last: sp.Expr, first: sp.Expr, factor: Expression) -> ast.OrderedProduct:
    return ast.OrderedProduct(index("j"), last, first, ast.substitute_indices(factor, {t: index("j")}), True)


WRONG_STEPS = {
    "one factor too many": lambda r, last, first: wrong_end(last, first, r.factor),
    "one factor too few": lambda r, last, first: wrong_end(last, first + 2, r.factor),
    "the oldest factor first": lambda r, last, first: replace(wrong_end(first + 1, last, r.factor), descending=False),
}
WRONG_RULES = {
    "distribute": lambda expression, scope: expression,
    "absorb": lambda expression, found: expression,
    "join_last": lambda expression, found: expression,
}


@pytest.mark.parametrize("name", WRONG_STEPS)
def test_a_wrong_closed_form_is_not_proved(monkeypatch: pytest.MonkeyPatch, name: str):
    found = recurrence(ast.Product((J, U)), c)
    monkeypatch.setattr(module, "_steps", WRONG_STEPS[name])
    assert not is_proved(found)


@pytest.mark.parametrize("name", WRONG_RULES)
def test_without_one_of_its_rules_the_proof_does_not_arrive(monkeypatch: pytest.MonkeyPatch, name: str):
    found = recurrence(ast.Product((J, U)), c)
    monkeypatch.setattr(module, name, WRONG_RULES[name])
    assert not is_proved(found)


def test_a_source_off_by_one_is_not_proved(monkeypatch: pytest.MonkeyPatch):
    found = recurrence(ast.Product((J, U)), c)
    right = Recurrence.source_at
    monkeypatch.setattr(
        module,
        "_source_sum",
        lambda r, last, upper: ast.Sum(
            index("k"),
            r.lower,
            sp.sympify(upper),
            ast.Product((wrong_end(last, index("k") + 1, r.factor), right(r, index("k") - 1))),
        ),
    )
    assert not is_proved(found)


def test_normal_form_does_not_depend_on_how_far_the_proof_is():
    found = recurrence(ast.Product((J, U)), ast.Add((c, ast.Product((V, e)))))
    assert {normal(line.expression, found) for line in proof(found)[1:]} == {normal(closed_form(found), found)}


def test_a_product_of_known_length_is_written_out_newest_first():
    product = ast.OrderedProduct(index("j"), T, index("k") + 1, ast.Product((Access("J", (index("j"),)), U)))
    found = unrolled(product, {T: sp.Integer(3), index("k"): sp.Integer(1)}, SCOPE)
    assert found == ast.Product((Access("J", (sp.Integer(3),)), U, Access("J", (sp.Integer(2),)), U))
    assert unrolled(product, {T: sp.Integer(3), index("k"): sp.Integer(3)}, SCOPE) == ast.Identity(n)


def test_a_product_of_unknown_length_is_refused():
    product = ast.OrderedProduct(index("j"), T, sp.Integer(1), Access("J", (index("j"),)))
    with pytest.raises(ValueError, match="from T to 1 has no known number of factors"):
        unrolled(product, {}, SCOPE)
