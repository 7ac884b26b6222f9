"""Checking a derivation: its gradient program and its kernel against every witness at several sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import prod
from typing import Any, Protocol

import numpy as np

from derive.check_step import relative_error
from derive.evaluate import (
    EvaluationError,
    bindings,
    completed,
    draw,
    draw_sizes,
    fits,
    gather,
    input_shape,
    inputs,
    is_selective,
    run,
    work,
)
from derive.evidence import Evidence
from derive.language.expression import Access, smallest
from derive.language.system import Program, System
from kernels.verification.objective import Arrays, Gradients
from kernels.verification.witnesses import WITNESSES

Kernel = Callable[[Mapping[str, int], Arrays], Mapping[str, Any]]
"""A compiled gradient: (sizes, inputs) -> the gradients by key."""


class Derived(Protocol):
    """What is checked: a system, the program that computes its gradients, and where in it each gradient stands."""

    @property
    def system(self) -> System:
        """The system as its author gave it."""
        ...

    @property
    def program(self) -> Program:
        """Forward and gradient equations."""
        ...

    @property
    def gradients(self) -> Mapping[str, Access]:
        """For each input key the array that holds its gradient."""
        ...


@dataclass(frozen=True)
class Report:
    """Every comparison that was made, and the witnesses that are not installed."""

    evidence: tuple[Evidence, ...]
    missing: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Evidence]:
        return iter(self.evidence)

    def __len__(self) -> int:
        return len(self.evidence)

    @property
    def passed(self) -> bool:
        """Something was compared, and every comparison is within its tolerance."""
        return bool(self.evidence) and all(record.passed for record in self.evidence)

    def table(self) -> str:
        """One line a comparison, in columns."""
        rows = [_COLUMNS, *(_cells(record) for record in self.evidence)]
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, *(f"not installed: {name}" for name in self.missing)])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(cell)}</th>" for cell in _COLUMNS)
        body = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in _cells(record)) + "</tr>"
            for record in self.evidence
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


_COLUMNS = ("claim", "witness", "error", "tolerance", "points", "sizes", "verdict")


def _cells(record: Evidence) -> tuple[str, ...]:
    sizes = ", ".join(f"{name} = {extent}" for name, extent in record.sizes)
    verdict = "passed" if record.passed else "FAILED"
    return (
        record.claim,
        record.witness,
        f"{record.error:.1e}",
        f"{record.tolerance:.0e}",
        str(record.points),
        sizes,
        verdict,
    )


def verify(
    derivation: Derived,
    seed: int = 0,
    *,
    witnesses: Sequence[str] | None = None,
    sizes: Sequence[Mapping[str, int]] | None = None,
    functions: Mapping[str, str] | None = None,
    kernel: Kernel | None = None,
) -> Report:
    """The derived gradients, and the kernel's if given, against each witness: one record for each gradient and witness.

    A record's error is the largest over all ``sizes`` (by default those of ``trial_sizes``), and its sizes are those
    where it occurred.
    """
    forward = derivation.system.program
    bound = bindings(forward, functions)
    chosen = list(WITNESSES if witnesses is None else witnesses)
    present = [name for name in chosen if WITNESSES[name].is_available]
    trials = [
        draw(forward, seed + k, extents, bound)
        for k, extents in enumerate(trial_sizes(forward, seed) if sizes is None else sizes)
    ]
    wrt = list(derivation.gradients)
    stand_ins = sorted(f"{name} = {row}" for name, row in bound.items() if name not in dict(forward.functions))
    note = f" ({', '.join(stand_ins)})" if stand_ins else ""
    subjects: dict[str, list[Gradients]] = {
        "": [derived_gradients(derivation, extents, values, bound) for extents, values in trials]
    }
    if kernel is not None:
        subjects["kernel: "] = [dict(kernel(extents, values)) for extents, values in trials]
    records: list[Evidence] = []
    for name in present:
        witness = WITNESSES[name]
        truth = [witness.gradients(forward, derivation.system.loss, *trial, wrt, bound) for trial in trials]
        for prefix, found in subjects.items():
            for key in wrt:
                errors = [relative_error(a.get(key), b[key]) for a, b in zip(found, truth, strict=True)]
                worst = int(np.argmax(errors))  # the first NaN, where there is one
                records.append(
                    Evidence(
                        f"{prefix}gradient in {key}{note}",
                        name,
                        errors[worst],
                        witness.tolerance,
                        tuple(trials[worst][0].items()),
                        len(trials),
                        seed,
                    )
                )
    return Report(tuple(records), tuple(name for name in chosen if name not in present))


def derived_gradients(
    derivation: Derived, sizes: Mapping[str, int], values: Arrays, functions: Mapping[str, str]
) -> Gradients:
    """The gradients that the derived program computes, by key."""
    results = run(derivation.program, sizes, values, functions=functions)
    return {key: gather(derivation.program, results, access, sizes) for key, access in derivation.gradients.items()}


MOST = 200_000
"""The effort that a check at equal sizes may take: about a second."""


def trial_sizes(program: Program, seed: int) -> list[dict[str, int]]:
    """Sizes to check at: distinct, one time step, all equal, all 1, none of what may be none, as far as shapes fit."""
    drawn = draw_sizes(program, seed)
    distinct = {symbol.name: drawn[symbol.name] for symbol in program.independent}
    bounds = [
        bound for item in program.declarations for span in item.superscripts for bound in (span.lower, span.upper)
    ]
    in_time = {str(symbol) for bound in bounds for symbol in bound.free_symbols}
    candidates = [
        distinct,
        {name: 1 if name in in_time else extent for name, extent in distinct.items()},
        next((equal for n in (3, 2) if effort(program, equal := dict.fromkeys(distinct, n)) <= MOST), distinct),
        dict.fromkeys(distinct, 1),
        {symbol.name: distinct[symbol.name] if smallest(symbol) else 0 for symbol in program.independent},
    ]
    if is_selective(program):  # X'X of a wide X has no inverse: such sizes say nothing
        shuffled = [draw_sizes(program, seed + k) for k in range(1, 20)]
        candidates = [t for t in [*candidates, *shuffled] if fits(program, t) and _has_inputs(program, t, seed)][:4]
    unique = [trial for k, trial in enumerate(candidates) if trial not in candidates[:k]]
    return [completed(program, trial) for trial in unique if fits(program, trial)]


def effort(program: Program, sizes: Mapping[str, int]) -> int:
    """About how much is looked at by a witness that runs ``program`` once for every entry of its inputs."""
    if not fits(program, sizes):
        return 0
    known = completed(program, sizes)
    return work(program, known) * sum(prod(input_shape(program, key, known)) for key in inputs(program))


def _has_inputs(program: Program, sizes: Mapping[str, int], seed: int) -> bool:
    try:
        draw(program, seed, sizes)
    except EvaluationError:
        return False
    return True
