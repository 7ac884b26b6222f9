"""Names with components: what is written once for D dimensions is the same as what is written out."""

from __future__ import annotations

import pytest

from derive import catalogue
from derive.language.components import Families, with_products
from derive.language.errors import BadSyntax, DefinitionError, RangeError, RedefinedName
from derive.language.expression import Span
from derive.language.parser import parse
from derive.language.printer import source
from derive.language.spelling import original

SHORT = """
option D = 2 of 1, 2, 3
sizes C channels, H^D extent, R^D window, p^D from 0 default 0, O^D = H + p - R + 1
index i^D, a^D
given x in R^(C x H), t in R^O
learn w in R^(C x R)
y[i] = {right} for i = 0..O-1
loss = squared(y, t) / prod(O + axis)
convention outside is zero
"""
LONG = """
option D = 2 of 1, 2, 3
sizes C channels, H_1 extent, H_2 extent, R_1 window, R_2 window, p_1 from 0 default 0, p_2 from 0 default 0
sizes O_1 = H_1 + p_1 - R_1 + 1, O_2 = H_2 + p_2 - R_2 + 1
given x in R^(C x H_1 x H_2), t in R^(O_1 x O_2)
learn w in R^(C x R_1 x R_2)
y[i_1, i_2] = {right} for i_1 = 0..O_1-1 for i_2 = 0..O_2-1
loss = squared(y, t) / (O_1 (O_2 + 1))
convention outside is zero
"""
SAME = {
    "free indices": (
        "sum over c, a of w[c, a] * x[c, i + a - p]",
        "sum over c, a_1, a_2 of w[c, a_1, a_2] * x[c, i_1 + a_1 - p_1, i_2 + a_2 - p_2]",
    ),
    "ranges": (
        "sum over c, a = 0..R-1 of w[c, a] * x[c, i + a]",
        "sum over c, a_1 = 0..R_1-1, a_2 = 0..R_2-1 of w[c, a_1, a_2] * x[c, i_1 + a_1, i_2 + a_2]",
    ),
    "a sum as in LaTeX": (
        "sum_{c,a} w[c, a] * x[c, i + a]",
        "sum over c, a_1, a_2 of w[c, a_1, a_2] * x[c, i_1 + a_1, i_2 + a_2]",
    ),
    "bounds below and above": (
        "sum_c sum_{a=0}^{R-1} w[c, a] * x[c, i + a]",
        "sum over c, a_1 = 0..R_1-1, a_2 = 0..R_2-1 of w[c, a_1, a_2] * x[c, i_1 + a_1, i_2 + a_2]",
    ),
    "a sum over a name": (
        "sum_c sum_a w[c, a] * x[c, i + a]",
        "sum over c, a_1, a_2 of w[c, a_1, a_2] * x[c, i_1 + a_1, i_2 + a_2]",
    ),
    "conditions": (
        "sum over c, a of [p <= i + a <= H - 1] w[c, a] * x[c, i]",
        "sum over c, a_1, a_2 of [p_1 <= i_1 + a_1 <= H_1 - 1] [p_2 <= i_2 + a_2 <= H_2 - 1] "
        "w[c, a_1, a_2] * x[c, i_1, i_2]",
    ),
    "a condition behind": (
        "sum over c of x[c, i][i = p]",
        "sum over c of x[c, i_1, i_2][i_1 = p_1][i_2 = p_2]",
    ),
}


@pytest.mark.parametrize("right", SAME.values(), ids=SAME)
def test_what_is_written_once_is_what_is_written_out(right: tuple[str, str]):
    short, long = parse(SHORT.format(right=right[0])), parse(LONG.format(right=right[1]))
    assert short == long
    assert parse(source(short)) == short


def test_one_component_keeps_its_plain_name():
    system = parse(SHORT.format(right=SAME["free indices"][0]), choices={"D": 1})
    assert [symbol.name for symbol in system.program.sizes] == ["C", "H", "R", "p", "O"]
    assert "_" not in source(system).replace("\n", " ")


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("fixed", [{}, {"s": 2, "G": 1}, {"K": 1}, {"G": 2, "C": 1, "K": 3}], ids=str)
def test_a_catalogue_entry_in_any_dimension_survives_printing(dimensions: int, fixed: dict[str, int]):
    system = catalogue.load("cross-correlation", D=dimensions, groups="several", **fixed)
    assert len(system.program.declaration("x").shape) == dimensions + 1
    assert parse(source(system), system.name) == system


def test_a_product_stands_for_all_components_and_keeps_its_place():
    families, text = Families({"R": 2, "H": 2}), original("2 prod(R - axis) + prod(H)")
    found = with_products(text, families, Span(1, 1, 2))
    assert found.text == "2 ((R_1 - 0)*(R_2 - 1)) + ((H_1)*(H_2))"
    place = found.text.index("R_2")
    assert text.text[slice(*found.offsets(place, place + 3))] == "R"


MISTAKES: dict[str, tuple[str, type[DefinitionError], str, int]] = {
    "a number where there are two": ("x[0, i] * H", BadSyntax, "H has 2 components, and here stands one number", 7),
    "a range that would be two": ("sum over c = 0..a of w[c, a]", BadSyntax, "c runs over one range", 7),
    "an unknown name in a component": (
        "sum over c, a of w[c, a] * x[c, i + b]",
        DefinitionError,
        "Nothing is called b",
        7,
    ),
    "a product that is not closed": ("prod(H", BadSyntax, "bracket of prod is not closed", 7),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_blamed_on_what_was_written(name: str):
    right, kind, message, line = MISTAKES[name]
    with pytest.raises(kind, match=message) as caught:
        parse(SHORT.format(right=right))
    assert caught.value.line == line


def test_components_that_differ_in_number_do_not_stand_together():
    with pytest.raises(RangeError, match="m has 3 and n has 2"):
        parse("sizes n^2, m^3\ngiven x in R^(n m)\nloss = 1")


def test_an_array_cannot_be_called_like_a_name_with_components():
    with pytest.raises(RedefinedName, match="i is declared under sizes or index"):
        parse("index i^1\ngiven i in R\nloss = i")


GROUPS = """
sizes G, C, K
given x in R^(G C), t in R^(G K)
learn w in R^((G K) x C)
y[g*K + k] = sum over c of w[g*K + k, c] * x[g*C + c]{ranges}
loss = squared(y, t)
"""


@pytest.mark.parametrize("ranges", ["", " for g = 0..G-1, k = 0..K-1".replace(",", " for")])
def test_two_indices_share_an_axis_on_the_left(ranges: str):
    system = parse(GROUPS.format(ranges=ranges))
    [equation, _] = system.program.equations
    assert [str(over.index) for over in equation.ranges] == ["g", "k"]
    assert system.program.declaration("y").shape == system.program.declaration("t").shape
    assert parse(source(system)) == system


@pytest.mark.parametrize("ranges", [" for g = 0..G-1 for k = 0..K", " for g = 0..G-1 for k = 1..K", " for g = 0..G"])
def test_indices_that_leave_gaps_on_the_left_are_refused(ranges: str):
    with pytest.raises(DefinitionError):
        parse(GROUPS.format(ranges=ranges))
