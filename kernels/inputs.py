"""Arrays from a caller checked against the definition: an error for each kind of mistake, naming what disagrees."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from derive.evaluate import follows, names_in, too_small
from derive.language.expression import smallest
from derive.language.printer import integer_source
from derive.language.system import Program
from kernels.errors import EmptyAxis, MissingArray, UnknownArray, WrongShape, WrongType
from kernels.schedule.integers import extent, integer, replaced, symbols

Array = np.ndarray[Any, np.dtype[Any]]
BATCH = "the batch"


@dataclass(frozen=True)
class Expected:
    """One array of the definition: its shape without a batch, superscripts first; ``optional`` ones have a default.

    A size is an optional input too, for definitions with a size that no shape tells.
    """

    key: str
    role: str
    shape: tuple[sp.Expr, ...]
    optional: bool = False
    default: int | None = None
    """The value of a size that nothing tells."""

    @property
    def written(self) -> str:
        """n × d, or what stands for it when there is less."""
        return " × ".join(map(str, self.shape)) if self.shape else "a number"


@dataclass(frozen=True)
class Checked:
    """The arrays as they are computed with, every size, the length of the batch if there is one, and which have it."""

    arrays: dict[str, Array]
    sizes: dict[str, int]
    batch: int | None
    batched: frozenset[str]


def expected(program: Program, defaults: Sequence[tuple[str, int]] = ()) -> dict[str, Expected]:
    """What a caller may give, by key; ``defaults`` are the values of sizes that nothing tells."""
    found: dict[str, Expected] = {}
    for item in program.declarations:
        if item.role != "defined":
            steps = tuple(map(extent, item.superscripts))
            found[item.name] = Expected(item.name, item.role, (*steps, *item.shape))
    for start in program.starts:
        state = program.declaration(start.access.name)
        axes = zip(state.superscripts, start.access.superscripts, strict=True)
        steps = tuple(extent(span) for span, step in axes if step == span.index)
        found[start.key] = Expected(start.key, "start", (*steps, *state.shape), start.value is not None)
    otherwise = dict(defaults)
    names = [size.name for size in program.sizes]
    return found | {name: Expected(name, "size", (), optional=True, default=otherwise.get(name)) for name in names}


def spelled(key: str, table: Mapping[str, Expected]) -> str:
    """``h0`` is read as ``h^0``."""
    if key in table:
        return key
    return next((known for known in table if known.replace("^", "") == key), key)


def checked(
    program: Program,
    table: Mapping[str, Expected],
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Any],
    dtype: np.dtype[Any],
) -> Checked:
    """The caller's arrays, or the error that says what is wrong with them."""
    arrays: dict[str, Array] = {}
    told: dict[sp.Symbol, tuple[int, str]] = {}
    known = {symbol.name: symbol for symbol in program.sizes}
    for given, roles, kind in ((parameters, ("learn",), "parameter"), (inputs, ("given", "start", "size"), "input")):
        for key, value in given.items():
            name = spelled(key, table)
            if name not in table or table[name].role not in roles:
                raise UnknownArray(unknown(key, kind, roles, table))
            if table[name].role == "size":
                told[known[name]] = whole(name, value, smallest(known[name])), "the inputs"
            else:
                arrays[name] = numbers(name, value, dtype)
    for key, item in table.items():
        if key not in arrays and not item.optional:
            where = "parameters" if item.role == "learn" else "inputs"
            raise MissingArray(f"{key} is missing from the {where}; the definition says it is {item.written}")
    batched, batch = batch_of(table, arrays)
    for key, array in arrays.items():
        if array.size == 0:
            axis = array.shape.index(0)
            what = BATCH if key in batched and axis == 0 else str(table[key].shape[axis - (key in batched)])
            raise EmptyAxis(f"{key} has shape {array.shape}: {what} must be at least 1")
    sizes = solved(program, table, arrays, batched, told)
    ordered = {key: arrays[key] for key in table if key in arrays}
    return Checked(ordered, sizes, batch, batched)


