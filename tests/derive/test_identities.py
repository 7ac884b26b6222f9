"""The identities of the references on matrix calculus come out in their usual form, and are true."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import derive
from derive.language import expression as ast
from derive.questions import Answer, gradient_of
from kernels.verification.questions import verify_answer
from tests.derive.identities import IDENTITIES, Identity
from tests.identities_page import PAGE, page

ROWS = [pytest.param(row, id=f"{row.expression} by {row.wrt}") for rows in IDENTITIES.values() for row in rows]


@pytest.mark.parametrize("row", ROWS)
def test_an_identity_is_printed_as_in_a_textbook_and_holds(row: Identity):
    answer = gradient_of(row.expression, row.wrt, row.where)
    assert answer[row.wrt].text() == row.derivative
    report = verify_answer(answer, witnesses=("autograd", "complex step"))
    assert report.passed, report.table()


def test_there_are_at_least_forty_identities():
    assert len(ROWS) >= 40


def test_the_page_of_identities_is_current():
    """``python -m tests.identities_page`` writes it anew."""
    assert Path(PAGE).read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("factor", [1.001, -1.0])
def test_a_wrong_closed_form_is_found(factor: float):
    answer = gradient_of("a' X^-1 b", "X", "a, b in R^n, X in R^(n x n)")
    wrong = _with_value(answer, lambda value: ast.Product((ast.Number(ast.Fraction(factor)), value)))
    assert not verify_answer(wrong, witnesses=("autograd",)).passed


def test_a_transpose_in_the_wrong_place_is_found():
    answer = gradient_of("x' A x", "A", "x in R^n, A in R^(n x n)")
    assert verify_answer(_with_value(answer, ast.Transpose), witnesses=("autograd",)).passed, "x x' is symmetric"
    answer = gradient_of("a' X b", "X", "a, b in R^n, X in R^(n x n)")
    assert not verify_answer(_with_value(answer, ast.Transpose), witnesses=("autograd",)).passed


def _with_value(answer: Answer, change: object) -> Answer:
    (key,) = answer.wrt
    gradient = answer[key]
    equation = replace(gradient.equation, value=change(gradient.equation.value))  # type: ignore[operator]
    wrong = replace(answer)
    wrong.__dict__["gradients"] = {key: replace(gradient, equation=equation)}
    return wrong


def test_the_names_are_public():
    assert str(derive.gradient_of("a' x", "x", "a, x in R^n")) == "∂f/∂x = a"
    assert str(derive.hessian("x' x", "x", "x in R^n")) == "∂²f/∂x∂xᵀ = 2Iₙ"
