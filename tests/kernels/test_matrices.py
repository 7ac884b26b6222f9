"""Kernels of functions of whole arrays: against the derived program in both precisions, and against SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import derive
import kernels
from derive.evaluate import draw, gather, run
from kernels import matrices

SIZES = "sizes m, n, p, q\n"
SYSTEMS = {
    "a logarithm of a determinant": ("a, b in R^n", "X in R^(n x n)", "<a, X b> + logdet(X)"),
    "an inverse": ("a, b in R^n", "X in R^(n x n)", "<a, inv(X) b>"),
    "a solution": ("a, b in R^n", "X in R^(n x n)", "<a, solve(X, b)>"),
    "a solution for each column": ("B in R^(n x m)", "X in R^(n x n)", "<B, solve(X, B)>"),
    "a determinant": ("y in R", "X in R^(n x n)", "det(X) * y"),
    "an exponential": ("A in R^(n x n)", "X in R^(n x n)", "trace(A expm(X))"),
    "a norm": ("y in R^m, W in R^(m x n)", "w in R^n", "norm(W w - y)"),
    "a Kronecker product": ("y in R^m", "A in R^(m x n), B in R^(p x q)", "norm(kron(A, B)) * <y, y>"),
    "vectors below one another": ("g in R^(m + n)", "a in R^m, b in R^n", "<g, concat(a, b)>"),
    "blocks": ("g in R^n", "P in R^(m x m), Q in R^(m x n)", "norm(block((P, Q), (Q', eye(n)))) * <g, g>"),
    "a permutation": ("pi, g in R^n", "x in R^n", "<g, permutation(pi) x>"),
    "a vectorised matrix": ("g in R^(m n)", "A in R^(m x n)", "<g, vec(A)>^2"),
    "parts": ("g in R^n", "x in R^n", "<g, x> * softmax(x)[0] + x[0..1]' g[0..1]"),
}
ATTENTION = """
sizes   T steps, d inputs, n hidden
given   x^t in R^d for t = 1..T,  y in R^n
learn   W in R^(n x d),  U in R^(n x n),  v, q in R^n
start   h^0 = 0
for t = 1..T:
    h^t = tanh(W x^t + U h^{t-1})
    e^t = v' tanh(h^t + q)
    a^t = softmax over t of e^t
end
c = sum over t = 1..T of a^t h^t
loss = squared(c, y)
"""
OVER_SUBSCRIPTS = """
sizes n, m
given x in R^(m x n), y in R^m
learn w in R^n
p[i] = logsumexp over j = 0..n-1 of x[i, j] * w[j]
s[i] = softmax over i of p[i]
loss = squared(s, y)
"""
TEXTS = {
    **{name: f"{SIZES}given {given}\nlearn {learnt}\nloss = {loss}" for name, (given, learnt, loss) in SYSTEMS.items()},
    "attention over time": ATTENTION,
    "reductions over subscripts": OVER_SUBSCRIPTS,
}


@pytest.mark.parametrize("dtype,tolerance", [("float64", 1e-12), pytest.param("float32", 1e-4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_kernel_computes_what_the_derived_program_does(text: str, dtype: str, tolerance: float):
    derivation = derive.gradient(derive.parse(text))
    sizes, values = draw(derivation.system.program, 1)
    results = run(derivation.program, sizes, values)
    kernel = kernels.compile(derivation, dtype)
    cast = {key: np.asarray(value, dtype) for key, value in values.items()}
    learnt = {key: cast[key] for key in kernel.learnt}
    given = {key: value for key, value in cast.items() if key not in learnt}
    loss, gradients = kernel(learnt, given)
    np.testing.assert_allclose(loss, results["loss", ()], rtol=tolerance, atol=tolerance)
    for key, found in gradients.items():
        wanted = gather(derivation.program, results, derivation.gradients[key], sizes)
        np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)
        assert found.dtype == dtype


@pytest.mark.parametrize("name", ["a solution", "an exponential", "attention over time"])
def test_the_gradient_of_a_batch_is_the_mean(name: str):
    derivation = derive.gradient(derive.parse(TEXTS[name]))
    kernel = kernels.compile(derivation)
    _, values = draw(derivation.system.program, 2)
    learnt = {key: values[key] for key in kernel.learnt}
    given = {key: np.asarray(value) for key, value in values.items() if key not in learnt}
    rng = np.random.default_rng(0)
    sequences = [{key: value + 0.1 * rng.normal(size=value.shape) for key, value in given.items()} for _ in range(3)]
    each = [kernel(learnt, sequence) for sequence in sequences]
    loss, gradients = kernel(learnt, {key: np.stack([s[key] for s in sequences]) for key in sequences[0]})
    np.testing.assert_allclose(loss, np.mean([one for one, _ in each]), rtol=1e-12)
    for key, found in gradients.items():
        np.testing.assert_allclose(found, np.mean([one[key] for _, one in each], axis=0), rtol=1e-10, atol=1e-12)


def test_attention_does_not_overflow():
    derivation = derive.gradient(derive.parse(ATTENTION))
    kernel = kernels.compile(derivation)
    _, values = draw(derivation.system.program, 1)
    learnt = {key: values[key] for key in kernel.learnt}
    learnt["v"] = 1e4 * learnt["v"]
    loss, gradients = kernel(learnt, {key: value for key, value in values.items() if key not in learnt})
    assert np.isfinite(loss)
    assert all(np.isfinite(gradient).all() for gradient in gradients.values())


@pytest.mark.parametrize("scale", [1e-8, 0.3, 5.0, 40.0])
@pytest.mark.parametrize("dtype,tolerance", [(np.float64, 1e-12), (np.float32, 2e-4)])
def test_the_exponential_is_that_of_scipy(scale: float, dtype: Any, tolerance: float):
    rng = np.random.default_rng(3)
    x, e = (scale * rng.normal(size=(4, 4)) / 4 for _ in range(2))
    out, change = np.empty((4, 4), dtype), np.empty((4, 4), dtype)
    matrices.expm(x.astype(dtype), out)
    matrices.dexpm(x.astype(dtype), e.astype(dtype), change)
    wanted, slope = scipy.linalg.expm_frechet(x, e)
    assert np.linalg.norm(out - wanted) <= tolerance * np.linalg.norm(wanted) * max(1.0, scale)
    assert np.linalg.norm(change - slope) <= tolerance * np.linalg.norm(slope) * max(1.0, scale)


def test_a_norm_does_not_overflow_and_its_direction_at_zero_is_zero():
    np.testing.assert_allclose(matrices.norm(np.array([3e200, 4e200])), 5e200, rtol=1e-15)
    out = np.ones(3)
    matrices.unit(np.zeros(3), out)
    np.testing.assert_array_equal(out, 0)
