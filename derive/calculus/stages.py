"""Splitting a program into stages: a function is applied to a name, so that what stands inside it has an adjoint.

``h^t = tanh(W x^t + U h^{t-1})`` becomes ``z^t = W x^t + U h^{t-1}`` and ``h^t = tanh(z^t)``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import sympy as sp

from derive.calculus.choices import is_choice, with_choices
from derive.calculus.symbols import symbols_in
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer, walk
from derive.language.shapes import shape_of
from derive.language.system import Declaration, Equation, Program, Range, Scope


def scope_of(program: Program) -> Scope:
    """The declarations of a program by name."""
    return {declaration.name: declaration for declaration in program.declarations}


@dataclass(frozen=True)
class _Argument:
    """The argument of a function that has to be named: where it stands, and over which indices it varies."""

    target: str
    value: Expression
    ranges: tuple[Range, ...]


def split(program: Program) -> Program:
    """``program`` with compound arguments of functions and maxima inside formulas as stages, choices with names.

    The same program if there is none of these.
    """
    return with_choices(_with_stages(program))


def _with_stages(program: Program) -> Program:
    """``program`` with every compound argument of a function as a stage; the same program if there is none."""
    scope = scope_of(program)
    arguments: dict[tuple[Expression, tuple[Range, ...]], _Argument] = {}
    for equation in program.equations:
        if is_choice(equation):
            continue
        for argument in _arguments(equation.value, equation.ranges, equation.target.name, scope):
            below = {r.index for r in argument.ranges} & set(equation.target.subscripts)
            if not (below and shape_of(argument.value, scope)):
                arguments.setdefault((argument.value, argument.ranges), argument)
    if not arguments:
        return program
    names = _all_names(list(arguments.values()), set(scope))
    named = dict(zip(arguments, names, strict=True))
    declarations = list(program.declarations)
    equations: list[Equation] = []
    for equation in program.equations:
        for (value, ranges), argument in arguments.items():
            if argument.target == equation.target.name and named[value, ranges] not in {d.name for d in declarations}:
                name = named[value, ranges]
                above, below = _split_ranges(ranges, equation)
                shape = shape_of(value, scope) or tuple(r.upper + 1 for r in below)
                declarations.append(Declaration(name, "defined", shape, above))
                target = Access(name, tuple(r.index for r in above), tuple(r.index for r in below))
                equations.append(Equation(target, _with_names(value, ranges, equation, named), ranges))
        if is_choice(equation):
            equations.append(equation)
            continue
        equations.append(replace(equation, value=_with_names(equation.value, equation.ranges, equation, named)))
    return replace(program, declarations=tuple(declarations), equations=tuple(equations))


def _is_compound(node: Expression) -> bool:
    return (
        isinstance(node, ast.Apply | ast.Call | ast.LogSumExp)
        and not _is_share(node)
        and not all(isinstance(child, Access) for child in ast.children(node))
        and not (isinstance(node, ast.Call) and node.function in ("sum", "trace"))
    )


def _is_share(node: Expression) -> bool:
    """exp(e − L), as in a softmax with the logarithm L of its total: its slope is its value, so e − L needs no name."""
    match node:
        case ast.Apply(function="exp", order=0, argument=ast.Add(terms=(body, ast.Negative(operand=total)))):
            return isinstance(body, Access) and isinstance(total, Access | ast.LogSumExp)
        case _:
            return False


def _arguments(value: Expression, ranges: tuple[Range, ...], target: str, scope: Scope) -> Iterator[_Argument]:
    """Arguments that need a name, innermost first."""
    inner = _within(value, ranges)
    for child in ast.children(value):
        yield from _arguments(child, inner, target, scope)
        if _needs_name(child) or (isinstance(value, ast.Maximum) and _is_made_array(child, scope)):
            yield _Argument(target, child, _varying(child, inner))
    if _is_compound(value):
        for child in ast.children(value):
            if not isinstance(child, Access):
                yield _Argument(target, child, _varying(child, inner))


def _needs_name(child: Expression) -> bool:
    """Wherever it stands inside a formula."""
    return isinstance(child, ast.LogSumExp | ast.Maximum)


def _is_made_array(value: Expression, scope: Scope) -> bool:
    return not isinstance(value, Access) and bool(shape_of(value, scope))


def _within(value: Expression, ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """The ranges in force inside ``value``."""
    if isinstance(value, ast.Maximum):
        return (*ranges, *value.ranges)
    bound = isinstance(value, ast.Sum | ast.LogSumExp)
    return (*ranges, Range(value.index, value.lower, value.upper)) if bound else ranges


def _varying(value: Expression, ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """The ranges whose index the value depends on."""
    used = free_indices(value)
    return tuple(r for r in ranges if r.index in used)


def free_indices(value: Expression) -> frozenset[sp.Symbol]:
    """The index variables and sizes that stand free in an expression."""
    match value:
        case Access(superscripts=superscripts, subscripts=subscripts):
            return symbols_in(*superscripts, *subscripts)
        case ast.SizeValue(value=integer):
            return symbols_in(integer)
        case ast.Slice(operand=operand, places=places):
            ends = [end for place in places for end in (place if isinstance(place, tuple) else (place,))]
            return free_indices(operand) | symbols_in(*ends)
        case ast.LogSumExp(index=index, lower=lower, upper=upper, body=body):
            return (free_indices(body) - {index}) | symbols_in(lower, upper)
        case ast.Maximum(ranges=ranges, body=body, conditions=conditions):
            found = free_indices(ast.Guard(conditions, body))
            for item in reversed(ranges):
                found = (found - {item.index}) | symbols_in(item.lower, item.upper)
            return found
        case ast.Share(maximum=maximum, at=at):
            return free_indices(maximum) | symbols_in(*at)
        case ast.Sum(index=index, lower=lower, upper=upper, body=body):
            return (free_indices(body) - {index}) | symbols_in(lower, upper)
        case ast.OrderedProduct(index=index, first=first, last=last, body=body):
            return (free_indices(body) - {index}) | symbols_in(first, last)
        case ast.Guard(conditions=conditions, body=body):
            parts = [getattr(c, f) for c in conditions for f in c.__dataclass_fields__]
            return free_indices(body) | symbols_in(*parts)
        case _:
            return frozenset().union(*(free_indices(child) for child in ast.children(value)))


def matched(pattern: Access, subject: Access) -> dict[sp.Symbol, Integer]:
    """The indices of ``pattern``, a target such as h^t, at which it is ``subject``: t is T - 1 for h^{T-1}."""
    pairs = zip((*pattern.superscripts, *pattern.subscripts), (*subject.superscripts, *subject.subscripts), strict=True)
    return {symbol: position for symbol, position in pairs if isinstance(symbol, sp.Symbol)}


def _split_ranges(ranges: tuple[Range, ...], equation: Equation) -> tuple[tuple[Range, ...], tuple[Range, ...]]:
    """Ranges that become superscripts, and those that become subscripts because they are subscripts of the target."""
    below = tuple(r for r in ranges if any(place.has(r.index) for place in equation.target.subscripts))
    return tuple(r for r in ranges if r not in below), below


def _with_names(value: Expression, ranges: tuple[Range, ...], equation: Equation, named: Mapping) -> Expression:
    """The value with every named argument replaced by an access to its stage."""
    inner = _within(value, ranges)

    def child_of(node: Expression, child: Expression) -> Expression:
        key = (child, _varying(child, inner))
        if (_is_compound(node) or _needs_name(child) or isinstance(node, ast.Maximum)) and key in named:
            above, below = _split_ranges(key[1], equation)
            return Access(named[key], tuple(r.index for r in above), tuple(r.index for r in below))
        return _with_names(child, inner, equation, named)

    return ast.map_children(lambda child: child_of(value, child), value)


def _all_names(arguments: list[_Argument], taken: set[str]) -> list[str]:
    """L for the logarithm of a sum of exponentials, L_a if there are several, and z for the rest."""
    totals = [argument for argument in arguments if isinstance(argument.value, ast.LogSumExp)]
    found = iter(_names([argument.target for argument in arguments if argument not in totals], taken))
    names: list[str] = []
    for argument in arguments:
        if argument in totals:
            stem = "L" if len(totals) == 1 else f"L_{argument.target}"
            free = (name for name in (stem, *(f"{stem}{k}" for k in range(1, 1000))) if name not in {*taken, *names})
            names.append(next(free))
        else:
            names.append(next(found))
    return names


def _names(targets: list[str], taken: set[str]) -> list[str]:
    """z for the one argument of a system, z1, z2 for those of h1, h2, else z_h; numbered if a target has several."""
    names: list[str] = []
    for number, target in enumerate(targets):
        twins = targets.count(target) > 1
        place = targets[:number].count(target) + 1
        digits = re.fullmatch(r"[A-Za-z]+?(\d+)", target)
        candidates = [
            *(["z"] if len(targets) == 1 else []),
            *([f"z{digits[1]}"] if digits and not twins else []),
            f"z_{target}{place if twins else ''}",
            *(f"z_{target}{k}" for k in range(10, 1000)),
        ]
        names.append(next(c for c in candidates if c not in taken and c not in names))
    return names


def mentions(value: Expression, name: str) -> bool:
    """The expression reads the array ``name``."""
    return any(isinstance(node, Access) and node.name == name for node in walk(value))
