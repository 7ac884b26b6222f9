"""Every kind of mistake, at its exact place, with a repair that helps."""

from __future__ import annotations

import inspect
import re
from typing import NamedTuple

import pytest

from derive import catalogue
from derive.language import errors
from derive.language.errors import (
    BadSyntax,
    CyclicStep,
    DefinitionError,
    EmptyFile,
    FutureUse,
    LossNotScalar,
    MissingLoss,
    MissingStart,
    NotText,
    RangeError,
    RedefinedName,
    ShapeMismatch,
    TooLarge,
    UnknownConvention,
    UnknownFunction,
    UnknownName,
)
from derive.language.parser import parse


class Mistake(NamedTuple):
    """A change to the Elman definition, and what is said about it."""

    old: str
    new: str
    kind: type[DefinitionError]
    place: tuple[int, int, int]
    says: tuple[str, ...]


MISTAKES = {
    "the wrong matrix": Mistake(
        "W x^t", "U x^t", ShapeMismatch, (8, 11, 16), ("U is n×n, x^t has d rows", "Did you mean W?")
    ),
    "the wrong vector": Mistake(
        "h^{t-1}", "x^t", ShapeMismatch, (8, 19, 24), ("U is n×n, x^t has d rows", "Did you mean W?")
    ),
    "the wrong inner product": Mistake(
        "<v, h^T>", "<v, x^T>", ShapeMismatch, (11, 8, 16), ("v has n rows, x^T has d rows", "Did you mean z^T or h^T?")
    ),
    "two columns": Mistake(
        "<v, h^T>", "v h^T", ShapeMismatch, (11, 8, 13), ("v has n rows, h^T has n rows", "<v, h^T>")
    ),
    "a star between arrays": Mistake(
        "W x^t", "W * x^t", ShapeMismatch, (8, 11, 18), ("* multiplies by a number", "W x^t", "W .* x^t")
    ),
    "a sum of two shapes": Mistake(
        "f(z^t)", "f(z^t) + W", ShapeMismatch, (9, 20, 21), ("f(z^t) has n rows, W is n×d", "cannot be added")
    ),
    "a missing transpose": Mistake(
        "U h^{t-1}", "U' W h^{t-1}", ShapeMismatch, (8, 22, 31), ("W is n×d, h^{t-1} has n rows", "Did you mean U?")
    ),
    "a power of a vector": Mistake(
        "h^t = f(z^t)", "h^t = z^t^2", ShapeMismatch, (9, 11, 16), ("z^t is a vector of n rows", "z^t .^ 2")
    ),
    "softmax of a matrix": Mistake(
        "f(z^t)", "softmax(U) z^t", ShapeMismatch, (9, 11, 21), ("U is n×n, and softmax takes a vector",)
    ),
    "too few subscripts": Mistake(
        "<v, h^T>", "sum over i of W[i]", ShapeMismatch, (11, 22, 26), ("W is n×d, here stand 1 subscript", "Give 2")
    ),
    "a start of another shape": Mistake("h^0 = 0", "h^0 = U", ShapeMismatch, (6, 15, 16), ("its start is n×n",)),
    "no start": Mistake(
        "start   h^0 = 0", "# none", MissingStart, (8, 21, 28), ("uses h^{t-1}", "needs h^0", "start h^0 = 0")
    ),
    "one start of two": Mistake("h^{t-1}", "h^{t-2}", MissingStart, (8, 21, 28), ("needs h^{-1}", "start h^{-1} = 0")),
    "the future": Mistake("h^{t-1}", "h^{t+1}", FutureUse, (8, 21, 28), ("z^t uses h^{t+1}", "h^{t-1}")),
    "the end in every step": Mistake("h^{t-1}", "h^T", FutureUse, (8, 21, 24), ("z^t uses h^T", "h^{t-1}")),
    "a later step of something else": Mistake(
        "h^t = f(z^t)", "h^t = f(z^{t+1})", FutureUse, (9, 13, 20), ("h^t uses z^{t+1}",)
    ),
    "a cycle": Mistake("h^{t-1}", "h^t", CyclicStep, (9, 13, 16), ("z^t → h^t → z^t", "earlier step")),
    "a cycle of one": Mistake("f(z^t)", "f(h^t)", CyclicStep, (9, 13, 16), ("h^t → h^t", "earlier step")),
    "a cycle without time": Mistake("yhat = <v, h^T>", "yhat = loss", CyclicStep, (12, 9, 13), ("yhat → loss → yhat",)),
    "a start from its own end": Mistake("h^0 = 0", "h^0 = h^T", CyclicStep, (6, 15, 18), ("h^0 needs h^T",)),
    "a typo": Mistake(
        "<v, h^T>", "<v, hh^T>", UnknownName, (11, 12, 14), ("Nothing is called hh here", "Did you mean h?")
    ),
    "no space": Mistake("W x^t", "Wx^t", UnknownName, (8, 11, 13), ("Nothing is called Wx here", "W x")),
    "an unknown size": Mistake("R^(n x d)", "R^(n x m)", UnknownName, (5, 21, 22), ("Nothing is called m here",)),
    "an index from nowhere": Mistake("W x^t", "W[i,j] x^t", UnknownName, (8, 13, 14), ("Nothing is called i here",)),
    "a function's typo": Mistake(
        "f(z^t)", "tahn(z^t)", UnknownFunction, (9, 11, 15), ("called tahn", "Did you mean tanh?")
    ),
    "a binding's typo": Mistake(
        "f is tanh", "f is thanh", UnknownFunction, (13, 9, 19), ("called thanh", "Did you mean tanh?")
    ),
    "an unknown function": Mistake("f(z^t)", "wobble(z^t)", UnknownFunction, (9, 11, 17), ("where wobble is opaque",)),
    "a convention's value": Mistake(
        "where",
        "convention ties is last\nwhere",
        UnknownConvention,
        (13, 1, 24),
        ("'ties' cannot be 'last'", "first, split or all"),
    ),
    "a convention's name": Mistake(
        "where", "convention kink is 0\nwhere", UnknownConvention, (13, 1, 21), ("no convention called 'kink'",)
    ),
    "no loss": Mistake("loss =", "cost =", MissingLoss, (13, 1, 18), ("loss = (yhat - y)^2 / 2",)),
    "a given loss": Mistake(
        "y in R", "y, loss in R", RedefinedName, (12, 1, 5), ("loss has a meaning already, from line 4",)
    ),
    "a loss that is only given": Mistake(
        "loss = (yhat - y)^2 / 2", "given loss in R", MissingLoss, (12, 7, 11), ("No equation defines loss",)
    ),
    "a vector as loss": Mistake("(yhat - y)^2 / 2", "v", LossNotScalar, (12, 1, 5), ("a vector of n rows", "<a, a>")),
    "a loss for each step": Mistake(
        "loss = (yhat - y)^2 / 2",
        "loss^t = <h^t, h^t> for t = 1..T",
        LossNotScalar,
        (12, 1, 7),
        ("sum over t = 1..T of loss^t",),
    ),
    "two meanings": Mistake(
        "yhat = <v", "W = <v", RedefinedName, (11, 1, 2), ("W has a meaning already, from line 5",)
    ),
    "a size as a name": Mistake("yhat = <v", "n = <v", RedefinedName, (11, 1, 2), ("n is a size already",)),
    "an index that is an array": Mistake(
        "<v, h^T>", "sum over W of v[W]", RedefinedName, (11, 17, 18), ("W is an array", "another letter")
    ),
    "two starts": Mistake("h^0 = 0", "h^0 = 0, h^0 = 1", RedefinedName, (6, 18, 21), ("h^0 is given twice",)),
    "a start that is computed": Mistake(
        "h^0 = 0", "h^0 = 0, h^2 = 1", RedefinedName, (6, 18, 21), ("equation from step 1",)
    ),
    "two titles": Mistake("sizes", "title Two\nsizes", RedefinedName, (3, 1, 10), ("title already",)),
    "a reversed range": Mistake("for t = 1..T:", "for t = 1..0:", RangeError, (7, 5, 13), ("1..0 of t is empty",)),
    "no steps": Mistake("T steps", "T = 0", RangeError, (3, 9, 14), ("between 1 and",)),
    "after the end": Mistake(
        "<v, h^T>", "<v, h^{T+1}>", RangeError, (11, 12, 19), ("needs h^{T+1}", "The last one is h^T")
    ),
    "before the first input": Mistake(
        "x^t +", "x^{t-1} +", RangeError, (8, 13, 20), ("z^t needs x^0", "Give x^t for t = 0..T")
    ),
    "no step": Mistake("W x^t", "W x", RangeError, (8, 13, 14), ("x has one value for each t", "x^t")),
    "no range": Mistake(
        "x^t in R^d for t = 1..T", "x^t in R^d", RangeError, (4, 9, 12), ("For which t", "for t = 1..T")
    ),
    "beyond an axis": Mistake(
        "<v, h^T>", "sum over i = 0..n of v[i]", RangeError, (11, 29, 33), ("reaches n", "outside is zero")
    ),
    "a sum over nothing": Mistake(
        "<v, h^T>", "sum over i of y", RangeError, (11, 8, 23), ("range of i", "i = lower..upper")
    ),
    "a stray bracket": Mistake("U h^{t-1}", "U ) h^{t-1}", BadSyntax, (8, 21, 22), ("')' does not fit here",)),
    "an open bracket": Mistake("U h^{t-1}", "U h^{t-1", BadSyntax, (8, 27, 28), ("missing at the end", "}")),
    "no end": Mistake("end\n", "", BadSyntax, (7, 1, 14), ("not closed", "Write end")),
    "no equation": Mistake(
        "yhat = <v, h^T>", "yhat <v, h^T>", BadSyntax, (11, 1, 14), ("neither an equation nor a section",)
    ),
    "a misspelt section": Mistake(
        "learn ", "lern ", BadSyntax, (5, 1, 50), ("begins with 'lern'", "Did you mean learn?")
    ),
    "an unclear fraction": Mistake(
        "(yhat - y)^2 / 2", "1 / y yhat", BadSyntax, (12, 14, 18), ("above or below", "(y yhat)")
    ),
    "a bare function": Mistake("f(z^t)", "tanh z^t", BadSyntax, (9, 11, 15), ("tanh is a function", "tanh(z)")),
    "an I of no size": Mistake("W x^t", "I x^t", BadSyntax, (8, 11, 12), ("size of I", "I_n")),
    "a derivative": Mistake("<v, h^T>", "∂loss/∂y", BadSyntax, (11, 8, 16), ("does not contain derivatives",)),
    "a cross": Mistake("W x^t", "W × x^t", BadSyntax, (8, 13, 14), ("'×' does not fit", "A B")),
    "a factorial": Mistake("W x^t", "W! x^t", BadSyntax, (8, 12, 13), ("'!' does not fit",)),
    "an unknown command": Mistake("W x^t", r"\foo x^t", BadSyntax, (8, 11, 12), ("LaTeX",)),
    "many digits": Mistake("/ 2", "/ 2" + "0" * 80, TooLarge, (12, 23, 104), ("more than 64 digits",)),
    "a large exponent": Mistake("^2", "^1001", TooLarge, (12, 19, 23), ("beyond 1000",)),
    "an exponent of ten": Mistake("/ 2", "/ 2e999", TooLarge, (12, 23, 28), ("more than 64 digits",)),
    "too deep": Mistake("h^{t-1}", "(" * 90 + "h^{t-1}" + ")" * 90, TooLarge, (8, 101, 102), ("nested more than",)),
    "too many primes": Mistake("U h^{t-1}", "U" + "'" * 90 + " h^{t-1}", TooLarge, (8, 19, 30), ("nested more than",)),
}

