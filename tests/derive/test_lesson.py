from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from derive.catalogue import load, names
from derive.derivation import Derivation, gradient
from derive.handout.blocks import AnswerKey, Document, Exercise, Exercises, Heading, Listing, Step
from derive.handout.editions import edition
from derive.handout.formula import Formula
from derive.lesson import handout, worked_example
from derive.lesson.example import Example, backward_lines, forward_lines, given_lines, gradient_lines, number
from derive.lesson.sample import is_by_entry
from kernels.verification import check_steps, verify

CATALOGUE = names()


class Lesson:
    """One derivation with its example, its evidence and its handout, made once."""

    def __init__(self, name: str) -> None:
        self.derivation: Derivation = gradient(load(name))
        self.example: Example = worked_example(self.derivation)
        self.evidence = check_steps(self.derivation, seed=1)
        report = verify(self.derivation, seed=1, witnesses=["differences"])
        self.document: Document = handout(
            self.derivation,
            step_evidence=self.evidence,
            report=report.evidence,
            kernel_source="pass",
            example=self.example,
        )


LESSONS: dict[str, Lesson] = {}


def lesson(name: str) -> Lesson:
    if name not in LESSONS:
        LESSONS[name] = Lesson(name)
    return LESSONS[name]


def inside(thing: Any) -> Iterator[Any]:
    """Everything in a document, outermost first; formulas are not opened."""
    yield thing
    if isinstance(thing, Formula):
        return
    if is_dataclass(thing):
        for item in fields(thing):
            yield from inside(getattr(thing, item.name))
    elif isinstance(thing, tuple | list):
        for part in thing:
            yield from inside(part)


def steps(document: Document) -> list[Step]:
    return [block for block in document.blocks if isinstance(block, Step)]


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_system_has_a_lesson(name: str):
    document = lesson(name).document
    assert document.title == load(name).title
    assert steps(document)
    asked = [block for block in document.blocks if isinstance(block, Exercises)]
    titles = [block.text for block in document.blocks if isinstance(block, Heading)]
    assert ("Exercises" in titles) == bool(asked) == any(block.exercises for block in asked)


def test_the_elman_derivation_has_ten_to_twenty_displayed_steps():
    assert 10 <= len(steps(lesson("elman").document)) <= 20


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_displayed_step_and_every_detail_has_evidence(name: str):
    for step in steps(lesson(name).document):
        for block in (step, *step.details):
            assert isinstance(block, Step)
            assert block.evidence, step.id
            assert all(record.passed for record in block.evidence), step.id


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_step_of_the_derivation_is_displayed(name: str):
    shown = {getattr(block, "id", None) for block in inside(lesson(name).document)}
    assert {step.id for step in lesson(name).derivation.steps} <= shown


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_exercise_has_an_answer_in_the_teacher_edition_only(name: str):
    document = lesson(name).document
    questions = [one for block in document.blocks if isinstance(block, Exercises) for one in block.exercises]
    keys = [block for block in edition(document, "teacher").blocks if isinstance(block, AnswerKey)]
    assert [len(key.answers) for key in keys] == ([len(questions)] if questions else [])
    student = list(inside(edition(document, "student")))
    assert not any(isinstance(block, AnswerKey) for block in student)
    assert not any(block.answer for block in student if isinstance(block, Exercise))
    told = [part for part in student if not isinstance(part, str)]
    assert not any(block in told for one in questions for block in one.answer)


MARKUP = re.compile(r"\\[a-zA-Z]+|\$|</?[a-z]+[^>]*>|&[a-z]+;|\*\*|\^\{|_\{")


@pytest.mark.parametrize("name", CATALOGUE)
def test_words_carry_no_markup(name: str):
    document = lesson(name).document
    listings = {block.source for block in inside(document) if isinstance(block, Listing)}
    for part in inside(document):
        if isinstance(part, str) and part not in listings:
            assert not MARKUP.search(part), part


@pytest.mark.parametrize("name", CATALOGUE)
def test_sentences_end_and_do_not_double_words(name: str):
    for step in lesson(name).derivation.steps:
        words = "".join(part if isinstance(part, str) else "x" for part in step.reason)
        assert words.rstrip()[-1] in ".:", words
        assert not re.search(r"\b([a-z]+) \1\b", words), words
        assert "  " not in words, words


