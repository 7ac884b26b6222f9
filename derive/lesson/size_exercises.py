"""Exercises about sizes: how many outputs there are for given numbers, and how many weights; answers computed."""

from __future__ import annotations

from collections.abc import Iterator

import sympy as sp

from derive.calculus.size_steps import grouped
from derive.derivation import Derivation
from derive.evaluate import completed, fits, integer
from derive.handout.blocks import Display, Exercise, Paragraph
from derive.handout.formula import row
from derive.language.expression import Access
from derive.language.system import Program
from derive.lesson.windows import Windowed, windowed
from derive.lesson.words import listed
from derive.notation import formula, integer_formula, plain_name
from derive.parameters import parameters

PLAIN = 4
"""A size that is no length, such as a number of channels, in a question about sizes."""


TRIED = ((11, 3, 2, 1), (10, 3, 3, 0), (12, 4, 2, 1), (9, 2, 2, 0))
"""Lengths, windows, strides and paddings that are tried until the numbers fit and a division leaves a rest."""


def size_exercise(derivation: Derivation) -> Iterator[Exercise]:
    """How many outputs there are for given numbers."""
    program = derivation.forward
    if not program.derived:
        return
    symbol, value = program.derived[-1]
    needed = _needed(program, symbol)
    for number, sizes in enumerate(_numbers(program, derivation)):
        if not fits(program, sizes):
            continue
        found = completed(program, sizes)
        if found[symbol.name] < 2 and number < len(TRIED) - 1:
            continue
        told = [row(plain_name(name), "=", sizes[name]) for name in sizes if name in needed]
        shown_value = grouped(value) if value.func is not sp.floor else value
        substituted = [s for s in needed if s in sizes]
        answer = row(plain_name(symbol.name), "=", integer_formula(shown_value), "=", found[symbol.name])
        yield Exercise(
            (Paragraph(("How large is ", plain_name(symbol.name), " for ", *listed([(one,) for one in told]), "?")),),
            (Display(answer if substituted else row(plain_name(symbol.name), "=", found[symbol.name])),),
            1,
            "exercise-size",
        )
        return


def _needed(program: Program, symbol: sp.Symbol) -> list[str]:
    """The independent sizes of which a derived one is made."""
    derived = dict(program.derived)
    names = {str(part) for part in derived[symbol].free_symbols}
    for other in reversed(program.derived):
        if str(other[0]) in names:
            names = names - {str(other[0])} | {str(part) for part in other[1].free_symbols}
    return sorted(names)


def _numbers(program: Program, derivation: Derivation) -> Iterator[dict[str, int]]:
    windows = windowed(program)
    usual = dict(derivation.system.defaults)
    for length, extent, stride, margin in TRIED:
        sizes = {symbol.name: usual.get(symbol.name, PLAIN) for symbol in program.independent}
        for window in windows:
            for axis in window.axes:
                along = program.declaration(window.array).shape[axis.place].free_symbols
                sizes |= {str(symbol): length for symbol in along if str(symbol) in sizes and str(symbol) not in usual}
                sizes |= dict.fromkeys(axis.margins & sizes.keys() & usual.keys(), margin)
                sizes |= {name: extent for name in axis.extents & sizes.keys() if name not in usual}
                sizes |= dict.fromkeys(axis.strides - axis.extents & sizes.keys(), stride)
        yield sizes


def count_exercise(derivation: Derivation, window: Windowed) -> Iterator[Exercise]:
    """How many numbers are learnt, and how many a matrix without structure would have."""
    found = parameters(derivation.system)
    if found.all.formula == 0 or not window.weights:
        return
    for sizes in _numbers(derivation.forward, derivation):
        if not fits(derivation.forward, sizes):
            continue
        known = completed(derivation.forward, sizes)
        shapes = [derivation.forward.declaration(n).shape for n in (window.equation.target.name, window.array)]
        entries = [integer(sp.Mul(*shape), known) for shape in shapes]
        weights = sum(integer(sp.Mul(*derivation.forward.declaration(n).shape), known) for n in window.weights)
        names = derivation.names
        of, wrt = (formula(Access(n), names) for n in (window.equation.target.name, window.array))
        letters = dict.fromkeys(
            str(s)
            for n in (*window.weights, window.array)
            for e in derivation.forward.declaration(n).shape
            for s in e.free_symbols
        )
        told = [(row(plain_name(name), "=", known[name]),) for name in letters]
        yield Exercise(
            (
                Paragraph((
                    "How many weights are there for ", *listed(told), "? How many would a matrix from all entries of ",
                    wrt, " to all entries of ", of, " have?",
                )),
            ),
            (
                Paragraph((
                    f"{weights:,} weights. ", of, f" has {entries[0]:,} entries and ", wrt, f" has {entries[1]:,}, so "
                    f"a matrix without structure would have {entries[0] * entries[1]:,}.",
                )),
            ),
            1,
            "exercise-count",
        )  # fmt: skip
        return
