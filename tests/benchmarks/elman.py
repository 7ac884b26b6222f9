"""The Elman network's loss and gradients, computed by us and by other libraries, checked to agree and then timed.

The problem, for a batch of B sequences (inputs batch-major, x of shape (B, T, d) and y of shape (B,)):

    h^t = tanh(W x^t + U h^{t-1}),  h^0 = 0,  yhat = <v, h^T>,  loss = mean over the batch of (yhat - y)^2 / 2

Everybody returns the loss and its gradients with respect to W, U and v. ``python -m tests.benchmarks.elman`` prints one
JSON object; ``python -m tests.benchmarks`` starts it with the number of threads set, and turns its numbers into a page.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import importlib.util
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Call = Callable[[], Sequence[Any]]
"""Computes (loss, dW, dU, dv) once, as the library's own values, and returns when they are ready."""

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}


class Size(NamedTuple):
    """T steps, a batch of B sequences, d inputs, n hidden units."""

    T: int
    B: int
    d: int
    n: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """The size written as T,B,d,n.

        >>> Size.parse("20,1,4,8")
        Size(T=20, B=1, d=4, n=8)
        """
        T, B, d, n = map(int, text.split(","))
        return cls(T, B, d, n)


SIZES = (
    Size(20, 1, 4, 8),
    Size(100, 1, 32, 64),
    Size(1000, 1, 1, 16),
    Size(100, 32, 64, 128),
    Size(50, 128, 256, 512),
)


@dataclass(frozen=True)
class Problem:
    """W (n, d), U (n, n), v (n,), x (B, T, d), y (B,), all of one dtype."""

    W: Array
    U: Array
    v: Array
    x: Array
    y: Array

    @property
    def arrays(self) -> tuple[Array, Array, Array, Array, Array]:
        """The five arrays in the order in which every library below takes them."""
        return self.W, self.U, self.v, self.x, self.y


def problem(size: Size, dtype: str, seed: int = 0) -> Problem:
    """Random arrays; U has spectral radius near 0.9, so that 1000 steps neither explode nor become chaotic."""
    T, B, d, n = size
    random = np.random.default_rng(seed)
    arrays = (
        random.standard_normal((n, d)) / np.sqrt(d),
        0.9 * random.standard_normal((n, n)) / np.sqrt(n),
        random.standard_normal(n) / np.sqrt(n),
        random.standard_normal((B, T, d)),
        random.standard_normal(B),
    )
    return Problem(*(array.astype(dtype) for array in arrays))


# The libraries. Each builder converts the inputs to the library's own arrays and compiles whatever it compiles; the
# call that it returns is what is timed.


def ours(p: Problem) -> Call:
    """The public interface: NumPy arrays in, arrays that the caller owns out."""
    derive, kernels = importlib.import_module("derive"), importlib.import_module("kernels")
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))  # ours obeys what the others are told
    kernel = kernels.compile(derive.gradient(derive.load("elman")), dtype=p.W.dtype.name, threads=threads)
    parameters, inputs = {"W": p.W, "U": p.U, "v": p.v}, {"x": p.x, "y": p.y}

    def call() -> Sequence[Any]:
        loss, gradients = kernel(parameters, inputs)
        return loss, gradients["W"], gradients["U"], gradients["v"]

    return call


def numpy_by_hand(p: Problem) -> Call:
    """Backpropagation through time as one writes it by hand, with the products over all steps outside the loop."""
    W, U, v, x, y = p.arrays
    B, T, d = x.shape
    n = len(v)

    def call() -> Sequence[Any]:
        steps = np.ascontiguousarray(x.transpose(1, 0, 2))
        h = np.zeros((T + 1, B, n), W.dtype)
        z = (steps.reshape(T * B, d) @ W.T).reshape(T, B, n)
        for t in range(T):
            np.tanh(z[t] + h[t] @ U.T, out=h[t + 1])
        residual = h[T] @ v - y
        delta = np.empty((T, B, n), W.dtype)
        g = np.outer(residual / B, v)
        for t in reversed(range(T)):
            np.multiply(g, 1 - h[t + 1] ** 2, out=delta[t])
            g = delta[t] @ U
        rows = delta.reshape(T * B, n).T
        dW, dU = rows @ steps.reshape(T * B, d), rows @ h[:T].reshape(T * B, n)
        return (residual @ residual) / (2 * B), dW, dU, (residual / B) @ h[T]

    return call


