"""An array module of many copies of every array, so that one run of a program does the work of many.

NumPy's names, as far as the evaluator needs them, on ``Copies``; plain arrays among these are the same in all copies.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from derive.language.system import Program
from kernels.verification.objective import Arrays, Gradients, groups, objective, point

Array = Any
MOST = 128
"""The most copies that run together."""
Place = tuple[str, tuple[int, ...]]
"""A key and the position of one entry of its array."""


class DifferingCopies(ValueError):
    """A decision for all copies, where they differ."""


def _operation(function: Callable[[Any, Any], Any], reflected: bool = False) -> Callable[[Copies, Any], Copies]:
    def applied(self: Copies, other: Any) -> Copies:
        left, right = _aligned(self, other)
        return Copies(function(right, left) if reflected else function(left, right))

    return applied


@dataclass(frozen=True, eq=False)
class Copies:
    """``data[n]`` is the array of copy n."""

    data: np.ndarray[Any, Any]
    __array_ufunc__ = None  # an operation with a NumPy array is ours

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of each copy."""
        return self.data.shape[1:]

    @property
    def ndim(self) -> int:
        """The number of axes of each copy."""
        return self.data.ndim - 1

    def __getitem__(self, places: Any) -> Copies:
        listed = places if isinstance(places, tuple) else (places,)
        if not any(isinstance(place, Copies) for place in listed):
            return Copies(self.data[(slice(None), *listed)])
        own = np.arange(len(self.data))[:, None]
        return Copies(self.data[(own, *(p.data if isinstance(p, Copies) else np.asarray(p)[None] for p in listed))])

    def __bool__(self) -> bool:
        if not (self.data == self.data[:1]).all():
            raise DifferingCopies("the copies differ in a condition")
        return bool(self.data[0])

    def __neg__(self) -> Copies:
        return Copies(-self.data)

    __add__, __radd__ = _operation(operator.add), _operation(operator.add, True)
    __sub__, __rsub__ = _operation(operator.sub), _operation(operator.sub, True)
    __mul__, __rmul__ = _operation(operator.mul), _operation(operator.mul, True)
    __truediv__, __rtruediv__ = _operation(operator.truediv), _operation(operator.truediv, True)
    __pow__, __rpow__ = _operation(operator.pow), _operation(operator.pow, True)
    __and__, __or__ = _operation(operator.and_), _operation(operator.or_)
    __eq__, __ne__ = _operation(operator.eq), _operation(operator.ne)  # pyright: ignore[reportAssignmentType]
    __lt__, __le__ = _operation(operator.lt), _operation(operator.le)
    __gt__, __ge__ = _operation(operator.gt), _operation(operator.ge)


def _data(array: Array) -> Any:
    return array.data if isinstance(array, Copies) else np.asarray(array)[None]


def _aligned(*arrays: Array) -> list[Any]:
    """Their copies with axes in front so that all have as many; a number stays as it is."""
    axes = max(np.ndim(array) if not isinstance(array, Copies) else array.ndim for array in arrays)
    found: list[Any] = []
    for array in arrays:
        if isinstance(array, int | float | complex):  # a power by a whole number must see that it is one
            found.append(array)
            continue
        data = _data(array)
        found.append(data.reshape(len(data), *(1,) * (axes + 1 - data.ndim), *data.shape[1:]))
    return found


def _each(function: Callable[[Any], Any]) -> Callable[[Array], Copies]:
    return lambda array: Copies(function(_data(array)))


def _sum(array: Array, axis: int | None = None) -> Copies:
    """Over one axis of each copy, or all."""
    data = _data(array)
    return Copies(data.sum(tuple(range(1, data.ndim)) if axis is None else axis + 1))


def _max(array: Array) -> Copies:
    """The largest number of each copy."""
    data = _data(array)
    return Copies(data.max(tuple(range(1, data.ndim))))


def _argmax(array: Array, axis: int) -> Copies:
    """Where the first largest number along an axis stands."""
    return Copies(np.argmax(_data(array), axis + 1))


def _trace(array: Array) -> Copies:
    """The diagonal added."""
    return Copies(np.trace(_data(array), axis1=1, axis2=2))


def _where(condition: Array, yes: Array, no: Array) -> Copies:
    """Entry by entry one or the other."""
    return Copies(np.where(*_aligned(condition, yes, no)))


def _reshape(array: Array, shape: int | tuple[int, ...]) -> Copies:
    """Each copy in another shape."""
    data = _data(array)
    return Copies(data.reshape(len(data), *(shape if isinstance(shape, tuple) else (shape,))))


def _transpose(array: Array) -> Copies:
    """The axes of each copy in reverse order."""
    data = _data(array)
    return Copies(data.transpose(0, *range(data.ndim - 1, 0, -1)))


