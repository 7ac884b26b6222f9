"""What maxima and shares are worth: against loops, and against PyTorch where numbers tie."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from derive.derivation import gradient
from derive.evaluate import draw, gather, run
from derive.evaluate.samples import LEAST_GAP
from derive.language.parser import parse
from kernels.verification import WITNESSES
from tests.maxima import POOLING, pooled, shares

ROWS = [
    [1.0, 3.0, 2.0],
    [3.0, 1.0, 3.0],
    [2.0, 2.0, 2.0],
    [-1.0, -np.inf, -2.0],
    [-np.inf, -np.inf, -np.inf],
    [np.inf, 1.0, np.inf],
    [1.0, np.nan, 2.0],
    [np.nan, 5.0, np.nan],
    [0.0, -0.0, -1.0],
]
ROW = """
    sizes n, m
    given x in R^(n x m)
    y[i] = max {ties} over a of x[i, a]
    w[i, b] = share of b in max {ties} over a = 0..m-1 of x[i, a] for b = 0..m-1
    loss = {loss}
"""


@pytest.mark.parametrize("ties", ["first", "split", "all"])
def test_a_row_of_numbers(ties: str) -> None:
    x = np.array(ROWS)
    results = run(parse(ROW.format(ties=ties, loss="y[0]")).program, {"n": len(x), "m": 3}, {"x": x})
    np.testing.assert_array_equal(results["y", ()], np.max(x, axis=1))
    np.testing.assert_array_equal(results["w", ()], [shares(row, ties) for row in ROWS])


def test_nothing_to_choose_from_is_zero_and_nothing_has_a_share() -> None:
    text = """
        sizes n
        given x in R^n
        y[i] = max over a = 0..n-1 with 0 <= a <= i - 1 of x[a] for i = 0..n-1
        w[i, b] = share of b in max over a = 0..n-1 with 0 <= a <= i - 1 of x[a] for i = 0..n-1 for b = 0..n-1
        loss = sum(y)
    """
    results = run(parse(text).program, {"n": 3}, {"x": np.array([-1.0, -2.0, -3.0])})
    np.testing.assert_array_equal(results["y", ()], [0, -1, -1])
    np.testing.assert_array_equal(results["w", ()], [[0, 0, 0], [1, 0, 0], [1, 0, 0]])


def test_reading_order_has_the_last_index_running_fastest() -> None:
    text = "sizes n\ngiven x in R^(n x n)\nw[i, j] = share of i, j in max over a = 0..n-1, b = 0..n-1 of x[a, b]"
    text += " for i = 0..n-1 for j = 0..n-1\n"
    program = parse(text + "loss = sum(w)").program
    x = np.array([[0.0, 7.0], [7.0, 7.0]])
    np.testing.assert_array_equal(run(program, {"n": 2}, {"x": x})["w", ()], [[0, 1], [0, 0]])


def test_of_arrays_it_is_taken_entry_by_entry() -> None:
    system = parse("sizes T, n\ngiven x^t in R^n for t = 1..T\nm = max over t = 1..T of x^t\nloss = sum(m)")
    x = np.array([[1.0, 5.0], [4.0, 2.0], [np.nan, 3.0]])
    np.testing.assert_array_equal(run(system.program, {"T": 3, "n": 2}, {"x": x})["m", ()], [np.nan, 5])


def sent_back(ties: str, sizes: dict[str, int], x: Any, cotangent: Any, dimensions: int = 1) -> tuple[Any, Any]:
    """The maxima, and what they send back, by the derived equations."""
    derivation = gradient(parse(POOLING, "", {"ties": ties, "D": dimensions}))
    results = run(derivation.program, sizes, {"x": x, "g": cotangent})
    return results["y", ()], gather(derivation.program, results, derivation.gradients["x"], sizes)


@pytest.mark.parametrize("ties", ["first", "split", "all"])
@pytest.mark.parametrize("window, stride, padding", [(3, 1, 1), (2, 2, 0), (3, 2, 1), (2, 3, 2), (1, 1, 0)])
def test_pooling_with_ties_sends_back_what_a_loop_does(ties: str, window: int, stride: int, padding: int) -> None:
    rng = np.random.default_rng(window + stride)
    x = np.round(rng.normal(size=(2, 7)))
    count = (7 + 2 * padding - window) // stride + 1
    cotangent = rng.normal(size=(2, count))
    sizes = {"c": 2, "H": 7, "R": window, "s": stride, "d": 1, "p": padding, "O": count}
    y, back = sent_back(ties, sizes, x, cotangent)
    expected = pooled(x, cotangent, window, stride, padding, ties)
    np.testing.assert_array_equal(y, expected[0])
    np.testing.assert_allclose(back, expected[1], rtol=1e-14)


@pytest.mark.parametrize("seed", range(6))
def test_the_first_of_equal_maxima_is_the_one_that_pytorch_takes(seed: int) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    window, stride, dilation = (rng.integers(1, 4, 2) for _ in range(3))
    padding = [int(rng.integers(0, r // 2 + 1)) for r in window]
    x = np.round(rng.normal(size=(2, 7, 8)))
    given = torch.tensor(x, requires_grad=True)
    wanted = torch.nn.functional.max_pool2d(
        given, tuple(window.tolist()), tuple(stride.tolist()), tuple(padding), tuple(dilation.tolist())
    )
    cotangent = rng.normal(size=tuple(wanted.shape))
    wanted.backward(torch.tensor(cotangent))
    named = {"H": (7, 8), "R": window, "s": stride, "d": dilation, "p": padding, "O": wanted.shape[1:]}
    sizes = {f"{name}_{axis + 1}": int(values[axis]) for name, values in named.items() for axis in (0, 1)}
    y, back = sent_back("first", {"c": 2, **sizes}, x, cotangent, 2)
    np.testing.assert_array_equal(y, wanted.detach().numpy())
    np.testing.assert_allclose(back, given.grad.numpy(), rtol=1e-14, atol=1e-14)


def test_ties_that_are_split_are_split_as_pytorch_splits_them() -> None:
    torch = pytest.importorskip("torch")
    x = np.array(ROWS[:3] + ROWS[5:6] + ROWS[8:])
    given = torch.tensor(x, requires_grad=True)
    torch.amax(given, dim=1).sum().backward()
    derivation = gradient(parse(ROW.format(ties="split", loss="sum(y)")))
    sizes = {"n": len(x), "m": 3}
    results = run(derivation.program, sizes, {"x": x})
    found = gather(derivation.program, results, derivation.gradients["x"], sizes)
    np.testing.assert_array_equal(found, given.grad.numpy())


@pytest.mark.parametrize("ties", ["first", "split", "all"])
@pytest.mark.parametrize("name", ["autograd", "complex step", "PyTorch", "JAX"])
def test_witnesses_follow_the_rule_for_ties_without_seeing_the_derivation(name: str, ties: str) -> None:
    if not WITNESSES[name].is_available:
        pytest.skip(f"{name} is not installed")
    x = np.array([[1.0, 3.0, 3.0, 0.5], [2.0, 2.0, 2.0, 2.0]])
    system = parse(POOLING, "", {"ties": ties, "D": 1})
    sizes = {"c": 2, "H": 4, "R": 2, "s": 1, "d": 1, "p": 0, "O": 3}
    cotangent = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
    values = {"x": x, "g": cotangent}
    found = WITNESSES[name].gradients(system.program, "loss", sizes, values, ["x"], {})["x"]
    np.testing.assert_allclose(found, pooled(x, cotangent, 2, 1, 0, ties)[1], rtol=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_inputs_are_drawn_away_from_ties(seed: int) -> None:
    system = parse("sizes n\ngiven x in R^n\nloss = max over i of x[i]")
    _, values = draw(system.program, seed, {"n": 200})
    largest, second = np.sort(values["x"])[:-3:-1]
    assert largest - second > LEAST_GAP
