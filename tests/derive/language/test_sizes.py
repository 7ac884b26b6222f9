"""Sizes that begin at 0, have a default, or follow from others: read, printed back, and refused with a reason."""

from __future__ import annotations

import itertools
import re

import pytest
import sympy as sp

from derive.evaluate import integer
from derive.language.errors import DefinitionError, RangeError, RedefinedName, TooLarge
from derive.language.expression import size
from derive.language.parser import parse
from derive.language.printer import source
from derive.language.system import System

WINDOW = """
sizes H extent, R window, s stride default 1, d dilation default 1, p before from 0 default 0, q after from 0 default 0
sizes O = number of i with s*i + d*(R - 1) <= H + p + q - 1
given x in R^H, t in R^O
learn w in R^R
y[i] = sum over a of w[a] * x[s*i + d*a - p]
loss = squared(y, t)
convention outside is zero
"""


def with_sizes(text: str) -> System:
    return parse(f"sizes n, s, p from 0\nsizes {text}\ngiven x in R^n\nloss = sum(x)\n")


def test_a_size_may_begin_at_0_and_have_a_default():
    program = (system := parse(WINDOW)).program
    assert [symbol.name for symbol in program.sizes] == ["H", "R", "s", "d", "p", "q", "O"]
    assert [symbol.name for symbol in program.independent] == ["H", "R", "s", "d", "p", "q"]
    assert program.sizes[4] == size("p", 0)
    assert not size("p", 0).is_positive
    assert system.defaults == (("s", 1), ("d", 1), ("p", 0), ("q", 0))


def test_a_count_is_how_many_positions_there_are():
    [(symbol, formula)] = parse(WINDOW).program.derived
    assert symbol == size("O")
    for numbers in itertools.product((1, 4, 5), (1, 2, 3), (1, 2, 3), (1, 2), (0, 3), (0, 1)):
        sizes: dict[str, int] = dict(zip(("H", "R", "s", "d", "p", "q"), numbers, strict=True))
        h, r, s, d, p, q = numbers
        counted = sum(s * i + d * (r - 1) <= h + p + q - 1 for i in range(50))
        assert max(integer(formula, sizes), 0) == counted


