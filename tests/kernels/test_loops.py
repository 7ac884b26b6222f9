"""Loops over affine accesses: for any strides, dilations and paddings what the evaluator says, to the last bit."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy as sp

import kernels
from derive import evaluate
from derive.derivation import Derivation
from derive.language.expression import Access as Entry
from derive.language.expression import Divides, Within, index, size
from derive.language.system import Range
from kernels.inputs import expected
from kernels.kernel import Kernel
from kernels.prepare import numbers
from kernels.rows import Counted, Separate, plus
from kernels.schedule import lower
from kernels.schedule.cost import work
from kernels.schedule.domain import Bounds, domain, loop_bounds, without_divisions
from kernels.schedule.plan import Part
from tests.kernels.agreement import derivation

ROW = """
    title Cross-correlation of sequences
    sizes C channels, K kernels, R width, H length, O outputs, {choices}
    given x in R^(C x H), y in R^(K x O)
    learn w in R^(K x C x R), b in R^K
    u[k, i] = b[k] + sum over c, a of w[k, c, a] * x[c, s*i + d*a - p] for i = 0..O-1
    loss = squared(u, y)
    convention outside is zero
"""
PLANE = """
    title Cross-correlation of planes
    sizes C channels, K kernels, R height, S width, H rows, W columns, O outputs, P outputs, {choices}
    given x in R^(C x H x W), y in R^(K x O x P)
    learn w in R^(K x C x R x S)
    u[k, i, j] = sum over c, a, e of w[k, c, a, e] * x[c, s*i + d*a - p, s*j + d*e - p] for i = 0..O-1 for j = 0..P-1
    loss = squared(u, y)
    convention outside is zero
"""
MEANS = """
    title Means of windows
    sizes C channels, R window, H length, O outputs, {choices}
    given x in R^(C x H), y in R^(C x O)
    learn v in R^C
    u[c, i] = v[c] * sum over a = 0..R-1 of x[c, s*i + d*a - p] for i = 0..O-1
    loss = squared(u, y)
    convention outside is zero
"""
AWAY = """
    title Backwards, over the edge, and twice the same
    sizes R width, H length, O outputs, {choices}
    given x in R^H, y in R^O
    learn w in R^R
    u[i] = sum over a = 0..R-1 of w[a] * x[p + d*a - s*i] * x[s*i + d*a - p] for i = 0..O-1
    loss = squared(u, y)
    convention outside is zero
