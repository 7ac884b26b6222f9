from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

from derive.calculus.stages import scope_of
from derive.calculus.structure import is_orthogonal, is_skew, values_of
from derive.catalogue import load
from derive.derivation import gradient
from derive.evaluate import draw, gather, run, scope_at, value
from derive.language.expression import Access
from derive.language.parser import parse

TEXT = """title  Model
sizes  n rows
given  c in R, p in R^n, Q in R^(n x n) orthogonal
learn  S, B in R^(n x n)
A = {skew}
U = {value}
loss = trace(B' U) + c sum(p) + trace(A) + trace(Q S)
"""

SKEW = {"S - S'": True, "S' - S": True, "(S - S') / 2": True, "c (S - S')": True, "S + S'": False, "S - B'": False,
        "S - S' + B' - B": True, "2 S - S'": False}  # fmt: skip

ORTHOGONAL = {
    "(I + A)^-1 (I - A)": True, "(I - A) (I + A)^-1": True, "solve(I_n - A, I_n + A)": True, "expm(A)": True,
    "expm(-A)": True, "expm(A)' Q": True, "inv(expm(A))": True, "permutation(p) expm(A)": True,
    "(2 I + A)^-1 (2 I - A)": True, "expm(S)": False, "(I + A)^-1 (I + A)^-1": False, "(I + S)^-1 (I - S)": False,
    "(I + A)^-1 (2 I - A)": False, "2 expm(A)": False, "expm(A) + Q": False,
}  # fmt: skip


@pytest.mark.parametrize("text", SKEW)
def test_a_skew_matrix_is_known_and_no_other_is(text: str) -> None:
    program = parse(TEXT.format(skew=text, value="A")).program
    assert is_skew(Access("A"), values_of(program), scope_of(program)) == SKEW[text]
    sizes, values = draw(program, 5, {"n": 3})
    found = run(program, sizes, values)
    matrix = value(Access("A"), scope_at(program, found, sizes))
    assert np.allclose(matrix, -matrix.T, atol=1e-14) == SKEW[text]


@pytest.mark.parametrize("text", ORTHOGONAL)
def test_an_orthogonal_matrix_is_known_and_no_other_is(text: str) -> None:
    program = parse(TEXT.format(skew="S - S'", value=text)).program
    assert is_orthogonal(Access("U"), values_of(program), scope_of(program)) == ORTHOGONAL[text]
    sizes, values = draw(program, 5, {"n": 3})
    matrix = value(Access("U"), scope_at(program, run(program, sizes, values), sizes))
    assert np.allclose(matrix.T @ matrix, np.eye(3), atol=1e-12) == ORTHOGONAL[text]


def computed(name: str, seed: int, sizes: dict[str, int], **choices: Any) -> tuple[Any, dict[str, int], dict[str, Any]]:
    derivation = gradient(load(name, **choices))
    extents, values = draw(derivation.forward, seed, sizes)
    return derivation, extents, values


@pytest.mark.parametrize("name", ["orthogonal-cayley", "orthogonal-exponential"])
@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("scale", [0.01, 1.0, 3.0])
def test_the_recurrent_matrix_is_orthogonal_for_every_parameter(name: str, n: int, scale: float) -> None:
    derivation, sizes, values = computed(name, n, {"T": 2, "d": 1, "n": n, "m": 1})
    values["S"] = scale * values["S"]
    results = run(derivation.program, sizes, values)
    found = gather(derivation.program, results, Access("U"), sizes)
    np.testing.assert_allclose(found.T @ found, np.eye(n), atol=1e-12)
    skew = values["S"] - values["S"].T
    wanted = scipy.linalg.expm(skew) if "exp" in name else np.linalg.solve(np.eye(n) + skew, np.eye(n) - skew)
    np.testing.assert_allclose(found, wanted, atol=1e-11)


@pytest.mark.parametrize("name", ["orthogonal-cayley", "orthogonal-exponential"])
def test_with_the_identity_every_singular_value_of_the_chain_is_one(name: str) -> None:
    steps = 40
    derivation, sizes, values = computed(name, 2, {"T": steps, "d": 2, "n": 4, "m": 1}, f="identity")
    results = run(derivation.program, sizes, values)
    matrix = gather(derivation.program, results, Access("U"), sizes)
    chain = np.linalg.matrix_power(matrix, steps)
    np.testing.assert_allclose(np.linalg.svd(chain, compute_uv=False), 1, atol=1e-12)
    first = gather(derivation.program, results, derivation.gradients["h^0"], sizes)
    last = values["V"].T @ (gather(derivation.program, results, Access("yhat"), sizes) - values["y"])
    assert np.linalg.norm(first) == pytest.approx(np.linalg.norm(last), rel=1e-12)
    np.testing.assert_allclose(first, chain.T @ last, rtol=1e-10)


@pytest.mark.parametrize("name", ["orthogonal-cayley", "orthogonal-exponential"])
def test_a_gradient_never_grows_but_slopes_below_one_shorten_it(name: str) -> None:
    derivation, sizes, values = computed(name, 4, {"T": 30, "d": 2, "n": 4, "m": 2})
    results = run(derivation.program, sizes, values)
    first = gather(derivation.program, results, derivation.gradients["h^0"], sizes)
    last = values["V"].T @ (gather(derivation.program, results, Access("yhat"), sizes) - values["y"])
    assert 0 < np.linalg.norm(first) < 1e-2 * np.linalg.norm(last)
