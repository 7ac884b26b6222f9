"""A plan printed as Python source: one step a line, the model's own names, each equation above the lines that compute it."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import assert_never

import sympy as sp
from sympy.printing.str import StrPrinter

from derive.language import expression as ast
from derive.language.expression import Access, Condition, Expression, Integer
from kernels.schedule.plan import (
    BATCH,
    BATCH_SIZE,
    Array,
    Average,
    For,
    Given,
    If,
    Multiply,
    Outer,
    Pack,
    Plan,
    Set,
    Statement,
    View,
    Whole,
)  # fmt: skip

INDENT = "    "
INDEX_LETTERS = "ijklmpqrs"

SCALAR_SOURCES: dict[str, str] = {
    name: f"{name}({{}})" for name in ("tanh", "sigmoid", "exp", "log", "softplus", "sqrt", "sin", "cos")
} | {
    "relu": "relu({}, real(0))",
    "identity": "{}",
    "step": "step({}, real(0), real(1))",
    "abs": "abs({})",
    "sign": "sign({}, real(0), real(1))",
}


@dataclass(frozen=True)
class Function:
    """A function to print: its name, the sentence that says what it computes, its arguments, its lines and what it returns."""

    name: str
    sentence: str
    arguments: tuple[str, ...]
    body: tuple[str, ...]
    result: str


def identifiers(names: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """A Python name for each name, all different: ``h^0`` becomes ``h_0``, a keyword gets an underscore."""
    used, chosen = set(taken), {}
    for name in names:
        stem = "".join(letter if letter.isalnum() or letter == "_" else "_" for letter in name.replace("-", "minus_"))
        stem = stem if stem.isidentifier() else f"_{stem}"
        candidate, count = stem, 1
        while candidate in used or keyword.iskeyword(candidate) or candidate in RESERVED:
            candidate, count = f"{stem}_" if count == 1 else f"{stem}_{count}", count + 1
        used.add(candidate)
        chosen[name] = candidate
    return chosen


RESERVED = frozenset(
    [
        "real",
        "np",
        "range",
        "total",
        "min",
        "max",
        "add_outer",
        "outer",
        "add_product",
        "pack",
        "product",
        "batch",
        "abs",
        "tanh",
        "sigmoid",
        "exp",
        "log",
        "softplus",
        "sqrt",
        "sin",
        "cos",
        "relu",
        "step",
        "sign",
        "softmax",
        "logsumexp",
        "average",
        "mean",
        "square",
        "power",
        "whole_power",
    ]
)


class _IntegerPrinter(StrPrinter):
    """Integers in sizes and indices as Python: floor division only where the mathematics has it."""

    def __init__(self, names: Mapping[sp.Symbol, str]) -> None:
        super().__init__()
        self.names = names

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return self.names.get(expr, expr.name)

    def _print_Min(self, expr: sp.Min) -> str:
        return f"min({', '.join(sorted(map(self._print, expr.args)))})"

    def _print_Max(self, expr: sp.Max) -> str:
        return f"max({', '.join(sorted(map(self._print, expr.args)))})"

    def _print_floor(self, expr: sp.floor) -> str:
        numerator, denominator = expr.args[0].as_numer_denom()
        return f"(({self._print(numerator)}) // ({self._print(denominator)}))"

    def _print_Mod(self, expr: sp.Mod) -> str:
        return f"(({self._print(expr.args[0])}) % ({self._print(expr.args[1])}))"


@dataclass(frozen=True)
class _Printer:
    arrays: Mapping[str, Array]
    names: Mapping[str, str]  # Python names of arrays and panels
    texts: Mapping[int, str]
    indices: Mapping[sp.Symbol, str]

    # Integers and numbers -----------------------------------------------------------------------------------------

    def integer(self, value: Integer) -> str:
        value = sp.sympify(value)
        if not value.has(sp.Min, sp.Max, sp.floor, sp.Mod):
            numerator, denominator = sp.together(value).as_numer_denom()
            if denominator != 1:
                return f"({self.integer(numerator)}) // ({self.integer(denominator)})"
        return _IntegerPrinter(self.indices).doprint(value)

    def number(self, value: Expression) -> tuple[str, int]:
        """The source of a scalar, and how tightly it binds: 1 sum, 2 product, 3 sign, 4 atom."""
        return _NUMBERS[type(value)](self, value)

    def inside(self, value: Expression, level: int) -> str:
        source, binds = self.number(value)
        return source if binds >= level else f"({source})"

    def element(self, access: Access) -> str:
        if access.name not in self.arrays:
            return access.name
        array = self.arrays[access.name]
        slots = [step - slot.lower for step, slot in zip(access.superscripts, array.slots, strict=True)]
        places = [*slots, *([BATCH] if array.batched else []), *access.subscripts]
        return f"{self.names[access.name]}[{', '.join(map(self.integer, places)) or '0'}]"

    def condition(self, condition: Condition | Given) -> str:
        match condition:
            case ast.Within(value=value, lower=lower, upper=upper):
                if lower == upper:
                    index, other = sp.sympify(value), sp.sympify(lower)
                    if index.is_Add and other == 0:
                        negative = sp.Add(*(term for term in index.args if term.could_extract_minus_sign()))
                        index, other = index - negative, -negative
                    return f"{self.integer(index)} == {self.integer(other)}"
                below = [] if lower == -sp.oo else [self.integer(lower)]
                above = [] if upper == sp.oo else [self.integer(upper)]
                if below and not above:
                    return f"{self.integer(value)} >= {below[0]}"
                return " <= ".join([*below, self.integer(value), *above])
            case ast.Divides(divisor=divisor, value=value):
                return f"({self.integer(value)}) % ({self.integer(divisor)}) == 0"
            case Given(key=key):
                return f"{self.names[key]}_given"

    def conditions(self, conditions: Sequence[Condition | Given]) -> str:
        return " and ".join(map(self.condition, conditions))

    def view(self, view: View) -> str:
        places = []
        for place in view.places:
            if place is None:
                places.append(":")
            elif isinstance(place, tuple):
                places.append(f"{self.integer(place[0])}:{self.integer(place[1] + 1)}")
            else:
                places.append(self.integer(place))
        while places and places[-1] == ":":
            places.pop()
        source = self.names[view.name] + (f"[{', '.join(places)}]" if places else "")
        return f"{source}.T" if view.transposed else source

    # Statements ---------------------------------------------------------------------------------------------------

    def block(self, statements: Sequence[Statement], depth: int, last: int | None) -> Iterable[str]:
        """The lines of ``statements``; an equation is named above the lines that compute it, once."""
        for statement in statements:
            numbers = equation_numbers(statement)
            if len(numbers) == 1 and numbers != {last}:
                (last,) = numbers
                yield f"{INDENT * depth}# {self.text(last)}"
            elif len(numbers) > 1:
                last = None
            yield from self.statement(statement, depth, last)

    def text(self, number: int) -> str:
        return f"{label(number)}  {self.texts[number]}" if number in self.texts else label(number)

    def statement(self, statement: Statement, depth: int, last: int | None) -> Iterable[str]:
        pad = INDENT * depth
        match statement:
            case For(index=index, lower=lower, upper=upper, body=body, descending=descending):
                inner = replace(self, indices={**self.indices, index: self.index_name(index)})
                yield f"{pad}for {inner.indices[index]} in {self.span(lower, upper, descending)}:"
                yield from inner.block(body, depth + 1, last)
            case If(conditions=conditions, body=body, otherwise=otherwise):
                yield f"{pad}if {self.conditions(conditions)}:"
                yield from self.block(body, depth + 1, last)
                if otherwise:
                    yield f"{pad}else:"
                    yield from self.block(otherwise, depth + 1, last)
            case Set(target=target, value=value, adding=adding):
                operator = "+=" if adding else "="
                yield f"{pad}{self.element(target)} {operator} {self.number(value)[0]}"
            case Average(out=out):
                yield f"{pad}average({self.view(out)}, real(batch))"
            case Pack(matrix=matrix, panels=panels):
                yield f"{pad}pack({self.view(matrix)}, {self.names[panels]})"
            case Multiply(left=left, panels=panels, out=out, adding=adding):
                function = "add_product" if adding else "product"
                yield f"{pad}{function}({self.view(left)}, {self.names[panels]}, {self.view(out)})"
            case Outer(left=left, right=right, out=out, adding=adding):
                function = "add_outer" if adding else "outer"
                yield f"{pad}{function}({self.view(left)}, {self.view(right)}, {self.view(out)})"
            case Whole(function=function, argument=argument, out=out):
                if isinstance(out, Access):
                    yield f"{pad}{self.element(out)} = {function}({self.view(argument)})"
                else:
                    yield f"{pad}{function}({self.view(argument)}, {self.view(out)})"
            case _:
                assert_never(statement)

    def span(self, lower: Integer, upper: Integer, descending: bool) -> str:
        first, beyond = (
            self.integer(lower),
            self.integer(sp.expand(upper + 1) if not upper.has(sp.Min, sp.Max) else upper + 1),
        )
        if descending:
            below = self.integer(lower - 1)
            return f"range({self.integer(upper)}, {below}, -1)"
        return f"range({beyond})" if first == "0" else f"range({first}, {beyond})"

    def index_name(self, index: sp.Symbol) -> str:
        """The index's own name, or the first free letter."""
        taken = set(self.names.values()) | set(self.indices.values()) | RESERVED
        own = "b" if index == BATCH else index.name
        letters = [own, *INDEX_LETTERS] if own.isidentifier() and not own.startswith("_") else INDEX_LETTERS
        numbered = (f"{INDEX_LETTERS[0]}{n}" for n in range(1, 1000))
        return next(name for name in (*letters, *numbered) if name not in taken and not keyword.iskeyword(name))


