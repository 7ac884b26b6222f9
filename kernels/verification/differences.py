"""Witness: central differences of the loss, one entry at a time, the simplest check of all.

Many copies of the arrays, each with another entry moved, are run together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from kernels.verification import copies
from kernels.verification.objective import Array, Arrays

STEP = float(np.finfo(float).eps ** (1 / 3))
"""The step, relative to an entry of size about 1, at which rounding and truncation are alike: error about STEP²."""


def _slopes(at: Callable[[Arrays], Array], arrays: Arrays, places: Sequence[copies.Place]) -> Array:
    entries = np.array([float(arrays[key][place]) for key, place in places])
    step = STEP * np.maximum(1.0, np.abs(entries))
    above, below = (copies.each(at(copies.moved(arrays, places, list(sign * step))), len(places)) for sign in (1, -1))
    return (above - below) / ((entries + step) - (entries - step))  # what was really added, after rounding


gradients = partial(copies.gradients, slopes=_slopes)
"""(loss(x + h) - loss(x - h)) / 2h for every entry of every key of ``wrt``."""
