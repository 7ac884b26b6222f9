"""Random definitions in the language, for tests that compare ways of computing a gradient; equal seeds, equal texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from derive.derivation import Derivation

BOUNDED = ("tanh", "tanh", "sigmoid", "sin")
GROWING = ("relu", "softplus")  # not of squares of a state: the values would grow like towers of powers
STATES = ("h", "g", "c")
WIDTHS = ("n", "m")
MAXIMA = 7
"""What the generator of maxima has besides the seed of a system."""


@dataclass(frozen=True)
class RandomSystem:
    """A definition, and sizes at which to try it."""

    text: str
    sizes: dict[str, int]


@dataclass
class _Writer:
    """The lines of a definition as they come up."""

    random: np.random.Generator
    learnt: dict[str, str]
    starts: list[str]
    equations: list[str]

    def parameter(self, name: str, space: str) -> str:
        self.learnt.setdefault(name, space)
        return name

    def one_of(self, *choices: str) -> str:
        return choices[int(self.random.integers(len(choices)))]

    def chance(self, probability: float) -> bool:
        return bool(self.random.random() < probability)


def random_system(seed: int) -> RandomSystem:
    """1 to 3 coupled states of lag 1 or 2, a loss at the last step or at every step; in some a maximum in it."""
    writer = _Writer(np.random.default_rng(seed), {}, [], [])
    count = 1 + int(writer.random.integers(3))
    states = STATES[:count]
    widths = {state: writer.one_of(*WIDTHS) for state in states}
    below, width_below = "x^t", "d"
    for state in states:
        _layer(writer, state, below, width_below, states, widths)
        below, width_below = f"{state}^t", widths[state]
    after, per_step, target = _loss(writer, states[-1], widths[states[-1]])
    _maxima(_Writer(np.random.default_rng((seed, MAXIMA)), {}, [], []), states, widths, after, per_step)
    sizes = {name: 1 + int(writer.random.integers(4)) for name in ("T", "d", "n", "m", "q")}
    if writer.chance(0.2):
        sizes["T"] = 1
    lines = [
        f"title   Random system {seed}",
        "sizes   T steps, d inputs, n hidden, m more hidden, q outputs",
        f"given   x^t in R^d for t = 1..T,  {target}",
        "learn   " + ",  ".join(f"{name} in {space}" for name, space in writer.learnt.items()),
        "start   " + ",  ".join(writer.starts),
        "for t = 1..T:",
        *(f"    {line}" for line in (*writer.equations, *per_step)),
        "end",
        *after,
    ]
    return RandomSystem("\n".join(lines) + "\n", sizes)


def _layer(
    writer: _Writer, state: str, below: str, width_below: str, states: tuple[str, ...], widths: dict[str, str]
) -> None:
    """One state: what goes into it, how it is updated, where it starts."""
    width, letter = widths[state], state.upper()
    lag = 2 if writer.chance(0.3) else 1
    own = _own(writer, state, width)
    terms = [f"{writer.parameter(f'W{letter}', f'R^({width} x {width_below})')} {below}", own]
    if lag == 2:
        terms.append(f"{writer.parameter(f'L{letter}', f'R^({width} x {width})')} {state}^{{t-2}}")
    if writer.chance(0.5):
        terms.append(writer.parameter(f"b{letter}", f"R^{width}"))
    others = [other for other in states if other != state]
    if others and writer.chance(0.4):
        other = writer.one_of(*others)
        matrix = writer.parameter(f"C{letter}", f"R^({width} x {widths[other]})")
        terms.append(f"{matrix} {other}^{{t-1}}")
    writer.random.shuffle(terms)
    joined = terms[0] + "".join(f" {writer.one_of('+', '+', '-')} {term}" for term in terms[1:])
    f = writer.one_of(*BOUNDED) if ".*" in own else writer.one_of(*BOUNDED, *GROWING)
    z, past = f"z{letter}", f"{state}^{{t-1}}"
    writer.equations.append(f"{z}^t = {joined}")
    style = writer.one_of("plain", "plain", "leaky", "residual", "gated", "direct")
    if style == "direct":
        writer.equations[-1] = f"{state}^t = {f}({joined})"
    elif style == "leaky":
        rate = writer.parameter(f"a{letter}", "R")
        writer.equations.append(f"{state}^t = (1 - {rate}) {past} + {rate} {f}({z}^t)")
    elif style == "residual":
        writer.equations.append(f"{state}^t = {f}({z}^t) + {past} / 2")
    elif style == "gated":
        gate, matrix = f"k{letter}", writer.parameter(f"K{letter}", f"R^({width} x {width})")
        writer.equations.append(f"{gate}^t = sigmoid({matrix} {past})")
        writer.equations.append(f"{state}^t = {gate}^t .* {past} + (1 - {gate}^t) .* {f}({z}^t)")
    else:
        writer.equations.append(f"{state}^t = {f}({z}^t)")
    if lag == 2:
        writer.starts.append(f"{state}^{{-1}} = 0")
    writer.starts.append(f"{state}^0 {writer.one_of('= 0', '= 0', f'in R^{width}')}")


def _own(writer: _Writer, state: str, width: str) -> str:
    """How a state feeds itself; a matrix may occur twice."""
    matrix = writer.parameter(f"U{state.upper()}", f"R^({width} x {width})")
    past = f"{state}^{{t-1}}"
    return writer.one_of(
        f"{matrix} {past}",
        f"{matrix} {past}",
        f"{matrix}' {past}",
        f"{matrix}' {matrix} {past}",
        f"{matrix} ({past} .* {past})",
    )


def _loss(writer: _Writer, state: str, width: str) -> tuple[list[str], list[str], str]:
    """Equations after the loop, equations at every step, and what is given besides x."""
    penalty = ""
    if writer.chance(0.3):
        matrix = f"U{state.upper()}"
        penalty = f" + <{matrix}, {matrix}> / 4"
    average = writer.one_of("", " / T")
    if writer.chance(0.5):
        if writer.chance(0.5):
            v = writer.parameter("v", f"R^{width}")
            return [f"yhat = <{v}, {state}^T>", f"loss = (yhat - y)^2 / 2{penalty}"], [], "y in R"
        V = writer.parameter("V", f"R^(q x {width})")
        loss = writer.one_of("cross_entropy(s, y)", "squared(s, y)", "<softmax(s) - y, softmax(s) - y>")
        return [f"s = {V} {state}^T", f"loss = {loss}{penalty}"], [], "y in R^q"
    if writer.chance(0.4):
        v = writer.parameter("v", f"R^{width}")
        steps = [f"yhat^t = <{v}, {state}^t>", "e^t = squared(yhat^t, y^t)"]
        return [f"loss = (sum over t = 1..T of e^t){average}{penalty}"], steps, "y^t in R for t = 1..T"
    V = writer.parameter("V", f"R^(q x {width})")
    kind = writer.one_of("squared", "cross_entropy")
    steps = [f"s^t = {V} {state}^t", f"e^t = {kind}(s^t, y^t)"]
    return [f"loss = (sum over t = 1..T of e^t){average}{penalty}"], steps, "y^t in R^q for t = 1..T"


def _maxima(
    writer: _Writer, states: tuple[str, ...], widths: dict[str, str], after: list[str], per_step: list[str]
) -> None:
    """In some systems a maximum over steps or over a window of a state, squared and added to the loss.

    It has a generator of its own: whether there is one changes nothing else that is drawn.
    """
    if not writer.chance(0.3):
        return
    state = writer.one_of(*states)
    width, ties = widths[state], writer.one_of("", "", " split")
    loss = after.pop()
    match writer.one_of("over steps", "of vectors", "window", "in the loop"):
        case "over steps":
            after.append(f"peak[i] = max{ties} over r = 1..T of {state}^r[i] * {state}^{{r-1}}[i] for i = 0..{width}-1")
        case "of vectors":
            after.append(f"peak = max{ties} over r = 1..T of {state}^r")
        case "window":
            within = f"with 0 <= i + a - 1 <= {width} - 1"
            after.append(f"peak[i] = max{ties} over a = 0..2 {within} of {state}^T[i + a - 1] for i = 0..{width}-1")
        case _:
            per_step.append(f"top^t = max{ties} over i of ({state}^t[i] - {state}^{{t-1}}[i])")
            loss += " + sum over r = 1..T of (top^r * top^r / 8)"
    after.append(loss if "top^r" in loss else f"{loss} + <peak, peak> / 8")


def inputs_of(derivation: Derivation, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Values by key as a kernel takes them: parameters, and everything else."""
    learnt = {d.name for d in derivation.forward.declarations if d.role == "learn"}
    parameters = {key: value for key, value in values.items() if key in learnt}
    return parameters, {key: value for key, value in values.items() if key not in learnt}