def label(number: int) -> str:
    """How an equation is called in comments: by its number, or as a start."""
    return f"({number})" if number > 0 else "start"


def numbers(statements: Iterable[Statement]) -> set[int]:
    """The numbers of the equations that the statements compute."""
    return set().union(*map(equation_numbers, statements))


def equation_numbers(statement: Statement) -> set[int]:
    """The numbers of the equations that ``statement`` computes."""
    match statement:
        case For(body=body):
            return set().union(*map(equation_numbers, body))
        case If(body=body, otherwise=otherwise):
            return set().union(*map(equation_numbers, (*body, *otherwise)))
        case _:
            return {statement.number}


# Scalars --------------------------------------------------------------------------------------------------------------


def _constant(value: Fraction) -> tuple[str, int]:
    if value < 0:
        source, _ = _constant(-value)
        return f"-{source}", 3
    if value.denominator == 1:
        return f"real({value.numerator})", 4
    return f"real({value.numerator} / {value.denominator})", 4


def _size_value(printer: _Printer, node: ast.SizeValue) -> tuple[str, int]:
    numerator, denominator = sp.together(node.value).as_numer_denom()
    above = f"real({printer.integer(numerator)})"
    return (above, 4) if denominator == 1 else (f"{above} / real({printer.integer(denominator)})", 2)


