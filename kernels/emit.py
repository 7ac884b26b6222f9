"""A plan printed as Python source: one step a line, the model's own names, each equation above the lines it became."""

from __future__ import annotations

import keyword
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import assert_never

import sympy as sp

from derive.language.expression import Integer
from kernels.numerals import Numerals
from kernels.schedule.integers import integer
from kernels.schedule.plan import (
    BATCH,
    Average,
    Contract,
    Equal,
    First,
    For,
    If,
    Larger,
    LayOut,
    Let,
    Line,
    Multiply,
    NothingYet,
    Outer,
    Pack,
    Place,
    Plan,
    Put,
    Set,
    Statement,
    View,
    Whole,
)
from kernels.vocabulary import MODULES

INDENT = "    "
INDEX_LETTERS = "ijklmpqrs"
RESERVED = frozenset(
    {*MODULES, "abs", "batch", "best", "count", "entry", "kernel", "max", "min", "numbers", "place", "range", "real"}
    | {"room", "total"}
)
"""Names that the source uses in a sense of its own."""


def identifiers(names: Iterable[str]) -> dict[str, str]:
    """A Python name for each name, all different: ``h^0`` becomes ``h_0``, a word of Python's gets an underscore.

    >>> identifiers(["h", "h^0", "h^-1", "lambda"])
    {'h': 'h', 'h^0': 'h_0', 'h^-1': 'h_minus_1', 'lambda': 'lambda_'}
    """
    chosen: dict[str, str] = {}
    for name in names:
        plain = unicodedata.normalize("NFKC", name).replace("-", "minus_")
        stem = re.sub(r"\W", "_", plain)
        stem = stem if stem.isidentifier() else f"_{stem}"
        tried = (stem + "_" * underscores for underscores in count())
        taken = {*RESERVED, *keyword.kwlist, *chosen.values()}
        chosen[name] = next(candidate for candidate in tried if candidate not in taken)
    return chosen


def label(number: int) -> str:
    """How an equation is called in comments: by its number, or as a start."""
    return f"({number})" if number > 0 else "start"


def equation_numbers(statements: Iterable[Statement]) -> set[int]:
    """The numbers of the equations that the statements compute."""
    found: set[int] = set()
    for statement in statements:
        match statement:
            case For(body=body):
                found |= equation_numbers(body)
            case If(body=body, otherwise=otherwise):
                found |= equation_numbers((*body, *otherwise))
            case _:
                found.add(statement.number)
    return found


