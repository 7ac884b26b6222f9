"""Kernels compute what the evaluator computes, from a cache that processes share, into arrays that the caller owns."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

import derive
import kernels
from derive.evaluate.samples import completed, fits
from derive.language.expression import Access, OrderedProduct, index
from derive.language.system import Equation
from kernels import cache, threads, variant
from kernels.schedule import Work, planned
from tests.kernels.agreement import assert_agrees, derivation, problem
from tests.kernels.systems import ODD, text
from tests.random_systems import random_system

DTYPES = ("float64", "float32")
ELMAN = """
from time import perf_counter
import numpy as np, derive, kernels
kernel = kernels.compile(derive.gradient(derive.load("elman")))
ones = np.ones
loss, gradients = kernel({"W": ones((3, 2)), "U": ones((3, 3)), "v": ones(3)}, {"x": ones((4, 2)), "y": 1.0})
print(repr(loss), kernel.path)
"""


@pytest.fixture(autouse=True)
def _one_cache_for_all_tests(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", derive.names())
def test_the_source_of_every_system_in_the_catalogue_agrees_with_the_evaluator(name: str, dtype: str):
    found = derive.gradient(derive.load(name))
    kernel = kernels.compile(found, dtype=dtype, jit=False)
    for seed, batch, starts in ((0, 3, True), (1, None, False), (2, 1, True)):
        assert_agrees(kernel, problem(found, seed, batch=batch, starts=starts))
    ones = dict.fromkeys((size.name for size in found.program.independent), 1)
    if fits(found.program, ones):
        assert_agrees(kernel, problem(found, 3, completed(found.program, ones)))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["elman-stack", "lstm", "soft-attention", "cross-correlation", "max-pooling"])
def test_in_single_precision_a_system_compiles_to_what_its_source_says(name: str):
    """tests/conformance compiles every system of the catalogue in double precision."""
    found = derive.gradient(derive.load(name))
    assert_agrees(kernels.compile(found, dtype="float32"), problem(found, 4, batch=3))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_compiled_elman_kernel_agrees_with_the_evaluator(dtype: str):
    found = derive.gradient(derive.load("elman"))
    kernel = kernels.compile(found, dtype=dtype)
    for sizes in ({"T": 1, "d": 1, "n": 1}, {"T": 7, "d": 5, "n": 37}):
        for batch in (None, 1, 4):
            assert_agrees(kernel, problem(found, 5, sizes, batch))


@pytest.mark.parametrize("name", ODD)
def test_odd_systems_agree_with_the_evaluator(name: str):
    found = derivation(text(name))
    kernel = kernels.compile(found, jit=False)
    for seed, batch in ((0, 2), (1, None)):
        assert_agrees(kernel, problem(found, seed, batch=batch, starts=False))


@pytest.mark.parametrize("seed", range(40))
def test_random_systems_agree_with_the_evaluator(seed: int):
    drawn = random_system(seed)
    found = derivation(drawn.text)
    dtype, batch = DTYPES[seed % 2], (3, None, 1)[seed % 3]
    kernel = kernels.compile(found, dtype=dtype, jit=False)
    assert_agrees(kernel, problem(found, seed, drawn.sizes, batch, starts=seed % 5 > 0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 106))
def test_random_systems_compile_to_what_their_source_says(seed: int):
    drawn = random_system(seed)
    found = derivation(drawn.text)
    assert_agrees(kernels.compile(found), problem(found, seed, drawn.sizes, 3))


def test_functions_left_open_are_bound_or_refused():
    found = derivation(
        "title open\nsizes n width\ngiven x in R^n, y in R\nlearn w in R^n\nloss = squared(phi(<w, x>), y)\n"
    )
    with pytest.raises(kernels.UnboundFunction, match="phi is left open"):
        kernels.compile(found, jit=False)
    bound = {"phi": "softplus"}
    assert_agrees(kernels.compile(found, jit=False, functions=bound), problem(found, functions=bound))


def test_a_formula_for_readers_is_refused():
    program = derive.gradient(derive.load("feedforward")).program
    chain = OrderedProduct(index("k"), sp.Integer(1), sp.Integer(3), Access("yhat"), descending=False)
    equations = (*program.equations, Equation(Access("loss"), chain))
    with pytest.raises(kernels.CannotCompile, match=r"OrderedProduct .* no kernel"):
        planned(Work(replace(program, equations=equations), (Access("loss"),), {}, averaged=False))


# Values and starts ----------------------------------------------------------------------------------------------------


def elman(**options: Any) -> kernels.Kernel:
    return kernels.compile(derive.gradient(derive.load("elman")), **options)


def test_forward_values_have_the_batch_first_and_the_declared_steps_after_it():
    tried = problem(derive.gradient(derive.load("elman")), sizes={"T": 5, "d": 2, "n": 3}, batch=4)
    kernel, (parameters, inputs) = elman(jit=False), tried.at("float64")
    values = kernel.forward(parameters, inputs, ["yhat", "h", "loss"])
    assert {key: array.shape for key, array in values.items()} == {"yhat": (4,), "h": (4, 5, 3), "loss": (4,)}
    np.testing.assert_allclose(values["h"][:, -1] @ parameters["v"], values["yhat"])
    np.testing.assert_allclose(np.mean(values["loss"]), tried.loss)
    single = kernel.forward(parameters, {key: array[0] for key, array in inputs.items()}, ["h"])
    np.testing.assert_allclose(single["h"], values["h"][0])


def test_one_start_for_a_whole_batch_has_the_sum_of_the_gradients():
    tried = problem(derive.gradient(derive.load("elman")), sizes={"T": 3, "d": 2, "n": 3}, batch=4)
    kernel, (parameters, inputs) = elman(jit=False), tried.at("float64")
    start = inputs.pop("h^0")[0]
    repeated = kernel.gradients(parameters, {**inputs, "h^0": np.stack([start] * 4)}, ["h^0", "U"])
    once = kernel.gradients(parameters, {**inputs, "h0": start}, ["h0", "U"])
    np.testing.assert_allclose(once["h0"], repeated["h^0"].sum(axis=0))
    np.testing.assert_allclose(once["U"], repeated["U"])


@pytest.mark.parametrize("jit", [True, False])
def test_nan_goes_where_the_evaluator_lets_it_go(jit: bool):
    found = derive.gradient(derive.load("elman"))
    tried = problem(found, sizes={"T": 3, "d": 2, "n": 9}, batch=2)
    parameters, inputs = tried.at("float64")
    inputs["x"][1, 0, 0] = np.nan
    gradients = elman(jit=jit).gradients(parameters, inputs, ["U", "x"])
    assert np.isnan(elman(jit=jit).loss(parameters, inputs))
    assert np.isnan(gradients["U"]).all()
    assert np.isnan(gradients["x"][1]).all()
    np.testing.assert_allclose(gradients["x"][0], tried.gradients["x"][0])


def test_a_parameter_that_is_not_read_has_a_gradient_too():
    found = derivation("title flat\nsizes n width\ngiven x in R^n\nlearn w in R^n, b in R\nloss = <w, x> + b\n")
    kernel = kernels.compile(found, jit=False)
    assert kernel.learnt == ("w", "b")
    assert_agrees(kernel, problem(found, batch=3))


def test_results_belong_to_the_caller():
    tried = problem(derive.gradient(derive.load("elman")), sizes={"T": 3, "d": 2, "n": 3})
    kernel, (parameters, inputs) = elman(jit=False), tried.at("float64")
    _, first = kernel(parameters, inputs)
    kept = {key: array.copy() for key, array in first.items()}
    kernel({key: 2 * array for key, array in parameters.items()}, inputs)
    for key, array in first.items():
        np.testing.assert_array_equal(array, kept[key])
        assert array.flags.writeable


def test_two_threads_may_call_one_kernel():
    tried = problem(derive.gradient(derive.load("elman")), sizes={"T": 60, "d": 4, "n": 30}, batch=3)
    kernel, (parameters, inputs) = elman(), tried.at("float64")
    _, alone = kernel(parameters, inputs)
    wrong: list[str] = []

    def work() -> None:
        for _ in range(200):
            _, gradients = kernel(parameters, inputs)
            wrong.extend(key for key in gradients if not np.array_equal(gradients[key], alone[key]))

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@pytest.mark.parametrize("batch", [2, 5])
def test_a_batch_split_among_threads_has_the_same_answers(batch: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(threads, "ENOUGH", 0)
    found = derive.gradient(derive.load("elman"))
    tried = problem(found, sizes={"T": 4, "d": 2, "n": 3}, batch=batch)
    split, (parameters, inputs) = elman(jit=False, threads=3), tried.at("float64")
    assert_agrees(split, tried)
    whole = elman(jit=False)
    np.testing.assert_allclose(
        split.forward(parameters, inputs, ["h"])["h"], whole.forward(parameters, inputs, ["h"])["h"]
    )
    inputs["h^0"] = inputs["h^0"][0]
    for one, other in zip(
        split.gradients(parameters, inputs, ["h^0", "x"]).values(),
        whole.gradients(parameters, inputs, ["h^0", "x"]).values(),
        strict=True,
    ):
        np.testing.assert_allclose(one, other)


def test_the_single_precision_kernel_computes_nothing_in_double_precision(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(variant.NUMBA_OPTIONS, "cache", False)  # what comes from the cache cannot be inspected
    function: Any = elman(dtype="float32").default.variant.function
    (code,) = function.inspect_llvm().values()
    arithmetic = [line for line in code.splitlines() if " double" in line and ("fmul" in line or "fadd" in line)]
    assert not arithmetic


# The cache ------------------------------------------------------------------------------------------------------------


def run(environment: dict[str, str], *lines: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", "\n".join([*lines, ELMAN])],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def answers(*processes: subprocess.Popen[str]) -> list[tuple[str, str]]:
    found = []
    for process in processes:
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        loss, path = output.split()
        found.append((loss, path))
    return found


def test_two_processes_that_start_at_once_share_one_file(tmp_path: Path):
    first, second = answers(*(run({cache.VARIABLE: str(tmp_path)}) for _ in range(2)))
    assert first == second
    assert Path(first[1]).parent == tmp_path
    compiled = list((tmp_path / "__pycache__").glob("*.nbc"))
    (third,) = answers(run({cache.VARIABLE: str(tmp_path)}))
    assert third == first
    assert list((tmp_path / "__pycache__").glob("*.nbc")) == compiled, "a third process compiled again"


def test_without_a_place_to_write_a_temporary_directory_serves(tmp_path: Path):
    blocked = tmp_path / "a file"
    blocked.write_text("no directory")
    home = {"HOME": str(blocked), "XDG_CACHE_HOME": str(blocked / "x"), "TMPDIR": str(tmp_path)}
    (found,) = answers(run({cache.VARIABLE: str(blocked / "y"), **home}))
    assert Path(found[1]).is_relative_to(tmp_path)


def test_another_version_of_a_tool_or_another_processor_gets_another_file(monkeypatch: pytest.MonkeyPatch):
    before = cache.key("text")
    cache.tools.cache_clear()
    try:
        monkeypatch.setattr(cache, "version", lambda tool: "0.0")
        assert cache.key("text") != before
        cache.tools.cache_clear()
        monkeypatch.undo()
        monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
        assert cache.key("text") != before
    finally:
        cache.tools.cache_clear()


# The quick way for calls like the one before --------------------------------------------------------------------------


@pytest.mark.parametrize("jit", [True, False])
def test_calls_that_take_turns_have_the_answers_that_they_have_alone(jit: bool):
    found = derive.gradient(derive.load("elman"))
    kernel = elman(jit=jit)
    sizes = ({"T": 3, "d": 2, "n": 3}, {"T": 4, "d": 2, "n": 3}, {"T": 3, "d": 3, "n": 2})
    tried = [problem(found, 6, some, batch, starts=starts) for some in sizes for batch in (None, 1, 3)
             for starts in (True, False)]  # fmt: skip
    for step in (1, 5, 7):  # one after the other, in several orders
        for number in range(len(tried)):
            one = tried[number * step % len(tried)]
            loss, gradients = kernel(*one.at("float64"))
            np.testing.assert_allclose(loss, one.loss)
            for key, array in gradients.items():
                np.testing.assert_allclose(array, one.gradients[key], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("jit", [True, False])
def test_what_was_refused_before_is_refused_after_a_good_call(jit: bool):
    tried = problem(derive.gradient(derive.load("elman")), sizes={"T": 3, "d": 2, "n": 3}, batch=2)
    kernel, (parameters, inputs) = elman(jit=jit), tried.at("float64")
    inputs.pop("h^0")
    loss, _ = kernel(parameters, inputs)
    x, y, W = inputs["x"], inputs["y"], parameters["W"]
    wrong: list[tuple[type[Exception], dict[str, Any], dict[str, Any]]] = [
        (kernels.WrongType, {}, {"x": x.astype("float32")}),
        (kernels.WrongType, {"W": W.astype("float32")}, {}),
        (kernels.WrongShape, {}, {"x": x[:, :, :1]}),
        (kernels.WrongShape, {"W": W.T}, {}),
        (kernels.WrongShape, {}, {"x": x.transpose(1, 0, 2)}),
        (kernels.WrongShape, {}, {"y": y[:, None]}),
        (kernels.EmptyAxis, {}, {"x": x[:0], "y": y[:0]}),
        (kernels.UnknownArray, {"bogus": W}, {}),
        (kernels.UnknownArray, {}, {"bogus": x}),
    ]
    for kind, some, others in wrong:
        with pytest.raises(kind):
            kernel({**parameters, **some}, {**inputs, **others})
        assert kernel(parameters, inputs)[0] == loss
    with pytest.raises(kernels.MissingArray):
        kernel({"W": W, "U": parameters["U"]}, inputs)
    with pytest.raises(kernels.UnknownArray):
        kernel({"W": W, "U": parameters["U"], "x": parameters["v"]}, inputs)


@pytest.mark.parametrize("jit", [True, False])
def test_arrays_in_any_layout_are_taken_after_a_good_call(jit: bool):
    tried = problem(derive.gradient(derive.load("elman")), sizes={"T": 3, "d": 2, "n": 3}, batch=2)
    kernel, (parameters, inputs) = elman(jit=jit), tried.at("float64")
    kernel(parameters, inputs)
    bytes_ = np.zeros(parameters["U"].nbytes + 1, np.uint8)[1:].view("float64").reshape(parameters["U"].shape)
    bytes_[...] = parameters["U"]
    odd = {"W": np.asfortranarray(parameters["W"]), "U": bytes_, "v": np.repeat(parameters["v"], 2)[::2]}
    fixed = {key: array.copy() for key, array in inputs.items()}
    for array in fixed.values():
        array.flags.writeable = False
    swapped = {key: array.astype(array.dtype.newbyteorder()) for key, array in parameters.items()}
    loss, gradients = kernel(odd, fixed)
    np.testing.assert_allclose(loss, tried.loss)
    for key, array in gradients.items():
        np.testing.assert_allclose(array, tried.gradients[key])
    with pytest.raises(kernels.WrongType):
        kernel(swapped, inputs)


def test_sizes_among_the_inputs_are_looked_at_in_every_call():
    found = derive.gradient(derive.load("max-pooling", D=1))
    kernel = kernels.compile(found)
    x = np.arange(8.0)[None]
    for _ in range(2):
        for window, step in ((2, 2), (2, 1), (3, 2), (2, 2)):
            outputs = (8 - window) // step + 1
            inputs = {"x": x, "t": np.zeros((1, outputs)), "R": window, "s": step}
            largest = [x[0, step * i : step * i + window].max() for i in range(outputs)]
            np.testing.assert_allclose(kernel.loss({}, inputs), np.square(largest).sum() / 2)
