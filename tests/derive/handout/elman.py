"""A realistic handout: backpropagation through time in an Elman network, with every kind of block."""

from __future__ import annotations

from derive.evidence import Evidence
from derive.handout.blocks import (
    Chain,
    CodeText,
    Display,
    Document,
    Emphasised,
    EvidenceTable,
    Exercise,
    Exercises,
    Figure,
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
    Function,
    Identifier,
    Matrix,
    Prime,
    Scripts,
    Shorthand,
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

PREVIOUS = row("t", "-", 1)
NEXT = row("t", "+", 1)
YHAT = Accent("hat", Identifier("y"))
SLOPE = Prime(Identifier("f"))
TANH, DIAG, VEC = Function("tanh"), Function("diag"), Function("vec")


def h(index: Shorthand) -> Formula:
    return sup("h", index)


def z(index: Shorthand) -> Formula:
    return sup("z", index)


def delta(index: Shorthand) -> Formula:
    return sup("delta", index)


def jacobian(index: Shorthand) -> Formula:
    return sup("J", index)


def d(top: Shorthand, bottom: Shorthand) -> Formula:
    return frac(("partial", top), ("partial", bottom))


def norm(*body: Shorthand, grow: bool = False) -> Formula:
    return Fence("||", row(*body), "||", grow)


def transposed(*body: Shorthand) -> Formula:
    return sup(paren(*body), "top")


def total(body: Shorthand) -> Formula:
    return row(Big("sum", row("t", "=", 1), formula("T")), body)


def agree(claim: str, error: float, difference: float) -> tuple[Evidence, ...]:
    sizes = (("T", 5), ("n", 3), ("d", 2))
    return (
        Evidence(claim, "autodiff", error, 1e-10, sizes, 8, 7),
        Evidence(claim, "finite differences", difference, 1e-6, sizes, 8, 7),
    )


UT = sup("U", "top")
ORDERED = row(Big("product_left", row("s", "=", "k", "+", 1), formula("T")), jacobian("s"), "U")

MODEL = (
    Heading("The model", id="model"),
    Paragraph(
        (
            "An Elman network reads the inputs ",
            row(sup("x", 1), ",", "dots", ",", sup("x", "T")),
            " with ",
            row(sup("x", "t"), "in", sup(Blackboard("R"), "d")),
            " one after another and keeps a hidden state ",
            row(h("t"), "in", sup(Blackboard("R"), "n")),
            ". Its parameters ",
            row("W", "in", sup(Blackboard("R"), row("n", "times", "d"))),
            ", ",
            row("U", "in", sup(Blackboard("R"), row("n", "times", "n"))),
            " and ",
            row("v", "in", sup(Blackboard("R"), "n")),
            " are the same at every time step. Starting from ",
            row(h(0), "=", 0),
            ", it computes",
        )
    ),
    Display(
        Aligned(
            (
                (z("t"), row("=", "W", sup("x", "t"), "+", "U", h(PREVIOUS), ",")),
                (h("t"), row("=", "f", paren(z("t")), ",", "qquad", "t", "=", 1, ",", "dots", ",", "T", ",")),
                (
                    YHAT,
                    row(
                        "=",
                        Fence("⟨", row("v", ",", h("T")), "⟩"),
                        ",",
                        "qquad",
                        "ell",
                        "=",
                        frac(1, 2),
                        sup(paren(YHAT, "-", "y"), 2),
                        ".",
                    ),
                ),
            )
        ),
        "elman",
    ),
    Paragraph(
        (
            "The function ",
            formula("f"),
            " acts elementwise; we use ",
            row("f", "=", TANH),
            ", whose slope is ",
            row(SLOPE, paren("z"), "=", 1, "-", sup(TANH, 2), paren("z")),
            ". The weights are shared, so ",
            formula("U"),
            " enters ",
            formula("ell"),
            " through every one of the ",
            formula("T"),
            " time steps; this is what makes the derivation worth doing ",
            Emphasised("carefully"),
            ".",
        )
    ),
    Note(
        "Convention",
        (
            "A gradient has the shape of its parameter: ",
            d("ell", "U"),
            " is an ",
            row("n", "times", "n"),
            " matrix with entries ",
            d("ell", sub("U", ("i", "j"))),
            ". The adjoint of a state is a column, ",
            row(delta("t"), "=", d("ell", z("t")), "in", sup(Blackboard("R"), "n")),
            ".",
        ),
    ),
    Table(
        (("Symbol",), ("Shape",), ("Meaning",)),
        (
            ((sup("x", "t"),), (formula("d"),), ("input at time ", formula("t"))),
            ((h("t"),), (formula("n"),), ("hidden state",)),
            (
                (jacobian("t"),),
                (row("n", "times", "n"),),
                ("slope of the nonlinearity, ", row(DIAG, paren(SLOPE, paren(z("t"))))),
            ),
            ((delta("t"),), (formula("n"),), ("gradient of the loss with respect to ", z("t"))),
        ),
        ("The symbols of this handout and their shapes.",),
        "symbols",
        "lcl",
    ),
)

BACKWARD = (
    Heading("Backward through time", id="backward"),
    Paragraph(
        (
            "We go from the loss back to the first time step. Every step below states one equation, says why "
            "it holds, and was compared with the forward equations ",
            Reference("elman"),
            " by independent means.",
        )
    ),
    Step(
        ("The loss and the readout",),
        row(d("ell", YHAT), "=", YHAT, "-", "y", ",", "qquad", d("ell", "v"), "=", paren(YHAT, "-", "y"), h("T")),
        ("The loss is half a square, and ", YHAT, " is linear in ", formula("v"), " with coefficients ", h("T"), "."),
        agree("readout", 1.1e-16, 3.4e-10),
        id="readout",
    ),
    Step(
        ("The last hidden state",),
        row(d("ell", h("T")), "=", paren(YHAT, "-", "y"), "v"),
        ("The inner product ", Fence("⟨", row("v", ",", h("T")), "⟩"), " is linear in ", h("T"), " as well."),
        agree("last state", 2.2e-16, 4.1e-10),
    ),
    Step(
        ("One step of the chain rule",),
        row(
            d(h("t"), h(PREVIOUS)),
            "=",
            d(h("t"), z("t")),
            "thin",
            d(z("t"), h(PREVIOUS)),
            "=",
            DIAG,
            paren(SLOPE, paren(z("t"))),
            "thin",
            "U",
            "=",
            jacobian("t"),
            "U",
        ),
        (
            formula("f"),
            " acts elementwise, so its Jacobian is diagonal; ",
            z("t"),
            " is affine in ",
            h(PREVIOUS),
            " with matrix ",
            formula("U"),
            ".",
        ),
        agree("one step", 3.1e-16, 8.8e-10),
        id="one",
        details=(
            Paragraph(
                (
                    "Entry by entry, ",
                    row(sub(h("t"), "i"), "=", "f", paren(sub(z("t"), "i"))),
                    " depends on ",
                    sub(z("t"), "j"),
                    " only for ",
                    row("j", "=", "i"),
                    ", hence",
                )
            ),
            Display(
                row(
                    d(sub(h("t"), "i"), sub(z("t"), "j")),
                    "=",
                    sub("delta", ("i", "j")),
                    "thin",
                    SLOPE,
                    paren(sub(z("t"), "i")),
                    ",",
                    "qquad",
                    d(sub(z("t"), "i"), sub(h(PREVIOUS), "j")),
                    "=",
                    sub("U", ("i", "j")),
                    ".",
                ),
                "entries",
            ),
        ),
    ),
    Step(
        ("The adjoint of the last pre-activation",),
        row(delta("T"), "=", SLOPE, paren(z("T")), "odot", paren(YHAT, "-", "y"), "v"),
        (
            "The last state reaches the loss through ",
            YHAT,
            " alone; a diagonal matrix times a vector is an elementwise product.",
        ),
        agree("last adjoint", 1.4e-16, 2.9e-10),
        id="last",
    ),
    Step(
        ("The adjoint recursion",),
        row(
            delta("t"),
            "=",
            Emphasis("local", row(SLOPE, paren(z("t")))),
            "odot",
            paren(Emphasis("upstream", row(UT, delta(NEXT)))),
            ",",
            "qquad",
            "t",
            "=",
            "T",
            "-",
            1,
            ",",
            "dots",
            ",",
            1,
        ),
        (
            "For ",
            row("t", "<", "T"),
            " the state ",
            h("t"),
            " influences ",
            formula("ell"),
            " only through ",
            z(NEXT),
            ", which is affine in it; transpose ",
            Reference("one"),
            ".",
        ),
        agree("recursion", 2.8e-16, 1.6e-9),
        id="recursion",
    ),
    Step(
        ("The gradient of the recurrent weights",),
        Boxed(row(d("ell", "U"), "=", total(row(delta("t"), "thin", sup(paren(h(PREVIOUS)), "top"))))),
        (
            formula("U"),
            " is shared by all time steps, so the contributions of the ",
            formula("T"),
            " uses add; use number ",
            formula("t"),
            " contributes an outer product.",
        ),
        agree("gradient of U", 2.0e-16, 4.0e-9),
        id="gradient",
        details=(
            Paragraph(
                (
                    "The differential form says the same without indices. From ",
                    row("d", z("t"), "=", paren("d", "U"), h(PREVIOUS), "+", "U", paren("d", h(PREVIOUS))),
                    " only the first term is a direct use of ",
                    formula("U"),
                    ", and",
                )
            ),
            Display(
                row(
                    Fence("⟨", row(delta("t"), ",", paren("d", "U"), h(PREVIOUS)), "⟩"),
                    "=",
                    Fence("⟨", row(delta("t"), sup(paren(h(PREVIOUS)), "top"), ",", "d", "U"), "⟩"),
                    ".",
                )
            ),
        ),
    ),
    Step(
        ("The gradient of the input weights",),
        row(d("ell", "W"), "=", total(row(delta("t"), "thin", sup(paren(sup("x", "t")), "top")))),
        ("The same argument with ", sup("x", "t"), " in the place of ", h(PREVIOUS), "."),
        agree("gradient of W", 2.4e-16, 3.7e-9),
        id="input",
    ),
    Step(
        ("Unrolling the recursion",),
        row(
            d(h("T"), h("k")),
            "=",
            ORDERED,
            "=",
            Underbrace(
                row(
                    jacobian("T"),
                    "U",
                    "thin",
                    jacobian(row("T", "-", 1)),
                    "U",
                    "cdots",
                    jacobian(row("k", "+", 1)),
                    "U",
                ),
                row("T", "-", "k", Words(" factors, the newest on the left")),
            ),
        ),
        (
            "Apply ",
            Reference("one.equation"),
            " repeatedly. Matrix products do not commute, so the order matters: the arrow "
            "over the product says that later factors stand on the left.",
        ),
        agree("product", 4.4e-16, 7.2e-9),
        id="product",
    ),
    Step(
        ("The whole gradient, written out",),
        row(
            d("ell", "U"),
            "=",
            paren(YHAT, "-", "y"),
            *[
                part
                for k in (5, 4, 3)
                for part in (
                    *(("+",) if k < 5 else ()),
                    sup(
                        paren(*[x for s in range(5, k, -1) for x in (jacobian(s), "U")], jacobian(k))
                        if k < 5
                        else paren(jacobian(5)),
                        "top",
                    ),
                    "v",
                    sup(paren(h(k - 1)), "top"),
                )
            ],
            "+",
            "cdots",
            "+",
            sup(paren(jacobian(5), "U", jacobian(4), "U", jacobian(3), "U", jacobian(2), "U", jacobian(1)), "top"),
            "v",
            sup(paren(h(0)), "top"),
        ),
        (
            "Substitute ",
            Reference("product"),
            " into ",
            Reference("gradient"),
            " for ",
            row("T", "=", 5),
            "; a transposed product reverses its factors.",
        ),
        agree("written out", 5.1e-16, 9.0e-9),
    ),
    Step(
        ("A bound on how far gradients reach",),
        row(
            norm(d(h("T"), h("k")), grow=True),
            "<=",
            Big("product", row("s", "=", "k", "+", 1), formula("T")),
            norm(jacobian("s")),
            "thin",
            norm("U"),
            "<=",
            sup(paren("gamma", "thin", sub("sigma", Function("max")), paren("U"), grow=True), row("T", "-", "k")),
            ",",
            "qquad",
            "gamma",
            "=",
            Scripts(Function("sup", True), formula("z")),
            Fence("|", row(SLOPE, paren("z")), "|"),
            ".",
        ),
        (
            "The spectral norm is submultiplicative. If ",
            row("gamma", sub("sigma", Function("max")), paren("U"), "<", 1),
            ", the gradient vanishes exponentially with the distance ",
            row("T", "-", "k"),
            ".",
        ),
        agree("bound", 0.0, 6.3e-9)[:1],
        id="bound",
    ),
)

PROOF = (
    Heading("Why the product has this order", 2),
    Paragraph(
        ("The unrolled form ", Reference("product.equation"), " is proved by induction on ", row("T", "-", "k"), ".")
    ),
    Proof(
        (
            Paragraph(
                (
                    "For ",
                    row("T", "=", "k"),
                    " both sides are the identity. Let the claim hold for ",
                    row("T", "-", 1),
                    ". Then",
                )
            ),
            Chain(
                d(h("T"), h("k")),
                (
                    (
                        "=",
                        row(d(h("T"), h(row("T", "-", 1))), "thin", d(h(row("T", "-", 1)), h("k"))),
                        ("chain rule, as ", h("T"), " depends on ", h("k"), " only through ", h(row("T", "-", 1))),
                    ),
                    ("=", row(jacobian("T"), "U", "thin", d(h(row("T", "-", 1)), h("k"))), (Reference("one"),)),
                    (
                        "=",
                        row(
                            jacobian("T"),
                            "U",
                            Big("product_left", row("s", "=", "k", "+", 1), row("T", "-", 1)),
                            jacobian("s"),
                            "U",
                        ),
                        ("induction hypothesis",),
                    ),
                    ("=", ORDERED, ("the new factor stands on the left",)),
                ),
                "induction",
            ),
            Paragraph(("Line ", Reference("induction.4"), " is the claim for ", formula("T"), ".")),
        )
    ),
    Heading("Does it vanish?", id="vanishing"),
    Paragraph(
        (
            "The bound ",
            Reference("bound.equation"),
            " has two factors, and both matter. A unitary ",
            formula("U"),
            " keeps ",
            row(sub("sigma", Function("max")), paren("U"), "=", 1),
            ", but ",
            row(norm(jacobian("s")), "<=", 1),
            " still shrinks what passes wherever a unit saturates:",
        )
    ),
    Items(
        (
            (
                "with ",
                row("f", "=", TANH),
                ", ",
                row(SLOPE, paren("z"), "=", 1),
                " only at ",
                row("z", "=", 0),
                ", so some decay is certain;",
            ),
            (
                "with ",
                row("f", "=", Function("ReLU")),
                ", the slope is 1 on active units and 0 on the others, and whole rows of the product disappear;",
            ),
            (
                "with a linear network, ",
                row(jacobian("s"), "=", "I"),
                " and the product is ",
                sup("U", row("T", "-", "k")),
                ".",
            ),
        )
    ),
    Display(
        row(
            SLOPE,
            paren("z"),
            "=",
            Cases(
                (
                    (formula(1), row(Words("if "), "z", ">", 0, ",")),
                    (formula(0), row(Words("if "), "z", "<=", 0, Words(" (our convention at the kink)."))),
                )
            ),
        ),
        "relu",
    ),
    Paragraph(("A numerical example with ", row("n", "=", 2), ":")),
    Display(
        row(
            jacobian(2),
            "U",
            "=",
            matrix([[0.42, 0], [0, 0.79]]),
            matrix([[2, -1], [3, 0.5]]),
            "=",
            Matrix(matrix([[0.84, -0.42], [2.37, 0.395]]).rows, "(", frozenset({(1, 0)})),
            ".",
        )
    ),
    Figure(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 420 150" width="420" height="150">'
        '<g fill="none" stroke="#666" stroke-width="0.8"><path d="M50 10V120H400"/>'
        '<path d="M50 65H400" stroke="#ccc"/></g>'
        '<path d="M50 65L120 80L190 94L260 106L330 114L400 118" fill="none" stroke="#0b57a4" stroke-width="1.6"/>'
        '<path d="M50 65L400 65" fill="none" stroke="#444" stroke-width="1.6" stroke-dasharray="5 3"/>'
        '<path d="M50 65L120 55L190 44L260 33L330 22L400 12" fill="none" stroke="#a83a0c" stroke-width="1.6"/>'
        '<g font-size="11" font-family="serif" fill="#333"><text x="404" y="121">0.9</text>'
        '<text x="404" y="68">1.0</text>'
        '<text x="404" y="15">1.1</text><text x="190" y="140">distance T − k</text>'
        '<text x="8" y="68">norm</text></g></svg>',
        (
            "The norm of ",
            d(h("T"), h("k")),
            " against the distance for ",
            row(sub("sigma", Function("max")), paren("U"), "in", Fence("{", row("0.9", ",", 1, ",", "1.1"), "}")),
            " in a linear network.",
        ),
        "Three curves on a logarithmic scale: one falls for 0.9, one is flat for 1.0 and one rises for 1.1.",
        "norms",
    ),
)

CODE = '''def backward(U, v, y, x, h, f_prime_z):
    """Gradients of ℓ = (ŷ - y)²/2 for h^t = f(W x^t + U h^{t-1}); h[0] is the start."""
    T = len(x)
    dU, dW = np.zeros_like(U), np.zeros((len(v), x.shape[1]))
    error = v @ h[T] - y                        # ∂ℓ/∂ŷ
    g = error * v                               # ∂ℓ/∂h^T
    for t in range(T, 0, -1):
        delta = f_prime_z[t - 1] * g            # δᵗ = f'(zᵗ) ⊙ (Uᵀ δᵗ⁺¹)
        dU += np.outer(delta, h[t - 1])         # ∂ℓ/∂U = Σ δᵗ (hᵗ⁻¹)ᵀ
        dW += np.outer(delta, x[t - 1])
        g = U.T @ delta
    return dU, dW, error * h[T]
'''

REST = (
    Heading("In code", id="code"),
    Paragraph(
        (
            "The loop of ",
            Reference("listing"),
            " is ",
            Reference("recursion"),
            " read aloud. It keeps one vector ",
            CodeText("g"),
            " and adds to ",
            CodeText("dU"),
            " with ",
            CodeText("+="),
            ".",
        )
    ),
    Listing(CODE, "python", ("Backpropagation through time in NumPy.",), "listing", runnable=True),
    Note(
        "Common mistake",
        (
            "Writing ",
            CodeText("dU = ..."),
            " instead of ",
            CodeText("dU += ..."),
            " keeps only the first "
            "time step. The result has the right shape and the wrong value; a finite difference finds it at once.",
        ),
    ),
    Teacher(
        (
            Paragraph(
                (
                    "Ask for the shape of ",
                    d(h("T"), "W"),
                    " first: it has three indices, which is why the slide's formula "
                    "cannot be read as a product of matrices.",
                )
            ),
        )
    ),
    Heading("Evidence", id="evidence"),
    EvidenceTable(
        tuple(
            record
            for claim, a, b in (("∂ℓ/∂U, equation (7)", 2.0e-16, 4.0e-9), ("∂ℓ/∂W, equation (8)", 2.4e-16, 3.7e-9))
            for record in agree(claim, a, b)
        ),
        ("Largest relative errors over random inputs.",),
        "checks",
    ),
    Heading("Exercises", id="exercises"),
    Exercises(
        (
            Exercise(
                (
                    Paragraph(
                        (
                            "Show that for ",
                            row("f", "=", Function("ReLU")),
                            " the bound ",
                            Reference("bound.equation"),
                            " has ",
                            row("gamma", "=", 1),
                            ".",
                        )
                    ),
                ),
                (
                    Paragraph(
                        (
                            row(SLOPE, paren("z"), "in", Fence("{", row(0, ",", 1), "}")),
                            " for every ",
                            formula("z"),
                            ", and the value 1 is taken. ANSWERWORD",
                        )
                    ),
                ),
                2,
                "ex-relu",
            ),
            Exercise(
                (
                    Paragraph(
                        (
                            "Let ",
                            row("n", "=", 1),
                            ", ",
                            row("T", "=", 3),
                            " and ",
                            row("f", paren("z"), "=", "z"),
                            ". Write ",
                            d("ell", "U"),
                            " as a polynomial in ",
                            formula("U"),
                            ":",
                        )
                    ),
                    Display(row(d("ell", "U"), "=", paren(YHAT, "-", "y"), "v", paren("dots"))),
                ),
                (
                    Display(
                        row(
                            d("ell", "U"),
                            "=",
                            paren(YHAT, "-", "y"),
                            "v",
                            paren(h(2), "+", "U", h(1), "+", sup("U", 2), h(0)),
                            "=",
                            paren(YHAT, "-", "y"),
                            "v",
                            "W",
                            paren(sup("x", 2), "+", 2, "U", sup("x", 1)),
                            ".",
                        )
                    ),
                    Paragraph(
                        (
                            "ANSWERWORD The factor 2 comes from the two uses of ",
                            formula("U"),
                            " on the way from ",
                            sup("x", 1),
                            ".",
                        )
                    ),
                ),
                3,
                "ex-poly",
            ),
            Exercise(
                (
                    Paragraph(
                        ("What changes in ", Reference("recursion"), " if every time step has a loss of its own?")
                    ),
                ),
                (Paragraph(("The direct term is added before the elementwise product. ANSWERWORD",)),),
                1,
            ),
        )
    ),
)

ELMAN = Document(
    title="Backpropagation through time in an Elman network",
    subtitle="Sequence to single",
    course="Introduction to machine learning",
    source="Derived and checked by Unrolled",
    seed=7,
    blocks=(*MODEL, *BACKWARD, *PROOF, *REST),
)
