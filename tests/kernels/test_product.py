"""Products in registers against NumPy: tails, strides, every vector width the host can run, and numba's cache."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.errors import TypingError

from kernels.product import add_outer, add_product, aligned, outer, pack, panel_shape, product
from kernels.register_block import DEPTH, Target, target, target_with

ROOT = Path(__file__).parents[2]
DTYPES = ("float64", "float32")
Array = np.ndarray
Spread = Callable[[np.ndarray, str], np.ndarray]
SIZES = (  # rows, inner, columns
    *((rows, 3, columns) for rows in (0, 1, 2, 5, 6, 7, 8) for columns in (0, 1, 2, 4, 7, 8, 9, 17, 31, 33)),
    *((rows, inner, 5) for rows in (1, 4) for inner in (0, 1, 2, 7, 8, 9, DEPTH - 1, DEPTH, DEPTH + 1, 2 * DEPTH + 5)),
    *((13, 2 * DEPTH + 9, columns) for columns in (63, 64, 65, 130)),
)


def everything(
    M: Array,
    Mt: Array,
    A: Array,
    B: Array,
    panels: Array,
    C_product: Array,
    C_add: Array,
    C_outer: Array,
    C_add_outer: Array,
) -> None:
    """One caller for all five functions, so that tests compile once for each dtype and layout."""
    pack(M, panels)
    product(A, panels, C_product)
    pack(Mt.T, panels)
    add_product(A, panels, C_add)
    outer(A, B, C_outer)
    add_outer(A, B, C_add_outer)


compiled: Callable[..., None] = numba.njit(everything)


def padded(values: Array, dtype: str) -> Array:
    """The same matrix inside a wider one, so that rows lie apart and start at odd addresses; around it stand 99s."""
    room = np.full((values.shape[0] + 2, values.shape[1] + 5), 99, dtype)
    view = room[1:-1, 3:-2]
    view[...] = values
    return view


def matrices(rows: int, inner: int, columns: int, dtype: str, spread: Spread) -> tuple[list[Array], list[Array]]:
    """Arguments for `everything` and the four right answers."""
    random = np.random.default_rng([rows, inner, columns])
    A, M, B = (random.normal(size=shape).astype(dtype) for shape in ((rows, inner), (inner, columns), (rows, columns)))
    C, D = random.normal(size=(rows, columns)).astype(dtype), random.normal(size=(inner, columns)).astype(dtype)
    panels = aligned(panel_shape(inner, columns, dtype), dtype)
    panels[...] = np.nan  # lanes beyond the last column must not matter
    arguments = [spread(M, dtype), spread(M.T.copy(), dtype), spread(A, dtype), spread(B, dtype), panels]
    arguments += [spread(start, dtype) for start in (C + 7, C, D + 7, D)]
    return arguments, [A @ M, C + A @ M, A.T @ B, D + A.T @ B]


def compact(values: Array, dtype: str) -> Array:
    return np.ascontiguousarray(values, dtype)


def largest_error(
    sizes: tuple[int, int, int], dtype: str, spread: Spread, function: Callable[..., None] = compiled
) -> float:
    """Over the four results, in units of eps · the number of terms."""
    arguments, answers = matrices(*sizes, dtype, spread)
    function(*arguments)
    errors = [np.abs(got - want).max(initial=0) for got, want in zip(arguments[5:], answers, strict=True)]
    for array in arguments[5:]:
        if array.base is not None and spread is padded:
            edge = array.base.copy()
            edge[1:-1, 3:-2] = 99
            np.testing.assert_array_equal(edge, 99)
    return float(max(errors) / np.finfo(dtype).eps / (max(sizes) + 1))


@pytest.mark.parametrize("spread", [compact, padded])
@pytest.mark.parametrize("dtype", DTYPES)
def test_compiled_products_equal_numpy_s_at_every_size(dtype: str, spread: Spread):
    for sizes in SIZES:
        assert largest_error(sizes, dtype, spread) < 4, sizes


@pytest.mark.parametrize("dtype", DTYPES)
def test_unjitted_products_equal_numpy_s_at_every_size(dtype: str):
    for sizes in SIZES:
        assert largest_error(sizes, dtype, padded, everything) < 4, sizes


def test_the_error_measure_sees_one_wrong_term():
    def wrong(M: Array, Mt: Array, A: Array, B: Array, panels: Array, *results: Array) -> None:
        everything(M, Mt, A, B, panels, *results)
        results[1][-1, -1] += A[-1, -1] * M[-1, -1]

    assert largest_error((5, 9, 17), "float64", compact, wrong) > 1e6


@numba.njit
def over_time(A: Array, panels: Array, C: Array, D: Array, G: Array) -> None:
    product(A, panels, C)
    for t in range(1, A.shape[0]):
        add_product(A[t - 1], panels, C[t])
    outer(A[:-1], D[1:], G)


def test_leading_axes_count_rows_and_slices_of_them_are_matrices():
    random = np.random.default_rng(0)
    A, D, M = random.normal(size=(5, 3, 11)), random.normal(size=(5, 3, 7)), random.normal(size=(11, 7))
    for batch in (3, 1):
        panels, C, G = aligned(panel_shape(11, 7, "float64"), "float64"), np.empty((5, batch, 7)), np.empty((11, 7))
        pack(M, panels)
        # numpy gives an axis made by None a stride of 0 and still calls the array contiguous
        over_time(A if batch == 3 else A[:, 0].copy()[:, None, :], panels, C, D[:, :batch], G)
        want = A[:, :batch] @ M
        want[1:] += A[:-1, :batch] @ M
        np.testing.assert_allclose(C, want, rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(G, np.einsum("tbi,tbj->ij", A[:-1, :batch], D[1:, :batch]), rtol=1e-13, atol=1e-13)


@numba.njit
def of_vectors(a: Array, panels: Array, c: Array, G: Array) -> None:
    add_product(a, panels, c)
    add_outer(a, c, G)


def test_a_vector_is_one_row():
    random = np.random.default_rng(1)
    a, c, M, G = random.normal(size=9), random.normal(size=4), random.normal(size=(9, 4)), np.zeros((9, 4))
    panels = aligned(panel_shape(9, 4, "float64"), "float64")
    pack(M, panels)
    for function in (of_vectors, of_vectors.py_func):
        c_here, G_here = c.copy(), G.copy()
        function(a, panels, c_here, G_here)
        np.testing.assert_allclose(c_here, c + a @ M, rtol=1e-13)
        np.testing.assert_allclose(G_here, np.outer(a, c + a @ M), rtol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_and_nans_reach_exactly_the_entries_they_reach_in_numpy(dtype: str):
    (M, Mt, A, B, panels, *results), _ = matrices(7, 12, 21, dtype, compact)
    A[1, 2], A[4, 0], M[5, 8], B[3, 20] = np.inf, np.nan, -np.inf, np.nan
    A[6, 5] = 0  # 0 · ∞ is NaN
    Mt[...] = M.T
    with np.errstate(invalid="ignore"):
        want = [A @ M, results[1] + A @ M, A.T @ B, results[3] + A.T @ B]
    compiled(M, Mt, A, B, panels, *results)
    for got, answer in zip(results, want, strict=True):
        np.testing.assert_array_equal(np.isnan(got), np.isnan(answer))
        np.testing.assert_array_equal(got[np.isinf(answer)], answer[np.isinf(answer)])


def test_sizes_that_disagree_are_refused():
    arguments, _ = matrices(3, 4, 5, "float64", compact)
    for position in range(len(arguments)):
        wrong = list(arguments)
        wrong[position] = np.zeros(tuple(size + 40 for size in wrong[position].shape))
        with pytest.raises(ValueError, match=r"pack|product|outer"):
            compiled(*wrong)


def test_types_that_disagree_are_refused():
    arguments, _ = matrices(3, 4, 5, "float64", compact)
    for wrong in (arguments[2].astype("float32"), arguments[2].astype("int64")):
        with pytest.raises(TypingError, match="all float32 or all float64"):
            compiled(*arguments[:2], wrong, *arguments[3:])
    with pytest.raises(TypingError, match="rows be evenly spaced"):
        compiled(*arguments[:5], np.asfortranarray(arguments[5]), *arguments[6:])


@pytest.mark.parametrize("shape", [0, 7, (3, 5), (2, 0, 3)])
def test_aligned_arrays_start_at_a_cache_line(shape: int | tuple[int, ...]):
    for dtype in DTYPES:
        array = aligned(shape, dtype)
        assert array.shape == np.zeros(shape).shape
        assert array.dtype == dtype
        assert not array.any()
        assert array.size == 0 or array.ctypes.data % 64 == 0


@pytest.mark.parametrize(
    "features, triple, expected",
    [
        ("+avx2,+fma,+avx512f,+avx512vl", "x86_64-unknown-linux-gnu", Target(64, True, True)),
        ("+avx2,+fma,+avx512f,-avx512vl", "x86_64-unknown-linux-gnu", Target(32, False, True)),
        ("+avx2,-fma,-avx512f", "x86_64-pc-windows-msvc", Target(32, False, False)),
        ("", "x86_64-apple-darwin", Target(16, False, False)),
        ("+neon", "arm64-apple-darwin", Target(16, True, True)),
    ],
)
def test_vector_width_follows_the_processor_s_features(features: str, triple: str, expected: Target):
    assert target_with(features, triple) == expected


NARROWER = {  # processor, features -> the width that must result
    "haswell": ("+avx,+avx2,+fma,-avx512f", 32),
    "nehalem": ("+sse4.2,-avx,-avx2,-fma,-avx512f", 16),
}


def in_new_process(code: str, **environment: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.skipif(target().width < 32, reason="the host runs no code for these processors")
@pytest.mark.slow
@pytest.mark.parametrize("processor", NARROWER)
def test_products_are_right_on_processors_with_narrower_vectors(processor: str):
    features, width = NARROWER[processor]
    code = (
        "import json, test_product as t\n"
        "worst = max(t.largest_error(s, d, t.padded) for d in t.DTYPES for s in t.SIZES)\n"
        "print(json.dumps({'worst': worst, 'width': t.target().width}))"
    )
    result = in_new_process(code, NUMBA_CPU_NAME=processor, NUMBA_CPU_FEATURES=features)
    assert result["width"] == width
    assert result["worst"] < 4


def test_a_second_process_loads_the_cached_machine_code_and_computes_the_same(tmp_path: Path):
    (tmp_path / "emitted.py").write_text(
        "import numba\n"
        "from kernels.product import pack, product\n"
        "from kernels.scalars import tanh\n"
        "@numba.njit(cache=True)\n"
        "def layer(M, panels, A, C):\n"
        "    pack(M.T, panels)\n"
        "    product(A, panels, C)\n"
        "    for i in range(C.shape[0]):\n"
        "        for j in range(C.shape[1]):\n"
        "            C[i, j] = tanh(C[i, j])\n"
    )
    code = (
        f"import json, sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import numpy as np\n"
        "from emitted import layer\n"
        "from kernels.product import aligned, panel_shape\n"
        "M = np.sin(np.arange(35.0)).reshape(5, 7); A = np.cos(np.arange(21.0)).reshape(3, 7); C = np.empty((3, 5))\n"
        "layer(M, aligned(panel_shape(7, 5, 'float64'), 'float64'), A, C)\n"
        "np.testing.assert_allclose(C, np.tanh(A @ M.T), rtol=1e-14)\n"
        "print(json.dumps({'bytes': C.tobytes().hex(), 'hits': sum(layer.stats.cache_hits.values())}))"
    )
    first, second = (in_new_process(code, NUMBA_CACHE_DIR=str(tmp_path / "cache")) for _ in range(2))
    assert (first["hits"], second["hits"]) == (0, 1)
    assert first["bytes"] == second["bytes"]


def test_importing_the_package_does_not_import_numba():
    assert in_new_process("import kernels, sys, json; print(json.dumps({'numba': 'numba' in sys.modules}))") == {
        "numba": False
    }


def test_the_target_is_one_of_those_described():
    assert target().width in (16, 32, 64)
