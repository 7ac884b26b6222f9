from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from derive.catalogue import load
from derive.derivation import Derivation, gradient
from derive.evidence import Evidence
from derive.handout.blocks import Document, Exercise, Exercises, Frames, Grid, Heading, Note, Paragraph, Table
from derive.handout.editions import edition
from derive.language.parser import parse
from derive.lesson import handout, worked_example
from derive.lesson.computed import Computed
from derive.lesson.example import Example
from derive.lesson.matrices import matrix_sizes
from derive.lesson.windows import windowed

RECORD = Evidence("a claim", "a witness", 1e-12, 1e-6)
WINDOWED = ["cross-correlation", "convolution", "transposed-convolution", "max-pooling", "average-pooling", "cnn"]


@cache
def derived(name: str, D: int = 2) -> Derivation:
    return gradient(load(name, D=D))


@cache
def example_of(name: str, D: int = 2) -> Example:
    return worked_example(derived(name, D))


@cache
def document(name: str, D: int = 2) -> Document:
    derivation = derived(name, D)
    evidence = {step.id: [RECORD] for step in derivation.steps}
    return handout(
        derivation, step_evidence=evidence, report=[RECORD], kernel_source="pass", example=example_of(name, D)
    )


def blocks(found: Document, kind: type) -> list[Any]:
    return [block for block in found.blocks if isinstance(block, kind)]


def asked(found: Document) -> dict[str, Exercise]:
    return {one.id: one for block in blocks(found, Exercises) for one in block.exercises}


def numbers(grid: Grid, which: int = 0) -> list[list[str]]:
    return [[str(cell.content).replace("−", "-") for cell in line] for line in grid.panels[which].cells]


def floats(value: Any) -> np.ndarray:
    return np.asarray(value, dtype=float)


DEFINITION = """
sizes A, B, C
given q in R^A, t in R^C
learn m in R^B
r[j] = sum over l of m[l] * q[2*j + l] for j = 0..C-1
loss = squared(r, t)
convention outside is zero
"""


# Structure ------------------------------------------------------------------------------------------------------------


def test_windows_are_found_by_their_positions_and_not_by_names():
    system = parse(DEFINITION)
    (window,) = windowed(gradient(system).forward)
    assert (window.array, window.weights) == ("q", ("m",))
    assert not windowed(gradient(load("elman")).forward)
    groups = [window.axes for window in windowed(derived("cross-correlation", 1).forward)]
    assert [len(axes) for axes in groups] == [1]  # the groups, read at C g + c, are no window


@pytest.mark.parametrize("name", WINDOWED)
def test_the_example_has_several_outputs_on_every_axis(name: str):
    example = example_of(name)
    for window in windowed(example.derivation.forward):
        shape = np.shape(example.results[window.equation.target.name, ()])
        assert sorted(shape)[-2] > 1


@pytest.mark.parametrize("name", WINDOWED)
def test_what_needs_no_time_is_not_said(name: str):
    found = document(name)
    titles = [block.text for block in blocks(found, Heading)]
    assert "The Jacobian chain" not in titles
    words = [
        part
        for block in found.blocks
        if isinstance(block, Paragraph | Note)
        for part in (block.inlines if isinstance(block, Paragraph) else block.body)
        if isinstance(part, str)
    ]
    assert not any("superscript" in part or "sequences" in part or "time steps" in part for part in words)


# The worked example ---------------------------------------------------------------------------------------------------


def by_hand(example: Example) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """y, and the gradients by x and w, of a two-dimensional cross-correlation, in plain NumPy."""
    size = example.sizes
    x, w = floats(example.values["x"])[0], floats(example.values["w"])[0, 0]
    y, back = np.zeros((size["O_1"], size["O_2"])), np.zeros_like(x)
    weights = np.zeros_like(w)
    visited = [
        (i, j, a, b, size["s_1"] * i + size["d_1"] * a - size["p_1"], size["s_2"] * j + size["d_2"] * b - size["p_2"])
        for i in range(y.shape[0])
        for j in range(y.shape[1])
        for a in range(w.shape[0])
        for b in range(w.shape[1])
    ]
    inside = [v for v in visited if 0 <= v[4] < x.shape[0] and 0 <= v[5] < x.shape[1]]
    for i, j, a, b, row, column in inside:
        y[i, j] += w[a, b] * x[row, column]
    y += floats(example.values["b"])[0]
    delta = y - floats(example.values["t"])[0]
    for i, j, a, b, row, column in inside:
        back[row, column] += w[a, b] * delta[i, j]
        weights[a, b] += x[row, column] * delta[i, j]
    return y, back, weights


def test_the_numbers_are_those_of_plain_numpy():
    example = example_of("cross-correlation")
    y, back, weights = by_hand(example)
    np.testing.assert_array_equal(floats(example.results["y", ()])[0], y)
    np.testing.assert_array_equal(floats(example.results["grad_x", ()])[0], back)
    np.testing.assert_array_equal(floats(example.results["grad_w", ()])[0, 0], weights)
    (shown,) = [block for block in blocks(document("cross-correlation"), Grid) if block.id == "gradient-numbers"]
    assert numbers(shown) == [[f"{value:g}" for value in line] for line in back]


