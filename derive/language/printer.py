"""Systems, equations and expressions back to text in the language: ``parse(source(system)) == system``."""

from __future__ import annotations

from fractions import Fraction
from itertools import groupby, pairwise

import sympy as sp
from sympy.printing.str import StrPrinter

from derive.language.expression import (
    Access,
    Add,
    Apply,
    Block,
    Call,
    Condition,
    Derivative,
    Diagonal,
    Divides,
    Expression,
    Filled,
    Guard,
    Hadamard,
    Identity,
    Inner,
    Integer,
    Kronecker,
    Negative,
    Number,
    OrderedProduct,
    Power,
    Product,
    Quotient,
    SizeValue,
    Sum,
    Transpose,
    Vectorised,
    walk,
)  # fmt: skip
from derive.language.functions import ARRAY_FUNCTIONS, FUNCTIONS
from derive.language.system import Declaration, Equation, Program, Range, Start, System

STEP = "_step"
"""What is added to a name that is used both with a superscript and without: loss^t beside loss is loss_step inside."""

WIDTH = 100

_SUM, _TERM, _PRODUCT, _FACTOR = range(4)


class _Whole(StrPrinter):
    """Whole numbers as people write them: T - t + 1, 2*n, floor((n - k) / s)."""

    def _print_Add(self, expr: sp.Add, order: str | None = None) -> str:
        terms = [term for term in self._as_ordered_terms(expr, order=order) if isinstance(term, sp.Expr)]
        terms.sort(key=lambda term: (term.could_extract_minus_sign(), bool(term.is_number)))
        text = self._print(terms[0])
        for term in terms[1:]:
            text += f" - {self._print(-term)}" if term.could_extract_minus_sign() else f" + {self._print(term)}"
        return text

    def _print_Pow(self, expr: sp.Pow, rational: bool = False) -> str:
        return super()._print_Pow(expr, rational).replace("**", "^")

    def _print_Max(self, expr: sp.Max) -> str:
        return f"max({self.stringify(expr.args, ', ')})"

    def _print_Min(self, expr: sp.Min) -> str:
        return f"min({self.stringify(expr.args, ', ')})"


def integer_source(value: Integer) -> str:
    """An integer expression in sizes and indices: ``t - 1``."""
    return _Whole().doprint(value)


def expression_source(expression: Expression, program: Program | None = None) -> str:
    """``expression`` in the language; ``program`` tells which names are written with ^ as time beside one without."""
    return _Writer(program).write(expression, _SUM)


def bracketed(expression: Expression) -> str:
    """``expression`` as a factor in a message."""
    return _Writer(None).write(expression, _FACTOR)


def equation_source(equation: Equation, program: Program | None = None) -> str:
    """``target = value for i = lower..upper``, without the loop over its superscripts."""
    writer = _Writer(program)
    superscripts = {symbol for entry in equation.target.superscripts for symbol in entry.free_symbols}
    inner = [range_source(entry) for entry in equation.ranges if entry.index not in superscripts]
    text = f"{writer.write(equation.target, _FACTOR)} = {writer.write(equation.value, _SUM)}"
    return " ".join([text, *(f"for {entry}" for entry in inner)])


def source(system: System) -> str:
    """The definition as a text file."""
    program = system.program
    lines: list[str] = []

    def section(keyword: str, *entries: str) -> None:
        lines.extend(f"{keyword:<8}{entry}" for entry in entries if entry)

    section("title", system.title)
    section("source", *system.sources)
    words = dict(system.size_descriptions)
    fixed = [name for name, word in words.items() if word.startswith("=")]
    names = [size.name for size in program.sizes] + fixed
    section("sizes", ", ".join(f"{name} {words.get(name, '')}".strip() for name in names))
    for role, entries in groupby(program.declarations, key=lambda entry: entry.role):
        if role != "defined":
            section(role, *_filled([_declaration(entry) for entry in entries]))
    section("start", *_filled([_start(entry, program) for entry in program.starts]))
    previous: tuple[Range, ...] = ()
    for equation in program.equations:
        times = {symbol for entry in equation.target.superscripts for symbol in entry.free_symbols}
        block = tuple(entry for entry in equation.ranges if entry.index in times)
        if block != previous:
            if previous:
                lines.append("end")
            if block:
                lines.append(f"for {', '.join(range_source(entry) for entry in block)}:")
        lines.append("    " * bool(block) + equation_source(equation, program))
        previous = block
    if previous:
        lines.append("end")
    bound = dict(program.functions)
    section("where", ", ".join(f"{name} is {row}" for name, row in bound.items()))
    used = {node.function for entry in program.equations for node in walk(entry.value) if isinstance(node, Apply)}
    section("where", ", ".join(f"{name} is opaque" for name in sorted(used - set(bound) - set(FUNCTIONS))))
    section("convention", *(f" {name} is {value}" for name, value in system.conventions))
    return "\n".join(lines) + "\n"


