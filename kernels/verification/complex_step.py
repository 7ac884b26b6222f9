"""Witness: the complex step, Im loss(x + ih) / h, which subtracts nothing and so allows any small h.

Every entry is moved by itself; many copies of the arrays, each with another entry moved, are run together.

C. Moler, Complex Step Differentiation, Cleve's Corner, 14 October 2013.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from derive.language.system import Program
from kernels.verification import copies
from kernels.verification.objective import Array, Arrays, Gradients, groups, objective, point

STEP = 1e-30
"""So small that h² vanishes beside any entry, and far from the smallest double."""


def gradients(
    program: Program,
    loss: str,
    sizes: Mapping[str, int],
    values: Arrays,
    wrt: Sequence[str],
    functions: Mapping[str, str],
) -> Gradients:
    """Im loss(x + ih) / h for every entry of every key of ``wrt``."""
    at = objective(program, loss, sizes, values, functions, copies.NUMBERS)
    start = point(program, sizes, values, wrt, functions)
    found: Gradients = {}
    for keys in groups(values, wrt):
        arrays = {key: start[key] for key in keys}

        def slopes(places: Sequence[copies.Place], arrays: Arrays = arrays) -> Array:
            moved = at(copies.moved(arrays, places, [1j * STEP] * len(places)))
            return np.imag(copies.each(moved, len(places))) / STEP

        found |= copies.by_entry(arrays, slopes)
    return found
