"""One equation of a worked example with its numbers: the value of every entry and the arithmetic that leads there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import sympy as sp

from derive.derivation import Derivation
from derive.evaluate import Scope, bindings, exact, inside, scope_at
from derive.handout.formula import Formula
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer
from derive.language.system import Equation
from derive.lesson.example import Example
from derive.lesson.outside import equation_as_read, is_told
from derive.lesson.small import with_sizes
from derive.lesson.tables import Shown, shown
from derive.notation import formula
from derive.worked.arithmetic import arithmetic
from derive.worked.numerals import is_rounded, written
from derive.worked.terms import Term, placed, terms

MOST_LETTERS = 88
"""Characters of a line of arithmetic on a page."""


@dataclass(frozen=True)
class Computed:
    """One equation of the example with its numbers, at one position of its superscripts."""

    example: Example
    equation: Equation
    superscripts: tuple[int, ...] = ()

    @property
    def derivation(self) -> Derivation:
        """Whose equation it is."""
        return self.example.derivation

    @property
    def name(self) -> str:
        """The array that it defines."""
        return self.equation.target.name

    @property
    def value(self) -> Any:
        """Its numbers."""
        return self.example.results[self.name, self.superscripts]

    @property
    def title(self) -> Formula:
        """The array as it is written."""
        access = Access(self.name, tuple(map(sp.Integer, self.superscripts)))
        return formula(access, self.derivation.names)

    @property
    def array(self) -> Shown:
        """How it is laid out."""
        return shown(self.name, self.value, self.superscripts)

    @cached_property
    def scope(self) -> Scope:
        """Where its expressions are worth something."""
        return scope_of_example(self.example)

    @cached_property
    def numeric(self) -> Equation:
        """The equation with the sizes of the example put in, and without axes of length 1."""
        return at_sizes(self.equation, self.example)

    def scope_at(self, entry: tuple[int, ...]) -> Scope:
        """The scope at one entry."""
        scope = self.scope
        for place, step in zip(self.equation.target.superscripts, self.superscripts, strict=True):
            if isinstance(place, sp.Symbol):
                scope = inside(scope, place, step)
        spans = tuple(span for span in self.equation.ranges if span.index not in self.equation.target.superscripts)
        return placed(scope, replace(self.equation, ranges=spans), entry)

    def line(self, entry: tuple[int, ...]) -> str:
        """``1·2 + 0·3``: the right side at one entry with its numbers."""
        here = self.scope_at(entry)
        value = self.equation.value
        if self.reads_choice:
            found = [term for term in terms(value, here, self._flowing) if term.is_open and self._is_chosen(term, here)]
            return _added([written(term.value) for term in found])
        only_open = any(isinstance(c, ast.Divides) for c in _conditions(value))
        return arithmetic(value, here, only_open=only_open, only_nonzero=self.is_backward)

    @property
    def is_backward(self) -> bool:
        """Whether the equation is one of the gradients."""
        return self.name not in {item.name for item in self.derivation.forward.declarations}

    @property
    def _choices(self) -> set[str]:
        return {item.name for item in self.derivation.program.declarations if item.choice}

    @property
    def reads_choice(self) -> bool:
        """Whether it passes on to the entries that a maximum took."""
        return self.is_backward and any(
            isinstance(n, Access) and n.name in self._choices for n in ast.walk(self.equation.value)
        )

    @property
    def _flowing(self) -> str:
        """What is passed on to the entries that were chosen."""
        reads = [n.name for n in ast.walk(self.equation.value) if isinstance(n, Access)]
        return next((name for name in reads if name not in self._choices), reads[0])

    def _is_chosen(self, term: Term, here: Scope) -> bool:
        return all(
            self.example.results[name, self.superscripts][place] != 0
            for name, place in term.reads.items()
            if name in self._choices
        )


def scope_of_example(example: Example) -> Scope:
    """The scope of all arrays of the example, in exact arithmetic."""
    program = example.derivation.program
    functions = bindings(example.derivation.forward)
    return scope_at(program, example.results, example.sizes, functions, numbers=exact)


def at_sizes(equation: Equation, example: Example) -> Equation:
    """An equation with numbers for its sizes, without axes of length 1, as it is read by people."""
    derivation = example.derivation
    program = derivation.program
    known: dict[sp.Symbol, Integer] = {symbol: sp.Integer(example.sizes[symbol.name]) for symbol in program.sizes}
    small = with_sizes(equation, program, known)
    if not is_told(derivation.system):
        return small
    return with_sizes(equation_as_read(equation, {d.name: d for d in program.declarations}), program, known)


def _conditions(value: Expression) -> Iterator[ast.Condition]:
    for node in ast.walk(value):
        if isinstance(node, ast.Guard):
            yield from node.conditions


def _added(parts: Sequence[str]) -> str:
    if not parts:
        return "0"
    return parts[0] + "".join(f" − {p[1:]}" if p.startswith("−") else f" + {p}" for p in parts[1:])


def sides(computed: Computed, entry: tuple[int, ...]) -> tuple[str, str, str]:
    """The arithmetic of one entry, its value, and the sign between them."""
    number, text = computed.value[entry], computed.line(entry)
    if len(text) > MOST_LETTERS:
        text = f"{text[: text.rindex(' ', 0, MOST_LETTERS)]} …"
    return text, written(number), "≈" if is_rounded(number) else "="


def equated(text: str, value: str, sign: str) -> str:
    """``1·2 + 3 = 5``, or the value alone."""
    return value if text == value else f"{text}\u00a0{sign}\u00a0{value}"
