"""Contractions with affine subscripts against their definition: any steps and edges, every width of vectors, plans."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numba.core.errors import TypingError

import derive
import kernels
from kernels.contraction import add_contraction, contract, lay_left, lay_right
from kernels.places import AT, places
from kernels.product import aligned
from kernels.register_block import target
from kernels.schedule.plan import COLUMN, ROW, SHARED, SUMMED, Contract
from kernels.ways import DOT, PRODUCT, Contraction, Reading, way

ROOT = Path(__file__).parents[2]
DTYPES = ("float64", "float32")
Array = np.ndarray


def both(left: Array, right: Array, places: Array, room: Array, out: Array, more: Array) -> None:
    """One caller for all four functions, so that tests compile once for each dtype and rank."""
    lay_left(left, places, room)
    lay_right(right, places, room)
    contract(left, places, room, out)
    add_contraction(left, places, room, more)


compiled: Callable[..., None] = numba.njit(both)


def reading(shape: tuple[int, ...], *axes: dict[int, int], starts: Any = (), divisors: Any = ()) -> Reading:
    """Each axis as a slope for each of the indices that it has."""
    slopes = tuple(tuple(axis.get(n, 0) for n in range(12)) for axis in axes)
    return Reading(shape, slopes, tuple(starts) or (0,) * len(shape), tuple(divisors) or (1,) * len(shape))


def convolution(D: int, random: np.random.Generator) -> list[Contraction]:
    """A convolution in D dimensions with random steps, and its gradients with respect to input and kernels."""
    G, C, K = (int(n) for n in random.integers(1, (4, 6, 10)))
    R, s, d, p, q = (random.integers(low, high, D) for low, high in ((1, 5), (1, 4), (1, 4), (0, 6), (0, 6)))
    spare = random.integers(0, (60, 14, 6)[D - 1], D)
    H = np.maximum(d * (R - 1) + 1 - p - q, 1) + spare
    outputs = (H + p + q - d * (R - 1) - 1) // s + 1
    a, i = range(3, 3 + D), range(3 + D, 3 + 2 * D)  # indices 0, 1, 2 are g, k, c

    def steps(axes: range, *others: tuple[range, Any]) -> list[dict[int, int]]:
        return [{n: 1, **{m[j]: int(step[j]) for m, step in others}} for j, n in enumerate(axes)]

    w = reading((G * K, C, *R), {0: K, 1: 1}, {2: 1}, *steps(a))
    y = reading((G * K, *outputs), {0: K, 1: 1}, *steps(i))
    dx = reading((G * C, *H), {0: C, 2: 1}, *steps(i))
    x = reading((G * C, *H), {0: C, 2: 1}, *({i[j]: int(s[j]), a[j]: int(d[j])} for j in range(D)), starts=(0, *-p))
    dy = reading((G * K, *outputs), {0: K, 1: 1}, *steps(i, (a, -d)), starts=(0, *p), divisors=(1, *s))
    forward = (SHARED, ROW, SUMMED, *[SUMMED] * D, *[COLUMN] * D)
    to_kernels = (SHARED, ROW, COLUMN, *[COLUMN] * D, *[SUMMED] * D)
    to_input = (SHARED, SUMMED, ROW, *[SUMMED] * D, *[COLUMN] * D)
    return [
        whole(Contraction((G, K, C, *R, *outputs), forward, w, x, y)),
        whole(Contraction((G, K, C, *R, *outputs), to_kernels, y, x, w)),
        whole(Contraction((G, K, C, *R, *H), to_input, w, dy, dx)),
    ]


def whole(made: Contraction) -> Contraction:
    """The same in plain integers."""

    def plain(array: Reading) -> Reading:
        slopes = tuple(integers(axis[: len(made.kinds)]) for axis in array.slopes)
        return Reading(integers(array.shape), slopes, integers(array.starts), integers(array.divisors))

    def integers(values: Any) -> tuple[int, ...]:
        return tuple(map(int, values))

    return Contraction(integers(made.extents), made.kinds, *map(plain, (made.left, made.right, made.out)))


def by_definition(made: Contraction, left: Array, right: Array) -> Array:
    """out[O(i)] += left[L(i)] · right[R(i)] for every i for which R(i) is whole and inside."""
    indices = np.indices(made.extents).reshape(len(made.extents), -1)

    def numerators(array: Reading) -> Array:
        return np.array(array.slopes) @ indices + np.array(array.starts)[:, None]

    place, rest = np.divmod(numerators(made.right), np.array(made.right.divisors)[:, None])
    inside = np.all((rest == 0) & (place >= 0) & (place < np.array(made.right.shape)[:, None]), axis=0)
    out = np.zeros(made.out.shape)
    terms = left[tuple(numerators(made.left)[:, inside])] * right[tuple(place[:, inside])]
    np.add.at(out, tuple(numerators(made.out)[:, inside]), terms)
    return out


def assert_right(made: Contraction, dtype: str, function: Callable[..., None], seed: int = 0) -> Array:
    """Exact at whole numbers, twice in the same room; the tables are returned."""
    random = np.random.default_rng(seed)
    table = places(made, dtype)
    room = aligned(int(table[AT["room_size"]]), dtype)
    for _ in range(2):
        left, right = (random.integers(-4, 5, array.shape).astype(dtype) for array in (made.left, made.right))
        out, more = np.full(made.out.shape, np.nan, dtype), np.full(made.out.shape, 3, dtype)
        function(left, right, table, room, out, more)
        wanted = by_definition(made, left, right)
        np.testing.assert_array_equal(out, wanted)
        np.testing.assert_array_equal(more, wanted + 3)
    return table


@pytest.mark.parametrize("D", [1, 2, 3])
def test_contractions_as_python_are_exact_at_whole_numbers(D: int):
    random = np.random.default_rng(D)
    for seed in range(60):
        for made in convolution(D, random):
            assert_right(made, "float64", both, seed)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("D", [1, 2, 3])
def test_compiled_contractions_are_exact_at_whole_numbers(D: int, dtype: str):
    random = np.random.default_rng(10 + D)
    met = set()
    for seed in range(60):
        for made in convolution(D, random):
            table = assert_right(made, dtype, compiled, seed)
            met.add((int(table[AT["mode"]]), int(table[AT["moved"]]), min(2, int(table[AT["phases"]]))))
    assert {(PRODUCT, 0, 1), (PRODUCT, 1, 2)} <= met
    assert any(mode == DOT for mode, *_ in met)


def window(extent: int, lanes: int) -> list[Contraction]:
    """Sums in which an index is in right alone, in left alone, or runs along an axis that is not the last."""
    alone = reading((lanes + 2 * extent,), {0: 1, 1: 1, 2: 1})
    w, y = reading((extent,), {1: 1}), reading((lanes,), {0: 1})
    tall = reading((lanes, extent), {0: 1}, {2: 1})
    both_of = reading((lanes + extent, 3), {0: 1, 1: 1}, {3: 1})
    return [
        whole(Contraction((lanes, extent, extent), (COLUMN, SUMMED, SUMMED), w, alone, y)),
        whole(
            Contraction(
                (lanes, extent, extent, 3),
                (COLUMN, SUMMED, ROW, SUMMED),
                *(reading((extent, extent, 3), {1: 1}, {2: 1}, {3: 1}), both_of, tall),
            )
        ),
    ]


@pytest.mark.parametrize("dtype", DTYPES)
def test_indices_may_be_missing_in_an_operand_and_rows_may_stand_last(dtype: str):
    for extent, lanes in product((1, 2, 5), (1, 7, 16, 33)):
        for made, function in product(window(extent, lanes), (both, compiled)):
            assert_right(made, dtype, function)


def test_both_modes_and_all_ways_to_lay_out_give_the_same(monkeypatch: pytest.MonkeyPatch):
    import kernels.places as module

    original, count = module.ways, 0
    for made in convolution(2, np.random.default_rng(7)):
        for choice in range(len(original(made, 8, 8))):
            monkeypatch.setattr(module, "ways", lambda *arguments, n=choice: original(*arguments)[n : n + 1])
            assert_right(made, "float64", compiled)
            count += 1
    assert count >= 6


def test_the_comparison_sees_a_wrong_step():
    made = next(
        m for m in convolution(2, np.random.default_rng(3)) if m.right.divisors == (1, 1, 1) and max(m.right.shape) > 3
    )
    random = np.random.default_rng(0)
    left, right = (random.normal(size=array.shape) for array in (made.left, made.right))
    slopes = tuple(tuple(2 * slope for slope in axis) for axis in made.right.slopes)
    wrong = Contraction(
        made.extents, made.kinds, made.left, Reading(made.right.shape, slopes, made.right.starts, (1, 1, 1)), made.out
    )
    assert np.abs(by_definition(made, left, right) - by_definition(wrong, left, right)).max() > 1e-3


@pytest.mark.parametrize("dtype", DTYPES)
def test_infinities_and_nans_stay_with_the_terms_they_belong_to(dtype: str):
    """What a short row's idle lanes read belongs to the next row and must not get into a sum."""
    made = whole(
        Contraction(
            *((3, 2, 2, 5, 5), (ROW, COLUMN, COLUMN, SUMMED, SUMMED), reading((3, 5, 5), {0: 1}, {3: 1}, {4: 1})),
            *(reading((6, 7), {1: 1, 3: 1}, {2: 1, 4: 1}), reading((3, 2, 2), {0: 1}, {1: 1}, {2: 1})),
        )
    )
    table = places(made, dtype)
    left, right = np.ones(made.left.shape, dtype), np.ones(made.right.shape, dtype)
    right[2, 6] = np.nan  # no window reaches the last column
    room, out, more = (
        aligned(int(table[AT["room_size"]]), dtype),
        np.zeros((3, 2, 2), dtype),
        np.zeros((3, 2, 2), dtype),
    )
    compiled(left, right, table, room, out, more)
    np.testing.assert_array_equal(out, np.full((3, 2, 2), 25, dtype))