def _sum_of(printer: _Printer, node: ast.Add) -> tuple[str, int]:
    source = printer.inside(node.terms[0], 1)
    for term in node.terms[1:]:
        if isinstance(term, ast.Negative):
            source += f" - {printer.inside(term.operand, 2)}"
        else:
            source += f" + {printer.inside(term, 2)}"
    return source, 1


def _product_of(printer: _Printer, node: ast.Product) -> tuple[str, int]:
    if not node.factors:
        return "real(1)", 4
    first, *others = node.factors
    if not others:
        return printer.number(first)
    return " * ".join([printer.inside(first, 2), *(printer.inside(factor, 3) for factor in others)]), 2


def _power_of(printer: _Printer, node: ast.Power) -> tuple[str, int]:
    """Small whole powers are products, square roots are square roots; the rest is the general power."""
    match node.exponent:
        case ast.Number(value=exponent):
            pass
        case ast.Negative(operand=ast.Number(value=exponent)):
            exponent = -exponent
        case ast.SizeValue(value=value) if value.is_Integer:
            exponent = Fraction(int(value))
        case _:
            return f"power({printer.number(node.base)[0]}, {printer.number(node.exponent)[0]})", 4
    if exponent < 0:
        inverse = _power_of(printer, replace(node, exponent=ast.Number(-exponent)))
        return f"real(1) / {inverse[0] if inverse[1] >= 3 else f'({inverse[0]})'}", 2
    base = printer.inside(node.base, 4)
    if exponent in (1, 2, 3) and isinstance(node.base, Access):
        return " * ".join([base] * int(exponent)), 2 if exponent > 1 else 4
    if exponent == Fraction(1, 2):
        return f"sqrt({printer.number(node.base)[0]})", 4
    if exponent == 2:
        return f"square({printer.number(node.base)[0]})", 4
    if exponent == 0:
        return "real(1)", 4
    if exponent.denominator == 1:
        return f"whole_power({printer.number(node.base)[0]}, {exponent.numerator})", 4
    return f"power({printer.number(node.base)[0]}, {_constant(exponent)[0]})", 4


