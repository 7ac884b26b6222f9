"""The benchmark compares like with like: what it times agrees, and its check can fail."""

from __future__ import annotations

import doctest
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.benchmarks import __main__ as report
from tests.benchmarks import convolution, elman

SMALL = elman.Size(T=5, B=3, d=2, n=4)


def reference() -> Sequence[Any]:
    return [np.asarray(array) for array in elman.numpy_by_hand(elman.problem(SMALL, "float64"))()]


@pytest.mark.parametrize("dtype", elman.TOLERANCE)
@pytest.mark.parametrize(
    "spelling", elman.SPELLINGS, ids=[f"{spelling.library}: {spelling.name}" for spelling in elman.SPELLINGS]
)
def test_every_spelling_agrees_with_the_reference(
    spelling: elman.Spelling, dtype: str, request: pytest.FixtureRequest
) -> None:
    if spelling.library in ("JAX", "PyTorch"):
        request.getfixturevalue({"JAX": "needs_jax", "PyTorch": "needs_torch"}[spelling.library])
    call = spelling.build(elman.problem(SMALL, dtype))
    exact = reference()
    if dtype == "float32":
        rounded = (array.astype("float64") for array in elman.problem(SMALL, dtype).arrays)
        exact = elman.numpy_by_hand(elman.Problem(*rounded))()
    assert elman.disagreement(call, [np.asarray(array) for array in exact]) <= elman.TOLERANCE[dtype]


def test_the_reference_has_the_slopes_that_differences_of_its_loss_have() -> None:
    p = elman.problem(SMALL, "float64")
    _, *gradients = elman.numpy_by_hand(p)()
    step = 1e-6
    for parameter, gradient in zip((p.W, p.U, p.v), gradients, strict=True):
        for index in np.ndindex(parameter.shape):
            centre = parameter[index]
            parameter[index] = centre + step
            above = elman.numpy_by_hand(p)()[0]
            parameter[index] = centre - step
            below = elman.numpy_by_hand(p)()[0]
            parameter[index] = centre
            np.testing.assert_allclose(gradient[index], (above - below) / (2 * step), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("which", range(4))
def test_a_wrong_factor_in_any_result_is_a_disagreement(which: int) -> None:
    wrong = list(reference())
    wrong[which] = wrong[which] * 1.001
    assert elman.disagreement(lambda: wrong, reference()) > 1e-4


def test_nan_is_a_disagreement() -> None:
    loss, *gradients = reference()
    assert not elman.disagreement(lambda: [loss * np.nan, *gradients], reference()) <= 1e-4


def test_a_transposed_gradient_is_refused() -> None:
    loss, dW, dU, dv = reference()
    with pytest.raises(ValueError, match="shape"):
        elman.disagreement(lambda: [loss, dW.T, dU, dv], reference())


def test_interleaved_calls_are_all_timed_equally_often() -> None:
    samples = elman.interleaved({"nothing": lambda: (), "little": lambda: [sum(range(100))]}, budget=0.05)
    assert len(samples["nothing"]) == len(samples["little"]) >= 15


def test_a_missing_library_is_named_in_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "present", lambda: [elman.OURS, "NumPy"])
    row = {
        "size": SMALL,
        "dtype": "float64",
        "libraries": {elman.OURS: {"seconds": 1e-6, "spelling": ""}, "NumPy": {"seconds": 4e-6, "spelling": ""}},
        "fastest": "NumPy",
        "ratio": 4.0,
        "quartiles": [3.9, 4.1],
    }
    text = report.page([{"threads": 1, "rows": [row]}], {})
    assert "JAX is not installed and was not measured" in text
    assert "| 5, 3, 2, 4 | **4.00×** | 3.90–4.10 | 1.00 µs | missing | missing | missing | 4.00 µs (4.00×) |" in text


WINDOWS = {
    "convolution": convolution.Size(N=2, C=3, H=6, W=7, K=4, R=3),
    "pooling": convolution.Size(N=2, C=3, H=7, W=6, K=0, R=3, s=2),
}


@pytest.mark.parametrize("dtype", elman.TOLERANCE)
@pytest.mark.parametrize("size", WINDOWS.values(), ids=WINDOWS)
@pytest.mark.parametrize(
    "spelling", convolution.SPELLINGS, ids=[f"{s.library} {s.name}" for s in convolution.SPELLINGS]
)
def test_every_spelling_of_a_window_agrees_with_the_reference(
    spelling: convolution.Spelling, size: convolution.Size, dtype: str, request: pytest.FixtureRequest
) -> None:
    if spelling.library in ("JAX", "PyTorch"):
        request.getfixturevalue({"JAX": "needs_jax", "PyTorch": "needs_torch"}[spelling.library])
    p = convolution.problem(size, dtype)
    in_double = convolution.Problem(size, *(array.astype("float64") for array in p[1:]))
    exact = [np.asarray(array) for array in convolution.numpy_by_hand(in_double)()]
    assert elman.disagreement(spelling.build(p), exact) <= elman.TOLERANCE[dtype]
    with pytest.raises(ValueError, match="shape"):
        elman.disagreement(spelling.build(p), [array[..., :-1] for array in exact])


def test_no_kernel_reaches_more_than_the_machine_does() -> None:
    assert convolution.peak("float32", 1000) > convolution.peak("float64", 1000) > 1e8


@pytest.mark.parametrize("module", [elman, convolution, report])
def test_the_examples_hold(module: Any) -> None:
    assert doctest.testmod(module).failed == 0
