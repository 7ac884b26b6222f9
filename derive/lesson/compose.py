"""A derivation as a handout: the model, the walk back, the chain, an example, the kernel, the evidence, exercises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from derive.derivation import Derivation
from derive.evidence import Evidence
from derive.handout.blocks import (
    Block,
    Display,
    Document,
    Heading,
    Inlines,
    Listing,
    Note,
    Paragraph,
    Step,
    Table,
)
from derive.handout.formula import Aligned, Formula, Function, Operator, Row, Space, row
from derive.language.expression import Access, Derivative
from derive.language.functions import FUNCTIONS
from derive.language.system import Declaration, Program
from derive.lesson.chains import chain_section
from derive.lesson.checked import checked_section
from derive.lesson.example import Example, aligned, backward_lines, forward_lines, given_lines, gradient_lines
from derive.lesson.exercises import exercises
from derive.lesson.neuron import scalar_section
from derive.lesson.norms import norm_section
from derive.lesson.program import program_text
from derive.lesson.words import display, equations_display, inlines, listed
from derive.notation import FUNCTION_NAMES, formula, integer_formula, plain_name, shape_formula, start_formula
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
    walk_moves = [move for move in derivation.steps if not _is_about_chain(move, derivation)]
    blocks: list[Block] = [
        *_model(derivation),
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
    return Step(
        title=inlines(move.title, names),
        formula=display(move.lines, names),
        reason=inlines(move.reason, names),
        evidence=tuple(evidence.get(move.id, ())),
        details=tuple(_detail(detail, derivation, evidence) for detail in move.details),
        id=move.id,
    )


def _detail(move: Move, derivation: Derivation, evidence: Mapping[str, Sequence[Evidence]]) -> Block:
    return Step(
        title=inlines(move.title, derivation.names),
        formula=display(move.lines, derivation.names),
        reason=inlines(move.reason, derivation.names),
        evidence=tuple(evidence.get(move.id, ())),
    )


# The model ------------------------------------------------------------------------------------------------------------


def _model(derivation: Derivation) -> list[Block]:
    system, program, names = derivation.system, derivation.system.program, derivation.names
    sizes = dict(system.size_descriptions)
    named = [
        (plain_name(s.name), f" ({sizes[s.name]})") if sizes.get(s.name) else (plain_name(s.name),)
        for s in program.sizes
    ]
    starts = [(start_formula(start, program, names),) for start in program.starts]
    opening: list[Block] = [
        Heading("The model", id="model"),
        Paragraph(
            (
                "A system is a set of equations. This one has the sizes ",
                *listed(named),
                ". It is computed from top to bottom, and its loss is ",
                formula(Access(system.loss), names),
                ":",
            )
        ),
        Display(equations_display(program.equations, names), "equations"),
    ]
    if starts:
        opening.append(Paragraph(("It starts from ", *listed(starts), "; another start may be given instead.")))
    functions = [
        (row(plain_name(name), "=", formula_of_function(row_name)), f", whose slope is at most {_limit(row_name)}")
        if _limit(row_name)
        else (row(plain_name(name), "=", formula_of_function(row_name)),)
        for name, row_name in program.functions
    ]
    if functions:
        opening.append(Paragraph(("Functions act entry by entry; here ", *listed(functions), ".")))
    opening.append(_shapes_table(program, derivation))
    opening.append(_conventions(derivation))
    if derivation.forward.equations != program.equations:
        opening += [
            Paragraph(("To walk back step by step, what stands inside a function gets a name of its own:",)),
            Display(equations_display(derivation.forward.equations, names), "stages"),
        ]
    return opening


def formula_of_function(name: str) -> Formula:
    """The name of a function as it is written before an argument."""
    return FUNCTION_NAMES.get(name, Function(name))


def _limit(name: str) -> str:
    row_ = FUNCTIONS.get(name)
    return f"{row_.steepest:g}" if row_ is not None and row_.steepest else ""


_ROLES = {"given": "given", "learn": "learnt", "defined": "computed"}


def _shapes_table(program: Program, derivation: Derivation) -> Table:
    def cells(declaration: Declaration) -> tuple[Inlines, ...]:
        access = formula(Access(declaration.name, tuple(r.index for r in declaration.superscripts)), derivation.names)
        words = declaration.description or ""
        when: Inlines = ()
        if declaration.superscripts:
            r = declaration.superscripts[0]
            when = (integer_formula(r.index), " from ", integer_formula(r.lower), " to ", integer_formula(r.upper))
        meaning = f"{_ROLES[declaration.role]}{', ' + words if words else ''}"
        return ((access,), (shape_formula(declaration.shape),), (meaning,), when)

    rows = tuple(cells(d) for d in derivation.forward.declarations)
    return Table(
        (("Array",), ("Shape",), ("Role",), ("Times",)), rows, ("The arrays and their shapes.",), "shapes", "llll"
    )


def _conventions(derivation: Derivation) -> Note:
    loss = formula(Access(derivation.system.loss), derivation.names)
    parts: list[str] = []
    for _, name in derivation.system.program.functions:
        kink = FUNCTIONS[name].kink if name in FUNCTIONS else ""
        if kink:
            parts.append(f" For {name}, {kink}.")
    declared = [f" {key.capitalize()}: {value}." for key, value in derivation.system.conventions]
    return Note(
        "Conventions",
        (
            "The gradient of ",
            loss,
            " with respect to an array has the shape of that array. Vectors are columns; time is written as a ",
            "superscript; ",
            "a Jacobian has a row for each entry of what is differentiated. For a batch the loss is the mean over ",
            "its sequences.",
            *parts,
            *declared,
        ),
    )


def _backwards_introduction(derivation: Derivation) -> list[Block]:
    names = derivation.names
    deltas = [name for name in derivation.walk.names.values() if name.startswith("delta_")]
    found: list[Block] = [
        Paragraph(
            (
                "We go through the equations from the last to the first. For each array we ask which later equations ",
                "read it, and add up ",
                "what flows back from each of them. Time is one more index: nothing below is special to sequences.",
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


def _summary(derivation: Derivation) -> list[Block]:
    """The gradients of all parameters and initial states, one below the other."""
    names = derivation.names
    lines: list[tuple[Formula, Formula]] = []
    for key in derivation:
        gradient = derivation[key]
        declaration = derivation.forward.declaration(key.partition("^")[0])
        if declaration.role == "given":
            continue
        value = formula(gradient.equation.value, names, gradient.equation.ranges)
        shape = row("in", shape_formula(declaration.shape))
        lines.append((formula(gradient.equation.target, names), row("=", value, "quad", shape)))
    if not lines:
        return []
    shown = Aligned(tuple(lines)) if len(lines) > 1 else row(*lines[0])
    return [Paragraph(("All gradients together, each with the shape of its parameter:",)), Display(shown, "summary")]


# The example, the kernel --------------------------------------------------------------------------------


def _worked(derivation: Derivation, example: Example) -> list[Block]:
    sizes = [row(plain_name(name), "=", extent) for name, extent in example.sizes.items()]
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


def _kernel(derivation: Derivation, source: str, example: Example) -> list[Block]:
    if not source:
        return []
    return [
        Heading("The kernel", id="kernel"),
        Paragraph(
            (
                "The same equations as a program. Each block names the equation that it computes; products of all ",
                "time steps at once stand ",
                "outside the loops over time, and only what depends on the step before or after stands inside.",
            )
        ),
        Listing(source, "python", ("The compiled kernel's source.",), "listing"),
        Paragraph(("To compile and run it on the numbers of the worked example:",)),
        Listing(program_text(derivation, example), "python", ("The worked example, run.",), "run", runnable=True),
    ]