@pytest.mark.parametrize("name", ["cross-correlation", "max-pooling", "average-pooling"])
def test_the_arithmetic_of_every_entry_has_its_value(name: str):
    example = example_of(name)
    program = example.derivation.program
    signs = str.maketrans({"·": "*", "−": "-"})
    for equation in program.equations:
        if equation.target.name in ("y", "grad_x", "grad_w", "grad_b"):
            computed = Computed(example, equation)
            for entry in computed.array.entries():
                found = eval(computed.line(entry).translate(signs), {"max": max})  # noqa: S307
                assert found == pytest.approx(float(computed.value[entry])), (equation.target, entry)


def test_every_window_is_a_frame_and_padding_is_seen():
    (frames,) = blocks(document("max-pooling"), Frames)
    assert len(frames.frames) == example_of("max-pooling").results["y", ()].size
    assert any("padding" in cell.roles for line in frames.panels[0].cells for cell in line)
    assert all(any(role == "winner" for _, role in frame.marks) for frame in frames.frames)


# The matrix -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("D", [1, 2])
def test_the_matrix_takes_the_input_to_the_output(D: int):
    derivation = derived("cross-correlation", D)
    (window,) = windowed(derivation.forward)
    sizes = matrix_sizes(derivation, window)
    assert sizes is not None
    there, back = (derivation.linear_map(*pair, sizes) for pair in (("y", "x"), ("grad_x", "grad_y")))
    assert back.entries == there.transposed.entries
    found = {block.id: block for block in blocks(document("cross-correlation", D), Grid)}
    assert len(found["matrix-y-x"].panels[0].cells) == len(there.rows) + 1
    assert len(found["matrix-x-y"].panels[0].cells) == len(there.columns) + 1


# Exercises ------------------------------------------------------------------------------------------------------------


def test_exercises_follow_from_the_structure():
    correlation, pooling = asked(document("cross-correlation")), asked(document("max-pooling"))
    assert {"exercise-size", "exercise-table", "exercise-readers", "exercise-gradient", "exercise-wrong"} <= (
        correlation.keys() & pooling.keys()
    )
    assert {"exercise-matrix", "exercise-count"} <= correlation.keys() - pooling.keys()
    assert "exercise-ties" in pooling.keys() - correlation.keys()


def test_the_wrong_cell_is_wrong_and_the_key_has_the_right_value():
    exercise = asked(document("max-pooling"))["exercise-wrong"]
    (grid,) = [block for block in exercise.question if isinstance(block, Grid)]
    example = example_of("max-pooling").sizes
    x = np.array(numbers(grid, 0), dtype=float)
    shown = np.array(numbers(grid, 1), dtype=float)
    padded = np.pad(x, ((example["p_1"], 0), (example["p_2"], 0)), constant_values=-np.inf)
    right = np.array([
        [padded[i * example["s_1"] :, j * example["s_2"] :][: example["R_1"], : example["R_2"]].max()
         for j in range(example["O_2"])]
        for i in range(example["O_1"])
    ])  # fmt: skip
    assert np.count_nonzero(shown != right) == 1
    key = "".join(part for block in exercise.answer for part in getattr(block, "inlines", ()) if isinstance(part, str))
    assert f"not {shown[shown != right][0]:g}" in key
    assert f"= {right[shown != right][0]:g}," in key.replace("\u00a0", " ")


@pytest.mark.parametrize("name", WINDOWED)
def test_tables_to_fill_in_are_blank_and_their_keys_are_full(name: str):
    exercises = asked(edition(document(name), "student"))
    key = asked(document(name))
    for one in ("exercise-table", "exercise-gradient"):
        (grid,) = [block for block in exercises[one].question if isinstance(block, Grid)]
        assert any(all(cell.content == "" for line in panel.cells for cell in line) for panel in grid.panels)
        assert not exercises[one].answer
        answers = [block for block in key[one].answer if isinstance(block, Grid)]
        assert answers
        assert all(cell.content != "" for a in answers for panel in a.panels for line in panel.cells for cell in line)


@pytest.mark.parametrize("ties,total", [("first", 6), ("split", 6)])
def test_what_ties_receive_adds_up(ties: str, total: int):
    derivation = gradient(load("max-pooling", D=2, ties=ties))
    evidence = {step.id: [RECORD] for step in derivation.steps}
    found = handout(
        derivation, step_evidence=evidence, report=[RECORD], kernel_source="", example=worked_example(derivation)
    )
    answer = [block for block in asked(found)["exercise-ties"].answer if isinstance(block, Grid)]
    assert sum(float(eval(cell)) for line in numbers(answer[0]) for cell in line) == pytest.approx(total)  # noqa: S307


@pytest.mark.parametrize("name", WINDOWED)
def test_no_table_is_empty(name: str):
    for block in blocks(document(name), Table):
        assert block.rows, block.caption
