"""Whatever is given, only a DefinitionError comes out, and soon."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from derive import catalogue
from derive.language.errors import DefinitionError
from derive.language.parser import parse, parse_expression

PIECES = (
    "title", "sizes T, n", "given x^t in R^n for t = 1..T", "learn U in R^(n x n)", "start h^0 = 0",
    "for t = 1..T:", "end", "h^t = f(U h^{t-1} + x^t)", "loss = <h^T, h^T>", "where f is tanh",
    "convention ties is first", "=", "^", "_", "{", "}", "(", ")", "[", "]", "<", ">", ",", "..", "..", "'",
    "+", "-", "*", "/", ".*", ".^", "1", "0.5", "1e9", "sum over i of", "sum_{", "sum_t",
    "product over k = T down to 1 of", "x", "x^t", "U", "T", "t", "i", "I", "I_n", "∂", "Σ", "\\frac{",
    "\\sum_{t=1}^{T}", "ᵀ", "ᵗ⁻¹", "₁", "ŷ", "\u0302", "\n", "\n", "\n", " ", "#", "\\", "≤", "divides", "of",
    "in", "is", "R^", "loss", "loss^t =", "ones(n)", "\t",
)  # fmt: skip


def refusal(text: str | bytes) -> str:
    """What is said against ``text``; '' where it is read."""
    try:
        parse(text)
    except DefinitionError as error:
        return str(error)
    return ""


@settings(max_examples=300)
@given(st.text(max_size=200))
@example("a = ͅ")
@example("for")
@example("sizes ,")
@example("given x^{ in R")
def test_any_text_is_read_or_refused(text: str):
    refusal(text)


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map(" ".join))
def test_pieces_of_the_language_in_any_order_are_read_or_refused(text: str):
    refusal(text)


@settings(max_examples=400)
@given(st.data())
def test_a_changed_definition_is_read_or_refused(data: st.DataObject):
    text = catalogue.text(data.draw(st.sampled_from(catalogue.names())))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 6)))
        text = text[:start] + data.draw(st.sampled_from(("", *PIECES))) + text[end:]
    refusal(text)


@settings(max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes):
    refusal(content)


HOSTILE = {
    "ten megabytes": "loss = " + "1 + " * 2_500_000,
    "brackets": "loss = " + "(" * 99_000,
    "closed brackets": "loss = " + "(" * 90_000 + "1" + ")" * 90_000,
    "brackets within the limit": "loss = " + "(" * 75 + "1" + ")" * 75,
    "nested sums": "loss = " + "sum over i = 0..1 of " * 2_000 + "1",
    "nested functions": "loss = " + "exp(1 + " * 79 + "1" + ")" * 79,
    "signs": "loss = 1 *" + " -" * 3_900 + " 1",
    "primes": "learn U in R\nloss = U" + "'" * 3_900,
    "powers": "learn a in R\nloss = a" + "^2" * 3_900,
    "a tower of powers": "learn a in R\nloss = a^(" + "9^(" * 60 + "9" + ")" * 61,
    "huge powers": "loss = (10^1000)^1000",
    "huge size powers": "sizes n\nlearn a in R^(" + "n" + "^6" * 15 + ")\nloss = 1",
    "a long product": "learn a in R\nloss = " + "a " * 3_900,
    "a long sum": "learn a in R\nloss = " + "a + " * 3_900 + "a",
    "a long whole number": "sizes n\nlearn a in R^(" + "n + " * 3_900 + "1)\nloss = 1",
    "a wide whole number": "sizes a, b, c, d\nlearn v in R^(" + "(a + b + c + d)" * 60 + ")\nloss = 1",
    "long names": "a" * 150_000 + " = 1",
    "many lines": "loss = 1\n" * 2_600,
    "many equations backwards": "".join(f"a{k} = a{k + 1}\n" for k in range(250)) + "learn a250 in R\nloss = a0",
    "open lines": "loss = (\n" * 3_900,
    "commas": "given " + "," * 19_000,
    "letters above": "loss = a" + "ᵗ" * 100_000,
    "LaTeX": "loss = " + "\\" * 100_000,
    "accents": "loss = a" + "\u0302" * 100_000,
    "frac": "loss = " + "\\frac{" * 3_900,
    "comments": "#" * 190_000 + "\nloss = 1",
    "spaces": " " * 190_000 + "loss = 1",
    "carriage returns": "\r" * 190_000 + "loss = 1",
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_dealt_with_within_a_second(text: str):
    parse(catalogue.text("elman"))  # the grammar is compiled once, at the first use
    begin = time.perf_counter()
    refusal(text)
    assert time.perf_counter() - begin < 1.0 * SLACK


SLACK = 3
"""The machines that run the tests are shared."""


@settings(max_examples=200)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join))
def test_an_answer_is_read_or_refused(text: str):
    with contextlib.suppress(DefinitionError):
        parse_expression(text, catalogue.load("elman").program, "ti")
