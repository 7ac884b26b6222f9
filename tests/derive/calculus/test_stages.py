from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from derive.calculus.stages import free_indices, matched, mentions, split
from derive.catalogue import load, names
from derive.evaluate import bindings, draw, run
from derive.language import expression as ast
from derive.language.expression import Access, index, size
from derive.language.parser import parse
from tests.random_systems import random_system

FOLDED = """
title  Everything folded into one line
sizes  T steps, d inputs, n hidden
given  x^t in R^d for t = 1..T, y in R^n
learn  W in R^(n x d), U in R^(n x n), a in R
start  h^0 = 0
for t = 1..T:
    h^t = tanh(W x^t + U tanh(a h^{t-1}))
end
p = softmax(2 h^T)
loss = squared(sum(tanh(p - y)), 1) + sum over t = 1..T of sigmoid(<h^t, h^t>)
"""
TEXTS = {"folded": FOLDED, **{f"random {seed}": random_system(seed).text for seed in range(4)}}
SYSTEMS = {**{name: load(name) for name in names()}, **{name: parse(text) for name, text in TEXTS.items()}}


@pytest.mark.parametrize("name", SYSTEMS)
def test_splitting_keeps_every_value(name: str):
    program = SYSTEMS[name].program
    parts = split(program)
    sizes, values = draw(program, seed=5)
    bound = bindings(program)
    before, after = (run(p, sizes, values, functions=bound) for p in (program, parts))
    for key, wanted in before.items():
        np.testing.assert_allclose(after[key], wanted, rtol=1e-12)


def _bare(argument: ast.Expression) -> list[ast.Expression]:
    """The terms of a difference without their signs."""
    terms = argument.terms if isinstance(argument, ast.Add) else (argument,)
    return [term.operand if isinstance(term, ast.Negative) else term for term in terms]


@pytest.mark.parametrize("name", SYSTEMS)
def test_afterwards_every_function_stands_before_a_name(name: str):
    for equation in split(SYSTEMS[name].program).equations:
        for node in ast.walk(equation.value):
            if isinstance(node, ast.Apply) and not equation.target.subscripts:
                # Only a softmax, exp(e - L), has no name for its argument: its slope is its value.
                is_share = node.function == "exp" and all(isinstance(n, Access) for n in _bare(node.argument))
                assert isinstance(node.argument, Access) or is_share, equation


@pytest.mark.parametrize("name", SYSTEMS)
def test_splitting_twice_is_splitting_once(name: str):
    once = split(SYSTEMS[name].program)
    assert split(once) == once


def test_a_lone_argument_is_called_z():
    text = "title  One\nsizes  n rows\ngiven  x in R^n\nlearn  U in R^(n x n)\nh = tanh(U x)\nloss = <h, h>\n"
    assert [e.target.name for e in split(parse(text).program).equations] == ["z", "h", "loss"]


def test_several_arguments_are_called_after_their_targets():
    text = "title  Two\nsizes  n rows\ngiven  x in R^n\nh1 = tanh(2 x)\ng = tanh(3 h1)\nloss = <g, h1>\n"
    assert {"z1", "z_g"} <= {e.target.name for e in split(parse(text).program).equations}


def test_an_index_that_is_bound_is_not_free():
    k, t, n = index("k"), index("t"), size("n")
    assert free_indices(ast.Sum(k, sp.Integer(0), n - 1, Access("x", (t,), (k,)))) == {t, n}
    assert free_indices(ast.OrderedProduct(k, t, sp.Integer(1), Access("J", (k,)))) == {t}
    assert free_indices(ast.Guard((ast.Within(t, k, n),), ast.ONE)) == {t, k, n}


def test_a_target_is_matched_index_by_index():
    t, size_t = index("t"), size("T")
    assert matched(Access("h", (t,)), Access("h", (size_t - 1,))) == {t: size_t - 1}


def test_reading_an_array_is_seen_at_any_depth():
    assert mentions(ast.Negative(ast.Product((Access("U"), Access("h")))), "h")
    assert not mentions(Access("U"), "h")
