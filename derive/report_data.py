"""Systems, derivations and evidence as data for other programs; docs/command-line.md lists the keys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp

from derive.catalogue import Entry
from derive.derivation import Derivation, Gradient
from derive.evidence import Evidence
from derive.formats import FORMATS
from derive.handout.formula import Formula
from derive.language.expression import smallest
from derive.language.printer import source
from derive.language.system import System
from derive.lesson.words import display
from derive.notation import Names, formula, integer_formula
from derive.overview import backward, chains, claim_formula, forward, needed, sentence, steps_of
from derive.parameters import parameters
from derive.trace import Step


def entry_data(entry: Entry) -> dict[str, Any]:
    """One entry of the catalogue."""
    return {"name": entry.name, "title": entry.title, "summary": entry.summary}


def derivation_data(derivation: Derivation, wrt: str | None = None) -> dict[str, Any]:
    """A derivation: what is declared, every equation, every gradient, every step, each formula as text and as LaTeX."""
    system, names = derivation.system, derivation.names
    keys = list(derivation) if wrt is None else [wrt]
    return {
        "name": system.name,
        "title": system.title,
        "sources": list(system.sources),
        "conventions": dict(system.conventions),
        "functions": dict(system.program.functions),
        "options": [
            {
                "name": option.name,
                "value": option.value,
                "choices": list(option.choices),
                "description": option.description,
            }
            for option in system.options
        ],
        "sizes": [size_data(system, size) for size in system.program.sizes],
        "definition": source(system),
        "parameters": parameters_data(system),
        "arrays": [
            {
                "name": entry.name,
                "role": {"learn": "learnt"}.get(entry.role, entry.role),
                "shape": [str(extent) for extent in entry.shape],
                "times": [[str(span.lower), str(span.upper)] for span in entry.superscripts],
                "description": entry.description,
            }
            for entry in system.program.declarations
        ],
        "forward": [formula_data(line) for line in forward(system, names)],
        "backward": [
            formula_data(line)
            for line in backward(derivation, "matrix", {array for key in keys for array in needed(derivation, key)})
        ],
        "gradients": {key: gradient_data(derivation, derivation[key]) for key in keys},
        "chains": [formula_data(line) for line in chains(derivation)],
        "steps": [step_data(step, names) for step in steps_of(derivation, wrt)],
    }


def parameters_data(system: System) -> dict[str, Any]:
    """How many numbers are learnt: formulas, and values where the default sizes tell them."""
    found = parameters(system)
    return {
        "weights": {**formula_data(integer_formula(found.weights.formula)), "value": found.weights.value},
        "all": {**formula_data(integer_formula(found.all.formula)), "value": found.all.value},
        "at": dict(found.sizes),
    }


def size_data(system: System, size: sp.Symbol) -> dict[str, Any]:
    """A size: what it counts, its smallest value, its default, and what it follows from where it does."""
    definition = dict(system.program.derived).get(size)
    return {
        "name": size.name,
        "description": dict(system.size_descriptions).get(size.name, ""),
        "smallest": smallest(size),
        "default": dict(system.defaults).get(size.name),
        "definition": None if definition is None else formula_data(integer_formula(definition)),
    }


def formula_data(shown: Formula) -> dict[str, str]:
    """A formula as text and as LaTeX."""
    return {"text": FORMATS["text"].display(shown), "latex": FORMATS["latex"].display(shown)}


def gradient_data(derivation: Derivation, gradient: Gradient) -> dict[str, Any]:
    """A gradient in both forms, and its shape."""
    declared = derivation.program.declaration(gradient.equation.target.name)
    return {
        "shape": [str(extent) for extent in declared.shape],
        "has_matrix_form": gradient.has_matrix_form,
        "matrix": formula_data(gradient.shown("matrix").formula),
        "index": formula_data(gradient.shown("index").formula),
    }


def step_data(step: Step, names: Names) -> dict[str, Any]:
    """A step with its details."""
    return {
        "id": step.id,
        "title": sentence(step.title, names, FORMATS["text"]),
        "rule": step.rule,
        "reason": sentence(step.reason, names, FORMATS["text"]),
        "lines": [formula_data(display((line,), names)) for line in step.lines],
        "claims": [
            {"kind": type(claim).__name__, **formula_data(claim_formula(claim, names))} for claim in step.claims
        ],
        "proof": [
            {"rule": line.rule, "reason": line.reason, **formula_data(formula(line.expression, names))}
            for line in step.proof
        ],
        "details": [step_data(detail, names) for detail in step.details],
    }


def evidence_data(
    system: System, seed: int, groups: Mapping[str, Sequence[Evidence]], missing: Sequence[str]
) -> dict[str, Any]:
    """Every comparison, by what was compared, and whether all of them passed."""
    records = [{"subject": subject, **_record(record)} for subject, group in groups.items() for record in group]
    return {
        "name": system.name,
        "title": system.title,
        "seed": seed,
        "passed": bool(records) and all(record["passed"] for record in records),
        "evidence": records,
        "not_installed": list(missing),
    }


def _record(record: Evidence) -> dict[str, Any]:
    """JSON has no word for infinite and undefined errors: they are null, and have not passed."""
    return {**record.as_dict(), "error": record.error if math.isfinite(record.error) else None}
