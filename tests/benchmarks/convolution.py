"""Convolution and max pooling, forward and backward, by us and by other libraries: checked to agree, then timed.

For a batch of N images with C channels, H × W pixels each:

    convolution   y = x ⋆ w + b  with K kernels of R × R, no padding      loss = mean over the batch of |y − t|² / 2
    max pooling   y = the largest of each R × R window, every s pixels    loss = the same

Everybody computes y, the loss and its gradients with respect to the image, and for a convolution the kernels as well.
``python -m tests.benchmarks.convolution`` prints one JSON object; ``python -m tests.benchmarks`` turns it into a page.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic

from kernels.register_block import CHAINS, Blocks, constant, fold
from tests.benchmarks.elman import OURS, TOLERANCE, Array, Call, contenders, disagreement, interleaved, limit_threads
from tests.benchmarks.elman import present as all_present


class Size(NamedTuple):
    """N images, C channels, H × W pixels, K kernels of R × R pixels every s pixels; without kernels it is pooling."""

    N: int
    C: int
    H: int
    W: int
    K: int
    R: int
    s: int = 1

    @property
    def outputs(self) -> tuple[int, int, int, int]:
        """The shape of y."""
        return self.N, self.K or self.C, (self.H - self.R) // self.s + 1, (self.W - self.R) // self.s + 1

    @property
    def operations(self) -> int:
        """Multiplications and additions of a convolution and both its gradients."""
        return 6 * int(np.prod(self.outputs)) * self.C * self.R**2

    @property
    def name(self) -> str:
        """What the page calls it.

        >>> Size(1, 1, 6, 6, 0, 3, 2).name, Size(8, 16, 32, 32, 32, 3).name
        ('3×3 every 2, 1, 1, 6, 6', '8, 16, 32, 32, 32, 3')
        """
        if self.K:
            return ", ".join(map(str, self[:6]))
        return f"{self.R}×{self.R} every {self.s}, {', '.join(map(str, self[:4]))}"


CONVOLUTIONS = (
    *(Size(1, 1, 5, 5, 1, 2), Size(1, 1, 28, 28, 8, 3)),
    *(Size(8, 16, 32, 32, 32, 3), Size(32, 64, 56, 56, 64, 3)),
)
POOLINGS = tuple(Size(*images, 0, R, 2) for images in ((1, 1, 6, 6), (32, 64, 56, 56)) for R in (2, 3))
LEAST_ROUNDS = 5


class Problem(NamedTuple):
    """x (N, C, H, W), t of the shape of y, w (K, C, R, R) and b (K) or no kernels; all of one dtype."""

    size: Size
    x: Array
    t: Array
    w: Array
    b: Array


def problem(size: Size, dtype: str, seed: int = 0) -> Problem:
    """Random arrays; no two numbers of an image are equal, so that no rule for ties is needed."""
    N, C, H, W, K, R, _ = size
    random = np.random.default_rng(seed)
    shapes = ((N, C, H, W), size.outputs, (K, C, R, R), (K,))
    return Problem(size, *(random.standard_normal(shape).astype(dtype) for shape in shapes))


# The libraries. Each builder converts the inputs to the library's own arrays and compiles whatever it compiles; the
# call that it returns is what is timed.


def ours(p: Problem) -> Call:
    """The public interface: NumPy arrays in, arrays that the caller owns out."""
    derive, kernels = importlib.import_module("derive"), importlib.import_module("kernels")
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))  # ours obeys what the others are told
    window = {"R": p.size.R, "s": p.size.s, "d": 1, "p": 0, "q": 0}  # known when it is compiled, or it is plain loops
    system = derive.load("cross-correlation", D=2) if p.size.K else derive.load("max-pooling", D=2, **window)
    kernel = kernels.compile(derive.gradient(system), dtype=p.x.dtype.name, threads=threads)
    steps = {f"{letter}_{axis}": value for letter, value in (("R", p.size.R), ("s", p.size.s)) for axis in (1, 2)}
    inputs: dict[str, Any] = {"x": p.x, "t": p.t, **{key: n for key, n in steps.items() if key in kernel.table}}
    parameters = {"w": p.w, "b": p.b} if p.size.K else {}
    keys = ["x", "w"] if p.size.K else ["x"]

    def call() -> Sequence[Any]:
        gradients = kernel.gradients(parameters, inputs, keys)
        return [gradients[key] for key in keys]

    return call


def numpy_by_hand(p: Problem) -> Call:
    """One product of matrices for each pixel of the kernel, one comparison for each pixel of the window."""
    N, _, _, _, K, R, s = p.size
    rows, columns = p.size.outputs[2:]
    pixels = [(a, b) for a in range(R) for b in range(R)]

    def part(array: Array, a: int, b: int) -> Array:
        """What pixel (a, b) of the window sees of the image."""
        return array[:, :, a : a + s * (rows - 1) + 1 : s, b : b + s * (columns - 1) + 1 : s]

    def convolution() -> Sequence[Any]:
        y = np.empty(p.t.shape, p.x.dtype)
        y[...] = p.b[:, None, None]
        for a, b in pixels:
            y += np.tensordot(p.w[:, :, a, b], part(p.x, a, b), ((1,), (1,))).swapaxes(0, 1)
        g = (y - p.t) / N
        dx, dw = np.zeros_like(p.x), np.empty_like(p.w)
        for a, b in pixels:
            part(dx, a, b)[...] += np.tensordot(p.w[:, :, a, b], g, ((0,), (1,))).swapaxes(0, 1)
            dw[:, :, a, b] = np.tensordot(g, part(p.x, a, b), ((0, 2, 3), (0, 2, 3)))
        return dx, dw

    def pooling() -> Sequence[Any]:
        y = np.full(p.t.shape, -np.inf, p.x.dtype)
        for a, b in pixels:
            np.maximum(y, part(p.x, a, b), out=y)
        g, dx = (y - p.t) / N, np.zeros_like(p.x)
        for a, b in pixels:
            part(dx, a, b)[...] += g * (part(p.x, a, b) == y)
        return (dx,)

    return convolution if K else pooling


def with_jax(p: Problem, layout: str) -> Call:
    """jit(grad(loss)) on arrays that already are JAX's, in this layout; the call waits for the results."""
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    last = layout == "NHWC"
    N, _, _, _, K, R, s = p.size

    def loss(x: Any, w: Any, b: Any, t: Any) -> Any:
        if K:
            names = (layout, "HWIO" if last else "OIHW", layout)
            y = jax.lax.conv_general_dilated(x, w, (1, 1), "VALID", dimension_numbers=names)
            y = y + (b if last else b[:, None, None])
        else:
            window, steps = ((1, R, R, 1), (1, s, s, 1)) if last else ((1, 1, R, R), (1, 1, s, s))
            y = jax.lax.reduce_window(x, -np.inf, jax.lax.max, window, steps, "VALID")
        return ((y - t) ** 2).sum() / (2 * N)

    compiled = jax.jit(jax.grad(loss, argnums=(0, 1) if K else (0,)))
    x, t = (array.transpose(0, 2, 3, 1) if last else array for array in (p.x, p.t))
    arrays = [jax.numpy.asarray(array) for array in (x, p.w.transpose(2, 3, 1, 0) if last else p.w, p.b, t)]

    def call() -> Sequence[Any]:
        return jax.block_until_ready(compiled(*arrays))

    return in_usual_order(call) if last else call