def autograd_loop(p: Problem) -> Call:
    """HIPS autograd on a NumPy loop, the inputs projected before it."""
    np_ = importlib.import_module("autograd.numpy")
    value_and_grad = importlib.import_module("autograd.differential_operators").value_and_grad
    W, U, v, x, y = p.arrays

    def loss(parameters: Any) -> Any:
        W, U, v = parameters
        z = np_.dot(x, W.T)
        h = np_.zeros((len(y), len(v)), dtype=x.dtype)
        for t in range(x.shape[1]):
            h = np_.tanh(z[:, t] + np_.dot(h, U.T))
        return np_.mean((np_.dot(h, v) - y) ** 2) / 2

    gradient = value_and_grad(loss)

    def call() -> Sequence[Any]:
        value, gradients = gradient((W, U, v))
        return value, *gradients

    return call


def jax_compiled(p: Problem, loss: Callable[..., Any]) -> Call:
    """jit(value_and_grad(loss)) on arrays that already are JAX's; the call waits for the results."""
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    # The call waits anyway, and handing small computations to another thread costs JAX up to a third of their time.
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    compiled = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))
    arrays = [jax.numpy.asarray(array) for array in p.arrays]

    def call() -> Sequence[Any]:
        value, gradients = jax.block_until_ready(compiled(*arrays))
        return value, *gradients

    return call


def jax_scan(p: Problem) -> Call:
    """lax.scan over time-major inputs, both products inside."""
    jax = importlib.import_module("jax")

    def loss(W: Any, U: Any, v: Any, x: Any, y: Any) -> Any:
        def step(h: Any, x_t: Any) -> tuple[Any, None]:
            return jax.numpy.tanh(x_t @ W.T + h @ U.T), None

        h, _ = jax.lax.scan(step, jax.numpy.zeros((len(y), len(v)), x.dtype), x.transpose(1, 0, 2))
        return jax.numpy.mean((h @ v - y) ** 2) / 2

    return jax_compiled(p, loss)


def jax_scan_projected(p: Problem, unroll: int = 1) -> Call:
    """lax.scan with the inputs projected in one product before it."""
    jax = importlib.import_module("jax")

    def loss(W: Any, U: Any, v: Any, x: Any, y: Any) -> Any:
        def step(h: Any, z_t: Any) -> tuple[Any, None]:
            return jax.numpy.tanh(z_t + h @ U.T), None

        z = x.transpose(1, 0, 2) @ W.T
        h, _ = jax.lax.scan(step, jax.numpy.zeros((len(y), len(v)), x.dtype), z, unroll=unroll)
        return jax.numpy.mean((h @ v - y) ** 2) / 2

    return jax_compiled(p, loss)


def jax_scan_unrolled_by_five(p: Problem) -> Call:
    """The same with five steps in each turn of the loop."""
    return jax_scan_projected(p, unroll=5)


def jax_vmap(p: Problem) -> Call:
    """The loss of one sequence with matrix-vector products, mapped over the batch."""
    jax = importlib.import_module("jax")

    def loss(W: Any, U: Any, v: Any, x: Any, y: Any) -> Any:
        def one(x: Any, y: Any) -> Any:
            def step(h: Any, z_t: Any) -> tuple[Any, None]:
                return jax.numpy.tanh(z_t + U @ h), None

            h, _ = jax.lax.scan(step, jax.numpy.zeros(len(v), x.dtype), x @ W.T)
            return (v @ h - y) ** 2 / 2

        return jax.numpy.mean(jax.vmap(one)(x, y))

    return jax_compiled(p, loss)