def test_arrays_of_other_sizes_and_types_are_refused():
    made = convolution(1, np.random.default_rng(0))[0]
    table = places(made, "float64")
    room = aligned(int(table[AT["room_size"]]), "float64")
    good = [
        np.ones(made.left.shape),
        np.ones(made.right.shape),
        table,
        room,
        np.ones(made.out.shape),
        np.ones(made.out.shape),
    ]
    for position in (0, 1, 3, 4, 5):
        wrong = list(good)
        wrong[position] = np.ones(tuple(n + 1 for n in good[position].shape))
        with pytest.raises(ValueError, match="the sizes places was made for"):
            compiled(*wrong)
        with pytest.raises(TypingError, match="all of one real type"):
            compiled(*(array.astype("float32") if n == position else array for n, array in enumerate(good)))


def test_what_cannot_run_has_no_way():
    backwards = whole(
        Contraction(
            (4, 3),
            (COLUMN, SUMMED),
            *(reading((3,), {1: 1}), reading((9,), {0: -1, 1: 1}, starts=(3,)), reading((4,), {0: 1})),
        )
    )
    assert way(backwards, PRODUCT, 8) is None
    assert way(backwards, DOT, 8) is not None


# In plans -------------------------------------------------------------------------------------------------------------

SYSTEM = """
title One convolution
sizes C channels, K kernels, R width, H length, O outputs, s stride, d dilation, p padding
given x in R^{x}, y in R^(K x O)
learn w in R^(K x C x R)
u[k, i] = sum over c, a of w[k, c, a] * {term} for i = 0..O-1
loss = squared(u, y)
convention outside is zero
"""
TERMS = {  # what is multiplied, the shape of x, and how many of the three sums are contractions
    "x[c, s*i + d*a - p]": ("(C x H)", 3),
    "x[c, s*i - d*a + p]": ("(C x H)", 3),
    "x[s*i + d*a - p, c]": ("(H x C)", 3),
    "x[c, p - s*i + d*a]": ("(C x H)", 3),
    "x[c, p - s*i - d*a]": ("(C x H)", 0),
}


