"""Emitted source says what it computes, is the same every time, and has no line that could be different unnoticed."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import derive
import kernels
from kernels import cache
from kernels.emit import identifiers
from kernels.kernel import Kernel
from kernels.variant import exacting
from tests.kernels.agreement import Problem, assert_agrees, derivation, problem
from tests.kernels.systems import ODD, text


def source(name: str) -> str:
    return kernels.compile(derive.gradient(derive.load(name)), jit=False).source


def test_the_elman_source_keeps_only_products_with_u_in_its_time_loops():
    tree = ast.parse(source("elman"))
    calls = {"inside": set[str](), "outside": set[str]()}
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For)]
    in_time = [node for node in loops if isinstance(node.target, ast.Name) and node.target.id == "t"]
    inside = {node for loop in in_time for node in ast.walk(loop)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            calls["inside" if node in inside else "outside"].add(ast.unparse(node))
    products = {
        place: {call for call in found if "product(" in call or "outer(" in call} for place, found in calls.items()
    }
    assert products["inside"] == {
        "add_product(h[t - 1], U_transposed_panels, h[t])",
        "product(delta_z[t], U_panels, delta_z[t - 1])",
    }
    assert len(products["outside"]) == 3
    assert {call for call in calls["outside"] if call.startswith("pack(")} == {
        "pack(W.T, W_transposed_panels)",
        "pack(U.T, U_transposed_panels)",
        "pack(U, U_panels)",
    }


@pytest.mark.parametrize("name", derive.names())
def test_every_equation_that_is_computed_is_named_above_its_lines(name: str):
    text = source(name)
    header, body = text.split('"""', 2)[1:]
    equations = [line.strip() for line in header.splitlines() if line.startswith("    ")]
    assert equations
    for equation in equations:
        assert f"# {equation}" in body
    assert all(len(line) <= 200 for line in body.splitlines() if not line.lstrip().startswith("#"))