def _guard_of(printer: _Printer, node: ast.Guard) -> tuple[str, int]:
    return f"({printer.number(node.body)[0]} if {printer.conditions(node.conditions)} else real(0))", 4


_NUMBERS: dict[type, Callable[..., tuple[str, int]]] = {
    ast.Number: lambda printer, node: _constant(node.value),
    ast.SizeValue: _size_value,
    Access: lambda printer, node: (printer.element(node), 4),
    ast.Add: _sum_of,
    ast.Negative: lambda printer, node: (f"-{printer.inside(node.operand, 3)}", 3),
    ast.Product: _product_of,
    ast.Quotient: lambda printer, node: (
        f"{printer.inside(node.numerator, 2)} / {printer.inside(node.denominator, 3)}",
        2,
    ),
    ast.Power: _power_of,
    ast.Apply: lambda printer, node: (
        SCALAR_SOURCES[node.function].format(
            printer.inside(node.argument, 4) if node.function == "identity" else printer.number(node.argument)[0]
        ),
        4,
    ),
    ast.Guard: _guard_of,
}


# The whole text -------------------------------------------------------------------------------------------------------

MODULES = {
    "add_outer": "kernels.product",
    "outer": "kernels.product",
    "add_product": "kernels.product",
    "pack": "kernels.product",
    "product": "kernels.product",
    **dict.fromkeys(("exp", "log", "sigmoid", "softplus", "tanh"), "kernels.scalars"),
    **dict.fromkeys(
        (
            "average",
            "cos",
            "logsumexp",
            "mean",
            "power",
            "relu",
            "sign",
            "sin",
            "softmax",
            "sqrt",
            "square",
            "step",
            "whole_power",
        ),
        "kernels.rows",
    ),
}
"""Where the functions that emitted source may call come from."""


def body(plan: Plan, names: Mapping[str, str], texts: Mapping[int, str]) -> tuple[str, ...]:
    """The lines of the function that carries out ``plan``; ``names`` are the Python names of arrays and panels."""
    return tuple(_Printer(plan.arrays, names, texts, {BATCH_SIZE: "batch"}).block(plan.statements, 1, None))


def mentioned(names: Iterable[str], lines: Iterable[str]) -> tuple[str, ...]:
    """Those of ``names`` that occur as words in the lines."""
    words = set(re.findall(r"\w+", "\n".join(lines)))
    return tuple(name for name in names if name in words)


def source(function: Function, header: str, dtype: str) -> str:
    """The module: what it computes, what it imports, and the function."""
    used = sorted(mentioned(MODULES, (*function.body, function.result)))
    modules = sorted({MODULES[name] for name in used})
    imports = [f"from numpy import {dtype} as real", ""] + [
        f"from {module} import {', '.join(name for name in used if MODULES[name] == module)}" for module in modules
    ]
    signature = _wrapped(f"def {function.name}(", function.arguments)
    lines = [
        '"""' + header.strip(),
        '"""',
        "",
        *imports,
        "",
        "",
        *signature,
        f'{INDENT}"""{function.sentence}"""',
        *function.body,
    ]
    return "\n".join([*lines, f"{INDENT}return {function.result}", ""])


def _wrapped(head: str, arguments: Sequence[str]) -> list[str]:
    lines, line = [head], INDENT
    for argument in arguments:
        if len(line) + len(argument) > 110:
            lines.append(line.rstrip())
            line = INDENT
        line += f"{argument}, "
    return [*lines, line.rstrip(), "):"]
