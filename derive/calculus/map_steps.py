"""The way back as a map of its own: the transpose of the way there, and what both have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import sympy as sp

from derive.calculus.adjoint import Adjoint, Contribution
from derive.calculus.implied import readable
from derive.calculus.positions import (
    accesses_in,
    conditions_in,
    equation_of,
    is_adjoint,
    sums_in,
)
from derive.calculus.symbols import coefficient_of, symbols_in
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Access, Divides, Expression, Integer
from derive.trace import AdjointIdentity, Line, Sentence, Step


def map_steps(found: Adjoint, key: str, walk: Walk) -> Iterator[Step]:
    """A step for each stage that is affine in the array and reads it, or another, at positions of several indices."""
    is_start = found.array.superscripts != found.equation.target.superscripts
    if found.has_matrix_form or is_start:
        return
    for number, contribution in enumerate(found.contributions, start=1):
        tail = f"-{number}" if len(found.contributions) > 1 else ""
        if not _is_linear_map(contribution, found, walk):
            continue
        if contribution.scattered is not None:
            yield _transposed_step(f"transposed-{key}{tail}", contribution, found, walk)
        elif exchanged := list(_exchanged(contribution, found)):
            yield _exchanged_step(f"exchanged-{key}{tail}", contribution, exchanged, found, walk)


def _is_linear_map(contribution: Contribution, found: Adjoint, walk: Walk) -> bool:
    """The stage is affine in the array and its output has an adjoint that is an array."""
    is_affine = not contribution.partial.has(sp.IndexedBase(found.array.name))
    forward = equation_of(contribution, walk)
    is_map = forward is not None and not isinstance(forward.value, ast.Maximum)
    return is_affine and contribution.stage.name in walk.names and is_map


def _identity(contribution: Contribution, found: Adjoint, walk: Walk) -> AdjointIdentity:
    forward = equation_of(contribution, walk)
    assert forward is not None
    backward = replace(found.index_equation, value=contribution.value)
    if not found.array.superscripts:
        backward = replace(backward, target=replace(backward.target, superscripts=()))
    return AdjointIdentity(forward, backward, found.array.name, walk.names[contribution.stage.name])


def _transposed_step(name: str, contribution: Contribution, found: Adjoint, walk: Walk) -> Step:
    identity = _identity(contribution, found, walk)
    back = readable(identity.backward, walk.scope)
    out, array, seed = Access(identity.forward.target.name), Access(found.array.name), Access(identity.cotangent)
    others = [Access(n) for n in dict.fromkeys(a.name for a in accesses_in(back.value)) if not is_adjoint(n, walk)]
    kernels = _windows(back.value, others)
    upsampled = any(isinstance(c, Divides) for c in conditions_in(identity.forward.value))
    kind = "a convolution again" if upsampled else "the transposed convolution"
    title = f"The way back as a map: {kind if kernels else 'the transpose'}"
    same: Sentence = ("with the same ", *_listed(kernels)) if kernels else ("with the same coefficients",)
    ending = (", it is " if upsampled else ", it is called ") + kind if kernels else ""
    return Step(
        name,
        (title,),
        "adjoint identity",
        (
            out, " is affine in ", array, ", and the way back is linear in ", seed, ": it is the transpose of the way ",
            "there. Taken as an equation of its own, ", *same, ", in which what was written is read and what was read ",
            f"is written{ending}.",
        ),
        identity.forward.target,
        back.value,
        (Line((identity.forward.target, identity.forward.value)), Line((back.target, back.value))),
        claims=(identity,),
    )  # fmt: skip


def _windows(value: Expression, others: Sequence[Access]) -> list[Access]:
    """The arrays with an axis over which the way back sums, as over a window."""
    summed = {r.index for r in sums_in(value)}
    names = {other.name for other in others}
    return [
        other
        for other in others
        if any(a.name == other.name and a.name in names and summed & set(a.subscripts) for a in accesses_in(value))
    ]


def _exchanged(contribution: Contribution, found: Adjoint) -> Iterator[tuple[Access, Integer, sp.Symbol, sp.Symbol]]:
    """(array, position, its index that is summed, its index that stands still) for each position of several indices."""
    summed = {r.index for r in sums_in(contribution.value)}
    free = {r.index for r in found.index_equation.ranges}
    for access in accesses_in(contribution.value):
        for position in access.subscripts:
            inside = symbols_in(position)
            runs, stays = sorted(inside & summed, key=str), sorted(inside & free, key=str)
            if len(runs) == len(stays) == 1 and not isinstance(position, sp.Symbol):
                yield access, position, runs[0], stays[0]


def _exchanged_step(
    name: str,
    contribution: Contribution,
    exchanged: Sequence[tuple[Access, Integer, sp.Symbol, sp.Symbol]],
    found: Adjoint,
    walk: Walk,
) -> Step:
    identity = _identity(contribution, found, walk)
    back = readable(identity.backward, walk.scope)
    read = exchanged[0][0]
    strides = list(dict.fromkeys(coefficient_of(stays, sp.expand(p)) for _, p, _, stays in exchanged))
    dilations = list(dict.fromkeys(coefficient_of(runs, sp.expand(p)) for _, p, runs, _ in exchanged))
    there = [ast.SizeValue(s) for s in dict.fromkeys(stays for *_, stays in exchanged)]
    here = [ast.SizeValue(s) for s in dict.fromkeys(runs for *_, runs, _ in exchanged)]
    swapped: Sentence = ()
    if strides != dilations and all(step.is_integer and step.is_positive for step in (*strides, *dilations)):
        swapped = (
            ", in which stride and dilation have changed places: ", *_listed([ast.SizeValue(s) for s in strides]),
            " is now the stride, ", *_listed([ast.SizeValue(s) for s in dilations]), " the dilation",
        )  # fmt: skip
    return Step(
        name,
        ("The gradient with respect to ", Access(found.array.name), " as a correlation"),
        "adjoint identity",
        (
            "Both lines read ", read, ". In the first ", *_listed(here),
            " stand still and " if len(here) > 1 else " stands still and ", *_listed(there),
            f" {'run' if len(there) > 1 else 'runs'}, in the second it is the other way round: a correlation of ",
            Access(read.name), " with ",
            Access(identity.cotangent), *swapped, ".",
        ),
        identity.forward.target,
        back.value,
        (Line((identity.forward.target, identity.forward.value)), Line((back.target, back.value))),
        claims=(identity,),
    )  # fmt: skip


def _listed(items: Sequence[Expression]) -> Sentence:
    return tuple(
        piece
        for number, item in enumerate(items)
        for piece in ([", " if number < len(items) - 1 else " and "] if number else []) + [item]
    )