"""
SYSTEMS = {"row": ROW, "plane": PLANE, "means": MEANS, "away": AWAY}
STEPS = ((1, 1, 1), (2, 1, 1), (1, 2, 2), (3, 2, 4), (4, 6, 5), (5, 1, 1))
"""Strides, dilations and paddings, some with a common divisor, some that leave entries out."""
WINDOWS = ((2, 2, 1, 0), (3, 2, 1, 1), (3, 1, 1, 1), (2, 3, 1, 1), (3, 2, 3, 2), (3, 4, 6, 2), (1, 2, 1, 1))
"""Windows of known size, with strides, dilations and paddings."""


def written(template: str, choices: str) -> str:
    return "\n".join(line.strip() for line in template.format(choices=choices).strip().splitlines()) + "\n"


def derived(template: str, stride: int, dilation: int, padding: int, fixed: bool) -> Derivation:
    """The system with these steps written in it, or left to the caller."""
    choices = f"s = {stride}, d = {dilation}, p = {padding}" if fixed else "s stride, d dilation, p padding"
    return derivation(written(template, choices))


def with_window(extent: int, stride: int, dilation: int, padding: int) -> Derivation:
    """Planes under a window of known size."""
    template = (
        PLANE.replace("R height, S width, ", "")
        if padding
        else PLANE.replace("R height, S width, ", "").replace(" - p", "")
    )
    padded = f", p = {padding}" if padding else ""
    return derivation(written(template, f"R = {extent}, S = {extent}, s = {stride}, d = {dilation}{padded}"))


def assert_exact(kernel: Kernel, sizes: dict[str, int], seed: int, batch: int | None = 2) -> None:
    """At whole numbers the kernel's loss and gradients are the evaluator's, exactly."""
    random = np.random.default_rng(seed)
    program, table = kernel.derivation.program, expected(kernel.derivation.program)
    sizes = {symbol.name: sizes[symbol.name] for symbol in program.sizes}

    def draw(key: str) -> np.ndarray:
        return random.integers(-4, 5, numbers(table[key].shape, sizes)).astype(kernel.dtype)

    parameters = {key: draw(key) for key, item in table.items() if item.role == "learn"}
    sequences = [{key: draw(key) for key, item in table.items() if item.role == "given"} for _ in range(batch or 1)]
    inputs = {key: np.stack([s[key] for s in sequences]) if batch else sequences[0][key] for key in sequences[0]}
    told = {name: sizes[name] for name, item in table.items() if item.role == "size" and name in sizes}
    found = [evaluate.run(program, sizes, {**parameters, **sequence}) for sequence in sequences]
    accesses = kernel.derivation.gradients
    loss, _ = kernel(parameters, {**inputs, **told})
    assert loss == np.mean([float(results[kernel.derivation.system.loss, ()]) for results in found])
    gradients = kernel.gradients(parameters, {**inputs, **told}, list(accesses))
    for key, access in accesses.items():
        each = np.stack([np.asarray(evaluate.gather(program, results, access, sizes), float) for results in found])
        each /= len(sequences)
        wanted = each.sum(axis=0) if table[key].role == "learn" else each if batch else each[0]
        np.testing.assert_array_equal(gradients[key], wanted, err_msg=f"gradient of {key}")


@pytest.fixture
def by_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but whole matrices is made by loops."""
    monkeypatch.setattr(lower, "LOWERINGS", (lower.matrix_products, lower.loops))


# Exact, whatever the steps --------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("by_loops")
@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "told"])
@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("steps", STEPS, ids=lambda steps: "s{}d{}p{}".format(*steps))
def test_affine_loops_are_exact_at_whole_numbers(name: str, fixed: bool, steps: tuple[int, int, int]):
    stride, dilation, padding = steps
    kernel = kernels.compile(derived(SYSTEMS[name], stride, dilation, padding, fixed), jit=False)
    for seed, (window, extent, outputs) in enumerate(((3, 9, 5), (2, 3, 4), (1, 1, 1))):
        told = {"R": window, "S": window + 1, "H": extent, "W": extent + 2, "O": outputs, "P": outputs + 1}
        sizes = {"C": 2, "K": 3, **told, "s": stride, "d": dilation, "p": padding}
        assert_exact(kernel, sizes, seed, batch=None if seed else 2)


@pytest.mark.usefixtures("by_loops")
@pytest.mark.parametrize("window", WINDOWS, ids=lambda window: "R{}s{}d{}p{}".format(*window))
def test_windows_of_known_size_are_exact_where_they_reach_over_an_edge_and_where_not(window: tuple[int, int, int, int]):
    kernel = kernels.compile(with_window(*window), jit=False)
    for seed, (extent, outputs) in enumerate(((7, 3), (6, 6), (2, 4), (9, 2), (1, 1))):
        sizes = {"C": 2, "K": 2, "H": extent, "W": extent + 3, "O": outputs, "P": outputs + 1}
        assert_exact(kernel, sizes, seed, batch=None if seed else 2)


@pytest.mark.usefixtures("by_loops")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_compiled_loops_are_exact_at_whole_numbers(dtype: str):
    sizes = {"C": 2, "K": 3, "R": 3, "S": 2, "H": 40, "W": 37, "O": 19, "P": 18, "s": 2, "d": 1, "p": 1}
    found = derived(PLANE, 2, 1, 1, fixed=False) if dtype == "float64" else with_window(3, 2, 1, 1)
    assert_exact(kernels.compile(found, dtype=dtype), sizes, 0)