def with_torch(p: Problem, layout: str) -> Call:
    """Reverse mode through one evaluation of the loss; channels last is a layout of the same tensors."""
    torch = importlib.import_module("torch")
    order = torch.channels_last if layout == "NHWC" else torch.contiguous_format
    x, t, w = (torch.tensor(array).contiguous(memory_format=order) for array in (p.x, p.t, p.w))
    b = torch.tensor(p.b)
    inputs = [x.requires_grad_(), w.requires_grad_()] if p.size.K else [x.requires_grad_()]
    functional = torch.nn.functional

    def call() -> Sequence[Any]:
        y = functional.conv2d(x, w, b) if p.size.K else functional.max_pool2d(x, p.size.R, p.size.s)
        return torch.autograd.grad(((y - t) ** 2).sum() / (2 * p.size.N), inputs)

    return call


class Transposed:
    """An array with channels last that is put into the usual order when it is looked at, which is not timed."""

    def __init__(self, array: Any, axes: tuple[int, ...]) -> None:
        self.array, self.axes = array, axes

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return np.asarray(self.array, dtype).transpose(self.axes)


def in_usual_order(call: Call) -> Call:
    """The call with its dx, and dw where there is one, in the order of ours."""
    orders = ((0, 3, 1, 2), (3, 2, 0, 1))
    return lambda: [Transposed(array, axes) for array, axes in zip(call(), orders, strict=False)]


class Spelling(NamedTuple):
    """One way to compute the answer: whose it is, what it is called."""

    library: str
    name: str
    build: Callable[[Problem], Call]


SPELLINGS = (
    Spelling(OURS, "compiled gradients", ours),
    Spelling("JAX", "NCHW", partial(with_jax, layout="NCHW")),
    Spelling("JAX", "NHWC", partial(with_jax, layout="NHWC")),
    Spelling("PyTorch", "NCHW", partial(with_torch, layout="NCHW")),
    Spelling("PyTorch", "NHWC", partial(with_torch, layout="NHWC")),
)
LIBRARIES = tuple(dict.fromkeys(spelling.library for spelling in SPELLINGS))