def unknown(key: str, kind: str, roles: Sequence[str], table: Mapping[str, Expected]) -> str:
    """There is no such array; the nearest name, or where it belongs, is the repair."""
    known = [name for name, item in table.items() if item.role in roles and item.role != "size"]
    if spelled(key, table) in table:
        other = "parameters, the first argument" if kind == "input" else "inputs, the second argument"
        return f"{key} belongs to the {other}"
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(known)}" if known else "; there are none"
    return f"the definition has no {kind} {key}{hint}"


def numbers(key: str, value: Any, dtype: np.dtype[Any]) -> Array:
    """``value`` as a contiguous array of ``dtype``; Python's numbers, and whole ones where that is exact, are taken."""
    array = np.asarray(value)
    if array.dtype == dtype:
        return np.require(array, dtype, ["C", "A", "W"])
    if array.dtype.kind in "iub":
        converted = array.astype(dtype)
        if np.any(converted.astype(object) != array.astype(object)):
            raise WrongType(f"{key} holds whole numbers that {dtype} cannot represent exactly")
        return converted
    if array.dtype.kind == "f" and not isinstance(value, np.ndarray | np.generic):
        return array.astype(dtype)
    if array.dtype.kind == "f":
        raise WrongType(
            f"{key} has dtype {array.dtype}, but this kernel computes in {dtype}; "
            f'say {key}.astype("{dtype}"), or compile with dtype="{array.dtype}"'
        )
    raise WrongType(f"{key} has dtype {array.dtype}; a kernel takes real numbers ({dtype})")


