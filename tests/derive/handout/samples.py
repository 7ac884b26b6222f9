"""One sample of every node and of every block; a class without a sample fails a test."""

from __future__ import annotations

from derive.evidence import Evidence
from derive.handout.blocks import (
    AnswerKey,
    Block,
    Chain,
    CodeText,
    Display,
    Document,
    Emphasised,
    EvidenceTable,
    Exercise,
    Exercises,
    Figure,
    Frames,
    Grid,
    Heading,
    Items,
    Listing,
    Note,
    Paragraph,
    Proof,
    Reference,
    Step,
    Table,
    Teacher,
)
from derive.handout.formula import (
    Accent,
    Aligned,
    Big,
    Blackboard,
    Boxed,
    Cases,
    Emphasis,
    Fence,
    Formula,
    Fraction,
    Function,
    Identifier,
    Matrix,
    Numeral,
    Operator,
    Prime,
    Row,
    Scaled,
    Scripts,
    Space,
    Underbrace,
    Words,
    formula,
    frac,
    matrix,
    paren,
    row,
    sub,
    sup,
)
from derive.handout.grids import CELL_ROLES, Cell, Frame, panel
from derive.handout.symbols import ACCENTS, BIG, GREEK, OPERATORS, ROLES, SPACES

HOSTILE = (
    r"""a<b> & "c" 'd' #1 $x$ 100% _e_ {f} ~g^ `h` \i \end{document} */ ]]> --> <script> @j [k](l) ?! | -- ; *m* = _"""
)
WIDE_CHARACTERS = "naïve Łódź ŷ δᵀ Σ ⊙ “quoted” – 😀 漢 \x07 \u202e \ue000"
X, Y = Identifier("x"), Identifier("y")