def _filled(entries: list[str]) -> list[str]:
    """Entries put on lines of at most WIDTH letters."""
    lines: list[str] = []
    for entry in entries:
        joined = f"{lines[-1]},  {entry}" if lines else ""
        lines[-1:] = [joined] if lines and len(joined) <= WIDTH else [*lines[-1:], entry]
    return lines


def range_source(entry: Range) -> str:
    """t = 1..T."""
    lower, upper = (integer_source(end).replace(" ", "") for end in (entry.lower, entry.upper))
    return f"{entry.index.name} = {lower}..{upper}"


def space(shape: tuple[Integer, ...]) -> str:
    """R, R^n, R^(n x d)."""
    extents = [integer_source(extent) for extent in shape]
    if len(extents) > 1:
        extents = [f"({extent})" if "-" in extent or "+" in extent else extent for extent in extents]
    if len(extents) == 1 and extents[0].isalnum():
        return f"R^{extents[0]}"
    return f"R^({' x '.join(extents)})" if extents else "R"


def _declaration(entry: Declaration) -> str:
    superscripts = _superscripts(tuple(item.index for item in entry.superscripts))
    ranges = " ".join(f"for {range_source(item)}" for item in entry.superscripts)
    words = f'"{entry.description}"' if entry.description else ""
    return " ".join(filter(None, (f"{entry.name}{superscripts} in {space(entry.shape)}", ranges, words)))


def _start(entry: Start, program: Program) -> str:
    writer = _Writer(program)
    target = writer.write(entry.access, _FACTOR)
    match entry.value:
        case None:
            return f"{target} in {space(program.declaration(entry.access.name).shape)}"
        case Filled(value=value):
            return f"{target} = {value}"
        case value:
            return f"{target} = {writer.write(value, _SUM)}"


def _superscripts(values: tuple[Integer, ...]) -> str:
    texts = [integer_source(value) for value in values]
    if not texts:
        return ""
    return f"^{texts[0]}" if len(texts) == 1 and texts[0].isalnum() else f"^{{{','.join(texts)}}}".replace(" ", "")


def decimal(value: Fraction) -> str:
    """``value`` exactly: 3, 0.5, or (1 / 3)."""
    if value < 0:
        return f"(-{decimal(-value)})"
    if value.denominator == 1:
        return str(value.numerator)
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
        if digits > 70:
            return f"({value.numerator} / {value.denominator})"
    text = str((value * 10**digits).numerator).rjust(digits + 1, "0")
    return f"{text[:-digits]}.{text[-digits:]}"


