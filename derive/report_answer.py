"""The answer to a question without a file, as text for a terminal, as data, and as a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from derive.derivation import Derivation, Gradient
from derive.evidence import Evidence
from derive.formats import FORMATS
from derive.handout.formula import Formula, Space, Words, row
from derive.hessians import Hessian
from derive.language.expression import Access
from derive.language.system import STRUCTURES, Declaration
from derive.notation import definition, formula, plain_name, shape_formula
from derive.overview import steps_of
from derive.questions import Answer
from derive.report_data import formula_data, step_data
from derive.report_text import step_text
from derive.terminal import painted
from derive.trace import Step


def written_answer(
    asked: Answer | Hessian, evidence: Sequence[Evidence], notation: str = "text", steps: bool = False
) -> str:
    """What ``derive gradient`` prints."""
    style, answer = FORMATS[notation], _answer(asked)
    lines = [style.display(question(answer)), *(f"  {style.display(line)}" for line in declared(answer))]
    for shown, notes in results(asked):
        lines += ["", style.display(shown), *(f"  {style.display(note)}" for note in notes)]
    for title, derivation, told in derivations(asked) if steps else ():
        lines += ["", painted(style.comment.format(title), "bold")]
        for number, step in enumerate(told, start=1):
            lines += step_text(number, step, derivation.names, style)
    lines += ["", *(style.comment.format(line) for line in verdict_lines(evidence))] if evidence else []
    return "\n".join(lines)


def _answer(asked: Answer | Hessian) -> Answer:
    return asked.answer if isinstance(asked, Hessian) else asked


def results(asked: Answer | Hessian) -> Iterator[tuple[Formula, tuple[Formula, ...]]]:
    """Each derivative, and what is said below it."""
    if isinstance(asked, Hessian):
        for pair in asked:
            part = asked.parts[pair]
            note = () if part.matrix is not None else (_direction(part.direction, part.first, asked.answer),)
            yield asked[pair].shown().formula, note
    else:
        for key in asked:
            yield asked[key].shown().formula, tuple(beside(asked, key))


def _direction(name: str, key: str, answer: Answer) -> Formula:
    """Whatever the change V ∈ ℝ^{n×n} of X."""
    return row(
        Words("the change of the gradient with "),
        plain_name(key),
        Words(" in the direction "),
        plain_name(name),
        "in",
        shape_formula(answer.system.program.declaration(key).shape),
    )


def derivations(asked: Answer | Hessian) -> Iterator[tuple[str, Derivation, tuple[Step, ...]]]:
    """Each derivation that leads to the answer, under its title, with the steps that count."""
    answer = _answer(asked)
    wanted = {step.id for key in answer for step in steps_of(answer.derivation, key)}
    told = tuple(step for step in answer.steps if step.id in wanted)
    yield "Steps", answer.derivation, (*told, *answer.closing_steps)
    if isinstance(asked, Hessian):
        for (first, second), part in asked.parts.items():
            title = f"Steps: the gradient in {first}, times {part.direction}, differentiated by {second}"
            yield title, part.derivation, steps_of(part.derivation, second)


def question(answer: Answer) -> Formula:
    """f = aᵀ X b + log |det X|."""
    return row(answer.names.loss_letter, "=", formula(answer.value, answer.names))


def declared(answer: Answer) -> Iterator[Formula]:
    """What is declared, in the order in which it was."""
    for entry in answer.system.program.declarations:
        if entry.role != "defined" and entry.name != answer.seed_vector:
            yield row(definition(entry, answer.names), *_structure(entry))


def _structure(entry: Declaration) -> list[Formula]:
    return [Space("quad"), Words(entry.structure)] if entry.structure else []


def beside(answer: Answer, key: str) -> Iterator[Formula]:
    """The shape of a gradient; for a matrix with a structure, what is left within it."""
    gradient, entry = answer[key], answer.system.program.declaration(key)
    left = _target(gradient, answer)
    if answer.seed_vector:
        rows = answer.system.program.declaration(answer.seed_vector).shape
        yield row(left, "in", shape_formula((*rows, *(entry.shape or ()))))
    else:
        yield row(left, "in", shape_formula(entry.shape))
    if entry.structure:
        yield row(Words(f"among all entries of {key}; it is assumed that {STRUCTURES[entry.structure]}"))


def _target(gradient: Gradient, answer: Answer) -> Formula:
    return formula(Access(gradient.equation.target.name), answer.names)


def verdict_lines(evidence: Sequence[Evidence]) -> Iterator[str]:
    """Whether the answer is verified, by whom, and how closely."""
    failed = [record for record in evidence if not record.passed]
    witnesses = list(dict.fromkeys(record.witness for record in evidence))
    if failed:
        yield f"NOT VERIFIED: {len(failed)} of {len(evidence)} comparisons are beyond their tolerance."
        return
    told = [f"{name} {max(r.error for r in evidence if r.witness == name):.0e}" for name in witnesses]
    sizes = ", ".join(f"{name} = {extent}" for name, extent in evidence[0].sizes)
    yield f"verified: largest relative error by {', '.join(told)}" + (f" (for example at {sizes})" if sizes else "")


def answer_data(asked: Answer | Hessian, evidence: Sequence[Evidence]) -> dict[str, Any]:
    """The answer for other programs."""
    answer = _answer(asked)
    return {
        "expression": formula_data(question(answer)),
        "kind": "hessian" if isinstance(asked, Hessian) else "jacobian" if answer.seed_vector else "gradient",
        "arrays": [
            {"name": entry.name, "shape": [str(extent) for extent in entry.shape], "structure": entry.structure}
            for entry in answer.system.program.declarations
            if entry.role != "defined" and entry.name != answer.seed_vector
        ],
        "results": [
            {
                "wrt": list(key) if isinstance(key, tuple) else [key],
                "has_matrix_form": asked[key].has_matrix_form,  # pyright: ignore[reportArgumentType]
                **formula_data(shown),
            }
            for key, (shown, _) in zip(asked, results(asked), strict=True)
        ],
        "steps": [step_data(step, derivation.names) for _, derivation, told in derivations(asked) for step in told],
        "verified": bool(evidence) and all(record.passed for record in evidence),
        "evidence": [record.as_dict() for record in evidence],
    }