def whole(key: str, value: Any, least: int = 1) -> int:
    """``value`` as a size, an integer that is at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise WrongType(f"{key} is a size, a whole number; got {value!r}")
    if value < least:
        raise EmptyAxis(f"{key} is {value}, but must be at least {least}")
    return int(value)


def batch_of(table: Mapping[str, Expected], arrays: Mapping[str, Array]) -> tuple[frozenset[str], int | None]:
    """Which arrays have a batch axis in front, and its length; all given arrays have it or none has."""
    batched: dict[str, int] = {}
    single: list[str] = []
    for key, array in arrays.items():
        item, extra = table[key], array.ndim - len(table[key].shape)
        if extra not in ((0,) if item.role == "learn" else (0, 1)):
            axes = "" if item.role == "learn" else ", with an axis for the batch in front where there is one"
            raise WrongShape(f"{key} has shape {array.shape}; the definition says {item.written}{axes}")
        if extra:
            batched[key] = array.shape[0]
        elif item.role == "given":
            single.append(key)
    given = [key for key in batched if table[key].role == "given"]
    if given and single:
        one, other = given[0], single[0]
        raise WrongShape(
            f"{one} has shape {arrays[one].shape}, with a batch, but {other} has shape {arrays[other].shape}, without; "
            f"give every input its batch axis"
        )
    if batched and single:
        (start,) = list(batched)[:1]
        raise WrongShape(f"{start} has shape {arrays[start].shape}, with a batch, but {single[0]} has none")
    lengths = list(batched.items())
    for key, length in lengths[1:]:
        if length != lengths[0][1]:
            raise WrongShape(
                f"{key} has shape {arrays[key].shape}, a batch of {length}, "
                f"but {lengths[0][0]} has a batch of {lengths[0][1]}"
            )
    return frozenset(batched), lengths[0][1] if lengths else None


Origin = tuple[int, str]
"""The value of a size, and the array whose shape told it."""


def solved(
    program: Program,
    table: Mapping[str, Expected],
    arrays: Mapping[str, Array],
    batched: frozenset[str],
    told: Mapping[sp.Symbol, Origin],
) -> dict[str, int]:
    """Every size, from the shapes and from what was told; all shapes agree with it.

    Sizes that nothing tells have their default; those that follow from others are what these make them.
    """
    known = dict(told)
    waiting = [
        (key, extent, length)
        for key, array in arrays.items()
        for extent, length in zip(table[key].shape, array.shape[key in batched :], strict=True)
    ]
    waiting.sort(key=lambda item: not item[1].is_Symbol)  # n tells more than n + k - 1
    while waiting:
        fewest = min(waiting, key=lambda item: len(symbols(item[1]) - known.keys()))
        unknown = symbols(fewest[1]) - known.keys()
        if len(unknown) > 1 and supposed(program, table, unknown, known):
            continue
        waiting.remove(fewest)
        key, extent, length = fewest
        value = at_known(extent, known)
        for symbol in unknown:
            known[symbol] = solution(value, symbol, length), key
        if integer(replaced(value, {symbol: sp.Integer(known[symbol][0]) for symbol in unknown})) != length:
            wrong = f"{key} has shape {arrays[key].shape}; the definition says {table[key].written}"
            origins = {symbol: origin for symbol, origin in known.items() if symbol not in unknown}
            no_multiple = [remainder(key, extent, value, symbol, length) for symbol in unknown]
            raise WrongShape(", and ".join(filter(None, [wrong, *no_multiple, *reasons(extent, origins, key)])))
    supposed(program, table, {*program.independent}, known)
    return derived({symbol.name: origin for symbol, origin in known.items()}, program, table)


def at_known(value: sp.Expr, known: Mapping[sp.Symbol, Origin]) -> sp.Expr:
    """``value`` at the sizes that are known."""
    return replaced(value, {symbol: sp.Integer(number) for symbol, (number, _) in known.items()})


def supposed(
    program: Program, table: Mapping[str, Expected], unknown: set[sp.Symbol], known: dict[sp.Symbol, Origin]
) -> bool:
    """Put the defaults of unknown sizes among what is known; whether there are any."""
    open_ones = [symbol for symbol in program.independent if symbol in unknown - known.keys()]
    found = {symbol: value for symbol in open_ones if (value := table[symbol.name].default) is not None}
    known |= {symbol: (value, "its default") for symbol, value in found.items()}
    return bool(found)


def remainder(key: str, extent: sp.Expr, value: sp.Expr, symbol: sp.Symbol, length: int) -> str:
    """``x: 5 is no multiple of C = 2, so G cannot be told`` where G C is the extent."""
    factor = sp.cancel(extent / symbol)
    slope = sp.cancel(value / symbol)
    if factor.has(symbol) or not slope.is_Integer or length % int(str(slope)) == 0:
        return ""
    shown = f"{integer_source(factor)} = {slope}" if factor != slope else str(slope)
    return f"{length} is no multiple of {shown}, so {symbol} cannot be told from {key}"


def derived(told: Mapping[str, Origin], program: Program, table: Mapping[str, Expected]) -> dict[str, int]:
    """The sizes with those that follow from them, which no shape contradicts and each of which is at least 1."""
    sizes = {name: number for name, (number, _) in told.items()}
    for symbol, formula in program.derived:
        if any(name not in sizes for name in names_in(formula)):
            continue
        found = int(str(at_known(formula, {part: (sizes[str(part)], "") for part in symbols(formula)})))
        if found < 1:
            raise EmptyAxis(too_small(program, symbol, sizes))
        if symbol.name in sizes and sizes[symbol.name] != found:
            key = told[symbol.name][1]
            source = f"{key}, {table[key].written}," if key in table else key
            parts = {name: told[name][1] for name in names_in(formula) if name in told}
            arrays = [f"{name} from {origin}" for name, origin in parts.items() if origin in table]
            origins = f" ({', '.join(arrays)})" if arrays else ""
            told_size = f"{symbol} = {sizes[symbol.name]}"
            raise WrongShape(f"{source} says {told_size}, but {follows(program, symbol, sizes)}{origins}")
        sizes[symbol.name] = found
    return sizes


def solution(value: sp.Expr, symbol: sp.Symbol, length: int) -> int:
    """The size at which ``value``, of the first degree in it, is ``length``; at least the smallest it may be."""
    slope = sp.diff(value, symbol)
    if not slope.is_Integer or slope == 0:
        return 1
    found = sp.floor((length - replaced(value, {symbol: sp.Integer(0)})) / slope)
    return max(int(str(found)), smallest(symbol))


def reasons(extent: sp.Expr, known: Mapping[sp.Symbol, Origin], key: str) -> list[str]:
    """The sizes that another array told: ``n = 3 from W``."""
    origins = ((symbol, *known[symbol]) for symbol in sorted(symbols(extent) & known.keys(), key=str))
    found = [f"{symbol} = {number} from {origin}" for symbol, number, origin in origins if origin != key]
    return [" and ".join(found)] if found else []
