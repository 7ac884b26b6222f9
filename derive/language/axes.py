"""Several indices on one axis, as in ``x[g*C + c]``: which range each has, and how long the axis is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import sympy as sp

from derive.language.context import Context
from derive.language.errors import RangeError
from derive.language.expression import Access, Expression, Integer, Span, is_size, walk
from derive.language.printer import integer_source
from derive.language.system import Range


def indices_in(value: Integer) -> list[sp.Symbol]:
    """The indices in a subscript, by name."""
    found = [symbol for symbol in value.atoms(sp.Symbol) if not is_size(symbol)]
    return sorted(found, key=lambda symbol: symbol.name)


def slopes(value: Integer) -> dict[sp.Symbol, Integer] | None:
    """The factor of each index in a subscript that is a sum of them: {g: C, c: 1}; None where it is anything else."""
    rest = sp.expand(value)
    found: dict[sp.Symbol, Integer] = {}
    for symbol in indices_in(rest):
        found[symbol] = cast(sp.Expr, rest.coeff(symbol))
        rest = sp.expand(rest - found[symbol] * symbol)
    return found if found and rest == 0 and not any(indices_in(factor) for factor in found.values()) else None


def shared_axis(value: Integer, extent: Integer) -> dict[sp.Symbol, tuple[Integer, Integer]]:
    """The ranges of the indices that share an axis like the digits of a number: g*C + c counts 0 … G C - 1.

    Each factor divides the next one, and the last divides the extent; {} where they do not.
    """
    factors = slopes(value) or {}
    ordered = sorted(factors.items(), key=lambda item: (len(item[1].free_symbols), sp.default_sort_key(item[1])))
    if not ordered or ordered[0][1] != 1:
        return {}
    found: dict[sp.Symbol, tuple[Integer, Integer]] = {}
    for (symbol, factor), following in zip(ordered, [*(entry for _, entry in ordered[1:]), extent], strict=True):
        count = sp.cancel(following / factor)
        if not (count.is_polynomial() and count.is_integer and count.is_positive):
            return {}
        found[symbol] = sp.Integer(0), sp.expand(count - 1)
    return found


def shared_range(bound: sp.Symbol, value: Expression, context: Context) -> tuple[Integer, Integer] | None:
    """The range of an index that nowhere stands alone but shares an axis with others."""
    for part in walk(value):
        if isinstance(part, Access) and part.subscripts:
            for entry, extent in zip(part.subscripts, context.arrays.shapes.get(part.name) or (), strict=False):
                if entry != bound and entry.has(bound) and bound in (found := shared_axis(entry, extent)):
                    return found[bound]
    return None


def extent_of(value: Integer, ranges: Mapping[sp.Symbol, Range], span: Span) -> Integer:
    """How long an axis is of which the indices in ``value`` reach every entry once; RangeError where they do not."""
    factors = slopes(value)
    if factors is None:
        raise _gaps(value, span, "On the left, a subscript is an index or a sum such as g*K + k.")
    for symbol in factors:
        if ranges[symbol].lower != 0:
            raise RangeError(f"{symbol} begins at {integer_source(ranges[symbol].lower)}.", span, "It begins at 0.")
    counts = {symbol: sp.expand(ranges[symbol].upper + 1) for symbol in factors}
    waiting = {symbol for symbol in factors if counts[symbol] != 1}
    length: Integer = sp.Integer(1)
    while waiting:
        following = next((symbol for symbol in _ordered(waiting) if sp.expand(factors[symbol] - length) == 0), None)
        if following is None:
            shown = ", ".join(f"{symbol} = 0..{integer_source(ranges[symbol].upper)}" for symbol in _ordered(waiting))
            raise _gaps(value, span, f"With {shown} it leaves entries out, or writes some twice.")
        length = sp.expand(length * counts[following])
        waiting.remove(following)
    return length


def _ordered(symbols: Sequence[sp.Symbol] | set[sp.Symbol]) -> list[sp.Symbol]:
    return sorted(symbols, key=lambda symbol: symbol.name)


def _gaps(value: Integer, span: Span, repair: str) -> RangeError:
    return RangeError(f"The subscript {integer_source(value)} on the left does not run over its axis.", span, repair)
