"""Witness: central differences of the loss, one entry at a time, the simplest check of all.

Many copies of the arrays, each with another entry moved, are run together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from derive.language.system import Program
from kernels.verification import copies
from kernels.verification.objective import Array, Arrays, Gradients, groups, objective, point

STEP = float(np.finfo(float).eps ** (1 / 3))
"""The step, relative to an entry of size about 1, at which rounding and truncation are alike: error about STEP²."""


def gradients(
    program: Program,
    loss: str,
    sizes: Mapping[str, int],
    values: Arrays,
    wrt: Sequence[str],
    functions: Mapping[str, str],
) -> Gradients:
    """(loss(x + h) - loss(x - h)) / 2h for every entry of every key of ``wrt``."""
    at = objective(program, loss, sizes, values, functions, copies.NUMBERS)
    start = point(program, sizes, values, wrt, functions)
    found: Gradients = {}
    for keys in groups(values, wrt):
        arrays = {key: start[key] for key in keys}

        def slopes(places: Sequence[copies.Place], arrays: Arrays = arrays) -> Array:
            entries = np.array([float(arrays[key][place]) for key, place in places])
            step = STEP * np.maximum(1.0, np.abs(entries))
            above, below = (
                copies.each(at(copies.moved(arrays, places, list(sign * step))), len(places)) for sign in (1, -1)
            )
            return (above - below) / ((entries + step) - (entries - step))  # what was really added, after rounding

        found |= copies.by_entry(arrays, slopes)
    return found
