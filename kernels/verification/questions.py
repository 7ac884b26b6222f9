"""Checking the closed form of a gradient, a Jacobian or a Hessian, as it is printed, against independent witnesses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from derive.check_step import relative_error
from derive.evaluate import bindings, draw, gather, run
from derive.evidence import Evidence
from derive.hessians import Hessian, SecondDerivative
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.system import Declaration, Equation
from derive.questions import Answer
from kernels.verification.report import Report, trial_sizes
from kernels.verification.twice import TWICE, TwicePoint
from kernels.verification.witnesses import WITNESSES

QUICK = ("autograd", "complex step", "differences", "autograd twice", "differences of autograd")
"""The witnesses that are installed everywhere; the others take seconds to import."""


def verify_question(asked: Answer | Hessian, seed: int = 0, *, quick: bool = False) -> Report:
    """First or second derivatives, whichever were asked for."""
    check = verify_hessian if isinstance(asked, Hessian) else verify_answer
    return check(asked, seed, quick=quick)  # pyright: ignore[reportArgumentType]


def verify_answer(answer: Answer, seed: int = 0, witnesses: Sequence[str] | None = None, quick: bool = False) -> Report:
    """Every closed form against each witness, which sees the expression alone; a Jacobian as Jᵀ g for a random g."""
    program = answer.system.program
    bound = bindings(program)
    chosen = [name for name in (witnesses or WITNESSES) if not quick or name in QUICK]
    present = [name for name in chosen if WITNESSES[name].is_available]
    trials = [draw(program, seed + k, sizes, bound) for k, sizes in enumerate(trial_sizes(program, seed))]
    found = [{key: closed_value(answer, key, *trial, bound) for key in answer} for trial in trials]
    stand_ins = sorted(f"{name} = {row}" for name, row in bound.items() if name not in dict(program.functions))
    note = f" ({', '.join(stand_ins)})" if stand_ins else ""
    records: list[Evidence] = []
    for name in present:
        witness = WITNESSES[name]
        truth = [witness.gradients(program, answer.system.loss, *trial, list(answer), bound) for trial in trials]
        for key in answer:
            errors = [relative_error(a[key], b[key]) for a, b in zip(found, truth, strict=True)]
            worst = int(np.argmax(errors))
            where = tuple(trials[worst][0].items())
            claim = f"{'Jacobian' if answer.seed_vector else 'gradient'} in {key}{note}"
            records.append(Evidence(claim, name, errors[worst], witness.tolerance, where, len(trials), seed))
    return Report(tuple(records), tuple(name for name in chosen if name not in present))


def verify_hessian(
    hessian: Hessian, seed: int = 0, witnesses: Sequence[str] | None = None, quick: bool = False
) -> Report:
    """Every second derivative times a random direction against witnesses that differentiate the expression twice."""
    answer = hessian.answer
    program = answer.system.program
    bound = bindings(program)
    chosen = [name for name in (witnesses or TWICE) if not quick or name in QUICK]
    present = [name for name in chosen if TWICE[name].is_available]
    trials = [draw(program, seed + k, sizes, bound) for k, sizes in enumerate(trial_sizes(program, seed))]
    records: list[Evidence] = []
    for (first, second), part in hessian.parts.items():
        pairs: dict[str, list[tuple[Any, Any]]] = {name: [] for name in present}
        for number, (sizes, values) in enumerate(trials):
            rng = np.random.default_rng(seed + number)
            direction = rng.normal(size=np.shape(values[first]))
            found = _applied(part, {**values, part.direction: direction}, sizes, bound)
            for name in present:
                point = TwicePoint(program, answer.system.loss, sizes, values, bound)
                pairs[name].append((found, TWICE[name].second(point, first, second, direction)))
        for name, each in pairs.items():
            errors = [relative_error(a, b) for a, b in each]
            worst = int(np.argmax(errors))
            where, claim = tuple(trials[worst][0].items()), f"second derivative in {first}, {second}"
            records.append(Evidence(claim, name, errors[worst], TWICE[name].tolerance, where, len(trials), seed))
    return Report(tuple(records), tuple(name for name in chosen if name not in present))


def _applied(
    part: SecondDerivative, values: Mapping[str, Any], sizes: Mapping[str, int], functions: Mapping[str, str]
) -> Any:
    """The second derivative times the direction: the matrix that is printed, or the form in the direction."""
    program, equation = part.derivation.program, part.applied
    shape = program.declaration(part.second).shape
    if part.matrix is not None:
        value = ast.Product((part.matrix, Access(part.direction)))
        equation = Equation(Access("claimed"), value)
    target = Access("claimed", (), equation.target.subscripts)
    program = replace(
        program,
        declarations=(*program.declarations, Declaration("claimed", "defined", shape)),
        equations=(*program.equations, replace(equation, target=target)),
    )
    return gather(program, run(program, sizes, values, functions=functions), Access("claimed"), sizes)


def closed_value(
    answer: Answer, key: str, sizes: Mapping[str, int], values: Mapping[str, Any], functions: Mapping[str, str]
) -> Any:
    """What the closed form is worth, as an array of the shape of ``key``."""
    equation = answer[key].equation
    value: Expression = equation.value
    if answer.seed_vector:
        value = ast.Product((ast.Transpose(value), Access(answer.seed_vector)))
    program = answer.derivation.program
    shape = program.declaration(key).shape
    if not shape and answer.seed_vector:
        value = ast.Inner(equation.value, Access(answer.seed_vector))
    target = Access("claimed", (), equation.target.subscripts)
    program = replace(
        program,
        declarations=(*program.declarations, Declaration("claimed", "defined", shape)),
        equations=(*program.equations, Equation(target, value, equation.ranges)),
    )
    return gather(program, run(program, sizes, values, functions=functions), Access("claimed"), sizes)