@pytest.mark.parametrize("term", TERMS)
def test_sums_of_the_accepted_form_are_contractions(term: str):
    shape, count = TERMS[term]
    derivation = derive.gradient(derive.parse(SYSTEM.replace("{x}", shape).replace("{term}", term)))
    kernel = kernels.compile(derivation, jit=False)
    plan = kernel.question("gradients", "w", "x").variant.plan

    def inside(statements: Any) -> int:
        return sum(isinstance(s, Contract) + inside(getattr(s, "body", ())) for s in statements)

    assert inside(plan.statements) == count, kernel.source


NARROWER = {"haswell": ("+avx,+avx2,+fma,-avx512f", 32), "nehalem": ("+sse4.2,-avx,-avx2,-fma,-avx512f", 16)}


@pytest.mark.skipif(target().width < 32, reason="the host runs no code for these processors")
@pytest.mark.slow
@pytest.mark.parametrize("processor", NARROWER)
def test_contractions_are_right_on_processors_with_narrower_vectors(processor: str):
    features, width = NARROWER[processor]
    code = (
        "import json, numpy as np, test_contraction as t\n"
        "random = np.random.default_rng(5)\n"
        "for dtype in t.DTYPES:\n"
        "    for seed in range(40):\n"
        "        for made in t.convolution(2, random): t.assert_right(made, dtype, t.compiled, seed)\n"
        "print(json.dumps(t.target().width))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}",
            "NUMBA_CPU_NAME": processor,
            "NUMBA_CPU_FEATURES": features,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == width