def jax_unrolled(p: Problem) -> Call:
    """A Python loop that tracing turns into T copies of the step."""
    jax = importlib.import_module("jax")

    def loss(W: Any, U: Any, v: Any, x: Any, y: Any) -> Any:
        z = x.transpose(1, 0, 2) @ W.T
        h = jax.numpy.zeros((len(y), len(v)), x.dtype)
        for t in range(x.shape[1]):
            h = jax.numpy.tanh(z[t] + h @ U.T)
        return jax.numpy.mean((h @ v - y) ** 2) / 2

    return jax_compiled(p, loss)


def torch_gradients(loss: Callable[[], Any], parameters: Sequence[Any]) -> Call:
    """Reverse mode through one evaluation of the loss."""
    torch = importlib.import_module("torch")

    def call() -> Sequence[Any]:
        value = loss()
        return value, *torch.autograd.grad(value, parameters)

    return call


def torch_tensors(p: Problem) -> list[Any]:
    """The five arrays as tensors of their own; the parameters ask for gradients."""
    torch = importlib.import_module("torch")
    tensors = [torch.tensor(array) for array in p.arrays]
    for parameter in tensors[:3]:
        parameter.requires_grad_()
    return tensors


def torch_module(p: Problem) -> Call:
    """torch.nn.RNN without bias, and the read-out."""
    torch = importlib.import_module("torch")
    W, U, v, x, y = torch_tensors(p)
    rnn = torch.nn.RNN(x.shape[2], len(v), bias=False, batch_first=True, dtype=x.dtype)
    with torch.no_grad():
        rnn.weight_ih_l0.copy_(W)
        rnn.weight_hh_l0.copy_(U)

    def loss() -> Any:
        _, h = rnn(x)
        return ((h[0] @ v - y) ** 2).mean() / 2

    return torch_gradients(loss, (rnn.weight_ih_l0, rnn.weight_hh_l0, v))


def torch_loop(p: Problem) -> Call:
    """A Python loop with both products inside."""
    torch = importlib.import_module("torch")
    W, U, v, x, y = torch_tensors(p)

    def loss() -> Any:
        h = x.new_zeros(len(y), len(v))
        for x_t in x.unbind(1):
            h = torch.tanh(x_t @ W.T + h @ U.T)
        return ((h @ v - y) ** 2).mean() / 2

    return torch_gradients(loss, (W, U, v))


def torch_loop_projected(p: Problem) -> Call:
    """A Python loop after one product that projects all inputs."""
    torch = importlib.import_module("torch")
    W, U, v, x, y = torch_tensors(p)

    def loss() -> Any:
        h = x.new_zeros(len(y), len(v))
        for z_t in (x.transpose(0, 1) @ W.T).unbind(0):
            h = torch.tanh(torch.addmm(z_t, h, U.T))
        return ((h @ v - y) ** 2).mean() / 2

    return torch_gradients(loss, (W, U, v))


def torch_by_hand(p: Problem) -> Call:
    """No automatic differentiation: the products and loops of ``numpy_by_hand`` on tensors."""
    torch = importlib.import_module("torch")
    W, U, v, x, y = (tensor.detach() for tensor in torch_tensors(p))
    B, T, d = x.shape
    n = len(v)

    @torch.inference_mode()
    def call() -> Sequence[Any]:
        steps = x.transpose(0, 1).contiguous()
        h = x.new_zeros(T + 1, B, n)
        z = (steps.view(T * B, d) @ W.T).view(T, B, n)
        for z_t, before, after in zip(z.unbind(0), h[:-1].unbind(0), h[1:].unbind(0), strict=True):
            torch.tanh(torch.addmm(z_t, before, U.T), out=after)
        residual = h[T] @ v - y
        slope = 1 - h[1:] ** 2
        delta = torch.empty_like(slope)
        g = torch.outer(residual / B, v)
        for slope_t, delta_t in zip(reversed(slope.unbind(0)), reversed(delta.unbind(0)), strict=True):
            torch.mul(g, slope_t, out=delta_t)
            g = delta_t @ U
        rows = delta.view(T * B, n).T
        dW, dU = rows @ steps.view(T * B, d), rows @ h[:T].view(T * B, n)
        return (residual @ residual) / (2 * B), dW, dU, (residual / B) @ h[T]

    return call