def _alike(arrays: Sequence[Array]) -> list[Any]:
    parts = [_data(array) for array in arrays]
    count = np.max([len(part) for part in parts])
    return [np.broadcast_to(part, (count, *part.shape[1:])) for part in parts]


def _stack(arrays: Sequence[Array]) -> Copies:
    """The arrays along a new first axis of each copy."""
    return Copies(np.stack(_alike(arrays), 1))


def _concatenate(arrays: Sequence[Array], axis: int) -> Copies:
    """The arrays one after another along an axis of each copy."""
    return Copies(np.concatenate(_alike(arrays), axis + 1))


def _matmul(left: Array, right: Array) -> Copies:
    """The matrix product in each copy, of matrices and vectors."""
    a, b = _data(left), _data(right)
    product = np.matmul(a[:, None, :] if a.ndim == 2 else a, b[..., None] if b.ndim == 2 else b)
    product = product[..., 0] if b.ndim == 2 else product
    return Copies(product[:, 0] if a.ndim == 2 else product)


def _solve(matrix: Array, right: Array) -> Copies:
    a, b = _data(matrix), _data(right)
    return Copies(np.linalg.solve(a, b[..., None])[..., 0] if b.ndim == 2 else np.linalg.solve(a, b))


def _slogdet(matrix: Array) -> tuple[Copies, Copies]:
    """Of a complex matrix near a real one the logarithm is continued analytically."""
    sign, value = np.linalg.slogdet(_data(matrix))
    if np.iscomplexobj(sign):
        value = value + np.log(np.where(sign.real > 0, sign, -sign))
    return Copies(sign), Copies(value)


NUMBERS = SimpleNamespace(
    **{name: _each(getattr(np, name)) for name in ("tanh", "exp", "log", "log1p", "sqrt", "sin", "cos", "real")},
    **{name: getattr(np, name) for name in ("zeros", "ones", "eye", "asarray")},
    sum=_sum,
    max=_max,
    argmax=_argmax,
    trace=_trace,
    where=_where,
    reshape=_reshape,
    transpose=_transpose,
    stack=_stack,
    concatenate=_concatenate,
    matmul=_matmul,
    linalg=SimpleNamespace(inv=_each(np.linalg.inv), det=_each(np.linalg.det), slogdet=_slogdet, solve=_solve),
)
"""The array module."""


# Arrays that differ in one entry from copy to copy --------------------------------------------------------------------


def portions(arrays: Mapping[str, np.ndarray[Any, Any]], most: int = MOST) -> Iterator[list[Place]]:
    """Every entry of every array, so many at a time."""
    places = [(key, place) for key, array in arrays.items() for place in np.ndindex(array.shape)]
    for first in range(0, len(places), most):
        yield places[first : first + most]


def moved(
    arrays: Mapping[str, np.ndarray[Any, Any]], places: Sequence[Place], steps: Sequence[complex]
) -> dict[str, Any]:
    """The arrays where copy n has its step added to the entry at place n; arrays without such an entry stay plain."""
    found: dict[str, Any] = dict(arrays)
    for key in dict.fromkeys(key for key, _ in places):
        data = np.repeat(arrays[key][None], len(places), 0).astype(np.result_type(*steps))
        for row, ((name, place), step) in enumerate(zip(places, steps, strict=True)):
            if name == key:
                data[(row, *place)] += step
        found[key] = Copies(data)
    return found


def each(value: Array, count: int) -> Any:
    """The number in every copy."""
    return np.broadcast_to(_data(value), (count,))


Slopes = Callable[[Callable[[Mapping[str, Any]], Any], Mapping[str, Any], Sequence[Place]], Any]
"""(objective, arrays, places) → the slope of the objective at each place."""


def gradients(
    program: Program,
    loss: str,
    sizes: Mapping[str, int],
    values: Arrays,
    wrt: Sequence[str],
    functions: Mapping[str, str],
    slopes: Slopes,
) -> Gradients:
    """The slope of the loss by every entry of every key of ``wrt``, as ``slopes`` finds it."""
    at = objective(program, loss, sizes, values, functions, NUMBERS)
    start = point(program, sizes, values, wrt, functions)
    found: Gradients = {}
    for keys in groups(values, wrt):
        arrays = {key: start[key] for key in keys}
        found |= by_entry(arrays, partial(slopes, at, arrays))
    return found


def by_entry(
    arrays: Mapping[str, np.ndarray[Any, Any]], slopes: Callable[[Sequence[Place]], Any]
) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays like these, of what ``slopes`` says of places, of many at once where all copies decide alike."""
    found = {key: np.zeros(array.shape) for key, array in arrays.items()}
    for places in portions(arrays):
        try:
            values = slopes(places)
        except DifferingCopies:
            values = [slopes([place])[0] for place in places]
        for (key, place), slope in zip(places, values, strict=True):
            found[key][place] = slope
    return found
