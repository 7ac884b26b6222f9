"""The records a definition is read into: declarations, boundary values, equations, and the system they make up.

A Program is a set of equations over declared arrays; a model and its gradient are both Programs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import sympy as sp

from derive.language.expression import Access, Expression, Integer, Span

Shape = tuple[Integer, ...]
Role = Literal["given", "learn", "defined"]


@dataclass(frozen=True)
class Range:
    """``index = lower … upper``, both ends included."""

    index: sp.Symbol
    lower: Integer
    upper: Integer


@dataclass(frozen=True)
class Declaration:
    """An array: its role, the shape of one value, and the superscripts (time) over which it has values.

    For a state that starts before the range of its equation, ``superscripts`` is the range of the equation; the values
    before it are the program's Starts. ``zero_outside`` says that a value beyond all of these is zero, as of adjoints.
    """

    name: str
    role: Role
    shape: Shape
    superscripts: tuple[Range, ...] = ()
    description: str = ""
    zero_outside: bool = False
    span: Span | None = field(default=None, compare=False, repr=False)


Scope = Mapping[str, Declaration]
"""The declared arrays by name."""


@dataclass(frozen=True)
class Start:
    """The value of a state before the first step, ``h^0``: an expression, or None where the caller must give it.

    A caller may always give it instead of the default value. Its key among the inputs is ``h^0``.
    """

    access: Access
    value: Expression | None
    span: Span | None = field(default=None, compare=False, repr=False)

    @property
    def key(self) -> str:
        """``h^0``, ``h^-1``: the name under which callers give it and read its gradient."""
        return f"{self.access.name}^{','.join(str(position) for position in self.access.superscripts)}"


@dataclass(frozen=True)
class Equation:
    """``target = value`` for every index in ``ranges``: superscript indices, and subscript ones in index form."""

    target: Access
    value: Expression
    ranges: tuple[Range, ...] = ()


@dataclass(frozen=True)
class Program:
    """Equations over declared arrays, in any order that has each value made from values already made."""

    sizes: tuple[sp.Symbol, ...]
    declarations: tuple[Declaration, ...]
    starts: tuple[Start, ...]
    equations: tuple[Equation, ...]
    functions: tuple[tuple[str, str], ...] = ()
    """Opaque function names and the rows of FUNCTIONS they stand for: (("f", "tanh"),); an unbound one is absent."""

    def declaration(self, name: str) -> Declaration:
        """The declaration of ``name``; KeyError where there is none."""
        for entry in self.declarations:
            if entry.name == name:
                return entry
        raise KeyError(name)


@dataclass(frozen=True)
class System:
    """A definition as its author gave it: its name, where it comes from, its program, its loss and its conventions."""

    title: str
    program: Program
    loss: str
    sources: tuple[str, ...] = ()
    size_descriptions: tuple[tuple[str, str], ...] = ()
    conventions: tuple[tuple[str, str], ...] = ()
    name: str = ""