class Spelling(NamedTuple):
    """One way to compute the answer: whose it is, what it is called, and the largest T it is tried on."""

    library: str
    name: str
    build: Callable[[Problem], Call]
    longest: int = sys.maxsize


OURS = "Unrolled"

SPELLINGS = (
    Spelling(OURS, "compiled gradient", ours),
    Spelling("JAX", "scan", jax_scan),
    Spelling("JAX", "scan, inputs projected first", jax_scan_projected),
    Spelling("JAX", "scan unrolled by 5, inputs projected first", jax_scan_unrolled_by_five),
    Spelling("JAX", "vmap of scan, inputs projected first", jax_vmap),
    # At T = 100 tracing and compiling it takes over five seconds, and it runs half as fast as the scan.
    Spelling("JAX", "unrolled loop, inputs projected first", jax_unrolled, longest=50),
    Spelling("PyTorch", "nn.RNN", torch_module),
    Spelling("PyTorch", "loop", torch_loop),
    Spelling("PyTorch", "loop, inputs projected first", torch_loop_projected),
    Spelling("PyTorch", "by hand, without autograd", torch_by_hand),
    Spelling("autograd", "loop, inputs projected first", autograd_loop),
    Spelling("NumPy", "by hand", numpy_by_hand),
)

MODULES = {OURS: "kernels", "JAX": "jax", "PyTorch": "torch", "autograd": "autograd", "NumPy": "numpy"}
"""The module by whose presence a library counts as installed. These five are the columns of the report, in order."""


class Named(Protocol):
    """A way to compute an answer, of some library."""

    @property
    def library(self) -> str: ...


AnyNamed = TypeVar("AnyNamed", bound=Named)


def present() -> list[str]:
    """The libraries that are installed."""
    return [library for library, module in MODULES.items() if importlib.util.find_spec(module) is not None]


def disagreement(call: Call, reference: Sequence[Array]) -> float:
    """The largest error of any returned array, relative to the largest entry of the reference array."""
    errors = []
    for value, expected in zip(call(), reference, strict=True):
        actual = np.asarray(value.detach() if hasattr(value, "detach") else value, dtype="float64")
        if actual.shape != expected.shape:
            raise ValueError(f"expected an array of shape {expected.shape}, got {actual.shape}")
        errors.append(float(np.max(np.abs(actual - expected)) / np.max(np.abs(expected))))
    return max(errors, key=lambda error: (np.isnan(error), error))


def seconds(call: Call, times: int) -> float:
    """Seconds a call, averaged over so many calls in a row."""
    start = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - start) / times


def interleaved(calls: dict[str, Call], budget: float, least: int = 15) -> dict[str, list[float]]:
    """Seconds a call for each of the calls, in rounds that visit all of them, each round in another order.

    A visit is many calls if they are short, so that clock and cache effects of the change average out. The number of
    rounds is what fits the budget in seconds, at ``least`` so many and at most 500.
    """
    pilot = {name: min(seconds(call, 1) for _ in range(3)) for name, call in calls.items()}
    times = {name: max(1, round(1e-3 / duration)) for name, duration in pilot.items()}
    one_round = sum(pilot[name] * times[name] for name in calls)
    rounds = min(500, max(least, int(budget / one_round)))
    random = np.random.default_rng(1)
    samples: dict[str, list[float]] = {name: [] for name in calls}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name in random.permutation(list(calls)):
                samples[name].append(seconds(calls[name], times[name]))
    finally:
        gc.enable()
    return samples


def contenders(calls: dict[AnyNamed, Call]) -> dict[AnyNamed, Call]:
    """The calls without those that take over 1.5 times as long as the best spelling of the same library."""
    pilot = {spelling: min(seconds(call, 1) for _ in range(5)) for spelling, call in calls.items()}
    best: dict[str, float] = {}
    for spelling, duration in pilot.items():
        best[spelling.library] = min(duration, best.get(spelling.library, duration))
    return {spelling: call for spelling, call in calls.items() if pilot[spelling] <= 1.5 * best[spelling.library]}