# The worked example -----------------------------------------------------------------------------------------------


def elman_by_hand(values: dict[str, Any]) -> dict[str, np.ndarray]:
    """The Elman network and its gradients in plain NumPy, from its equations alone."""
    W, U, v, x, y = (np.asarray(values[key]) for key in ("W", "U", "v", "x", "y"))
    steps_count = len(x)
    h = [np.zeros(len(v))]
    for t in range(steps_count):
        h.append(np.tanh(W @ x[t] + U @ h[-1]))
    error = v @ h[-1] - y
    found: dict[str, np.ndarray] = {"v": error * h[-1], "y": -error, "x": np.zeros_like(x)}
    found |= {"W": np.zeros_like(W), "U": np.zeros_like(U), "loss": error**2 / 2}
    back = error * v
    for t in reversed(range(steps_count)):
        delta = (1 - h[t + 1] ** 2) * back
        found["W"] += np.outer(delta, x[t])
        found["U"] += np.outer(delta, h[t])
        found["x"][t] = W.T @ delta
        found[f"delta^{t + 1}"] = delta
        back = U.T @ delta
    return {**found, "h^0": back}


def test_the_numbers_of_the_worked_example_are_those_of_plain_numpy():
    derivation, example = lesson("elman").derivation, lesson("elman").example
    wanted = elman_by_hand(example.values)
    for key in ("W", "U", "v", "y", "h^0"):
        name = derivation.gradients[key].name
        np.testing.assert_allclose(example.results[name, ()], wanted[key], rtol=1e-12, err_msg=key)
    for t in (1, 2, 3):
        np.testing.assert_allclose(example.results["delta_z", (t,)], wanted[f"delta^{t}"], rtol=1e-12)
        np.testing.assert_allclose(
            example.results[derivation.gradients["x"].name, (t,)], wanted["x"][t - 1], rtol=1e-12
        )
    np.testing.assert_allclose(example.results["loss", ()], wanted["loss"], rtol=1e-12)


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_example_teaches(name: str):
    """No square parameter equals its transpose, so that a forgotten transpose shows; no parameter is zero anywhere."""
    example = lesson(name).example
    for key, value in example.values.items():
        array = np.asarray(value)
        if array.ndim == 2 and array.shape[0] == array.shape[1] > 1:
            assert not np.array_equal(array, array.T), key
        if example.derivation.forward.declaration(key.partition("^")[0]).role == "learn":
            assert np.all(array != 0), key


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_example_shows_every_forward_equation_at_every_time(name: str):
    example = lesson(name).example
    if is_by_entry(example.derivation):
        return  # grids and tables show these: test_lesson_windows.py
    lines = [line for group in forward_lines(example) for line in group]
    forward = example.derivation.forward
    whole = {e.target.name for e in forward.equations if not e.target.subscripts}
    starts = {(s.access.name, tuple(int(p) for p in s.access.superscripts)) for s in forward.starts}
    wanted = [key for key in example.results if key[0] in whole and key not in starts]
    assert len(lines) == len(wanted)


def test_the_example_goes_forwards_then_backwards():
    example = lesson("elman").example
    forward = [str(line.left) for group in forward_lines(example) for line in group]
    assert forward.index(next(x for x in forward if "'z'" in x)) == 0
    assert len(backward_lines(example)) == 4
    assert len(gradient_lines(example)) == 4
    assert len(given_lines(example)) == 3 + 1 + 3  # x at three times, y, and W, U, v


@pytest.mark.parametrize("value,text", [(0.5, "0.5"), (-0.0004, "0"), (2.0, "2"), (0.12349, "0.123")])
def test_numbers_have_at_most_three_decimals_and_no_trailing_zeros(value: float, text: str):
    assert getattr(number(value), "text", None) == text


def test_the_same_example_is_found_each_time():
    first, second = (worked_example(lesson("elman").derivation, seed=4) for _ in range(2))
    assert all(np.array_equal(first.values[key], second.values[key]) for key in first.values)
