"""Systems, equations and expressions back to text in the language: ``parse(source(system)) == system``."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import groupby, pairwise, takewhile

import sympy as sp
from sympy.printing.str import StrPrinter

from derive.language.array_functions import ARRAY_FUNCTIONS
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
    LogSumExp,
    Maximum,
    Negative,
    Number,
    OrderedProduct,
    Power,
    Product,
    Quotient,
    Share,
    SizeValue,
    Slice,
    Sum,
    Transpose,
    Vectorised,
    smallest,
    walk,
)  # fmt: skip
from derive.language.functions import FUNCTIONS
from derive.language.system import Count, Declaration, Equation, Option, Program, Range, Start, System

STEP = "_step"
"""What is added to a name that is used both with a superscript and without: loss^t beside loss is loss_step inside."""

WIDTH = 100

_SAID = re.compile(r"\b(?:from|default) -?\d+$")
"""Words that would be read as more than words."""

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

    def _print_floor(self, expr: sp.floor) -> str:
        return f"floor({self._quotient(expr.args[0])})"

    def _print_ceiling(self, expr: sp.ceiling) -> str:
        return f"ceil({self._quotient(expr.args[0])})"

    def _quotient(self, value: sp.Basic) -> str:
        """(n - 3)/2, which SymPy holds as n/2 - 3/2."""
        if value.has(sp.floor, sp.ceiling, sp.Min, sp.Max):
            return self._print(value)
        above, below = sp.fraction(sp.together(value))
        above = sp.expand(above)
        top = f"({self._print(above)})" if isinstance(above, sp.Add) else self._print(above)
        bottom = f"({self._print(below)})" if isinstance(below, sp.Add | sp.Mul) else self._print(below)
        return self._print(value) if below == 1 else f"{top} / {bottom}"

    def _print_Max(self, expr: sp.Max) -> str:
        return f"max({self.stringify(expr.args, ', ')})"

    def _print_Min(self, expr: sp.Min) -> str:
        return f"min({self.stringify(expr.args, ', ')})"


def integer_source(value: Integer) -> str:
    """An integer expression in sizes and indices: ``t - 1``."""
    return _Whole().doprint(value)


def count_source(count: Count) -> str:
    """``number of i with s*i <= n - 1``."""
    pairs = (f"{integer_source(lesser)} <= {integer_source(greater)}" for lesser, greater in count.inequalities)
    return f"number of {count.index.name} with {' and '.join(pairs)}"


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
    functions = dict(program.functions)
    last = list(takewhile(lambda option: option.name in functions, reversed(system.options)))[
        ::-1
    ]  # stand like 'where'
    section("option", *(_option(option) for option in system.options[: len(system.options) - len(last)]))
    section("sizes", *_filled(_sizes(system), ", "))
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
    chosen = {option.name for option in system.options}
    section("option", *map(_option, last))
    bound = {name: row for name, row in functions.items() if name not in chosen}
    section("where", ", ".join(f"{name} is {row}" for name, row in bound.items()))
    used = {node.function for entry in program.equations for node in walk(entry.value) if isinstance(node, Apply)}
    section("where", ", ".join(f"{name} is opaque" for name in sorted(used - set(bound) - chosen - set(FUNCTIONS))))
    section("convention", *(f" {name} is {value}" for name, value in system.conventions if name not in chosen))
    return "\n".join(lines) + "\n"


def _option(option: Option) -> str:
    words = f' "{option.description}"' if option.description else ""
    return f"{option.name} = {option.value} of {', '.join(option.choices)}{words}"


def _sizes(system: System) -> list[str]:
    """Every size with what is said about it, the fixed ones last."""
    words, defaults, derived = dict(system.size_descriptions), dict(system.defaults), dict(system.program.derived)
    counts = {count.name: count for count in system.program.counts}
    entries: list[str] = []
    for symbol in system.program.sizes:
        said = words.get(symbol.name, "")
        if symbol in derived:
            count = counts.get(symbol.name)
            formula = integer_source(derived[symbol]) if count is None else count_source(count)
            entries.append(f"{symbol.name} = {formula}" + (f' "{said}"' if said else ""))
        else:
            low = "from 0" if not smallest(symbol) else ""
            default = f"default {defaults[symbol.name]}" if symbol.name in defaults else ""
            is_plain = '"' in said or not ("," in said or _SAID.search(said))
            entries.append(" ".join(filter(None, (symbol.name, said if is_plain else f'"{said}"', low, default))))
    fixed = [(name, word) for name, word in words.items() if word.startswith("=")]
    return entries + [f"{name} {word}" + " from 0" * (word == "= 0") for name, word in fixed]


def _filled(entries: list[str], between: str = ",  ") -> list[str]:
    """Entries put on lines of at most WIDTH letters."""
    lines: list[str] = []
    for entry in entries:
        joined = f"{lines[-1]}{between}{entry}" if lines else ""
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
    return " ".join(
        filter(None, (f"{entry.name}{superscripts} in {space(entry.shape)}", entry.structure, ranges, words))
    )


def _start(entry: Start, program: Program) -> str:
    writer = _Writer(program)
    target = writer.write(entry.access, _FACTOR)
    within = f" in {space(program.declaration(entry.access.name).shape)}"
    match entry.value:
        case None:
            return f"{target}{within}"
        case Filled(value=value):
            text = f"{target} = {value}"
        case value:
            text = f"{target} = {writer.write(value, _SUM)}"
    return f"{text}{within}" if entry.says_space else text


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
            case Number() | SizeValue() | Inner() | LogSumExp() | Share():
                return True
            case Slice(places=places):
                return not any(isinstance(place, tuple) for place in places)
            case Access(name=name, subscripts=subscripts):
                return bool(subscripts) or name in self.scalars
            case Call(function=function):
                return ARRAY_FUNCTIONS[function].scalar
            case Add(terms=parts) | Product(factors=parts):
                return all(self._is_scalar(part) for part in parts)
            case Negative(operand=part) | Apply(argument=part) | Sum(body=part) | Maximum(body=part) | Power(base=part):
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
            case Slice(operand=operand, places=places):
                return _FACTOR, f"{self.write(operand, _FACTOR)}[{', '.join(map(_place, places))}]"
            case LogSumExp(index=bound, lower=lower, upper=upper, body=body):
                over = range_source(Range(bound, lower, upper))
                return _TERM, f"logsumexp over {over} of {self._body(body)}"
            case Diagonal(vector=vector):
                return _FACTOR, f"diag({self._list(vector)})"
            case Sum(index=bound, lower=lower, upper=upper, body=body):
                return _TERM, f"sum over {range_source(Range(bound, lower, upper))} of {self._body(body)}"
            case Maximum():
                return _TERM, self._maximum(node)
            case Share(maximum=maximum, at=at):
                return _TERM, f"share of {', '.join(map(integer_source, at))} in {self._maximum(maximum)}"
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

    def _maximum(self, node: Maximum) -> str:
        ties = "" if node.ties == "first" else f" {node.ties}"
        conditions = f" with {' and '.join(map(_condition, node.conditions))}" if node.conditions else ""
        return f"max{ties} over {', '.join(map(range_source, node.ranges))}{conditions} of {self._body(node.body)}"

    def _body(self, body: Expression) -> str:
        return self.write(body, _TERM)


def _place(place: Integer | tuple[Integer, Integer]) -> str:
    """i, or 2..5."""
    return "..".join(map(integer_source, place)) if isinstance(place, tuple) else integer_source(place)


def _condition(condition: Condition) -> str:
    if isinstance(condition, Divides):
        return f"{integer_source(condition.divisor)} divides {integer_source(condition.value)}"
    if condition.lower == condition.upper:
        return f"{integer_source(condition.value)} = {integer_source(condition.lower)}"
    return " <= ".join(integer_source(part) for part in (condition.lower, condition.value, condition.upper))