def present() -> list[str]:
    """The libraries of this page that are installed."""
    return [library for library in LIBRARIES if library in all_present()]


# The limit of the machine ---------------------------------------------------------------------------------------------


@intrinsic
def multiply_adds(context: Any, start: Any, turns: Any) -> Any:
    """Twice CHAINS independent multiply-adds of vectors in registers, over and over."""

    def write(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        blocks = Blocks(builder.module, signature.args[0].bitwidth)
        factor = blocks.splat(builder, arguments[0])
        sums = [factor] * (2 * CHAINS)

        def turn(_: Any, values: list[Any]) -> list[Any]:
            return [blocks.multiply_add(builder, factor, value, factor) for value in values]

        _, sums = fold(builder, constant(0), arguments[1], 1, sums, turn)
        total = sums[0]
        for value in sums[1:]:
            total = builder.fadd(total, value)
        return builder.extract_element(total, ir.IntType(32)(0))

    return start(start, turns), write


@numba.njit(nogil=True)
def repeated(start: Any, turns: int) -> Any:
    """``turns`` times the multiply-adds."""
    return multiply_adds(start, turns)  # pyright: ignore[reportCallIssue]  # numba passes the context


def peak(dtype: str, turns: int = 1_000_000) -> float:
    """Floating-point operations a second that one core reaches when it does nothing but multiply and add."""
    lanes = Blocks(ir.Module(), 8 * np.dtype(dtype).itemsize).lanes
    start = np.dtype(dtype).type(0.5)
    repeated(start, 1)
    fastest = np.inf
    for _ in range(20):
        before = time.perf_counter()
        repeated(start, turns)
        fastest = min(fastest, time.perf_counter() - before)
    return 2 * lanes * 2 * CHAINS * turns / fastest


# The measurement ------------------------------------------------------------------------------------------------------


def measure(size: Size, dtype: str, libraries: Iterable[str], budget: float) -> dict[str, Any]:
    """Medians for one size and dtype, of every spelling, after all spellings agreed with float64 by hand."""
    p = problem(size, dtype)
    in_double = Problem(size, *(array.astype("float64") for array in p[1:]))
    reference = [np.asarray(array) for array in numpy_by_hand(in_double)()]
    calls: dict[Spelling, Call] = {}
    for spelling in SPELLINGS:
        if spelling.library in libraries:
            call = spelling.build(p)
            error = disagreement(call, reference)
            if not error <= TOLERANCE[dtype]:
                what = f"{spelling.library} ({spelling.name}) at {size.name} in {dtype}"
                raise ArithmeticError(f"{what}: relative error {error:.1e}, allowed {TOLERANCE[dtype]:.0e}")
            calls[spelling] = call
    kept = contenders(calls)
    names = {f"{spelling.library} {spelling.name}": call for spelling, call in kept.items()}
    samples = interleaved(names, budget, LEAST_ROUNDS)
    medians = {name: statistics.median(times) for name, times in samples.items()}
    mine = next(name for name in names if name.startswith(OURS))
    best = min((name for name in names if name != mine), key=medians.__getitem__, default=mine)
    ratios = [theirs / its for theirs, its in zip(samples[best], samples[mine], strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    times = {
        spelling.library: min(medians[f"{s.library} {s.name}"] for s in kept if s.library == spelling.library)
        for spelling in kept
    }
    return {
        "name": size.name,
        "dtype": dtype,
        "libraries": times,
        "fastest": best,
        "ratio": medians[best] / medians[mine],
        "quartiles": [low, high],
        "rate": size.operations / medians[mine] if size.K else None,
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the arguments say and print it as one JSON object; the environment has set the threads already."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.convolution", description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="only the small sizes")
    parser.add_argument("--budget", type=float, default=2.0, help="seconds to spend on each size and dtype")
    arguments = parser.parse_args(argv)
    limit_threads(arguments.threads)
    sizes = [size for size in (*CONVOLUTIONS, *POOLINGS) if size.N == 1 or not arguments.quick]
    rows = []
    for size in sizes:
        for dtype in TOLERANCE:
            rows.append(measure(size, dtype, present(), arguments.budget))
            row = rows[-1]
            print(f"{size.name} {dtype}: {row['ratio']:.2f} x ({row['fastest']})", file=sys.stderr, flush=True)
    peaks = {dtype: peak(dtype) * arguments.threads for dtype in TOLERANCE}
    print(json.dumps({"threads": arguments.threads, "rows": rows, "peaks": peaks}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