BROKEN: dict[str, tuple[str | bytes, type[DefinitionError], str]] = {
    "nothing": ("", EmptyFile, "nothing here to read"),
    "only comments": ("# a\n   \n# b\n", EmptyFile, "nothing here to read"),
    "a NUL byte": ("title a\nloss = \x00", NotText, "Line 2"),
    "latin 1": ("title Größe".encode("latin-1"), NotText, "Line 1 is not UTF-8"),
    "binary": (bytes(range(256)), NotText, "not UTF-8"),
    "ten megabytes": ("a" * 10_000_000, TooLarge, "10,000,000"),
    "many tokens": ("loss = " + "1+" * 20_000 + "1", TooLarge, "8,000 words"),
    "many arrays": ("".join(f"a{number} = 1\n" for number in range(400)), TooLarge, "300 arrays"),
}


ELMAN = re.sub("^option .*\n", "", catalogue.text("elman"), flags=re.MULTILINE) + "where   f is tanh\n"


def mistaken(mistake: Mistake) -> str:
    text = ELMAN
    assert mistake.old in text
    return text.replace(mistake.old, mistake.new, 1)


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_at_its_place_with_its_repair(mistake: Mistake):
    with pytest.raises(DefinitionError) as caught:
        parse(mistaken(mistake), "elman")
    error = caught.value
    assert type(error) is mistake.kind
    assert (error.line, error.column, error.end_column) == mistake.place
    for words in mistake.says:
        assert words in str(error)


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_an_error_shows_the_line_and_points_at_the_fault(mistake: Mistake):
    with pytest.raises(DefinitionError) as caught:
        parse(mistaken(mistake), "elman")
    line, column, end = mistake.place
    shown = str(caught.value).splitlines()
    assert shown[0].startswith(f"elman:{line}:{column}: ")
    assert shown[1] == "    " + mistaken(mistake).splitlines()[line - 1]
    assert shown[2] == " " * (column + 3) + "^" * (end - column)