NODES: dict[str, Formula] = {
    "identifier": X,
    "identifier greek": row(*GREEK),
    "identifier ell": Identifier("ell"),
    "identifier word": row(Identifier("loss"), paren("x"), "+", "y"),
    "numeral": Numeral("2,833,000.5"),
    "operators": row(*(part for name in OPERATORS for part in (X, Operator(name), Y))),
    "operator alone": Operator("="),
    "spaces": row(*(part for name in SPACES for part in (X, Space(name)))),
    "function": row(Function("softmax"), paren("z"), "=", Function("exp"), "z"),
    "function with limits": row("i", "=", Scripts(Function("arg max", True), row("j", "in", "S")), sub("x", "j")),
    "words": row("x", Words(" if "), "y", ",", Words(HOSTILE)),
    "words wide": Words(WIDE_CHARACTERS),
    "row": row("x", "+", ("y", "-", 1), "=", -2),
    "row empty": Row(()),
    "scripts": Scripts(X, formula("i"), row("t", "-", 1)),
    "scripts of scripts": sup(sub("x", "i"), 2),
    "scripts of fence": sup(paren(sup("h", row("t", "-", 1))), "top"),
    "scripts of prime": Scripts(Prime(Identifier("f")), formula("i"), formula("t")),
    "scripts of fraction": sup(paren(frac("a", "b"), grow=True), row("T", "-", "k")),
    "accents": row(*(Accent(name, base) for name in ACCENTS for base in (X, row("x", "+", "y")))),
    "fraction": Fraction(row("partial", "ell"), row("partial", sub("U", ("i", "j")))),
    "fences": row(
        *(
            Fence(left, row("x", ",", "y"), right, grow)
            for grow in (False, True)
            for left, right in (
                ("(", ")"),
                ("[", "]"),
                ("{", "}"),
                ("|", "|"),
                ("||", "||"),
                ("⟨", "⟩"),
                ("⌊", "⌋"),
                ("⌈", "⌉"),
                ("[", ")"),
            )
        )
    ),
    "fence half": row(Fence("(", row("a", "+"), ""), Fence("", row("b"), ")", True)),
    "evaluated at": Scripts(Fence("", frac("f", "x"), "|", True), row("x", "=", 0)),
    "underbrace": Underbrace(row("J", "U"), row("T", "-", "k", Words(" factors, newest first"))),
    "big": row(*(part for name in BIG for part in (Big(name, row("t", "=", 1), formula("T")), "x", Big(name), "y"))),
    "big lower": row(Big("sum", formula("t")), "x"),
    "matrix": matrix([[1, row("a", ",", "b"), frac(1, 2)], [-1, row("x", ";", "y"), Row(())]]),
    "matrix delimiters": row(*(matrix([["a"]], delimiter) for delimiter in ("(", "[", "{", "|", "||", ""))),
    "matrix marked": Matrix(matrix([["a", "b"], [sup("c", 2), "d"]]).rows, "[", frozenset({(0, 0), (1, 0)})),
    "matrix ruled": Matrix(matrix([["A", 0], [0, "B"]]).rows, "(", frozenset({(1, 1)}), frozenset({0}), frozenset({0})),
    "matrix with brackets": matrix([[Fence("[", X, "]")], [Fence("[", Y, "]")], [Operator("ast")]]),
    "cases": Cases(((formula(1), row(Words("if "), "x", ">", 0, ",")), (formula(0), Words("otherwise.")))),
    "aligned": Aligned(((X, row("=", "y", ",")), (Row(()), row("=", -1)))),
    "aligned inside": Boxed(Aligned(((X, row("=", "y")), (Y, row("<=", "x"))))),
    "emphasis": row(*(Emphasis(role, sup("x", "t")) for role in ROLES)),
    "emphasis tall": Emphasis("upstream", row(Big("sum", formula("t")), frac("a", "b"))),
    "blackboard": row(*(Blackboard(letter) for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ")),
    "prime": row(
        Prime(Identifier("f")), paren("x"), Prime(Identifier("g"), 2), Prime(paren("a", "b"), 3), Prime(sub("f", 1))
    ),
    "prime word": row(Prime(Identifier("loss")), Prime(Function("tanh")), Prime(row("a", "b")), Prime(Words("w"))),
    "boxed": Boxed(row("x", "=", frac("a", "b"))),
    "scaled": Scaled(row("x", "+", "y"), 0.75),
}

GOOD = Evidence("gradient of U", "autodiff", 2e-16, 1e-10, (("T", 5), ("n", 3)), 8, 7)
DIFFERENCES = Evidence("gradient of U", "finite differences", 4e-9, 1e-6, (("T", 5),), 8, 7)
EXACT = Evidence("gradient of W", "exact arithmetic", 0.0, 0.0)
BAD = Evidence("gradient of U", "autodiff", 2e-3, 1e-10)
NAN = Evidence("gradient of U", "autodiff", float("nan"), 1e-10)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 20" width="80" height="40"><rect x="1" y="1" width="9" '
    'height="9" fill="none" stroke="#333"/><circle cx="20" cy="6" r="4" fill="#0b57a4"/><line x1="2" y1="15" x2="30" '
    'y2="15" stroke="black" stroke-dasharray="2 1"/><text x="5" y="19" font-size="4">δ &amp; x</text></svg>'
)
WAVE = row("x", "=", sup("y", 2))
TEXT: tuple = ("Plain, ", WAVE, "; ", Emphasised("italic"), " (", CodeText("a['b'] += `c`"), ").")

BLOCKS: dict[str, Block] = {
    "heading": Heading("A & B < C"),
    "heading below": Heading("Second level", 2, "second"),
    "paragraph": Paragraph(TEXT),
    "paragraph hostile": Paragraph(
        (HOSTILE, WAVE, ". ", WIDE_CHARACTERS, Emphasised(HOSTILE), CodeText(HOSTILE), "\n- x")
    ),
    "paragraph like a list": Paragraph(("1. not a list",)),
    "paragraph leading": Paragraph(("as follows, see ", Reference("shown"), ":")),
    "display": Display(WAVE),
    "display numbered": Display(Aligned(((X, row("=", "y")), (Y, row("=", "z")))), "shown"),
    "step": Step(
        ("Do ", X), WAVE, TEXT, (GOOD, DIFFERENCES), (Paragraph(("inner words",)), Display(WAVE, "inner")), "step"
    ),
    "step bare": Step(("Nothing said",), WAVE, ()),
    "chain": Chain(X, (("=", Y, TEXT), ("<=", frac("a", "b"), ("as ", Reference("chain.1"))), (">=", X, ())), "chain"),
    "chain stacked": Chain(row("x", "+", "y"), (("=", row(*["a", "+"] * 25, "b"), TEXT), ("=", Y, ("done",)))),
    "table": Table((("A",), ("B & C",)), (((X,), ("1 | 2",)), (("",), (CodeText("a|b"),))), TEXT, "table", "lr"),
    "table wide": Table((("A",), ("B",)), ((("word " * 30,), ("word " * 30,)),), ("Wide",)),
    "table empty": Table((("A",),), (), ("Nothing",)),
    "listing": Listing(
        'def δ(x):\n\treturn "ŷ ≈ é²" # Σ ⊙ ᵀ ᵗ⁻¹ 😀\n\\end{source} ``` </code> #"', "python", TEXT, "code", True
    ),
    "listing plain": Listing("no such language\n\\end{lstlisting}", "klingon"),
    "figure": Figure(SVG, TEXT, 'A box & a "disc"', "drawing"),
    "grid": Grid(
        (
            panel([[Cell(HOSTILE[:9], (role,)), "−1.5"] for role in CELL_ROLES], ("padded ", WAVE), numbered=True),
            panel([[sub("w", 1), Cell("", ("window", "winner"))]], lead="→"),
        ),
        TEXT,
        tuple((role, (f"a {role} ", X, HOSTILE)) for role in CELL_ROLES),
        "cells",
    ),
    "grid wider than the page": Grid((panel([["12.5"] * 40] * 3),), ("Wide",)),
    "grid alone": Grid((panel([["1"]]),), ("One",)),
    "frames": Frames(
        (
            panel([["1", "2"], ["3", Cell("0", ("padding",))]], ("grid",), numbered=True),
            panel([["", ""]], ("table",), "→"),
        ),
        tuple(
            Frame(
                (f"column {j + 1} {HOSTILE} ", WAVE),
                (((0, 0, j), "window"), ((1, 0, j), "result")),
                (((1, 0, j), "<9>"),),
                (1, 0, j),
            )
            for j in (0, 1)
        ),
        TEXT,
        (("window", ("window",)),),
        "columns",
        "moving",
    ),
    "frames, very many": Frames((panel([["1"]]),), (Frame(("again",)),) * 70, ("Many",)),
    "note": Note("Common mistake", TEXT),
    "items": Items((TEXT, ("- two",), (Fence("[", X, "]"),))),
    "items ordered": Items((("one",), ("two",)), True),
    "proof": Proof((Paragraph(("Clear",)),)),
    "proof ending in a chain": Proof((Display(WAVE), Chain(X, (("=", Y, ("why",)),)))),
    "proof with a step": Proof((Step(("Inside",), WAVE, (), (), (Paragraph(("hidden",)),)),)),
    "exercises": Exercises(
        (
            Exercise(
                (Paragraph(("Show it.",)), Display(WAVE, "asked")),
                (Paragraph(("SECRETWORD",)), Display(WAVE, "told")),
                2,
                "first",
            ),
            Exercise((Display(WAVE),), (Display(row("s", "=", Identifier("SECRETWORD"))),)),
            Exercise((Paragraph(("No answer is known.",)),), (), 1),
        )
    ),
    "answer key": AnswerKey(((1, (Paragraph(("SECRETWORD",)),)),)),
    "evidence table": EvidenceTable((GOOD, DIFFERENCES, EXACT), ("What was checked.",), "evidence"),
    "teacher": Teacher((Paragraph(("SECRETWORD for the teacher",)), Display(WAVE, "taught"))),
}

SHOWN = BLOCKS["display numbered"]


def alone(block: Block) -> Document:
    """A document with that block, and what its references name."""
    others = () if block is SHOWN else (SHOWN,)
    return Document(
        "Sample",
        (Heading("One"), *others, block) if not isinstance(block, Heading) else (Heading("One"), block, *others),
    )


EVERYTHING = Document(
    HOSTILE,
    tuple(block for block in BLOCKS.values() if not isinstance(block, AnswerKey)),
    HOSTILE + WIDE_CHARACTERS,
    HOSTILE,
    HOSTILE,
    7,
)
FORMULAS = Document(
    "Formulas",
    (
        *(Display(node) for node in NODES.values()),
        *(Paragraph(("Inline ", node, "; (next). ")) for node in NODES.values()),
    ),
)
