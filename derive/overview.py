"""What there is to say about a system and its derivation, in sections of formulas."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from derive.calculus.choices import choices
from derive.calculus.position_steps import POSITION_STEPS
from derive.calculus.shared_adjoints import is_constant, is_named
from derive.derivation import Derivation, Form, Gradient
from derive.evidence import Evidence
from derive.formats import Format
from derive.handout.formula import Fence, Formula, Fraction, Identifier, Operator, Space, Words, paren, row
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.system import System
from derive.lesson.words import display
from derive.notation import (
    Names,
    definition,
    equation_formula,
    formula,
    function_formula,
    integer_formula,
    plain_name,
    shape_formula,
    start_formula,
)
from derive.parameters import Amount, parameters
from derive.trace import (
    AdjointIdentity,
    Claim,
    Counted,
    Differential,
    Equal,
    Equivalent,
    Held,
    Sentence,
    StateDerivative,
    Step,
    TotalDerivative,
    VectorisedDerivative,
)


@dataclass(frozen=True)
class Section:
    """A heading and the formulas below it."""

    title: str
    lines: tuple[Formula, ...]


def overview(derivation: Derivation, wrt: str | None = None, form: Form = "matrix") -> tuple[Section, ...]:
    """Declarations, equations, recursion, gradients and chains; with ``wrt`` one gradient and what it is made from."""
    if wrt is not None:
        asked = derivation[wrt]
        gradients = Section("Gradient", (asked.shown(form).formula, *_shape_line(derivation, asked)))
        made = needed(derivation, wrt)
        return _filled(
            gradients, Section("Where", (*backward(derivation, form, made), *choice_lines(derivation, made)))
        )
    system, names = derivation.system, derivation.names
    return _filled(
        Section("Declared", tuple(_declared(system, names))),
        Section("Learnt in all", tuple(count_lines(system))),
        Section("Forward", tuple(forward(system, names))),
        Section("Choices", choice_lines(derivation)),
        Section("Backward", backward(derivation, form, {found.array.name for found in derivation.walk.adjoints})),
        Section("Gradients", tuple(gradient.shown(form).formula for gradient in derivation.values())),
        Section("Jacobian chain", tuple(chains(derivation))),
    )


def _filled(*sections: Section) -> tuple[Section, ...]:
    return tuple(section for section in sections if section.lines)


def _declared(system: System, names: Names) -> Iterator[Formula]:
    for entry in system.program.declarations:
        if entry.role != "defined":
            yield row(definition(entry, names), *_note(entry.role, entry.description))
    words = dict(system.size_descriptions)
    for symbol, value in system.program.derived:
        note = [Space("quad"), Words(f"({words[symbol.name]})")] if symbol.name in words else []
        yield row(plain_name(symbol.name), "=", integer_formula(value), *note)


def _note(role: str, description: str) -> list[Formula]:
    words = ", ".join(filter(None, ("learnt" if role == "learn" else "given", description)))
    return [Space("quad"), Words(f"({words})")]


def count_lines(system: System) -> Iterator[Formula]:
    """How many weights there are and how many numbers in all: n d + n² = 2,833,000 (weights)."""
    found = parameters(system)
    counts = {"weights, in arrays with two axes or more": found.weights, "all": found.all}
    if found.weights.formula == found.all.formula:
        del counts["all"]
    for words, count in counts.items():
        if count.formula:
            yield row(*count_formula(count), Space("quad"), Words(f"({words})"))
    if found.sizes:
        equal = [row(plain_name(name), "=", Words(f"{value:,}")) for name, value in found.sizes]
        yield row(Words("at "), *[piece for one in equal for piece in (Operator(","), Space("quad"), one)][2:])


def count_formula(count: Amount) -> Iterator[Formula]:
    """A count as a formula, with its value where the default sizes tell it."""
    yield integer_formula(count.formula)
    if count.value is not None and count.formula.free_symbols:
        yield from (Operator("="), Words(f"{count.value:,}"))


def forward(system: System, names: Names) -> Iterator[Formula]:
    """Boundary values, equations, and what the named functions are."""
    for start in system.program.starts:
        yield start_formula(start, system.program, names)
    for equation in system.program.equations:
        yield equation_formula(equation, names, with_ranges=True)
    for name, function in system.program.functions:
        yield row(function_formula(name, names), "=", function_formula(function, names))


def choice_lines(derivation: Derivation, arrays: set[str] | None = None) -> tuple[Formula, ...]:
    """Which position each maximum takes, κ = argmax …; of the maxima among ``arrays``, where these are given."""
    wanted = {
        name
        for name, choice in choices(derivation.forward).items()
        if arrays is None or choice.equation.target.name in arrays
    }
    equations = (equation for equation in derivation.forward.equations if equation.target.name in wanted)
    return tuple(equation_formula(equation, derivation.names, with_ranges=True) for equation in equations)


def _shape_line(derivation: Derivation, gradient: Gradient) -> tuple[Formula, ...]:
    """∂ℓ/∂U ∈ ℝ^{n×n}."""
    shape = derivation.program.declaration(gradient.equation.target.name).shape
    left = formula(Access(gradient.equation.target.name, gradient.equation.target.superscripts), derivation.names)
    return (row(left, "in", shape_formula(shape)),)


def backward(derivation: Derivation, form: Form, arrays: set[str]) -> tuple[Formula, ...]:
    """The adjoints that have a name of their own, in the order in which they are computed, and the slopes in them."""
    found = [adjoint for adjoint in derivation.walk.adjoints if adjoint.array.name in arrays]
    # Nothing is put into formulas for entries, so what they read has a line as well.
    every = (*derivation.walk.adjoints, *derivation.walk.gradients.values())
    entries = [adjoint for adjoint in every if not adjoint.has_matrix_form]
    read = {node.name for a in entries for node in ast.walk(a.equation.value) if isinstance(node, Access)}
    stays = [a for a in found if not is_constant(a) and (not a.has_matrix_form or a.equation.target.name in read)]
    named = [a for a in found if is_named(a) or a in stays]
    if form == "index":
        # In index form nothing is put in, so every adjoint that a line reads has to be there.
        return tuple(equation_formula(adjoint.index_equation, derivation.names, with_ranges=True) for adjoint in found)
    steps = {step.id: step for step in derivation.steps}
    lines: dict[Formula, None] = {}
    for adjoint in named:
        step = steps.get(f"recursion-{adjoint.array.name}") or steps[f"adjoint-{adjoint.array.name}"]
        lines |= dict.fromkeys(display((line,), derivation.names) for line in step.lines)
    for adjoint in named:
        claims = steps[f"slope-{adjoint.array.name}"].claims if f"slope-{adjoint.array.name}" in steps else ()
        lines |= dict.fromkeys(claim_formula(claim, derivation.names) for claim in claims if isinstance(claim, Equal))
    lines |= dict.fromkeys(one.shown().formula for one in derivation.shared if one.key in arrays)
    return tuple(lines)


def chains(derivation: Derivation) -> Iterator[Formula]:
    """For each recurrence its Jacobian chain and the matrices in it."""
    for flow in derivation.flows:
        for step in derivation.steps:
            if step.id == f"chain-{flow.state.name}":
                yield from (display((line,), derivation.names) for line in step.lines)
        yield from (equation_formula(item, derivation.names, with_ranges=True) for item in flow.definitions)


def needed(derivation: Derivation, wrt: str) -> set[str]:
    """The arrays whose adjoints go into the gradient in ``wrt``."""
    adjoints = {found.equation.target.name: found for found in derivation.walk.adjoints}
    arrays: set[str] = set()
    waiting = [derivation.walk.gradients[wrt]]
    while waiting:
        for node in ast.walk(waiting.pop().equation.value):
            if isinstance(node, Access) and node.name in adjoints and adjoints[node.name].array.name not in arrays:
                arrays.add(adjoints[node.name].array.name)
                waiting.append(adjoints[node.name])
    return arrays


def steps_of(derivation: Derivation, wrt: str | None = None) -> tuple[Step, ...]:
    """All steps, or those that lead to the gradient in ``wrt``."""
    if wrt is None:
        return derivation.steps
    result = derivation[wrt].equation.target.name.removeprefix("grad_")
    wanted = {f"{kind}-{name}" for name in needed(derivation, wrt) for kind in ("adjoint", "recursion", "slope")}
    wanted |= {f"gradient-{result}", f"minimiser-{result}"} | {f"choice-{name}" for name in needed(derivation, wrt)}
    wanted |= {f"{kind}-{name}" for name in (result, *needed(derivation, wrt)) for kind in POSITION_STEPS}
    return tuple(step for step in derivation.steps if step.id in wanted or re.sub(r"-\d+$", "", step.id) in wanted)


def sentence(words: Sentence, names: Names, style: Format) -> str:
    """Words and formulas as running text."""
    return "".join(word if isinstance(word, str) else style.inline(formula(word, names)) for word in words)


def claim_formula(claim: Claim, names: Names) -> Formula:
    """What has to hold, as an equation."""
    match claim:
        case Equal(left, right):
            return _equals(formula(left, names), right, names)
        case TotalDerivative(of, wrt, value):
            return _equals(formula(ast.Derivative(of, wrt), names), value, names)
        case Differential(of, value):
            changes = [Access(f"d_{state.name}", state.superscripts) for state in of]
            return _equals(_stacked(changes, names), value, names)
        case VectorisedDerivative(of, parameter, value):
            by = formula(ast.Vectorised(Access(parameter)), names)
            return _equals(Fraction(row("partial", formula(of, names)), row("partial", by)), value, names)
        case Equivalent(left, right):
            sides = (ast.Guard(conditions, ast.ONE) for conditions in (left, right))
            return row(formula(next(sides), names), "=", formula(next(sides), names))
        case Held(name):
            return row(Identifier("Delta"), formula(Access(name), names), "=", "0")
        case Counted(symbol, _, _, value):
            return row(plain_name(symbol.name), "=", integer_formula(value))
        case AdjointIdentity(forward, backward, wrt, cotangent):
            out, back = (formula(Access(name), names) for name in (forward.target.name, backward.target.name))
            by, seed = (formula(Access(name), names) for name in (wrt, cotangent))
            change = row(out, paren(by), "-", out, paren("0"))
            return row(Fence("⟨", row(change, ",", seed), "⟩"), "=", Fence("⟨", row(by, ",", back), "⟩"))
        case StateDerivative(of, wrt, value):
            quotient = Fraction(row("partial", _stacked(of, names)), row("partial", _stacked(wrt, names)))
            return _equals(quotient, value, names)


def _equals(left: Formula, right: Expression, names: Names) -> Formula:
    return row(left, "=", formula(right, names))


def _stacked(states: Sequence[Access], names: Names) -> Formula:
    """h, or (h, g) for several."""
    listed = [piece for state in states for piece in (Operator(","), formula(state, names))][1:]
    return listed[0] if len(listed) == 1 else paren(*listed)


KERNEL = "kernel: "
"""How a claim about the kernel begins in a report."""


def evidence_groups(
    report: Iterable[Evidence], steps: Mapping[str, Sequence[Evidence]]
) -> dict[str, tuple[Evidence, ...]]:
    """Comparisons of the derived gradients, of the kernel, and of the steps."""
    records = tuple(report)
    prefix = "kernel: "
    kernel = tuple(
        replace(record, claim=record.claim.removeprefix(prefix))
        for record in records
        if record.claim.startswith(prefix)
    )
    return {
        "gradient": tuple(record for record in records if not record.claim.startswith(prefix)),
        "kernel": kernel,
        "step": tuple(record for group in steps.values() for record in group),
    }
