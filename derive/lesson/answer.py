"""The answer to a question without a file as a handout: the question, the answer, the steps, the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from derive.derivation import Derivation
from derive.evidence import Evidence
from derive.handout.blocks import Block, Display, Document, EvidenceTable, Heading, Inline, Inlines, Note, Paragraph
from derive.hessians import Hessian
from derive.lesson.compose import step_block
from derive.questions import Answer
from derive.report_answer import declared, derivations, question, results

StepEvidence = Mapping[str, Sequence[Evidence]]


def answer_document(
    asked: Answer | Hessian, report: Sequence[Evidence], steps: Sequence[tuple[Derivation, StepEvidence]]
) -> Document:
    """The document; ``steps`` has the evidence of the steps of each derivation, in the order of ``derivations``."""
    answer = asked.answer if isinstance(asked, Hessian) else asked
    kind = "Hessian" if isinstance(asked, Hessian) else "Jacobian" if answer.seed_vector else "gradient"
    blocks: list[Block] = [Heading("The question", id="question"), Display(question(answer))]
    blocks += [Paragraph(_listed(answer)), Heading("The answer", id="answer")]
    for shown, notes in results(asked):
        blocks.append(Display(shown))
        blocks += [Paragraph((note,)) for note in notes]
    blocks.append(
        Note(
            "Conventions",
            (
                "Vectors are columns. A gradient has the shape of the array; a Jacobian has a row for each entry of ",
                "what is differentiated. A gradient in a matrix is among all its entries, also where the matrix is ",
                "assumed to be symmetric, diagonal or orthogonal.",
            ),
        )
    )
    each = zip(derivations(asked), steps, strict=True)
    for number, ((title, derivation, told), (_, evidence)) in enumerate(each):
        blocks.append(Heading(title))
        known = {**evidence, **{f"closed-{key}": _about(key, report) for key in answer}}
        made = [step_block(step, derivation, known) for step in told]
        blocks += [replace(block, id=f"{block.id}-{number}") if number else block for block in made]
    blocks += [
        Heading("How this was checked", id="checked"),
        EvidenceTable(tuple(report), ("The answer against independent witnesses.",), "evidence"),
    ]
    return Document(
        title=f"The {kind} of an expression",
        blocks=tuple(blocks),
        subtitle="Derived and checked",
        course="Handout",
        seed=report[0].seed if report else None,
    )


def _about(key: str, report: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """What the witnesses say about the closed form in one array."""
    return tuple(record for record in report if record.claim.partition(" (")[0].endswith(f" in {key}"))


def _listed(answer: Answer) -> Inlines:
    pieces: list[Inline] = []
    for line in declared(answer):
        pieces += [", " if pieces else "Here ", line]
    return (*pieces, ".")
