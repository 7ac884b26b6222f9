"""The second half of a worked page: what each entry of the table sends back to which cells of the grid."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from derive.handout.blocks import Block, Display, Frames, Grid, Heading, Inlines, Items, Paragraph
from derive.handout.formula import Formula
from derive.handout.grids import Frame, Place
from derive.language.expression import Access, walk
from derive.language.system import Equation
from derive.notation import equation_formula
from derive.worked.comparison import places
from derive.worked.computation import Share, Worked
from derive.worked.numerals import Number, written
from derive.worked.panels import MOST_FRAMES, Legend, gradient_panel, number_panel, padding_legend
from derive.worked.settings import Pair
from derive.worked.singletons import as_written, without_singletons
from derive.worked.words import incoming_words, share_words

MOST_OVERLAPS = 12
"""Cells that receive from several windows, listed with their sums."""


def backwards(worked: Worked) -> Iterator[Block]:
    """The gradient of the grid and, where there is one, of the kernel."""
    yield Heading("Backwards", id="backwards")
    yield Paragraph((
        "A loss ℓ sends a gradient to every entry of the table, and each entry passes it on to the cells of its "
        "window. Where windows overlap, what arrives is added up. Here the gradient in the grid is shown "
        f"{incoming_words(worked)}. In index notation, counted from 0, with nothing outside the table:",
    ))  # fmt: skip
    yield Display(_gradient_formula(worked, "x"), "backward")
    yield from _adjoints_between(worked)
    incoming = number_panel(worked.incoming, "gradient in the table")
    blank = gradient_panel(worked, None)
    final = (incoming, gradient_panel(worked, worked.gradient))
    legend = padding_legend(worked)[:1]
    yield Grid(final, ("What arrives at the table, and the gradient in the grid.",), legend, "gradient")
    marked: Legend = (*legend, ("result", ("gradient passed back",)), ("window", ("cells that receive",)))
    yield Frames(
        (incoming, blank),
        tuple(_share_frames(worked)),
        ("What each entry of the table sends back to which (row, column), added up from one picture to the next.",),
        marked,
        "entries",
        "shares",
    )
    yield from _overlaps(worked)
    if worked.kernel_gradient is not None and worked.question.kernel is not None:
        yield Paragraph(("Each entry of the kernel receives what its number was multiplied with, in all windows:",))
        yield Display(_gradient_formula(worked, "w"), "backward-kernel")
        panels = (
            number_panel(worked.question.kernel, "kernel"),
            number_panel(worked.kernel_gradient, "gradient in the kernel", "→"),
        )
        yield Grid(panels, ("The gradient in the kernel.",), id="kernel")


def _gradient_formula(worked: Worked, key: str) -> Formula:
    derivation = worked.derivation
    equation = without_singletons(derivation[key].index_equation, derivation.program)
    return equation_formula(equation, derivation.names)


def _adjoints_between(worked: Worked) -> Iterator[Block]:
    """The gradients that stand in that of the grid under names of their own."""
    derivation = worked.derivation
    own = {item.name for item in derivation.system.program.declarations} | {derivation.walk.names["y"]}
    equations = {one.target.name: one for one in derivation.program.equations if one.target.subscripts}
    waiting, between = [derivation["x"].index_equation], list[Equation]()
    while waiting:
        used = {node.name for node in walk(waiting.pop(0).value) if isinstance(node, Access)} - own
        found = [equations[name] for name in sorted(used) if name in equations]
        waiting += found
        between += found
        own |= used
    if between:
        yield Paragraph(("with",))
    for equation in between:
        shown = as_written(without_singletons(equation, derivation.program), "b")
        yield Display(equation_formula(shown, derivation.names))


def _share_frames(worked: Worked) -> Iterator[Frame]:
    top, left = worked.question.setting.before
    sums: dict[Pair, Number] = {}
    shares = {output: list(sent) for output, sent in groupby(worked.shares, key=lambda share: share.output)}
    for window in worked.windows[:MOST_FRAMES]:
        sent = [Share(s.output, (s.cell[0] + top, s.cell[1] + left), s.amount) for s in shares.get(window.at, [])]
        words = share_words(worked, window.at, sent, frozenset(sums))
        for share in sent:
            sums[share.cell] = sums.get(share.cell, 0) + share.amount
        places_ = [(1, *share.cell) for share in sent]
        here: Place = (0, *window.at)
        yield Frame(
            (words,),
            ((here, "result"), *((place, "window") for place in places_)),
            tuple((place, written(sums[place[1:]])) for place in places_),
            here,
        )


def _overlaps(worked: Worked) -> Iterator[Block]:
    """The cells that receive from several windows, with their sums."""
    top, left = worked.question.setting.before
    received: dict[Pair, list[Number]] = {}
    for share in worked.shares:
        received.setdefault(share.cell, []).append(share.amount)
    several = {cell: amounts for cell, amounts in sorted(received.items()) if len(amounts) > 1}
    if not several or len(several) > MOST_OVERLAPS:
        return
    lines: list[Inlines] = []
    for (i, j), amounts in several.items():
        terms = " + ".join(f"({written(a)})" if a < 0 else written(a) for a in amounts)
        total = written(worked.gradient[i][j])
        lines.append((f"{places('row', [i + top])}, {places('column', [j + left])}: {terms} = {total}",))
    yield Paragraph(("These cells lie in several windows that send them something, and receive the sum:",))
    yield Items(tuple(lines))
