"""Whole grids of index values at once: what they give is what each entry gives by itself, term by term."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import derive
from derive.evaluate import EvaluationError, bindings, completed, draw, points, run
from derive.evaluate.maxima import largest, share
from derive.language.expression import Access, Expression, map_children
from derive.language.parser import parse
from tests.entrywise import assert_every_equation_holds
from tests.random_systems import random_system

AXES = ("", "2", "3")
SIZES = {"C": 2, "K": 2, "H": 4, "R": 2, "O": 3, "s": 2, "d": 2, "p": 1}


def random_equations(seed: int) -> str:
    """Affine reads in one to three dimensions: steps, holes, padding; sums, maxima, ranges that others bound."""
    rng = np.random.default_rng(seed)
    axes = AXES[: 1 + int(rng.integers(3))]
    outer, inner = [f"i{a}" for a in axes], [f"a{a}" for a in axes]
    step = {a: str(rng.choice(["s", "1", "2", "3"])) for a in axes}
    hole = {a: str(rng.choice(["d", "1", "2"])) for a in axes}
    shift = {a: str(rng.choice(["p", "0", "1", "2"])) for a in axes}
    read = ", ".join(f"{step[a]}*i{a} + {hole[a]}*a{a} - {shift[a]}" for a in axes)
    window, over = ", ".join(inner), ", ".join(f"{a} = 0..R-1" for a in inner)
    kind = rng.choice(["sum", "max", "triangle", "function", "guarded"])
    weight = f"w[k, c, {window}]"
    body = {
        "sum": f"b[k] + sum over c, {over} of w[k, c, {window}] * x[c, {read}]",
        "max": f"b[k] * max over c, {over} of w[k, c, {window}] * x[c, {read}]",
        "triangle": f"sum over c, {over} of (sum over e = 0..{inner[-1]} of b[k] * x[c, {read}] ^ 2) * {weight}",
        "function": f"tanh(sum over c, {over} of w[k, c, {window}] * sin(x[c, {read}])) / (1 + {outer[0]} + k)",
        "guarded": f"sum over c, {over} of [2 divides {outer[0]} + {inner[0]}] w[k, c, {window}] * x[c, {read}]",
    }[str(kind)]
    extents, windows, grid = (" x ".join([name] * len(axes)) for name in "HRO")
    return f"""
sizes C, K, H, R, O, s, d, p from 0
given x in R^(C x {extents}), t in R^(K x {grid})
learn w in R^(K x C x {windows}), b in R^K
y[k, {", ".join(outer)}] = {body} + t[k, {", ".join(outer)}]
loss = squared(y, t)
convention outside is {rng.choice(["zero", "zero", "skipped"])}
"""


@pytest.mark.parametrize("seed", range(24))
def test_a_grid_is_worth_what_its_entries_are(seed: int):
    system = parse(random_equations(seed))
    derivation = derive.gradient(system)
    functions = bindings(system.program)
    for sizes in (SIZES, {**dict.fromkeys("CKHROsd", 1), "p": 0}):
        _, values = draw(system.program, seed, sizes, functions)
        results = run(derivation.program, sizes, values, functions=functions)
        assert assert_every_equation_holds(derivation.program, results, sizes, functions) > 5


@pytest.mark.parametrize("seed", range(12))
def test_random_systems_are_worth_what_their_entries_are(seed: int):
    drawn = random_system(seed)
    derivation = derive.gradient(parse(drawn.text))
    functions = bindings(derivation.system.program)
    _, values = draw(derivation.system.program, seed, drawn.sizes, functions)
    results = run(derivation.program, drawn.sizes, values, functions=functions)
    assert_every_equation_holds(derivation.program, results, completed(derivation.program, drawn.sizes), functions)


def test_a_wrong_entry_is_found():
    system = parse(random_equations(0))
    sizes, values = draw(system.program, 0, SIZES)
    results = run(system.program, sizes, values)
    results["y", ()] = results["y", ()] * (1 + 1e-6)
    with pytest.raises(AssertionError):
        assert_every_equation_holds(system.program, results, sizes, {})


@pytest.mark.parametrize("seed", range(4))
def test_portions_of_a_grid_give_the_whole(seed: int, monkeypatch: pytest.MonkeyPatch):
    program = parse(random_equations(seed)).program
    sizes, values = draw(program, seed, SIZES)
    whole = run(program, sizes, values)["y", ()]
    monkeypatch.setattr(points, "MOST", 7)
    np.testing.assert_allclose(run(program, sizes, values)["y", ()], whole, rtol=1e-13)


COUPLED = """
sizes n
given x in R^n, before in R^n, t in R
u[i] = x[i] + [1 <= i <= n-1] before[i - 1] for i = 0..n-1
v[i] = 2 u[i] + sum over j = 0..i-1 of u[j] for i = 0..n-1
loss = squared(v[n-1], t)
"""


def test_arrays_whose_entries_follow_from_one_another_are_made_one_after_another():
    program = parse(COUPLED).program  # a definition refuses a circle of arrays; a program may have one

    def closed(node: Expression) -> Expression:
        if isinstance(node, Access) and node.name == "before":
            return replace(node, name="v")
        return map_children(closed, node)

    program = replace(program, equations=tuple(replace(e, value=closed(e.value)) for e in program.equations))
    x = np.array([1.0, 2.0, 3.0, 4.0])
    results = run(program, {"n": 4}, {"x": x, "before": x, "t": np.array(0.0)})
    u, v = np.zeros(4), np.zeros(4)
    for i in range(4):
        u[i] = x[i] + (v[i - 1] if i else 0)
        v[i] = 2 * u[i] + u[:i].sum()
    np.testing.assert_allclose(results["u", ()], u)
    np.testing.assert_allclose(results["v", ()], v)


def test_a_read_outside_is_named_with_its_place():
    program = parse("sizes n\ngiven x in R^n\nloss = sum over i = 0..n-1 of x[i]\n").program
    wider = replace(
        program, declarations=tuple(replace(d, shape=(2,)) if d.name == "x" else d for d in program.declarations)
    )
    with pytest.raises(EvaluationError, match=r"x\[2\]: no such entry, its shape is \(2,\)"):
        run(wider, {"n": 4}, {"x": np.ones(2)})


@pytest.mark.parametrize("ties", ["first", "split", "all"])
def test_ties_undefined_and_infinite_numbers(ties: str):
    rows = np.array([[1.0, 3.0, 3.0], [np.nan, 2.0, np.nan], [-np.inf, -np.inf, 0.0], [np.inf, 5.0, np.inf]])
    inside = np.array([[True] * 3, [True] * 3, [True, True, False], [True] * 3])
    rows[2, 2] = -np.inf
    np.testing.assert_array_equal(largest(rows, inside, ties, np), [3, np.nan, -np.inf, np.inf])
    wanted: dict[str, list[list[float]]] = {"first": [[0, 1, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]]}
    wanted["all"] = [[0, 1, 1], [1, 0, 1], [1, 1, 0], [1, 0, 1]]
    wanted["split"] = [[entry / 2 for entry in row] for row in wanted["all"]]
    for place in range(3):
        at = inside & (np.arange(3) == place)
        np.testing.assert_array_equal(share(rows, inside, at, ties, np), [row[place] for row in wanted[ties]])
