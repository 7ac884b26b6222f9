"""Each mistake in the arrays given to a kernel has its own error; its message says what disagrees, and the repair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import derive
import kernels
from tests.kernels.agreement import assert_agrees, derivation, problem
from tests.kernels.systems import text

Arrays = dict[str, Any]


@pytest.fixture(scope="module")
def kernel() -> kernels.Kernel:
    return kernels.compile(derive.gradient(derive.load("elman")), jit=False)


def arrays() -> tuple[Arrays, Arrays]:
    """T = 4 steps, d = 2 inputs, n = 3 hidden units, no batch."""
    return (
        {"W": np.ones((3, 2)), "U": np.ones((3, 3)), "v": np.ones(3)},
        {"x": np.ones((4, 2)), "y": np.array(1.0)},
    )


def batch_of(count: int) -> tuple[Arrays, Arrays]:
    parameters, _ = arrays()
    return parameters, {"x": np.ones((count, 4, 2)), "y": np.ones(count)}


Change = Callable[[Arrays, Arrays], object]

MISTAKES: dict[str, tuple[Change, type[Exception], str]] = {
    "a missing parameter": (lambda p, i: p.pop("U"), kernels.MissingArray, r"U is missing from the parameters.* n × n"),
    "a missing input": (lambda p, i: i.pop("x"), kernels.MissingArray, r"x is missing from the inputs.* T × d"),
    "a misspelt parameter": (
        lambda p, i: p.update(UU=p["U"]),
        kernels.UnknownArray,
        "no parameter UU; did you mean U",
    ),
    "an unknown input": (lambda p, i: i.update(q=1.0), kernels.UnknownArray, "no input q; there are x, y"),
    "an input among the parameters": (
        lambda p, i: p.update(x=i["x"]),
        kernels.UnknownArray,
        "x belongs to the inputs, the second argument",
    ),
    "a parameter among the inputs": (
        lambda p, i: i.update(U=p["U"]),
        kernels.UnknownArray,
        "U belongs to the parameters, the first argument",
    ),
    "a parameter of the wrong shape": (
        lambda p, i: p.update(U=np.ones((3, 4))),
        kernels.WrongShape,
        r"U has shape \(3, 4\); the definition says n × n, and n = 3 from W",
    ),
    "an input of the wrong width": (
        lambda p, i: i.update(x=np.ones((4, 5))),
        kernels.WrongShape,
        r"x has shape \(4, 5\); the definition says T × d, and d = 2 from W",
    ),
    "a parameter of the wrong rank": (
        lambda p, i: p.update(v=np.ones((3, 1))),
        kernels.WrongShape,
        r"v has shape \(3, 1\); the definition says n$",
    ),
    "an input of the wrong rank": (
        lambda p, i: i.update(x=np.ones(4)),
        kernels.WrongShape,
        r"x has shape \(4,\); the definition says T × d, with an axis for the batch in front",
    ),
    "one input with a batch and one without": (
        lambda p, i: i.update(x=np.ones((5, 4, 2))),
        kernels.WrongShape,
        r"x has shape \(5, 4, 2\), with a batch, but y has shape \(\), without",
    ),
    "batches of different lengths": (
        lambda p, i: i.update(x=np.ones((5, 4, 2)), y=np.ones(6)),
        kernels.WrongShape,
        r"y has shape \(6,\), a batch of 6, but x has a batch of 5",
    ),
    "a start with a batch for inputs without": (
        lambda p, i: i.update({"h^0": np.ones((5, 3))}),
        kernels.WrongShape,
        r"h\^0 has shape \(5, 3\), with a batch, but x has none",
    ),
    "a start of the wrong length": (
        lambda p, i: i.update(h0=np.ones(7)),
        kernels.WrongShape,
        r"h\^0 has shape \(7,\); the definition says n, and n = 3 from W",
    ),
    "no step": (
        lambda p, i: i.update(x=np.ones((0, 2))),
        kernels.EmptyAxis,
        r"x has shape \(0, 2\): T must be at least 1",
    ),
    "no sequence": (
        lambda p, i: i.update(x=np.ones((0, 4, 2)), y=np.ones(0)),
        kernels.EmptyAxis,
        r"x has shape \(0, 4, 2\): the batch must be at least 1",
    ),
    "the other precision": (
        lambda p, i: p.update(W=p["W"].astype("float32")),
        kernels.WrongType,
        r'W has dtype float32, but .* float64; say W.astype\("float64"\), or compile with dtype="float32"',
    ),
    "complex numbers": (lambda p, i: p.update(W=p["W"] + 0j), kernels.WrongType, "W has dtype complex128"),
    "text": (lambda p, i: p.update(v=np.array(["a", "b", "c"])), kernels.WrongType, "v has dtype <U1"),
    "objects": (lambda p, i: p.update(v=np.array([None] * 3)), kernels.WrongType, "v has dtype object"),
    "whole numbers too large to be exact": (
        lambda p, i: p.update(v=np.array([2**53 + 1, 0, 0])),
        kernels.WrongType,
        "v holds whole numbers that float64 cannot represent exactly",
    ),
    "a size that is no whole number": (lambda p, i: i.update(T=4.0), kernels.WrongType, "T is a size, a whole number"),
    "a size that the shapes contradict": (
        lambda p, i: i.update(T=5),
        kernels.WrongShape,
        r"x has shape \(4, 2\); the definition says T × d, and T = 5 from the inputs",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named(kernel: kernels.Kernel, name: str):
    change, error, message = MISTAKES[name]
    parameters, inputs = arrays()
    kernel(parameters, inputs)
    change(parameters, inputs)
    with pytest.raises(error, match=message):
        kernel(parameters, inputs)


def test_a_mistake_is_found_although_its_shapes_were_right_before(kernel: kernels.Kernel):
    parameters, inputs = batch_of(2)
    kernel(parameters, inputs)
    with pytest.raises(kernels.UnknownArray):
        kernel({**parameters, "A": np.ones(3)}, inputs)
    with pytest.raises(kernels.WrongType):
        kernel({**parameters, "v": np.ones(3, "float32")}, inputs)


@pytest.mark.parametrize("jit", [True, False])
def test_numbers_lists_and_arrays_in_any_order_of_memory_are_taken(jit: bool):
    kernel = kernels.compile(derive.gradient(derive.load("elman")), jit=jit)
    tried = problem(derive.gradient(derive.load("elman")), sizes={"T": 4, "d": 2, "n": 3}, batch=None)
    parameters, inputs = tried.at("float64")
    loss, gradients = kernel(parameters, inputs)
    padded = np.zeros((9, 7))
    padded[::3, ::2][:3, :3] = parameters["U"]
    frozen = parameters["v"].copy()
    frozen.flags.writeable = False
    others: Arrays = {"W": np.asfortranarray(parameters["W"]), "U": padded[::3, ::2][:3, :3], "v": frozen}
    found, other = kernel(others, {"x": inputs["x"].tolist(), "y": float(inputs["y"]), "h0": inputs["h^0"]})
    assert found == loss
    for key, gradient in gradients.items():
        np.testing.assert_array_equal(other[key], gradient)
    whole = kernel({key: np.ones_like(array, dtype=int) for key, array in parameters.items()}, inputs)[0]
    assert whole == kernel({key: np.ones_like(array) for key, array in parameters.items()}, inputs)[0]


def test_a_size_that_no_shape_tells_is_asked_for():
    kernel = kernels.compile(derivation(text("a recurrence of parameters alone")), jit=False)
    parameters = {"U": np.eye(2), "s": np.ones(2)}
    with pytest.raises(kernels.MissingArray, match=r'no shape tells the size T; give it .* \{"T": 5\}'):
        kernel(parameters, {"y": np.ones(2)})
    with pytest.raises(kernels.EmptyAxis, match="T is 0, but must be at least 1"):
        kernel(parameters, {"y": np.ones(2), "T": 0})
    losses = [kernel(parameters, {"y": np.ones(2), "T": steps})[0] for steps in (1, 2, 1)]
    assert losses[0] == losses[2] != losses[1]


def test_gradients_and_values_that_do_not_exist_are_refused(kernel: kernels.Kernel):
    with pytest.raises(kernels.UnknownArray, match="no gradient with respect to q; there are x, y, W"):
        kernel.gradients(*arrays(), ["q"])
    with pytest.raises(kernels.UnknownArray, match="no defined array x; there are z, h"):
        kernel.forward(*arrays(), ["x"])


def test_shapes_in_several_sizes_tell_all_of_them():
    found = derivation(text("index form"))
    kernel = kernels.compile(found, jit=False)
    assert_agrees(kernel, problem(found, sizes={"n": 5, "k": 3, "c": 2}))
    with pytest.raises(
        kernels.WrongShape, match=r"x has shape \(9,\); the definition says k \+ n - 1, and k = 3 from w"
    ):
        kernel({"w": np.ones((2, 3)), "v": np.ones(2)}, {"x": np.ones(9), "y": np.ones(5)})


WINDOW = """
sizes H, R, s default 1, d default 1, p from 0 default 0, q from 0 default 0
sizes O = number of i with s*i + d*(R - 1) <= H + p + q - 1
given x in R^H, t in R^O
learn w in R^R
y[i] = sum over a of w[a] * x[s*i + d*a - p]
loss = squared(y, t)
convention outside is zero
"""
GROUPS = """
sizes G, C, K
given x in R^(G C), t in R^(G K)
learn w in R^((G K) x C)
y[g*K + k] = sum over c of w[g*K + k, c] * x[g*C + c]
loss = squared(y, t)
"""


@pytest.fixture(scope="module")
def window() -> kernels.Kernel:
    return kernels.compile(derivation(WINDOW), jit=False)


def sliding(extent: int, width: int, outputs: int, **sizes: Any) -> tuple[Arrays, Arrays]:
    random = np.random.default_rng(0)
    x, t = random.normal(size=extent), random.normal(size=outputs)
    return {"w": random.normal(size=width)}, {"x": x, "t": t, **sizes}


@pytest.mark.parametrize("s, d, p, q", [(1, 1, 0, 0), (2, 1, 0, 0), (3, 2, 1, 0), (1, 3, 4, 4), (2, 2, 0, 3)])
def test_sizes_that_no_shape_tells_have_a_default_and_the_others_follow(
    window: kernels.Kernel, s: int, d: int, p: int, q: int
):
    padded = np.pad(np.zeros(9), (p, q))
    starts = range(0, len(padded) - 2 * d, s)
    told = {name: value for name, value in (("s", s), ("d", d), ("p", p), ("q", q)) if value != int(name in "sd")}
    parameters, inputs = sliding(9, 3, len(starts), **told)
    padded = np.pad(inputs["x"], (p, q))
    y = np.array([parameters["w"] @ padded[start : start + 2 * d + 1 : d] for start in starts])
    loss, gradients = window(parameters, inputs)
    np.testing.assert_allclose(loss, np.sum((y - inputs["t"]) ** 2) / 2, rtol=1e-12)
    expected = sum((y - inputs["t"])[k] * padded[start : start + 2 * d + 1 : d] for k, start in enumerate(starts))
    np.testing.assert_allclose(gradients["w"], expected, rtol=1e-12)


SIZES: dict[str, tuple[tuple[int, int, int], Arrays, type[Exception], str]] = {
    "an output that does not follow": (
        (6, 2, 4),
        {},
        kernels.WrongShape,
        r"t, O, says O = 4, but O = 5, the number of i with .*, since H = 6, R = 2, .* \(H from x, R from w\)",
    ),
    "an output said otherwise": (
        (6, 2, 5),
        {"O": 4},
        kernels.WrongShape,
        r"t has shape \(5,\).* O = 4 from the inputs",
    ),
    "a window larger than the padded input": (
        (2, 5, 1),
        {"p": 1},
        kernels.EmptyAxis,
        r"O = 0: no i with .* <= H \+ p \+ q - 1, since H = 2, R = 5, d = 1, p = 1, q = 0, s = 1",
    ),
    "no stride": ((6, 2, 5), {"s": 0}, kernels.EmptyAxis, "s is 0, but must be at least 1"),
    "a negative dilation": ((6, 2, 5), {"d": -1}, kernels.EmptyAxis, "d is -1, but must be at least 1"),
    "a negative padding": ((6, 2, 5), {"p": -1}, kernels.EmptyAxis, "p is -1, but must be at least 0"),
    "a padding that is no number": ((6, 2, 5), {"p": 0.5}, kernels.WrongType, "p is a size, a whole number"),
}


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("again", [False, True], ids=["first", "after a call that was right"])
def test_sizes_that_contradict_each_other_are_refused_with_the_numbers(window: kernels.Kernel, name: str, again: bool):
    shapes, sizes, kind, message = SIZES[name]
    if again:
        window(*sliding(6, 2, 5, O=5))
        window(*sliding(6, 2, 5))
    with pytest.raises(kind, match=message):
        window(*sliding(*shapes, **sizes))


def test_channels_that_do_not_divide_are_refused():
    grouped = kernels.compile(derivation(GROUPS), jit=False)
    grouped({"w": np.ones((6, 2))}, {"x": np.ones(4), "t": np.ones(6)})
    with pytest.raises(kernels.WrongShape, match=r"x .*5 is no multiple of C = 2, so G cannot be told .* C = 2 from w"):
        grouped({"w": np.ones((6, 2))}, {"x": np.ones(5), "t": np.ones(6)})
    with pytest.raises(kernels.WrongShape, match=r"5 is no multiple of G = 2, so K cannot be told"):
        grouped({"w": np.ones((5, 2))}, {"x": np.ones(4), "t": np.ones(5)})