@pytest.mark.parametrize("text, kind, words", BROKEN.values(), ids=BROKEN)
def test_what_is_no_definition_at_all_is_refused(text: str | bytes, kind: type[DefinitionError], words: str):
    with pytest.raises(kind, match=words) as caught:
        parse(text, "elman")
    assert str(caught.value).startswith("elman:")


@pytest.mark.parametrize("kind", [kind for _, kind in inspect.getmembers(errors, inspect.isclass)], ids=str)
def test_every_kind_of_mistake_derives_from_one_and_has_two_examples(kind: type[DefinitionError]):
    if kind is DefinitionError:
        assert kind.__bases__ == (ValueError,)
        return
    assert kind.__bases__ == (DefinitionError,)
    examples = [mistake.kind for mistake in MISTAKES.values()] + [row[1] for row in BROKEN.values()]
    assert examples.count(kind) >= 2


def test_positions_are_those_of_the_original_text_whatever_its_spelling():
    text = ELMAN.replace("W x^t + U h^{t-1}", "W xᵗ ⊙ δ")
    with pytest.raises(UnknownName) as caught:
        parse(text)
    assert (caught.value.line, caught.value.column, caught.value.end_column) == (8, 18, 19)


def test_a_mistake_on_a_continued_line_is_placed_on_that_line():
    text = ELMAN.replace("W x^t + U h^{t-1}", "W x^t\n        + U x^t")
    with pytest.raises(ShapeMismatch) as caught:
        parse(text)
    assert (caught.value.line, caught.value.column) == (9, 11)


def test_the_mistake_is_sought_in_the_line_that_caused_it():
    """z^t gets d rows from the wrong line; <v, h^T> then fails, but is not to blame."""
    text = ELMAN.replace("W x^t + U h^{t-1}", "sum over j of x^t")
    with pytest.raises(RangeError) as caught:
        parse(text)
    assert caught.value.line == 8
