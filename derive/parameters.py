"""How many numbers a system learns: as a formula in its sizes, and as a number where the default sizes say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from derive.evaluate import EvaluationError, integer
from derive.language.expression import Integer
from derive.language.system import Declaration, Program, System


@dataclass(frozen=True)
class Amount:
    """A number of parameters: a formula in sizes, and its value at the default sizes if these tell it."""

    formula: Integer
    value: int | None


@dataclass(frozen=True)
class Parameters:
    """The weights, in arrays with two axes or more, and everything that is learnt, biases too."""

    weights: Amount
    all: Amount
    sizes: tuple[tuple[str, int], ...]
    """The default sizes that the values are for; empty where there are no values."""


def parameters(system: System) -> Parameters:
    """How much a system learns.

    >>> from derive.catalogue import load
    >>> parameters(load("elman")).all.formula
    d*n + n**2 + n
    >>> parameters(load("autoencoder")).weights.value
    2833000
    """
    learnt = [entry for entry in system.program.declarations if entry.role == "learn"]
    known = _known(system.program, dict(system.defaults))
    weights, every = (
        _amount(chosen, known) for chosen in ([entry for entry in learnt if len(entry.shape) > 1], learnt)
    )
    needed = {str(symbol) for symbol in every.formula.free_symbols}
    sizes = tuple((name, value) for name, value in known.items() if name in needed)
    return Parameters(weights, every, sizes if every.value is not None else ())


def _amount(entries: Sequence[Declaration], known: Mapping[str, int]) -> Amount:
    total: Integer = sp.Add(*(_entries(entry) for entry in entries))
    try:
        value = integer(total, known)
    except EvaluationError:
        return Amount(total, None)
    return Amount(total, value)


def _entries(entry: Declaration) -> Integer:
    """How many numbers an array holds, all of its steps together."""
    steps = (span.upper - span.lower + 1 for span in entry.superscripts)
    return sp.expand(sp.Mul(*entry.shape, *steps))


def _known(program: Program, defaults: Mapping[str, int]) -> dict[str, int]:
    """The default sizes and those derived from them."""
    known = dict(defaults)
    for symbol, definition in program.derived:
        try:
            known[str(symbol)] = integer(definition, known)
        except EvaluationError:
            continue
    return known
