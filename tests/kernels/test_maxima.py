"""Kernels of systems with maxima: the evaluator's values and gradients, ties and NaN included, and nothing unneeded."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import derive
import kernels
from derive.evaluate import draw_sizes
from derive.language.parser import parse
from tests.kernels.agreement import assert_agrees, derivation, problem
from tests.maxima import POOLING, SYSTEMS, pooled, shares, text

COMPILED = ("pooling in one dimension, windows overlap", "in a loop over time", "over steps and entries, ties split")
UNTOLD = "pooling in one dimension, windows overlap"
"""Its window has no size of its own in any shape."""


@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize("name", SYSTEMS)
def test_kernels_agree_with_the_evaluator(name: str, batch: int | None) -> None:
    found = derivation(text(name))
    kernel = kernels.compile(found, jit=False)
    for seed in (0, 1):
        assert_agrees(kernel, problem(found, seed, draw_sizes(found.system.program, seed), batch))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", COMPILED)
def test_compiled_kernels_agree_with_the_evaluator(name: str, dtype: str) -> None:
    found = derivation(text(name))
    assert_agrees(kernels.compile(found, dtype), problem(found, 2, draw_sizes(found.system.program, 2)))


def sizes(window: int, stride: int, padding: int) -> dict[str, int]:
    return {"R": window, "s": stride, "d": 1, "p": padding}


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("ties", ["first", "split", "all"])
def test_ties_and_what_is_not_finite_are_as_defined(ties: str, dtype: str, jit: bool) -> None:
    kernel = kernels.compile(derive.gradient(parse(POOLING, "", {"D": 1, "ties": ties})), dtype, jit=jit)
    rng = np.random.default_rng(0)
    x = np.round(rng.normal(size=(3, 8))).astype(dtype)
    x[1, 2], x[1, 5:] = np.nan, -np.inf
    x[2, 3], x[2, 4] = np.inf, np.inf
    for window, stride, padding in ((3, 1, 1), (2, 2, 0), (3, 2, 2), (2, 3, 2)):
        count = (8 + 2 * padding - window) // stride + 1
        cotangent = rng.normal(size=(3, count)).astype(dtype)
        told = sizes(window, stride, padding)
        inputs: dict[str, Any] = {"x": x, "g": cotangent, **told}
        y, back = pooled(x, cotangent, window, stride, padding, ties)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(kernel.forward({}, inputs, ["y"])["y"], y)
            found = kernel.gradients({}, inputs, ["x"])["x"]
        np.testing.assert_allclose(found, back, rtol=1e-6, atol=1e-6)
        assert found.dtype == dtype


@pytest.mark.parametrize("ties", ["first", "split", "all"])
def test_the_shares_of_a_row(ties: str) -> None:
    text = "sizes n, m\ngiven x in R^(n x m)\ny[i] = max over a of x[i, a]\nloss = y[0]\n"
    kernel = kernels.compile(derivation(f"{text}convention ties is {ties}"), jit=False)
    rows = [[1.0, 1.0, 0.0], [np.nan, 2.0, np.nan], [-np.inf, -np.inf, -np.inf], [-0.0, 0.0, -1.0], [5.0, 4.0, 5.0]]
    for row in rows:
        with np.errstate(all="ignore"):
            found = kernel.gradients({}, {"x": np.array([row])}, ["x"])["x"]
        np.testing.assert_array_equal(found, [shares(row, ties)])


def test_where_no_position_takes_part_the_maximum_is_zero_and_sends_nothing_back() -> None:
    text = """
        sizes n, m
        given x in R^(n x m), p in R^m
        y[i] = max over a = 0..m-1 with 1 <= i <= 2 and 0 <= a + i <= m - 1 of x[i, a + i] * p[a] for i = 0..n-1
        loss = sum(y)
    """
    found = derivation(text)
    kernel = kernels.compile(found, jit=False)
    for extents in ({"n": 5, "m": 2}, {"n": 2, "m": 4}, {"n": 1, "m": 1}):
        assert_agrees(kernel, problem(found, 3, extents))


def test_values_alone_need_no_choice() -> None:
    for name in SYSTEMS:
        kernel = kernels.compile(derivation(text(name)), jit=False)
        source = kernel.question("loss").variant.source
        assert "argmax" not in source
        assert "best" in source


def test_the_place_of_the_largest_is_kept_only_where_it_is_asked_for() -> None:
    kernel = kernels.compile(derivation(text("max over time")), jit=False)
    assert "place" not in kernel.question("loss").variant.source
    source = kernel.question("gradients", "h").variant.source
    assert re.search(r"best, place = larger_at\(best, place, h\[b, j, (\w)\], \1\)", source)


def test_the_source_says_what_it_computes() -> None:
    source = kernels.compile(derivation(text("max over time")), jit=False).question("gradients", "h").variant.source
    assert "mⱼ = max_{0≤i<n} hⱼᵢ" in source
    assert "κⱼ = argmax_{0≤i<n} hⱼᵢ" in source


def test_arrays_may_have_the_names_that_the_search_uses() -> None:
    text = """
        sizes n, m
        given best in R^(n x m), place in R^n
        count[i] = max over a of best[i, a]
        larger = <count, place>
        loss = larger^2
    """
    found = derivation(text)
    assert_agrees(kernels.compile(found, jit=False), problem(found, 0, {"n": 3, "m": 4}))


def test_a_kernel_that_takes_the_last_of_equal_maxima_is_found() -> None:
    found = derive.gradient(parse(POOLING, "", {"D": 1, "ties": "first"}))
    kernel = kernels.compile(found, jit=False)
    x = np.array([[2.0, 2.0, 1.0]])
    cotangent = np.ones((1, 2))
    back = kernel.gradients({}, {"x": x, "g": cotangent, **sizes(2, 1, 0)}, ["x"])["x"]
    last = pooled(x[:, ::-1], cotangent, 2, 1, 0, "first")[1][:, ::-1]
    np.testing.assert_array_equal(back, pooled(x, cotangent, 2, 1, 0, "first")[1])
    assert not np.array_equal(back, last)
