"""Every promise, on every entry of the catalogue with every value of its options: from the text to the handout."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import nbformat
import numpy as np
import pytest

import kernels
from derive.catalogue import FOLDER, load, names
from derive.cli import ALWAYS_INSTALLED
from derive.evaluate import draw, gather, run
from derive.evaluate.integers import integer
from derive.evidence import Evidence
from derive.handout.blocks import Document, Edition
from derive.handout.editions import edition
from derive.handout.writers import WRITERS, write
from derive.language.parser import parse
from derive.language.printer import source
from derive.lesson import handout, worked_example
from derive.trace import Step
from kernels.verification import check_steps, trial_sizes, verify
from tests.conformance.choices import AS_THEY_COME, CHOSEN, arguments, derived

EDITIONS: tuple[Edition, ...] = ("student", "teacher")
TOLERANCES = {"float64": 1e-10, "float32": 2e-4}


def together(chosen: Iterable[str]) -> list[object]:
    """Cases of one entry run in one process, which derives it and makes its handout once."""
    return [pytest.param(name, marks=pytest.mark.xdist_group(CHOSEN[name].name), id=name) for name in chosen]


EVERY = together(CHOSEN)
ENTRIES = together(AS_THEY_COME)
OTHERS = together(name for name in CHOSEN if name not in AS_THEY_COME)


def everything(steps: tuple[Step, ...]) -> list[Step]:
    return [inner for step in steps for inner in (step, *step.details)]


def test_every_file_of_the_catalogue_is_tested_with_every_value_of_its_options() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == {f"{name}.txt" for name in names()}
    assert {each.name for each in CHOSEN.values()} == set(names())
    tried = {(each.name, *choice) for each in CHOSEN.values() for choice in each.choices}
    for name in names():
        for option in load(name).options:
            assert {value for value in option.choices if value != option.value} <= {
                value for entry, key, value in tried if (entry, key) == (name, option.name)
            }


@pytest.mark.parametrize("name", EVERY)
def test_a_definition_prints_back_to_itself(name: str) -> None:
    system = CHOSEN[name].system
    again = parse(source(system), system.name)
    assert source(again) == source(system)
    assert again.program.equations == system.program.equations


@pytest.mark.parametrize("name", EVERY)
def test_every_gradient_agrees_with_every_witness_that_is_installed(name: str) -> None:
    report = verify(derived(name), seed=3, witnesses=None if name in AS_THEY_COME else ALWAYS_INSTALLED)
    assert report.passed, report.table()
    assert max(record.error for record in report if record.witness != "differences") <= 1e-10


@pytest.mark.parametrize("name", EVERY)
def test_every_step_and_every_detail_has_evidence_of_its_own(name: str) -> None:
    derivation = derived(name)
    evidence = check_steps(derivation, seed=3)
    for step in everything(derivation.steps):
        assert evidence[step.id], f"{step.id} claims nothing"
        assert all(record.passed for record in evidence[step.id]), step.id


@pytest.mark.parametrize("name", EVERY)
def test_every_step_says_why_and_shows_what(name: str) -> None:
    derivation = derived(name)
    ids = [step.id for step in everything(derivation.steps)]
    assert len(ids) == len(set(ids))
    for step in everything(derivation.steps):
        assert step.rule
        assert step.reason
        assert step.title
        assert step.lines or step.proof


@pytest.mark.parametrize("name", EVERY)
def test_gradients_have_the_shape_of_what_they_are_taken_by(name: str) -> None:
    derivation = derived(name)
    sizes, values = draw(derivation.forward, 5)
    results = run(derivation.program, sizes, values)
    for key, access in derivation.gradients.items():
        found = gather(derivation.program, results, access, sizes)
        state = derivation.forward.declaration(key.partition("^")[0]).shape  # of a start that is computed, not given
        wanted = np.shape(values[key]) if key in values else tuple(integer(extent, sizes) for extent in state)
        assert np.shape(found) == wanted


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("name", EVERY)
def test_the_kernel_computes_what_the_evaluator_does(name: str, dtype: str) -> None:
    derivation = derived(name)
    # Compiling takes most of the time of all tests: in float32 it is left to tests/kernels.
    kernel = kernels.compile(derivation, dtype=dtype, jit=name in AS_THEY_COME and dtype == "float64")
    for seed, sizes in enumerate(trial_sizes(derivation.forward, 11)):
        extents, values = draw(derivation.forward, seed, sizes)
        results = run(derivation.program, extents, values)
        cast = {key: np.asarray(value, dtype=dtype) for key, value in values.items()}
        parameters, inputs = arguments(derivation, extents, cast)
        found = kernel.gradients(parameters, inputs, wrt=list(derivation))
        loss, learnt = kernel(parameters, inputs)
        tolerance = TOLERANCES[dtype]
        assert loss == pytest.approx(float(results[derivation.system.loss, ()]), rel=tolerance, abs=tolerance)
        for key, access in derivation.gradients.items():
            wanted = gather(derivation.program, results, access, extents)
            assert found[key].dtype == dtype
            np.testing.assert_allclose(found[key], wanted, rtol=tolerance, atol=tolerance)
            if key in learnt:
                np.testing.assert_allclose(learnt[key], wanted, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", EVERY)
def test_a_batch_is_the_mean_of_its_sequences(name: str) -> None:
    derivation = derived(name)
    kernel = kernels.compile(derivation, jit=not CHOSEN[name].choices)
    sizes, first = draw(derivation.forward, 1)
    others = [draw(derivation.forward, seed, sizes)[1] for seed in (2, 3)]
    parameters, _ = arguments(derivation, sizes, first)
    members = [arguments(derivation, sizes, values)[1] for values in (first, *others)]
    batch = {key: value if key in sizes else np.stack([m[key] for m in members]) for key, value in members[0].items()}
    together = kernel(parameters, batch)
    apart = [kernel(parameters, member) for member in members]
    assert together[0] == pytest.approx(np.mean([loss for loss, _ in apart]), rel=1e-12)
    for key in together[1]:
        mean = np.mean([gradients[key] for _, gradients in apart], axis=0)
        np.testing.assert_allclose(together[1][key], mean, rtol=1e-10, atol=1e-12)


Documents = Callable[[str], Document]


@pytest.fixture(scope="module")
def documents() -> Documents:
    """The handout of each entry, made once."""
    made: dict[str, Document] = {}

    def of(name: str) -> Document:
        if name not in made:
            derivation = derived(name)
            made[name] = handout(
                derivation,
                step_evidence=check_steps(derivation),
                report=tuple(verify(derivation, witnesses=["autograd", "complex step", "differences"])),
                kernel_source=kernels.compile(derivation).source,
                example=worked_example(derivation),
            )
        return made[name]

    return of


@pytest.mark.parametrize("name", OTHERS)
def test_with_other_choices_there_is_a_handout_too(name: str, tmp_path: Path) -> None:
    derivation = derived(name)
    unchecked: dict[str, tuple[Evidence, ...]] = {step.id: () for step in everything(derivation.steps)}
    document = handout(
        derivation, step_evidence=unchecked, report=(), kernel_source="", example=worked_example(derivation)
    )
    assert len(write(edition(document, "teacher"), tmp_path / "first.md").read_bytes()) > 2000


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("name", ENTRIES)
def test_a_handout_is_written_in_every_format_with_the_same_bytes_each_time(
    documents: Documents, name: str, suffix: str, tmp_path: Path
) -> None:
    for which in EDITIONS:
        document = edition(documents(name), which)
        first = write(document, tmp_path / f"first.{suffix}").read_bytes()
        again = write(document, tmp_path / f"again.{suffix}").read_bytes()
        assert first == again
        assert len(first) > 5000


@pytest.mark.parametrize("name", ENTRIES)
def test_the_latex_compiles_without_errors_or_overfull_boxes(
    documents: Documents, name: str, tmp_path: Path, needs_tex: str
) -> None:
    for which in EDITIONS:
        path = write(edition(documents(name), which), tmp_path / f"{which}.tex")
        done = subprocess.run(
            [needs_tex, "-interaction=nonstopmode", "-halt-on-error", path.name],
            cwd=tmp_path, capture_output=True, text=True, errors="replace", timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]
        overfull = re.findall(r"Overfull \\hbox \((\d+\.\d+)pt", done.stdout)
        assert not [width for width in overfull if float(width) > 1.0], f"{name} {which}: {overfull}"


@pytest.mark.parametrize("name", ENTRIES)
def test_the_notebook_is_valid_and_its_code_runs(documents: Documents, name: str, tmp_path: Path) -> None:
    path = write(documents(name), tmp_path / "notebook.ipynb")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert code
    program = tmp_path / "cells.py"
    program.write_text("\n\n".join(code), encoding="utf-8")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("loss")
