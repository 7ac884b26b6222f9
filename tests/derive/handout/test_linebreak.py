"""No display is wider than its place, and breaking changes nothing but the lines."""

from __future__ import annotations

import pytest

from derive.handout.blocks import Chain, Display, Document, Exercise, Exercises, Step, chain_line
from derive.handout.editions import edition
from derive.handout.formula import (
    Aligned,
    Big,
    Boxed,
    Cases,
    Emphasis,
    Formula,
    Function,
    Identifier,
    Row,
    Scaled,
    Space,
    Words,
    formula,
    frac,
    matrix,
    paren,
    row,
    sup,
)
from derive.handout.linebreak import CHAIN_INSET, INDENT, REASON_WIDTH, STEP_INSET, fit, fit_formula
from derive.handout.measure import NUMBER_WIDTH, TEXT_WIDTH, widths
from derive.handout.numbering import walk
from derive.handout.plain import plain
from tests.derive.handout.elman import ELMAN
from tests.derive.handout.samples import EVERYTHING


def many(count: int, sign: str = "+") -> tuple:
    return tuple(part for i in range(count) for part in ((sign,) if i else ()) + (sup("x", i),))


WIDE: dict[str, Formula] = {
    "sum": row("y", "=", *many(40)),
    "differences": row("y", "=", *many(30, "-")),
    "no left side": row(*many(40)),
    "long left side": row(*many(20), "=", *many(20)),
    "relations": row("y", "=", *many(12), "<=", *many(12), "=", *many(24)),
    "fence": row("y", "=", "a", paren(*many(40))),
    "fence raised": row("y", "=", sup(paren(*many(40), grow=True), 2), "+", *many(10)),
    "fence in the middle": row("y", "=", paren(*many(40)), "thin", "z", "+", "b"),
    "side condition": row("y", "=", *many(24), ",", "qquad", "t", "=", 1, ",", "dots", ",", "T"),
    "aligned": Aligned(((formula("y"), row("=", *many(40))), (row("z"), row("=", 1)))),
    "boxed": Boxed(row("y", "=", *many(40))),
    "matrix": row("A", "=", matrix([[i * 1000000 for i in range(12)]])),
    "product": row(*(Identifier("factor") for _ in range(30))),
    "fraction": row("y", "=", frac(row(*many(40)), 2)),
    "big": row("y", "=", Big("sum", formula("t")), *many(40)),
    "cases": Cases(((row(*many(40)), Words("always")),)),
    "emphasis": row("y", "=", Emphasis("local", row(*many(40)))),
    "functions": row(
        "y", "=", *(part for _ in range(12) for part in (Function("softmax"), paren("x", "-", "y"), "+")), "z"
    ),
    "nothing": Row(()),
}


def unbroken(node: Formula) -> str:
    """The signs of a formula in their order, whatever lines they stand on."""
    return "".join(c for c in plain(node) if c not in " ;")


@pytest.mark.parametrize("limit", [440.0, 300.0, 120.0])
@pytest.mark.parametrize("sample", WIDE)
def test_a_fitted_formula_is_narrow_enough(sample: str, limit: float) -> None:
    fitted = fit_formula(WIDE[sample], limit)
    assert widths([fitted])[fitted] <= limit
    assert unbroken(fitted) == unbroken(WIDE[sample])


@pytest.mark.parametrize("sample", ["sum", "relations", "fence", "aligned", "side condition", "functions"])
def test_what_can_be_broken_is_not_scaled(sample: str) -> None:
    assert isinstance(fit_formula(WIDE[sample], 380.0), Aligned)


def test_a_matrix_is_scaled() -> None:
    fitted = fit_formula(WIDE["matrix"], 380.0)
    assert isinstance(fitted, Scaled)
    assert 0.3 < fitted.factor < 1


def test_each_relation_starts_a_line() -> None:
    fitted = fit_formula(WIDE["relations"], 400.0)
    assert isinstance(fitted, Aligned)
    starts = [plain(right)[0] for _, right in fitted.rows]
    assert starts == ["=", "≤", "=", "+"]
    assert [plain(left) for left, _ in fitted.rows] == ["y", "", "", ""]


def test_a_narrow_formula_is_not_touched() -> None:
    node = row("y", "=", "x", "+", 1)
    assert fit_formula(node, 400.0) is node


def test_a_sign_that_stands_alone_is_no_place_to_break() -> None:
    fitted = fit_formula(row("y", "=", "-", *many(40)), 300.0)
    assert isinstance(fitted, Aligned)
    assert plain(fitted.rows[0][1]).startswith("= −x")


def displays(document: Document) -> list[tuple[Formula, float]]:
    """Every display with the room it has where it stands, at least."""
    found: list[tuple[Formula, float]] = []
    for block in walk(document.blocks):
        match block:
            case Display(node, name):
                found.append((node, TEXT_WIDTH - (2 * NUMBER_WIDTH if name else 0)))
            case Step(formula=node):
                found.append((node, TEXT_WIDTH - STEP_INSET - 2 * NUMBER_WIDTH))
            case Chain(left, rows, stacked=stacked):
                for relation, node, _ in rows:
                    line = row(left, chain_line(relation, node))
                    found.append((line, TEXT_WIDTH - NUMBER_WIDTH - CHAIN_INSET - (0 if stacked else REASON_WIDTH)))
            case _:
                pass
    return found


@pytest.mark.parametrize(
    "document",
    [
        ELMAN,
        edition(EVERYTHING, "teacher"),
        Document("T", tuple(Display(node, f"d{i}") for i, node in enumerate(WIDE.values()))),
        Document("T", tuple(Step(("s",), node, ("why",), (), (Display(node),)) for node in WIDE.values())),
        Document("T", tuple(Chain(formula("y"), (("=", node, ("why",)),)) for node in WIDE.values())),
    ],
    ids=["elman", "everything", "displays", "steps", "chains"],
)
def test_no_equation_is_wider_than_its_place(document: Document) -> None:
    pairs = displays(fit(document))
    known = widths(node for node, _ in pairs)
    assert [plain(node) for node, room in pairs if known[node] > room] == []


def test_exercises_leave_room_for_their_indentation() -> None:
    question = Exercises((Exercise((Display(WIDE["sum"]),)),))
    fitted = displays(fit(Document("T", (question,))))
    assert widths([fitted[0][0]])[fitted[0][0]] <= TEXT_WIDTH - INDENT


def test_the_continuation_is_indented_and_spaced() -> None:
    fitted = fit_formula(WIDE["sum"], 300.0)
    assert isinstance(fitted, Aligned)
    continuation = fitted.rows[1][1]
    assert isinstance(continuation, Row)  # the words stand for the left operand
    assert continuation.items[:2] == (Space("quad"), Words(""))