def measure(size: Size, dtype: str, libraries: Iterable[str], budget: float) -> dict[str, Any]:
    """Medians for one size and dtype, of the fastest spelling of each library, after all spellings agreed.

    ``quartiles`` are those of (fastest other library) / (ours), taken round by round.
    """
    p = problem(size, dtype)
    in_double = Problem(*(array.astype("float64") for array in p.arrays))
    reference = [np.asarray(array) for array in numpy_by_hand(in_double)()]
    calls: dict[Spelling, Call] = {}
    for spelling in SPELLINGS:
        if spelling.library in libraries and spelling.longest >= size.T:
            call = spelling.build(p)
            error = disagreement(call, reference)
            if not error <= TOLERANCE[dtype]:
                what = f"{spelling.library} ({spelling.name}) at T,B,d,n = {tuple(size)} in {dtype}"
                raise ArithmeticError(f"{what}: relative error {error:.1e}, allowed {TOLERANCE[dtype]:.0e}")
            calls[spelling] = call
    names = {f"{spelling.library}: {spelling.name}": spelling for spelling in contenders(calls)}
    samples = interleaved({name: calls[spelling] for name, spelling in names.items()}, budget)
    result: dict[str, Any] = {"size": size, "dtype": dtype, "libraries": {}}
    fastest: dict[str, str] = {}
    for name, spelling in names.items():
        median = statistics.median(samples[name])
        if spelling.library not in fastest or median < result["libraries"][spelling.library]["seconds"]:
            fastest[spelling.library] = name
            result["libraries"][spelling.library] = {"seconds": median, "spelling": spelling.name}
    others = [library for library in fastest if library != OURS]
    best = min(others, key=lambda library: result["libraries"][library]["seconds"])
    pairs = zip(samples[fastest[best]], samples[fastest[OURS]], strict=True)
    low, _, high = statistics.quantiles([theirs / mine for theirs, mine in pairs], n=4)
    mine = result["libraries"][OURS]["seconds"]
    result.update(
        fastest=best,
        ratio=result["libraries"][best]["seconds"] / mine,
        quartiles=[low, high],
        rounds=len(samples[fastest[OURS]]),
    )
    return result


def first_call(library: str) -> dict[str, float]:
    """Seconds from the import of the library to the first gradient of the smallest problem, and for the second one."""
    p = problem(SIZES[0], "float64")
    spelling = next(spelling for spelling in SPELLINGS if spelling.library == library)
    start = time.perf_counter()
    call = spelling.build(p)
    call()
    first = time.perf_counter() - start
    return {"first": first, "second": seconds(call, 1)}


def limit_threads(threads: int) -> None:
    """Tell the libraries that ignore environment variables; the affinity of the process says the same to all."""
    if importlib.util.find_spec("torch") is not None:
        importlib.import_module("torch").set_num_threads(threads)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure what the arguments say and print it as one JSON object; the environment has set the threads already."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.elman", description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sizes", type=Size.parse, nargs="+", default=SIZES)
    parser.add_argument("--budget", type=float, default=5.0, help="seconds to spend on each size and dtype")
    parser.add_argument("--first-call", choices=MODULES, help="only the first call of one library")
    arguments = parser.parse_args(argv)
    if arguments.first_call:
        print(json.dumps(first_call(arguments.first_call)))
        return 0
    limit_threads(arguments.threads)
    libraries = present()
    rows = []
    for size in arguments.sizes:
        for dtype in TOLERANCE:
            rows.append(measure(size, dtype, libraries, arguments.budget))
            row = rows[-1]
            print(f"{tuple(size)} {dtype}: {row['ratio']:.2f} x ({row['fastest']})", file=sys.stderr, flush=True)
    print(json.dumps({"threads": arguments.threads, "rows": rows}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
