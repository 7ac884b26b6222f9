"""A derivation as text for a terminal: headed sections of formulas, and the steps with their reasons."""

from __future__ import annotations

from collections.abc import Iterator

from derive.derivation import Derivation, Form
from derive.formats import FORMATS, Format
from derive.lesson.words import display
from derive.notation import Names, formula
from derive.overview import claim_formula, overview, sentence, steps_of
from derive.terminal import painted, paragraph
from derive.trace import Step


def written(
    derivation: Derivation, wrt: str | None = None, form: Form = "matrix", notation: str = "text", steps: bool = False
) -> str:
    """What ``derive show`` prints."""
    style = FORMATS[notation]
    lines = [_heading(derivation.system.title, style)]
    lines += [style.comment.format(source) for source in derivation.system.sources if wrt is None]
    for section in overview(derivation, wrt, form):
        lines += ["", _heading(section.title, style), *(f"  {style.display(line)}" for line in section.lines)]
    if wrt is None and derivation.system.conventions:
        told = ", ".join(f"{name} is {value}" for name, value in derivation.system.conventions)
        lines += ["", _heading("Conventions", style), style.comment.format(f"  {told}")]
    if steps:
        lines += ["", _heading("Steps", style)]
        for number, step in enumerate(steps_of(derivation, wrt), start=1):
            lines += step_text(number, step, derivation.names, style)
    return "\n".join(lines)


def _heading(text: str, style: Format) -> str:
    return painted(style.comment.format(text), "bold")


def step_text(number: int, step: Step, names: Names, style: Format) -> Iterator[str]:
    """The lines of a step: its title, its equations, its reason, its proof and what it claims."""
    title = sentence(step.title, names, style)
    yield ""
    yield painted(style.comment.format(f"{number:2}. {title}  [{step.id}]"), "bold")
    yield from (f"      {style.display(display((line,), names))}" for line in step.lines)
    yield from _words(sentence(step.reason, names, style), style, 4)
    for line in step.proof:
        yield f"      = {style.display(formula(line.expression, names))}"
        yield from _words(line.reason, style, 10)
    for claim in step.claims:
        yield style.comment.format(f"    claim: {style.inline(claim_formula(claim, names))}")


def _words(text: str, style: Format, indent: int) -> Iterator[str]:
    yield from (style.comment.format(line) for line in paragraph(text, " " * indent))