def test_the_source_does_not_depend_on_the_order_of_hashes():
    script = (
        "import derive, kernels\n"
        "for name in ('elman-stack', 'lag2'):\n"
        "    print(kernels.compile(derive.gradient(derive.load(name)), jit=False).source)\n"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(texts) == 1


def test_names_that_python_or_the_source_uses_are_changed():
    assert identifiers(["h^0", "lambda", "pack", "h_0"]) == {
        "h^0": "h_0",
        "lambda": "lambda_",
        "pack": "pack_",
        "h_0": "h_0_",
    }


def test_a_bias_called_b_and_a_gate_called_i_keep_their_names():
    found = derivation(
        "title gates\nsizes T steps, n width\ngiven x^t in R^n for t = 1..T, y in R\nlearn U in R^(n x n), b in R^n\n"
        "start h^0 = 0\nfor t = 1..T:\ni^t = sigmoid(U h^{t-1} + b)\nh^t = i^t .* tanh(x^t + b)\nend\n"
        "loss = squared(sum(h^T), y)\n"
    )
    kernel = kernels.compile(found, jit=False)
    assert " b, " in kernel.source
    assert_agrees(kernel, problem(found))


# Mutations ------------------------------------------------------------------------------------------------------------


def mutants(text: str) -> Iterator[tuple[str, str]]:
    """(what was changed, the text with this one change): operators, factors, indices and whole lines of arithmetic."""
    count = sum(1 for _ in sites(ast.parse(text)))
    for number in range(count):
        tree = ast.parse(text)
        name, change = list(sites(tree))[number]
        change()
        yield name, ast.unparse(ast.fix_missing_locations(tree))


def sites(tree: ast.Module) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every place for a mutation in the function of ``tree``, and the mutation."""
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "kernel")
    for parent in ast.walk(function):
        for block in (getattr(parent, "body", []), getattr(parent, "orelse", [])):
            for place, statement in enumerate(block if isinstance(block, list) else []):
                if isinstance(statement, ast.Assign | ast.AugAssign) or (
                    isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
                ):
                    line = ast.unparse(statement)
                    yield f"without: {line}", lambda block=block, place=place: block.__setitem__(place, ast.Pass())
                    yield from within(statement, line)


def within(statement: ast.stmt, line: str) -> Iterator[tuple[str, Callable[[], object]]]:
    for node in ast.walk(statement):
        match node:
            case ast.BinOp(op=ast.Add() | ast.Sub() as operator) if not in_index(statement, node):
                other = ast.Sub() if isinstance(operator, ast.Add) else ast.Add()
                yield f"+ for -: {line}", lambda node=node, other=other: setattr(node, "op", other)
            case ast.BinOp(op=ast.Mult() | ast.Div()) if not in_index(statement, node):
                yield f"without a factor: {line}", lambda node=node: setattr(node, "right", ast.Constant(1))
            case ast.Subscript(slice=ast.Tuple(elts=[first, *_]) as places) if names_step(first):
                yield (
                    f"next step: {line}",
                    lambda places=places, first=first: places.elts.__setitem__(0, shifted(first)),
                )
            case ast.Subscript(slice=first) if names_step(first):
                yield f"next step: {line}", lambda node=node, first=first: setattr(node, "slice", shifted(first))
            case _:
                pass


def in_index(statement: ast.stmt, node: ast.AST) -> bool:
    indices = (part.slice for part in ast.walk(statement) if isinstance(part, ast.Subscript))
    return any(node is inner for index in indices for inner in ast.walk(index))


def names_step(index: ast.expr) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "t" for node in ast.walk(index))


def shifted(index: ast.expr) -> ast.expr:
    return ast.BinOp(index, ast.Add(), ast.Constant(1))


def with_source(kernel: Kernel, text: str, path: Path) -> Kernel:
    """``kernel`` computing its default question by ``text``."""
    path.write_text(text)
    function = exacting(cache.loaded.__wrapped__(path).entry, kernel.dtype)
    question = replace(
        kernel.default, variant=replace(kernel.default.variant, make=lambda: function), shapes={}, latest=[]
    )
    return replace(kernel, default=question)


def notices(kernel: Kernel, problems: list[Problem]) -> bool:
    """True if the kernel's answers are not the evaluator's, or there is none."""
    for tried in problems:
        parameters, inputs = tried.at("float64")
        try:
            with np.errstate(all="ignore"):
                loss, gradients = kernel(parameters, inputs)
        except Exception:  # noqa: BLE001, a mutant may fail in any way
            return True
        if not np.allclose(loss, tried.loss, rtol=1e-9):
            return True
        if not all(np.allclose(gradients[key], tried.gradients[key], rtol=1e-9, atol=1e-11) for key in gradients):
            return True
    return False


@pytest.mark.parametrize("name", ["elman", "elman-aligned", "leaky", "outer products of parameters"])
def test_every_altered_line_of_arithmetic_is_noticed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = derivation(text(name)) if name in ODD else derive.gradient(derive.load(name))
    sizes = {size.name: 3 - (size.name == "d") for size in found.program.sizes}
    problems = [problem(found, 1, sizes, batch=2, starts=starts) for starts in (True, False)]
    kernel = kernels.compile(found, jit=False)
    # What a line does not write must not be right by chance, as zeros from new memory could be.
    monkeypatch.setattr("kernels.kernel.np.empty", lambda shape, dtype: np.full(shape, np.nan, dtype))
    monkeypatch.setattr("kernels.prepare.aligned", lambda shape, dtype: np.full(shape, np.nan, dtype))
    assert not notices(with_source(kernel, kernel.source, tmp_path / "original.py"), problems)
    survivors = [
        what
        for number, (what, text) in enumerate(mutants(kernel.source))
        if not notices(with_source(kernel, text, tmp_path / f"mutant{number}.py"), problems)
    ]
    assert survivors == []
