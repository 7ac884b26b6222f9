"""Every node in every printer, and properties of random formulas."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
import typst
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from derive.handout import formula as tree
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
    FormulaError,
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
from derive.handout.latex import latex
from derive.handout.mathml import mathml
from derive.handout.measure import MATHEMATICS
from derive.handout.pdf import compiled
from derive.handout.plain import plain
from derive.handout.speech import speech
from derive.handout.symbols import ACCENTS, BIG, GREEK, LEFT, OPERATORS, RIGHT, ROLES, SPACES
from derive.handout.typst_math import typst_math
from tests.derive.handout.samples import HOSTILE, NODES, X, Y

PREVIOUS = row("t", "-", 1)
GRADIENT = row(
    frac(("partial", "ell"), ("partial", "U")),
    "=",
    Big("sum", row("t", "=", 1), formula("T")),
    sup("delta", "t"),
    "thin",
    sup(paren(sup("h", PREVIOUS)), "top"),
)


def inside(node: Formula) -> list[Formula]:
    """The node and every node in it."""
    found: list[Formula] = [node]
    for name in node.__dataclass_fields__:
        values = [getattr(node, name)]
        while values:
            value = values.pop()
            if isinstance(value, tree.NODES):
                found.extend(inside(value))
            elif isinstance(value, tuple):
                values.extend(value)
    return found


def balanced(source: str) -> None:
    """Braces and environments of LaTeX source close in the order in which they open."""
    depth, environments = 0, []
    text = re.sub(r"\\[\\{}$%&#_]", "", source)
    for found in re.finditer(r"\\(begin|end)\{([a-z*]+)\}|[{}]", text):
        if found[1] == "begin":
            environments.append(found[2])
        elif found[1] == "end":
            assert environments.pop() == found[2]
        else:
            depth += 1 if found[0] == "{" else -1
            assert depth >= 0
    assert depth == 0
    assert environments == []


def compiles(nodes: list[Formula]) -> None:
    equations = "\n".join(f'#math.equation(block: true, alt: "x", $ {typst_math(node)} $)' for node in nodes)
    compiled(f'{MATHEMATICS}#set document(title: "x", date: none)\n{equations}')


def test_every_node_has_a_sample() -> None:
    sampled = {type(node) for sample in NODES.values() for node in inside(sample)}
    assert sampled == set(tree.NODES)


def test_typst_compiles_every_sample_as_ua_1() -> None:
    compiles(list(NODES.values()))


@pytest.mark.parametrize("sample", NODES.values(), ids=NODES)
def test_mathml_is_well_formed_and_spoken(sample: Formula) -> None:
    for style in ("inline", "line", "block"):
        root = ElementTree.fromstring(mathml(sample, style))
        assert root.tag == "math"
        assert root.get("alttext") == speech(sample)
        for element in root.iter():
            wanted = {"mfrac": 2, "msub": 2, "msup": 2, "msubsup": 3, "munder": 2, "mover": 2, "munderover": 3}
            assert len(element) == wanted.get(element.tag, len(element))


@pytest.mark.parametrize("sample", NODES.values(), ids=NODES)
def test_latex_is_balanced(sample: Formula) -> None:
    for profile in ("ams", "web"):
        balanced(latex(sample, profile))


@pytest.mark.parametrize("sample", NODES.values(), ids=NODES)
def test_speech_is_words(sample: Formula) -> None:
    assert re.fullmatch(r"[^\W_]+([ '-]|, )?(([^\W_]|[ '-]|, )*[^\W_])?", speech(sample)), speech(sample)


@pytest.mark.parametrize("sample", NODES.values(), ids=NODES)
def test_plain_is_one_line(sample: Formula) -> None:
    assert "\n" not in plain(sample)
    assert plain(sample) or sample == Row(())


def test_a_gradient_reads_as_we_write_it() -> None:
    assert plain(GRADIENT) == "∂ℓ/∂U = Σ_{t=1}^{T} δᵗ (hᵗ⁻¹)ᵀ"
    assert latex(GRADIENT) == (r"\frac{\partial\ell}{\partial U} = \sum_{t = 1}^{T}\delta^{t}\, (h^{t - 1})^{\top}")
    assert speech(GRADIENT) == (
        "partial ell over partial capital U equals the sum from t equals 1 to capital T of delta superscript t "
        "open parenthesis h superscript t minus 1 end superscript close parenthesis transpose"
    )


@pytest.mark.parametrize(
    "node,words",
    [
        (sup("h", PREVIOUS), "h superscript t minus 1"),
        (sup("h", "t"), "h superscript t"),
        (sup("x", 2), "x squared"),
        (sup("x", 3), "x cubed"),
        (sup("x", 10), "x to the power 10"),
        (sup("U", "top"), "capital U transpose"),
        (sup("U", row("-", 1)), "capital U inverse"),
        (sup(10, row("-", 3)), "10 to the power negative 3"),
        (row(Prime(Identifier("f")), paren("z")), "f prime of z"),
        (Accent("hat", Y), "y hat"),
        (frac("a", row("b", "+", "c")), "the fraction a over b plus c"),
        (sub("sigma", Function("max")), "sigma sub max"),
    ],
)
def test_speech_of(node: Formula, words: str) -> None:
    assert speech(node) == words


@pytest.mark.parametrize(
    "node,text",
    [
        (row("a", "=", -1, ",", "b"), "a = −1, b"),
        (sup("U", "top"), "Uᵀ"),
        (sup("x", row("T", "q")), "x^{Tq}"),
        (Accent("hat", Y), "ŷ"),
        (frac(("a", "+", "b"), "c"), "(a + b)/c"),
        (row(Prime(Identifier("f")), paren(sup("z", "t")), "odot", "g"), "f′(zᵗ) ⊙ g"),
        (matrix([[1, 2], [3, 4]]), "[1, 2; 3, 4]"),
        (row("W", sup("x", "t"), "+", "U", sup("h", PREVIOUS)), "W xᵗ + U hᵗ⁻¹"),
        (row(2, "x", Function("tanh"), paren("x")), "2x tanh(x)"),
    ],
)
def test_plain_of(node: Formula, text: str) -> None:
    assert plain(node) == text


def test_shorthand_makes_the_same_nodes() -> None:
    assert row("h", "delta", "+", "quad", 1, -2, "0.5", ("a", "in")) == Row(
        (
            Identifier("h"),
            Identifier("delta"),
            Operator("+"),
            Space("quad"),
            Numeral("1"),
            Row((Operator("-"), Numeral("2"))),
            Numeral("0.5"),
            Row((Identifier("a"), Operator("in"))),
        )
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda: Identifier("1x"),
        lambda: Identifier("a_b"),
        lambda: Identifier(""),
        lambda: Numeral("-1"),
        lambda: Numeral("1e5"),
        lambda: Operator("nope"),
        lambda: Space("wide"),
        lambda: Function("a$"),
        lambda: Scripts(X),
        lambda: Accent("vec", X),
        lambda: Fence("<", X, ")"),
        lambda: Big("prod"),
        lambda: Matrix(()),
        lambda: Matrix(((X,), (X, Y))),
        lambda: Cases(()),
        lambda: Matrix(((X,),), "(", frozenset({(1, 0)})),
        lambda: Aligned(()),
        lambda: Emphasis("pink", X),
        lambda: Blackboard("r"),
        lambda: Prime(X, 4),
        lambda: formula("x y"),
        lambda: formula(True),
        lambda: formula(None),  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_printed_cannot_be_made(make: Callable[[], Formula]) -> None:
    with pytest.raises(FormulaError):
        make()


@pytest.mark.parametrize("printer", [latex, typst_math, mathml, speech, plain])
def test_a_printer_refuses_what_is_not_a_node(printer: Callable[[str], str]) -> None:
    with pytest.raises(AssertionError):
        printer("x")


def formulas() -> st.SearchStrategy[Formula]:
    """Random trees, with empty rows, operators anywhere and fences inside matrices."""
    names = st.sampled_from
    leaves = st.one_of(
        st.builds(Identifier, names(["x", "T", "ell", "loss", *GREEK])),
        st.builds(Numeral, names(["0", "12", "3.5", "2,833,000"])),
        st.builds(Operator, names(list(OPERATORS))),
        st.builds(Space, names(list(SPACES))),
        st.builds(Function, names(["tanh", "arg max"]), st.booleans()),
        st.builds(Words, st.one_of(names([HOSTILE, "if ", ""]), st.text(max_size=5))),
        st.builds(Blackboard, names(list("AENR"))),
    )

    def larger(node: st.SearchStrategy[Formula]) -> st.SearchStrategy[Formula]:
        maybe = st.one_of(st.none(), node)
        pairs = st.lists(st.tuples(node, node), min_size=1, max_size=3).map(tuple)
        grid = st.tuples(st.integers(1, 3), st.integers(1, 3)).flatmap(
            lambda size: st.lists(
                st.lists(node, min_size=size[1], max_size=size[1]).map(tuple), min_size=size[0], max_size=size[0]
            ).map(tuple)
        )
        return st.one_of(
            st.builds(Row, st.lists(node, max_size=5).map(tuple)),
            st.builds(Scripts, node, node, maybe),
            st.builds(Scripts, node, st.none(), node),
            st.builds(Accent, names(list(ACCENTS)), node),
            st.builds(Fraction, node, node),
            st.builds(Fence, names(list(LEFT)), node, names(list(RIGHT)), st.booleans()),
            st.builds(Underbrace, node, node),
            st.builds(Big, names(list(BIG)), maybe, maybe),
            st.builds(
                lambda rows, mark: Matrix(rows, "(", frozenset({(0, 0)}) if mark else frozenset()), grid, st.booleans()
            ),
            st.builds(Cases, pairs),
            st.builds(Aligned, pairs),
            st.builds(Emphasis, names(list(ROLES)), node),
            st.builds(Prime, node, st.integers(1, 3)),
            st.builds(Boxed, node),
            st.builds(Scaled, node, st.just(0.8)),
        )

    return st.recursive(leaves, larger, max_leaves=12)


QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@QUICK
@given(st.lists(formulas(), min_size=4, max_size=4))
def test_random_formulas_print_everywhere(nodes: list[Formula]) -> None:
    compiles(nodes)
    for node in nodes:
        ElementTree.fromstring(mathml(node))
        balanced(latex(node, "ams"))
        balanced(latex(node, "web"))
        assert speech(node)
        assert "\n" not in plain(node)


@QUICK
@given(st.lists(st.lists(formulas(), min_size=2, max_size=2), min_size=1, max_size=3), st.booleans())
def test_a_matrix_keeps_its_shape(rows: list[list[Formula]], marked: bool) -> None:
    node = Matrix(tuple(tuple(cells) for cells in rows), "[", frozenset({(0, 0)}) if marked else frozenset())
    source = f"{MATHEMATICS}#let seen = math.equation[${typst_math(node)}$]\n"
    source += "#let found(it) = if it.func() == math.mat { it } "
    source += 'else if it.has("body") { found(it.body) } else if it.has("child") { found(it.child) } else if '
    source += 'it.has("children") { it.children.map(found).find(x => x != none) }\n'
    source += "#metadata(found(seen).rows.map(cells => cells.len()))<shape>"
    compiler = typst.Compiler(source.encode(), font_paths=typst.Fonts(include_system_fonts=False))
    assert json.loads(compiler.query("<shape>", field="value", one=True)) == [2] * len(rows)