class _Writer:
    """Writes expressions of one program."""

    def __init__(self, program: Program | None) -> None:
        declarations = program.declarations if program else ()
        self.names = {entry.name for entry in declarations}
        self.scalars = {entry.name for entry in declarations if not entry.shape}

    def write(self, expression: Expression, level: int) -> str:
        """``expression`` where something of ``level`` may stand, in brackets if it binds less."""
        own, text = self._text(expression)
        return text if own >= level else f"({text})"

    def _list(self, *parts: Expression) -> str:
        return ", ".join(self.write(part, _SUM) for part in parts)

    def _is_scalar(self, expression: Expression) -> bool:
        match expression:
            case Number() | SizeValue() | Inner():
                return True
            case Access(name=name, subscripts=subscripts):
                return bool(subscripts) or name in self.scalars
            case Call(function=function):
                return ARRAY_FUNCTIONS[function].scalar
            case Add(terms=parts) | Product(factors=parts):
                return all(self._is_scalar(part) for part in parts)
            case Negative(operand=part) | Apply(argument=part) | Sum(body=part) | Power(base=part):
                return self._is_scalar(part)
            case Quotient(numerator=first, denominator=second):
                return self._is_scalar(first) and self._is_scalar(second)
            case _:
                return False

    def _product(self, factors: tuple[Expression, ...]) -> str:
        pieces = [self.write(factors[0], _FACTOR)]
        for left, right in pairwise(factors):
            entries = any(
                isinstance(side, Number | SizeValue) or (isinstance(side, Access) and side.subscripts)
                for side in (left, right)
            )
            pieces += [" * " if entries else " ", self.write(right, _FACTOR)]
        return "".join(pieces)

    def _sum(self, terms: tuple[Expression, ...]) -> str:
        text = self.write(terms[0], _SUM) if isinstance(terms[0], Negative) else self.write(terms[0], _TERM)
        for term in terms[1:]:
            sign, inside = ("-", term.operand) if isinstance(term, Negative) else ("+", term)
            text += f" {sign} {self.write(inside, _TERM)}"
        return text

    def _access(self, node: Access) -> str:
        name = node.name
        if node.superscripts and name.endswith(STEP) and name.removesuffix(STEP) in self.names:
            name = name.removesuffix(STEP)
        subscripts = f"[{', '.join(integer_source(entry) for entry in node.subscripts)}]" if node.subscripts else ""
        return name + _superscripts(node.superscripts) + subscripts

    def _text(self, node: Expression) -> tuple[int, str]:
        match node:
            case Number(value=value):
                return _FACTOR, decimal(value)
            case SizeValue(value=value):
                return _FACTOR, value.name if isinstance(value, sp.Symbol) else f"({integer_source(value)})"
            case Access():
                return _FACTOR, self._access(node)
            case Add(terms=terms):
                return _SUM, self._sum(terms)
            case Negative(operand=operand):
                return _SUM, f"-{self.write(operand, _TERM)}"
            case Product(factors=factors):
                return _PRODUCT, self._product(factors)
            case Hadamard(factors=factors):
                return _TERM, " .* ".join(self.write(factor, _PRODUCT) for factor in factors)
            case Quotient(numerator=numerator, denominator=denominator):
                level = _PRODUCT if isinstance(numerator, Product) else _FACTOR
                return _PRODUCT, f"{self.write(numerator, level)} / {self.write(denominator, _FACTOR)}"
            case Power(base=base, exponent=exponent):
                sign = "^" if self._is_scalar(base) else ".^"
                bare = isinstance(base, Access) and not base.superscripts and not base.subscripts
                inside = self.write(base, _FACTOR) if bare else f"({self.write(base, _SUM)})"
                simple = isinstance(exponent, Number) and exponent.value >= 0 and exponent.value.denominator == 1
                text = self.write(exponent, _SUM)
                return _FACTOR, f"{inside}{sign}{text if simple else f'({text})'}"
            case Transpose(operand=operand):
                return _FACTOR, f"{self.write(operand, _FACTOR)}'"
            case Inner(left=left, right=right):
                return _FACTOR, f"<{self._list(left, right)}>"
            case Apply(function=function, argument=argument, order=order):
                return _FACTOR, f"{function}{chr(39) * order}({self._list(argument)})"
            case Call(function=function, arguments=arguments):
                return _FACTOR, f"{function}({self._list(*arguments)})"
            case Diagonal(vector=vector):
                return _FACTOR, f"diag({self._list(vector)})"
            case Sum(index=bound, lower=lower, upper=upper, body=body):
                return _TERM, f"sum over {range_source(Range(bound, lower, upper))} of {self._body(body)}"
            case OrderedProduct(index=bound, first=first, last=last, body=body, descending=descending):
                way = "down to" if descending else "up to"
                start, stop = integer_source(first), integer_source(last)
                return _TERM, f"product over {bound.name} = {start} {way} {stop} of {self._body(body)}"
            case Guard(conditions=conditions, body=body):
                inner = self._body(body)
                for condition in reversed(conditions):
                    inner = f"[{_condition(condition)}] {inner}"
                return _TERM, inner
            case Identity(size=extent):
                if isinstance(extent, sp.Symbol) and f"I_{extent.name}" not in self.names:
                    return _FACTOR, f"I_{extent.name}"
                return _FACTOR, f"eye({integer_source(extent)})"
            case Filled(value=value, shape=shape):
                name = "ones" if value else "zeros"
                return _FACTOR, f"{name}({', '.join(map(integer_source, shape))})" if shape else str(value)
            case Kronecker(left=left, right=right):
                return _FACTOR, f"kron({self._list(left, right)})"
            case Vectorised(operand=operand):
                return _FACTOR, f"vec({self._list(operand)})"
            case Block(rows=rows):
                return _FACTOR, f"block({', '.join(f'({self._list(*row)})' for row in rows)})"
            case Derivative(of=of, wrt=wrt):
                return _FACTOR, f"(partial {self._access(of)} / partial {self.write(wrt, _FACTOR)})"

    def _body(self, body: Expression) -> str:
        return self.write(body, _TERM)


def _condition(condition: Condition) -> str:
    if isinstance(condition, Divides):
        return f"{integer_source(condition.divisor)} divides {integer_source(condition.value)}"
    if condition.lower == condition.upper:
        return f"{integer_source(condition.value)} = {integer_source(condition.lower)}"
    return " <= ".join(integer_source(part) for part in (condition.lower, condition.value, condition.upper))
