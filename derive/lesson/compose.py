"""A derivation as a handout: the model, the walk back, the chain, an example, the kernel, the evidence, exercises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from derive.calculus.size_steps import SIZE_STEP
from derive.derivation import Derivation
from derive.evidence import Evidence
from derive.handout.blocks import (
    Block,
    CodeText,
    Display,
    Document,
    Heading,
    Inlines,
    Listing,
    Paragraph,
    Step,
)
from derive.handout.formula import Aligned, Formula, Operator, Row, Space, row
from derive.language.expression import Access, Derivative, Expression
from derive.lesson.by_entry import worked_by_entry
from derive.lesson.chains import chain_section
from derive.lesson.checked import checked_section
from derive.lesson.example import Example, aligned, backward_lines, forward_lines, given_lines, gradient_lines
from derive.lesson.exercises import exercises
from derive.lesson.matrices import matrix_section
from derive.lesson.model import model_section
from derive.lesson.neuron import scalar_section
from derive.lesson.norms import norm_section
from derive.lesson.outside import as_read, is_told, step_as_read
from derive.lesson.program import program_text
from derive.lesson.sample import is_by_entry
from derive.lesson.words import display, inlines, listed
from derive.notation import formula, plain_name, shape_formula
from derive.trace import Step as Move


def handout(
    derivation: Derivation,
    *,
    step_evidence: Mapping[str, Sequence[Evidence]],
    report: Sequence[Evidence],
    kernel_source: str,
    example: Example,
) -> Document:
    """The whole handout; ``step_evidence`` is the evidence of each step by its id, ``report`` that of the gradients."""
    size_moves = [move for move in derivation.steps if move.id.startswith(SIZE_STEP)]
    walk_moves = [m for m in derivation.steps if m not in size_moves and not _is_about_chain(m, derivation)]
    blocks: list[Block] = [
        *model_section(derivation, example),
        *(step_block(move, derivation, step_evidence) for move in size_moves),
        Heading("Backwards through the equations", id="backwards"),
        *_backwards_introduction(derivation),
        *(step_block(move, derivation, step_evidence) for move in walk_moves),
        *_summary(derivation),
    ]
    for flow in derivation.flows:
        moves = [
            move
            for move in derivation.steps
            if move.id.endswith(f"-{flow.state.name}") and _is_about_chain(move, derivation)
        ]
        blocks += chain_section(flow, moves, derivation, step_evidence, step_block)
        blocks += scalar_section(flow, derivation)
        blocks += norm_section(flow, derivation, example)
    blocks += matrix_section(derivation, example)
    blocks += _worked(derivation, example)
    blocks += _kernel(derivation, kernel_source, example)
    blocks += checked_section(step_evidence, report)
    asked = exercises(derivation, example)
    blocks += [Heading("Exercises", id="exercises"), asked] if asked.exercises else []
    return Document(
        title=f"{derivation.system.title}",
        blocks=tuple(blocks),
        subtitle="The gradient, derived, checked and compiled",
        course="Handout",
        source="; ".join(derivation.system.sources),
        seed=report[0].seed if report else None,
    )


def _is_about_chain(move: Move, derivation: Derivation) -> bool:
    return any(move.id.endswith(f"-{flow.state.name}") for flow in derivation.flows) and (
        move.id.startswith(("one-step-", "chain-", "differential-", "closed-form-", "induction-", "vec-"))
    )


def step_block(move: Move, derivation: Derivation, evidence: Mapping[str, Sequence[Evidence]]) -> Step:
    """One step of the trace as a block, its details inside."""
    names = derivation.names
    move = _as_read(move, derivation)
    return Step(
        title=inlines(move.title, names),
        formula=display(move.lines, names),
        reason=inlines(move.reason, names),
        evidence=tuple(evidence.get(move.id, ())),
        details=tuple(_detail(detail, derivation, evidence) for detail in move.details),
        id=move.id,
    )


def _as_read(move: Move, derivation: Derivation) -> Move:
    """The move as it is read where what lies outside an array counts as zero."""
    if not is_told(derivation.system):
        return move
    return step_as_read(move, {item.name: item for item in derivation.program.declarations})


def _detail(move: Move, derivation: Derivation, evidence: Mapping[str, Sequence[Evidence]]) -> Block:
    move = _as_read(move, derivation)
    return Step(
        title=inlines(move.title, derivation.names),
        formula=display(move.lines, derivation.names),
        reason=inlines(move.reason, derivation.names),
        evidence=tuple(evidence.get(move.id, ())),
    )


def _backwards_introduction(derivation: Derivation) -> list[Block]:
    names = derivation.names
    deltas = [name for name in derivation.walk.names.values() if name.startswith("delta_")]
    in_time = any(item.superscripts for item in derivation.forward.declarations)
    found: list[Block] = [
        Paragraph(
            (
                "We go through the equations from the last to the first. For each array we ask which later equations ",
                "read it, and add up ",
                "what flows back from each of them.",
                " Time is one more index: nothing below is special to sequences." if in_time else "",
            )
        )
    ]
    if deltas:
        accesses = []
        for adjoint in derivation.walk.adjoints:
            if adjoint.equation.target.name in deltas:
                left = formula(Access(adjoint.equation.target.name, adjoint.array.superscripts), names)
                right = formula(Derivative(Access(derivation.system.loss), adjoint.array), names)
                accesses.append((row(left, "=", right),))
        found.append(Paragraph(("We write ", *listed(accesses), ".")))
    return found


def _read(value: Expression, derivation: Derivation) -> Expression:
    """The value as it is read where what lies outside an array counts as zero."""
    shapes = {item.name: item for item in derivation.program.declarations}
    return as_read(value, shapes) if is_told(derivation.system) else value


def _summary(derivation: Derivation) -> list[Block]:
    """The gradients of all parameters and initial states, one below the other."""
    names = derivation.names
    lines: list[tuple[Formula, Formula]] = []
    for gradient in (*derivation.shared, *derivation.values()):
        declaration = derivation.forward.declaration(gradient.key.partition("^")[0])
        if declaration.role == "given":
            continue
        value = formula(_read(gradient.equation.value, derivation), names, gradient.equation.ranges)
        shape = row("in", shape_formula(declaration.shape))
        lines.append((formula(gradient.equation.target, names), row("=", value, "quad", shape)))
    if not lines:
        return []
    shown = Aligned(tuple(lines)) if len(lines) > 1 else row(*lines[0])
    return [Paragraph(("All gradients together, each with the shape of its parameter:",)), Display(shown, "summary")]


# The example, the kernel --------------------------------------------------------------------------------


def _worked(derivation: Derivation, example: Example) -> list[Block]:
    sizes = [row(plain_name(name), "=", extent) for name, extent in example.sizes.items()]
    if is_by_entry(derivation):
        words = (
            "With ",
            *listed([(one,) for one in sizes]),
            ". Axes of length 1 are not shown. ",
        )
        exactly = "All numbers are exact unless the sign ≈ says that they are rounded."
        return [Heading("A worked example", id="example"), Paragraph((*words, exactly)), *worked_by_entry(example)]
    given = [(row(left, "=", right),) for left, right in given_lines(example)]
    blocks: list[Block] = [
        Heading("A worked example", id="example"),
        Paragraph(
            (
                "With ",
                *listed([(one,) for one in sizes]),
                ". Every number below is computed without rounding and shown with three decimals. Take",
            )
        ),
        *_given_display(given),
    ]
    sections = (
        ("Forward", "Every equation with its numbers put in:", forward_lines(example)),
        ("Backward", "From the loss to the first step:", backward_lines(example)),
        ("Gradients", "Each use of a parameter is one term:", [[line] for line in gradient_lines(example)]),
    )
    for title, words, groups in sections:
        if groups:
            blocks += [Heading(title, 2), Paragraph((words,)), *(Display(aligned(group)) for group in groups)]
    return blocks


def _given_display(given: Sequence[Inlines]) -> list[Block]:
    """The given arrays, a few on a line."""
    found: list[Block] = []
    per_line = 4
    for begin in range(0, len(given), per_line):
        pieces: list[Formula] = []
        for number, item in enumerate(given[begin : begin + per_line]):
            if number:
                pieces += [Operator(","), Space("quad")]
            pieces += [part for part in item if not isinstance(part, str)]  # type: ignore[misc]
        found.append(Display(Row(tuple(pieces))))
    return found


_KERNEL_IN_TIME = (
    "; products of all time steps at once stand outside the loops over time, and only what depends on the step before "
    "or after stands inside."
)


LONGEST_LISTING = 90
"""Lines of source that a handout prints."""


def _kernel(derivation: Derivation, source: str, example: Example) -> list[Block]:
    if not source:
        return []
    in_time = any(item.superscripts for item in derivation.forward.declarations)
    count = source.count("\n")
    listing: list[Block] = [Listing(source, "python", ("The compiled kernel's source.",), "listing")]
    if count > LONGEST_LISTING:
        command = CodeText(f"derive kernel {derivation.system.name or 'FILE'}")
        listing = [Paragraph((f"Its {count:,} lines are left out here; ", command, " prints them."))]
    return [
        Heading("The kernel", id="kernel"),
        Paragraph(
            (
                "The same equations as a program. Each block names the equation that it computes",
                _KERNEL_IN_TIME if in_time else ".",
            )
        ),
        *listing,
        Paragraph(("To compile and run it on the numbers of the worked example:",)),
        Listing(program_text(derivation, example), "python", ("The worked example, run.",), "run", runnable=True),
    ]