@dataclass(frozen=True)
class _Printer:
    numerals: Numerals
    texts: Mapping[int, str]

    def block(self, statements: Sequence[Statement], depth: int, current: int | None) -> Iterable[str]:
        """The lines of the statements; ``current`` is the equation named last above them."""
        printer = self
        for statement in statements:
            numbers = equation_numbers([statement])
            if len(numbers) > 1:
                current = None
            elif numbers != {current}:
                (current,) = numbers
                yield f"{INDENT * depth}# {label(current)}  {self.texts.get(current, '')}".rstrip()
            if isinstance(statement, Let):
                printer = printer.knowing(statement.name)
            yield from printer.statement(statement, depth, current)

    def knowing(self, index: sp.Symbol) -> _Printer:
        """The printer where ``index`` has a name."""
        if index in self.numerals.symbols:
            return self
        symbols = {**self.numerals.symbols, index: self.index_name(index)}
        return replace(self, numerals=replace(self.numerals, symbols=symbols))

    def statement(self, statement: Statement, depth: int, current: int | None) -> Iterable[str]:
        """A loop or test with what is in it, or one line."""
        pad = INDENT * depth
        match statement:
            case For(index=index, body=body):
                inner = self.knowing(index)
                yield f"{pad}for {inner.numerals.symbols[index]} in {self.span(statement)}:"
                yield from inner.block(body, depth + 1, current)
            case If(conditions=conditions, body=body, otherwise=otherwise):
                yield f"{pad}if {self.numerals.test(conditions)}:"
                yield from self.block(body, depth + 1, current)
                if otherwise:
                    yield f"{pad}else:"
                    yield from self.block(otherwise, depth + 1, current)
            case _:
                yield pad + self.line(statement)

    def line(self, statement: Line) -> str:
        """A statement of one line."""
        view, names = self.view, self.numerals.names
        match statement:
            case Let(name=name, value=value):
                return f"{self.numerals.symbols[name]} = {self.numerals.integer(value)}"
            case Set(target=target, value=value, any_order=True):
                total = self.numerals.element(target)
                return f"{total} = plus({total}, {self.numerals.number(value).text})"
            case Set(target=target, value=value, adding=adding):
                return f"{self.numerals.element(target)} {'+=' if adding else '='} {self.numerals.number(value).text}"
            case Put(target=target, value=value):
                return f"{self.numerals.element(target)} = {self.numerals.integer(value)}"
            case First(value=value, position=position):
                found = self.numerals.number(value).text
                if position is None:
                    return f"best = {found}"
                return f"best, place = {found}, {self.numerals.integer(position)}"
            case NothingYet(with_place=with_place):
                return "best, place = real(minus_infinity), -1" if with_place else "best = real(minus_infinity)"
            case Larger(value=value, position=position, certain=certain):
                found = self.numerals.number(value).text
                if position is None:
                    return f"best = larger(best, {found})"
                at = self.numerals.integer(position)
                return f"best, place = {'larger_than' if certain else 'larger_at'}(best, place, {found}, {at})"
            case Equal(target=target, value=value, other=other, count=count, adding=adding):
                pair = f"{self.numerals.number(value).text}, {self.numerals.element(other)}"
                over = "" if count is None else f" / {self.numerals.element(count)}"
                sign = "+=" if adding else "="
                return f"{self.numerals.element(target)} {sign} equal({pair}, real(0), real(1)){over}"
            case Average(out=out):
                return f"average({view(out)}, real(batch))"
            case Pack(matrix=matrix, panels=panels):
                return f"pack({view(matrix)}, {names[panels]})"
            case Multiply(left=left, panels=panels, out=out, adding=adding):
                return f"{'add_product' if adding else 'product'}({view(left)}, {names[panels]}, {view(out)})"
            case Outer(left=left, right=right, out=out, adding=adding):
                return f"{'add_outer' if adding else 'outer'}({view(left)}, {view(right)}, {view(out)})"
            case Whole(function=function, argument=argument, out=out, second=second):
                given = ", ".join(view(array) for array in (argument, second) if array is not None)
                if isinstance(out, View):
                    return f"{function}({given}, {view(out)})"
                return f"{self.numerals.element(out)} = {function}({given})"
            case LayOut(side=side, array=array, contraction=name):
                return f"lay_{side}({view(array)}, {names[f'{name}_places']}, {names[f'{name}_room']})"
            case Contract(left=left, contraction=name, out=out, adding=adding):
                function = "add_contraction" if adding else "contract"
                return f"{function}({view(left)}, {names[f'{name}_places']}, {names[f'{name}_room']}, {view(out)})"
            case _:
                assert_never(statement)

    def view(self, view: View) -> str:
        """A part of an array: h[t - 1], delta[0:T], W.T."""
        places = [self.place(place) for place in view.places]
        while places and places[-1] == ":":
            places.pop()
        subscript = f"[{', '.join(places)}]" if places else ""
        return f"{self.numerals.names[view.name]}{subscript}{'.T' if view.transposed else ''}"

    def place(self, place: Place) -> str:
        """A position or a slice."""
        match place:
            case None:
                return ":"
            case (first, last):
                return f"{self.numerals.integer(first)}:{self.beyond(last)}"
            case _:
                return self.numerals.integer(place)

    def beyond(self, last: Integer) -> str:
        return self.numerals.integer(last + 1 if last.has(sp.Min, sp.Max) else integer(last + 1))

    def span(self, loop: For) -> str:
        """The range of a loop, both ends included in the mathematics."""
        if loop.descending:
            return f"range({self.numerals.integer(loop.upper)}, {self.numerals.integer(loop.lower - 1)}, -1)"
        first = "" if loop.lower == 0 else f"{self.numerals.integer(loop.lower)}, "
        return f"range({first}{self.beyond(loop.upper)})"

    def index_name(self, index: sp.Symbol) -> str:
        """The author's name for an index, or the first free letter."""
        own = "b" if index == BATCH else index.name
        letters = [*INDEX_LETTERS, *(f"{INDEX_LETTERS[0]}{n}" for n in range(1, 1 + len(self.numerals.symbols)))]
        taken = {*RESERVED, *keyword.kwlist, *self.numerals.names.values(), *self.numerals.symbols.values()}
        return next(name for name in ([] if own.startswith("_") else [own]) + letters if name not in taken)


def body(
    plan: Plan, names: Mapping[str, str], symbols: Mapping[sp.Symbol, str], texts: Mapping[int, str]
) -> tuple[str, ...]:
    """The lines that carry out ``plan``; ``names`` and ``symbols`` are the Python names of arrays and of sizes."""
    printer = _Printer(Numerals(plan.arrays, names, symbols), texts)
    return tuple(printer.block(plan.statements, 1, None))


def mentioned(names: Iterable[str], lines: Iterable[str]) -> tuple[str, ...]:
    """Those of ``names`` that occur as words in the lines, comments apart."""
    words = {word for line in lines for word in re.findall(r"\w+", line.split("#")[0])}
    return tuple(name for name in names if name in words)


@dataclass(frozen=True)
class Function:
    """A function to print: its name, what it computes in a sentence, its arguments, its lines, and what it returns."""

    name: str
    sentence: str
    arguments: tuple[str, ...]
    body: tuple[str, ...]
    result: str


def source(functions: Sequence[Function], header: str, dtype: str) -> str:
    """A module: what it computes, what it imports, and the functions."""
    used = sorted(mentioned(MODULES, [line for function in functions for line in (*function.body, function.result)]))
    lines = [f'"""{header}\n"""', "", f"from numpy import {dtype} as real"]
    modules = {module: [name for name in used if MODULES[name] == module] for module in sorted(set(MODULES.values()))}
    whole = modules.pop("numpy")
    lines += [f"from numpy import {', '.join(whole)}", ""] if whole else [""]
    lines += [f"from {module} import {', '.join(names)}" for module, names in modules.items() if names]
    for function in functions:
        lines += ["", "", f"def {function.name}(", *wrapped(function.arguments), "):"]
        lines += [f'{INDENT}"""{function.sentence}"""', *function.body, f"{INDENT}return {function.result}"]
    return "\n".join([*lines, ""])


def wrapped(arguments: Iterable[str], indent: str = INDENT) -> list[str]:
    """The arguments in lines of a readable width."""
    lines = [indent]
    for argument in arguments:
        if len(lines[-1]) + len(argument) > 110:
            lines.append(indent)
        lines[-1] += f"{argument}, "
    return [line.rstrip() for line in lines]
