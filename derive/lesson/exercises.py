"""Exercises about a derivation, with answers computed by the engine."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import sympy as sp

from derive.calculus.closed_form import unrolled
from derive.calculus.flow import Flow
from derive.calculus.recursion import recursion_cases
from derive.calculus.shared_adjoints import is_named
from derive.derivation import Derivation
from derive.handout.blocks import Display, Exercise, Exercises, Paragraph
from derive.handout.formula import paren, row, sup
from derive.language import expression as ast
from derive.language.expression import Access
from derive.lesson.example import Example, array, number
from derive.lesson.sample import is_by_entry
from derive.lesson.window_exercises import window_exercises
from derive.notation import formula, plain_name, shape_formula


def exercises(derivation: Derivation, example: Example) -> Exercises:
    """The exercises that make sense for this system."""
    found = [
        *_numeric_gradient(derivation, example),
        *(window_exercises(derivation, example) if is_by_entry(derivation) else ()),
        *_transpose(derivation),
        *_shapes(derivation),
        *(one for flow in derivation.flows[:1] for one in _chain(flow, derivation)),
        *(one for flow in derivation.flows[:1] for one in _bound(flow, derivation)),
        *_one_step(derivation),
    ]
    return Exercises(tuple(found))


def _numeric_gradient(derivation: Derivation, example: Example) -> Iterator[Exercise]:
    """One gradient of the example that the text leaves out."""
    for key in () if is_by_entry(derivation) else derivation:
        gradient = derivation[key]
        declaration = derivation.forward.declaration(key.partition("^")[0])
        left_out = declaration.role == "given" if gradient.has_matrix_form else declaration.role == "learn"
        if not left_out or not declaration.shape:
            continue
        target = gradient.equation.target
        at = {r.index: sp.Integer(1) for r in declaration.superscripts}
        moved, value = (ast.substitute_indices(part, dict(at)) for part in (target, gradient.equation.value))
        assert isinstance(moved, Access)
        result = array(example.results[moved.name, tuple(int(p) for p in moved.superscripts)])
        whole = formula(Access(moved.name, moved.superscripts), derivation.names)
        general = Display(row(formula(moved, derivation.names), "=", formula(value, derivation.names)))
        yield Exercise(
            (Paragraph(("With the numbers of the worked example, compute ", whole, ".")),),
            (general, Display(row(whole, "=", result))),
            3,
            "exercise-number",
        )
        return


def _transpose(derivation: Derivation) -> Iterator[Exercise]:
    """A classmate forgets a transpose; find a recursion in which one occurs."""
    walk = derivation.walk
    for adjoint in walk.adjoints:
        if not is_named(adjoint) or not adjoint.has_matrix_form:
            continue
        for case in recursion_cases(adjoint, walk).cases:
            transposes = [
                n for n in ast.walk(case.value) if isinstance(n, ast.Transpose) and isinstance(n.operand, Access)
            ]
            if not transposes:
                continue
            wrong = _without(case.value, transposes[0])
            matrix = transposes[0].operand
            names = derivation.names
            yield Exercise(
                (
                    Paragraph(("A classmate writes",)),
                    Display(row(formula(case.target, names), "=", formula(wrong, names))),
                    Paragraph(("What is wrong, and how can it be seen without computing anything?",)),
                ),
                (
                    Paragraph(
                        (
                            "The change flows backwards through ",
                            formula(matrix, names),
                            ", so its transpose appears: entry ",
                            plain_name("j"),
                            " of the state is multiplied by column ",
                            plain_name("j"),
                            " on the way forward, and collects from the same column on the way back. If ",
                            formula(matrix, names),
                            " were not square, the shapes would show it at once; for a square matrix only a check ",
                            "with numbers does.",
                        )
                    ),
                ),
                2,
                "exercise-transpose",
            )
            return


def _without(value: ast.Expression, transpose: ast.Transpose) -> ast.Expression:
    if value == transpose:
        return transpose.operand
    return ast.map_children(lambda child: _without(child, transpose), value)


def _shapes(derivation: Derivation) -> Iterator[Exercise]:
    """The shape of each factor of a gradient that is a product."""
    for key in derivation:
        gradient = derivation[key]
        value = gradient.equation.value
        body = value.body if isinstance(value, ast.Sum) else value
        if not isinstance(body, ast.Product) or len(body.factors) != 2 or not gradient.has_matrix_form:
            continue
        shape = derivation.forward.declaration(key).shape if "^" not in key else None
        if shape is None or len(shape) != 2:
            continue
        names = derivation.names
        left, right = body.factors
        yield Exercise(
            (
                Paragraph(
                    (
                        "Give the shape of each factor in ",
                        row(formula(gradient.equation.target, names), "=", formula(value, names)),
                        " and check that the product has the shape of the parameter.",
                    )
                ),
            ),
            (
                Paragraph(
                    (
                        formula(left, names),
                        " is a column with as many rows as ",
                        plain_name(key),
                        " has, ",
                        formula(right, names),
                        " a row with as many entries as ",
                        plain_name(key),
                        " has columns; their product is in ",
                        shape_formula(shape),
                        ".",
                    )
                ),
            ),
            1,
            "exercise-shapes",
        )
        return


def _chain(flow: Flow, derivation: Derivation) -> Iterator[Exercise]:
    names = derivation.names
    chain = flow.chain(sp.Integer(4), sp.Integer(1))
    expression = unrolled(chain.product, {}, flow.scope)
    left = formula(ast.Derivative(chain.of, chain.wrt), names)
    yield Exercise(
        (
            Paragraph(
                (
                    "Write ",
                    left,
                    " out as a product of matrices, newest factor on the left. How many factors are there?",
                )
            ),
        ),
        (
            Display(row(left, "=", formula(expression, names))),
            Paragraph(("Three steps lie between them, so there are three one-step factors.",)),
        ),
        2,
        "exercise-chain",
    )


def _bound(flow: Flow, derivation: Derivation) -> Iterator[Exercise]:
    """A number for the bound: sigmoid with σ_max = 3 over ten steps."""
    if not isinstance(flow.factor, ast.Product) or len(flow.factor.factors) != 2:
        return
    steepest, sigma, steps = 0.25, 3.0, 10
    yield Exercise(
        (
            Paragraph(
                (
                    "Replace the activation by the logistic sigmoid, whose slope is at most 1/4, and let the largest ",
                    "singular value of the recurrent ",
                    "matrix be 3. What does the bound say about ten steps? What does it say if that singular value ",
                    "is 5?",
                )
            ),
        ),
        (
            Display(
                row(
                    sup(paren(number(steepest), "cdot", number(sigma)), number(steps)),
                    "approx",
                    number(float((steepest * sigma) ** steps)),
                )
            ),
            Paragraph(
                (
                    "The gradient shrinks at least by that factor, on every trajectory. With 5 the bound is above 1 ",
                    "and says nothing: ",
                    "the gradient may grow or vanish.",
                )
            ),
        ),
        2,
        "exercise-bound",
    )


def _one_step(derivation: Derivation) -> Iterator[Exercise]:
    """Why a gradient may be small although the parameter matters, and the other way round."""
    if not derivation.flows:
        return
    yield Exercise(
        (
            Paragraph(
                (
                    "The recurrence ",
                    row(sup("h", "t"), "=", number(0.5), sup("h", row("t", "-", 1)), "+", "w"),
                    " starts at 0. Compute the derivative of ",
                    sup("h", 60),
                    " by ",
                    sup("h", 0),
                    " and by ",
                    plain_name("w"),
                    ". Does a vanishing chain mean a vanishing gradient?",
                )
            ),
        ),
        (
            Paragraph(
                (
                    "By ",
                    sup("h", 0),
                    f": one half to the power 60, about {0.5**60:.1e}. By ",
                    plain_name("w"),
                    f": the sum of all powers of one half up to the 59th, {float(np.sum(0.5 ** np.arange(60))):.6g}. ",
                    "No: the last uses of a parameter have ",
                    "short chains and keep its gradient large; what vanishes is the share of the distant past.",
                )
            ),
        ),
        3,
        "exercise-vanish",
    )
