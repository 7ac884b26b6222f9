"""A program changed so that a witness can differentiate by, or from, arrays in its middle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sympy as sp

from derive.evaluate import Results, integer
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.system import Declaration, Equation, Program


def place_of(access: Access, sizes: Mapping[str, int]) -> tuple[str, tuple[int, ...]]:
    """The key among the results of an access at known times."""
    return access.name, tuple(integer(position, sizes) for position in access.superscripts)


def with_probe(program: Program, equation: Equation) -> tuple[Program, str]:
    """The program with an input added to one equation, and its name: at zero, ∂loss/∂input is ∂loss/∂target."""
    name = f"probe_{equation.target.name}"
    declaration = replace(program.declaration(equation.target.name), name=name, role="given", zero_outside=False)
    probe = Access(name, equation.target.superscripts, equation.target.subscripts)
    moved = replace(equation, value=ast.Add((equation.value, probe)))
    equations = tuple(moved if e is equation else e for e in program.equations)
    return replace(program, declarations=(*program.declarations, declaration), equations=equations), name


def cut(
    program: Program, last: Mapping[str, int], results: Results, sizes: Mapping[str, int]
) -> tuple[Program, dict[str, Any]]:
    """The program in which each state up to its ``last`` time is an input ``past_…``, and these inputs."""
    given: dict[str, Any] = {}
    for name, end in last.items():
        equation = next(e for e in program.equations if e.target.name == name)
        span = equation.ranges[0]
        past = f"past_{name}"
        after = ast.Guard((ast.Within(span.index, sp.Integer(end + 1), span.upper),), equation.value)
        before = ast.Guard((ast.Within(span.index, span.lower, sp.Integer(end)),), Access(past, (span.index,)))
        moved = replace(equation, value=ast.Add((after, before)))
        declared = Declaration(past, "given", program.declaration(name).shape, (span,))
        program = replace(
            program,
            declarations=(*program.declarations, declared),
            equations=tuple(moved if e is equation else e for e in program.equations),
        )
        times = range(integer(span.lower, sizes), integer(span.upper, sizes) + 1)
        given[past] = np.stack([results[name, (t,)] for t in times])
    return program, given


def input_of(access: Access, program: Program, sizes: Mapping[str, int]) -> tuple[str, int | None]:
    """Where a state at one time stands among the inputs of a cut program: a start, or a row of ``past_…``."""
    name, position = place_of(access, sizes)
    starts = {place_of(start.access, sizes): start.key for start in program.starts}
    if (name, position) in starts:
        return starts[name, position], None
    return f"past_{name}", position[0] - integer(program.declaration(name).superscripts[0].lower, sizes)


def contracted(
    program: Program, of: Sequence[Access], cotangents: Sequence[Any]
) -> tuple[Program, str, dict[str, Any]]:
    """The program with the scalar Σ ⟨c, of⟩ in it, the scalar's name, and the inputs c."""
    seeds: dict[str, Any] = {}
    declarations: list[Declaration] = []
    terms: list[Expression] = []
    for number, (access, cotangent) in enumerate(zip(of, cotangents, strict=True)):
        name = f"cotangent{number}"
        declarations.append(Declaration(name, "given", program.declaration(access.name).shape))
        terms.append(ast.Inner(Access(name), access))
        seeds[name] = cotangent
    loss = "contracted_state"
    total = terms[0] if len(terms) == 1 else ast.Add(tuple(terms))
    program = replace(
        program,
        declarations=(*program.declarations, *declarations, Declaration(loss, "defined", ())),
        equations=(*program.equations, Equation(Access(loss), total)),
    )
    return program, loss, seeds