# What the loops look like ---------------------------------------------------------------------------------------------


def innermost(text: str) -> list[ast.For]:
    """The loops without loops in them."""
    loops = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.For)]
    return [loop for loop in loops if not any(isinstance(node, ast.For) for node in ast.walk(loop) if node is not loop)]


@pytest.mark.usefixtures("by_loops")
@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "told"])
def test_innermost_loops_neither_test_nor_divide(fixed: bool):
    kernel = kernels.compile(derived(PLANE, 3, 2, 4, fixed), jit=False)
    for variant in (kernel.default.variant, kernel.question("gradients", "x").variant):
        for loop in innermost(variant.source):
            inside = [node for line in loop.body for node in ast.walk(line)]
            assert not any(isinstance(node, ast.If | ast.IfExp | ast.FloorDiv | ast.Mod) for node in inside)


@pytest.mark.usefixtures("by_loops")
def test_nothing_is_gathered():
    plan = kernels.compile(derived(PLANE, 3, 2, 4, fixed=False), jit=False).default.variant.plan
    assert all(len(array.shape) <= 4 for array in plan.arrays.values())
    assert not [name for name, array in plan.arrays.items() if name.startswith("part_") and array.shape]


@pytest.mark.usefixtures("by_loops")
def test_a_division_is_computed_outside_the_loops_that_do_not_change_it():
    text = kernels.compile(derived(ROW, 2, 1, 1, fixed=False), jit=False).source
    (row,) = (loop for loop in innermost(text) if "u[" in ast.unparse(loop) and "w[" in ast.unparse(loop))
    assert ast.unparse(row.iter) == "range(first, last + 1)"


# Where a part applies -------------------------------------------------------------------------------------------------

i, a, m = index("i"), index("a"), index("m")
H, N, R, s, d, p = map(size, ("H", "N", "R", "s", "d", "p"))


def at(value: object, point: dict[sp.Symbol, int]) -> int:
    """A whole number in sizes and indices, in numbers."""
    return int(str(sp.sympify(value).xreplace({symbol: sp.Integer(number) for symbol, number in point.items()})))


def points(bounds_of: list[Bounds], values: dict[sp.Symbol, int]) -> list[dict[sp.Symbol, int]]:
    """The values of all indices that the loops come to."""
    found = [values]
    for loop in bounds_of:
        step = []
        for point in found:
            first, last = at(loop.lower, point), at(loop.upper, point)
            step += [{**point, loop.index: value} for value in range(first, last + 1)]
        found = step
    return found


@pytest.mark.parametrize("sizes", [(7, 4, 3, 2, 1, 1), (9, 5, 2, 3, 2, 4), (3, 6, 4, 4, 6, 5), (1, 1, 1, 1, 1, 1)])
@pytest.mark.parametrize("inner", ["i", "a"])
def test_bounds_hold_exactly_where_the_conditions_do(sizes: tuple[int, ...], inner: str):
    values: dict[sp.Symbol, int] = dict(zip((H, N, R, s, d, p), sizes, strict=True))
    zero = sp.Integer(0)
    ranges = [Range(i, zero, N - 1), Range(a, zero, R - 1)]
    condition = Within(s * i + d * a - p, zero, H - 1)
    part = Part(1, Entry("y"), (), (), tuple(ranges), (condition,), Entry("x"))
    order = ranges if inner == "a" else ranges[::-1]
    found = points(loop_bounds(domain(part, [], ranges, []), order), values)
    h, o, r, *_ = sizes
    wanted = {(n, k) for n in range(o) for k in range(r) if 0 <= sizes[3] * n + sizes[4] * k - sizes[5] < h}
    assert {(point[i], point[a]) for point in found} == wanted
    assert len(found) == len(wanted)


