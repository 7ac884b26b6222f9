"""Witness: central differences of the loss, one entry at a time, the slow and simplest check of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from derive.language.system import Program
from kernels.verification.objective import Arrays, Gradients, groups, objective, point

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
    at = objective(program, loss, sizes, values, functions, np)
    start = point(program, sizes, values, wrt, functions)
    found: Gradients = {}
    for keys in groups(values, wrt):
        arrays = {key: start[key] for key in keys}
        for key in keys:
            gradient = np.zeros(arrays[key].shape)
            for place in np.ndindex(gradient.shape):
                step = STEP * max(1.0, abs(float(arrays[key][place])))
                above, below = (_moved(arrays[key], place, sign * step) for sign in (1, -1))
                width = float(above[place] - below[place])  # what was really added, after rounding
                gradient[place] = (at({**arrays, key: above}) - at({**arrays, key: below})) / width
            found[key] = gradient
    return found


def _moved(array: np.ndarray, place: tuple[int, ...], step: float) -> np.ndarray:
    moved = array.copy()
    moved[place] += step
    return moved