FORMULAS = {
    "m = n + 2*s": lambda n, s, p: n + 2 * s,
    "m = floor((n + p) / s)": lambda n, s, p: (n + p) // s,
    "m = ceil((n + p) / s) + 1": lambda n, s, p: -(-(n + p) // s) + 1,
    "m = min(n, s) + max(p, 1, s)": lambda n, s, p: min(n, s) + max(p, 1, s),
    "m = floor(n / 2 + s / 3) + 1": lambda n, s, p: (3 * n + 2 * s) // 6 + 1,
    "m = number of i with i < n and s*i <= p + 3": lambda n, s, p: sum(i < n and s * i <= p + 3 for i in range(99)),
    "m = number of i with 0 <= i <= n and n >= i": lambda n, s, p: n + 1,
    "k = n + s, m = k*k": lambda n, s, p: (n + s) ** 2,
    "m = k + 1, k = floor(n / s) + 1": lambda n, s, p: n // s + 2,
}


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_worth_what_it_says_and_survives_printing(text: str):
    system = with_sizes(text)
    assert parse(source(system)) == system
    for n, s, p in itertools.product((1, 2, 7), (1, 2, 3), (0, 1, 5)):
        known = {"n": n, "s": s, "p": p}
        for symbol, formula in system.program.derived:
            known[symbol.name] = integer(formula, known)
        assert known["m"] == FORMULAS[text](n, s, p)


REFUSED: dict[str, tuple[type[DefinitionError], str]] = {
    "m = number of i with p*i <= n": (DefinitionError, "The factor p of i may be 0 or less"),
    "m = number of i with (n - s)*i <= n": (DefinitionError, "may be 0 or less"),
    "m = number of i with i <= 2*i - n": (DefinitionError, "not bounded from above"),
    "m = number of i with 0 <= i": (DefinitionError, "not bounded from above"),
    "m = number of i with i*i <= n": (DefinitionError, "not linear in i"),
    "m = number of i with n <= 3": (DefinitionError, "says nothing about i"),
    "m = number of i with i": (DefinitionError, "an inequality"),
    "m = number of i": (DefinitionError, "what is counted"),
    "m = number of n with n <= 3": (RedefinedName, "n is a size"),
    "m = number of i with 2*i + 3 <= 2": (RangeError, "m = 0: there is no i with 2"),
    "m = floor(n / p)": (DefinitionError, "p may be 0 or less; nothing can be divided by it"),
    "m = floor(n / (s - n))": (DefinitionError, "nothing can be divided by it"),
    "m = floor(n / 0)": (DefinitionError, "Nothing can be divided by 0"),
    "m = n / 2": (DefinitionError, "n/2 need not be a whole number"),
    "m = m + 1": (RedefinedName, "m follows from m"),
    "m = k, k = m + 1": (RedefinedName, "m follows from k, which follows from m"),
    "m = x": (DefinitionError, "Nothing is called x here"),
    "m = 2 - 3": (RangeError, "m = -1, and a size is at least 1"),
    "m = 0": (RangeError, "The size m is 0"),
    "m from 3": (RangeError, "m begins from 3"),
    "m default 0": (RangeError, "at least 1, its default is 0"),
    "m default 1 default 2": (DefinitionError, "'default' stands twice"),
    "m = 3 default 2": (DefinitionError, "m has a value already"),
    "m, m": (RedefinedName, "given twice"),
    "m = " + "floor(" * 6 + "n" + " / 2)" * 6: (TooLarge, "deep in each other"),
    "m = floor(" + " + ".join(["n"] * 500) + ")": (TooLarge, "more than 100 terms"),
    "m = min(" + ", ".join(f"n + {k}" for k in range(60)) + ")": (TooLarge, "at most 20"),
    "m^1000": (TooLarge, "1000 components; there are from 1 to 8"),
    "m^2, m_1": (RedefinedName, "m_1 is a component already, of m"),
    "m^2, k = m": (DefinitionError, "m has 2 components, and k has 1"),
    "m^2, k = prod(3)": (DefinitionError, "prod multiplies the components"),
    "m^D": (DefinitionError, "D is no number that is known here"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_makes_no_size_is_refused_at_its_place(text: str):
    kind, message = REFUSED[text]
    with pytest.raises(kind, match=re.escape(message)) as caught:
        with_sizes(text)
    assert caught.value.line == 2
    assert caught.value.repair


@pytest.mark.parametrize(
    "words", ['"a, b"', '"from 0"', 'the 3" disk', "a size from 0 default 2", '"from 0" default 2']
)
def test_words_about_a_size_survive_printing(words: str):
    system = with_sizes(f"m {words}")
    assert parse(source(system)) == system


def test_sizes_can_be_fixed_by_the_caller():
    system = parse(WINDOW, choices={"s": 2, "p": "0", "q": 0})
    assert [symbol.name for symbol in system.program.independent] == ["H", "R", "d"]
    assert parse(source(system)) == system
    formula = system.program.derived[0][1]
    assert integer(formula, {"H": 7, "R": 3, "d": 1}) == 3
    assert parse(WINDOW, choices={"H": 5, "R": 2, "s": 2, "d": 1, "p": 0, "q": 0}).program.sizes == ()


@pytest.mark.parametrize(
    "choices, message",
    [
        ({"s": 0}, "The size s is 0, but must be between 1 and"),
        ({"d": -1}, "The size d is -1, but must be between 1 and"),
        ({"p": -1}, "The size p is -1, but must be between 0 and"),
        ({"s": "fast"}, "s is a size, a whole number"),
        ({"s": (1, 2)}, "s has 1 component, and 2 are set"),
        ({"O": 3}, "O follows from others"),
        ({"stride": 2}, "no option or size called stride"),
        ({"H": 2, "R": 5, "s": 1, "d": 1, "p": 0, "q": 0}, "O = 0: there is no i with i"),
    ],
)
def test_what_the_caller_may_not_set_is_said(choices: dict[str, object], message: str):
    with pytest.raises(DefinitionError, match=message.replace("(", r"\(")):
        parse(WINDOW, choices=choices)


def test_the_bound_of_a_count_spares_the_test_of_an_access_inside():
    text = "sizes H, R, s\nsizes O = number of i with s*i + R - 1 <= H - 1\ngiven x in R^H\nlearn w in R^R\n"
    text += "y[i] = sum over a of w[a] * x[s*i + a]\nloss = sum(y)\nconvention outside is zero\n"
    assert "[0 <=" not in source(parse(text))
    assert "[0 <=" in source(parse(text.replace("x[s*i + a]", "x[s*i + a + 1]")))
    assert "[0 <=" in source(parse(text.replace("H - 1\n", "H\n")))


def test_subscripts_are_divided_exactly_where_a_condition_says_so():
    text = "sizes n, s\ngiven x in R^n\ny[j] = [s divides j] x[j / s] for j = 0..s*n-1\nloss = sum(y)\n"
    system = parse(text)
    assert parse(source(system)) == system
    with pytest.raises(RangeError, match="need not be a whole number") as caught:
        parse(text.replace("[s divides j] ", ""))
    assert caught.value.repair == "Say where it is: [s divides j] before it."
    with pytest.raises(RangeError, match="need not be a whole number"):
        parse(text.replace("[s divides j]", "[s divides j + 1]"))
    assert isinstance(system.program.equations[0].ranges[0].upper, sp.Expr)