@pytest.mark.parametrize("sizes", [(7, 4, 3, 2, 1, 1), (9, 5, 2, 3, 2, 4), (12, 6, 4, 4, 6, 5), (1, 1, 1, 1, 1, 1)])
def test_a_quotient_comes_to_every_multiple_once(sizes: tuple[int, ...]):
    values: dict[sp.Symbol, int] = dict(zip((H, N, R, s, d, p), sizes, strict=True))
    zero = sp.Integer(0)
    kept, sums = [Range(m, zero, H - 1)], [Range(a, zero, R - 1)]
    part = Part(1, Entry("y", (), (m,)), (), (), tuple(sums), (Divides(s, m + p - d * a),), Entry("x"))
    found = without_divisions(domain(part, kept, sums, []))
    assert not found.tests
    loops = loop_bounds(found, [*found.sums, *found.kept])
    reached = [(at(found.target.subscripts[0], point), point[a]) for point in points(loops, values)]
    h, _, r, stride, dilation, padding = sizes
    wanted = [(n, k) for n in range(h) for k in range(r) if (n + padding - dilation * k) % stride == 0]
    assert sorted(reached) == sorted(wanted)


def test_a_loop_whose_index_has_another_name_inside_is_merged_without_mixing_them_up():
    found = derivation(
        "title names\nsizes n rows, m columns\ngiven x in R^(n x m), y in R^(n x m)\nlearn w in R^n\n"
        "u[k, i] = w[k] * x[k, i]\nv[i, k] = u[i, k] * y[i, k]\nloss = sum(v) + squared(u, y)\n"
    )
    assert_exact(kernels.compile(found, jit=False), {"n": 3, "m": 4}, 0)


# Work and compiled code -----------------------------------------------------------------------------------------------


def test_work_counts_the_lines_that_loops_come_to():
    plan = kernels.compile(derived(ROW, 1, 1, 1, fixed=False), jit=False).default.variant.plan
    small, large = (work(plan, {**dict.fromkeys("CKRspd", 1), "H": h, "O": h, "batch": 2}) for h in (100, 1000))
    assert 8 * small < large < 12 * small


def test_a_sum_in_any_order_along_a_row_is_compiled_to_vectors():
    numba = pytest.importorskip("numba")

    def in_order(rows: int, columns: int, shift: int, x: np.ndarray) -> float:
        total = x[0, 0]
        for row in range(rows):
            for column in range(columns):
                total = total + x[row, column + shift]
        return total

    def in_any_order(rows: int, columns: int, shift: int, x: np.ndarray) -> float:
        total = x[0, 0]
        for row in range(rows):
            for column in range(columns):
                total = plus(total, x[row, column + shift])
        return total

    x = np.arange(200.0).reshape(2, 100)
    vectors: list[bool] = []
    for function in (in_order, in_any_order):
        signature = numba.float64(*[numba.int64] * 3, Counted(numba.float64, 2))
        compiled = numba.njit(signature, pipeline_class=Separate)(function)
        (assembly,) = compiled.inspect_asm().values()
        vectors.append(bool(re.search(r"addpd|fadd\s+v\d+\.2d", assembly)))
        assert compiled(2, 99, 1, x) == function(2, 99, 1, x) == x[0, 0] + x[:, 1:].sum()
    assert vectors == [False, True]


def test_a_check_of_exactness_notices_a_row_that_ends_one_entry_early():
    kernel = kernels.compile(derived(ROW, 1, 1, 1, fixed=True), jit=False)
    sizes = {"C": 2, "K": 3, "R": 3, "H": 9, "O": 5}
    assert_exact(kernel, sizes, 0)
    text = re.sub(r"range\(O\):(\s+grad_u)", r"range(O - 1):\1", kernel.source)
    text = text if text != kernel.source else kernel.source.replace("range(O)", "range(O - 1)")
    module: dict[str, Any] = {}
    exec(compile(text, "planted", "exec"), module)  # noqa: S102, the kernel's own source with an error in it
    question = replace(
        kernel.default, variant=replace(kernel.default.variant, make=lambda: module["entry"]), shapes={}, latest=[]
    )
    with pytest.raises(AssertionError):
        assert_exact(replace(kernel, default=question), sizes, 0)
