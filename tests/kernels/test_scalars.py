"""Each row of SCALARS against mpmath over its whole domain, at the special values, and for being vectorised."""

import re
from collections.abc import Callable
from typing import Any

import mpmath
import numba
import numpy as np
import pytest

from kernels.scalars import SCALARS

WITNESSES = {  # with 40 digits more than either type has
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "tanh": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
}
DTYPES = (np.float64, np.float32)


def loop_over(function: Callable[[Any], Any]) -> Any:
    """The plain loop emitted source contains."""

    @numba.njit(error_model="numpy")
    def loop(x: np.ndarray, y: np.ndarray) -> None:
        for i in range(x.size):
            y[i] = function(x[i])

    return loop


LOOPS = {name: loop_over(row.function) for name, row in SCALARS.items()}


def values(name: str, x: np.ndarray) -> np.ndarray:
    y = np.empty_like(x)
    LOOPS[name](x, y)
    return y


def samples(name: str, dtype: type) -> np.ndarray:
    """The row's domain evenly, its middle again, and both signs of every power of ten down to the subnormals."""
    low, high = SCALARS[name].domain
    random = np.random.default_rng(0)
    powers = random.choice([-1, 1], 1500) * 10.0 ** random.uniform(-46 if dtype == np.float32 else -323, 0, 1500)
    x = np.concatenate([random.uniform(low, high, 700), random.uniform(max(low, -3), 3, 800), powers]).astype(dtype)
    return x[(x > low) & (x < high) & (x != 0)]


def largest_error_in_ulp(name: str, x: np.ndarray, y: np.ndarray) -> float:
    """|y − f(x)| over the float spacing at f(x); overflow to ∞ is right where f(x) exceeds the largest float."""
    info, worst = np.finfo(x.dtype), 0.0
    for argument, value in zip(x.tolist(), y.tolist(), strict=True):
        with mpmath.workdps(60):
            exact = WITNESSES[name](mpmath.mpf(argument))
            if abs(exact) > float(info.max):
                error = 0.0 if np.isinf(value) or abs(value) == info.max else np.inf
            else:
                spacing = max(float(np.spacing(x.dtype.type(abs(exact)))), float(info.smallest_subnormal))
                error = float(abs(mpmath.mpf(value) - exact) / mpmath.mpf(spacing))
        worst = max(worst, error if error == error else np.inf)
    return worst


def test_every_row_has_a_witness_and_every_witness_a_row():
    assert set(WITNESSES) == set(SCALARS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SCALARS)
def test_the_error_stays_below_the_row_s_bound(name: str, dtype: type):
    x = samples(name, dtype)
    assert largest_error_in_ulp(name, x, values(name, x)) <= SCALARS[name].ulp


def test_the_error_measure_sees_a_planted_error():
    x = samples("tanh", np.float64)
    assert largest_error_in_ulp("tanh", x, values("tanh", x) * (1 + 2.0**-49)) > SCALARS["tanh"].ulp


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SCALARS)
def test_special_values_are_numpy_s_with_their_signs(name: str, dtype: type):
    tiny, huge = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, huge, -huge, tiny, -tiny], dtype)
    with np.errstate(all="ignore"):
        expected = SCALARS[name].function(x)
    y = values(name, x)
    np.testing.assert_array_equal(y, expected)
    signed = ~np.isnan(y)
    np.testing.assert_array_equal(np.signbit(y)[signed], np.signbit(expected)[signed])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SCALARS)
def test_unjitted_and_compiled_agree_and_keep_the_dtype(name: str, dtype: type):
    x = samples(name, dtype)
    x = x[np.abs(x) < 80]
    expected = SCALARS[name].function(x)
    np.testing.assert_allclose(values(name, x), expected, rtol=16 * np.finfo(dtype).eps)
    single = SCALARS[name].function(x[0])
    assert single.dtype == expected.dtype == dtype
    assert single.ndim == 0


@pytest.mark.parametrize("name", SCALARS)
def test_whole_numbers_count_as_float64(name: str):
    y = np.empty(1)
    LOOPS[name](np.array([2]), y)
    np.testing.assert_allclose(y[0], SCALARS[name].function(2.0), rtol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", SCALARS)
def test_a_plain_loop_is_vectorised(name: str, dtype: type):
    values(name, np.ones(1, dtype))
    kind, element = (numba.float64, "double") if dtype == np.float64 else (numba.float32, "float")
    (code,) = (LOOPS[name].inspect_llvm(s) for s in LOOPS[name].signatures if s[0].dtype == kind)
    assert re.search(rf"f(mul|add|sub) <\d+ x {element}>", code)
